"""A button or link that is redrawn or moves between press and release receives the click (assets/kept_press.js)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.factories import greeting
from tests.live.caller import Terminal

pytestmark = pytest.mark.browser

ASSETS = Path(__file__).parents[2] / "assets"
SCRIPT = ASSETS / "kept_press.js"
#: A list as the browser sees it: the server redraws it, and something above it grows.
LIST = """
<style>button { display: block; height: 40px }</style>
<main><div id="above"></div><div id="list"></div><p id="pressed"></p></main>
<script>
  function draw(...names) {
    list.replaceChildren(...names.map(name => {
      const button = document.createElement("button");
      button.textContent = name;
      button.onclick = () => pressed.textContent += `${name} `;
      return button;
    }));
  }
  draw("Open", "Delete");
</script>
"""


@pytest.fixture
def shown(browser: Browser) -> Iterator[Page]:
    made = browser.new_page()
    made.set_content(f"{LIST}<script>{SCRIPT.read_text()}</script>")
    yield made
    made.close()


def hold(shown: Page, name: str) -> None:
    shown.get_by_role("button", name=name).hover()
    shown.mouse.down()


def pressed(shown: Page) -> str:
    """The text of what was clicked, once pending timers have run."""
    return shown.evaluate("new Promise(told => setTimeout(() => told(pressed.textContent.trim())))")


def test_a_button_that_stays_is_pressed_once(shown: Page) -> None:
    shown.get_by_role("button", name="Open").click()

    assert pressed(shown) == "Open"


def test_a_double_press_does_not_answer_the_question_that_comes_in_its_place(shown: Page) -> None:
    shown.add_style_tag(path=ASSETS / "theme.css")
    shown.evaluate(
        "void (list.onclick = () => { list.className = 'fp-ask-acts'; list.onclick = null; draw('Approve'); })"
    )
    place = shown.get_by_role("button", name="Open").bounding_box()
    assert place is not None
    shown.mouse.dblclick(place["x"] + 10, place["y"] + 10)
    assert pressed(shown) == "Open"

    shown.get_by_role("button", name="Approve").click()  # waits until it can be pressed
    assert pressed(shown) == "Open Approve"


def test_a_button_that_is_drawn_anew_before_the_release_is_pressed(shown: Page) -> None:
    hold(shown, "Open")
    shown.evaluate("draw('Open', 'Delete')")
    shown.mouse.up()

    assert pressed(shown) == "Open"


def test_a_button_that_is_drawn_elsewhere_is_pressed_and_not_what_lies_in_its_place(shown: Page) -> None:
    hold(shown, "Delete")
    shown.evaluate("draw('Delete', 'Open', 'Run')")
    shown.mouse.up()

    assert pressed(shown) == "Delete"


def test_a_button_that_moves_away_under_a_resting_pointer_is_pressed(shown: Page) -> None:
    hold(shown, "Delete")
    shown.evaluate("above.style.height = '40px'")
    shown.mouse.up()

    assert pressed(shown) == "Delete"


@pytest.mark.parametrize("after", ["draw('Open')", "draw('Open', 'Open', 'Delete for good')"])
def test_a_button_that_is_gone_presses_nothing_else(shown: Page, after: str) -> None:
    hold(shown, "Delete")
    shown.evaluate(after)
    shown.mouse.up()

    assert pressed(shown) == ""


def test_where_one_of_two_of_one_name_has_gone_the_other_is_not_pressed(shown: Page) -> None:
    shown.evaluate("draw('Delete', 'Open', 'Delete')")
    shown.get_by_role("button", name="Delete").first.hover()
    shown.mouse.down()
    shown.evaluate("draw('Delete', 'Open')")
    shown.mouse.up()

    assert pressed(shown) == ""


def test_a_press_that_is_dragged_away_is_taken_back(shown: Page) -> None:
    hold(shown, "Open")
    shown.evaluate("draw('Open', 'Delete')")
    shown.mouse.move(600, 400)
    shown.mouse.up()

    assert pressed(shown) == ""


def test_a_link_that_is_drawn_anew_is_followed(shown: Page) -> None:
    shown.evaluate("list.innerHTML = '<a href=\"#there\">Read a story</a>'")
    shown.get_by_role("link", name="Read a story").hover()
    shown.mouse.down()
    shown.evaluate("list.innerHTML = '<a href=\"#there\">Read a story</a>'")
    shown.mouse.up()

    expect(shown).to_have_url("about:blank#there")


def test_a_link_in_a_row_opens_its_page_once(page: Page, terminal: Terminal) -> None:
    """A row opens its page on a click as well, and must not do so for a click on its link: the page would be requested
    twice, and with Ctrl in both tabs.
    """
    flow_id = terminal.flow(greeting())
    page.goto("/flows")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.is_navigation_request() else None)

    page.get_by_role("link", name="Greeting", exact=True).click()
    expect(page.get_by_role("heading", name="Greeting", level=1)).to_be_visible()

    assert [url.partition("/flows/")[2] for url in asked] == [flow_id]
