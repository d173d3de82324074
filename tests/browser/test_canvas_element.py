"""Tests of the flow canvas in a browser: actions of a person reach the server, and methods of the server change the
canvas.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from itertools import count, groupby
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.live_server import free_port
from tests.random_flows import grown
from ui.flow_view.list_frames import frames_of

pytestmark = pytest.mark.browser

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PATIENCE_SECONDS = 30
#: Waits until observers have handled a change of the window's size and their updates are drawn. Fitting happens in the
#: same frame.
DRAWN = (
    "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(done))))"
)
names = count(1)


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    """The address of the test page's server, a separate process on a free port."""
    port = free_port()
    environment = {key: value for key, value in os.environ.items() if key != "PYTEST_CURRENT_TEST"}
    environment |= {"PYTHONPATH": str(ROOT), "NICEGUI_STORAGE_PATH": str(tmp_path_factory.mktemp("nicegui"))}
    server = subprocess.Popen([sys.executable, str(HERE / "canvas_page.py"), str(port)], env=environment, cwd=ROOT)
    base = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{base}/document/started", timeout=5).close()
                break
            except (urllib.error.URLError, ConnectionError):
                assert server.poll() is None, "the test page did not start"
                time.sleep(0.1)
        yield base
    finally:
        server.terminate()
        server.wait(20)


@pytest.fixture(scope="module")
def window(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 1280, "height": 720}, reduced_motion="reduce")
    made.set_default_timeout(30_000)
    yield made
    made.close()


class Canvas:
    """One tab with the canvas of one flow."""

    def __init__(self, page: Page, base: str, name: str) -> None:
        self.page, self.base, self.name = page, base, name
        self.root = page.get_by_test_id("flow-canvas")

    def open(self, query: str = "") -> Canvas:
        self.page.goto(f"{self.base}/flow/{self.name}{query}", wait_until="commit")
        expect(self.root).to_have_attribute("data-loaded", "true")
        return self

    def node(self, node_id: str) -> Locator:
        return self.page.get_by_test_id(f"node-{node_id}")

    def port(self, port: str) -> Locator:
        return self.page.get_by_test_id(f"port-{port}")

    @property
    def nodes(self) -> Locator:
        return self.page.locator("[data-node]")

    @property
    def edges(self) -> Locator:
        return self.page.locator("[data-edge]")

    def middle_of(self, edge: str) -> tuple[float, float]:
        """A point on a connection for the mouse.

        A horizontal connection has no height, so Playwright cannot find one itself.
        """
        box = self.page.locator(f"[data-edge={edge}] .fp-e-hit").bounding_box()
        assert box is not None
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def connect(self, source: str, target: str) -> None:
        self.port(source).drag_to(self.port(target))

    def keys(self, *keys: str) -> None:
        self.root.focus()
        for key in keys:
            self.page.keyboard.press(key)

    def server(self, method: str, *args, **options):
        return _send(f"{self.base}/call/{self.name}", "POST", {"method": method, "args": args, "options": options})

    def answer(self, method: str, *args):
        """Calls a method of the component and waits until the browser has run it."""
        body = {"method": "run_method", "args": [method, *args], "wait": True}
        return _send(f"{self.base}/call/{self.name}", "POST", body)

    def document(self) -> dict:
        return _read(f"{self.base}/document/{self.name}")

    def place(self, node_id: str) -> tuple[float, float] | None:
        """The position of a node in the server's document; None until the server has the node."""
        for node in self.document()["nodes"]:
            if node["id"] == node_id:
                return node["position"]["x"], node["position"]["y"]
        return None

    def heard(self, event: str, **wanted) -> dict:
        """Waits for a message of this event with these values and returns it."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            for message in reversed(_read(f"{self.base}/log/{self.name}")):
                if message["event"] == event and wanted.items() <= message.items():
                    return message
            self.page.wait_for_timeout(30)
        raise AssertionError(f"the server heard no {event} with {wanted}: {_read(f'{self.base}/log/{self.name}')[-5:]}")

    def settles(self, look, wanted) -> None:
        """Waits until `look()`, a reading of the server's document or the page, returns what is wanted."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (found := look()) != wanted and time.monotonic() < deadline:
            self.page.wait_for_timeout(30)
        assert found == wanted


def _read(url: str):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def _send(url: str, method: str, body: dict):
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}, method=method
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.loads(answer.read() or "null")


def node(node_id: str, node_type: str, x: float, y: float, label: str = "") -> dict:
    return {
        "id": node_id,
        "type": node_type,
        "type_version": 1,
        "label": label,
        "position": {"x": x, "y": y},
        "config": {},
        "inputs": {},
    }


def edge(source: str, target: str, port: str = "out") -> dict:
    return {"id": f"{source}-{target}", "source": source, "source_port": port, "target": target}


CHAIN = {
    "nodes": [
        node("api_input", "api_input", 0, 0),
        node("scraper", "page_scraper", 260, 0, "Read the page"),
        node("prompt", "prompt", 520, 0, "Summarise"),
        node("api_output", "api_output", 520, 200),
    ],
    "edges": [edge("api_input", "scraper"), edge("scraper", "prompt")],
    "notes": [],
}


