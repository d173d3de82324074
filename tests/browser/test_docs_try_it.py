"""Tests of “Try it” on the docs page of a flow: a call from the page."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.api.docs.odd_flows import field, odd_flow
from tests.live.caller import Terminal

pytestmark = pytest.mark.browser


def test_large_whole_numbers_are_sent_and_shown_as_they_are(page: Page, terminal: Terminal) -> None:
    number = "9007199254740993"
    fields = [field("order_id", "integer", required=True, example=int(number)), field("document", "file")]
    flow_id = terminal.flow(odd_flow("Order", fields, {"text": "Order {{ api_input.out.order_id }}"}))
    page.goto(f"/docs/flows/{flow_id}")
    page.get_by_label("API key").fill(terminal.caller().key)
    page.get_by_label("document").set_input_files(
        {"name": "a.txt", "mimeType": "text/plain", "buffer": b"The order, on paper."}
    )
    page.get_by_role("button", name="Send").click()

    answer = page.locator(".fd-answers pre").last
    expect(answer).to_contain_text(f"Order {number}")
    expect(answer).to_contain_text(f'"order_id": {number},')
    assert f'"order_id": {number},' in page.get_by_label("Request body").input_value()
