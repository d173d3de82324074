"""Markdown as a page shows it: rendered, then cleaned by nh3. The one file that may hand HTML to the browser."""

from __future__ import annotations

import markdown2
import nh3
from nicegui import ui

#: No images, styles or classes: text with structure, and links to web addresses.
_TAGS = {
    "p", "br", "strong", "em", "code", "pre", "ul", "ol", "li", "h1", "h2", "h3", "h4", "blockquote", "a", "hr",
    "table", "thead", "tbody", "tr", "th", "td",
}  # fmt: skip


def clean_html(text: str) -> str:
    """Markdown as safe HTML."""
    rendered = markdown2.markdown(text, extras=["fenced-code-blocks", "tables", "cuddled-lists"])
    return nh3.clean(
        str(rendered),
        tags=_TAGS,
        attributes={"a": {"href"}},
        url_schemes={"http", "https"},
        link_rel="noopener nofollow",
    )


def markdown(text: str) -> ui.html:
    """A block of rendered markdown."""
    return ui.html(clean_html(text), sanitize=False).classes("fp-md")
