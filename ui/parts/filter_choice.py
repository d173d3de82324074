"""The choice of one value of a filter above a list."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nicegui import ui


def filter_choice(label: str, options: Mapping[str, str], value: str, choose: Callable[[str], Any]) -> None:
    """Draws a choice among `options` (value -> word), of which "" is the one that filters nothing. It stands for a `value`
    that is none of them, too. `choose` is called with each value that somebody chooses.
    """
    choice = ui.select(dict(options), value=value if value in options else "")
    choice.props("outlined dense options-dense").classes("fp-filter")
    choice.props["aria-label"] = label
    choice.on_value_change(lambda event: choose(event.value or ""))
