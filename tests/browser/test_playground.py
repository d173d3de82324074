"""Tests of the Flow Playground by mouse and keyboard: edit, run, save, compare, restore."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.live.caller import Terminal
from ui.playground.inspector.inspector import FIRST_FIELD

pytestmark = pytest.mark.browser

FLOW = {
    "format": 1,
    "title": "Letter",
    "nodes": [
        {
            "id": "api_input",
            "type": "api_input",
            "label": "API Input",
            "config": {
                "fields": [{"name": "who", "type": "string", "required": True}],
                "samples": [{"title": "Ann", "payload": {"who": "Ann"}}, {"title": "Bob", "payload": {"who": "Bob"}}],
            },
        },
        {
            "id": "text_template",
            "type": "text_template",
            "label": "Letter",
            "position": {"x": 260, "y": 0},
            "inputs": {"template": "Dear {{ api_input.out.who }}"},
        },
    ],
    "edges": [{"id": "e1", "source": "api_input", "target": "text_template"}],
}


@pytest.fixture
def flow_id(terminal: Terminal) -> str:
    return terminal.made(FLOW)


@pytest.fixture
def playground(page: Page, flow_id: str) -> Page:
    page.goto(f"/playground/{flow_id}")
    page.locator("[data-loaded=true]").wait_for()
    return page


def inspector(page: Page, name: str = "Letter"):
    return page.get_by_role("complementary", name=name)


def test_a_run_shows_every_step_and_the_result(playground: Page) -> None:
    run = playground.get_by_role("region", name="Run", exact=True)
    run.get_by_role("button", name="Run", exact=True).click()
    expect(run).to_contain_text("Completed")
    expect(run).to_contain_text("Dear Ann")
    expect(playground.get_by_test_id("node-text_template")).to_have_attribute("data-status", "done")
    run.get_by_role("region", name="Steps").get_by_role("button", name="Letter").click()
    expect(inspector(playground)).to_be_visible()
    expect(inspector(playground)).to_contain_text("With the last run's data: Dear Ann")


def test_another_sample_is_run(playground: Page) -> None:
    run = playground.get_by_role("region", name="Run", exact=True)
    run.get_by_role("combobox", name="Sample").click()
    playground.get_by_role("option", name="Bob").click()
    run.get_by_role("button", name="Run", exact=True).click()
    expect(run).to_contain_text("Dear Bob")


def test_all_samples_are_run_and_compared(playground: Page) -> None:
    run = playground.get_by_role("region", name="Run", exact=True)
    run.get_by_role("button", name="Run all samples").click()
    expect(run).to_contain_text("2 of 2 rows · 2 completed")
    expect(run).to_contain_text("Dear Ann")
    expect(run).to_contain_text("Dear Bob")


def test_an_edit_in_the_inspector_is_undone_and_redone_by_keyboard(playground: Page) -> None:
    playground.get_by_test_id("node-text_template").click()
    label = inspector(playground).get_by_role("textbox", name="Label")
    label.fill("Greeting")
    label.press("Tab")
    node = playground.get_by_test_id("node-text_template")
    expect(node).to_contain_text("Greeting")
    playground.get_by_test_id("flow-canvas").focus()
    playground.keyboard.press("Control+z")
    expect(node).to_contain_text("Letter")
    playground.keyboard.press("Control+y")
    expect(node).to_contain_text("Greeting")


def test_a_chip_goes_where_the_caret_was(playground: Page) -> None:
    playground.get_by_test_id("node-text_template").click()
    field = inspector(playground).get_by_role("textbox", name="Template")
    field.click()
    playground.keyboard.press("Home")
    playground.keyboard.type("To ")
    inspector(playground).get_by_role("button", name="Insert API Input › who").press("Enter")
    expect(field).to_have_text("To API Input › whoDear API Input › who")


def test_a_second_tab_sees_the_edit_at_once(playground: Page, flow_id: str) -> None:
    other = playground.context.new_page()
    other.goto(f"/playground/{flow_id}")
    other.locator("[data-loaded=true]").wait_for()
    playground.get_by_test_id("node-text_template").click()
    label = inspector(playground).get_by_role("textbox", name="Label")
    label.fill("Shared")
    label.press("Tab")
    expect(other.get_by_test_id("node-text_template")).to_contain_text("Shared")
    other.close()


def test_a_version_is_compared_and_put_back(playground: Page) -> None:
    playground.get_by_test_id("node-text_template").click()
    label = inspector(playground).get_by_role("textbox", name="Label")
    label.fill("Changed")
    label.press("Tab")
    expect(playground.get_by_test_id("node-text_template")).to_contain_text("Changed")
    playground.get_by_role("button", name="Versions").click()
    playground.get_by_role("menuitem", name="Version 1").click()
    dialog = playground.get_by_role("dialog", name="Version 1")
    expect(dialog).to_contain_text("Changed changed")
    dialog.get_by_role("button", name="Put on the canvas").click()
    expect(playground.get_by_test_id("node-text_template").last).to_contain_text("Letter")


def test_a_problem_leads_to_its_node(playground: Page) -> None:
    playground.get_by_role("complementary", name="Nodes").get_by_role("button", name="HTTP Request").click()
    expect(playground.get_by_test_id("node-http_request")).to_be_visible()
    inspector(playground, "HTTP Request").get_by_role("button", name="Close").click()
    playground.get_by_role("button", name="1 problem").first.click()
    playground.get_by_role("menuitem").filter(has_text="HTTP Request").first.click()
    expect(inspector(playground, "HTTP Request")).to_be_visible()


def test_a_wrong_input_is_named_at_its_field(playground: Page) -> None:
    run = playground.get_by_role("region", name="Run", exact=True)
    run.get_by_role("textbox", name="who").fill("")
    run.get_by_role("textbox", name="who").press("Tab")
    run.get_by_role("button", name="Run", exact=True).click()
    expect(run).to_contain_text("Fill in “")


def test_a_message_covers_nothing_of_the_run_and_no_name_of_a_step(playground: Page) -> None:
    playground.get_by_test_id("node-text_template").click()
    expect(inspector(playground)).to_be_visible()
    playground.get_by_role("button", name="Save", exact=True).click()
    messages, canvas = playground.locator(".fp-toasts"), playground.locator(".fp-stage")
    expect(messages).to_contain_text("Saved as version")
    for width in (1440, 1024, 768):
        playground.set_viewport_size({"width": width, "height": 800})
        shown, around = messages.bounding_box(), canvas.bounding_box()
        assert shown and around
        assert around["x"] <= shown["x"] and shown["x"] + shown["width"] <= around["x"] + around["width"], width
        assert around["y"] <= shown["y"] and shown["y"] + shown["height"] <= around["y"] + around["height"], width
        beside = shown["x"] - around["x"], around["x"] + around["width"] - shown["x"] - shown["width"]
        assert abs(beside[0] - beside[1]) < 2, "it stands in the middle"

    playground.set_viewport_size({"width": 390, "height": 844})
    inspector(playground).get_by_role("button", name="Close").click()
    run = playground.get_by_role("region", name="Run", exact=True)
    playground.get_by_role("button", name="Save", exact=True).click()
    expect(messages).to_contain_text("Saved as version")
    run.evaluate("(panel) => panel.scrollIntoView()")
    shown, panel = messages.bounding_box(), run.bounding_box()
    assert shown and panel and shown["y"] + shown["height"] <= panel["y"]


def test_the_buttons_of_both_bars_stay_in_their_columns_beside_an_open_step(playground: Page) -> None:
    playground.get_by_test_id("node-text_template").click()
    expect(inspector(playground)).to_be_visible()
    run = playground.get_by_role("region", name="Run", exact=True)
    for width in (1024, 960, 820, 768):
        playground.set_viewport_size({"width": width, "height": 800})
        for button, around in (
            (playground.get_by_role("button", name="Deploy API", exact=True).first, playground.locator(".fp-pbar")),
            (run.get_by_role("button", name="Larger Run panel"), run),
        ):
            shown, bar = button.bounding_box(), around.bounding_box()
            assert shown and bar and shown["x"] + shown["width"] <= bar["x"] + bar["width"], width


def test_a_larger_run_panel_stays_so_while_a_person_is_asked(page: Page, terminal: Terminal) -> None:
    asks = {"id": "approval", "type": "approval", "label": "Approval", "inputs": {"title": "Send it?"}}
    edges = [*FLOW["edges"], {"id": "e2", "source": "text_template", "target": "approval"}]
    page.goto(f"/playground/{terminal.made({**FLOW, 'nodes': [*FLOW['nodes'], asks], 'edges': edges})}")
    page.locator("[data-loaded=true]").wait_for()
    run = page.get_by_role("region", name="Run", exact=True)
    larger = run.get_by_role("button", name="Larger Run panel")

    def height() -> float:
        return run.evaluate("(panel) => panel.getBoundingClientRect().height")

    first = height()
    larger.click()
    large = height()
    run.get_by_role("button", name="Run", exact=True).click()
    expect(run.get_by_role("button", name="Approve")).to_be_visible()
    assert height() == large
    larger.click()
    assert first < height() < large, "the question has room"
    larger.click()
    assert height() == large


def test_on_a_phone_the_flow_is_a_list_of_steps_to_edit_and_run(playground: Page) -> None:
    playground.set_viewport_size({"width": 390, "height": 844})
    playground.get_by_role("button", name="Letter Text Template").click()
    label = inspector(playground).get_by_role("textbox", name="Label")
    label.focus()
    playground.evaluate(f"({FIRST_FIELD})(document.querySelector('.fp-insp'))")
    expect(label).to_be_focused()  # opening a step takes the keyboard from no field that was pressed meanwhile
    label.fill("Note")
    label.press("Tab")
    inspector(playground, "Note").get_by_role("button", name="Close").click()
    expect(playground.get_by_role("button", name="Note Text Template")).to_be_visible()
    playground.get_by_role("region", name="Run", exact=True).get_by_role("button", name="Run", exact=True).click()
    expect(playground.get_by_role("region", name="Run", exact=True)).to_contain_text("Dear Ann")
