"""Reads web pages that are files, and the HTML that other readers make."""

from __future__ import annotations

from typing import Any

from selectolax.lexbor import LexborHTMLParser, LexborNode

from engine.core.charsets import decode_body
from engine.documents.document import Page, Read, Unreadable, Wish
from engine.documents.rows import Row, table_of
from engine.pages.markdown_writer import Writer
from engine.pages.parsing_limits import PageTooTangled, check_shape
from engine.pages.table_places import TablePlaces, placed

MEDIA_TYPE = "text/html"
MAX_TABLES = 500


def read_html(content: bytes, wish: Wish) -> Read:
    """Reads a whole page, with its menus: a file has been chosen by a person. Raises Unreadable."""
    html = decode_body(content, wish.media_type)
    try:
        check_shape(html)
    except PageTooTangled as error:
        raise Unreadable("tangled", detail=str(error)) from None
    read = read_html_text(html, MEDIA_TYPE, wish)
    if wish.pages.strip():
        read.notes.append("A web page has no pages to choose from, so all of it was read.")
    return read


def read_html_text(html: str, media_type: str, wish: Wish, title: str = "") -> Read:
    """Reads HTML as text, Markdown or tables. Raises Unreadable for HTML without text."""
    tree = LexborHTMLParser(html)
    if tree.body is None:
        raise Unreadable("no_text")
    page = Page(1, Writer(markdown=False, links=False).write(tree.body))
    if not page.text:
        raise Unreadable("no_text")
    read = Read(media_type, [page], title or _title(tree))
    if wish.how == "markdown":
        page.markdown = Writer(first_row_is_head=True).write(tree.body)
    read.cut_long_texts()
    if wish.how == "tables":
        read.tables = tables_in(tree.body)
        if len(tree.body.css("table")) > MAX_TABLES:
            read.cut(f"Only its first {MAX_TABLES} tables were read.")
    return read


def tables_in(top: LexborNode) -> list[dict[str, Any]]:
    """Returns the tables that hold no other table and have several columns."""
    tables = []
    finder = TablePlaces()
    for node in top.css("table")[:MAX_TABLES]:
        if node.css_first("table table, table") is not None and len(node.css("table")) > 1:
            continue
        lines = [(row, row.css("td, th")) for row in node.css("tr")]
        rows: list[Row] = [
            placed([*map(_cell, cells)], places, None)
            for (_, cells), places in zip(lines, finder.of(node, lines), strict=True)
        ]
        if max(map(len, rows), default=0) < 2:
            continue
        caption = node.css_first("caption")
        title = " ".join(caption.text(deep=True).split()) if caption is not None else f"Table {len(tables) + 1}"
        tables.append(table_of(rows, title, 1))
    return tables


def _cell(node: LexborNode) -> str:
    return " ".join(Writer(markdown=False, links=False).write(node).split())


def _title(tree: LexborHTMLParser) -> str:
    for selector in ("head > title", "h1", "h2"):
        node = tree.css_first(selector)
        if node is not None and (title := " ".join(node.text(deep=True).split())):
            return title[:300]
    return ""