@pytest.fixture
def tab(address, window) -> Iterator:
    """Returns a function that opens tabs: tab(graph) for a new flow, tab(name=...) for one more tab of it.

    A message on the browser console fails the test.
    """
    pages, complaints = [], []

    def make(graph: dict | None = None, *, name: str = "", query: str = "", script: str = "") -> Canvas:
        page = window.new_page()
        page.add_init_script(script)
        pages.append(page)
        page.on("console", lambda m: complaints.append(m.text) if m.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        flow = name or f"flow{next(names)}"
        if graph is not None:
            _send(f"{address}/document/{flow}", "PUT", graph)
        return Canvas(page, address, flow).open(query)

    yield make
    for page in pages:
        page.close()
    assert complaints == []


def test_nodes_come_from_the_palette_and_are_connected_by_hand(tab):
    canvas = tab({})
    floor = canvas.page.locator(".vue-flow__pane")
    for kind, x in (("api_input", 150), ("prompt", 450), ("api_output", 750)):
        canvas.page.get_by_test_id(f"palette-{kind}").drag_to(floor, target_position={"x": x, "y": 200})
        expect(canvas.node(kind)).to_be_visible()
    canvas.connect("api_input-out", "prompt-in")
    expect(canvas.edges).to_have_count(1)
    canvas.port("prompt-out").click()
    canvas.port("api_output-in").click()
    expect(canvas.edges).to_have_count(2)
    canvas.settles(
        lambda: [(e["source"], e["source_port"], e["target"]) for e in canvas.document()["edges"]],
        [("api_input", "out", "prompt"), ("prompt", "out", "api_output")],
    )
    assert all(value % 20 == 0 for kind in ("api_input", "prompt", "api_output") for value in canvas.place(kind))
    assert canvas.heard("change", reason="connect")["ops"][0]["edge"]["id"].startswith("e_")


def test_a_line_let_go_over_a_node_connects_and_over_the_floor_offers_nodes(tab):
    canvas = tab(CHAIN)
    canvas.port("prompt-out").drag_to(canvas.node("api_output"), target_position={"x": 100, "y": 40})
    expect(canvas.edges).to_have_count(3)
    canvas.port("prompt-out").drag_to(canvas.page.locator(".vue-flow__pane"), target_position={"x": 1000, "y": 500})
    expect(canvas.page.get_by_role("dialog", name="Add after Summarise")).to_be_visible()


def test_a_refused_connection_says_why(tab):
    canvas = tab({**CHAIN, "edges": [*CHAIN["edges"], edge("prompt", "api_output")]})
    canvas.connect("prompt-out", "scraper-in")
    expect(canvas.page.get_by_test_id("refused")).to_contain_text("would make a loop")
    expect(canvas.root.get_by_role("status")).to_have_text(
        "Summarise already comes after Read the page: this connection would make a loop."
    )
    assert canvas.heard("invalid", source="prompt", target="scraper")["code"] == "loop"
    canvas.connect("api_input-out", "scraper-in")
    expect(canvas.page.get_by_test_id("refused")).to_contain_text("already connected")
    canvas.port("prompt-out").drag_to(canvas.node("api_input"), target_position={"x": 100, "y": 25})
    expect(canvas.page.get_by_test_id("refused")).to_contain_text("takes no input")
    canvas.server("connect", "prompt", "out", "prompt")
    assert canvas.heard("invalid", code="self")
    expect(canvas.port("api_input-in")).to_have_count(0)
    expect(canvas.port("api_output-out")).to_have_count(0)
    expect(canvas.edges).to_have_count(3)
    assert len(canvas.document()["edges"]) == 3


def test_a_condition_has_two_ports(tab):
    canvas = tab(
        {"nodes": [node("condition", "condition", 0, 100), node("b", "prompt", 320, 0), node("a", "prompt", 320, 200)]}
    )
    canvas.connect("condition-out-yes", "a-in")
    canvas.connect("condition-out-no", "b-in")
    expect(canvas.edges).to_have_count(2)
    canvas.settles(lambda: {e["source_port"]: e["target"] for e in canvas.document()["edges"]}, {"yes": "a", "no": "b"})
    canvas.keys("l")
    canvas.settles(lambda: canvas.place("a")[1] < canvas.place("b")[1], True)


def test_moving_is_one_small_message_and_can_be_undone(tab):
    canvas = tab(CHAIN)
    box = canvas.node("prompt").bounding_box()
    mouse = canvas.page.mouse
    mouse.move(box["x"] + 90, box["y"] + 20)
    mouse.down()
    mouse.move(box["x"] + 133, box["y"] + 113, steps=6)
    mouse.up()
    moved = canvas.heard("change", reason="move")
    assert [op["id"] for op in moved["ops"]] == ["prompt"]
    assert set(moved["ops"][0]["after"]) == {"position"}
    place = canvas.place("prompt")
    assert place != (520, 0)
    assert place[0] % 20 == place[1] % 20 == 0
    canvas.keys("Control+z")
    canvas.settles(lambda: canvas.place("prompt"), (520, 0))
    canvas.keys("Control+Shift+z")
    canvas.settles(lambda: canvas.place("prompt"), place)
    canvas.page.get_by_role("button", name="Undo").click()
    canvas.settles(lambda: canvas.place("prompt"), (520, 0))


def test_deleting_joins_the_neighbours_and_one_undo_brings_all_back(tab):
    canvas = tab(CHAIN)
    canvas.node("scraper").click()
    assert canvas.heard("select", nodes=["scraper"])
    canvas.page.keyboard.press("Delete")
    expect(canvas.nodes).to_have_count(3)
    expect(canvas.edges).to_have_count(1)
    expect(canvas.root.get_by_role("status")).to_have_text("Deleted. API Input and Summarise are connected now.")
    ends = [(edge["source"], edge["target"]) for edge in CHAIN["edges"]]
    canvas.settles(lambda: [(e["source"], e["target"]) for e in canvas.document()["edges"]], [("api_input", "prompt")])
    canvas.page.keyboard.press("Control+z")
    expect(canvas.edges).to_have_count(2)
    canvas.settles(lambda: sorted((e["source"], e["target"]) for e in canvas.document()["edges"]), sorted(ends))
    canvas.settles(lambda: len(canvas.document()["nodes"]), 4)
    canvas.page.mouse.click(*canvas.middle_of("scraper-prompt"))
    assert canvas.heard("select", edges=["scraper-prompt"])
    canvas.page.keyboard.press("Backspace")
    expect(canvas.edges).to_have_count(1)


def test_copies_get_new_ids_from_the_server_and_reach_another_tab(tab):
    canvas = tab(CHAIN)
    canvas.keys("Control+a")
    canvas.heard("select", nodes=["api_input", "scraper", "prompt", "api_output"])
    canvas.keys("Control+c", "Control+v")
    expect(canvas.nodes).to_have_count(8)
    expect(canvas.edges).to_have_count(4)
    asked = canvas.heard("paste_request")
    assert asked["position"] == {"x": 40, "y": 40}
    canvas.heard("select", nodes=["api_input_2", "page_scraper_2", "prompt_2", "api_output_2"])
    canvas.keys("Control+z")
    expect(canvas.nodes).to_have_count(4)
    canvas.settles(lambda: len(canvas.document()["nodes"]), 4)
    canvas.node("prompt").click()
    canvas.page.keyboard.press("Control+d")
    expect(canvas.nodes).to_have_count(5)
    other = tab({})
    other.keys("Control+v")
    expect(other.nodes).to_have_count(4)


def test_arrows_nudge_by_the_grid_as_one_step(tab):
    canvas = tab(CHAIN)
    canvas.node("prompt").click()
    canvas.heard("select", nodes=["prompt"])
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "Shift+ArrowLeft"):
        canvas.page.keyboard.press(key)
    canvas.settles(lambda: canvas.place("prompt"), (460, 20))
    canvas.page.keyboard.press("Control+z")
    canvas.settles(lambda: canvas.place("prompt"), (520, 0))


