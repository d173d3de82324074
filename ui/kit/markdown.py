"""Renders Markdown on pages. This is the only file that sends HTML to the browser, and it sanitises that HTML."""

from __future__ import annotations

from nicegui import ui

from engine.core.safe_markdown import clean_html


def markdown(text: str) -> ui.html:
    """Draws rendered Markdown."""
    return ui.html(clean_html(text), sanitize=False).classes("fp-md")
