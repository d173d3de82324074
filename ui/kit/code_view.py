"""Shows code and JSON values with text elements only, never as HTML.

code(text, "shell")                          a code block with Copy; languages: json, shell, python, javascript, text
code(text, "json", copy=False, inside=True)  without Copy; framed, for use inside a card
value_view(value, label="Output of Summarise", download=url_or_function, on_pick=pick)
                                             Tree / Text / Raw; longer than 10 KB it is cut and offers the download
    on_pick(path)                            makes every key of the tree a button; path is a tuple of names and numbers
tokens_of(text, "json") -> [(class, text)]   pure; class "" is plain
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nicegui import ui

from ui.kit.parts import button, copy_button, icon, link_button, segments, words
from ui.kit.text import ENGLISH, Reader, _, number, size

#: Longer values are cut on screen.
CUT = 10 * 1024
_MAX_TOKENS = 600
_MAX_CHILDREN = 100
_MAX_NODES = 500

# The closing quote is optional and the quantifiers are possessive: with backtracking from each quote a long line would
# take minutes.
_DOUBLE = r'"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"?+'
_STRING = _DOUBLE + r"|'[^'\\\n]*+(?:\\.[^'\\\n]*+)*+'?+"
_NUMBER = r"(?<![\w$])-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w])"
_PATTERNS: dict[str, re.Pattern[str]] = {
    "json": re.compile(rf"(?P<k>{_DOUBLE}(?=\s*+:))|(?P<s>{_DOUBLE})|(?P<n>" + _NUMBER + r"|\b(?:true|false|null)\b)"),
    "shell": re.compile(r"(?P<c>(?m:^[^\S\n]*+#.*$))|(?P<s>" + _STRING + r")"),
    "python": re.compile(
        r"(?P<c>#.*)|(?P<s>" + _STRING + r")|(?P<w>\b(?:import|from|as|def|return|while|for|in|if|else|not|and|or|with|"
        r"True|False|None|print|raise|try|except|async|await|class|pass|break)\b)|(?P<n>" + _NUMBER + r")"
    ),
    "javascript": re.compile(
        r"(?P<c>//.*)|(?P<s>"
        + _STRING
        + r"|`[^`\\]*+(?:\\.[^`\\]*+)*+`?+)|(?P<w>\b(?:const|let|var|await|async|function|return|while|"
        r"for|of|if|else|new|import|from|export|true|false|null|throw|try|catch|break)\b)|(?P<n>" + _NUMBER + r")"
    ),
}


def tokens_of(text: str, language: str) -> list[tuple[str, str]]:
    """Splits the text into (CSS class of the colour, piece). The pieces joined are the text."""
    pattern = _PATTERNS.get(language)
    if pattern is None:
        return [("", text)]
    pieces: list[tuple[str, str]] = []
    at = 0
    for match in pattern.finditer(text):
        if match.start() > at:
            pieces.append(("", text[at : match.start()]))
        pieces.append((f"fp-{match.lastgroup}", match.group()))
        at = match.end()
    if at < len(text):
        pieces.append(("", text[at:]))
    return pieces if len(pieces) <= _MAX_TOKENS else [("", text)]


def code(text: str, language: str = "text", *, copy: bool = True, inside: bool = False, name: str = "") -> ui.element:
    """Draws a code block that scrolls and can get the keyboard focus; `name` is its accessible name."""
    with ui.element("div").classes("fp-codebox") as box:
        with ui.element("pre").classes("fp-code").classes("fp-code--in" if inside else "").props("tabindex=0") as block:
            block.props["aria-label"] = name or _("Code")
            block.props("role=group")
            for classes, piece in tokens_of(text, language):
                words(piece, classes)
        if copy:
            copy_button(text, name=_("Copy {name}").format(name=name) if name else _("Copy the code")).classes(
                "fp-copy"
            )
    return box


def value_view(
    value: Any,
    *,
    label: str,
    download: str | Callable[[], Any] | None = None,
    on_pick: Callable[[tuple[str | int, ...]], Any] | None = None,
    reader: Reader = ENGLISH,
) -> ui.element:
    """Shows a JSON value as Tree, Text (strings unescaped) or Raw (JSON)."""
    raw = json.dumps(value, ensure_ascii=False, indent=2)
    readable = value if isinstance(value, str) else raw

    def show(way: str) -> None:
        place.clear()
        with place:
            if way == "tree":
                with ui.element("div").classes("fp-tree").props("tabindex=0 role=group") as tree:
                    tree.props["aria-label"] = label
                    _Tree(on_pick, reader).draw(value)
            elif way == "text":
                words(readable[:CUT], "fp-code fp-code--in fp-code--wrap", tag="pre").props("tabindex=0")
            else:
                code(raw[:CUT], "json", inside=True, copy=len(raw) <= CUT, name=label)
            _cut_note(raw, download, reader)

    ways = {"tree": _("Tree"), "text": _("Text"), "raw": _("Raw")}
    with ui.element("div") as whole:
        with ui.element("div").classes("fp-view-head"):
            words(label, "fp-b fp-s13 fp-cut")
            words("", "fp-sp")
            segments(ways, "tree", show, label=_("Show as"))
        place = ui.element("div")
    show("tree")
    return whole


def _cut_note(raw: str, download: str | Callable[[], Any] | None, reader: Reader) -> None:
    length = len(raw.encode("utf-8", "replace"))
    if length <= CUT:
        return
    with ui.element("div").classes("fp-row fp-s12 fp-t3").style("margin-top: 6px"):
        words(
            _("Shown: the first {shown_size} of {length}.").format(
                shown_size=size(CUT, reader), length=size(length, reader)
            )
        )
        if isinstance(download, str):
            link_button(_("Download all of it"), download, icon="download", kind="link", small=True).props("download")
        elif download is not None:
            button(_("Download all of it"), download, icon="download", kind="link", small=True)


class _Tree:
    """Draws nested values. It stops after a fixed number of nodes, so that a large value cannot block the page."""

    def __init__(self, on_pick: Callable[[tuple[str | int, ...]], Any] | None, reader: Reader) -> None:
        self.on_pick = on_pick
        self.reader = reader
        self.left = _MAX_NODES
        self.characters = CUT

    def draw(self, value: Any, path: tuple[str | int, ...] = ()) -> None:
        if isinstance(value, Mapping):
            self._children([(str(key), one) for key, one in value.items()], path)
        elif isinstance(value, Sequence) and not isinstance(value, str):
            self._children(list(enumerate(value)), path)
        else:
            self._leaf(value)

    def _children(self, items: Sequence[tuple[str | int, Any]], path: tuple[str | int, ...]) -> None:
        if not items:
            words(_("nothing in it"), "fp-t3")
        shown = 0
        for key, one in items[:_MAX_CHILDREN]:
            if self.left <= 0 or self.characters <= 0:
                break
            self.left -= 1
            shown += 1
            if isinstance(one, Mapping | list | tuple) and one:
                self._branch(key, one, (*path, key), opened=not path or (len(path) == 1 and len(items) <= 10))
            else:
                with ui.element("div").classes("fp-leaf"):
                    self._key(key, (*path, key))
                    self._leaf(one)
        if shown < len(items):
            words(
                _("and {count} more").format(count=number(len(items) - shown, self.reader)), "fp-t3 fp-leaf", tag="div"
            )

    def _branch(self, key: str | int, value: Any, path: tuple[str | int, ...], *, opened: bool) -> None:
        """Draws an object or a list with its key. page.js collapses it without a request to the server."""
        with ui.element("div").classes("fp-branch"):
            with ui.element("button").classes("fp-twist").props("type=button") as twist:
                twist.props["aria-expanded"] = "true" if opened else "false"
                icon("chevron_right", size=14)
                if self.on_pick is None:
                    self._key(key, path)
                else:
                    words(_("Inside {key}").format(key=key), "fp-hide")
            if self.on_pick is not None:
                self._key(key, path)
            words(self._word(value), "fp-t3")
        twist.on("click", js_handler="(event) => window.fpFold(event)")
        with ui.element("div").classes("fp-kids").props("" if opened else "hidden"):
            self.draw(value, path)

    def _key(self, key: str | int, path: tuple[str | int, ...]) -> None:
        classes = "fp-k" if isinstance(key, str) else "fp-t3"
        if self.on_pick is None:
            words(str(key), classes)
            return
        pick = self.on_pick
        words(str(key), f"fp-key {classes}", tag="button").props("type=button").on("click", lambda: pick(path), [])

    def _word(self, value: Any) -> str:
        kind = _("Group") if isinstance(value, Mapping) else _("List")
        return f"{kind}, {number(len(value), self.reader)}"

    def _leaf(self, value: Any) -> None:
        if isinstance(value, str):
            text, classes = f'"{value[: max(self.characters, 0)]}"', "fp-s"
        elif isinstance(value, Mapping | list | tuple):
            text, classes = self._word(value), "fp-t3"
        else:
            text, classes = json.dumps(value), "fp-n"
        self.characters -= len(text)
        words(text, f"fp-v {classes}")