def test_the_keyboard_walks_in_the_order_of_the_flow_and_opens_and_connects(tab):
    canvas = tab({**CHAIN, "nodes": CHAIN["nodes"][::-1]})
    page = canvas.page
    canvas.server("set_status", {"prompt": {"state": "done", "word": "12 pages"}})
    expect(page.get_by_role("group", name="Summarise, Prompt, 12 pages")).to_be_visible()
    canvas.root.focus()
    walked = []
    for _ in range(4):
        page.keyboard.press("Tab")
        walked.append(page.evaluate("document.activeElement.dataset.node"))
    assert walked == ["api_input", "scraper", "prompt", "api_output"]
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    assert canvas.heard("open")["id"] == "prompt"
    page.keyboard.press("c")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(canvas.edges).to_have_count(3)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('[role=toolbar]') !== null")
    canvas.keys("Control+s", "Control+k", "Control+Enter")
    assert canvas.heard("save_request")
    assert canvas.heard("search_request")
    assert canvas.heard("run_request")


def test_plus_adds_after_a_node_and_in_the_middle_of_a_connection(tab):
    canvas = tab(CHAIN)
    page = canvas.page
    canvas.node("prompt").hover()
    page.get_by_test_id("plus-prompt-out").click()
    chooser = page.get_by_role("dialog", name="Add after Summarise")
    expect(chooser.get_by_role("option", name="API Input")).to_have_count(0)
    page.keyboard.type("set")
    page.keyboard.press("Enter")
    asked = canvas.heard("add_request", after="prompt")
    assert asked["port"] == "out"
    expect(canvas.node("set_fields")).to_be_visible()
    expect(canvas.edges).to_have_count(3)
    page.mouse.move(*canvas.middle_of("scraper-prompt"))
    page.get_by_test_id("plus-edge-scraper-prompt").click()
    expect(page.get_by_role("option", name="API Output")).to_have_count(0)
    page.keyboard.type("qqqq")
    expect(page.get_by_text("No node fits these words.")).to_be_visible()
    expect(page.get_by_role("option", name="Prompt")).to_have_attribute("aria-selected", "false")
    page.keyboard.press("Enter")
    expect(page.get_by_role("option", name="Prompt")).to_be_visible()
    page.get_by_role("combobox").fill("whole map of a website")
    expect(page.get_by_role("option").first).to_have_text("travel_exploreWebsite MapperWebsite Mapper")
    page.get_by_role("combobox").fill("")
    page.get_by_role("option", name="Website Mapper").click()
    expect(canvas.node("website_mapper")).to_be_visible()
    expect(canvas.edges).to_have_count(4)
    page.keyboard.press("Control+z")
    expect(canvas.node("website_mapper")).to_have_count(0)
    canvas.settles(lambda: sorted(e["target"] for e in canvas.document()["edges"]), ["prompt", "scraper", "set_fields"])


