"""Renders Markdown as safe HTML: help pages and docs, and texts that models and web pages wrote. nh3 removes everything
that is not allowed (S27).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from markdown2 import Markdown
    from markdown_it import MarkdownIt
    from markdown_it.renderer import RendererHTML
    from markdown_it.token import Token

#: The allowed tags: structured text and links, without images, styles or classes.
_TAGS = {
    "p", "br", "strong", "em", "code", "pre", "ul", "ol", "li", "h1", "h2", "h3", "h4", "blockquote", "a", "hr",
    "table", "thead", "tbody", "tr", "th", "td",
}  # fmt: skip


#: Longer texts of others are not rendered: the time grows with the square of the length where a text is made for that.
MAX_FOREIGN = 5_000
#: Tables are rendered up to this number of cells. Rows are filled up to the number of columns, so that few letters could
#: make a very large page.
_MAX_CELLS = 2_500


def clean_html(text: str) -> str:
    """Returns Markdown as HTML without scripts, styles, images or classes."""
    import nh3

    rendered = _renderer()(extras=["fenced-code-blocks", "tables", "cuddled-lists"]).convert(text)
    return nh3.clean(
        str(rendered),
        tags=_TAGS,
        attributes={"a": {"href"}},
        url_schemes={"http", "https"},
        link_rel="noopener nofollow",
    )


def foreign_html(text: str) -> str:
    """Returns Markdown that somebody else wrote as HTML: HTML in it is shown as text, a picture becomes a link and a
    heading a bold line, since the headings of the page around it have their own order.

    Raises ValueError for a text longer than MAX_FOREIGN. Its own parser: `markdown2` needs seconds for texts that are
    made to slow it down.
    """
    if len(text) > MAX_FOREIGN:
        raise ValueError("too long to be rendered")

    import nh3

    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")  # as the parser reads them
    cells = len(lines) * max(line.count("|") + 1 for line in lines)
    return nh3.clean(
        (_parser("table") if cells <= _MAX_CELLS else _parser()).render(text),
        tags=_TAGS,
        attributes={"a": {"href"}},
        url_schemes={"http", "https"},
        url_relative="deny",
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )


def _picture_as_link(
    _renderer: RendererHTML, tokens: Sequence[Token], at: int, _options: Any, _env: Mapping[str, Any]
) -> str:
    """Renders a picture as a link to it, since showing it would ask a foreign server for it."""
    address = str(tokens[at].attrs.get("src") or "")
    return f'<a href="{escape(address)}">{escape(tokens[at].content or address)}</a>'


# Both parsers are loaded by the first text that needs them, not at the start of the server.


@cache
def _renderer() -> type[Markdown]:
    from markdown2 import Markdown

    class Renderer(Markdown):
        def _get_pygments_lexer(self, lexer_name: str) -> None:
            """Disables syntax highlighting: inside inline code its HTML would be escaped and shown as text."""

    return Renderer


@cache
def _parser(*rules: str) -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable(list(rules))
    parser.add_render_rule("image", _picture_as_link)
    parser.add_render_rule("heading_open", lambda *_: "<p><strong>")
    parser.add_render_rule("heading_close", lambda *_: "</strong></p>")
    return parser
