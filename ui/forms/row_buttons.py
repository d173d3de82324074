"""The buttons of a row that can be moved and removed. They stay when the row gets another place.

The keyboard stays with them: a moved row keeps the focus on the button that moved it, and after a removal the focus goes
to the row that took the place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nicegui import ui

from ui.kit.parts import icon_button
from ui.kit.text import _

#: Browser handler: moves the focus out of a row before it is removed, to the next row, the one before, or what adds one.
_LEAVE = """(event) => {
  const row = event.currentTarget.closest(".fp-item, .fp-block, .fp-pairrow, .fp-free");
  const near = [row?.nextElementSibling, row?.previousElementSibling].map((one) => one?.querySelector("[data-remove]"));
  (near.find(Boolean) ?? row?.parentElement.parentElement.querySelector(":scope > button"))?.focus();
}"""


def moved(rows: list[Any], row: Any, by: int) -> bool:
    """Moves a row up or down in its list and on the page. False when it is at that end already."""
    at = rows.index(row)
    to = at + by
    if not 0 <= to < len(rows):
        return False
    rows.insert(to, rows.pop(at))
    row.element.move(target_index=to)
    return True


class RowButtons:
    """Draws the buttons into the current container. Without `move` a row is only removed."""

    def __init__(self, remove: Callable[[], Any], move: Callable[[int], Any] | None = None) -> None:
        self._move = move
        self._up: ui.button | None = None
        self._down: ui.button | None = None
        if move is not None:
            self._up = icon_button("arrow_upward", "", lambda: self._moved(-1), tip=False)
            self._down = icon_button("arrow_downward", "", lambda: self._moved(1), tip=False)
        self._close = icon_button("close", "", remove, tip=False)
        self._close.props["data-remove"] = ""
        self._close.on("click", js_handler=_LEAVE)

    def name(self, name: str, at: int, count: int) -> None:
        """Takes the name of the row and its place."""
        self._close.props["aria-label"] = _("Remove {name}").format(name=name)
        if self._up is None or self._down is None:
            return
        self._up.props["aria-label"] = _("Move up {name}").format(name=name)
        self._down.props["aria-label"] = _("Move down {name}").format(name=name)
        self._up.visible = self._down.visible = count > 1
        self._up.set_enabled(at > 0)
        self._down.set_enabled(at < count - 1)

    def _moved(self, by: int) -> Any:
        assert self._move is not None
        assert self._up is not None
        assert self._down is not None
        done = self._move(by)
        pressed, other = (self._up, self._down) if by < 0 else (self._down, self._up)
        kept = pressed if pressed.enabled else other
        kept.client.run_javascript(f"requestAnimationFrame(() => getHtmlElement({kept.id})?.focus())")
        return done
