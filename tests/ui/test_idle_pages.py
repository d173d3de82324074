"""Open pages read nothing while nothing happens, and what happens is seen at their next look."""

from __future__ import annotations

import asyncio

import pytest
from nicegui.testing import User
from sqlalchemy.orm import Session

from storage.members import list_people
from storage.sessions import end_session
from tests.ui.arrange import ended
from tests.ui.conftest import Site
from tests.ui.test_hot_queries import caught
from ui.page_session import PageSession, SignedOut
from ui.shared_reads import SAME_SECONDS, Answer, Answers, Committed, Moment, SessionChecks

#: Statements that belong to every read: the transaction, and the check of the session.
_OF_EVERY_READ = ("BEGIN", "COMMIT", "ROLLBACK", "PRAGMA")


@pytest.mark.parametrize("path", ["/monitoring", "/jobs", "/flows", "/flows/{flow}?tab=monitoring", "/settings/keys"])
async def test_an_open_page_reads_nothing_while_nothing_happens(site: Site, user: User, path: str) -> None:
    flow_id = site.flow("Greeting", live=True)
    ended(site, flow_id)
    await user.open(path.format(flow=flow_id))
    await asyncio.sleep(4)  # every timer has looked once
    with caught(site.database) as statements:
        await asyncio.sleep(5)

    assert [one for one in statements if not one.upper().startswith(_OF_EVERY_READ)] == []


def test_the_tabs_of_a_browser_share_a_look_at_its_session_until_something_is_committed() -> None:
    checks, at = SessionChecks(), 1_000_000
    assert not checks.holds("ada", Moment(5, at))
    checks.note("ada", Moment(5, at))
    assert checks.holds("ada", Moment(5, at + 2_000))
    assert not checks.holds("bob", Moment(5, at))
    assert not checks.holds("ada", Moment(6, at))
    assert not checks.holds("ada", Moment(None, at))
    assert not checks.holds("ada", Moment(5, at + SAME_SECONDS * 1_000))


def test_the_pages_of_a_workspace_share_an_answer_until_something_is_committed() -> None:
    answers, then = Answers(), Moment(5, 1_000_000)
    answers.note("ours", len, Answer(("a",), then, 1))
    answers.note("ours", len, Answer(("b",), then, 2))
    later = Moment(5, then.at + 2_000)
    assert [found.value for asked in "ab" if (found := answers.find("ours", len, (asked,), later))] == [1, 2]
    assert answers.find("ours", len, ("c",), later) is None
    assert answers.find("ours", max, ("a",), later) is None
    assert answers.find("theirs", len, ("a",), later) is None
    assert answers.find("ours", len, ("a",), Moment(5, then.at + SAME_SECONDS * 1_000)) is None
    assert answers.find("ours", len, ("a",), Moment(6, later.at)) is None

    answers.note("ours", len, Answer(("c",), Moment(6, later.at), 3))
    assert answers.find("ours", len, ("a",), later) is None  # answers of earlier commits are not kept


def test_each_of_many_people_gets_the_answer_that_is_theirs_and_old_ones_are_dropped() -> None:
    answers, then = Answers(), Moment(5, 1_000_000)
    for person in range(100):
        answers.note("ours", len, Answer((person,), Moment(5, then.at + person), person))
    later = Moment(5, then.at + 5_000)
    found = [answers.find("ours", len, (person,), later) for person in range(100)]
    assert [one.value for one in found if one is not None] == list(range(100))

    end = Moment(5, then.at + SAME_SECONDS * 1_000 + 98)
    answers.note("ours", len, Answer(("new",), end, 1))
    assert [[one.asked for one in kept] for kept in answers._known.values()] == [[(99,), ("new",)]]


def test_with_postgresql_no_answer_is_shared() -> None:
    answers, then = Answers(), Moment(None, 1_000_000)
    answers.note("ours", len, Answer((), then, 1))
    assert answers.find("ours", len, (), then) is None


async def test_two_pages_ask_once_and_each_session_is_checked(site: Site, user: User) -> None:
    cookie = str(user.http_client.cookies["flowport_session"])
    person = site.database.read_now(list_people, site.workspace_id)[0]
    first, second = (PageSession(site.app, cookie, "", person) for _ in range(2))
    asked: list[str] = []

    def number_of(_session: Session, _workspace_id: str, what: str) -> int:
        asked.append(what)
        return len(asked)

    assert [await page.query_again(number_of, "jobs") for page in (first, second, first)] == [1, 1, 1]
    assert await second.query_again(number_of, "calls") == 2
    with pytest.raises(SignedOut):  # an answer is there, but not for everybody
        await PageSession(site.app, "no session", "", person).query_again(number_of, "jobs")

    site.flow("Another")
    site.app.shared(Committed).forget()
    assert [await page.query_again(number_of, "jobs") for page in (first, second)] == [3, 3]
    site.database.write_now(end_session, cookie)
    site.app.shared(Committed).forget()
    with pytest.raises(SignedOut):
        await second.query_again(number_of, "jobs")
