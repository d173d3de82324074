"""Two tabs edit one flow and the server goes away: acknowledged edits are kept, and the others are sent again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from engine.flow.document import load_document
from storage.flows import get_draft
from tests.browser.conftest import let_in, new_window
from tests.browser.dead_connection import DeadConnection
from tests.live.caller import Terminal
from tests.live_server import LiveServer, live_server

pytestmark = pytest.mark.browser

FLOW = {
    "format": 1,
    "title": "Together",
    "nodes": [
        {
            "id": "api_input",
            "type": "api_input",
            "label": "API Input",
            "config": {"fields": [{"name": "who", "type": "string"}]},
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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server of this module, because its tests kill it."""
    with live_server(tmp_path_factory.mktemp("together") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def window(browser: Browser, server: LiveServer) -> Iterator[BrowserContext]:
    made = new_window(browser, server)
    made.new_page()
    yield made
    made.close()


def opened(context: BrowserContext, flow_id: str) -> Page:
    page = context.new_page()
    page.goto(f"/playground/{flow_id}")
    page.locator("[data-loaded=true]").wait_for()
    return page


def place(page: Page, node_id: str) -> str:
    style = page.locator(f".vue-flow__node[data-id={node_id}]").get_attribute("style") or ""
    return style.split("translate(")[1].split(")")[0]


def rename(page: Page, label: str) -> None:
    page.get_by_test_id("node-text_template").click()
    field = page.get_by_role("textbox", name="Label")
    field.fill(label)
    field.press("Tab")
    expect(page.get_by_test_id("node-text_template")).to_contain_text(label)


def key(page: Page, *keys: str) -> None:
    page.get_by_test_id("flow-canvas").focus()
    for one in keys:
        page.keyboard.press(one)


def waits_for_place(page: Page, node_id: str, end: str) -> None:
    page.wait_for_function(
        "([id, end]) => document.querySelector(`.vue-flow__node[data-id=${id}]`).style.transform.includes(end)",
        arg=[node_id, end],
    )


def waits_for_kept(page: Page, flow_id: str, count: int) -> None:
    """Waits until this number of edits has no acknowledgement."""
    page.wait_for_function(
        "([id, count]) => JSON.parse(sessionStorage.getItem(`flowport-canvas-${id}`)).messages.length === count",
        arg=[flow_id, count],
    )


def test_an_edit_into_a_dead_connection_arrives_when_the_connection_is_back(
    context: BrowserContext, server: LiveServer, terminal: Terminal
) -> None:
    flow_id = terminal.made(FLOW)
    other = opened(context, flow_id)
    with DeadConnection(server.port) as between:
        one = context.new_page()
        one.goto(f"{between.url}/playground/{flow_id}")
        one.locator("[data-loaded=true]").wait_for()
        one.evaluate("window.socket.on('connect', () => (window.isBack = true))")
        one.get_by_test_id("node-text_template").click()
        key(one, "ArrowDown")
        waits_for_place(other, "text_template", " 20px)")
        waits_for_kept(one, flow_id, 0)

        between.is_dead = True
        key(one, "ArrowDown")
        waits_for_kept(one, flow_id, 1)
        between.cut()
        between.is_dead = False
        one.wait_for_function("() => window.isBack")
        one.get_by_test_id("node-api_input").click()
        key(one, "ArrowDown")
        waits_for_place(other, "api_input", " 20px)")
        waits_for_place(other, "text_template", " 40px)")
        waits_for_kept(one, flow_id, 0)


def test_an_edit_that_is_too_large_to_be_sent_is_taken_back_and_keeps_no_flow_from_opening(
    context: BrowserContext, terminal: Terminal
) -> None:
    note = {"id": "note", "text": "Short", "position": {"x": 0, "y": 200}, "size": {"width": 200, "height": 80}}
    flow_id = terminal.made({**FLOW, "notes": [note]})
    page = opened(context, flow_id)
    page.get_by_test_id("note-note").dblclick()
    text = page.get_by_test_id("note-note").get_by_role("textbox")
    text.evaluate(
        "box => { box.removeAttribute('maxlength'); box.value = 'long '.repeat(500000); box.dispatchEvent(new Event('input')); }"
    )
    key(page)
    expect(page.get_by_role("status").filter(has_text="too large to be sent")).to_be_visible()
    expect(page.get_by_test_id("note-note")).to_contain_text("Short")

    # An edit that was kept by an earlier release, beside one that arrives.
    page.evaluate(
        """id => {
            const message = (seq, after) => ({seq, clientId: "old", baseRev: 99, reason: "edit", ops: [{op: "updateNote", id: "note", before: {}, after}]});
            const messages = [message(1, {text: "long ".repeat(500_000)}), message(2, {text: "Kept"})];
            sessionStorage.setItem(`flowport-canvas-${id}`, JSON.stringify({seq: 2, messages}));
        }""",
        flow_id,
    )
    page.reload()
    page.locator("[data-loaded=true]").wait_for()
    expect(page.get_by_role("status").filter(has_text="cannot be read")).to_be_visible()
    expect(page.get_by_test_id("note-note")).to_contain_text("Kept")
    waits_for_kept(page, flow_id, 0)


def test_a_number_that_javascript_cannot_hold_is_the_same_after_undo_and_paste(
    context: BrowserContext, server: LiveServer, terminal: Terminal
) -> None:
    channel = 1234567890123456789
    node = {"id": "set_fields", "type": "set_fields", "inputs": {"channel": channel}, "position": {"x": 260, "y": 200}}
    flow_id = terminal.made({**FLOW, "nodes": [*FLOW["nodes"], node]})
    page = opened(context, flow_id)

    def channels() -> list[object]:
        draft = load_document(server.store.read_now(get_draft, terminal.workspace_id, flow_id).document)
        return [node.inputs["channel"] for node in draft.nodes if node.type == "set_fields"]

    page.get_by_test_id("node-set_fields").click()
    key(page, "Delete")
    expect(page.get_by_test_id("node-set_fields")).to_have_count(0)
    key(page, "Control+z")
    waits_for_kept(page, flow_id, 0)
    assert channels() == [channel]
    page.get_by_test_id("node-set_fields").click()
    key(page, "Control+d")
    page.get_by_test_id("node-set_fields_2").wait_for()
    assert channels() == [channel, channel]


def test_two_tabs_a_lost_connection_and_a_restart_lose_no_edit(
    browser: Browser, context: BrowserContext, server: LiveServer, terminal: Terminal
) -> None:
    flow_id = terminal.made(FLOW)
    one, other = opened(context, flow_id), opened(context, flow_id)

    # Both tabs change one field: the later edit wins, and the earlier tab can restore its value.
    rename(one, "First")
    expect(other.get_by_test_id("node-text_template")).to_contain_text("First")
    rename(other, "Second")
    told = one.get_by_role("status").filter(has_text="changed what you had just set")
    expect(told).to_contain_text("Second › Label")
    told.get_by_role("button", name="Put mine back").click()
    for page in (one, other):
        expect(page.get_by_test_id("node-text_template")).to_contain_text("First")

    # Both tabs move a node at once: both moves arrive in both tabs.
    for page, node_id in ((one, "api_input"), (other, "text_template")):
        page.get_by_test_id(f"node-{node_id}").click()
        key(page, "ArrowDown", "ArrowDown")
    for page in (one, other):
        page.wait_for_function(
            "() => ['api_input', 'text_template'].every(id => document.querySelector(`.vue-flow__node[data-id=${id}]`).style.transform.includes('40px)'))"
        )
    assert place(one, "api_input") == place(other, "api_input") == "0px, 40px"

    # The network is cut, an edit is made, and the network returns.
    one.evaluate("window.socket.io.engine.close()")
    expect(one.get_by_test_id("offline")).to_be_visible()
    one.get_by_test_id("node-api_input").click()
    key(one, "ArrowDown")
    expect(one.get_by_test_id("offline")).to_have_count(0)
    other.wait_for_function(
        "() => document.querySelector('.vue-flow__node[data-id=api_input]').style.transform.includes('60px)')"
    )

    # The server is killed and restarted. A closed tab leaves its unsent edit to the next tab of the browser.
    server.kill()
    expect(one.get_by_test_id("offline")).to_be_visible()
    one.get_by_test_id("node-text_template").click()
    key(one, "ArrowUp")
    one.wait_for_function("() => Object.keys(localStorage).some(name => name.startsWith('flowport-journal '))")
    one.close()
    other.close()
    server.start(owner=False)
    elsewhere = new_window(browser, server)
    let_in(elsewhere, server, terminal.sign_in())
    theirs = opened(elsewhere, flow_id)
    theirs.get_by_test_id("node-text_template").click()
    key(theirs, "ArrowRight")
    theirs.wait_for_function("() => !Object.keys(localStorage).some(name => name.startsWith('flowport-journal '))")
    elsewhere.close()

    # The flow is newer than the edits that this browser kept, so the person is asked.
    back = context.new_page()
    back.goto(f"/playground/{flow_id}")
    back.get_by_role("dialog", name="Put your offline edits").get_by_role("button", name="Put 1 edit back").click()
    back.locator("[data-loaded=true]").wait_for()
    assert place(back, "text_template") == "260px, 20px"
    assert place(back, "api_input") == "0px, 60px"
    expect(back.get_by_test_id("node-text_template")).to_contain_text("First")

    # Text that is being written in a note is kept over a reload.
    key(back, "Shift+N")
    back.get_by_role("textbox", name="Text of the note").fill("Half a thought")
    back.reload()
    expect(back.get_by_role("note")).to_contain_text("Half a thought")
    back.close()
