"""Presses everything on a page: each control, and each control of the dialogs and menus that open.

A press must cause no error in the browser's console and in the server's log, and every control must be reachable with the
mouse: nothing may lie above its centre. Links are not pressed but requested, once each.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Error as BrowserError
from playwright.sync_api import Page, Response

from tests.browser.accessible.looks import STILL

#: Controls that end the session, leave the browser or choose a file, and so are never pressed.
NEVER = ("sign out", "download", "restore a backup", "back up now", "choose a file", "import", "export")
#: Time that a page needs at least to show what a press did.
SETTLE_MS = 120

#: How many pages are opened within a minute: the server allows a session 40 pages without a connection, and a page that
#: was left stays for up to a minute.
MOST_PAGES = 30

#: Numbers the controls of the topmost dialog or menu (else of the page) with `data-press` and returns number and name.
#: `covered` is what lies above the control's centre; empty when nothing does.
CONTROLS = """() => {
    const layers = [...document.querySelectorAll('.q-dialog, .q-menu, .fp-pop-shade')].filter(one => one.checkVisibility());
    const layer = layers.at(-1);
    const place = layer ? layer : document.body;
    const kinds = 'button, a[href], input, textarea, [contenteditable=true], [role=tab], [role=menuitem], [role=option],' +
        '[role=switch], [role=checkbox], [role=combobox], [data-node], summary';
    const found = [], links = [];
    let number = 0;
    for (const one of document.querySelectorAll('[data-press]')) delete one.dataset.press;
    for (const one of place.querySelectorAll(kinds)) {
        if (!one.checkVisibility({visibilityProperty: true, opacityProperty: true})) continue;
        if (one.disabled || one.closest('[aria-disabled=true], .disabled, [inert]')) continue;
        const href = one.getAttribute('href') || one.closest('a[href]')?.getAttribute('href');
        if (href) { links.push(href); continue; }
        if (one.type === 'file' || one.matches('.q-focus-helper')) continue;
        const box = one.getBoundingClientRect();
        if (box.width < 2 || box.height < 2) continue;
        one.dataset.press = ++number;
        const name = one.getAttribute('aria-label') || one.innerText || one.placeholder || one.name || one.tagName;
        const alike = one.matches('.q-btn, .q-field__native, [role=tab], [data-node]') ? '' : one.className;
        const frame = !layer && Boolean(one.closest('.fp-nav, .fp-mtop, .fp-toasts'));
        found.push({number, alike, frame, kind: one.tagName, role: one.getAttribute('role') || '', name: name.trim().replaceAll(/\\s+/g, ' ').slice(0, 60)});
    }
    return {layers: layers.length, found, links};
}"""
#: Scrolls a control into view; returns its centre and what lies above it.
AIM = """number => {
    const one = document.querySelector(`[data-press="${number}"]`);
    if (!one || !one.checkVisibility()) return null;
    one.scrollIntoView({block: 'center', inline: 'center', behavior: 'instant'});
    const box = one.getBoundingClientRect();
    const x = box.left + box.width / 2, y = box.top + box.height / 2;
    if (x < 0 || y < 0 || x >= innerWidth || y >= innerHeight) return {x, y, covered: 'the end of the window'};
    const over = document.elementFromPoint(x, y);
    const own = over && (one.contains(over) || over.contains(one) || one.closest('.q-field, label, .fp-f')?.contains(over));
    const passing = over?.closest('.fp-toasts, .q-notification, .q-tooltip');
    return {x, y, covered: own || passing ? '' : (over?.outerHTML || 'nothing').slice(0, 120)};
}"""
#: Quasar's dialogs take no presses while they open, whether or not that is animated.
STEADY = (
    "() => ![...document.querySelectorAll('.q-dialog__inner.no-pointer-events')].some(one => one.checkVisibility())"
)
WIDER_THAN_WINDOW = "() => document.scrollingElement.scrollWidth > innerWidth + 1"


#: What a name continues with the name of a node, a field or a row: its controls are of one kind.
_OF_ONE = (": ", " before ", " after ", " for ", " of ", " the node ")


def _kind(name: str) -> str:
    """The name of a control without numbers and without what it belongs to: `Remove field 2` is like `Remove field 1`."""
    for word in _OF_ONE:
        name = name.split(word, 1)[0] + (word if word in name else "")
    return "".join(one for one in name if not one.isdigit())


@dataclass
class Presses:
    """Presses all controls of pages in one tab. `wrong` collects what was wrong, each with the presses that led to it."""

    page: Page
    log: Callable[[], str]
    look: Callable[[Page], list[str]] = lambda _page: []
    #: How many controls of the same look are pressed in one place: cards, or entries of the palette.
    most_alike: int = 3
    #: How many dialogs and menus above each other are pressed through.
    deepest: int = 3
    wrong: list[str] = field(default_factory=list)
    links: set[str] = field(default_factory=set)
    count: int = 0
    _console: list[str] = field(default_factory=list)
    _done: set[tuple[str, ...]] = field(default_factory=set)
    _alike: Counter[tuple[str, ...]] = field(default_factory=Counter)
    _opened: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_PAGES))
    _path: str = ""
    _read: int = 0

    def __post_init__(self) -> None:
        """Listens to the tab and begins with the end of the server's log."""
        self._read = len(self.log())
        self.page.emulate_media(reduced_motion="reduce")
        self.page.on("console", lambda message: self._console.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self._console.append(str(error)))
        self.page.on("response", self._answered)
        self.page.on("filechooser", lambda _chooser: None)
        self.page.on("dialog", lambda dialog: dialog.dismiss())

    def everything_on(self, path: str, area: str) -> None:
        """Presses everything on the page at `path`. Controls of the frame, which all pages have, are pressed once.

        `area` names pages of one kind.
        """
        self._path, self._area = path, area
        self._open([])
        self._note_look([])
        self._press_all([])

    def _press_all(self, way: list[str]) -> None:
        """Presses each control of the topmost layer, to which the presses of `way` lead from the opened page."""
        for control in self._fresh(way):
            before = self._layers()
            pressed = self._press(control["number"], control["name"], way)
            if self._elsewhere():
                self._open(way)
                continue
            if not pressed:
                continue
            opened = self._layers()
            if opened > before and len(way) < self.deepest:
                step = [*way, control["name"]]
                self._note_look(step)
                self._press_all(step)
            if self._layers() != before:
                self._leave(way, before)

    def _fresh(self, way: list[str]) -> Iterator[dict[str, Any]]:
        """Yields the controls that were not pressed yet; looks anew after each, as a press may have drawn others."""
        while True:
            seen = self._ask(CONTROLS)
            self.links.update(seen["links"])
            for control in seen["found"]:
                if any(word in control["name"].lower() for word in NEVER):
                    continue
                area = "frame" if control["frame"] else self._area
                place = _kind(way[-1]) if way else ""
                alike = (area, place, control["alike"])
                if control["alike"] and self._alike[alike] >= self.most_alike:
                    continue
                key = (area, place, control["role"] or control["kind"], _kind(control["name"]))
                if key not in self._done:
                    self._done.add(key)
                    self._alike[alike] += 1
                    yield control
                    break
            else:
                return

    def _press(self, number: int, name: str, way: list[str]) -> bool:
        aim = self._ask(AIM, number)
        if aim is None:
            return False
        if aim["covered"]:
            self._say([*way, name], f"is covered by {aim['covered']}")
            return False
        self.count += 1
        self.page.mouse.click(aim["x"], aim["y"])
        self._settle()
        self._hear([*way, name])
        return True

    def _settle(self) -> None:
        self.page.wait_for_timeout(SETTLE_MS)
        try:
            self.page.wait_for_function(STEADY, timeout=2_000)
        except BrowserError:  # another page is being opened
            self.page.wait_for_load_state("domcontentloaded")

    def _layers(self) -> int:
        return self._ask(CONTROLS)["layers"]

    def _ask(self, script: str, argument: object = None) -> Any:
        """Runs a script in the page; when another page is just being opened, in that one."""
        for _ in range(3):
            try:
                return self.page.evaluate(script, argument)
            except BrowserError:
                self.page.wait_for_load_state("domcontentloaded")
        return self.page.evaluate(script, argument)

    def _elsewhere(self) -> bool:
        """True when a press has led to another page, or has loaded this one anew."""
        return not self._ask("() => Boolean(window.pressed)")

    def _leave(self, way: list[str], layers: int) -> None:
        """Closes what a press has opened; opens the page again when that did not lead back."""
        for _ in range(self.deepest + 2):
            if self._layers() <= layers:
                break
            self.page.keyboard.press("Escape")
            self._settle()
        if self._layers() != layers or self._elsewhere():
            self._open(way)

    def _open(self, way: list[str]) -> None:
        """Opens the page, then presses what leads to the layer of `way`."""
        if len(self._opened) == MOST_PAGES and (left := self._opened[0] + 62 - time.monotonic()) > 0:
            self.page.wait_for_timeout(left * 1000)
        self._opened.append(time.monotonic())
        try:
            self.page.goto(self._path)
        except BrowserError:  # the last press led to another page, whose arrival interrupts this one
            self.page.goto(self._path)
        self.page.locator("[data-loaded=true], h1, .fp-plain").first.wait_for()
        self.page.add_style_tag(content=STILL)
        self.page.evaluate("window.pressed = true")
        self._settle()
        self._hear(["(opened)"])
        for name in way:
            named = [one for one in self._ask(CONTROLS)["found"] if one["name"] == name]
            if not named or (aim := self._ask(AIM, named[0]["number"])) is None:
                return
            self.page.mouse.click(aim["x"], aim["y"])
            self._settle()

    def _note_look(self, way: list[str]) -> None:
        if self.page.evaluate(WIDER_THAN_WINDOW):
            self._say(way, "the page is wider than the window")
        for finding in self.look(self.page):
            self._say(way, finding)

    def _hear(self, way: list[str]) -> None:
        for said in self._console:
            self._say(way, f"console: {said[:300]}")
        self._console.clear()
        log = self.log()
        fresh, self._read = log[self._read :], len(log)
        if "Traceback" in fresh:
            self._say(way, f"log: {fresh[-1500:]}")

    def _answered(self, response: Response) -> None:
        if response.status >= 500:
            self._console.append(f"{response.status} {response.url}")

    def _say(self, way: list[str], what: str) -> None:
        self.wrong.append(f"{self._path} {' > '.join(way)}: {what}")
