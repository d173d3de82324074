"""A click on a menu button that is redrawn at the same moment opens the menu (assets/kept_menu.js)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.browser

SCRIPT = Path(__file__).parents[2] / "assets" / "kept_menu.js"
#: A row that the server redraws, as the browser sees it: an equal button in a new element.
ROW = """
<main><div id="row"></div><button id="entry">Revoke</button></main>
<script>
  window.presses = 0;
  function draw() {
    row.innerHTML = '<button aria-haspopup="menu" aria-label="More for Shop">...</button>';
    row.firstChild.onclick = () => presses++;
  }
  draw();
</script>
"""


@pytest.fixture
def row(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    page.clock.install(time=0)
    page.clock.pause_at(1_000)  # from here on time passes only when a test advances it
    page.set_content(f"{ROW}<script>{SCRIPT.read_text()}</script>")
    yield page
    page.close()


def presses(page: Page) -> int:
    """The number of clicks that the button received.

    First lets pending work finish: mutation observers run, then timers.
    """
    page.evaluate("new Promise(told => queueMicrotask(told))")
    page.clock.run_for(10)
    return page.evaluate("presses")


def test_a_press_just_before_the_row_is_drawn_anew_opens_the_new_menu(row: Page) -> None:
    more = row.get_by_role("button", name="More for Shop")
    more.click()
    row.evaluate("draw()")
    assert presses(row) == 2
    expect(more).to_be_visible()


@pytest.mark.parametrize("meanwhile", ["Escape", "an entry", "a long time", "another row", "two of the name"])
def test_what_was_closed_chosen_or_is_long_past_is_not_opened_again(row: Page, meanwhile: str) -> None:
    row.get_by_role("button", name="More for Shop").click()
    match meanwhile:
        case "Escape":
            row.keyboard.press("Escape")
        case "an entry":
            row.get_by_role("button", name="Revoke").click()
        case "a long time":
            row.clock.fast_forward(1_600)
        case "another row":
            row.evaluate("row.innerHTML = '<button aria-haspopup=menu aria-label=\"More for Web\">...</button>'")
            assert presses(row) == 1  # assets/kept_menu.js looks for the button once the page is drawn
        case "two of the name":
            row.evaluate("row.after(Object.assign(row.cloneNode(true), {id: ''}))")
    row.evaluate("draw()")
    assert presses(row) == 1
