"""A tab bar: `tab_bar({"api": "API", ...}, "api", on_change)`; panels go into `ui.tab_panels(bar, value=...)`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nicegui import ui


def tab_bar(
    names: Mapping[str, str], value: str, on_change: Callable[[str], Any] | None = None, *, small: bool = False
) -> ui.tabs:
    """Draws a row of tabs (name -> label). `on_change(name)` is called when a tab is opened."""
    bar = ui.tabs(
        value=value,  # pyright: ignore[reportArgumentType] - NiceGUI accepts a name too
        on_change=None if on_change is None else lambda event: on_change(str(event.value)),
    )
    bar.props("no-caps align=left :ripple=false outside-arrows mobile-arrows").classes("" if small else "fp-page-tabs")
    if small:
        bar.props("dense")
    with bar:
        for name, word in names.items():
            ui.tab(name, label=word)
    return bar
