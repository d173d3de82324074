"""One path through the browser: a refused field is accepted, the update is deployed in three steps, a failed job is
retried.
"""

from __future__ import annotations

import re

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.filled import Filled
from tests.factories import greeting
from tests.live.caller import Terminal
from tests.live_server import LiveServer

pytestmark = pytest.mark.browser

#: A flow that requests a page that the practice site does not have.
LOST = greeting(
    title="Lost page",
    nodes=[
        greeting()["nodes"][0],
        {"id": "set_fields", "type": "set_fields", "label": "Before", "inputs": {"who": "{{ api_input.out.name }}"}},
        {
            "id": "page_scraper",
            "type": "page_scraper",
            "label": "Read the page",
            "inputs": {"url": "https://practice.flowport.example/no-such-page"},
            "policy": {"retries": 0},
        },
    ],
    edges=[
        {"id": "e1", "source": "api_input", "target": "set_fields"},
        {"id": "e2", "source": "set_fields", "target": "page_scraper"},
    ],
)


@pytest.fixture(scope="module")
def filled(terminal: Terminal) -> Filled:
    made = Filled(terminal)
    made.make({"greet": greeting(title="Greet"), "lost": LOST}, live=("greet", "lost"), key_label="Staging")
    return made


def test_from_a_refused_field_to_an_api_that_takes_it(
    page: Page, context: BrowserContext, filled: Filled, server: LiveServer
) -> None:
    flow_id = filled.flows["greet"]
    canvas = context.new_page()
    canvas.goto(f"/playground/{flow_id}")
    canvas.locator("[data-loaded=true]").wait_for()
    page.goto("/jobs?tab=refused")
    for _ in range(3):
        assert filled.call("greet", {"name": "Ada", "lang": "de"}).status_code == 400

    row = page.get_by_role("row", name=re.compile("lang: the flow has no field"))
    expect(row).to_contain_text("3")
    expect(row).to_contain_text("Staging")
    row.get_by_role("button", name="Accept this field").click()
    expect(page.get_by_text("lang is in the draft as Text, optional.")).to_be_visible()
    expect(canvas.get_by_test_id("node-api_input")).to_contain_text("lang")
    canvas.close()

    page.goto(f"/flows/{flow_id}")
    page.get_by_role("button", name="Update API").first.click()
    dialog = page.get_by_role("dialog", name="Update Greet")
    expect(dialog).to_contain_text("New field lang, which may be left out.")
    dialog.get_by_role("button", name="Next").click()
    expect(dialog).to_contain_text("1 key may call it.")
    dialog.get_by_text("Anybody may read the API docs").click()
    dialog.get_by_role("button", name="Update API").click()
    expect(dialog.locator(".fp-endpoint-url")).to_have_text(f"{server.url}/public/v1/flows/execute/{flow_id}")
    assert httpx.get(f"{server.url}/docs/flows/{flow_id}").status_code == 200
    dialog.get_by_role("button", name="Send").click()
    dialog.get_by_text("What a program gets, as code").click()
    expect(dialog.get_by_text("202 Accepted")).to_be_visible()
    expect(dialog.get_by_text("200 Completed")).to_be_visible()
    assert filled.call("greet", {"name": "Ada", "lang": "de"}).status_code == 200
    expect(dialog).to_contain_text("2 calls")  # the refused calls were those of the version before
    dialog.get_by_role("button", name="Done").click()
    expect(page.get_by_text("Live v3")).to_be_visible()

    # Disable the endpoint and enable it again at the same address.
    page.get_by_role("link", name="Saved Flows").first.click()
    page.get_by_role("link", name="Greet", exact=True).first.click()
    page.get_by_role("button", name="Undeploy API").click()
    page.get_by_role("dialog").get_by_role("button", name="Undeploy API").click()
    expect(page.get_by_text("The API is switched off")).to_be_visible()
    assert filled.call("greet", {"name": "Ada"}).json()["code"] == "flow_not_deployed"
    page.get_by_role("button", name="Deploy API").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Next").click()
    page.get_by_role("dialog").get_by_role("button", name="Deploy API").click()
    expect(page.locator(".fp-endpoint-url").first).to_have_text(f"{server.url}/public/v1/flows/execute/{flow_id}")
    assert filled.call("greet", {"name": "Ada"}).status_code == 200


def test_a_failed_call_is_retried_from_its_failed_node_as_a_run_of_its_version(page: Page, filled: Filled) -> None:
    job = filled.run("lost", "lost", {"name": "Ada"})
    assert job["status"] == "failed"
    page.goto(f"/jobs/{job['job_id']}")
    expect(page.get_by_text("It runs version 2 in the Playground, this job stays failed")).to_be_visible()

    page.get_by_role("button", name="Retry from Read the page with version 2").click()

    page.wait_for_url(lambda url: "/jobs/job_" in url and job["job_id"] not in url)
    expect(page.get_by_text("Retry from Read the page of")).to_be_visible()
    expect(page.get_by_role("heading", name="Read the page failed")).to_be_visible()
    page.get_by_role("button", name="Table").click()
    table = page.get_by_role("table", name="Steps")
    expect(table.get_by_role("row", name=re.compile("Read the page"))).to_contain_text("Failed")
    page.get_by_role("link", name="an earlier job").click()
    page.get_by_role("link", name="Open in Playground with this input").click()
    expect(page.get_by_role("region", name="Run", exact=True).get_by_role("textbox", name="name")).to_have_value("Ada")
