"""Tests of the inspector by mouse and keyboard: chips are dragged and completed, a connection is mapped, an answer is
returned.
"""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import Locator, Page, expect

from engine.actions.datasets import add_dataset
from tests.live.caller import Terminal

pytestmark = pytest.mark.browser

FLOW = {
    "format": 1,
    "title": "Reader",
    "nodes": [
        {
            "id": "api_input",
            "type": "api_input",
            "label": "API Input",
            "config": {
                "fields": [{"name": "site", "type": "string", "format": "uri", "required": True}],
                "samples": [{"title": "Practice", "payload": {"site": "https://practice.flowport.example/"}}],
            },
        },
        {
            "id": "page_scraper",
            "type": "page_scraper",
            "label": "Read the page",
            "position": {"x": 260, "y": 0},
            "inputs": {"url": "{{ api_input.out.site }}"},
        },
        {
            "id": "prompt",
            "type": "prompt",
            "label": "Summarise",
            "position": {"x": 0, "y": 160},
            "config": {
                "model": "simulated",
                "output_fields": [{"name": "facts", "type": "array", "items": {"type": "string"}, "required": True}],
            },
            "inputs": {"prompt": "Text: {{ page_scraper.out.text }}"},
        },
        {"id": "set_fields", "type": "set_fields", "label": "Note", "position": {"x": 460, "y": 160}},
    ],
    "edges": [
        {"id": "e1", "source": "api_input", "target": "page_scraper"},
        {"id": "e2", "source": "page_scraper", "target": "prompt"},
        {"id": "e3", "source": "prompt", "target": "set_fields"},
    ],
}


def drag(page: Page, chip: Locator, field: Locator, *, end: bool = False) -> None:
    """Drags a chip onto a field with the mouse: to its beginning, or to the end of its last line."""
    chip.scroll_into_view_if_needed()
    start, goal = chip.bounding_box(), field.bounding_box()
    assert start
    assert goal
    page.mouse.move(start["x"] + 12, start["y"] + 12)
    page.mouse.down()
    y = goal["y"] + (goal["height"] - 12 if end else 14)
    x = goal["x"] + (goal["width"] - 12 if end else 4)
    page.mouse.move(x - 10, y, steps=4)
    page.mouse.move(x, y, steps=2)
    page.mouse.up()


#: Points on a connection beside the + in its middle, in window coordinates.
BESIDE_PLUS = """path => [0.7, 0.8, 0.3, 0.2].map((part) => {
    const at = path.getPointAtLength(path.getTotalLength() * part).matrixTransform(path.getScreenCTM());
    return [at.x, at.y];
})"""
#: What a click at a point would hit; "" is the connection itself.
COVER = """([x, y, id]) => {
    const met = document.elementFromPoint(x, y);
    return met?.closest(`.vue-flow__edge[data-id=${id}]`) ? "" : (met?.outerHTML.slice(0, 200) ?? "nothing of the window");
}"""


def click_connection(page: Page, edge_id: str) -> None:
    """Clicks a connection beside the + in its middle, once the view has stopped moving, at a point that nothing
    covers.
    """
    line = page.locator(f".vue-flow__edge[data-id={edge_id}] path.fp-e")
    line.wait_for(state="attached")
    deadline = time.monotonic() + 60
    before, places, covers = None, line.evaluate(BESIDE_PLUS), []
    while time.monotonic() < deadline:
        covers = [page.evaluate(COVER, [*place, edge_id]) for place in places]
        if places == before and "" in covers:
            return page.mouse.click(*places[covers.index("")])
        page.wait_for_timeout(250)
        before, places = places, line.evaluate(BESIDE_PLUS)
    raise AssertionError(f"connection {edge_id} at {places}, a moment ago at {before}, lies under {covers}")


