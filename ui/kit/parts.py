"""Small visual elements that all pages share.

Words and icons
    words("text", "fp-t2", tag="p")       a text element (never HTML); the default tag is span
    sentence("Like `url`.", "fp-hint")    text in which names in backticks are drawn as code
    link("Saved Flows", "/flows")         an anchor
    icon("schema", size=20)               Material Symbol by name; 14, 16, 18, 20 or 32 px; hidden from screen readers
    tile("web", "travel_explore")         icon tile in the colour of a node group; small=True for 26 px

Buttons (kind: main, normal, quiet, link, danger, danger_main)
    button("Save", save, icon="save", kind="main", small=False, big=False) -> ui.button
    link_button("Open", "/flows/x", icon="schema")
    icon_button("close", "Close", close)  round; the name is its accessible name and its tooltip
    copy_button("text to copy")           label Copy; copies in the browser, says Copied
    disabled_button("Deploy API", "Connect a step to API Input first.", fix="Show me", on_fix=show)
    with menu_button("More for Web shop"): menu_item("Rotate", rotate); menu_item("Delete...", delete, icon="delete", danger=True)
    with button("All flows", icon="schema"), drop_menu("Flows"): menu_item(...)       a menu on any element
    segments({"tree": "Tree", "text": "Text"}, "tree", on_change) -> ui.toggle

States
    badge("2 changes", kind="warn", icon="edit")
    status_badge("completed"), status_badge("live", "Live v4"), status_line("failed", "Failed, 4 min ago") (no frame)
    environment_badge("live" | "test" | "dev" | "playground")
    chip("Summarise › facts", icon="auto_awesome", bad=False); pick_chip("title", "Text", on_pick)
    note("sentence", kind="warn", icon="edit") -> element to enter for more content (kind: "", ok, warn, bad, sim, acc)

Blocks
    with card("Title", "hint") as one:    with one.head: ... (right side); content goes inside
    key_values([("Model", "gpt-4.1-mini")])
    t = table(["Label", Column("Errors", right=True)], label="API keys"); with t.row(): t.cell("text"); with t.cell(): ...
    table(..., stacks=True)               on a phone each row breaks into lines
    meter(8710, 10000, label="Month's quota")
Code and JSON values are in `ui/kit/code_view.py`, errors, toasts and dialogs in `ui/kit/feedback.py`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from msgspec import Struct
from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement
from nicegui.events import ValueChangeEventArguments

from ui.kit.text import _

Kind = Literal["", "ok", "warn", "bad", "acc", "sim"]
ButtonKind = Literal["main", "normal", "quiet", "link", "danger", "danger_main"]

_BUTTONS: dict[ButtonKind, tuple[str, str, str | None]] = {  # props, classes, Quasar colour
    "main": ("unelevated", "", "primary"),
    "normal": ("outline", "", None),
    "quiet": ("flat", "", None),
    "link": ("flat", "fp-link", None),
    "danger": ("outline", "fp-danger", None),
    "danger_main": ("unelevated", "", "negative"),
}

#: State -> (label, icon, kind). An icon of None is a dot.
STATES: dict[str, tuple[str, str | None, Kind]] = {
    "live": (_("Live"), None, "ok"),
    "saved": (_("Not deployed"), "folder_open", ""),
    "draft_differs": (_("Draft differs"), "edit", "warn"),
    "not_saved": (_("Not saved yet"), "edit", ""),
    "undeployed": (_("Undeployed"), "cloud_off", ""),
    "completed": (_("Completed"), "check_circle", "ok"),
    "steps_failed": (_("Completed with failed steps"), "warning", "warn"),
    "done": (_("Done"), "check_circle", "ok"),
    "processing": (_("Running"), "progress_activity", "acc"),
    "running": (_("Running"), "progress_activity", "acc"),
    "queued": (_("Waiting"), "schedule", ""),
    "waiting": (_("Waiting"), "schedule", ""),
    "asks": (_("Waits for a person"), "how_to_reg", "warn"),
    "cancelling": (_("Cancelling"), "progress_activity", ""),
    "cancelled": (_("Cancelled"), "cancel", ""),
    "failed": (_("Failed"), "error", "bad"),
    "refused": (_("Refused"), "block", "bad"),
    "skipped": (_("Skipped"), "skip_next", ""),
    "reused": (_("Reused"), "history", ""),
    "simulated": (_("Simulated"), "science", "sim"),
    "problem": (_("1 problem"), "warning", "warn"),
    "new": (_("New"), None, "ok"),
}
ENVIRONMENTS: dict[str, tuple[str, str, Kind]] = {
    "live": (_("Production"), "public", "acc"),
    "test": (_("Staging"), "layers", ""),
    "dev": (_("Development"), "code", ""),
    "playground": (_("Playground"), "schema", ""),
}


class Words(TextElement):
    """A text element of any tag. Its content is set as text, never as HTML."""

    def __init__(self, text: str, tag: str) -> None:
        super().__init__(tag=tag, text=text)


def words(text: str, classes: str = "", *, tag: str = "span") -> Words:
    """Creates a text element; its `.text` can be changed later."""
    element = Words(text, tag)
    if classes:
        element.classes(classes)
    return element


def sentence(text: str, classes: str = "", *, tag: str = "p") -> ui.element:
    """Creates a text element in which `names in backticks` are drawn as code."""
    if "`" not in text:
        return words(text, classes, tag=tag)
    with ui.element(tag).classes(classes) as element:
        for at, piece in enumerate(text.split("`")):
            if piece:
                words(piece, tag="code" if at % 2 else "span")
    return element


def link(text: str, path: str, classes: str = "", *, new_tab: bool = False) -> Words:
    """Creates an anchor. Enter it to put icons before further text.

    Help pages open in a new tab in any case, so that nobody loses the place that they needed help with.
    """
    anchor = words(text, classes, tag="a")
    anchor.props["href"] = path
    if new_tab or is_help(path):
        anchor.props("target=_blank rel=noopener")
        if text:
            with anchor:
                new_tab_sign()
    return anchor


def is_help(path: str) -> bool:
    """True for the address of a help page."""
    return path == "/docs" or path.startswith("/docs/")


def new_tab_sign() -> None:
    """Draws the sign of links that open in a new tab."""
    icon("open_in_new", "fp-new-tab", size=14)


def icon(name: str, classes: str = "", *, size: Literal[14, 16, 18, 20, 32] = 18) -> ui.icon:
    """Creates a Material Symbol by name (`schema`). Screen readers skip it: the text beside an icon says the same."""
    element = ui.icon(f"sym_o_{name}").classes("fp-i").classes(classes)
    if name == "progress_activity":
        element.classes("fp-spin")
    return element if size == 18 else element.classes(f"fp-i{size}")


_icon = icon  # for functions with a parameter of this name


def tile(group: str, name: str, *, small: bool = False) -> ui.element:
    """Creates the icon tile of a node. Groups are `io`, `web`, `ai`, `lists`, `transform` and `logic`."""
    with ui.element("span").classes(f"fp-tile-i fp-g-{group}").classes("fp-sm" if small else "") as element:
        icon(name, size=16 if small else 20)
    return element


def button(
    text: str,
    on_click: Callable[..., Any] | None = None,
    *,
    icon: str | None = None,
    kind: ButtonKind = "normal",
    small: bool = False,
    big: bool = False,
) -> ui.button:
    """Creates a button whose label starts with a verb. A view has one `main` button, for the most likely next step."""
    props, classes, color = _BUTTONS[kind]
    element = ui.button(text, on_click=on_click, icon=f"sym_o_{icon}" if icon else None, color=color)
    element.props(f"{props} no-caps :ripple=false").classes(classes)
    if small:
        element.props("dense")
    return element.classes("fp-big") if big else element


def link_button(
    text: str,
    path: str,
    *,
    icon: str | None = None,
    kind: ButtonKind = "normal",
    small: bool = False,
    new_tab: bool = False,
) -> ui.button:
    """Creates an anchor that looks like a button, so that it can be opened in a new tab; `new_tab`: it is."""
    element = button(text, icon=icon, kind=kind, small=small)
    element.props["href"] = path
    if new_tab:
        element.props("target=_blank rel=noopener")
        with element:
            new_tab_sign()
    return element


def icon_button(
    name: str, label: str, on_click: Callable[..., Any] | None = None, *, large: bool = False, tip: bool = True
) -> ui.button:
    """Creates a round button with an icon; `label` is its accessible name and its tooltip."""
    element = ui.button(icon=f"sym_o_{name}", on_click=on_click, color=None)
    element.props("flat round no-caps :ripple=false").classes("fp-ib--l" if large else "")
    element.props["aria-label"] = label
    if tip:
        with element:
            ui.tooltip(label).props("delay=400")
    return element


def copy_button(
    text: str, label: str = "", *, name: str = "", kind: ButtonKind = "normal", small: bool = True
) -> ui.button:
    """Creates a button that copies `text` in the browser.

    `name` tells screen readers what is copied when the label is only "Copy".
    """
    element = button(label or _("Copy"), icon="content_copy", kind=kind, small=small)
    element.props["data-copy"] = text
    if name:
        element.props["aria-label"] = name
    return element.on("click", js_handler="(event) => window.fpCopy(event)")


def disabled_button(
    text: str,
    reason: str,
    *,
    icon: str | None = None,
    kind: ButtonKind = "main",
    fix: str = "",
    on_fix: Callable[..., Any] | None = None,
) -> ui.element:
    """Creates a disabled button with the reason beside it.

    `fix` is the label of a second button, which leads to the place where the reason can be removed.
    """
    with ui.element("div").classes("fp-row").style("flex-wrap: wrap") as row:
        stopped = button(text, icon=icon, kind=kind)
        stopped.disable()
        with ui.element("span").classes("fp-why") as why:
            stopped.props["aria-describedby"] = why.html_id
            _icon("info", size=16)
            words(reason)
            if fix:
                button(fix, on_fix, kind="link", small=True)
    return row


def menu_item(
    text: str, on_click: Callable[..., Any] | None = None, *, icon: str | None = None, danger: bool = False
) -> ui.menu_item:
    """Creates an entry of a `ui.menu`. The first click closes the menu, so the second one of a double click does nothing."""
    item = (
        ui.menu_item(on_click=_once_each_opening(on_click)).classes("fp-bad" if danger else "").props("role=menuitem")
    )
    with item:
        if icon:
            _icon(icon)
        words(text)
    return item


def _once_each_opening(work: Callable[..., Any] | None) -> Callable[..., Any] | None:
    """Returns a handler for an entry of the menu that is drawn now, which acts once each time that menu is opened."""
    menu = next((one for one in ui.context.slot.parent.ancestors(include_self=True) if isinstance(one, ui.menu)), None)
    if work is None or menu is None:
        return work
    used = False

    def opened(event: ValueChangeEventArguments[bool]) -> None:
        nonlocal used
        used = used and not event.value

    @functools.wraps(work)
    def once(*args: Any, **kwargs: Any) -> Any:
        nonlocal used
        if used:
            return None
        used = True
        return work(*args, **kwargs)

    menu.on_value_change(opened)
    return once


@contextmanager
def drop_menu(label: str, props: str = "") -> Iterator[ui.menu]:
    """Creates a menu that a click on the current element opens; enter it to add `menu_item`s."""
    with ui.menu().props(f"role=dialog {props}") as menu, ui.element("div").props("role=menu") as entries:
        menu.props["aria-label"] = label
        entries.props["aria-label"] = label
        yield menu


@contextmanager
def menu_button(label: str, *, name: str = "more_horiz") -> Iterator[ui.menu]:
    """Creates an icon button that opens a menu; enter it to add `menu_item`s and `ui.separator()`s."""
    with icon_button(name, label, tip=False).props("aria-haspopup=menu"), drop_menu(label) as menu:
        yield menu


def segments(options: Mapping[str, str], value: str, on_change: Callable[[str], Any], *, label: str) -> ui.toggle:
    """Creates a row of choices of which one is selected (Tree, Text, Raw)."""
    toggle = ui.toggle(dict(options), value=value, on_change=lambda event: on_change(event.value))
    toggle.props(
        "unelevated no-caps :ripple=false toggle-color=fp toggle-text-color=fp"
    )  # Quasar has no colour `fp`, so it sets none of its own
    toggle.props("role=group")
    toggle.props["aria-label"] = label
    return toggle


def badge(text: str, *, kind: Kind = "", icon: str | None = None, dot: bool = False) -> ui.element:
    """Creates a framed label for a state, a count or an environment."""
    with ui.element("span").classes("fp-bdg").classes(f"fp-bdg--{kind}" if kind else "") as element:
        if dot:
            words("", "fp-dot").style("margin-left: 2px")
        elif icon:
            _icon(icon, size=14)
        words(text)
    return element


def unreadable_badge() -> None:
    """Creates the badge of a stored key or secret that another key of the server has sealed."""
    badge(_("Cannot be read any more: enter it again"), kind="bad", icon="key_off")


def status_badge(state: str, text: str = "") -> ui.element:
    """Creates the badge of a state of `STATES`. `text` replaces its label ("Live v4", "2 problems")."""
    word, symbol, kind = STATES[state]
    return badge(text or word, kind=kind, icon=symbol, dot=symbol is None)


def status_line(state: str, text: str = "") -> ui.element:
    """Creates the badge of a state without a frame, for tables and lists ("Failed, 4 min ago")."""
    word, symbol, kind = STATES[state]
    with ui.element("span").classes("fp-st").classes(f"fp-{kind}" if kind else "fp-t2") as element:
        if symbol is None:
            words("", "fp-dot")
        else:
            _icon(symbol, size=16)
        words(text or word)
    return element


def status_icon(state: str) -> ui.element:
    """Creates the coloured icon of a state for a row whose text is a name. Screen readers get the state's label."""
    word, symbol, kind = STATES[state]
    with ui.element("span").classes(f"fp-{kind}" if kind else "fp-t2") as element:
        _icon(symbol or "circle", size=16)
        words(word, "fp-hide")
    return element


