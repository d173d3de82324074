"""The page Waiting, the answers on the page of a job, and the page behind the link of a question."""

from __future__ import annotations

import asyncio
import base64
import re
from typing import Any

import pytest
from nicegui import ui
from nicegui.testing import User
from nicegui.testing.user_interaction import UserInteraction
from sqlalchemy.orm import Session

from engine.actions.files import upload_by_person
from engine.actions.questions import Answer, answer_question
from engine.core.clock import DAY
from engine.files.intake import incoming_of, value_of
from engine.jobs.submit.job_files import name_files
from engine.jobs.transitions import finish
from engine.secrets.question_links import question_link_path
from storage.files import FileRow
from storage.job_changes import Lease, claim_job
from storage.jobs import find_job
from storage.questions import (
    QuestionRow,
    close_question,
    find_question,
    list_questions_of_job,
    list_refusers,
    list_refusers_of_batch,
)
from storage.tables import Job
from storage.tables_questions import Question
from tests.factories import asks_person
from tests.logical_time import pass_time
from tests.ui.arrange import FAILED, accepted, buttons, page_text, press, until
from tests.ui.conftest import Site
from ui.parts.answer_words import refused_words, refuser_words
from ui.parts.question_cards import first_values

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
HOSTILE = "<img src=x onerror=alert(1)> {{ 7*7 }}"


def waiting(site: Site, values: dict[str, Any] | None = None, **more: Any) -> QuestionRow:
    """A job that asks."""
    return asks_person(site.database, accepted(site, site.flow(live=True)), values, **more)


def found(site: Site, question: QuestionRow) -> QuestionRow:
    row = site.database.read_now(find_question, question.id)
    assert row is not None
    return row


def counts(user: User) -> list[str]:
    assert user.client is not None
    return [getattr(one, "text", "") for one in user.client.elements.values() if "fp-count" in one.classes]


def headings(user: User) -> list[str]:
    assert user.client is not None
    return [getattr(one, "text", "") for one in user.client.elements.values() if one.tag == "h2"]


def link(site: Site, question: QuestionRow) -> str:
    return question_link_path(site.app.vault, question.id)


async def test_without_a_question_the_page_says_where_they_come_from(site: Site, user: User) -> None:
    await user.open("/waiting")
    said = page_text(user)
    assert "Nobody is asked anything now" in said
    assert "Approval" in said


@pytest.mark.parametrize("simulated", [True, False])
async def test_made_up_text_is_marked_where_it_is_approved(site: Site, user: User, simulated: bool) -> None:
    question = waiting(site, {"text": "Dear Ann"})
    site.database.write_now(lambda session: setattr(session.get_one(Job, question.job_id), "simulated", simulated))
    await user.open("/waiting")
    assert ("Simulated" in page_text(user).split()) is simulated
    assert ("What it wrote is made up." in page_text(user)) is simulated
    behind = await user.http_client.get(link(site, question))
    assert "Dear Ann" in behind.text
    assert ("What it wrote is made up." in behind.text) is simulated


async def test_a_question_is_answered_with_changed_values_and_a_note(site: Site, user: User) -> None:
    question = waiting(site, {"text": "Hello", "to": HOSTILE}, title=f"Send it? {HOSTILE}", editable=("text",))
    await user.open("/waiting")
    said = page_text(user)
    for words in (
        f"Send it? {HOSTILE}",
        HOSTILE,
        "1 question waits for somebody.",
        "After that it counts as refused.",
        "this one question, once",
    ):
        assert words in said
    (text,) = [one for one in user.find(kind=ui.input).elements if one.value == "Hello"]
    text.value = "Hi"
    (note,) = user.find(kind=ui.textarea).elements
    note.value = "Shorter"
    press(user, "Approve")
    await until(lambda: not found(site, question).open)
    row = found(site, question)
    assert (row.outcome, row.answer, row.note, row.answered_by) == ("approved", {"text": "Hi"}, "Shorter", "ada")
    await until(lambda: "Answered" in page_text(user))
    assert "Hi" in page_text(user), "the first values tell questions of one title apart"
    await until(lambda: not counts(user))
    assert "Nobody is asked anything now" in page_text(user)
    job = site.database.read_now(find_job, site.workspace_id, question.job_id)
    assert job is not None
    assert job.status == "queued"


