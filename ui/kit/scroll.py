"""Brings what was drawn just now into the visible part of the window."""

from __future__ import annotations

from typing import Literal

from nicegui import ui


def into_view(element: ui.element, block: Literal["nearest", "start", "center"] = "nearest") -> None:
    """Scrolls to the element. `nearest` scrolls as little as shows it, and not at all when all of it is visible."""
    element.client.run_javascript(f'fpIntoView("{element.html_id}", "{block}")')
