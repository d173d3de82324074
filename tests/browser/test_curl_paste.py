"""Tests of an HTTP Request filled from a pasted curl command, with headers from secrets: one edit, one undo, no value
in the page.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.live.caller import Terminal

pytestmark = pytest.mark.browser

FLOW = {
    "format": 1,
    "title": "Call",
    "nodes": [
        {"id": "api_input", "type": "api_input", "label": "API Input", "config": {"fields": []}},
        {
            "id": "http_request",
            "type": "http_request",
            "label": "Ask",
            "position": {"x": 260, "y": 0},
            "inputs": {"url": "https://practice.flowport.example/prices.json"},
        },
    ],
    "edges": [{"id": "e1", "source": "api_input", "target": "http_request"}],
}
CURL = """curl -X PUT 'https://api.example.com/v1/items?page=2' \\
  -H 'Authorization: Bearer swordfish-1234' -H 'X-Trace: yes' \\
  -H 'Content-Type: application/json' -d '{"name": "Rye"}' --max-time 5"""


@pytest.fixture
def playground(page: Page, terminal: Terminal) -> Page:
    flow_id = terminal.made(FLOW)
    page.goto(f"/playground/{flow_id}")
    page.locator("[data-loaded=true]").wait_for()
    return page


def test_a_command_fills_the_fields_and_its_credential_becomes_a_secret(playground: Page) -> None:
    node = playground.get_by_test_id("node-http_request")
    node.click()
    panel = playground.get_by_role("complementary", name="Ask")
    panel.get_by_role("button", name="Paste a curl command").click()
    dialog = playground.get_by_role("dialog", name="Paste a curl command")
    box = dialog.get_by_role("textbox", name="Command")
    fill = dialog.get_by_role("button", name="Fill in the fields")
    box.fill("curl https://api.example.com -F file=@x")
    expect(dialog).to_contain_text("it sends a form with files (-F)")
    expect(fill).to_be_disabled()
    box.fill(CURL)
    expect(dialog).to_contain_text("PUT https://api.example.com/v1/items")
    expect(dialog).to_contain_text("set the time limit of the node")
    expect(dialog.get_by_label("Name of the secret")).to_have_value("api.example.com Authorization")
    fill.click()
    expect(dialog).to_be_hidden()

    expect(node).to_contain_text("PUT https://api.example.com/v1/items")
    expect(panel.get_by_role("textbox", name="Web address")).to_have_text("https://api.example.com/v1/items")
    expect(panel.get_by_role("textbox", name="Secret headers, Name 1")).to_have_value("Authorization")
    secret = panel.get_by_role("combobox", name="Secret headers, Secret 1")
    expect(secret).to_have_value("api.example.com Authorization")
    assert "swordfish" not in playground.content()

    panel.get_by_role("button", name="Add a header").click()
    panel.get_by_role("textbox", name="Secret headers, Name 2").fill("X-API-Key")
    panel.get_by_role("combobox", name="Secret headers, Secret 2").click()
    playground.get_by_role("option", name="New secret ...").click()
    made = playground.get_by_role("dialog", name="New secret")
    made.get_by_role("button", name="Keep it").click()
    expect(made).to_contain_text("Enter the key as its provider shows it")
    made.get_by_label("Value").fill("swordfish-5678")
    made.get_by_role("button", name="Keep it").click()
    expect(made).to_be_hidden()
    expect(panel.get_by_role("combobox", name="Secret headers, Secret 2")).to_have_value("X-API-Key")

    playground.reload()
    playground.locator("[data-loaded=true]").wait_for()
    node.click()
    expect(panel.get_by_role("combobox", name="Secret headers, Secret 2")).to_have_value("X-API-Key")
    assert "swordfish" not in playground.content()


def test_what_a_command_filled_in_is_one_step_back(playground: Page) -> None:
    node = playground.get_by_test_id("node-http_request")
    node.click()
    panel = playground.get_by_role("complementary", name="Ask")
    panel.get_by_role("button", name="Paste a curl command").click()
    dialog = playground.get_by_role("dialog", name="Paste a curl command")
    dialog.get_by_role("textbox", name="Command").fill("curl -X DELETE https://api.example.com/v1/items/7 -d x=1")
    dialog.get_by_role("button", name="Fill in the fields").click()
    expect(node).to_contain_text("DELETE https://api.example.com/v1/items/7")
    playground.get_by_test_id("flow-canvas").focus()
    playground.keyboard.press("Control+z")
    expect(node).to_contain_text("GET https://practice.flowport.example/prices.json")
    expect(panel.get_by_role("textbox", name="Web address")).to_have_text(
        "https://practice.flowport.example/prices.json"
    )
