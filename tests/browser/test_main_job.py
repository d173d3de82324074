"""The main use of the product from start to end, by mouse and keyboard, ending with the curl command that is shown."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.live.caller import Caller, Terminal
from tests.stand_ins.local_server import Places
from tests.stand_ins.web_site import Page as SitePage
from tests.stand_ins.web_site import WebSite

pytestmark = pytest.mark.browser

STORY = (
    "<html lang=en><head><title>The lighthouse</title></head><body><main><h1>The lighthouse</h1>"
    "<p>The keeper lights the lamp at dusk and writes the weather into a blue book.</p></main></body></html>"
)


@pytest.fixture(scope="module")
def site(places: Places) -> Iterator[WebSite]:
    with WebSite({"/story": SitePage(STORY)}).at_place(places) as running:
        yield running


def test_from_an_empty_canvas_to_an_answer_of_the_endpoint(page: Page, site: WebSite, terminal: Terminal) -> None:
    build_and_run(page, site)
    deploy(page)
    endpoint, command, key = make_a_key_and_read_the_curl(page)
    assert endpoint == f"{terminal.server.url}/public/v1/flows/execute/{page.url.rsplit('/', 1)[1]}"
    for part in ("-X POST", '-H "Authorization: Bearer $FLOWPORT_API_KEY"', '-H "Content-Type: application/json"'):
        assert part in command

    answered = run_shell(command)  # one call that waits for the result
    assert answered["job_id"].startswith("job_")
    assert endpoint.endswith(answered["flow_id"])

    finished = Caller(terminal.server.url, key).ended(answered["job_id"])
    assert set(finished) >= {"job_id", "status", "flow_id", "result", "execution_time_seconds", "completed_at"}
    assert finished["status"] == "completed"
    assert "writes the weather into a blue book" in json.dumps(finished["result"])


def build_and_run(page: Page, site: WebSite) -> None:
    page.goto("/flows")
    page.get_by_role("link", name="Flow Playground").first.click()
    page.locator("[data-loaded=true]").wait_for()

    page.get_by_role("button", name="Save As").first.click()
    page.get_by_role("dialog").get_by_label("Title").fill("Read a story")
    page.get_by_role("dialog").get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", name="Read a story")).to_be_visible()

    page.get_by_role("complementary", name="Nodes").get_by_role("button", name="API Input").click()
    inspector = page.get_by_role("complementary", name="API Input")
    inspector.get_by_role("button", name="Add a field").click()
    name = inspector.get_by_role("textbox", name="Name").last
    name.fill("url")
    name.press("Tab")
    expect(page.get_by_test_id("node-api_input")).to_contain_text("url")

    page.get_by_role("complementary", name="Nodes").get_by_role("button", name="Page Scraper").click()
    expect(page.get_by_test_id("node-page_scraper")).to_be_visible()
    expect(page.locator(".vue-flow__edge")).to_have_count(1)
    start, rest = (page.get_by_test_id(f"node-{name}").bounding_box() for name in ("api_input", "page_scraper"))
    assert start and rest and start["x"] < rest["x"]
    expect(page.get_by_role("complementary", name="Page Scraper").locator(".fp-binding .fp-chip").first).to_have_text(
        "API Input › url"
    )

    run_panel = page.get_by_role("region", name="Run", exact=True)
    run_panel.get_by_role("textbox", name="url").fill(f"{site.origin}/story")
    run_panel.get_by_role("textbox", name="url").press("Tab")
    run_panel.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_test_id("node-page_scraper")).to_have_attribute("data-status", "done")
    expect(run_panel).to_contain_text("The lighthouse")


def deploy(page: Page) -> None:
    page.get_by_role("link", name="Saved Flows").first.click()
    expect(page.get_by_role("heading", name="Saved Flows", level=1)).to_be_visible()
    page.get_by_label("Find a flow").fill("story")
    page.get_by_role("link", name="Read a story", exact=True).first.click()
    expect(page.get_by_role("heading", name="Read a story", level=1)).to_be_visible()
    page.get_by_role("button", name="Deploy API").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Next").click()
    page.get_by_role("dialog").get_by_role("button", name="Deploy API").click()
    expect(page.get_by_text("/public/v1/flows/execute/flow_").first).to_be_visible()


def make_a_key_and_read_the_curl(page: Page) -> tuple[str, str, str]:
    """Creates a key and returns the endpoint, the curl command and the key, as shown on screen."""
    page.get_by_role("button", name="Create a key").first.click()
    page.locator(".fp-key-form").get_by_role("button", name="Create a key").click()
    endpoint_card = page.get_by_role("region", name="Endpoint")
    expect(endpoint_card).to_contain_text("fp_live_")
    endpoint = endpoint_card.locator(".fp-endpoint-url").inner_text()
    command = endpoint_card.locator("pre").first.inner_text()
    key = re.search(r"fp_live_[0-9A-Za-z]{38}", command)
    assert key is not None, command
    return endpoint, command, key.group()


def run_shell(command: str) -> dict:
    answer = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=30, check=True)
    return json.loads(answer.stdout)