def test_notes_are_written_sized_and_never_html(tab):
    canvas = tab(CHAIN)
    page = canvas.page
    page.get_by_role("button", name="Add a note").click()
    field = page.get_by_role("textbox", name="Text of the note")
    expect(field).to_be_focused()
    field.fill("Ask Tom <img src=x onerror=alert(1)>")
    field.press("Control+Enter")
    note = page.get_by_test_id("note-note")
    expect(note.locator(".fp-cnote-text")).to_have_text("Ask Tom <img src=x onerror=alert(1)>")
    canvas.settles(lambda: canvas.document()["notes"][0]["text"], "Ask Tom <img src=x onerror=alert(1)>")
    box = note.bounding_box()
    page.mouse.move(box["x"] + box["width"] - 5, box["y"] + box["height"] - 5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] + 36, box["y"] + box["height"] + 36, steps=4)
    page.mouse.up()
    canvas.settles(lambda: canvas.document()["notes"][0]["size"], {"width": 240, "height": 120})
    note.dblclick()
    field.fill("Never mind")
    field.press("Escape")
    expect(note).to_contain_text("Ask Tom")
    note.get_by_role("button", name="Delete this note").click()
    expect(note).to_have_count(0)
    canvas.settles(lambda: canvas.document()["notes"], [])
    canvas.keys("Control+z")
    expect(note).to_contain_text("Ask Tom")
    canvas.keys("Control+z", "Control+z")
    canvas.settles(lambda: canvas.document()["notes"][0]["text"], "")
    canvas.keys("Control+z")
    expect(note).to_have_count(0)


def test_layout_wraps_to_the_view_or_makes_one_row(tab):
    chain = [node(f"n{i}", "prompt", (i % 3) * 37, i * 11) for i in range(6)]
    canvas = tab({"nodes": chain, "edges": [edge(f"n{i}", f"n{i + 1}") for i in range(5)]})
    page = canvas.page
    page.get_by_role("button", name="Auto layout").click()
    page.get_by_role("menuitem", name="Wrap to the view").click()
    canvas.settles(
        lambda: [canvas.place(f"n{i}") for i in range(6)], [(0, 0), (260, 0), (520, 0), (780, 0), (0, 140), (260, 140)]
    )
    page.get_by_role("button", name="Auto layout").click()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    canvas.settles(lambda: [canvas.place(f"n{i}") for i in range(6)], [(260 * i, 0) for i in range(6)])
    canvas.keys("Control+z", "Control+z")
    canvas.settles(lambda: canvas.place("n1"), (37, 11))


def test_a_run_and_the_servers_marks_are_shown_and_never_saved(tab):
    canvas = tab(CHAIN)
    page = canvas.page
    canvas.server(
        "set_status",
        {
            "api_input": {"state": "done", "time": "0.01 s"},
            "scraper": {"state": "done"},
            "prompt": {"state": "running", "done": 3, "total": 12},
        },
    )
    expect(canvas.node("prompt")).to_have_attribute("data-status", "running")
    expect(page.get_by_test_id("status-prompt")).to_contain_text("3 of 12")
    expect(page.locator("[data-edge=scraper-prompt] .fp-e--flow")).to_have_count(1)
    canvas.server("set_status", {"prompt": {"done": 4}})
    expect(page.get_by_test_id("status-prompt")).to_contain_text("4 of 12")
    canvas.server("set_status", {"prompt": {"state": "failed", "word": "Failed, item 7"}, "api_input": None})
    expect(page.get_by_test_id("status-prompt")).to_contain_text("Failed, item 7")
    expect(canvas.node("api_input")).to_have_attribute("data-status", "idle")
    expect(page.locator(".fp-e--flow")).to_have_count(0)
    canvas.server(
        "set_marks",
        {
            "prompt": {"summary": "gpt-4.1-mini, 2 fields", "problems": 2, "simulated": True},
            "api_output": {"parked": True},
        },
    )
    expect(canvas.node("prompt")).to_contain_text("gpt-4.1-mini, 2 fields")
    page.get_by_role("button", name="2 problems").click()
    assert canvas.heard("open", id="prompt")["problem"] is True
    expect(page.get_by_role("group", name="API Output, API Output, idle, not connected")).to_be_visible()
    canvas.server("clear_status")
    expect(canvas.node("prompt")).to_have_attribute("data-status", "idle")
    assert not [m for m in _read(f"{canvas.base}/log/{canvas.name}") if m["event"] == "change"]


def test_what_was_closed_is_deselected_unless_something_else_was_chosen_since(tab):
    canvas = tab(CHAIN)
    canvas.node("prompt").click()
    canvas.heard("select", nodes=["prompt"])
    canvas.server("deselect", ["api_input"])
    canvas.server("select_nodes", ["api_output"])  # sent afterwards: once this arrived, the message before it did
    canvas.heard("select", nodes=["api_output"])
    canvas.server("deselect", ["prompt"])
    canvas.server("deselect", ["api_output"])
    canvas.heard("select", nodes=[])
    chosen = [message["nodes"] for message in _read(f"{canvas.base}/log/{canvas.name}") if message["event"] == "select"]
    # the selection is reported again after each call, so that the page knows what is out of date
    assert [nodes for nodes, _ in groupby(chosen)] == [["prompt"], ["api_output"], []]


