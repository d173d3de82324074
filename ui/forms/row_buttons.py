"""The buttons of a row that can be moved and removed. They stay when the row gets another place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nicegui import ui

from ui.kit.parts import icon_button
from ui.kit.text import _


class RowButtons:
    """Draws the buttons into the current container. Without `move` a row is only removed."""

    def __init__(self, remove: Callable[[], Any], move: Callable[[int], Any] | None = None) -> None:
        self._up: ui.button | None = None
        self._down: ui.button | None = None
        if move is not None:
            self._up = icon_button("arrow_upward", "", lambda: move(-1), tip=False)
            self._down = icon_button("arrow_downward", "", lambda: move(1), tip=False)
        self._close = icon_button("close", "", remove, tip=False)

    def name(self, name: str, at: int, count: int) -> None:
        """Takes the name of the row and its place."""
        self._close.props["aria-label"] = f"{_('Remove')} {name}"
        if self._up is None or self._down is None:
            return
        self._up.props["aria-label"] = f"{_('Move up')} {name}"
        self._down.props["aria-label"] = f"{_('Move down')} {name}"
        self._up.visible = self._down.visible = count > 1
        self._up.set_enabled(at > 0)
        self._down.set_enabled(at < count - 1)
