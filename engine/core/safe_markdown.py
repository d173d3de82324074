"""Renders Markdown as safe HTML for help pages and docs; nh3 removes everything that is not allowed (S27)."""

from __future__ import annotations

import markdown2
import nh3

#: The allowed tags: structured text and links, without images, styles or classes.
_TAGS = {
    "p", "br", "strong", "em", "code", "pre", "ul", "ol", "li", "h1", "h2", "h3", "h4", "blockquote", "a", "hr",
    "table", "thead", "tbody", "tr", "th", "td",
}  # fmt: skip


class _Renderer(markdown2.Markdown):
    def _get_pygments_lexer(self, lexer_name: str) -> None:
        """Disables syntax highlighting: inside inline code its HTML would be escaped and shown as text."""


def clean_html(text: str) -> str:
    """Returns Markdown as HTML without scripts, styles, images or classes."""
    rendered = _Renderer(extras=["fenced-code-blocks", "tables", "cuddled-lists"]).convert(text)
    return nh3.clean(
        str(rendered),
        tags=_TAGS,
        attributes={"a": {"href"}},
        url_schemes={"http", "https"},
        link_rel="noopener nofollow",
    )
