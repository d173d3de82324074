"""Markdown as safe HTML, for help pages and docs: rendered, then cleaned by nh3 (security.md S27)."""

from __future__ import annotations

import markdown2
import nh3

#: No images, styles or classes: text with structure, and links.
_TAGS = {
    "p", "br", "strong", "em", "code", "pre", "ul", "ol", "li", "h1", "h2", "h3", "h4", "blockquote", "a", "hr",
    "table", "thead", "tbody", "tr", "th", "td",
}  # fmt: skip


def clean_html(text: str) -> str:
    """Markdown as HTML without script, style, image or class."""
    rendered = markdown2.markdown(text, extras=["fenced-code-blocks", "tables", "cuddled-lists"])
    return nh3.clean(
        str(rendered),
        tags=_TAGS,
        attributes={"a": {"href"}},
        url_schemes={"http", "https"},
        link_rel="noopener nofollow",
    )