async def test_a_text_of_several_words_can_be_given_paragraphs(site: Site, user: User) -> None:
    values = {"reply": "Dear Anna,", "kind": "question"}
    question = waiting(site, values, editable=tuple(values))
    await user.open("/waiting")
    assert {one.value for one in user.find(kind=ui.textarea).elements} == {"", "Dear Anna,"}, "note and reply"
    behind = (await user.http_client.get(link(site, question))).text
    assert "\nDear Anna,</textarea>" in behind
    assert 'value="question"' in behind


async def test_an_emptied_text_is_approved_as_empty_and_an_emptied_number_is_asked_for(site: Site, user: User) -> None:
    values = {"cc": "boss@example.com", "discount": 15, "note": "", "fixed": "f"}
    question = waiting(site, values, editable=("cc", "discount", "note"))
    await user.open("/waiting")
    boxes = {str(one.value): one for one in user.find(kind=ui.input).elements}
    boxes["boss@example.com"].value = boxes["15"].value = ""
    press(user, "Approve")
    await user.should_see("Write a number, like 12 or 3.5.")
    assert found(site, question).open
    boxes["15"].value = "0"
    press(user, "Approve")
    await until(lambda: not found(site, question).open)
    assert found(site, question).answer == {"cc": "", "discount": 0}


async def test_an_emptied_list_is_not_approved_as_it_was(site: Site, user: User) -> None:
    question = waiting(site, {"tags": ["a", "b"]}, editable=("tags",))
    await user.open("/waiting")
    press(user, "Write it as JSON")
    (box,) = [one for one in user.find(kind=ui.textarea).elements if '"a"' in str(one.value)]
    box.value = ""
    press(user, "Approve")
    await user.should_see("Write a list; an empty one is [].")
    assert found(site, question).open
    box.value = "[]"
    press(user, "Approve")
    await until(lambda: not found(site, question).open)
    assert found(site, question).answer == {"tags": []}


async def test_an_answer_that_somebody_else_gave_first_is_told(site: Site, user: User) -> None:
    question = waiting(site)
    await user.open("/waiting")
    site.database.write_now(answer_question, site.owner, question.id, Answer(approved=False, note="No"))
    press(user, "Approve")
    await user.should_see("has been answered")
    assert found(site, question).outcome == "refused"


async def test_a_double_press_does_not_answer_the_question_that_moves_up(site: Site, user: User) -> None:
    questions = [waiting(site, title=f"Question {at}?") for at in range(2)]
    await user.open("/waiting")
    press(user, "Approve")  # it presses the last one
    await until(lambda: "Question 1?" not in headings(user))
    press(user, "Approve")
    await user.should_see("Look which one this is, then press again.")
    assert found(site, questions[0]).open
    await pass_time(1.5)
    press(user, "Approve")
    await until(lambda: not found(site, questions[0]).open)


async def test_a_viewer_sees_the_question_and_cannot_answer(site: Site) -> None:
    waiting(site)
    user = await site.sign_in("viewer")
    await user.open("/waiting")
    assert "Send it?" in page_text(user)
    assert not {"Approve", "Refuse", "Copy link"} & set(buttons(user))


async def test_new_questions_come_while_the_page_is_open_and_what_is_typed_stays(site: Site, user: User) -> None:
    waiting(site, title="First?")
    await user.open("/waiting")
    (note,) = user.find(kind=ui.textarea).elements
    note.value = "half a"
    waiting(site, title="Second?")
    await user.should_see("Second?")
    assert note.value == "half a"
    assert not note.is_deleted
    assert "2 questions wait for somebody." in page_text(user)