def environment_badge(environment: str) -> ui.element:
    """Creates the badge of an environment: Production, Staging or Development for `live`, `test`, `dev`."""
    word, symbol, kind = ENVIRONMENTS[environment]
    return badge(word, kind=kind, icon=symbol)


def chip(text: str, *, icon: str = "", bad: bool = False) -> ui.element:
    """Creates the chip of a value from an earlier step ("Summarise › facts"). `bad`: the value cannot be found."""
    with ui.element("span").classes("fp-chip").classes("fp-chip--bad" if bad else "").props("tabindex=0") as element:
        if icon:
            _icon(icon, size=14)
        words(text)
    return element


def pick_chip(name: str, type_word: str, on_pick: Callable[[], Any] | None = None) -> ui.element:
    """Creates the chip of a value that can be selected, with its type. A click or Enter calls `on_pick`."""
    with ui.element("button").classes("fp-chip fp-chip--pick").props("type=button") as element:
        words(name)
        words(type_word, "fp-ty")
    return element.on("click", on_pick, []) if on_pick else element


def note(text: str = "", *, kind: Kind = "", icon: str = "info", strong: str = "") -> ui.element:
    """Creates a highlighted strip with a sentence that begins with `strong` in bold. Enter it to add a button."""
    with ui.element("div").classes("fp-note").classes(f"fp-note--{kind}" if kind else "") as element:
        _icon(icon, f"fp-{kind}" if kind else "fp-t3")
        with ui.element("span").style("min-width: 0; flex: 1"):
            if strong:
                words(strong + " ", "fp-b")
            sentence(text, tag="span")
    return element


