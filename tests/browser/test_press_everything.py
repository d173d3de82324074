"""Everything that can be pressed is pressed, on every page and in every dialog: nothing breaks, and nothing is covered."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Page, ViewportSize
from sqlalchemy import update

from engine.core.roles import Role
from storage.tables import User
from tests.browser.accessible.conftest import ASK, FETCH
from tests.browser.accessible.looks import DESK, DRAWN, OF_COLOURS, PHONE, run_axe
from tests.browser.conftest import let_in, new_window
from tests.browser.filled import Filled
from tests.browser.pressing import Presses
from tests.live.caller import Terminal
from tests.live_server import LiveServer, live_server

pytestmark = pytest.mark.browser

LIST: dict[str, Any] = {
    "format": 1,
    "title": "Look at a list",
    "nodes": [
        {
            "id": "api_input",
            "type": "api_input",
            "config": {"fields": [{"name": "words", "type": "array", "items": {"type": "string"}, "default": ["a", "b"]}]},
        },
        {"id": "each", "type": "array_splitter", "inputs": {"items": "{{ api_input.out.words }}"}, "position": {"x": 280, "y": 0}},
        {"id": "all", "type": "array_flatten", "inputs": {"value": "{{ each.out }}"}, "position": {"x": 560, "y": 0}},
    ],
    "edges": [
        {"id": "e1", "source": "api_input", "target": "each"},
        {"id": "e2", "source": "each", "target": "all"},
    ],
}  # fmt: skip
SUMMARY: dict[str, Any] = {
    **ASK,
    "nodes": [
        {**node, "config": {"model": "simulated"}} if node["type"] == "prompt" else node for node in ASK["nodes"]
    ],
}
#: Kind of page -> the pages. A control that pages of one kind share is pressed on the first.
PAGES: dict[str, tuple[str, ...]] = {
    "start": ("/start",),
    "flows": ("/flows",),
    "flow": ("/flows/{ask}", *(f"/flows/{{ask}}?tab={tab}" for tab in ("versions", "triggers", "jobs", "monitoring", "settings"))),
    "templates": ("/templates",),
    "datasets": ("/datasets",),
    "dataset": ("/datasets/{dataset}",),
    "knowledge": ("/knowledge", "/knowledge/{collection}"),
    "jobs": ("/jobs", "/jobs?tab=refused"),
    "job": ("/jobs/{completed}", "/jobs/{failed}"),
    "waiting": ("/waiting",),
    "monitoring": ("/monitoring",),
    "keys": ("/settings/keys",),
    "models": ("/settings/models",),
    "tools": ("/settings/tools",),
    "limits": ("/settings/limits",),
    "team": ("/settings/team",),
    "data": ("/settings/data",),
    "server": ("/settings/server",),
    "account": ("/settings/account",),
    "audit": ("/settings/audit",),
    "about": ("/settings/about",),
    "playground": ("/playground/{list}",),
}  # fmt: skip


def fill(terminal: Terminal) -> Filled:
    made = Filled(terminal)
    made.make({"ask": SUMMARY, "fetch": FETCH, "list": LIST}, live=("ask", "fetch"))
    made.know("Terms", {"Delivery": "Parcels leave the house on Fridays."})
    made.keep("Towns", [{"town": "Oslo", "people": 7}, {"town": "Rome", "people": 9}])
    assert made.run("completed", "ask", {"text": "The lighthouse."})["status"] == "completed"
    assert made.run("failed", "fetch", {"url": "http://127.0.0.1:9/"})["status"] == "failed"
    assert made.call("ask", {"txt": 5}).status_code == 400
    return made


def become(terminal: Terminal, role: Role) -> None:
    terminal.store.write_now(
        lambda session: session.execute(update(User).where(User.email == terminal.email).values(role=role))
    )


#: Where presses meet each other most: open layers, drawn tables, the canvas. `make slow` presses everywhere;
#: `tests/ui/test_press_everything.py` presses what is on every page, without a browser.
BUSIEST = ("start", "flow", "dataset", "job", "waiting", "playground")


def press(presses: Presses, filled: Filled, areas: Iterable[str] = tuple(PAGES)) -> None:
    ids = {**filled.flows, **filled.jobs, "dataset": filled.dataset, "collection": filled.collection}
    for area, paths in ((area, PAGES[area]) for area in areas):
        began, before = time.monotonic(), presses.count
        for path in paths:
            presses.everything_on(path.format(**ids), area)
        print(f"{area}: {presses.count - before} presses, {time.monotonic() - began:.0f} s")
    opened = {path.format(**ids).partition("?")[0] for area in areas for path in PAGES[area]}
    paths = {link.partition("?")[0] for link in presses.links if link.startswith("/")}
    for href in sorted(paths - opened):
        status = presses.page.request.get(href, max_redirects=3).status
        if status >= 400:
            presses.wrong.append(f"the link {href} answers {status}")
    print(f"presses: {presses.count}, links: {len(presses.links)}")
    assert not presses.wrong, "\n".join(presses.wrong)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LiveServer]:
    """A server of its own, because presses change settings of the whole server."""
    with live_server(tmp_path / "data", env={"FLOWPORT_PLAN": "enterprise"}) as running:
        yield running


@pytest.mark.costly("it presses all that an owner sees on six kinds of page, on a server of its own")
@pytest.mark.timeout(900)
def test_what_the_owner_presses_on_the_busiest_pages_works(browser: Browser, server: LiveServer) -> None:
    terminal = Terminal(server)
    window = new_window(browser, server)
    let_in(window, server, terminal.sign_in())
    press(Presses(window.new_page(), server.log, most_alike=1, deepest=0), fill(terminal), BUSIEST)
    window.close()


@pytest.mark.slow
@pytest.mark.timeout(3_600)
@pytest.mark.costly(
    "every control of every page is pressed, and each page, dialog and menu is looked at in two colours"
)
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["1280 px", "390 px"])
@pytest.mark.parametrize("role", list(Role))
def test_whatever_anybody_presses_works_in_every_look(
    browser: Browser, server: LiveServer, role: Role, size: ViewportSize
) -> None:
    """Each page, dialog and menu is looked at in light and in dark colours, in one walk."""
    terminal = Terminal(server)
    filled = fill(terminal)
    become(terminal, role)
    window = new_window(browser, server)
    page = window.new_page()
    page.set_viewport_size(size)

    def sign_in_anew() -> None:
        let_in(window, server, terminal.sign_in())

    sign_in_anew()
    press(Presses(page, server.log, look_with_axe, sign_in_anew, most_alike=100), filled)
    window.close()


def look_with_axe(page: Page, layer: str | None) -> list[str]:
    """What axe finds in light and in dark colours; in dark ones with the rules about colours alone."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    found = []
    looks: tuple[tuple[Literal["light", "dark"], list[str] | None], ...] = (("dark", OF_COLOURS), ("light", None))
    for colours, rules in looks:
        page.emulate_media(color_scheme=colours)
        page.evaluate(DRAWN)
        found += [f"{colours}: {one}" for one in run_axe(page, rules, layer)]
    return found