def test_data_is_dragged_completed_mapped_and_returned(page: Page, terminal: Terminal) -> None:
    flow_id = terminal.made(FLOW)
    page.set_viewport_size({"width": 1440, "height": 1400})  # the dragged chip and its field are both in view
    page.goto(f"/playground/{flow_id}?node=prompt")
    page.locator("[data-loaded=true]").wait_for()
    inspector = page.get_by_role("complementary", name="Summarise")
    prompt = inspector.get_by_role("textbox", name="Prompt")
    chips = inspector.locator(".fp-binding .fp-chip")
    expect(chips).to_have_text(["Read the page › text"])

    # After a run the preview holds the values, and the available data shows them.
    inspector.get_by_role("button", name="Run this node").click()
    expect(inspector).to_contain_text("With the last run's data: Text: ")
    expect(inspector).to_contain_text("free: the Simulated model")

    # A chip is dragged into the text, and the undo of the field removes it.
    drag(page, inspector.get_by_role("button", name="Insert Read the page › title"), prompt)
    expect(chips).to_have_text(["Read the page › title", "Read the page › text"])
    page.keyboard.press("Control+z")
    expect(chips).to_have_text(["Read the page › text"])

    # "{{" completes available data; a reference that cannot be resolved is red before a run.
    prompt.click()
    page.keyboard.press("Control+End")
    page.keyboard.type(" and {{ site")
    page.get_by_role("option", name="API Input › site").click()
    expect(chips).to_have_text(["Read the page › text", "API Input › site"])
    page.keyboard.type(" {{ gone.out.x }}")
    expect(inspector.locator(".fp-chip--bad")).to_have_text("gone › x")
    expect(inspector).to_contain_text("Summarise needs “gone › x” of a step that is not on the canvas any more")

    # A press on it offers what to use instead.
    inspector.locator(".fp-chip--bad").click()
    instead = page.get_by_role("menu", name="Replace with")
    expect(instead).to_contain_text("Summarise needs “gone › x” of a step that was deleted.")
    instead.get_by_role("menuitem", name="API Input › site").click()
    expect(chips).to_have_text(["Read the page › text", "API Input › site", "API Input › site"])
    expect(instead).to_have_count(0)  # a menu that closes gives the keyboard back to what had it
    prompt.click()
    page.keyboard.press("Control+End")
    page.keyboard.press("Backspace")  # a chip is deleted as one character
    expect(chips).to_have_text(["Read the page › text", "API Input › site"])
    inspector.get_by_role("switch", name="Raw form").click()
    expect(prompt).to_contain_text("{{ api_input.out.site }}")
    inspector.get_by_role("switch", name="Raw form").click()

    # A chip is found by search and inserted by keyboard.
    inspector.get_by_role("searchbox", name="Find data").fill("descr")
    expect(inspector.locator(".fp-dat")).to_have_count(1)
    inspector.get_by_role("button", name="Insert Read the page › description").press("Enter")
    expect(chips.last).to_have_text("Read the page › description")

    # A value of an answer is returned: an API Output is created for it.
    inspector.get_by_role("tab", name="Output").click()
    inspector.get_by_role("button", name="Facts", exact=True).click()
    inspector.get_by_role("button", name="Return this: Summarise › facts").click()
    expect(page.get_by_test_id("node-api_output")).to_contain_text("facts")

    # A connection is mapped: one field by mouse, one by keyboard.
    click_connection(page, "e3")
    mapping = page.get_by_role("complementary", name="Connection")
    expect(mapping).to_contain_text("Summarise → Note")
    mapping.get_by_role("button", name="Return facts of Summarise").click()
    expect(mapping.locator(".fp-binding .fp-chip")).to_have_text(["Summarise › facts"])
    mapping.get_by_role("button", name="Add a field").click()
    second = mapping.get_by_role("textbox", name="field_2", exact=True)
    drag(page, mapping.get_by_role("button", name="Insert Summarise › everything"), second)
    expect(mapping.locator(".fp-binding .fp-chip")).to_have_text(["Summarise › facts", "Summarise"])
    expect(page.get_by_test_id("node-set_fields")).to_contain_text("facts, field_2")


def test_the_cursor_stays_where_it_was_put_after_a_field_was_renamed(page: Page, terminal: Terminal) -> None:
    nodes = [
        {**node, "inputs": {"a": "1", "b": "2", "c": "3"}} if node["id"] == "set_fields" else node
        for node in FLOW["nodes"]
    ]  # type: ignore[index]
    flow_id = terminal.made({**FLOW, "nodes": nodes})
    page.goto(f"/playground/{flow_id}?node=set_fields")
    page.locator("[data-loaded=true]").wait_for()
    inspector = page.get_by_role("complementary", name="Note")
    inspector.get_by_role("textbox", name="Field name a").fill("first")
    inspector.get_by_role("textbox", name="Field name b").click()
    expect(page.get_by_test_id("node-set_fields")).to_contain_text("first")
    page.keyboard.press("End")
    page.keyboard.type("_two")
    inspector.get_by_role("textbox", name="c", exact=True).click()
    expect(page.get_by_test_id("node-set_fields")).to_contain_text("b_two")
    page.keyboard.press("End")
    page.keyboard.type("4")
    expect(inspector.locator(".fp-binding .cm-content")).to_have_text(["1", "2", "34"])