async def test_many_questions_with_a_table_each_are_drawn_with_few_elements_and_changed_after_a_press(
    site: Site, user: User
) -> None:
    rows = [{"name": f"Ada {at}", "street": "y", "city": "z", "n": 1, "m": 2} for at in range(100)]
    asked = [waiting(site, {"orders": rows}, title=f"Question {at}?", editable=("orders",)) for at in range(20)]
    await user.open("/waiting")
    assert user.client is not None
    assert len(user.client.elements) < 10_000
    said, labels = page_text(user), buttons(user)
    assert all(f"Question {at}?" in said for at in range(20))
    assert labels.count("Approve") == 20
    assert "Ada 0" in said
    assert labels.count("Change the values") + labels.count("Show the values") == 20
    assert "Show the values" in labels
    (first,) = [one for one in user.client.elements.values() if one.props.get("aria-label") == "Question 0?"]
    (change,) = [one for one in first.descendants() if getattr(one, "text", "") == "Change the values"]
    UserInteraction(user, {change}, None).click()
    await until(lambda: [one for one in first.descendants() if isinstance(one, ui.input) and one.value == "Ada 0"])
    (name,) = [one for one in first.descendants() if isinstance(one, ui.input) and one.value == "Ada 0"]
    name.value = "Eve"
    (yes,) = [one for one in first.descendants() if getattr(one, "text", "") == "Approve"]
    UserInteraction(user, {yes}, None).click()
    await until(lambda: not found(site, asked[0]).open)
    assert found(site, asked[0]).answer == {"orders": [{**rows[0], "name": "Eve"}, *rows[1:]]}


async def test_values_that_had_no_room_are_shown_after_a_press(site: Site, user: User) -> None:
    large = {"a": {f"k{at}": "x" for at in range(1_000)}}
    for _at in range(3):
        waiting(site, large)
    waiting(site, {"to": "Grace", "from": "Ada"}, editable=("to",))
    await user.open("/waiting")
    assert "Grace" not in page_text(user)
    for _at in range(buttons(user).count("Show the values")):
        press(user, "Show the values")
    assert [one for one in user.find(kind=ui.input).elements if one.value == "Grace"]


def test_a_long_value_of_an_answered_question_ends_at_a_word(site: Site) -> None:
    message = "The lamp arrived broken, I want a refund and a new lamp that is not broken at all"
    said = first_values(waiting(site, {"message": message, "to": "Ann"}))
    assert said == "The lamp arrived broken, I want a refund and a new lamp…, Ann"


async def test_the_page_of_a_job_asks_and_tells_who_answered(site: Site, user: User) -> None:
    question = waiting(site)
    await user.open(f"/jobs/{question.job_id}")
    assert "Waits for a person" in page_text(user)
    press(user, "Refuse")
    await until(lambda: not found(site, question).open)
    await user.should_see("Refused.")
    await user.should_see("Answers of people")
    await until(lambda: not counts(user))
    assert refused_words([found(site, question)]) == "Refused by ada"


async def test_a_run_that_fails_after_the_answer_does_not_keep_saying_that_it_goes_on(site: Site, user: User) -> None:
    question = waiting(site)
    await user.open(f"/jobs/{question.job_id}")
    press(user, "Approve")
    await user.should_see("Approved.")
    claimed = site.database.write_now(claim_job, "boot_test", question.job_id)
    assert claimed is not None
    lease = Lease("boot_test", claimed.attempt)
    assert site.database.write_now(finish, question.job_id, "failed", lease=lease, error=FAILED)
    await user.should_see("Greet failed")
    assert "Approved." not in page_text(user)


async def test_the_list_of_jobs_says_that_a_person_refused(site: Site, user: User) -> None:
    refused, approved, late = (waiting(site) for _ in range(3))
    for question in (refused, approved):
        site.database.write_now(answer_question, site.owner, question.id, Answer(approved=question is approved))
    site.database.write_now(close_question, late.id, "refused", expired=True)

    def complete(session: Session) -> None:
        for one in (refused, approved, late):
            session.get_one(Job, one.job_id).status = "completed"

    site.database.write_now(complete)
    await user.open("/jobs")
    beside = [getattr(one, "text", "") for one in user.find(kind=ui.element).elements if "fp-warn" in one.classes]
    assert sorted(beside) == ["Refused by a person", "Refused: nobody answered in time"]
    await user.open("/jobs?status=refused_by_person")
    assert jobs_in(user) == {refused.job_id}
    flow_id = refused.flow_id
    await user.open(f"/flows/{flow_id}?tab=jobs")
    await until(lambda: "Refused by a person" in page_text(user))