def show_in_place(element: ui.element, *, shown: bool) -> None:
    """Shows or hides an element. Once it was shown its room stays, so that nothing below it moves."""
    element.visible = element.visible or shown
    element.classes(add="" if shown else "fp-kept-room", remove="fp-kept-room" if shown else "")


class Card(ui.element):
    """A card. Elements entered into `head` are placed at the right of its title line, `title` is its heading."""

    def __init__(self) -> None:
        super().__init__("section")
        self.classes("fp-card")
        self.head: ui.element
        self.title: Words


@contextmanager
def card(title: str = "", hint: str = "", *, padded: bool = True) -> Iterator[Card]:
    """Creates and enters a card. Without `padded` its content touches the border (tables, rows)."""
    element = Card()
    with element:
        if title:
            with ui.element("div").classes("fp-ch"):
                element.title = words(title, tag="h2")
                element.props["aria-labelledby"] = element.title.html_id
                if hint:
                    words(hint, "fp-s13 fp-t3")
                words("", "fp-sp")
                element.head = ui.element("div").classes("fp-row")
        with ui.element("div").classes("fp-body" if padded else ""):
            yield element


def key_values(pairs: Sequence[tuple[str, str]]) -> ui.element:
    """Draws names and values in two columns."""
    with ui.element("dl").classes("fp-kv") as element:
        for name, value in pairs:
            words(name, tag="dt")
            words(value, tag="dd")
    return element


