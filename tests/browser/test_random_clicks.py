"""Clicks random controls for ten minutes: there is always a next control to click, and nothing breaks.

FLOWPORT_TEST_CLICK_MINUTES sets the duration, FLOWPORT_TEST_SEED repeats a run. Both are printed.

`make test` runs a short walk with a fixed seed.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page
from playwright.sync_api import Error as BrowserError

from engine.flow.document import Document, load_document
from engine.flow.validation import problems
from engine.nodes import CATALOG
from storage.flows import get_draft, list_flows
from tests.browser.conftest import let_in, new_window
from tests.live.caller import Terminal
from tests.live_server import live_server

MINUTES = float(os.environ.get("FLOWPORT_TEST_CLICK_MINUTES", "10"))
SEED = int(os.environ.get("FLOWPORT_TEST_SEED", str(random.randrange(10**6))))

pytestmark = pytest.mark.browser

#: Pages that the walk may enter; from every other page it returns to the Playground.
PLACES = ("/playground", "/flows", "/templates", "/jobs", "/monitoring", "/start", "/settings/keys", "/settings/limits")
#: Number of clicks outside the Playground before the walk returns to it.
WANDERS = 25
#: Controls that would end the session, or leave the browser, and so are never clicked.
NEVER = ("sign out", "download", "export", "restore", "back up", "open in a new tab")
TYPED = (
    "hello",
    "",
    "5",
    "-1",
    "Ünï çödé 👩‍👩‍👧",
    "<b>bold</b>",
    "{{ api_input.out.text }}",
    "{{ nobody.out }}",
    "{{",
    "https://practice.flowport.example/",
    '{"text": "a"}',
    "[1, 2]",
    "x" * 300,
)
KEYS = ("Escape", "Enter", "Tab", "Delete", "ArrowDown", "ArrowRight", "Control+z", "Control+Shift+z", "Control+c")
KEYS += ("Control+v", "Control+a", "Control+d", "Control+f", "Control+Enter", "Control+k", "Space", "Shift+F10")

#: Finds everything that can be clicked now: visible, enabled and not covered.
CONTROLS = """() => {
    const kinds = 'button, a[href], input, textarea, [contenteditable=true], [role=tab], [role=menuitem], [role=option],' +
        '[role=switch], [role=checkbox], [role=combobox], [data-node], [data-edge] .fp-e-hit, summary';
    const found = [];
    for (const one of document.querySelectorAll(kinds)) {
        const box = one.getBoundingClientRect();
        const x = box.left + box.width / 2, y = box.top + box.height / 2;
        if (box.width < 1 || x < 0 || y < 0 || x >= innerWidth || y >= innerHeight) continue;
        if (one.disabled || one.readOnly || one.closest('[aria-disabled=true], .disabled, [inert]')) continue;
        const over = document.elementFromPoint(x, y);
        if (!over || !(one.contains(over) || over.contains(one))) continue;
        if (one.target === '_blank' || one.type === 'file' || one.hasAttribute('download')) continue;
        found.push({x, y, kind: one.matches('input, textarea, [contenteditable=true]') ? 'field' :
            one.matches('[data-node]') ? 'node' : 'press', path: one.getAttribute('href') || '',
            name: (one.getAttribute('aria-label') || one.innerText || one.tagName).trim().slice(0, 60)});
    }
    return found;
}"""
#: Finds errors that offer neither an action nor a way to close them.
STUCK = """() => [...document.querySelectorAll('.fp-err, .fp-toast')]
    .filter(one => one.checkVisibility() && !one.querySelector('button:not([disabled]), a[href]'))
    .map(one => one.innerText)"""

FLOW = {
    "format": 1,
    "title": "Walked over",
    "nodes": [
        {
            "id": "api_input",
            "type": "api_input",
            "label": "API Input",
            "config": {
                "fields": [
                    {"name": "text", "type": "string", "required": True},
                    {"name": "words", "type": "array", "items": {"type": "string"}, "default": ["a", "b"]},
                ],
                "samples": [{"title": "Ann", "payload": {"text": "Ann"}}, {"title": "None", "payload": {}}],
            },
        },
        {"id": "array_splitter", "type": "array_splitter", "inputs": {"items": "{{ api_input.out.words }}"}},
        {
            "id": "prompt",
            "type": "prompt",
            "label": "Ask",
            "config": {"model": "simulated"},
            "inputs": {"prompt": "What is {{ array_splitter.out }}?"},
        },
        {"id": "array_flatten", "type": "array_flatten", "inputs": {"value": "{{ prompt.out }}"}},
        {
            "id": "page_scraper",
            "type": "page_scraper",
            "inputs": {"url": "https://practice.flowport.example/"},
        },
        {"id": "api_output", "type": "api_output", "inputs": {"said": "{{ array_flatten.out.items }}"}},
    ],
    "edges": [
        {"id": "e1", "source": "api_input", "target": "array_splitter"},
        {"id": "e2", "source": "array_splitter", "target": "prompt"},
        {"id": "e3", "source": "prompt", "target": "array_flatten"},
        {"id": "e4", "source": "array_flatten", "target": "api_output"},
        {"id": "e5", "source": "api_input", "target": "page_scraper"},
        {"id": "e6", "source": "page_scraper", "target": "api_output"},
    ],
    "notes": [{"id": "note_1", "text": "Press me", "position": {"x": 0, "y": 260}}],
}


class Walk:
    """One page, a random generator, and the most recent clicks."""

    def __init__(self, page: Page, seed: int, home: str) -> None:
        self.page = page
        self.seed = seed
        self.dice = random.Random(seed)
        self.home = home
        self.away = 0
        self.done: deque[str] = deque(maxlen=25)
        self.counted: Counter[str] = Counter()
        self.wrong: list[str] = []
        page.on("console", lambda message: self.wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("filechooser", lambda _chooser: None)
        page.on("dialog", lambda dialog: dialog.dismiss())

    def begin(self) -> None:
        """Opens the Playground at `home`, which the caller replaces after the flow was deleted."""
        self.away = 0
        for left in (2, 1, 0):
            try:
                self.page.goto(self.home)
                self.page.locator("[data-loaded=true], h1").first.wait_for()
                return
            except BrowserError as error:  # the last click followed a link, whose page interrupts this navigation
                if not left:
                    raise AssertionError(self.story(f"the Playground did not open: {error}")) from error
                self.page.wait_for_timeout(500)

    def step(self) -> None:
        """Clicks one control and checks the result."""
        controls = self.look()
        fits = [one for one in controls if not any(word in one["name"].lower() for word in NEVER)]
        roll = self.dice.random()
        if roll < 0.12 or not fits:
            self._press_key(self.dice.choice(KEYS))
        else:
            self._use(self.dice.choice(fits), drag=roll > 0.93)
        self.page.wait_for_timeout(self.dice.choice((20, 60, 250)))
        self._stay_near()

    def look(self) -> list[Any]:
        """Returns what can be clicked, and asserts that this is never empty once the page has settled."""
        end = time.monotonic() + 12
        while not (controls := self._ask(CONTROLS)):
            assert time.monotonic() < end, self.story("there was nothing to press")
            self.page.wait_for_timeout(200)
        stuck = self._ask(STUCK)
        assert not stuck, self.story(f"an error without a button: {stuck}")
        assert not self.wrong, self.story(f"the console: {self.wrong}")
        return controls

    def _ask(self, script: str) -> list[Any]:
        try:
            return self.page.evaluate(script)
        except BrowserError:  # another page is being opened
            return []

    def _use(self, control: dict[str, Any], *, drag: bool) -> None:
        mouse, x, y = self.page.mouse, control["x"], control["y"]
        self._note(f"{control['kind']} {control['name']!r}")
        if control["kind"] == "node" and drag:
            mouse.move(x, y)
            mouse.down()
            mouse.move(x + self.dice.randint(-200, 200), y + self.dice.randint(-120, 120), steps=4)
            mouse.up()
            return
        mouse.click(x, y, button="right" if control["kind"] == "node" and self.dice.random() < 0.1 else "left")
        if control["kind"] == "field":
            self.page.keyboard.press("Control+a")
            self.page.keyboard.insert_text(self.dice.choice(TYPED))
            self.page.keyboard.press(self.dice.choice(("Tab", "Enter", "Escape")))

    def _press_key(self, key: str) -> None:
        self._note(f"key {key}")
        self.page.keyboard.press(key)

    def _note(self, said: str) -> None:
        self.counted[said.split(" ", maxsplit=1)[0]] += 1
        self.done.append(f"{urlsplit(self.page.url).path}: {said}")

    def _stay_near(self) -> None:
        path = urlsplit(self.page.url).path
        self.away = 0 if path == self.home else self.away + 1
        if self.away > WANDERS or not path.startswith(PLACES):
            self.begin()

    def story(self, what: str) -> str:
        """What went wrong, and the clicks that led to it."""
        return f"seed {self.seed}, {what}\nat {self.page.url} after:\n  " + "\n  ".join(self.done)


def drafts(terminal: Terminal) -> dict[str, Document]:
    """The stored draft of every flow."""
    store, workspace_id = terminal.store, terminal.workspace_id
    return {
        # raises when the document is invalid
        flow.id: load_document(store.read_now(get_draft, workspace_id, flow.id).document)
        for flow in store.read_now(list_flows, workspace_id)
    }


def check(document: Document, walk: Walk) -> None:
    """Asserts what no click on the canvas may break: no dangling edges, no duplicate ids, no cycles."""
    whole = {"duplicate_id", "bad_id", "bad_edge", "dangling_edge", "duplicate_edge", "cycle", "unknown_type"}
    broken = [problem for problem in problems(document, CATALOG) if problem.code in whole]
    assert not broken, walk.story(f"the document: {broken}")


def shows_what_is_stored(walk: Walk, terminal: Terminal, flow_id: str) -> None:
    """Asserts that a newly opened Playground shows the nodes of the stored draft; edits in progress arrive first."""
    for _ in range(60):
        stored = {node.id for node in drafts(terminal)[flow_id].nodes}
        shown = set(walk.page.evaluate("[...document.querySelectorAll('[data-node]')].map(one => one.dataset.node)"))
        if shown == stored:
            return
        walk.page.wait_for_timeout(250)
    raise AssertionError(walk.story(f"the canvas shows {sorted(shown)}, stored is {sorted(stored)}"))


def walk_about(
    terminal: Terminal, context: BrowserContext, seed: int, goes_on: Callable[[], bool], presses: int
) -> None:
    """Clicks random controls until the time is over, and checks the stored drafts after a number of clicks."""
    print(f"seed {seed}")
    # requests to other hosts are blocked: pages never need one
    own = (terminal.server.url, "data:", "blob:")
    context.route(lambda url: not url.startswith(own), lambda route: route.abort())
    page, flow_id = context.new_page(), terminal.made(FLOW)
    walk = Walk(page, seed, f"/playground/{flow_id}")
    walk.begin()
    while goes_on():
        kept = {}
        for _ in range(presses):
            walk.step()
            kept = drafts(terminal)
            for document in kept.values():
                check(document, walk)
        if flow_id not in kept:  # the flow was deleted during the walk
            flow_id = terminal.made(FLOW)
            walk.home = f"/playground/{flow_id}"
        walk.begin()
        shows_what_is_stored(walk, terminal, flow_id)
    walk.look()
    print(f"presses: {dict(walk.counted)}")
    page.close()
    context.unroute_all()


def test_a_short_way_of_presses_leads_nowhere_wrong(context: BrowserContext, terminal: Terminal) -> None:
    rounds = iter([True, False])
    walk_about(terminal, context, 7, lambda: next(rounds), presses=12)


@pytest.mark.slow
@pytest.mark.timeout(int(MINUTES * 60) + 300)
def test_whatever_is_pressed_there_is_a_next_thing_and_nothing_breaks(browser: Browser, tmp_path: Path) -> None:
    """Nothing leaves this machine, because outbound calls go to a proxy that does not exist.

    The Enterprise plan has no quota of jobs.
    """
    env = {"FLOWPORT_OUTBOUND_PROXY": "http://127.0.0.1:9", "FLOWPORT_PLAN": "enterprise"}
    with live_server(tmp_path / "data", env=env) as server:
        terminal, context = Terminal(server), new_window(browser, server)
        let_in(context, server, terminal.sign_in())
        end = time.monotonic() + MINUTES * 60
        walk_about(terminal, context, SEED, lambda: time.monotonic() < end, presses=40)
        context.close()