def test_of_two_refusals_of_a_run_the_first_is_told_everywhere(site: Site) -> None:
    first = waiting(site)
    job_id = first.job_id

    def later(session: Session) -> None:
        row = session.get_one(Question, first.id)
        columns = {one.name: getattr(row, one.name) for one in Question.__table__.columns}
        another = {"id": "question_2", "key": "2", "asked_at": row.asked_at + 1, "answered_by": "Zoe"}
        session.add(Question(**columns | another | {"outcome": "refused", "closed_at": row.asked_at + 2}))
        session.get_one(Job, job_id).batch_id = "batch_1"

    site.database.write_now(later)
    site.database.write_now(close_question, first.id, "refused", expired=True)

    job = site.database.read_now(find_job, site.workspace_id, job_id)
    assert job is not None
    assert site.database.read_now(list_refusers, site.workspace_id, [job]) == {job_id: ""}
    assert site.database.read_now(list_refusers_of_batch, site.workspace_id, "batch_1") == {job_id: ""}
    of_job = site.database.read_now(list_questions_of_job, site.workspace_id, job_id)
    assert [one.answered_by for one in of_job] == ["", "Zoe"]
    assert refused_words(of_job) == refuser_words("") == "Refused: nobody answered in time"


def jobs_in(user: User) -> set[str]:
    found = (str(one.props.get("href", "")) for one in user.find(kind=ui.element).elements)
    return {href.removeprefix("/jobs/") for href in found if href.startswith("/jobs/job_")}


async def test_the_menu_counts_what_waits(site: Site, user: User) -> None:
    waiting(site)
    await user.open("/flows")
    assert "1" in counts(user)


async def test_the_menu_counts_again_when_the_questions_of_a_page_change(site: Site, user: User) -> None:
    shown = waiting(site)
    await user.open(f"/jobs/{shown.job_id}")
    assert counts(user) == ["1"]
    waiting(site)
    waiting(site)
    site.database.write_now(answer_question, site.owner, shown.id, Answer(approved=True))
    await until(lambda: counts(user) == ["2"])


# The link.


async def test_opening_the_link_shows_the_question_alone_and_changes_nothing(site: Site) -> None:
    question = waiting(site, {"text": HOSTILE, "list": [1, {"a": None}]}, title=HOSTILE, editable=("text",))
    async with site.browser() as browser:
        for _ in range(3):
            assert (await browser.head(link(site, question))).status_code == 200
        page = await browser.get(link(site, question))
    assert page.status_code == 200
    assert page.headers["x-robots-tag"] == "noindex, nofollow"
    assert page.headers["cache-control"] == "no-store"
    assert HOSTILE not in page.text
    assert "&lt;img src=x onerror=alert(1)&gt; {{ 7*7 }}" in page.text
    assert "<nav" not in page.text
    assert "Greeting" not in page.text, "the title of the flow is not for strangers"
    assert found(site, question).open


