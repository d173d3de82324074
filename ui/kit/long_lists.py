"""Lists that a flow or a history can make so long that drawing them whole would stop the server: the first lines are
drawn, and it is said how many there are beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from nicegui import ui

from ui.kit.parts import button, words
from ui.kit.text import _, plural

T = TypeVar("T")

#: Most lines of a list that are drawn.
MAX_LINES = 200
#: How many rows are drawn at a press.
ROWS_AT_ONCE = 100


def first_lines(items: Sequence[T], *, most: int = MAX_LINES, tag: str = "li") -> Iterator[T]:
    """Yields the items to draw; then draws a line that says how many are left out, if any are."""
    yield from items[:most]
    tell_left_out(len(items) - most, tag=tag)


def tell_left_out(count: int, *, tag: str = "li") -> None:
    """Draws a line that says how many lines are left out; nothing when none is."""
    if count > 0:
        words(plural(count, _("more is not listed."), _("more are not listed.")), "fp-t3", tag=tag)


def draw_in_parts(rows: Sequence[T], draw: Callable[[T], None], verb: str) -> None:
    """Draws the first rows, and a button with this label, which draws the next ones at each press."""
    drawn = 0

    def more() -> None:
        nonlocal drawn
        for row in rows[drawn : drawn + ROWS_AT_ONCE]:
            draw(row)
        drawn += ROWS_AT_ONCE
        press.visible = drawn < len(rows)

    with ui.element("div").classes("fp-row fp-wrap-row fp-more-rows"):
        press = button(verb, more, kind="quiet", small=True)
    more()