def test_an_edit_of_the_server_is_undoable_only_where_it_was_asked_for(tab):
    canvas = tab(CHAIN)
    rename = {"op": "updateNode", "id": "prompt", "before": {"label": "Summarise"}, "after": {"label": "Shorten"}}
    canvas.server("apply_ops", [rename], 5, history=False)
    expect(canvas.node("prompt")).to_contain_text("Shorten")
    expect(canvas.page.get_by_role("button", name="Undo")).to_be_disabled()
    canvas.server("apply_ops", [{**rename, "before": {"label": "Shorten"}, "after": {"label": "Cut"}}], 6, history=True)
    expect(canvas.node("prompt")).to_contain_text("Cut")
    canvas.keys("Control+z")
    expect(canvas.node("prompt")).to_contain_text("Shorten")
    assert canvas.heard("change", reason="undo")["baseRev"] == 6


def test_two_tabs_see_each_other_and_undo_only_their_own(tab):
    one = tab(CHAIN)
    two = tab(name=one.name)
    one.connect("prompt-out", "api_output-in")
    expect(two.edges).to_have_count(3)
    two.node("prompt").click()
    two.page.keyboard.press("ArrowDown")
    one.settles(lambda: one.place("prompt"), (520, 20))
    expect(two.page.get_by_role("button", name="Undo")).to_be_enabled()
    one.keys("Control+z")
    expect(two.edges).to_have_count(2)
    assert one.place("prompt") == (520, 20)
    expect(one.page.get_by_role("button", name="Undo")).to_be_disabled()
    one.keys("Control+z")
    one.connect("prompt-out", "api_output-in")  # sent afterwards: once this arrived, so did every message before it
    expect(two.edges).to_have_count(3)
    assert one.place("prompt") == (520, 20)


def test_an_edit_the_server_did_not_acknowledge_survives_a_reload(tab):
    deaf = {"id": "deaf", "text": "no answers", "position": {"x": 0, "y": 300}, "size": {"width": 200, "height": 60}}
    canvas = tab({**CHAIN, "notes": [deaf]})
    canvas.connect("prompt-out", "api_output-in")
    sent = canvas.heard("change", reason="connect")
    canvas.open()
    kept = canvas.heard("ready")["messages"]
    assert [(m["seq"], m["clientId"], m["ops"]) for m in kept] == [(sent["seq"], sent["clientId"], sent["ops"])]
    expect(canvas.edges).to_have_count(3)
    canvas.open()
    canvas.settles(lambda: canvas.heard("ready")["messages"], [])


def test_an_undo_that_is_larger_than_a_message_may_be_arrives_and_survives_a_reload(tab):
    deaf = {"id": "deaf", "text": "no answers", "position": {"x": 0, "y": 300}, "size": {"width": 200, "height": 60}}
    sample = {"sample": "long text " * 60_000}
    graph = {**CHAIN, "nodes": [{**one, "config": sample} for one in CHAIN["nodes"][:1]], "edges": [], "notes": [deaf]}
    canvas = tab(graph)
    after = {"config": {**sample, "field": "new"}}
    op = {"op": "updateNode", "id": "api_input", "before": {"config": sample}, "after": after}
    canvas.server("apply_ops", [op], 1, history=True)
    expect(canvas.page.get_by_role("button", name="Undo")).to_be_enabled()
    canvas.keys("Control+z")
    sent = canvas.heard("change", reason="undo")
    assert sent["ops"] == [{**op, "before": after, "after": {"config": sample}}]
    canvas.open()
    assert [one["ops"] for one in canvas.heard("ready", kept=1)["messages"]] == [sent["ops"]]


def test_a_reader_can_look_and_select_but_not_edit(tab):
    canvas = tab(CHAIN, query="?readonly=true")
    expect(canvas.page.get_by_role("button", name="Undo")).to_have_count(0)
    canvas.connect("prompt-out", "api_output-in")
    canvas.node("prompt").click()
    assert canvas.heard("select", nodes=["prompt"])
    for key in ("Delete", "ArrowDown", "Control+d"):
        canvas.page.keyboard.press(key)
    canvas.node("prompt").dblclick()
    assert canvas.heard("open")["id"] == "prompt"
    expect(canvas.page.locator(".fp-port-plus")).to_have_count(0)
    assert canvas.document()["nodes"] == CHAIN["nodes"]
    assert len(canvas.document()["edges"]) == 2


def test_over_a_picture_the_wheel_scrolls_the_page_and_with_control_it_zooms_no_further_than_the_whole_flow(tab):
    canvas = tab(CHAIN, query="?picture=true")
    page = canvas.page
    zoom = page.get_by_test_id("tool-zoom")
    page.mouse.move(*middle(canvas.node("prompt")))
    page.mouse.wheel(0, 300)
    page.wait_for_function("scrollY > 200")
    expect(zoom).to_have_text("100 %")
    page.evaluate("scrollTo(0, 0)")
    for turn, words in ((-200, "132 %"), (5000, "100 %")):
        page.keyboard.down("Control")
        page.mouse.wheel(0, turn)
        page.keyboard.up("Control")
        expect(zoom).to_have_text(words)
    for _ in range(3):
        page.get_by_role("button", name="Zoom out").click()
    expect(zoom).to_have_text("100 %")