async def test_the_files_of_a_question_are_downloaded_with_its_link_alone(site: Site, user: User) -> None:
    def stored(name: str, content: bytes) -> FileRow:
        incoming = incoming_of(site.database.file_bytes, content, name)
        return site.database.write_now(upload_by_person, site.owner, incoming)

    mine, other, secret = stored("mill & sons.pdf", b"%PDF-1.7"), stored("oven.png", PNG), stored("secret.txt", b"no")
    job_id = accepted(site, site.flow(live=True))
    site.database.write_now(name_files, job_id, [mine.id, other.id])
    values = {"invoice": value_of(mine), "pictures": [value_of(other)], "invented": value_of(secret)}
    question = asks_person(site.database, job_id, values, editable=("invoice",))
    async with site.browser() as browser:
        page = (await browser.get(link(site, question))).text
        place = f"{link(site, question)}/files"
        for row in (mine, other):
            answer = await browser.get(f"{place}/{row.id}")
            assert answer.status_code == 200
            assert answer.headers["content-disposition"].startswith("attachment;")
            assert answer.headers["cache-control"] == "private, no-store"
            assert f'href="{place}/{row.id}"' in page
        assert f'<img class="fp-file-picture" src="{place}/{other.id}"' in page
        assert "mill &amp; sons.pdf" in page
        assert f"{place}/{secret.id}" not in page, "the job does not name it"
        for wrong in (f"{place}/{secret.id}", f"{place}/file_x", f"{link(site, question)}x/files/{mine.id}"):
            assert (await browser.get(wrong)).status_code == 404
        site.database.write_now(answer_question, site.owner, question.id, Answer(approved=True))
        assert (await browser.get(f"{place}/{mine.id}")).status_code == 410

    asks_person(site.database, accepted(site, site.flow(live=True)), values, editable=("invoice",))
    await user.open("/waiting")
    assert user.client is not None
    props = [one.props for one in user.client.elements.values()]
    assert f"/files/{mine.id}" in [one.get("href") for one in props]
    assert [one.get("alt") for one in props if one.get("src") == f"/files/{other.id}"] == ["oven.png"]


async def test_the_link_answers_once(site: Site) -> None:
    values = {"text": "Hello", "count": 2, "ok": True, "tags": ["a", "b"], "fixed": 1}
    question = waiting(site, values, editable=("text", "count", "ok", "tags"))
    sent = {"v0": "Hi", "v1": "2,5", "v2": "no", "v3": "a\r\nc\r\n", "note": "Fine", "decision": "approve"}
    async with site.browser() as browser:
        empty = await browser.post(link(site, question), data={**sent, "v1": ""})
        wrong = await browser.post(link(site, question), data={**sent, "v1": "many"})
        assert (empty.status_code, wrong.status_code) == (422, 422)
        assert "Write a number" in empty.text
        assert "Write a number" in wrong.text
        assert "Hi" in wrong.text
        assert found(site, question).open
        thanks = await browser.post(link(site, question), data=sent)
        assert (thanks.status_code, "Approved" in thanks.text) == (200, True)
        assert "the job goes on" in thanks.text
        again = await browser.post(link(site, question), data={"decision": "refuse"})
        closed = await browser.get(link(site, question))
    assert (again.status_code, closed.status_code) == (410, 410)
    row = found(site, question)
    assert (row.outcome, row.note, row.answered_by) == ("approved", "Fine", "Somebody with the link")
    assert row.answer == {"text": "Hi", "count": 2.5, "ok": False, "tags": ["a", "c"]}


async def test_what_nobody_touched_stays_as_it_was_asked(site: Site) -> None:
    values = {"lines": ["a", " c"], "text": "a\r\nb\rc", "count": 10**40, "changed": "x"}
    question = waiting(site, values, editable=tuple(values))
    shown = {"v0": "a\r\n c", "v1": "a\r\nb\r\nc", "v2": str(10**40), "v3": "y", "decision": "approve"}
    async with site.browser() as browser:
        assert (await browser.post(link(site, question), data=shown)).status_code == 200
    assert found(site, question).answer == {"changed": "y"}


async def test_the_link_shows_half_of_a_character_and_leaves_what_nobody_touched(site: Site) -> None:
    question = waiting(site, {"text": "a\ud83d", "to": ["n\ud83d"]}, editable=("text",))
    async with site.browser() as browser:
        page = await browser.get(link(site, question))
        assert (page.status_code, "n�" in page.text, 'value="a�"' in page.text) == (200, True, True)
        form = {"decision": "approve", "v0": "a�"}
        answered = await browser.post(link(site, question), data=form, headers={"Origin": "http://test"})
    assert answered.status_code == 200
    assert found(site, question).answer == {}