def meter(value: float, limit: float, *, label: str) -> ui.element:
    """Draws how much of a limit is used; the bar is amber from 80 %."""
    share = min(1.0, value / limit) if limit > 0 else 1.0
    with ui.element("div").classes("fp-meter").classes("fp-meter--warn" if share >= 0.8 else "") as element:
        element.props(f"role=meter aria-valuemin=0 aria-valuenow={value:g} aria-valuemax={limit:g}")
        element.props["aria-label"] = label
        ui.element("span").style(f"width: {share * 100:.1f}%")
    return element


#: The browser follows a link itself; without this filter the row's handler would open the page a second time.
_UNLESS_ON_A_LINK = "(event) => event.target.closest('a') || emit()"


class Column(Struct, frozen=True):
    """One column of a table.

    `hidden`: the title is for screen readers only (a column of buttons). `named`: a stacked row shows the title before
    the value, as it does in each column at the right.
    """

    title: str
    right: bool = False
    hidden: bool = False
    width: str = ""
    named: bool = False


class TableElement(ui.element):
    """A table in the style of the product; rows and cells are added in order."""

    def __init__(self, columns: Sequence[Column], label: str) -> None:
        super().__init__("div")
        self.classes("fp-scroll")
        self._columns = columns
        self._at = 0
        with self, ui.element("table").classes("fp-tb") as whole:
            whole.props["aria-label"] = label
            with ui.element("thead"), ui.element("tr"):
                for column in columns:
                    with ui.element("th").classes("fp-r" if column.right else "").props("scope=col") as head:
                        words(column.title, "fp-hide" if column.hidden else "")
                    if column.width:
                        head.style(f"width: {column.width}")
            self.body = ui.element("tbody")

    @contextmanager
    def row(self, *, on_open: Callable[[], Any] | None = None) -> Iterator[ui.element]:
        """Adds a row. With `on_open` a click anywhere in it calls the handler; its first cell needs a link for the
        keyboard.

        A click on a link within the row does not call the handler: the browser follows the link, possibly in another
        tab.
        """
        self._at = 0
        with self.body, ui.element("tr") as row:
            if on_open:
                row.classes("fp-open").on("click", on_open, [], js_handler=_UNLESS_ON_A_LINK)
            yield row

    def cell(self, text: str = "", classes: str = "") -> Words:
        """Adds the next cell to the row; enter it to add more content."""
        column = self._columns[self._at] if self._at < len(self._columns) else Column("")
        self._at += 1
        element = words(text, classes, tag="td").classes("fp-r" if column.right else "")
        if column.named or (column.right and not column.hidden):
            element.props["data-name"] = column.title  # shown before the value in stacked rows
        return element

    def clear_rows(self) -> None:
        """Removes all rows."""
        self.body.clear()


def table(columns: Sequence[str | Column], *, label: str, tall: bool = False, stacks: bool = False) -> TableElement:
    """Creates a table with the accessible name `label`.

    `tall`: for rows of two lines. `stacks`: on a phone each cell of a row is a line of its own, so that no column is
    cut off.
    """
    element = TableElement([Column(one) if isinstance(one, str) else one for one in columns], label)
    return element.classes("fp-tb--tall" if tall else "").classes("fp-stacks" if stacks else "")