def test_zoom_fit_grid_and_dark(tab):
    canvas = tab(CHAIN, query="?dark=true")
    page = canvas.page
    zoom = page.get_by_test_id("tool-zoom")
    expect(zoom).to_have_text("100 %")
    page.get_by_role("button", name="Zoom in").click()
    expect(zoom).to_have_text("120 %")
    page.get_by_role("button", name="Fit").click()
    expect(zoom).to_have_text("100 %")
    canvas.server("focus_node", "api_output")
    expect(canvas.node("api_output")).to_be_focused()
    page.get_by_role("button", name="Grid").click()
    expect(page.locator(".fp-floor")).to_have_count(0)
    assert page.evaluate("getComputedStyle(document.querySelector('.fp-node')).backgroundColor") == "rgb(29, 31, 34)"


def middle(part: Locator) -> tuple[float, float]:
    box = part.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def boxes(canvas: Canvas) -> list[dict]:
    return [box for one in canvas.nodes.all() if (box := one.bounding_box())]


def test_the_flow_is_seen_whole_while_the_page_settles_and_rests_once_it_is_used(tab):
    canvas = tab(CHAIN)
    canvas.page.set_viewport_size({"width": 700, "height": 480})
    canvas.settles(lambda: max(box["x"] + box["width"] for box in boxes(canvas)) < 700, True)
    canvas.keys("Escape")
    rested = boxes(canvas)
    canvas.page.set_viewport_size({"width": 1000, "height": 600})
    canvas.page.evaluate(DRAWN)
    assert boxes(canvas) == rested


def test_the_view_follows_the_chosen_node_into_a_narrower_window_only_when_no_hand_holds_a_line(tab):
    canvas = tab(CHAIN)
    canvas.node("prompt").click()
    assert canvas.heard("select", nodes=["prompt"])
    before = boxes(canvas)
    mouse = canvas.page.mouse
    mouse.move(*middle(canvas.port("api_input-out")))
    mouse.down()
    canvas.page.set_viewport_size({"width": 1100, "height": 720})
    mouse.move(*middle(canvas.node("api_output")))
    canvas.page.evaluate(DRAWN)
    assert boxes(canvas) == before
    mouse.up()
    expect(canvas.edges).to_have_count(3)
    canvas.settles(lambda: canvas.node("prompt").bounding_box()["x"] < before[2]["x"], True)


def test_of_a_long_flow_all_is_shown_and_the_names_of_its_steps_are_larger(tab):
    canvas = tab({"nodes": [node(f"n{number}", "prompt", 260 * number, 0) for number in range(10)], "edges": []})
    canvas.settles(lambda: canvas.node("n9").bounding_box()["x"] < canvas.page.viewport_size["width"], True)

    def sizes() -> list[float]:
        """Of a name on the screen, and of its node in the document."""
        name, whole = canvas.node("n5").locator(".fp-nl"), canvas.node("n5")
        scale = canvas.node("n5").evaluate("node => node.getBoundingClientRect().width / node.offsetWidth")
        return [
            scale * float(name.evaluate("name => parseFloat(getComputedStyle(name).fontSize)")),
            whole.evaluate("node => node.offsetHeight"),
        ]

    size, height = sizes()
    assert size > 7
    canvas.page.get_by_test_id("tool-zoom").click()
    canvas.settles(lambda: sizes()[0], 13.0)
    assert sizes()[1] == height


def test_a_line_that_joins_a_row_further_up_passes_behind_no_node(tab):
    nodes = [node("low", "prompt", 0, 160), node("between", "prompt", 260, 0), node("last", "prompt", 520, 0)]
    canvas = tab({"nodes": nodes, "edges": [edge("low", "last")]})
    box = canvas.node("between").bounding_box()
    path = canvas.edges.first.locator("path.fp-e")
    points = path.evaluate(
        """(path) => Array.from({ length: 101 }, (_, part) => {
            const at = path.getPointAtLength((path.getTotalLength() * part) / 100).matrixTransform(path.getScreenCTM());
            return [at.x, at.y];
        })"""
    )
    assert [
        at
        for at in points
        if box["x"] <= at[0] <= box["x"] + box["width"] and box["y"] <= at[1] <= box["y"] + box["height"]
    ] == []


def test_no_node_lies_under_the_minimap_when_all_is_fitted(tab):
    grid = [node(f"n{row}{column}", "prompt", 260 * column, 130 * row) for row in range(4) for column in range(9)]
    canvas = tab({"nodes": grid, "edges": []})
    minimap = canvas.page.get_by_test_id("minimap")
    for height, shown in ((720, 1), (300, 0)):
        canvas.page.set_viewport_size({"width": 1280, "height": height})
        canvas.page.get_by_role("button", name="Fit").click()
        expect(minimap).to_have_count(shown)
        corners = [(box["x"], box["y"]) for one in minimap.all() if (box := one.bounding_box())]
        seen = boxes(canvas)
        assert len(seen) == 36
        assert [b for b in seen for x, y in corners if b["x"] + b["width"] > x and b["y"] + b["height"] > y] == []


def test_the_minimap_moves_the_view_and_a_line_drawn_across_it_does_not(tab):
    canvas = tab({"nodes": [node(f"n{number}", "prompt", 260 * number, 0) for number in range(6)], "edges": []})
    minimap = canvas.page.get_by_test_id("minimap").locator("svg")
    before = boxes(canvas)
    mouse = canvas.page.mouse
    mouse.move(*middle(canvas.port("n0-out")))
    mouse.down()
    mouse.move(*middle(minimap))
    canvas.page.evaluate(DRAWN)
    assert boxes(canvas) == before
    mouse.move(*middle(canvas.node("n5")))
    mouse.up()
    expect(canvas.edges).to_have_count(1)
    minimap.click(position={"x": 20, "y": 44})
    canvas.settles(lambda: boxes(canvas)[0]["x"] > before[0]["x"], True)


