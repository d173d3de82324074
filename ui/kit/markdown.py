"""Renders Markdown on pages. This is the only file that sends HTML to the browser, and it sanitises that HTML."""

from __future__ import annotations

from nicegui import ui

from engine.core.safe_markdown import clean_html, foreign_html


def markdown(text: str) -> ui.html:
    """Draws rendered Markdown."""
    return ui.html(clean_html(text), sanitize=False).classes("fp-md")


def foreign_markdown(text: str) -> ui.html:
    """Draws rendered Markdown that a model or a web page wrote. Raises ValueError when it is too long."""
    return ui.html(foreign_html(text), sanitize=False).classes("fp-md fp-md--foreign")