#: In one turn of the browser, so that the question which Enter asks cannot come between them.
_ENTER_AND_TYPE_ON = """(box, more) => {
    box.dispatchEvent(new KeyboardEvent("keydown", {key: "Enter", code: "Enter", keyCode: 13, bubbles: true}));
    document.execCommand("insertText", false, more);
}"""


def test_enter_renames_a_field_to_all_that_was_typed_and_the_box_stays_in_use(page: Page, terminal: Terminal) -> None:
    flow_id = terminal.made(FLOW)
    page.goto(f"/playground/{flow_id}?node=api_input")
    page.locator("[data-loaded=true]").wait_for()
    inspector = page.get_by_role("complementary", name="API Input")
    inspector.get_by_text("site", exact=True).first.click()
    box = inspector.get_by_role("textbox", name="Name").first
    box.click()
    page.keyboard.press("End")
    page.keyboard.type("_add")
    page.wait_for_timeout(400)  # a pause in which what is typed so far is sent
    page.keyboard.type("ress")
    box.evaluate(_ENTER_AND_TYPE_ON, "es")
    question = page.get_by_role("dialog")
    expect(question).to_contain_text("Rename “site” to “site_address” where it is used, too?")
    question.get_by_role("button", name="Rename it everywhere").click()
    expect(question).to_contain_text("Rename “site_address” to “site_addresses” where it is used, too?")
    question.get_by_role("button", name="Rename it everywhere").click()
    expect(question).to_have_count(0)
    expect(box).to_have_value("site_addresses")
    expect(box).to_be_focused()


def test_an_example_is_replaced_by_what_is_typed_and_enter_chooses_the_only_dataset(
    page: Page, terminal: Terminal
) -> None:
    terminal.store.write_now(add_dataset, terminal.owner, "Tenants")
    fields = [{"name": name, "type": "string", "required": True} for name in ("from", "about")]
    nodes = [{"id": "api_input", "type": "api_input", "config": {"fields": fields}}]
    nodes.append({"id": "rows", "type": "dataset_source", "label": "Read rows"})
    edges = [{"id": "e1", "source": "api_input", "target": "rows"}]
    page.goto(f"/playground/{terminal.made({**FLOW, 'nodes': nodes, 'edges': edges})}?node=rows")
    page.locator("[data-loaded=true]").wait_for()
    box = page.locator(".fp-runp").get_by_role("textbox", name="from")
    expect(box).not_to_have_value("")
    box.click()
    page.keyboard.type("Anna")
    expect(box).to_have_value("Anna")
    page.get_by_role("textbox", name="Find a node").click()
    box.click()
    page.keyboard.press("End")
    page.keyboard.type(" Berg")
    expect(box).to_have_value("Anna Berg")

    # A first press that ends outside the box selects nothing at a later one.
    about = page.locator(".fp-runp").get_by_role("textbox", name="about")
    about.hover()
    page.mouse.down()
    page.get_by_role("textbox", name="Find a node").hover()
    page.mouse.up()
    page.get_by_role("textbox", name="Find a node").click()
    about.click()
    expect(about).to_be_focused()
    assert about.evaluate("(box) => box.selectionStart === box.selectionEnd")

    choice = page.get_by_role("complementary", name="Read rows").get_by_role("combobox", name="Dataset")
    choice.focus()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("option", name="Tenants")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Open it")).to_be_visible()

    # Enter in the list of a tool, which is not drawn anew, keeps what was chosen in it.
    for title in ("Prices", "Orders"):
        terminal.made({**FLOW, "title": title})
    agent = {"id": "agent", "type": "agent", "label": "Agent", "config": {"tools": [{"kind": "flow"}]}}
    ends = [{"id": "e1", "source": "api_input", "target": "agent"}]
    page.goto(f"/playground/{terminal.made({**FLOW, 'nodes': [nodes[0], agent], 'edges': ends})}?node=agent")
    page.locator("[data-loaded=true]").wait_for()
    inspector = page.get_by_role("complementary", name="Agent")
    inspector.locator(".fp-bt").click()
    choice = inspector.get_by_role("combobox", name="Flow", exact=True)
    choice.focus()
    page.keyboard.press("ArrowDown")
    chosen = page.get_by_role("option").nth(1).inner_text()
    page.get_by_role("option").nth(1).click()
    for opens in ("ArrowDown", "ArrowDown"):
        expect(page.get_by_role("option")).to_have_count(0)
        expect(choice).to_have_value(chosen)
        page.keyboard.press(opens)
        expect(page.get_by_role("option").first).to_be_visible()
        page.evaluate("() => new Promise((done) => setTimeout(done))")  # the list has chosen where Enter begins
        page.keyboard.press("Enter")
    expect(choice).to_have_value(chosen)


