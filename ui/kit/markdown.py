"""Markdown as a page shows it. The one file that may hand HTML to the browser, and only cleaned."""

from __future__ import annotations

from nicegui import ui

from engine.core.safe_markdown import clean_html


def markdown(text: str) -> ui.html:
    """A block of rendered markdown."""
    return ui.html(clean_html(text), sanitize=False).classes("fp-md")
