"""The page of a flow: deploying it, the code samples, keys, a real call, versions and settings."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import httpx
from nicegui import ui
from nicegui.testing import User
from nicegui.testing.user_interaction import UserInteraction

from api.app import create_api
from engine.actions.deployments import deploy
from engine.actions.flows import create_flow, rename_flow, save_draft, save_version
from engine.actions.jobs import cancel_all
from engine.actions.keys import create_key, revoke_key, rotate_key
from engine.actions.webhooks import set_webhook
from engine.core.api_key_format import parse_key
from engine.core.clock import DAY, HOUR
from engine.core.environments import ENVIRONMENTS, Environment
from engine.flow.contract import input_fields
from engine.flow.document import Document, load_document
from engine.jobs.server.job_waiters import JobWaiters
from engine.jobs.submit.accept import Caller, flow_webhook
from engine.jobs.submit.batches import accept_batch
from engine.jobs.submit.bodies import SubmitOptions
from engine.jobs.transitions import finish
from engine.secrets.sealing import open_vault
from storage.flows import get_draft, get_flow, get_version
from storage.job_changes import Lease, claim_job
from storage.jobs import JobFilters, list_jobs
from storage.keys import find_caller, get_key, list_keys
from storage.questions import QuestionRow, find_question
from storage.sent_fields import CALLS, Sent, add_sent_fields
from storage.tables import Job
from tests.factories import asks_person, document, greeting, parked_node
from tests.ui.arrange import (
    FAILED,
    accepted,
    box,
    buttons,
    code_block,
    draft,
    ended,
    labels,
    newest_button,
    page_text,
    press,
    press_named,
    refused,
    texts,
    until,
)
from tests.ui.conftest import Site
from tests.ui.playground.runs import working


async def test_deploying_shows_the_endpoint(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting")
    await user.open(f"/flows/{flow_id}")
    assert "/public/v1/flows/execute" not in page_text(user)

    press(user, "Deploy API")
    await user.should_see("Deploy Greeting", retries=100)
    press(user, "Next")
    await user.should_see("Production: 4 at once, 0 of 1,000 requests this month")
    assert "No key yet." in page_text(user)
    press(user, "Deploy API")
    await user.should_see("Version 1 is live.", retries=100)
    await user.should_see("none yet", retries=100)
    (none_yet,) = user.find("none yet").elements
    assert none_yet.parent_slot is not None
    assert "fp-ok" not in none_yet.parent_slot.parent.classes  # no call is no success
    await user.should_see("Undeploy API", retries=100)

    assert site.database.read_now(get_flow, site.workspace_id, flow_id).live_version == 1
    assert f"http://test/public/v1/flows/execute/{flow_id}" in page_text(user)
    assert "Undeploy API" in buttons(user)


async def test_a_flow_that_was_never_saved_gets_its_title_first(site: Site, user: User) -> None:
    flow_id = site.flow("Untitled flow", saved=False)
    await user.open(f"/flows/{flow_id}")

    press(user, "Deploy API")
    await user.should_see("Save the flow first")
    user.find(kind=ui.input, content="").elements.pop()
    box = max((one for one in user.find(kind=ui.input).elements), key=lambda one: one.id)
    box.value = "Hello service"
    press(user, "Save As")
    await user.should_see("Deploy Hello service")
    press(user, "Next")
    press(user, "Deploy API")
    await user.should_see("Version 1 is live.", retries=100)

    flow = site.database.read_now(get_flow, site.workspace_id, flow_id)
    assert (flow.title, flow.live_version) == ("Hello service", 1)


async def test_problems_stop_it_and_lead_to_their_place(site: Site, user: User) -> None:
    flow_id = site.flow("Broken", file=greeting("Hello {{ nobody.out }}"))
    await user.open(f"/flows/{flow_id}")

    press(user, "Deploy API")
    await user.should_see("Broken cannot be deployed yet")

    assert user.client is not None
    links = [element.props.get("href") for element in user.client.elements.values() if element.tag == "a"]
    assert f"/playground/{flow_id}?node=text_template" in links
    assert site.database.read_now(get_flow, site.workspace_id, flow_id).live_version is None


async def test_an_empty_flow_says_what_is_missing(site: Site, user: User) -> None:
    flow_id = site.database.write_now(create_flow, site.owner, "Empty", Document())
    await user.open(f"/flows/{flow_id}")

    press(user, "Deploy API")
    await user.should_see("Save the flow first")
    press(user, "Save As")
    await user.should_see("Empty cannot be deployed yet")

    assert "API Input" in page_text(user)


async def test_a_newer_draft_is_put_live_after_saying_what_changes(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    changed = greeting()
    changed["nodes"][0]["config"]["fields"].append({"name": "lang", "type": "string", "required": True})
    site.database.write_now(save_draft, site.owner, flow_id, document(changed), 1)
    await user.open(f"/flows/{flow_id}")
    assert "The draft differs from version 1, which is live:" in page_text(user)

    press(user, "Update API")
    await user.should_see("Update Greeting", retries=100)
    assert "Calls without it are refused" in page_text(user)
    press(user, "Next")
    press(user, "Update API")
    await user.should_see("Version 2 is live.", retries=100)

    assert site.database.read_now(get_flow, site.workspace_id, flow_id).live_version == 2


async def test_a_required_field_that_callers_do_not_send_is_made_optional_in_the_dialog(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    key = site.database.write_now(create_key, site.owner, "Shop", Environment.LIVE)
    called = Sent(site.clock.now() // DAY, site.workspace_id, flow_id, key.id, CALLS)
    site.database.write_now(add_sent_fields, {called: 3})
    changed = greeting()
    changed["nodes"][0]["config"]["fields"].append({"name": "lang", "type": "string", "required": True})
    site.database.write_now(save_draft, site.owner, flow_id, document(changed), 1)
    await user.open(f"/flows/{flow_id}")

    press(user, "Update API")
    await user.should_see("Make it optional", retries=100)
    assert "and will be refused: Shop." in page_text(user)
    press(user, "Make it optional")
    await user.should_see(", which may be left out.", retries=100)

    assert "Make it optional" not in buttons(user)
    assert input_fields(draft(site, flow_id))[1]["required"] is False


async def test_undeploying_asks_first_and_keeps_the_flow(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    await user.open(f"/flows/{flow_id}")

    press(user, "Undeploy API")
    await user.should_see("Undeploy Greeting?")
    assert site.database.read_now(get_flow, site.workspace_id, flow_id).live_version == 1
    press(user, "Undeploy API")
    await user.should_see("The API is switched off")

    assert site.database.read_now(get_flow, site.workspace_id, flow_id).state == "Undeployed"


async def test_the_shown_code_carries_the_new_key_for_this_one_view(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    await user.open(f"/flows/{flow_id}")
    assert 'FLOWPORT_API_KEY="YOUR_API_KEY"' in code_block(user, "curl")
    await user.should_see("No key is in this code yet.")

    press(user, "Create a key")
    press(user, "Create a key")
    await user.should_see("Copy the key")
    shown = re.search(r'export FLOWPORT_API_KEY="(fp_live_\w+)"', code_block(user, "curl"))

    assert shown is not None
    caller = site.database.read_now(find_caller, str(parse_key(shown.group(1))))
    assert caller is not None
    assert caller.flow_ids == frozenset({flow_id})
    await user.should_see("Your new key is in this code.")
    press(user, "Show the text to pass on")
    await user.should_see("Copy the text")
    passed_on = next(text for text in texts(user) if text.startswith("Our flow"))
    assert shown.group(1) not in passed_on
    for part in (f"/public/v1/flows/execute/{flow_id}\n", f"/docs/flows/{flow_id}\n", f"/flows/{flow_id}\n"):
        assert f"http://test{part}" in passed_on
    assert "Authorization: Bearer YOUR_API_KEY" in passed_on
    assert "- name (Text, required)" in passed_on
    assert "The key “First key” may call it: ask me for it." in passed_on
    await user.open(f"/flows/{flow_id}")
    assert shown.group(1) not in page_text(user)
    assert 'FLOWPORT_API_KEY="YOUR_API_KEY"' in code_block(user, "curl")


async def test_the_code_leads_with_one_call_and_has_the_two_calls_under_it(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    await user.open(f"/flows/{flow_id}")

    assert "?wait=60" in code_block(user, "curl")
    assert 'params={"wait": 60}' in code_block(user, "Python")
    assert "?wait=60" in code_block(user, "JavaScript")
    assert "wait" not in code_block(user, "sending")
    assert "/jobs/JOB_ID?wait=30" in code_block(user, "asking for the job")
    assert page_text(user).count("When a run takes longer than a minute: two calls") == 3


async def test_the_shown_curl_is_accepted_by_the_endpoint(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    await user.open(f"/flows/{flow_id}")
    press(user, "Create a key")
    press(user, "Create a key")
    await user.should_see("Copy the key")
    shown = code_block(user, "curl")
    url = re.search(r'-X POST "([^"]+)"', shown)
    key = re.search(r"fp_live_\w+", shown)
    body = re.search(r"-d '(.*)'", shown, re.DOTALL)
    assert url is not None
    assert key is not None
    assert body is not None

    api = create_api(site.database, JobWaiters(site.database), site.settings, open_vault(site.settings.data))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api)) as client:
        answer = await client.post(
            url.group(1),
            content=body.group(1),
            headers={"Authorization": f"Bearer {key.group()}", "Content-Type": "application/json"},
        )
    await api.close()

    assert answer.status_code == 202
    assert answer.json()["flow_id"] == flow_id


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

    assert [text for text in texts(user) if "Hello" in text] == ["Hello some text", '"Hello some text"']


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

    box(user, "name").set_value("some text")
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


async def test_a_key_that_nobody_has_kept_is_not_lost_with_the_dialog(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting")
    await user.open(f"/flows/{flow_id}")
    press(user, "Deploy API")
    await user.should_see("Next")
    press(user, "Next")
    await user.should_see("Limits and plan")
    press(user, "Deploy API")
    await user.should_see("Version 1 is live.")
    press(user, "Create a key")
    press(user, "Create a key")
    await user.should_see('Copy the key "First key" now')
    dialog_done = max((one for one in user.find(kind=ui.button, content="Done").elements), key=lambda one: one.id)
    assert dialog_done.enabled is False
    assert "Copy it first, or tick the box." in page_text(user), "the reason stands beside the key's own button"
    done = min((one for one in user.find(kind=ui.button, content="Done").elements), key=lambda one: one.id)
    UserInteraction(user, {done}, None).click()
    await user.should_see("Close without the key?")
    await user.should_see('Copy the key "First key" now')
    press(user, "Back to the key")
    await user.should_not_see("Close without the key?")

    UserInteraction(user, {newest_button(user, "Copy key")}, None).trigger("fpcopied")
    await asyncio.sleep(0)
    (box,) = user.find(kind=ui.checkbox, content="I have put it in a safe place").elements
    assert isinstance(box, ui.checkbox)
    assert box.value is False, "only the person ticks it"
    for ticked in (True, False):
        box.value = ticked
        assert dialog_done.enabled, "having copied is enough"
    await user.should_not_see("Copy it first, or tick the box.")
    UserInteraction(user, {done}, None).click()
    await user.should_not_see('Copy the key "First key" now')
    assert "Close without the key?" not in page_text(user)


async def test_keys_for_other_flows_are_not_called_none(site: Site, user: User) -> None:
    other = site.flow("Other", live=True)
    flow_id = site.flow("Greeting", live=True)
    site.database.write_now(create_key, site.owner, "Shop", Environment.LIVE, flow_ids=[other])

    await user.open(f"/flows/{flow_id}")

    assert "No key yet" not in page_text(user)
    assert "The keys that you have are for other flows." in page_text(user)


async def test_the_keys_of_a_flow_have_their_end_and_their_limits(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    day = site.clock.now() + 30 * DAY
    site.database.write_now(create_key, site.owner, "Shop", Environment.LIVE, expires_at=day, monthly=500)
    site.database.write_now(create_key, site.owner, "Tests", Environment.TEST)

    await user.open(f"/flows/{flow_id}")

    said = page_text(user)
    assert re.search(r"all flows · works until \d+ \w+ \d{4} · at most 500 requests a month", said)
    assert "0 calls in 30 days" in said
    assert "does not end" in said
    assert "Each key may send 50 calls a second." in said
    assert "All keys of Production together: 1,000 requests a month, 4 at once." in said
    assert "All keys of Staging together: 250 requests a month, 1 at once." in said

    for key in site.database.read_now(list_keys, site.workspace_id):
        site.database.write_now(revoke_key, site.owner, key.id)
    site.database.write_now(create_key, site.owner, "One", Environment.TEST, flow_ids=[flow_id])
    await user.open(f"/flows/{flow_id}")
    assert "only this flow · does not end" in page_text(user)
    (last,) = [key for key in site.database.read_now(list_keys, site.workspace_id) if key.revoked_at is None]
    site.database.write_now(revoke_key, site.owner, last.id)
    await user.open(f"/flows/{flow_id}")
    assert "No key works now: each was revoked or has ended." in page_text(user)


async def test_first_calls_show_accepted_and_refused_ones(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    await user.open(f"/flows/{flow_id}")
    ended(site, flow_id)
    refused(site, flow_id)

    await user.should_see("2 calls", retries=100)

    assert "lang: the flow has no field of this name" in page_text(user)

    asks_person(site.database, accepted(site, flow_id))
    await user.should_see("Waits for a person")
    assert "version 1, not answered yet" in page_text(user)
    assert "Accepted" not in page_text(user)


def second_version_live(site: Site) -> str:
    flow_id = site.flow("Greeting", live=True)
    site.database.write_now(save_draft, site.owner, flow_id, document(greeting("Hi {{ api_input.out.name }}")), 1)
    site.database.write_now(deploy, site.owner, flow_id)
    return flow_id


def template(site: Site, flow_id: str) -> str:
    return str(draft(site, flow_id).nodes[1].inputs["template"])


async def test_a_version_that_goes_live_again_comes_onto_the_canvas_too(site: Site, user: User) -> None:
    flow_id = second_version_live(site)
    await user.open(f"/flows/{flow_id}?tab=versions")

    press(user, "Make live")
    await user.should_see("This goes back to an older version.")
    await user.should_see("Also put version 1 on the canvas")
    await user.should_see("What is on the canvas now stays under Versions as version 2.")
    press(user, "Make version 1 live")
    await user.should_see("Version 1 is live and on the canvas.", retries=100)

    flow = site.database.read_now(get_flow, site.workspace_id, flow_id)
    assert (flow.live_version, flow.state, template(site, flow_id)) == (1, "Live", "Hello {{ api_input.out.name }}")


async def test_without_the_tick_the_canvas_stays_and_its_version_is_no_newer_draft(site: Site, user: User) -> None:
    flow_id = second_version_live(site)
    await user.open(f"/flows/{flow_id}?tab=versions")
    press(user, "Make live")
    await user.should_see("Also put version 1 on the canvas")
    (tick,) = user.find(kind=ui.checkbox).elements
    assert tick.value
    tick.value = False
    press(user, "Make version 1 live")
    await user.should_see("Version 1 is live.", retries=100)
    assert template(site, flow_id) == "Hi {{ api_input.out.name }}"

    await user.open(f"/flows/{flow_id}")
    assert "Callers get version 1 again." in page_text(user)
    assert "Version 2, which was live before, is still on the canvas." in page_text(user)
    assert "Update API" not in buttons(user)
    press(user, "Put version 1 on the canvas")
    await until(lambda: template(site, flow_id) == "Hello {{ api_input.out.name }}")


async def test_what_was_changed_while_the_question_stood_is_saved_too(site: Site, user: User) -> None:
    flow_id = second_version_live(site)
    await user.open(f"/flows/{flow_id}?tab=versions")
    press(user, "Make live")
    await user.should_see("What is on the canvas now stays under Versions as version 2.")

    revision = site.database.read_now(get_draft, site.workspace_id, flow_id).revision
    site.database.write_now(save_draft, site.owner, flow_id, document(greeting("Third")), revision)
    press(user, "Make version 1 live")
    await user.should_see("Version 1 is live and on the canvas.", retries=100)

    kept = site.database.read_now(get_version, site.workspace_id, flow_id, 3)
    assert "Third" in str(kept.document)


async def test_what_no_version_holds_is_saved_before_the_canvas_is_replaced(site: Site, user: User) -> None:
    flow_id = second_version_live(site)
    revision = site.database.read_now(get_draft, site.workspace_id, flow_id).revision
    site.database.write_now(save_draft, site.owner, flow_id, document(greeting("Third")), revision)
    await user.open(f"/flows/{flow_id}?tab=versions")

    press(user, "Make live")
    await user.should_see("It is saved as version 3 first.")
    press(user, "Make version 1 live")
    await user.should_see("Version 1 is live and on the canvas.", retries=100)

    kept = site.database.read_now(get_version, site.workspace_id, flow_id, 3)
    assert "Third" in kept.document
    assert kept.note == "Was on the canvas before version 1 went live again"
    assert site.database.read_now(get_flow, site.workspace_id, flow_id).state == "Live"


async def test_steps_that_are_not_connected_are_not_taken_off_the_canvas_without_a_question(
    site: Site, user: User
) -> None:
    flow_id = second_version_live(site)
    draft_now = site.database.read_now(get_draft, site.workspace_id, flow_id)
    file = json.loads(draft_now.document)
    file["nodes"].append(parked_node())
    loose = Document.model_validate(file)
    site.database.write_now(save_draft, site.owner, flow_id, loose, draft_now.revision)
    await user.open(f"/flows/{flow_id}?tab=versions")

    press(user, "Put on the canvas")  # of version 1, which is not the one of the canvas
    await user.should_see("Steps that are not connected are in no version", retries=100)
    assert loose == load_document(site.database.read_now(get_draft, site.workspace_id, flow_id).document)


async def test_a_version_is_viewed_and_compared_with_the_canvas(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    site.database.write_now(save_draft, site.owner, flow_id, document(greeting("Hi {{ api_input.out.name }}")), 1)
    await user.open(f"/flows/{flow_id}")

    press(user, "Compare")
    await user.should_see("Callers get now: version 1", retries=100)
    assert _captions(user) == ["Callers get now: version 1", "What is on the canvas"]
    assert "Greet" in page_text(user)
    assert "Put on the canvas" in buttons(user)
    press(user, "Close")

    await user.open(f"/flows/{flow_id}?tab=versions")
    press(user, "View")
    await user.should_see("Callers get now: version 1", retries=100)


async def test_an_older_version_is_viewed_as_what_callers_would_get_in_place_of_now(site: Site, user: User) -> None:
    flow_id = second_version_live(site)
    await user.open(f"/flows/{flow_id}?tab=versions")

    press(user, "View")  # of version 1, the last in the list
    await user.should_see("Callers get now: version 2")

    assert _captions(user) == ["Callers get now: version 2", "Version 1"]
    said = texts(user)
    assert said.index("Hi api_input › name") < said.index("Hello api_input › name"), "what goes away stands first"
    assert any(text.endswith("by the command line. ") or "by the command line." in text for text in said)


async def test_a_version_with_very_many_differences_is_viewed_with_the_first_of_them(site: Site, user: User) -> None:
    def many(value: str) -> Document:
        file = greeting()
        file["nodes"][0]["config"]["samples"] = [
            {"title": "Large", "payload": {"name": {f"k{at}": f"{value} {at}" for at in range(5_000)}}}
        ]
        return document(file)

    flow_id = site.flow("Greeting")
    for revision, value in ((1, "old"), (2, "new")):
        site.database.write_now(save_draft, site.owner, flow_id, many(value), revision)
        site.database.write_now(save_version, site.owner, flow_id)
    await user.open(f"/flows/{flow_id}?tab=versions")

    press_named(user, "View version 3")  # compared with the one before
    await user.should_see("4,801 more are not listed.")
    assert texts(user).count("old 198") == 1
    assert "old 199" not in texts(user)


async def test_of_very_many_versions_the_newest_are_drawn_and_older_ones_at_a_press(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    for at in range(100):
        site.database.write_now(save_version, site.owner, flow_id, f"Note {at}")
    await user.open(f"/flows/{flow_id}?tab=versions")

    await user.should_see("Version 101")
    assert "View version 2" in labels(user)
    assert "View version 1" not in labels(user)
    press(user, "Older versions")
    await until(lambda: "View version 1" in labels(user))
    assert "Older versions" not in texts(user)


async def test_the_live_version_is_viewed_as_what_changed_since_the_version_before(site: Site, user: User) -> None:
    flow_id = second_version_live(site)
    await user.open(f"/flows/{flow_id}?tab=versions")

    views = sorted((one for one in user.find(kind=ui.button).elements if one.text == "View"), key=lambda one: one.id)
    UserInteraction(user, {views[0]}, None).click()  # of version 2, the first in the list
    await user.should_see("Callers get now: version 2")

    assert _captions(user) == ["Version 1", "Callers get now: version 2"]
    said = texts(user)
    assert said.index("Hello api_input › name") < said.index("Hi api_input › name"), "the older one stands first"


def _captions(user: User) -> list[str]:
    found = [one for one in user.find(kind=ui.element).elements if one.tag == "figcaption"]
    return [one.text for one in sorted(found, key=lambda one: one.id)]  # type: ignore[attr-defined]


async def test_the_list_of_versions_says_when_each_was_live(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    site.clock.offset += HOUR
    site.database.write_now(save_draft, site.owner, flow_id, document(greeting("Hi")), 1)
    site.database.write_now(deploy, site.owner, flow_id)
    site.clock.offset += HOUR
    site.database.write_now(save_draft, site.owner, flow_id, document(greeting("Bye")), 2)
    site.database.write_now(save_version, site.owner, flow_id)

    await user.open(f"/flows/{flow_id}?tab=versions")

    said = [text for text in texts(user) if text.startswith(("live ", "never live"))]
    assert said[0] == "never live"
    assert said[1].startswith("live since ")
    assert said[2].startswith("live from ")
    assert said[1].removeprefix("live since ") == said[2].rpartition(" to ")[2]
    assert "by the command line" in texts(user)


async def test_first_calls_from_before_another_version_went_live_stand_apart(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    ended(site, flow_id)
    site.clock.offset += HOUR
    site.database.write_now(save_draft, site.owner, flow_id, document(greeting("Hi")), 1)
    site.database.write_now(deploy, site.owner, flow_id)

    await user.open(f"/flows/{flow_id}")
    await user.should_see("none yet")
    assert "Before version 2 went live:" in page_text(user)
    assert any(text.startswith("version 1, completed") for text in texts(user))

    ended(site, flow_id)
    await user.should_see("1 call", retries=100)
    shown = [text for text in texts(user) if text.startswith(("version ", "Before version"))]
    assert [text[:12] for text in shown] == ["version 2, c", "Before versi", "version 1, c"]


async def test_of_a_long_setting_the_part_that_differs_is_shown(site: Site, user: User) -> None:
    long = "Dear friend, " * 60
    flow_id = site.flow("Greeting", live=True, file=greeting(f"{long} old end"))
    site.database.write_now(save_draft, site.owner, flow_id, document(greeting(f"{long} new end")), 1)
    await user.open(f"/flows/{flow_id}")
    press(user, "Compare")

    await user.should_see("What is on the canvas", retries=100)
    cut = [text for text in texts(user) if text.startswith("…")]
    assert len(cut) == 2
    assert cut[0].endswith("old end")
    assert cut[1].endswith("new end")
    assert "Template" in texts(user), "the setting has the name that its form has"


async def test_two_versions_are_compared_with_each_other(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    site.database.write_now(save_draft, site.owner, flow_id, document(greeting("Hi {{ api_input.out.name }}")), 1)
    site.database.write_now(save_version, site.owner, flow_id)
    site.database.write_now(save_draft, site.owner, flow_id, document(greeting("Bye {{ api_input.out.name }}")), 2)
    await user.open(f"/flows/{flow_id}?tab=versions")
    press(user, "View")  # of version 1, the last in the list
    await user.should_see("Bye api_input › name", retries=100)

    choice = next(
        box for box in user.find(kind=ui.select).elements if isinstance(box.options, dict) and 2 in box.options
    )
    choice.value = 2

    await until(lambda: _captions(user) == ["Callers get now: version 1", "Version 2"])
    await user.should_see("Hi api_input › name")
    await user.should_not_see("Bye api_input › name")


async def test_who_saves_a_title_keeps_the_description_that_somebody_else_saved_meanwhile(
    site: Site, user: User
) -> None:
    flow_id = site.flow("Greeting")
    await user.open(f"/flows/{flow_id}?tab=settings")
    site.database.write_now(rename_flow, site.owner, flow_id, None, "Ben wrote this")

    def stored() -> tuple[str, str]:
        flow = site.database.read_now(get_flow, site.workspace_id, flow_id)
        return flow.title, flow.description

    for title in ("New title", "Greeting"):  # the second is what was drawn
        box(user, "Title").set_value(title)
        newest_save = next(one for one in user.find(kind=ui.button, content="Save").elements if one.text == "Save")
        UserInteraction(user, {newest_save}, None).click()
        await until(lambda title=title: stored() == (title, "Ben wrote this"))
    box(user, "Description").set_value("Mine")
    UserInteraction(user, {newest_save}, None).click()
    await until(lambda: stored() == ("Greeting", "Mine"))


async def test_the_settings_tab_renames_and_limits(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting")
    await user.open(f"/flows/{flow_id}?tab=settings")

    for one in user.find(kind=ui.input).elements:
        if one.value == "Greeting":
            one.value = "Good morning"
        if one.value == "1800":
            one.value = "5"
    press(user, "Save")
    await user.should_see("Saved.")
    press(user, "Save the limit")
    await user.should_see("Write a whole number from 10 to 86400.")

    flow = site.database.read_now(get_flow, site.workspace_id, flow_id)
    assert flow.title == "Good morning"
    assert dict(flow.settings) == {}


async def test_settings_that_callers_and_jobs_feel_are_stored(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting")
    await user.open(f"/flows/{flow_id}?tab=settings")

    next(box for box in user.find(kind=ui.input).elements if box.value == "1800").value = "60"
    press(user, "Save the limit")
    await user.should_see("It counts for the next job.", retries=100)
    box(user, "Keep inputs, results and steps for").value = "0"
    press(user, "Save the days")
    await user.should_see("Write a whole number from 1 to 3650")
    box(user, "Keep inputs, results and steps for").value = "7"
    press(user, "Save the days")
    await user.should_see("It counts from the next clean-up on.", retries=100)

    flow = site.database.read_now(get_flow, site.workspace_id, flow_id)
    assert dict(flow.settings) == {"limit_seconds": 60, "keep_days": 7}


async def test_how_many_jobs_run_at_the_same_time_is_stored_and_removed(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    label = "How many of its jobs run at the same time"
    job_id = accepted(site, flow_id)

    def kept() -> tuple[dict[str, Any], int | None]:
        flow = site.database.read_now(get_flow, site.workspace_id, flow_id)
        job = site.database.read_now(lambda session: session.get(Job, job_id))
        assert job is not None
        return dict(flow.settings), job.flow_concurrency

    await user.open(f"/flows/{flow_id}?tab=settings")
    for wrong in ("0", "1001", "2.5", "two"):
        box(user, label).value = wrong
        press(user, "Save the number")
        await user.should_see("Write a whole number from 1 to 1000, or nothing.")

    box(user, label).value = "2"
    press(user, "Save the number")
    await user.should_see("It counts at once, also for jobs that wait.", retries=100)
    assert kept() == ({"concurrency": 2}, 2)

    await user.open(f"/flows/{flow_id}?tab=settings")
    assert box(user, label).value == "2"
    box(user, label).value = ""
    press(user, "Save the number")
    await until(lambda: kept() == ({}, None))


async def test_the_deliveries_tell_a_batch_from_a_job(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    caller = Caller(site.workspace_id, None, "live")
    options = SubmitOptions(route="/batch", webhook_url="https://hooks.example.com/")
    made = site.database.write_now(accept_batch, caller, flow_id, {"items": [{"name": "Ada"}]}, options)
    site.database.write_now(cancel_all, caller, made.batch_id)

    await user.open(f"/flows/{flow_id}?tab=settings")

    await user.should_see("a batch of calls", retries=100)
    await user.should_see("cancelled")
    await user.should_not_see("a test")


async def test_each_environment_gets_its_own_webhook(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting")
    site.database.write_now(set_webhook, site.owner, flow_id, "https://example.com/live")
    await user.open(f"/flows/{flow_id}?tab=settings")
    assert box(user, "Production").value == "https://example.com/live"
    box(user, "Staging").value = "https://example.com/staging"
    box(user, "Development").value = "example.com"
    press(user, "Save the webhooks")
    await user.should_see("The webhook's address is not a web address", retries=100)
    box(user, "Development").value = ""
    press(user, "Save the webhooks")
    await user.should_see("It counts for jobs that are sent from now on.", retries=100)

    settings = site.database.read_now(get_flow, site.workspace_id, flow_id).settings
    told = [flow_webhook(settings, environment) for environment in ENVIRONMENTS]
    assert told == ["https://example.com/live", "https://example.com/staging", None]


async def test_a_new_title_is_in_the_breadcrumb_too(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting")
    await user.open(f"/flows/{flow_id}?tab=settings")
    next(box for box in user.find(kind=ui.input).elements if box.value == "Greeting").value = "Good morning"

    press(user, "Save")
    await user.should_see("Saved.", retries=100)

    def crumbs() -> list[str]:
        assert user.client is not None
        here = [one for one in user.client.elements.values() if one.props.get("aria-current") == "page"]
        return [getattr(one, "text", "") for one in here]

    await until(lambda: "Good morning" in crumbs(), crumbs)
