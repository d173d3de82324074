"""The main job in the order of the page the product was conceived from, by mouse and keyboard, and then by the very curl shown."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.live_server import LiveServer, live_server
from tests.stand_ins.web_site import Page as SitePage
from tests.stand_ins.web_site import WebSite

pytestmark = pytest.mark.browser

STORY = (
    "<html lang=en><head><title>The lighthouse</title></head><body><main><h1>The lighthouse</h1>"
    "<p>The keeper lights the lamp at dusk and writes the weather into a blue book.</p></main></body></html>"
)


@pytest.fixture(scope="module")
def site() -> Iterator[WebSite]:
    with WebSite({"/story": SitePage(STORY)}) as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, site: WebSite) -> Iterator[LiveServer]:
    data = tmp_path_factory.mktemp("main_job") / "data"
    with live_server(data, env={"FLOWPORT_OUTBOUND_ALLOW": site.origin.removeprefix("http://")}) as running:
        yield running


def test_from_an_empty_canvas_to_an_answer_of_the_endpoint(page: Page, site: WebSite) -> None:
    build_and_run(page, site)
    deploy(page)
    endpoint, command, key = make_a_key_and_read_the_curl(page)

    accepted = run_shell(command)
    assert accepted["status"] == "queued"
    assert accepted["job_id"].startswith("job_")
    assert endpoint.endswith(accepted["flow_id"])

    finished = poll(endpoint, accepted["job_id"], key)
    assert set(finished) >= {"job_id", "status", "flow_id", "result", "execution_time_seconds", "completed_at"}
    assert finished["status"] == "completed"
    assert "writes the weather into a blue book" in json.dumps(finished["result"])


def build_and_run(page: Page, site: WebSite) -> None:
    page.goto("/flows")
    page.get_by_role("link", name="Flow Playground").first.click()
    page.locator("[data-loaded=true]").wait_for()

    page.get_by_role("button", name="Save As").click()
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
    page.get_by_role("link", name="Read a story").first.click()
    page.get_by_role("button", name="Deploy API").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Next").click()
    page.get_by_role("dialog").get_by_role("button", name="Deploy API").click()
    expect(page.get_by_text("/public/v1/flows/execute/flow_").first).to_be_visible()


def make_a_key_and_read_the_curl(page: Page) -> tuple[str, str, str]:
    """The endpoint, the curl command and the key, as shown on screen."""
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


def poll(endpoint: str, job_id: str, key: str) -> dict:
    base = re.sub(r"/flows/execute/.*", "", endpoint)
    for _ in range(60):
        answer = subprocess.run(
            ["curl", "-s", f"{base}/jobs/{job_id}", "-H", f"Authorization: Bearer {key}"],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        job = json.loads(answer.stdout)
        if job["status"] in {"completed", "failed", "cancelled"}:
            return job
        time.sleep(0.5)
    raise AssertionError(f"the job did not end: {job}")
