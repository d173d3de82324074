"""Tests of the search of the docs: by keyboard with its script, and as a form in a browser without scripts."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.live_server import LiveServer

pytestmark = pytest.mark.browser


def test_a_page_is_found_and_opened_by_keyboard(page: Page):
    page.goto("/docs/api/run_flow")
    page.keyboard.press("/")
    box = page.get_by_role("searchbox", name="Search the docs")
    expect(box).to_be_focused()
    page.keyboard.type("idempotency_key")
    expect(page.get_by_role("status")).to_contain_text("found")
    first = page.locator(".fd-found a").first
    expect(first).to_contain_text("idempotency_key_reused")
    page.keyboard.press("ArrowDown")
    expect(first).to_be_focused()

    page.keyboard.press("Escape")
    expect(page.locator(".fd-found")).to_be_hidden()
    expect(box).to_be_focused()
    page.keyboard.type(" ")
    expect(first).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    # By now the scripts of the page have run and handle keys.
    page.wait_for_url(re.compile("/docs/errors/idempotency_key_reused$"))

    page.keyboard.press("/")
    expect(box).to_be_focused()
    page.keyboard.type("<b>nothing</b>")
    expect(page.get_by_role("status")).to_have_text("The help has nothing about this.")


def test_a_late_answer_opens_nothing_and_leaves_a_list_that_is_walked_through(page: Page):
    page.goto("/docs/api/run_flow")
    first = page.locator(".fd-found a").first
    page.keyboard.press("/")
    page.keyboard.type("w")
    expect(first).to_be_visible()
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    def answer() -> None:
        """Lets the question that is held be answered, and the page read the answer."""
        with page.expect_response("**/docs/search.json?*") as answered:
            held.pop().continue_()
        answered.value.finished()
        page.evaluate(
            "async () => { for (let turn = 0; turn < 3; turn += 1) await new Promise(requestAnimationFrame) }"
        )

    page.route("**/docs/search.json?*", hold)
    with page.expect_request("**/docs/search.json?*"):
        page.keyboard.type("e")
    page.keyboard.press("ArrowDown")
    expect(first).to_be_focused()
    answer()
    expect(first).to_be_focused()

    page.keyboard.press("ArrowUp")
    with page.expect_request("**/docs/search.json?*"):
        page.keyboard.type("b")
    page.keyboard.press("Escape")
    answer()
    expect(page.locator(".fd-found")).to_be_hidden()
    page.unroute_all()


def test_without_script_the_form_finds_the_same(browser: Browser, server: LiveServer):
    context = browser.new_context(base_url=server.url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/docs")
    page.get_by_role("searchbox", name="Search the docs").fill("idempotency_key")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Search")).to_be_visible()
    expect(page.locator(".fd-results a").first).to_have_text("idempotency_key_reused")
    context.close()
