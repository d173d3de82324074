"""The website analyzer from an empty canvas with the keyboard alone: built, run, inspected, deployed and called. And where
the keyboard is when a person comes to change what they filled in.
"""

from __future__ import annotations

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.keyboard import Keyboard
from tests.browser.test_website_analyzer import START, TITLES, inspector, opened, run_panel
from tests.live_server import LiveServer

pytestmark = pytest.mark.browser


@pytest.mark.costly("a whole flow is built, run and deployed, key by key")
def test_with_the_keyboard_alone_built_run_looked_into_and_deployed(page: Page, server: LiveServer) -> None:
    keys = Keyboard(opened(page))
    build(keys)
    run_and_look_at_item_3(keys)
    deploy_and_call(keys, server)


def build(keys: Keyboard) -> None:
    """Builds the flow in the list of steps. After a step is added, the keyboard focus is in its settings."""
    page = keys.page
    keys.reach("Skip to the content", most=1)
    keys.press("Enter")
    keys.reach("Steps", most=3)
    keys.press("Space")
    expect(page.get_by_role("region", name="Steps of the flow")).to_be_visible()
    keys.reach("Add an API Input", most=7)
    keys.press("Enter")
    keys.comes_to("From an example")
    keys.reach("Add a field", most=1)
    keys.press("Enter")
    keys.comes_to("Name")
    keys.reach("Remove field 1", most=1, key="Shift+Tab")
    keys.press("Enter")
    keys.comes_to("Add a field")  # the removed row does not take the keyboard with it
    keys.press("Enter")
    keys.comes_to("Name")
    keys.write("url")
    keys.press("Escape", "Escape")  # out of the field, then out of the settings
    keys.comes_to("API Input")

    add(keys, "website_mapper", first="Web address")
    keys.reach("Most pages", most=6)
    keys.write("4")
    keys.reach("Delay", most=12)
    keys.write("0")
    keys.press("Escape", "Escape")
    keys.comes_to("Website Mapper")
    add(keys, "array_splitter", first="Items")
    keys.press("Escape", "Escape")
    keys.comes_to("For each item")
    add(keys, "page_scraper", first="Web address")
    keys.press("Escape", "Escape")
    keys.comes_to("Page Scraper")

    add(keys, "prompt", first="Connection")
    keys.press("ArrowDown")
    expect(page.get_by_role("option", name="Simulated model (no key needed)")).to_be_visible()
    keys.press("ArrowDown", "Enter")
    expect(page.get_by_text("every answer is marked as simulated")).to_be_visible()
    keys.comes_to("Connection")
    keys.reach("Prompt", most=4)
    page.keyboard.type("Sum up {{page scraper › te")  # text after "{{" filters the available data
    expect(page.get_by_role("option", name="Page Scraper › text")).to_have_attribute("aria-selected", "true")
    page.wait_for_timeout(100)  # CodeMirror ignores Enter in the first 75 ms of a completion list
    keys.press("Enter")
    expect(inspector(page, "Prompt").get_by_role("textbox", name="Prompt")).to_have_text("Sum up Page Scraper › text")
    keys.press("Escape", "Escape")
    keys.comes_to("Prompt")

    add(keys, "array_flatten", first="Value")
    keys.press("Escape", "Escape")
    keys.comes_to("Collect into a list")
    add(keys, "api_output", first="Return what Collect into a list gives")
    keys.reach("Find data", most=5)
    page.keyboard.type("items")
    keys.press("Enter")
    expect(inspector(page, "API Output").get_by_role("textbox", name="items", exact=True)).to_have_text(
        "Collect into a list › items"
    )
    keys.press("Escape", "Escape")
    keys.comes_to("API Output")
    expect(page.get_by_role("button", name="No problems")).to_be_visible()


def add(keys: Keyboard, kind: str, *, first: str) -> None:
    """Adds a step with N, a few letters and Enter."""
    keys.press("n")
    keys.comes_to("Find a node")
    keys.page.keyboard.type(TITLES.get(kind, "API Output"))
    expect(keys.page.locator(".fp-dlg--kinds .fp-pi--first")).to_contain_text(TITLES.get(kind, "API Output"))
    keys.press("Enter")
    keys.comes_to(first)


def run_and_look_at_item_3(keys: Keyboard) -> None:
    page, run = keys.page, run_panel(keys.page)
    keys.reach("url", most=10)
    keys.write(START)
    keys.press("ControlOrMeta+Enter")
    for name in ("Prompt", "API Output"):
        expect(run.get_by_role("button", name=f"Completed {name}")).to_be_visible(timeout=30_000)
    keys.reach("Completed Prompt", most=8)
    keys.press("Enter")
    expect(run.get_by_role("button", name="Item 3")).to_be_visible()
    keys.comes_to("Completed Prompt")
    keys.reach("Completed Item 3", most=3)
    keys.press("Enter")
    expect(run.get_by_role("region", name="Value")).to_contain_text("item 3 of 4")
    keys.comes_to("Completed Item 3")
    keys.reach("Value", most=4)
    expect(run.get_by_role("region", name="Value")).to_contain_text("item 3 of 4")
    assert page.locator(".fp-toast").count() == 0


def deploy_and_call(keys: Keyboard, server: LiveServer) -> None:
    page = keys.page
    keys.press("ControlOrMeta+s")
    keys.comes_to("Title")
    keys.write("Website analyzer")
    keys.press("Enter")
    expect(page.get_by_role("heading", name="Website analyzer")).to_be_visible()
    keys.comes_to("Value")
    keys.reach("Deploy API", most=32, key="Shift+Tab")
    keys.press("Enter")
    dialog = page.get_by_role("dialog", name="Deploy Website analyzer")
    expect(dialog.get_by_role("button", name="Next")).to_be_visible()
    keys.comes_to("Deploy Website analyzer")
    keys.reach("Next", most=4)
    keys.press("Enter")
    expect(dialog.get_by_role("button", name="Deploy API")).to_be_visible()
    keys.reach("Deploy API", most=12)
    keys.press("Enter")
    address = dialog.locator(".fp-endpoint-url")
    expect(address).to_contain_text("/public/v1/flows/execute/")
    assert httpx.post(str(address.text_content()), json={"url": START}).status_code == 401


def test_the_questions_of_a_flow_begin_with_the_keyboard_in_a_choice(page: Page) -> None:
    page.goto("/start?goal=add-up-rows")
    page.get_by_role("button", name="Make it and run it").click()
    expect(page.get_by_text("This is what your flow answers")).to_be_visible()
    page.goto(f"{page.url}&change=1")

    expect(page.get_by_role("combobox", name="Which table should it add up?")).to_be_focused()