def test_n_on_an_approval_adds_between_a_yes_and_what_follows_it(tab):
    graph = {
        "nodes": [node("a", "approval", 0, 0), node("n", "prompt", 260, 0)],
        "edges": [{"id": "yes", "source": "a", "source_port": "approved", "target": "n"}],
    }
    canvas = tab(graph)
    canvas.node("a").click()
    canvas.page.keyboard.press("n")
    expect(canvas.page.get_by_role("dialog", name="Add in this connection")).to_be_visible()


def test_everything_is_found_lined_up_and_run_without_a_mouse(tab):
    graph = {
        **CHAIN,
        "notes": [
            {"id": "note", "text": "Ask Tom", "position": {"x": 0, "y": 320}, "size": {"width": 200, "height": 80}}
        ],
    }
    canvas = tab(graph)
    page = canvas.page

    canvas.keys("Control+f")
    page.keyboard.type("summ")
    page.keyboard.press("Enter")
    expect(page.get_by_role("search")).to_contain_text("1 of 1")
    expect(page.get_by_role("search")).to_contain_text("Summarise: Prompt")
    page.keyboard.press("Escape")
    expect(canvas.node("prompt")).to_be_focused()

    page.keyboard.press("Shift+F10")
    menu = page.get_by_role("menu", name="Selection")
    expect(menu.get_by_role("menuitem").first).to_be_focused()
    menu.get_by_role("menuitem", name="Run from here").press("Enter")
    assert canvas.heard("run_request", mode="from")["node"] == "prompt"
    page.keyboard.press("Control+Enter")
    assert canvas.heard("run_request", mode="all")

    page.keyboard.press("e")
    assert canvas.heard("select", edges=["scraper-prompt"])
    page.keyboard.press("n")
    expect(page.get_by_role("dialog", name="Add in this connection")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Delete")
    expect(canvas.edges).to_have_count(1)

    page.keyboard.press("Tab")
    while page.evaluate("document.activeElement.dataset.note") != "note:note":
        page.keyboard.press("Tab")
    page.keyboard.press("Control+ArrowRight")
    canvas.settles(lambda: canvas.document()["notes"][0]["size"], {"width": 220, "height": 80})
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="Text of the note")).to_be_focused()
    page.keyboard.press("Escape")

    canvas.keys("Control+a", "Shift+F10")
    page.get_by_role("menuitem", name="Align top").press("Enter")
    canvas.settles(lambda: {part["position"]["y"] for part in canvas.document()["nodes"]}, {0})
    canvas.keys("Control+z")
    canvas.settles(lambda: canvas.place("api_output"), (520, 200))

    canvas.keys("Escape", "?")
    expect(page.get_by_role("dialog", name="Keys of the canvas")).to_contain_text("Find in this flow")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


#: A browser that is busy tells the sizes of elements this late.
SIZES_ARE_LATE = """
window.ResizeObserver = class extends ResizeObserver {
  constructor(tell) { super((...sizes) => setTimeout(() => tell(...sizes), 1500)); }
};
"""


def test_a_search_that_ends_before_the_nodes_have_sizes_gives_the_keyboard_to_what_it_found(tab):
    # Vue Flow hides a node until it knows the size, and what is hidden cannot have the focus.
    canvas = tab(CHAIN, script=SIZES_ARE_LATE)
    canvas.keys("Control+f")
    canvas.page.keyboard.type("summ")
    canvas.page.keyboard.press("Enter")
    canvas.page.keyboard.press("Escape")
    expect(canvas.node("prompt")).to_be_hidden()
    expect(canvas.node("prompt")).to_be_focused()


def test_a_right_click_offers_what_fits_and_traffic_is_shown_in_words(tab):
    canvas = tab(CHAIN)
    page = canvas.page
    canvas.node("scraper").click(button="right")
    page.get_by_role("menuitem", name="Duplicate").click()
    expect(canvas.nodes).to_have_count(5)
    page.locator(".vue-flow__pane").click(button="right", position={"x": 500, "y": 620})
    page.get_by_role("menuitem", name="Add a note").click()
    expect(page.get_by_role("textbox", name="Text of the note")).to_be_focused()
    page.keyboard.press("Escape")
    page.get_by_test_id("tool-traffic").click()
    page.get_by_role("menuitemradio", name="Share of money").click()
    assert canvas.heard("traffic_request", kind="money")
    share = {"level": 4, "share": 0.8, "icon": "payments", "word": "80 %", "aside": "$1.20", "title": "3 steps ran"}
    shown = {
        "kind": "money",
        "title": "Share of money, last 7 days",
        "total": "$1.50",
        "empty": "",
        "nodes": {"prompt": share},
    }
    canvas.server("set_traffic", shown)
    expect(page.get_by_test_id("traffic-prompt")).to_contain_text("80 %$1.20")
    page.get_by_role("button", name="Hide traffic").click()
    expect(page.get_by_test_id("traffic-prompt")).to_have_count(0)
    canvas.server("set_traffic", {**shown, "nodes": {}, "empty": "No calls yet."})
    expect(page.get_by_test_id("traffic-legend")).to_contain_text("No calls yet.")
    page.evaluate(
        """() => { const at = { bubbles: true, pointerType: 'touch', isPrimary: true, clientX: 700, clientY: 640, pointerId: 7 };
        document.querySelector('.vue-flow__pane').dispatchEvent(new PointerEvent('pointerdown', at)); }"""
    )
    expect(page.get_by_role("menu", name="Canvas")).to_be_visible()


