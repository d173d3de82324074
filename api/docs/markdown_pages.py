"""Converts guides from Markdown to HTML with anchors, scrollable tables and copyable code, and docs pages from HTML to
Markdown.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

import re2
from markupsafe import Markup, escape

from api.docs.search import plain
from engine.core.safe_markdown import clean_html
from engine.pages.markdown_writer import Writer

_PIECES: Any = re2.compile(r"(?s)<h([23])>(.*?)</h[23]>|<pre><code>(.*?)</code></pre>|<table>(.*?)</table>")
_FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


def guide_html(text: str) -> Markup:
    """Returns a guide's Markdown as sanitised HTML. Each table is labelled with the heading before it, because
    scrollable regions need an accessible name.
    """
    heading, tables = "", 0

    def dress(piece: Any) -> str:
        nonlocal heading, tables
        level, title, code, table = piece.groups()
        if title is not None:
            heading = Markup(title).striptags()  # noqa: S704 - cleaned by nh3
            return f'<h{level} id="{slug(heading)}">{title}</h{level}>'
        if code is not None:
            copied = escape(html.unescape(code).strip("\n"))
            return (
                f'<div class="fd-code"><button type="button" class="fp-btn fp-btn--s" data-copy="{copied}" '
                f'aria-label="Copy the code">Copy</button><pre tabindex="0">{code}</pre></div>'
            )
        tables += 1
        name = escape(f"Table {tables}: {heading}" if heading else f"Table {tables}")
        table = table.replace("<th>", '<th scope="col">')
        return (
            f'<div class="fd-scroll" tabindex="0" role="region" aria-label="{name}">'
            f'<table class="fp-tb">{table}</table></div>'
        )

    return Markup(_PIECES.sub(dress, clean_html(text)))  # noqa: S704 - cleaned by nh3; what is added is escaped


def guide_sections(text: str) -> Iterator[tuple[str, str, str]]:
    """Yields (heading, anchor, text) for each section of a guide. The first section has the title of the guide and no
    anchor.
    """
    # indents comments in code, so that they are not parsed as headings
    told = _FENCED.sub(lambda code: code[0].replace("\n#", "\n #"), text)
    for part in re.split(r"^(?=##? )", told, flags=re.MULTILINE):
        if part.strip():
            heading, _, rest = part.partition("\n")
            title = heading.lstrip("# ").strip()
            yield title, "" if heading.startswith("# ") else slug(title), rest


def first_sentence(text: str) -> str:
    """Returns the first sentence after the title of a guide, as its summary."""
    blocks = (block.strip() for block in text.split("\n\n")[1:])
    paragraph = next(block for block in blocks if block and not block.startswith(("|", "#", "```")))
    words = plain(re.sub(r"[*`]", "", paragraph))
    return re.split(r"(?<=[.:?])\s", words, maxsplit=1)[0].rstrip(":.") + "."


def slug(heading: str) -> str:
    """Returns the anchor of a heading."""
    return re.sub(r"[^a-z0-9]+", "-", heading.replace("`", "").lower()).strip("-")


def as_markdown(page: str, address: str) -> str:
    """Returns the `article` element of a docs page, given as a whole HTML page, as Markdown with absolute links."""
    from selectolax.lexbor import LexborHTMLParser

    article = LexborHTMLParser(page).css_first("article")
    assert article is not None
    return Writer(base=address, own_page=True).write(article) + "\n"
