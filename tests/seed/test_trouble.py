"""When something is wrong: a body that does not fit, a failed request to look up, and a job that seems never to end."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from playwright.sync_api import expect

from tests.factories import greeting
from tests.seed.person import Person
from tests.seed.world import World, flow_file, text_field

pytestmark = pytest.mark.browser

FIELDS = (
    text_field("title"),
    {"name": "pages", "type": "integer", "required": True},
    {"name": "deep", "type": "boolean"},
)


@pytest.fixture(scope="module")
def typed(world: World) -> str:
    node = {"id": "set_fields", "type": "set_fields", "inputs": {"title": "{{ api_input.out.title }}"}}
    return world.live("Typed", flow_file(node, *FIELDS))


def errors_of(world: World, flow_id: str, payload: dict) -> dict[str, str]:
    """Pointer -> code of each field that a 400 names."""
    answer = world.caller.submit(flow_id, payload)
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed"), answer.text
    return {error["pointer"]: error["code"] for error in answer.json()["errors"]}


def test_400_when_the_body_does_not_match_the_schema(world: World, typed: str) -> None:
    wrong = {"titel": "A", "pages": 1, "title": "A"}
    assert errors_of(world, typed, wrong) == {"/titel": "unknown_field"}


def test_400_when_required_fields_are_missing(world: World, typed: str) -> None:
    assert errors_of(world, typed, {}) == {"/title": "required", "/pages": "required"}


def test_400_when_a_field_has_another_type(world: World, typed: str) -> None:
    wrong = {"title": 5, "pages": "5", "deep": "yes"}
    assert errors_of(world, typed, wrong) == dict.fromkeys(("/title", "/pages", "/deep"), "type_error")
    assert world.caller.submit(typed, {"title": "5", "pages": 5, "deep": True}).status_code == 202


def test_failed_requests_are_logged_with_what_debugging_needs(world: World, typed: str, person: Person) -> None:
    page = person.page
    answer = world.caller.submit(typed, {"title": "A"}, headers={"X-Request-Id": "my-request-1"})
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == "my-request-1"
    person.open("/jobs?tab=refused")
    page.get_by_role("button", name="Explain: pages: is missing").first.click()
    expect(page.locator(".fp-explain")).to_contain_text("my-request-1")
    expect(page.locator(".fp-explain")).to_contain_text("/pages")


def test_a_client_timeout_of_300_seconds_is_recommended_and_set(world: World, person: Person) -> None:
    person.open("/docs/guides/best-practices")
    expect(person.page.get_by_text("300 seconds is a good value")).to_be_visible()
    person.open(f"/docs/flows/{world.greet}")
    text = person.page.content()
    for setting in ("--max-time 300", "timeout=300", "AbortSignal.timeout(300_000)"):
        assert setting in text


def test_a_flow_with_a_loop_is_refused(person: Person) -> None:
    page = person.page
    file = greeting(title="Round and round")
    file["nodes"].append({"id": "set_fields", "type": "set_fields", "label": "Again", "inputs": {}})
    file["edges"] += [
        {"id": "e2", "source": "text_template", "target": "set_fields"},
        {"id": "e3", "source": "set_fields", "target": "text_template"},
    ]
    for place, node in enumerate(file["nodes"]):
        node["position"] = {"x": 260 * place, "y": 0}
    person.offer_file(file)
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("was not imported")
    expect(dialog).to_contain_text("Greet")
    expect(dialog).to_contain_text("Again")
    dialog.get_by_role("button", name="Close").click()

    file["edges"].pop()
    flow_id = person.import_flow(file)
    person.open(f"/playground/{flow_id}")
    page.locator("[data-loaded=true]").wait_for()
    out, into = page.get_by_test_id("port-set_fields-out"), page.get_by_test_id("node-text_template")
    out.drag_to(into, target_position={"x": 100, "y": 40})
    expect(page.get_by_text("loop").first).to_be_visible()
    expect(page.locator(".vue-flow__edge")).to_have_count(2)


def test_it_is_seen_whether_every_node_works(world: World, person: Person) -> None:
    page = person.page
    job = world.caller.run(world.fetch, {"url": world.site.at("/gone")})
    person.open(f"/jobs/{job['job_id']}")
    expect(page.get_by_test_id("node-http_request")).to_have_attribute("data-status", "failed")
    expect(page.get_by_test_id("node-api_input")).to_have_attribute("data-status", "done")
    page.get_by_role("group", name="Show the steps as").get_by_role("button", name="Table").click()
    steps = page.get_by_role("table", name="Steps")
    expect(steps.get_by_role("row", name="API Input")).to_contain_text("Completed")
    expect(steps.get_by_role("row", name="Fetch")).to_contain_text("Failed")


def test_no_job_stays_in_processing_for_ever(world: World) -> None:
    accepted = world.caller.submit(world.fetch, {"url": world.site.at("/hold")}, headers={"Cancel-After": "2"})
    assert accepted.status_code == 202, accepted.text
    job = world.caller.ended(accepted.json()["job_id"])
    assert (job["status"], job["error"]["code"]) == ("failed", "timeout")
    running = world.hold(1)[0]
    while (seen := world.caller.job(running))["status"] == "queued":
        pass
    started, ends_by = (datetime.fromisoformat(seen[name]) for name in ("started_at", "ends_by"))
    assert ends_by - started == timedelta(minutes=30)
    world.caller.cancel(running)


def test_when_an_issue_persists_there_is_something_to_quote_to_support(world: World, person: Person) -> None:
    page = person.page
    job = world.caller.run(world.fetch, {"url": world.site.at("/gone")})
    person.open(f"/jobs/{job['job_id']}")
    copied = page.get_by_role("button", name="Copy with job id").get_attribute("data-copy") or ""
    assert job["job_id"] in copied
    assert "404" in copied
    person.open("/settings/about")
    versions = page.get_by_role("region", name="Versions")
    for part in ("Flowport", "Python", "SQLite"):
        expect(versions.get_by_text(part, exact=True)).to_be_visible()
