"""Tests of what only a browser shows: lines put into an item of a list, and where chips go that are clicked in turn."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.live.caller import Terminal

pytestmark = pytest.mark.browser

FLOW = {
    "format": 1,
    "title": "Reviews",
    "nodes": [
        {
            "id": "api_input",
            "type": "api_input",
            "label": "API Input",
            "config": {
                "fields": [
                    {"name": "reviews", "type": "array", "items": {"type": "string"}, "required": True},
                    {"name": "lang", "type": "string"},
                ],
                "samples": [{"title": "None", "payload": {"reviews": [""]}}],
            },
        },
        {"id": "first_value", "type": "first_value", "label": "First", "inputs": {"values": [""]}},
        {"id": "api_output", "type": "api_output", "label": "API Output"},
    ],
    "edges": [
        {"id": "e1", "source": "api_input", "target": "first_value"},
        {"id": "e2", "source": "first_value", "target": "api_output"},
    ],
}
LINES = "Good.\nSlow.\nBroken.\nFine."


def test_lines_make_items_and_chips_make_fields(page: Page, terminal: Terminal) -> None:
    flow_id = terminal.made(FLOW)
    page.goto(f"/playground/{flow_id}?node=first_value&field=/inputs/values")
    page.locator("[data-loaded=true]").wait_for()

    # a list of the input: by a paste, and by text that is inserted without one
    run = page.get_by_role("region", name="Run", exact=True)
    items = run.get_by_role("textbox", name="reviews, item")
    if not items.count():
        run.get_by_role("button", name="Add an item").click()
    items.first.focus()
    items.first.evaluate(_PASTE, LINES)
    expect(items).to_have_count(4)
    items.last.focus()
    page.keyboard.insert_text("One more.\nAnd one.")
    expect(items).to_have_count(6)

    # a list of a step
    values = page.locator(".fp-list .cm-content")
    values.first.click()
    values.first.evaluate(_PASTE, LINES)
    expect(values).to_have_count(4)
    values.last.click()
    page.keyboard.insert_text("More.\nAnd more.")
    expect(values).to_have_count(6)

    # chips in API Output
    page.goto(f"/playground/{flow_id}?node=api_output")
    chips = page.locator(".fp-chip--pick")
    chips.nth(0).click()
    names = page.get_by_role("textbox", name="Field name")
    expect(names).to_have_count(1)
    chips.nth(1).click()
    expect(names).to_have_count(2)
    page.get_by_role("button", name="Add a field").click()
    expect(names).to_have_count(3)
    chips.nth(2).click()
    fields = page.locator(".fp-free .cm-content")
    expect(fields.nth(2).locator(".fp-chip")).to_have_count(1)
    chips.nth(0).click()
    expect(names).to_have_count(4)
    # where a value box has the keyboard, a chip goes behind what is there
    fields.nth(1).focus()
    page.keyboard.press("End")
    chips.nth(2).click()
    expect(fields.nth(1).locator(".fp-chip")).to_have_count(2)


#: Pastes a text as the browser does from its clipboard.
_PASTE = """(element, text) => {
  const data = new DataTransfer();
  data.setData("text/plain", text);
  element.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
}"""
