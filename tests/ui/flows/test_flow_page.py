"""The page of a flow: deploying it, the code samples, keys and the first calls."""

from __future__ import annotations

import asyncio
import re

import httpx
from nicegui import ui
from nicegui.testing import User
from nicegui.testing.user_interaction import UserInteraction

from api.app import create_api
from engine.actions.deployments import deploy
from engine.actions.flows import create_flow, save_draft
from engine.actions.keys import create_key, revoke_key, try_key
from engine.core.api_key_format import parse_key
from engine.core.clock import DAY
from engine.core.environments import Environment
from engine.flow.contract import input_fields
from engine.flow.document import Document
from engine.jobs.server.job_waiters import JobWaiters
from engine.secrets.sealing import open_vault
from storage.flows import get_flow
from storage.keys import find_caller, list_keys
from storage.sent_fields import CALLS, Sent, add_sent_fields
from tests.factories import asks_person, document, greeting
from tests.ui.arrange import (
    accepted,
    buttons,
    code_block,
    draft,
    ended,
    newest_button,
    page_text,
    press,
    refused,
    texts,
)
from tests.ui.conftest import Site


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


async def test_undeploying_names_the_keys_of_others_that_called(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    own = site.database.write_now(try_key, site.owner, None)
    accepted(site, flow_id, "dev", key_id=own.id)
    await user.open(f"/flows/{flow_id}")
    press(user, "Undeploy API")
    await user.should_see("Undeploy Greeting?")
    assert "called it in the last hour" not in page_text(user), "it was the person's own try"

    shop = site.database.write_now(create_key, site.owner, "Shop", Environment.LIVE)
    accepted(site, flow_id, key_id=shop.id)
    await user.open(f"/flows/{flow_id}")
    press(user, "Undeploy API")
    await user.should_see("1 key called it in the last hour.")


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


async def test_the_text_to_pass_on_has_an_example_and_the_way_for_a_web_page(site: Site, user: User) -> None:
    file = greeting()
    file["nodes"][0]["config"] = {"fields": [{"name": "article number", "type": "string"}]}
    file["nodes"][1]["inputs"] = {"template": "Hello"}
    await user.open(f"/flows/{site.flow('Price of an article', live=True, file=file)}")
    press(user, "Show the text to pass on")
    await user.should_see("Copy the text")
    passed_on = next(text for text in texts(user) if text.startswith("Our flow"))
    assert re.search(r"-d '\{\s*\"article number\": \"[^\"]+\"\s*\}'", passed_on)
    assert "the key belongs on the server of the web site" in passed_on
    assert "http://test/docs/authentication#not-from-a-page-in-a-browser" in passed_on


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


async def deployed_with_a_key(site: Site, user: User) -> str:
    """Deploys a flow and creates a key in the dialog, which shows it. Returns the flow's id."""
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
    return flow_id


async def test_a_key_that_nobody_has_kept_is_not_lost_with_the_dialog(site: Site, user: User) -> None:
    await deployed_with_a_key(site, user)
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


async def test_a_key_with_which_a_call_came_in_is_not_asked_about(site: Site, user: User) -> None:
    flow_id = await deployed_with_a_key(site, user)
    (key,) = site.database.read_now(list_keys, site.workspace_id)
    accepted(site, flow_id, key_id=key.id)

    done = min((one for one in user.find(kind=ui.button, content="Done").elements), key=lambda one: one.id)
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


async def test_of_more_than_five_calls_the_newest_are_shown_and_called_so(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    await user.open(f"/flows/{flow_id}")
    for _ in range(5):
        ended(site, flow_id)
    await user.should_see("5 calls")
    assert "First calls" in page_text(user)

    ended(site, flow_id)

    await user.should_see("Newest calls")
    await user.should_see("These are the newest five.")
    assert "First calls" not in page_text(user)
    await user.should_not_see("5 calls")


async def test_a_flow_that_asks_a_person_says_so_where_it_is_deployed_and_passed_on(site: Site, user: User) -> None:
    fields = [{"name": "name", "type": "string"}]
    nodes = [
        {"id": "api_input", "type": "api_input", "config": {"fields": fields}},
        {"id": "approval", "type": "approval", "inputs": {"title": "Send it?"}},
        {"id": "api_output", "type": "api_output", "inputs": {"reply": "{{ api_input.out.name }}"}},
    ]
    edges = [
        {"id": "e1", "source": "api_input", "target": "approval"},
        {"id": "e2", "source": "approval", "source_port": "approved", "target": "api_output"},
    ]
    said = "A run may wait for a person, for days if it must."
    flow_id = ""
    for name, asks in (("Greeting", False), ("Calls Greeting", False), ("Ask", True), ("Calls Ask", True)):
        inputs = {"name": "{{ api_input.out.name }}"}
        call = {"id": "called", "type": "call_flow", "config": {"flow_id": flow_id}, "inputs": inputs}
        asking = {"format": 1, "title": "Ask", "nodes": nodes, "edges": edges}
        calling = {**asking, "nodes": [nodes[0], call], "edges": [{**edges[0], "target": "called"}]}
        flow_id = site.flow(name, file={"Greeting": None, "Ask": asking}.get(name, calling))
        await user.open(f"/flows/{flow_id}")
        press(user, "Deploy API")
        await user.should_see("Next")
        press(user, "Next")
        await user.should_see("One run may take")
        assert ("The time in which it waits for a person does not count." in page_text(user)) is asks
        site.database.write_now(deploy, site.owner, flow_id)
        await user.open(f"/flows/{flow_id}")
        press(user, "Show the text to pass on")
        await user.should_see("Copy the text")
        assert any(said in text for text in texts(user)) is asks
        assert not any("\n\n\n" in text for text in texts(user) if text.startswith("Our flow"))
