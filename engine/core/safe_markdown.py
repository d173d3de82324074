"""Renders Markdown as safe HTML for help pages and docs; nh3 removes everything that is not allowed (S27)."""

from __future__ import annotations

import markdown2
import nh3

#: The allowed tags: structured text and links, without images, styles or classes.
_TAGS = {
    "p", "br", "strong", "em", "code", "pre", "ul", "ol", "li", "h1", "h2", "h3", "h4", "blockquote", "a", "hr",
    "table", "thead", "tbody", "tr", "th", "td",
}  # fmt: skip


def clean_html(text: str) -> str:
    """Returns Markdown as HTML without scripts, styles, images or classes."""
    rendered = markdown2.markdown(text, extras=["fenced-code-blocks", "tables", "cuddled-lists"])
    return nh3.clean(
        str(rendered),
        tags=_TAGS,
        attributes={"a": {"href"}},
        url_schemes={"http", "https"},
        link_rel="noopener nofollow",
    )
