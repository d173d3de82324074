"""The website analyzer is built from an empty canvas with the mouse, and a flow is repaired on a phone."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.test_inspector import drag
from tests.live.caller import Terminal

pytestmark = pytest.mark.browser

START = "https://practice.flowport.example/"
REST = ("website_mapper", "array_splitter", "page_scraper", "prompt", "array_flatten")
TITLES = {
    "website_mapper": "Website Mapper",
    "array_splitter": "For each item",
    "page_scraper": "Page Scraper",
    "prompt": "Prompt",
    "array_flatten": "Collect into a list",
}


def inspector(page: Page, name: str) -> Locator:
    return page.get_by_role("complementary", name=name, exact=True)


def close(page: Page, name: str) -> None:
    """Closes the inspector of a node; what comes next on the canvas has the room that it took."""
    inspector(page, name).get_by_role("button", name="Close").click()
    expect(inspector(page, name)).to_be_hidden()


def run_panel(page: Page) -> Locator:
    return page.get_by_role("region", name="Run", exact=True)


def opened(page: Page, flow_id: str = "") -> Page:
    page.goto(f"/playground/{flow_id}" if flow_id else "/playground/new")
    page.locator("[data-loaded=true]").wait_for(state="attached")
    return page


def test_with_the_mouse_built_run_mended_saved_compared_and_rolled_back(page: Page) -> None:
    opened(page)
    build(page)
    fail_and_mend(page)
    look_at_item_3(page)
    save_compare_and_roll_back(page)


def build(page: Page) -> None:
    nodes = page.get_by_role("complementary", name="Nodes")
    page.locator(".fp-blank").get_by_role("button", name="Add an API Input").click()
    mine = inspector(page, "API Input")
    mine.get_by_role("button", name="Add a field").click()
    mine.get_by_role("textbox", name="Name").fill("url")
    for kind in REST:
        nodes.get_by_role("button", name=TITLES[kind]).click()
        expect(inspector(page, TITLES[kind])).to_be_visible()
        if kind == "website_mapper":
            mapper = inspector(page, TITLES[kind])
            mapper.get_by_label("Most pages").fill("4")
            mapper.get_by_label("Delay").fill("0")
            mapper.get_by_label("Delay").press("Tab")
        if kind == "prompt":
            prompt = inspector(page, TITLES[kind])
            prompt.get_by_role("combobox", name="Connection").click()
            page.get_by_role("option", name="Simulated model (no key needed)").click()
            field = prompt.get_by_role("textbox", name="Prompt")
            field.click()
            prompt.get_by_role("button", name="Insert Page Scraper › text").click()
            expect(field).to_have_text("Page Scraper › text")
    expect(page.get_by_test_id("node-array_splitter")).not_to_contain_text("problem")  # its list is bound

    # The last node is dragged out of the palette, and a connection is drawn to it.
    close(page, TITLES["array_flatten"])
    page.get_by_test_id("tool-fit").click()
    nodes.get_by_role("button", name="API Output").drag_to(
        page.locator(".vue-flow__pane"), target_position={"x": 700, "y": 420}
    )
    close(page, "API Output")
    page.get_by_test_id("port-array_flatten-out").drag_to(page.get_by_test_id("node-api_output"))
    expect(page.locator(".vue-flow__edge")).to_have_count(6)
    page.get_by_test_id("node-api_output").click()
    mine = inspector(page, "API Output")
    mine.get_by_role("button", name="Insert Collect into a list › items").click()
    expect(mine.get_by_role("textbox", name="items", exact=True)).to_have_text("Collect into a list › items")
    expect(page.get_by_role("button", name="No problems")).to_be_visible()


def fail_and_mend(page: Page) -> None:
    """Runs into an error through a wrong chip, corrects the chip, and runs again from that step with the earlier
    results.
    """
    page.get_by_test_id("node-page_scraper").click()
    scraper = inspector(page, "Page Scraper")
    field = scraper.get_by_role("textbox", name="Web address")
    expect(field).to_have_text("this item")
    drag(page, scraper.get_by_role("button", name="Insert Website Mapper › total_pages"), field)
    expect(field).to_have_text("Website Mapper › total_pages")
    run = run_panel(page)
    run.get_by_role("textbox", name="url").fill(START)
    run.get_by_role("textbox", name="url").press("Control+Enter")
    expect(page.get_by_test_id("node-page_scraper")).to_have_attribute("data-status", "failed", timeout=30_000)
    expect(run).to_contain_text("Collect into a list failed")
    expect(run).to_contain_text("4 is not a full web address")

    page.get_by_test_id("node-page_scraper").click()
    drag(page, scraper.get_by_role("button", name="Insert this item", exact=True), field)
    expect(field).to_have_text("this item")
    scraper.get_by_role("button", name="More for Page Scraper").click()
    page.get_by_role("menuitem", name="Run from here").click()
    expect(run).to_contain_text("Completed", timeout=30_000)
    expect(page.get_by_test_id("status-website_mapper")).to_contain_text("Reused")
    expect(page.get_by_test_id("status-page_scraper")).to_contain_text("4 of 4")


def look_at_item_3(page: Page) -> None:
    run = run_panel(page)
    steps = run.get_by_role("region", name="Steps")
    steps.get_by_role("button", name="Prompt").click()
    steps.get_by_role("button", name="Item 3").click()
    expect(run).to_contain_text("Item 3")
    expect(run.get_by_role("region", name="Value")).not_to_be_empty()


def save_compare_and_roll_back(page: Page) -> None:
    page.get_by_role("button", name="Save As").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Title").fill("Website analyzer")
    dialog.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", name="Website analyzer")).to_be_visible()

    label = inspector(page, "Prompt").get_by_role("textbox", name="Label")
    label.fill("Sum up")
    label.press("Tab")
    expect(page.get_by_test_id("node-prompt")).to_contain_text("Sum up")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved as version 2.")).to_be_visible()

    page.get_by_role("button", name="Versions").click()
    page.get_by_role("menuitem", name="Version 1").click()
    dialog = page.get_by_role("dialog", name="Version 1")
    dialog.get_by_role("combobox", name="Compared with").click()
    page.get_by_role("option", name="Version 2").click()
    expect(dialog.locator("figcaption")).to_have_text(["Version 1", "Version 2"])
    expect(dialog).to_contain_text("Sum up changed")
    expect(dialog.get_by_test_id("traffic-prompt")).to_have_count(2)
    dialog.get_by_role("button", name="Put on the canvas").click()
    expect(page.get_by_test_id("node-prompt").last).not_to_contain_text("Sum up")


BROKEN = {
    "format": 1,
    "title": "Reader",
    "nodes": [
        {
            "id": "api_input",
            "type": "api_input",
            "label": "API Input",
            "config": {
                "fields": [{"name": "url", "type": "string", "required": True}],
                "samples": [{"title": "Practice", "payload": {"url": START}}],
            },
        },
        {
            "id": "page_scraper",
            "type": "page_scraper",
            "label": "Read the page",
            "position": {"x": 260, "y": 0},
            "inputs": {"url": "see {{ api_input.out.url }}"},
        },
    ],
    "edges": [{"id": "e1", "source": "api_input", "target": "page_scraper"}],
}


def test_on_a_phone_a_flow_is_read_run_mended_and_run_again(page: Page, terminal: Terminal) -> None:
    flow_id = terminal.made(BROKEN)
    page.set_viewport_size({"width": 390, "height": 844})
    opened(page, flow_id)
    step = page.locator("[data-step=page_scraper]")
    expect(step).to_contain_text("Read the page")
    run = run_panel(page)
    run.get_by_role("button", name="Run", exact=True).click()
    expect(run).to_contain_text("Failed")
    expect(step).to_contain_text("Failed")

    step.click()
    mine = inspector(page, "Read the page")
    field = mine.get_by_role("textbox", name="Web address")
    field.click()
    page.keyboard.press("Home")
    for _ in "see ":
        page.keyboard.press("Delete")
    expect(field).to_have_text("API Input › url")
    mine.get_by_role("button", name="Close").click()
    run.get_by_role("button", name="Run", exact=True).click()
    expect(step).to_contain_text("Done")
    expect(run).to_contain_text("Title")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
