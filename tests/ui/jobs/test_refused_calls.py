"""The refused calls: put together, explained, counted, and an unknown field that is accepted into the draft."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from nicegui import ui
from nicegui.testing import User
from nicegui.testing.user_interaction import UserInteraction

from engine.actions.workspaces import create_workspace
from engine.core.clock import HOUR
from engine.flow.contract import input_fields
from storage.flows import get_flow
from storage.refusals import KEPT_CALLS, Counted, add_refusals, list_refused_calls
from tests.ui.arrange import buttons, draft, hrefs, page_text, press, refused, texts, until
from tests.ui.conftest import Site
from ui.jobs.refused_calls import RefusedView, load_refused
from ui.parts.refused_answer import stored_answer


async def test_refused_calls_are_put_together_and_explained(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    refused(site, flow_id, times=3)

    await user.open("/jobs?tab=refused")
    assert "lang: the flow has no field of this name" in texts(user)
    assert "3" in texts(user)
    press(user, "Explain")
    await user.should_see("3 times since")

    assert "What to do" in texts(user)


async def test_calls_with_a_key_that_nobody_has_are_only_counted_for_the_owner(site: Site, user: User) -> None:
    refused(site, site.flow("Greeting", live=True))
    counted = Counted(site.clock.now() // 60_000, "", "", "", "unauthorized")
    site.database.write_now(add_refusals, {counted: 1_204}, [])
    said = "1,204 calls had"

    await user.open("/jobs?tab=refused")
    assert said in page_text(user)
    await user.open("/jobs?tab=refused&code=validation_failed")
    assert said not in page_text(user)
    await (await site.sign_in("editor")).open("/jobs?tab=refused")
    assert "lang: the flow has no field of this name" in texts(user)
    assert said not in page_text(user)


async def test_an_unknown_field_is_accepted_into_the_draft_and_taken_back(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    refused(site, flow_id, times=14, sent="integer")
    await user.open("/jobs?tab=refused")

    press(user, "Accept this field")
    await user.should_see("lang is in the draft as Whole number, optional.", retries=100)

    assert _draft_field(site, flow_id) == {"name": "lang", "type": "integer", "required": False}
    assert site.database.read_now(get_flow, site.workspace_id, flow_id).state == "Live with newer draft"
    assert "Update API" in page_text(user)
    assert "Accept this field" not in buttons(user)
    assert f"/playground/{flow_id}?node=api_input" in hrefs(user)

    press(user, "Undo")
    await user.should_see("Accept this field", retries=100)
    assert _draft_field(site, flow_id) is None


async def test_an_accepted_field_reaches_an_open_playground_at_once(site: Site, user: User) -> None:
    from ui.parts.open_drafts import drafts_of

    flow_id = site.flow("Greeting", live=True)
    refused(site, flow_id)
    await user.open("/jobs?tab=refused")
    heard: list[str] = []

    class Tab:
        person = SimpleNamespace(workspace_id=site.workspace_id)

        async def query(self, query: Any, *args: Any) -> Any:
            return site.database.read_now(query, site.workspace_id, *args)

    draft = await drafts_of(site.app).open(Tab(), flow_id)  # type: ignore[arg-type]
    draft.listeners["a tab"] = lambda ops, *_said: heard.append(ops[0]["op"])

    press(user, "Accept this field")
    await user.should_see("lang is in the draft as Text, optional.", retries=100)

    assert heard == ["updateNode"]
    drafts_of(site.app).leave(draft, "a tab")


async def test_refused_calls_are_narrowed_by_what_the_address_says(site: Site, user: User) -> None:
    flow_id, other = site.flow("Greeting", live=True), site.flow("Other", live=True)
    refused(site, flow_id, pointer="/lang")
    refused(site, other, pointer="/deep")

    await user.open(f"/jobs?tab=refused&flow={other}&code=validation_failed&range=1h")
    assert "deep: the flow has no field of this name" in texts(user)
    assert "lang: the flow has no field of this name" not in texts(user)
    await user.open("/jobs?tab=refused&key=key_none")
    assert "No refused call fits these filters" in page_text(user)
    site.clock.offset += 2 * HOUR
    await user.open("/jobs?tab=refused&range=1h")
    assert "No refused call fits these filters" in page_text(user)


def _draft_field(site: Site, flow_id: str, name: str = "lang") -> dict[str, Any] | None:
    document = draft(site, flow_id)
    return next((field for field in input_fields(document) if field["name"] == name), None)


async def test_calls_with_unknown_keys_are_counted_for_the_owners_of_the_server_only(site: Site) -> None:
    other = site.database.write_now(create_workspace, "Other", "free")
    stranger = Counted(site.clock.now() // 60_000, "", "", "", "unauthorized")
    site.database.write_now(add_refusals, {stranger: 3}, [])

    seen = [site.database.read_now(load_refused, workspace).unknown_keys for workspace in (site.workspace_id, other)]

    assert seen == [3, 0]


async def test_a_refused_call_is_told_field_by_field_with_a_sentence_for_its_caller(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    refused(site, flow_id, pointer="/customer", missing="name")
    await user.open("/jobs?tab=refused")
    assert "name: is missing; customer: the flow has no field of this name" in texts(user)
    press(user, "Explain")
    await user.should_see("Send this to the caller:")

    said = "Send name (a text). The field customer is not known; leave it out."
    assert said in texts(user)
    assert user.client is not None
    assert [one.props["data-copy"] for one in user.client.elements.values() if "data-copy" in one.props] == [said]
    assert "It is about name, customer." in page_text(user)
    assert "/customer" not in texts(user)
    press(user, "Accept this field")
    await user.should_see("customer is in the draft as Text, optional.", retries=100)
    assert "customer" in [field["name"] for field in input_fields(draft(site, flow_id))]


async def test_what_the_caller_sees_is_the_answer_of_that_call(site: Site, user: User) -> None:
    refused(site, site.flow("Greeting", live=True), pointer="/customer", missing="name")
    await user.open("/jobs?tab=refused&call=req_1")
    press(user, "What the caller sees")
    await user.should_see("The same as JSON, for programs")

    assert "The caller got this answer instead of a job: 400, what was sent did not fit." in texts(user)
    assert "/docs/errors/validation_failed" in hrefs(user)
    body = stored_answer(site.database.read_now(list_refused_calls, site.workspace_id)[0])
    assert body == {
        "type": "/docs/errors/validation_failed",
        "title": "The request body does not fit what this call takes",
        "status": 400,
        "detail": "2 fields are wrong",
        "code": "validation_failed",
        "request_id": "req_1",
        "error_count": 2,
        "errors": [
            {"pointer": "/name", "code": "required", "detail": "missing"},
            {"pointer": "/customer", "code": "unknown_field", "detail": "the flow has no field of this name"},
        ],
    }


async def test_the_explained_call_stands_in_the_address(site: Site, user: User) -> None:
    refused(site, site.flow("Greeting", live=True))
    await user.open("/jobs?tab=refused")
    assert "Send this to the caller:" not in texts(user)
    (row,) = [one for one in user.find(kind=ui.element).elements if one.tag == "tr" and "fp-open" in one.classes]
    UserInteraction(user, {row}, None).click()
    await user.should_see("Send this to the caller:")

    await user.open("/jobs?tab=refused&call=req_1")
    assert "Send this to the caller:" in texts(user)
    assert RefusedView(call="req_1").path() == "/jobs?tab=refused&call=req_1"


async def test_refused_calls_are_counted_at_their_tab_and_hinted_at_beside_the_jobs(site: Site, user: User) -> None:
    flow_id, other = site.flow("Greeting", live=True), site.flow("Other", live=True)
    refused(site, flow_id, times=3)
    await user.open("/jobs")
    assert "3 calls were refused and did not become jobs. " in texts(user)
    assert _tab_labels(user) == ["All jobs", "Refused 3"]
    refused(site, flow_id)
    await until(lambda: _tab_labels(user) == ["All jobs", "Refused 4"])

    await user.open(f"/jobs?flow={other}")
    assert _tab_labels(user) == ["All jobs", "Refused"]
    assert "refused and did not become" not in page_text(user)


async def test_of_more_refused_calls_than_are_kept_the_number_says_so(site: Site, user: User) -> None:
    refused(site, site.flow("Greeting", live=True), times=KEPT_CALLS + 200)
    await user.open("/jobs")
    assert "1,000 or more calls were refused and did not become jobs. " in texts(user)
    assert _tab_labels(user) == ["All jobs", "Refused 1,000 or more"]
    press(user, "Show refused calls")
    await user.should_see("The newest 1,000 are listed")


async def test_both_tabs_keep_the_same_filters(site: Site, user: User) -> None:
    flow_id, other = site.flow("Greeting", live=True), site.flow("Other", live=True)
    refused(site, flow_id)
    refused(site, other, pointer="/deep")
    await user.open(f"/jobs?flow={other}&range=24h")

    press(user, "Show refused calls")
    await user.should_see("deep: the flow has no field of this name")

    assert "lang: the flow has no field of this name" not in texts(user)
    chosen = [box.value for box in user.find(kind=ui.select).elements if isinstance(box.options, dict)]
    assert chosen.count(other) == 2
    assert chosen.count("24h") == 2


def _tab_labels(user: User) -> list[str]:
    return [str(tab.props["label"]) for tab in sorted(user.find(kind=ui.tab).elements, key=lambda one: one.id)]


async def test_what_the_caller_sees_links_to_the_page_of_that_error(site: Site, user: User) -> None:
    refused(site, site.flow("Greeting", live=True))
    await user.open("/jobs?tab=refused")
    press(user, "Explain")
    press(user, "What the caller sees")
    await user.should_see("About this error in the docs")

    assert user.client is not None
    (to,) = [one for one in user.client.elements.values() if one.props.get("href") == "/docs/errors/validation_failed"]
    assert to.props["target"] == "_blank"