@pytest.mark.parametrize(
    "items", [["Dear Ada,\nthank you.", "Bye"], ["Dear Ada,", "", "Bye"], ["a\rb"], [" "], [], [{"a": 1}]]
)
async def test_a_list_that_lines_cannot_hold_is_shown_and_says_where_it_is_changed(
    site: Site, items: list[Any]
) -> None:
    question = waiting(site, {"paragraphs": items, "cc": "x"}, editable=("paragraphs", "cc"))
    async with site.browser() as browser:
        page = (await browser.get(link(site, question))).text
        sent = {"v0": "y", "v1": "Dear Ada,\nGoodbye", "decision": "approve"}
        assert (await browser.post(link(site, question), data=sent)).status_code == 200
    assert "Shown here only: Paragraphs. People with an account can change this in Flowport, under Waiting." in page
    assert 'name="v0" value="x"' in page
    assert 'name="v1"' not in page
    assert found(site, question).answer == {"cc": "y"}


async def test_two_people_and_the_link_at_once_give_one_answer(site: Site) -> None:
    question = waiting(site)

    async def by_person(*, approved: bool) -> str:
        try:
            await site.database.write(answer_question, site.owner, question.id, Answer(approved=approved))
        except Exception as error:  # noqa: BLE001 - which one it is, is compared
            return type(error).__name__
        return "answered"

    async def by_link() -> str:
        async with site.browser() as browser:
            answer = await browser.post(link(site, question), data={"decision": "approve"})
        return "answered" if answer.status_code == 200 else str(answer.status_code)

    said = await asyncio.gather(
        by_person(approved=True), by_link(), by_person(approved=False), by_link(), by_person(approved=True), by_link()
    )
    assert said.count("answered") == 1
    assert set(said) <= {"answered", "QuestionClosed", "410"}


@pytest.mark.parametrize("change", ["x", "", "longer"])
async def test_a_link_that_is_not_ours_leads_nowhere_and_is_counted(site: Site, change: str) -> None:
    question = waiting(site)
    path = link(site, question)
    bad = {"x": path[:-1] + ("A" if path[-1] != "A" else "B"), "": path.partition(".")[0], "longer": f"{path}a"}[change]
    async with site.browser() as browser:
        codes = [(await browser.get(bad)).status_code for _ in range(25)]
    assert (codes[0], codes[-1]) == (404, 429)
    assert found(site, question).open


async def test_a_link_ends_with_the_time_of_its_question(site: Site) -> None:
    question = waiting(site, expires_after_seconds=60)
    site.clock.offset += DAY
    async with site.browser() as browser:
        assert (await browser.get(link(site, question))).status_code == 410
        assert (await browser.post(link(site, question), data={"decision": "approve"})).status_code == 410
    assert found(site, question).open  # the worker closes it, with what was chosen for that


async def test_a_form_of_another_site_answers_nothing(site: Site) -> None:
    question = waiting(site)
    async with site.browser() as browser:
        headers = {"Origin": "https://evil.example"}
        answer = await browser.post(link(site, question), data={"decision": "approve"}, headers=headers)
    assert answer.status_code == 403
    assert found(site, question).open


@pytest.mark.parametrize(("behind", "allowed"), [("", "GET, HEAD, POST"), ("/files/file_1", "GET, HEAD")])
async def test_another_method_is_refused_at_every_link_alike(site: Site, behind: str, allowed: str) -> None:
    question = waiting(site)
    async with site.browser() as browser:
        answers = [await browser.put(path + behind) for path in (link(site, question), "/answer/none")]
    assert [(one.status_code, one.headers["allow"], one.text) for one in answers] == [
        (405, allowed, f"This address takes {allowed}, and not PUT.\n")
    ] * 2


@pytest.mark.parametrize("page", ["/waiting", "/jobs/{job}"])
async def test_how_long_ago_it_was_asked_goes_on_while_the_page_is_open(site: Site, user: User, page: str) -> None:
    question = waiting(site)
    await user.open(page.format(job=question.job_id))
    assert "asked just now" in page_text(user)
    await pass_time(12)
    assert re.search(r"asked 1\d s ago", page_text(user))


async def test_how_long_ago_it_was_answered_goes_on_too(site: Site, user: User) -> None:
    question = waiting(site)
    site.database.write_now(answer_question, site.owner, question.id, Answer(approved=True))
    await user.open("/waiting")
    assert "just now" in page_text(user)
    await pass_time(12)
    assert re.search(r"\n1\d s ago\n", page_text(user))
