"""Try it now on the page of a flow: a real call, its answer in plain words, and what it asks a person."""

from __future__ import annotations

from typing import Any

from nicegui import ui
from nicegui.testing import User
from nicegui.testing.user_interaction import UserInteraction

from engine.actions.keys import rotate_key
from engine.core.api_key_format import parse_key
from engine.jobs.transitions import finish
from storage.job_changes import Lease, claim_job
from storage.jobs import JobFilters, list_jobs
from storage.keys import find_caller, get_key, list_keys
from storage.questions import QuestionRow, find_question
from tests.factories import asks_person, greeting
from tests.ui.arrange import (
    FAILED,
    box,
    page_text,
    press,
    texts,
    until,
)
from tests.ui.conftest import Site
from tests.ui.playground.runs import working


async def test_try_it_now_makes_a_real_call_with_a_key_of_its_own(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    await user.open(f"/flows/{flow_id}")

    async with working(site, "dev"):
        press(user, "Send")
        await user.should_see("202 Accepted")

    keys = site.database.read_now(list_keys, site.workspace_id)
    assert [(key.label, key.environment) for key in keys] == [("Try it now", "dev")]


async def test_a_key_that_somebody_rotated_is_theirs_and_the_button_gets_another(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    await user.open(f"/flows/{flow_id}")
    async with working(site, "dev"):
        press(user, "Send")
        await user.should_see("202 Accepted")

    (key,) = site.database.read_now(list_keys, site.workspace_id)
    rotated = site.database.write_now(rotate_key, site.owner, key.id, 24)
    async with working(site, "dev"):
        press(user, "Send")
        await until(lambda: len(site.database.read_now(list_keys, site.workspace_id)) == 2)
        await user.should_see("202 Accepted")
    assert site.database.read_now(find_caller, parse_key(rotated.key)) is not None, "who rotated it was shown this text"
    assert site.database.read_now(get_key, site.workspace_id, key.id).older_valid_until is not None


async def test_the_answer_of_a_call_is_shown_in_plain_words_above_its_json(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    await user.open(f"/flows/{flow_id}")

    async with working(site, "dev"):
        press(user, "Send")
        await user.should_see("200 Completed")

    assert [text for text in texts(user) if "Hello" in text] == ["Hello your name", '"Hello your name"']


def approving() -> dict[str, Any]:
    """A flow that asks a person before it greets."""
    file = greeting()
    file["nodes"].insert(1, {"id": "approval", "type": "approval", "inputs": {"title": "Send it?"}})
    file["edges"] = [
        {"id": "e1", "source": "api_input", "target": "approval"},
        {"id": "e2", "source": "approval", "source_port": "approved", "target": "text_template"},
    ]
    return file


async def test_what_a_call_asks_is_answered_here_and_the_next_one_is_sent_meanwhile(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True, file=approving())
    await user.open(f"/flows/{flow_id}")

    def sent() -> list[str]:
        jobs = site.database.read_now(list_jobs, site.workspace_id, JobFilters()).jobs
        return [job.id for job in jobs if not job.ended]

    questions = []
    for title in ("First?", "Second?"):
        before = sent()
        press(user, "Send")
        await until(lambda before=before: len(sent()) == len(before) + 1)
        (job_id,) = set(sent()) - set(before)
        questions.append(asks_person(site.database, job_id, title=title))
        await user.should_see(title)
    assert "First?" in page_text(user)

    press(user, "Approve")  # the newest
    await user.should_not_see("Second?")
    assert find(site, questions[1]).outcome == "approved"
    job_id = questions[1].job_id
    claimed = site.database.write_now(claim_job, "boot_test", job_id)
    assert claimed is not None
    lease = Lease("boot_test", claimed.attempt)
    assert site.database.write_now(finish, job_id, "completed", lease=lease, result=('{"output":"Hello"}', 18))
    await user.should_see("200 Completed")
    assert "First?" in page_text(user)
    assert find(site, questions[0]).open


def find(site: Site, question: QuestionRow) -> QuestionRow:
    row = site.database.read_now(find_question, question.id)
    assert row is not None
    return row


def reading() -> dict[str, Any]:
    """A flow whose input is a web address."""
    file = greeting("Hello {{ api_input.out.url }}")
    file["nodes"][0]["config"]["fields"] = [{"name": "url", "type": "string", "format": "uri", "required": True}]
    return file


def form_around(user: User, label: str) -> ui.element:
    """The form with this field."""
    return [one for one in box(user, label).ancestors() if "fp-form" in one.classes][-1]


OLD_ANSWER = "This is the answer to the input before."


async def test_an_answer_is_marked_while_the_form_holds_another_input(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    await user.open(f"/flows/{flow_id}")
    async with working(site, "dev"):
        press(user, "Send")
        await user.should_see("200 Completed")
    assert OLD_ANSWER not in page_text(user)

    box(user, "name").set_value("Grace")
    assert OLD_ANSWER in page_text(user)

    box(user, "name").set_value("your name")
    assert OLD_ANSWER not in page_text(user)

    box(user, "name").set_value("")  # what is required and missing is not sent
    press(user, "Send")
    await user.should_see("This is required")
    assert OLD_ANSWER in page_text(user)
    assert len(site.database.read_now(list_jobs, site.workspace_id, JobFilters()).jobs) == 1


async def test_enter_in_a_field_of_one_line_sends_as_the_button_does(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    await user.open(f"/flows/{flow_id}")
    box(user, "name").set_value("Grace")

    async with working(site, "dev"):
        UserInteraction(user, {form_around(user, "name")}, None).trigger("keydown")
        await user.should_see("200 Completed")

    assert "Hello Grace" in texts(user)


async def test_a_call_of_which_a_step_failed_says_what_happened_why_and_what_to_do(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    await user.open(f"/flows/{flow_id}")
    press(user, "Send")
    await until(lambda: site.database.read_now(list_jobs, site.workspace_id, JobFilters()).jobs)
    job_id = site.database.read_now(list_jobs, site.workspace_id, JobFilters()).jobs[0].id

    site.database.write_now(claim_job, "boot_test", job_id)
    site.database.write_now(finish, job_id, "failed", lease=Lease("boot_test", 1), error=FAILED)

    await user.should_see("The flow could not answer")
    shown = page_text(user)
    assert all(part in shown for part in (" answered 500.", "The server had a fault.", "Try again later."))
    assert shown.index("The server had a fault.") < shown.index("200 Failed")


async def test_a_refused_call_says_so_in_plain_words_and_marks_the_field(site: Site, user: User) -> None:
    flow_id = site.flow("Reading", live=True, file=reading())
    await user.open(f"/flows/{flow_id}")
    box(user, "url").set_value("nowhere at all")

    press(user, "Send")

    await user.should_see("Write a web address, like https://example.com")
    assert site.database.read_now(list_jobs, site.workspace_id, JobFilters()).jobs == ()


async def test_a_web_address_without_https_is_completed_before_it_is_sent(site: Site, user: User) -> None:
    flow_id = site.flow("Reading", live=True, file=reading())
    await user.open(f"/flows/{flow_id}")
    box(user, "url").set_value(" www.wikipedia.org")

    async with working(site, "dev"):
        press(user, "Send")
        await user.should_see("200 Completed")

    assert box(user, "url").value == "https://www.wikipedia.org"
    assert "Hello https://www.wikipedia.org" in texts(user)


async def test_in_the_dialog_a_call_can_be_tried_above_the_code(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting")
    await user.open(f"/flows/{flow_id}")
    press(user, "Deploy API")
    await user.should_see("Next")
    press(user, "Next")
    await user.should_see("Limits and plan")
    press(user, "Deploy API")
    await user.should_see("Version 1 is live.")

    shown = page_text(user)
    assert shown.index("Try it now") < shown.index("/public/v1/flows/execute/")
    assert shown.index("Keys that may call it") < shown.index("First calls"), "a call moves no button"
