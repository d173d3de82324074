"""The number of interactions from a set-up link to a called API is limited; the set-up of the owner is included."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from engine.actions.one_time_links import link_path, new_setup_token
from tests.browser.counted import Counted
from tests.browser.test_website_analyzer import START, inspector, run_panel
from tests.live.caller import Terminal
from tests.live_server import PASSWORD, LiveServer

pytestmark = pytest.mark.browser

FROM_A_TEMPLATE = 12
FROM_AN_EMPTY_CANVAS = 30

walks = itertools.count(1)


@pytest.fixture
def person(window: BrowserContext, shared_server: LiveServer) -> Iterator[Counted]:
    """A page at the set-up link of a new workspace, which has no owner yet."""
    nobodys = Terminal.new(shared_server)
    link = link_path(shared_server.store.write_now(new_setup_token, nobodys.workspace_id))
    window.clear_cookies()
    page = window.new_page()
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(link)
    yield Counted(page)
    page.close()
    window.clear_cookies()
    assert wrong == [], "the browser's console must stay clean"


def test_from_a_template_to_a_called_api(person: Counted) -> None:
    set_up(person)
    begin_with_a_template(person)
    run(person)
    deploy(person)
    call(person)
    assert len(person.did) <= FROM_A_TEMPLATE, person.did


def test_from_an_empty_canvas_to_a_called_api(person: Counted) -> None:
    set_up(person)
    build(person)
    run(person)
    deploy(person)
    call(person)
    assert len(person.did) <= FROM_AN_EMPTY_CANVAS, person.did


def set_up(person: Counted) -> None:
    page = person.page
    person.fill(page.get_by_label("Name"), "Ada")
    person.fill(page.get_by_label("E-mail"), f"ada@walk{next(walks)}.example.com")
    person.fill(page.get_by_label("Password"), PASSWORD)
    person.press("Enter")
    expect(page.get_by_role("heading", name="Make your first API in a minute")).to_be_visible()


def begin_with_a_template(person: Counted) -> None:
    person.click(person.page.get_by_role("button", name="Use this template: ").first)
    drawn(person.page)


def build(person: Counted) -> None:
    page = person.page
    person.click(page.get_by_role("link", name="start with an empty canvas"))
    drawn(page)
    person.click(page.get_by_role("button", name="Add an API Input").first)
    person.click(inspector(page, "API Input").get_by_role("button", name="Add a field"))
    person.fill(inspector(page, "API Input").get_by_role("textbox", name="Name"), "url")
    person.click(page.get_by_role("complementary", name="Nodes").get_by_role("button", name="Page Scraper"))
    expect(inspector(page, "Page Scraper").get_by_role("textbox", name="Web address")).to_have_text("API Input › url")
    person.fill(run_panel(page).get_by_role("textbox", name="url"), START)


def run(person: Counted) -> None:
    person.press("ControlOrMeta+Enter")
    expect(run_panel(person.page)).to_contain_text("Completed", timeout=30_000)


def deploy(person: Counted) -> None:
    page = person.page
    person.click(page.get_by_role("button", name="Deploy API").first)
    dialog = page.get_by_role("dialog")
    title = dialog.get_by_label("Title")
    expect(title).to_be_focused()
    if not title.input_value():
        person.fill(title, "Read a page")
    person.press("Enter")
    person.click(dialog.get_by_role("button", name="Next"))
    person.click(dialog.get_by_role("button", name="Deploy API"))
    expect(dialog.locator(".fp-endpoint-url")).to_contain_text("/public/v1/flows/execute/flow_")


def call(person: Counted) -> None:
    dialog = person.page.get_by_role("dialog")
    person.click(dialog.get_by_role("button", name="Send"))
    expect(dialog.locator(".fp-answer-result")).to_be_visible(timeout=30_000)
    expect(dialog.locator(".fp-answer-result .fp-err")).to_have_count(0)


def drawn(page: Page) -> None:
    page.locator("[data-loaded=true]").wait_for()
