"""Guides as HTML with places to link to, tables that scroll and code that can be copied; and any docs page as Markdown."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

import re2
from markupsafe import Markup, escape
from selectolax.lexbor import LexborHTMLParser

from api.docs.search import plain
from engine.core.safe_markdown import clean_html
from engine.pages.markdown_writer import Writer

_PIECES: Any = re2.compile(r"(?s)<h([23])>(.*?)</h[23]>|<pre><code>(.*?)</code></pre>|<table>(.*?)</table>")
_FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


def guide_html(text: str) -> Markup:
    """A guide's Markdown as HTML, cleaned. A page's regions need names, so each table is named by the heading before it."""
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
    """(heading, id, text) of each part of a guide; the first has its title and no id."""
    told = _FENCED.sub(lambda code: code[0].replace("\n#", "\n #"), text)  # a comment in code is no heading
    for part in re.split(r"^(?=##? )", told, flags=re.MULTILINE):
        if part.strip():
            heading, _, rest = part.partition("\n")
            title = heading.lstrip("# ").strip()
            yield title, "" if heading.startswith("# ") else slug(title), rest


def first_sentence(text: str) -> str:
    """What a guide is about: the first sentence after its title."""
    blocks = (block.strip() for block in text.split("\n\n")[1:])
    paragraph = next(block for block in blocks if block and not block.startswith(("|", "#", "```")))
    words = plain(re.sub(r"[*`]", "", paragraph))
    return re.split(r"(?<=[.:?])\s", words, maxsplit=1)[0].rstrip(":.") + "."


def slug(heading: str) -> str:
    """A heading as the id of its place."""
    return re.sub(r"[^a-z0-9]+", "-", heading.replace("`", "").lower()).strip("-")


def as_markdown(page: str, address: str) -> str:
    """The article of a docs page (its whole HTML) as Markdown; links become absolute."""
    article = LexborHTMLParser(page).css_first("article")
    assert article is not None
    return Writer(base=address, own_page=True).write(article) + "\n"