#: Reads in the browser what lies where: nodes that cover each other, frames that hold other nodes than their own or leave
#: one out, and a + that lies on a node. `frames`: the nodes of each frame by its Splitter.
CROWDED = """(frames) => {
  const box = (element) => element.getBoundingClientRect();
  const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  const holds = (a, b) => a.left < b.left && b.right < a.right && a.top < b.top && b.bottom < a.bottom;
  const nodes = [...document.querySelectorAll("[data-node]")].map((one) => [one.dataset.node, box(one)]);
  const found = nodes.flatMap(([id, one], at) => nodes.slice(at + 1).filter(([, other]) => meet(one, other)).map(([other]) => `${id} covers ${other}`));
  for (const [splitter, own] of Object.entries(frames)) {
    const frame = document.querySelector(`[data-testid="scope-${splitter}"]`);
    if (!frame) found.push(`no frame of ${splitter}`);
    else for (const [id, one] of nodes)
      if (own.includes(id) ? !holds(box(frame), one) : meet(box(frame), one)) found.push(`${id} and the frame of ${splitter}`);
  }
  const plusses = [...document.querySelectorAll("[data-testid^=plus-]")].map((one) => [one.dataset.testid, box(one)]);
  for (const [id, plus] of plusses) {
    found.push(...nodes.filter(([, one]) => meet(one, plus)).map(([node]) => `${id} lies on ${node}`));
    found.push(...plusses.filter(([other, one]) => other < id && meet(one, plus)).map(([other]) => `${id} lies on ${other}`));
  }
  return { found, nodes: nodes.length, plusses: plusses.map(([id]) => id) };
}"""


def test_in_thirty_grown_flows_no_node_covers_another_and_frames_hold_their_own(tab):
    canvas = tab({})
    ways, framed = 0, 0
    wrong: list[tuple[int, str, list[str]]] = []
    for seed in range(30):
        document = grown(seed, 10)
        frames = {frame["id"]: frame["nodes"] for frame in frames_of(document)}
        framed += len(frames)
        condition = next((one.id for one in document.nodes if one.type == "condition"), None)
        _send(f"{canvas.base}/document/{canvas.name}", "PUT", document.as_json())
        canvas.answer("setScopes", frames_of(document))
        canvas.answer("loadGraph", {**document.as_json(), "rev": 1})
        if condition:
            canvas.answer("selectNodes", [condition])
        canvas.page.evaluate(DRAWN)
        measured = canvas.page.evaluate(CROWDED, frames)
        wrong += [(seed, "grown", measured["found"])] if measured["found"] else []
        assert measured["nodes"] == len(document.nodes)
        ways += len(measured["plusses"])
        for mode in ("wrap", "row"):
            canvas.answer("autoLayout", mode)
            canvas.page.evaluate(DRAWN)
            measured = canvas.page.evaluate(CROWDED, frames)
            wrong += [(seed, mode, measured["found"])] if measured["found"] else []
    assert wrong == []
    assert ways > 30, "a Condition shows a + for each of its ways"
    assert framed > 20


def test_the_plus_of_a_way_out_of_an_approval_leaves_its_name_readable(tab):
    canvas = tab({"nodes": [node("api_input", "api_input", 0, 0), node("approval", "approval", 260, 0)],
                  "edges": [edge("api_input", "approval")]})  # fmt: skip
    canvas.node("approval").click()
    plus = [canvas.page.get_by_test_id(f"plus-approval-{port}").bounding_box() for port in ("approved", "refused")]
    names = [canvas.node("approval").get_by_text(port, exact=True).bounding_box() for port in ("approved", "refused")]
    apart = [
        one["y"] + one["height"] <= name["y"] + 1 or name["y"] + name["height"] <= one["y"] + 1
        for one in plus
        for name in names
    ]
    assert all(apart), (plus, names)


def test_each_way_out_of_a_condition_has_its_plus_and_what_is_put_in_between_moves_the_later_ones(tab):
    canvas = tab({"nodes": [node("api_input", "api_input", 0, 0), node("condition", "condition", 260, 0)],
                  "edges": [edge("api_input", "condition")]})  # fmt: skip
    page = canvas.page

    def add(plus: str, kind: str) -> None:
        page.get_by_test_id(plus).click()
        page.get_by_test_id(f"choose-{kind}").click()

    canvas.node("condition").click()
    add("plus-condition-yes", "prompt")
    canvas.heard("select", nodes=["prompt"])
    canvas.node("condition").click()
    add("plus-condition-no", "set_fields")
    canvas.settles(lambda: (canvas.place("prompt"), canvas.place("set_fields")), ((580, -80), (580, 80)))
    canvas.node("api_input").click()
    add("plus-edge-api_input-condition", "page_scraper")
    wanted = {"page_scraper": (260, 0), "condition": (520, 0), "prompt": (840, -80), "set_fields": (840, 80)}
    canvas.settles(lambda: {one: canvas.place(one) for one in wanted}, wanted)
    canvas.keys("Control+z")
    canvas.settles(lambda: canvas.place("condition"), (260, 0))
    canvas.settles(lambda: canvas.place("set_fields"), (580, 80))
