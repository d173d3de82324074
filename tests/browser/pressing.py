"""Presses everything on a page: each control, and each control of the dialogs and menus that open.

A press must cause no error in the browser's console and in the server's log, and every control must be reachable with the
mouse: nothing may lie above its centre. Links are not pressed but requested, once each.
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Error as BrowserError
from playwright.sync_api import Page, Response
from playwright.sync_api import TimeoutError as NeverCame

from tests.browser.accessible.looks import STILL

#: Controls that end the session, leave the browser or choose a file, and so are never pressed.
NEVER = ("sign out", "download", "restore a backup", "back up now", "choose a file", "import", "export")
#: Time without any change, after which a page shows what a press did.
SETTLE_MS = 60
#: How often that is waited for until a layer that has opened before opens again.
PATIENCE = 20

#: How many pages one session opens: the server allows a session 40 pages without a connection, and a page that was left
#: stays for up to a minute.
MAX_PAGES = 30

LAYER = ".q-dialog, .q-menu, .fp-pop-shade"
#: What lies beside the content of a page in a wide window, and over all of it in a narrow one.
DRAWER = ".fp-insp, .fp-pal"
#: The layers that can be seen, the topmost last.
LAYERS = f"""const drawn = one => one.checkVisibility({{visibilityProperty: true}});
    const drawers = [...document.querySelectorAll('{DRAWER}')].filter(one => drawn(one) && ['fixed', 'absolute'].includes(getComputedStyle(one).position));
    const layers = [...drawers, ...[...document.querySelectorAll('{LAYER}')].filter(drawn)];"""
#: Numbers the controls of the topmost dialog or menu (else of the page) with `data-press` and returns number and name.
#: `covered` is what lies above the control's centre; empty when nothing does.
CONTROLS = """() => {
    LAYERS
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
        const node = one.getAttribute('data-node') || '';
        const name = one.getAttribute('aria-label') || one.innerText || one.labels?.[0]?.innerText || one.placeholder || one.name || one.tagName;
        const alike = one.matches('.q-btn, .q-field__native, [role=tab], [data-node]') ? '' : one.className;
        const frame = !layer && Boolean(one.closest('.fp-nav, .fp-mtop, .fp-toasts'));
        found.push({number, alike, frame, node, kind: one.tagName, role: one.getAttribute('role') || '', name: name.trim().replaceAll(/\\s+/g, ' ').slice(0, 60)});
    }
    return {layers: layers.length, dialogs: layers.length - drawers.length, drawer: drawers.includes(layer), found, links, pressed: Boolean(window.pressed)};
}""".replace("LAYERS", LAYERS)
#: Resolves when the server has answered a request, which it takes up after the press, and nothing was drawn for `quiet` ms.
SETTLED = """async quiet => {
    const began = performance.now();
    let changed = began;
    const watch = new MutationObserver(() => changed = performance.now());
    watch.observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
    await new Promise(done => setTimeout(done, quiet / 2));
    await fetch('/healthz').catch(() => null);
    while (performance.now() - changed < quiet && performance.now() - began < 2000) await new Promise(done => setTimeout(done, 15));
    watch.disconnect();
}"""
#: Scrolls a control into view; returns its centre and what lies above it. `late`: a layer has opened above it meanwhile.
AIM = """number => {
    const one = document.querySelector(`[data-press="${number}"]`);
    if (!one || !one.checkVisibility()) return null;
    const pane = one.closest('.vue-flow');
    (pane || one).scrollIntoView({block: 'center', inline: 'center', behavior: 'instant'});
    const canvas = pane?.getBoundingClientRect();
    const box = one.getBoundingClientRect();
    const x = box.left + box.width / 2, y = box.top + box.height / 2;
    if (canvas && (x < canvas.left || y < canvas.top || x >= canvas.right || y >= canvas.bottom)) return {x, y, covered: 'the end of the canvas'};
    if (x < 0 || y < 0 || x >= innerWidth || y >= innerHeight) return {x, y, covered: 'the end of the window'};
    const over = document.elementFromPoint(x, y);
    const own = over && (one.contains(over) || over.contains(one) || one.closest('.q-field, label, .fp-f')?.contains(over));
    LAYERS
    const [above, own_layer] = [over, one].map(part => layers.find(layer => layer.contains(part)));
    if (above && above !== own_layer) return {x, y, covered: '', late: true};
    const passing = over?.closest('.fp-toasts, .q-notification, .q-tooltip');
    return {x, y, covered: own || passing ? '' : (over?.outerHTML || 'nothing').slice(0, 120)};
}""".replace("LAYERS", LAYERS)
#: Quasar's dialogs take no presses while they open, whether or not that is animated.
STEADY = (
    "() => ![...document.querySelectorAll('.q-dialog__inner.no-pointer-events')].some(one => one.checkVisibility())"
)
WIDER_THAN_WINDOW = "() => document.scrollingElement.scrollWidth > innerWidth + 1"


#: What a name continues with the name of a node, a field or a row: its controls are of one kind.
QUOTED = re.compile("“[^”]*”?")
_OF_ONE = (": ", " before ", " after ", " for ", " of ", " the node ")


def _kind(name: str) -> str:
    """The name of a control without numbers and without what it belongs to: `Remove field 2` is like `Remove field 1`."""
    name = QUOTED.sub("“”", name)
    for word in _OF_ONE:
        name = name.split(word, 1)[0] + (word if word in name else "")
    return "".join(one for one in name if not one.isdigit())


@dataclass
class Presses:
    """Presses all controls of pages in one tab. `wrong` collects what was wrong, each with the presses that led to it."""

    page: Page
    log: Callable[[], str]
    #: Says what is wrong with the looks of the page, or of its open dialogs and menus, which the given selector matches.
    look: Callable[[Page, str | None], list[str]] = lambda _page, _layer: []
    #: Gives the tab a session of its own: see `MAX_PAGES`.
    sign_in_anew: Callable[[], None] = lambda: None
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
    _late: Counter[tuple[str, ...]] = field(default_factory=Counter)
    _opened: int = 0
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
        self._open([], 0)
        self._note_look([])
        self._press_all([], 0)
        self._note_look(["(all pressed)"])

    def _press_all(self, way: list[str], depth: int) -> None:
        """Presses each control of the layer to which the presses of `way` lead from the opened page. `depth` is how many
        layers there are then; 0 is the page itself.

        It looks anew before each press, as the press before may have drawn, opened or closed something.
        """
        last = ""
        while True:
            seen = self._ask(CONTROLS)
            if not seen["pressed"] or seen["layers"] < depth:
                if not self._open(way, depth):
                    return
                continue
            if seen["layers"] > depth:
                if last and len(way) < self.deepest:
                    step, last = [*way, last], ""
                    self._note_look(step)
                    self._press_all(step, seen["layers"])
                self._leave(way, depth)
                continue
            self.links.update(seen["links"])
            # what a drawer holds is beside the page's content in a wide window: it is pressed once, as that is
            control = self._next(seen["found"], "" if seen["drawer"] or not way else _kind(way[-1]))
            if control is None:
                return
            pressed = self._press(control["number"], control["name"], way)
            if pressed:
                last = control["name"]
            elif pressed is None and self._late[control["key"]] < PATIENCE:
                self._late[control["key"]] += 1
                self._done.discard(control["key"])

    def _next(self, found: list[dict[str, Any]], place: str) -> dict[str, Any] | None:
        """The first of these controls that was not pressed yet. `place` is what opened their layer."""
        for control in found:
            if any(word in control["name"].lower() for word in NEVER):
                continue
            area = "frame" if control["frame"] else self._area
            alike = (area, place, control["alike"])
            if control["alike"] and self._alike[alike] >= self.most_alike:
                continue
            # a node is called what it has done, too, so it is known by its id
            key = (area, place, control["role"] or control["kind"], _kind(control["node"] or control["name"]))
            if key not in self._done:
                self._done.add(key)
                self._alike[alike] += 1
                return {**control, "key": key}
        return None

    def _press(self, number: int, name: str, way: list[str]) -> bool | None:
        """Presses a control. Returns False when it cannot be pressed, None when a layer has opened above it meanwhile."""
        aim = self._ask(AIM, number)
        if aim is not None and aim["covered"] == "the end of the canvas":
            self.page.locator("[data-testid=tool-fit]").click()
            self._settle()
            aim = self._ask(AIM, number)
        if aim is None:
            return False
        if aim.get("late"):
            return None
        if aim["covered"]:
            self._say([*way, name], f"is covered by {aim['covered']}")
            return False
        self.count += 1
        self.page.mouse.click(aim["x"], aim["y"])
        self._settle()
        self._hear([*way, name])
        return True

    def _settle(self) -> None:
        """Waits until the server has answered a press and the browser has drawn what came."""
        try:
            self.page.evaluate(SETTLED, SETTLE_MS)
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

    def _leave(self, way: list[str], depth: int) -> None:
        """Closes what a press has opened; opens the page again when that does not lead back."""
        for _ in range(self.deepest + 2):
            if self._layers() <= depth:
                return
            self.page.keyboard.press("Escape")
            self._settle()
        self._open(way, depth)

    def _open(self, way: list[str], depth: int) -> bool:
        """Opens the page, then presses what leads to the layer of `way`. Returns whether it is there."""
        self._opened += 1
        if self._opened % MAX_PAGES == 0:
            self.sign_in_anew()
        try:
            self.page.goto(self._path)
        except BrowserError:  # the last press led to another page, whose arrival interrupts this one
            self.page.goto(self._path)
        self.page.locator("[data-loaded=true], h1, .fp-plain").first.wait_for()
        self.page.add_style_tag(content=STILL)
        self.page.evaluate("window.pressed = true")
        self._settle()
        self._hear(["(opened)"])
        for number, name in enumerate(way, 1):
            named = [one for one in self._ask(CONTROLS)["found"] if one["name"] == name]
            if not named or (aim := self._ask(AIM, named[0]["number"])) is None:
                return False
            self.page.mouse.click(aim["x"], aim["y"])
            for _ in range(PATIENCE):
                self._settle()
                if self._layers() >= number:
                    break
        return self._layers() == depth

    def _note_look(self, way: list[str]) -> None:
        try:
            dialogs = self._ask(CONTROLS)["dialogs"]
            if way and not dialogs:
                self._rest()
            if self.page.evaluate(WIDER_THAN_WINDOW):
                self._say(way, "the page is wider than the window")
            for finding in self.look(self.page, LAYER if dialogs else None):
                self._say(way, finding)
        except BrowserError as error:
            if "navigation" not in str(error):
                raise
            self.page.wait_for_load_state("domcontentloaded")  # a press led to another page, which is being opened

    def _rest(self) -> None:
        """Moves the mouse to a place without a tooltip, which lies in no part of the page."""
        size = self.page.viewport_size
        assert size is not None
        for place in ((0, 0), (size["width"] - 1, size["height"] - 1), (size["width"] / 2, 1)):
            self.page.mouse.move(*place)
            self._settle()
            with contextlib.suppress(NeverCame):
                self.page.wait_for_function("() => !document.querySelector('.q-tooltip')", timeout=1_000)
                return

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