def test_a_list_in_a_template_is_written_as_chosen_and_nothing_moves_when_data_is_put_in(
    page: Page, terminal: Terminal
) -> None:
    prompt = next(one for one in FLOW["nodes"] if one["id"] == "prompt")
    template = {
        "id": "letter",
        "type": "text_template",
        "label": "Letter",
        "inputs": {"template": "{{ prompt.out.facts }}"},
    }
    nodes = [FLOW["nodes"][0], {**prompt, "inputs": {"prompt": "{{ api_input.out.site }}"}}, template]
    values = ["{{ letter.out }}", {"kind": "", "answer": "{{ letter.out }}"}]
    nodes.append({"id": "first", "type": "first_value", "label": "Whichever ran", "inputs": {"values": values}})
    nodes.append({"id": "fields", "type": "set_fields", "label": "Note", "inputs": {"site": ""}})
    ends = ["api_input", "prompt", "letter", "first", "fields"]
    edges = [{"id": f"e{at}", "source": ends[at], "target": ends[at + 1]} for at in range(4)]
    flow_id = terminal.made({**FLOW, "nodes": nodes, "edges": edges})
    page.goto(f"/playground/{flow_id}?node=letter")
    page.locator("[data-loaded=true]").wait_for()
    inspector = page.get_by_role("complementary", name="Letter")
    inspector.locator(".fp-chip--list").click()
    page.get_by_role("menuitem", name="Each on its own line").click()
    expect(inspector.locator(".fp-binding .fp-chip")).to_contain_text("Summarise › facts, each on its own line")
    inspector.get_by_role("button", name="Run this node").click()
    expect(inspector.locator(".fp-pv")).to_be_visible(timeout=20_000)
    page.reload()
    expect(inspector.locator(".fp-chip--list")).to_contain_text("Summarise › facts, each on its own line")

    # The best match of a search stands first, whichever step it is of.
    inspector.get_by_role("searchbox", name="Find data").fill("site")
    expect(inspector.locator(".fp-dat").first).to_contain_text("site")

    # A group in a list has room for its values, also on a phone.
    page.goto(f"/playground/{flow_id}?node=first")
    box = page.get_by_role("textbox", name="Values 2: kind", exact=True)
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        expect(box).to_be_visible()
        assert box.evaluate("box => box.getBoundingClientRect().width") > 200
    page.set_viewport_size({"width": 1440, "height": 900})

    # The preview of data that is put in has its room already.
    page.goto(f"/playground/{flow_id}?node=fields")
    note = page.get_by_role("complementary", name="Note")
    add = note.get_by_role("button", name="Add a field")
    expect(note.locator(".fp-has-run")).to_be_visible()
    before = add.bounding_box()
    note.get_by_role("textbox", name="site", exact=True).click()
    note.get_by_role("button", name="Insert Letter › result").click()
    expect(note.locator(".fp-pv")).to_be_visible()
    assert add.bounding_box() == before


