"""Switching an API off and on again, and going back to an earlier version."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.factories import greeting
from tests.seed.person import Person
from tests.seed.world import World

pytestmark = pytest.mark.browser


def test_undeploying_goes_saved_flows_then_the_flow_then_undeploy_api(world: World, person: Person) -> None:
    page = person.page
    flow_id = world.live("To be switched off", greeting())
    assert world.caller.submit(flow_id, {"name": "Ada"}).status_code == 202
    person.open("/")
    person.menu("Saved Flows")
    page.get_by_role("link", name="To be switched off", exact=True).click()
    page.get_by_role("button", name="Undeploy API").click()
    person.dialog.get_by_role("button", name="Undeploy API").click()
    expect(page.get_by_text("The API is switched off")).to_be_visible()
    refused = world.caller.submit(flow_id, {"name": "Ada"})
    assert (refused.status_code, refused.json()["code"]) == (404, "flow_not_deployed")


def test_undeploying_does_not_delete_the_flow(world: World, person: Person) -> None:
    page = person.page
    flow_id = world.live("Kept", greeting())
    earlier = world.caller.run(flow_id, {"name": "Ada"})["job_id"]
    person.undeploy(flow_id)
    person.open("/flows")
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name="Kept", exact=True))
    expect(row).to_contain_text("Undeployed")
    assert world.caller.job(earlier)["result"] == {"output": "Hello Ada"}
    person.open(f"/playground/{flow_id}")
    expect(page.get_by_test_id("node-text_template")).to_be_visible()


def test_undeploying_only_disables_the_endpoint(world: World, person: Person) -> None:
    flow_id = world.live("Only the endpoint", {**greeting(), **fetching()})
    running = world.caller.submit(flow_id, {"url": world.site.at("/slow")}).json()["job_id"]
    person.undeploy(flow_id)
    assert world.caller.submit(flow_id, {"url": world.site.at("/story")}).status_code == 404
    assert world.caller.submit(world.greet, {"name": "Ada"}).status_code == 202, "other flows are not touched"
    assert world.caller.ended(running)["status"] == "completed", "a job in flight finishes"


def test_an_undeployed_flow_can_be_deployed_again_at_the_same_address(world: World, person: Person) -> None:
    flow_id = world.live("Off and on", greeting())
    person.open(f"/flows/{flow_id}")
    endpoint = person.page.locator(".fp-endpoint-url").inner_text()
    person.undeploy(flow_id)
    assert person.deploy(flow_id) == endpoint
    assert world.caller.run(flow_id, {"name": "Ada"})["result"] == {"output": "Hello Ada"}


def test_a_previous_version_stays_deployable(world: World, person: Person) -> None:
    page = person.page
    flow_id = world.live("Two versions", greeting())
    person.open(f"/playground/{flow_id}")
    page.get_by_test_id("node-text_template").click()
    template = page.get_by_role("complementary", name="Greet").get_by_role("textbox", name="Template")
    template.press("End")
    template.press_sequentially("!")
    template.blur()
    page.get_by_role("button", name="Update API").click()
    person.dialog.get_by_role("button", name="Next").click()
    person.dialog.get_by_role("button", name="Update API").click()
    person.dialog.get_by_role("link", name="Open the flow's page").click()
    expect(page.get_by_text("Live v2")).to_be_visible()
    second = world.caller.run(flow_id, {"name": "Ada"})
    assert (second["flow_version"], second["result"]) == (2, {"output": "Hello Ada!"})

    page.get_by_role("tab", name="Versions").click()
    first_row = page.get_by_role("table", name="Versions").get_by_role("row", name=re.compile("^Version 1"))
    first_row.get_by_role("button", name="Make live").click()
    person.dialog.get_by_role("button", name="Make version 1 live").click()
    expect(page.get_by_text("Version 1 is live.")).to_be_visible()
    back = world.caller.run(flow_id, {"name": "Ada"})
    assert (back["flow_version"], back["result"]) == (1, {"output": "Hello Ada"})


def test_a_flow_is_tested_in_the_playground_before_it_is_deployed(world: World, person: Person) -> None:
    page = person.page
    before = world.caller.submit(world.greet, {"name": "Ada"}).headers["ratelimit"]
    flow_id = person.import_flow(greeting(title="Try first"))
    person.open(f"/playground/{flow_id}")
    panel = page.get_by_role("region", name="Run", exact=True)
    panel.get_by_role("textbox", name="name").fill("Grace")
    panel.get_by_role("textbox", name="name").press("Tab")
    panel.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_test_id("node-text_template")).to_have_attribute("data-status", "done")
    expect(panel).to_contain_text("Hello Grace")
    after = world.caller.submit(world.greet, {"name": "Ada"}).headers["ratelimit"]
    assert left_of(before) - left_of(after) == 1, "a run in the Playground is no request"


def left_of(header: str) -> int:
    """The month's requests that are left."""
    found = re.search(r'"monthly";r=(\d+)', header)
    assert found is not None
    return int(found.group(1))


def fetching() -> dict:
    """Nodes and edges of a flow that fetches a page."""
    from tests.seed.world import fetch_flow

    return {name: value for name, value in fetch_flow().items() if name in {"nodes", "edges"}}