def test_the_rules_stay_in_place_while_a_warning_above_them_comes_and_goes(page: Page, terminal: Terminal) -> None:
    rule = {"left": "{{ api_input.out.site }}", "operator": "contains", "right": "x"}
    condition = {"id": "condition", "type": "condition", "label": "Check", "inputs": {"rules": [rule]}}
    ways = {one: {"id": one, "type": "text_template", "inputs": {"template": one}} for one in ("yes", "no")}
    edges = [{"id": "e1", "source": "api_input", "target": "condition"}]
    edges += [{"id": one, "source": "condition", "source_port": one, "target": one} for one in ways]
    joined = {"id": "first", "type": "first_value", "inputs": {"values": ["{{ yes.out }}", "{{ no.out }}"]}}
    edges += [{"id": f"{one}2", "source": one, "target": "first"} for one in ways]
    nodes = [FLOW["nodes"][0], condition, *ways.values(), joined]
    page.goto(f"/playground/{terminal.made({**FLOW, 'nodes': nodes, 'edges': edges})}?node=condition")
    page.locator("[data-loaded=true]").wait_for()
    inspector = page.get_by_role("complementary", name="Check")
    compared, comparison = (
        inspector.get_by_role("textbox", name="Rule 1, compared with"),
        inspector.get_by_role("combobox", name="Rule 1, comparison"),
    )
    warning = inspector.get_by_text("it has nothing to compare with")

    def place() -> int:
        box = comparison.bounding_box()
        assert box
        return round(box["y"])

    compared.click()
    before = place()
    page.keyboard.press("Backspace")
    warning.wait_for(state="attached")
    while_warned = place()
    page.keyboard.type("y")
    warning.wait_for(state="detached")
    assert [while_warned, place()] == [pytest.approx(before, abs=2)] * 2


def test_the_next_step_leads_to_a_field_that_stands_below_what_the_panel_shows(page: Page, terminal: Terminal) -> None:
    find = {"id": "find", "type": "extract_pattern", "label": "Find", "inputs": {"text": "{{ api_input.out }}"}}
    edges = [{"id": "e1", "source": "api_input", "target": "find"}]
    page.set_viewport_size({"width": 1366, "height": 600})
    page.goto(f"/playground/{terminal.made({**FLOW, 'nodes': [FLOW['nodes'][0], find], 'edges': edges})}")
    page.locator("[data-loaded=true]").wait_for()
    page.get_by_role("button", name="Show me").click()
    pattern = page.get_by_role("complementary", name="Find").get_by_role("textbox", name="Pattern")
    expect(pattern).to_be_focused()
    expect(pattern).to_be_in_viewport()


def test_the_fields_stay_in_place_when_the_button_that_is_pressed_goes_with_the_problem(
    page: Page, terminal: Terminal
) -> None:
    sink = {"id": "sink", "type": "dataset_sink", "label": "Keep it"}
    edges = [{"id": "e1", "source": "api_input", "target": "sink"}]
    page.goto(f"/playground/{terminal.made({**FLOW, 'nodes': [FLOW['nodes'][0], sink], 'edges': edges})}?node=sink")
    page.locator("[data-loaded=true]").wait_for()
    inspector = page.get_by_role("complementary", name="Keep it")
    new = inspector.get_by_role("button", name="New dataset")
    problem = inspector.get_by_text("Fill in at least one column of the row.")
    problem.wait_for()
    before = new.bounding_box()
    inspector.get_by_role("button", name="Keep site of").click()
    problem.wait_for(state="detached")
    inspector.get_by_role("textbox", name="Field name site").wait_for()
    after = new.bounding_box()
    assert before
    assert after
    assert after["y"] == pytest.approx(before["y"], abs=2)


def test_data_that_is_clicked_goes_nowhere_while_a_fixed_value_has_the_keyboard(page: Page, terminal: Terminal) -> None:
    rules = [{"field": "mood", "operator": "equals", "value": "good"}]
    filtering = {"id": "prompt", "type": "filter_list", "label": "Keep", "config": {"rules": rules}}
    filtering["inputs"] = {"items": "{{ api_input.out.site }}"}
    nodes = [*FLOW["nodes"][:2], filtering, FLOW["nodes"][3]]
    page.goto(f"/playground/{terminal.made({**FLOW, 'nodes': nodes})}?node=prompt")
    page.locator("[data-loaded=true]").wait_for()
    inspector = page.get_by_role("complementary", name="Keep")
    value, chips = inspector.get_by_role("textbox", name="Value"), inspector.locator(".fp-binding .fp-chip")
    title = inspector.get_by_role("button", name="Insert Read the page › title")
    inspector.get_by_text("is good").click()  # opens the rule
    value.click()
    title.click()
    said = page.get_by_text("To compare with data of another step use Look up a row or Condition.").last
    expect(said).to_be_visible()
    expect(value).to_be_focused()
    expect(chips).to_have_text(["API Input › site"])
    inspector.get_by_role("textbox", name="Items").click()
    title.click()
    expect(chips).to_have_text(["Read the page › title"])
    expect(value).to_have_value("good")
