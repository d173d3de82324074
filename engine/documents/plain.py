"""Reads text, Markdown and CSV."""

from __future__ import annotations

from engine.core.charsets import decode_body
from engine.documents.document import Page, Read, Unreadable, Wish
from engine.documents.rows import Row, as_markdown

#: Media types by the ending of the name; others are plain text.
MEDIA_TYPES = {"md": "text/markdown", "markdown": "text/markdown", "csv": "text/csv", "tsv": "text/csv"}
MEDIA_TYPES |= {"json": "application/json", "xml": "application/xml"}
_MAX_ROWS = 100_000


def read_plain(content: bytes, wish: Wish) -> Read:
    """Reads a text. Raises Unreadable for a text without words."""
    text = decode_body(content, wish.media_type, is_page=False).replace("\r\n", "\n").replace("\r", "\n")
    media_type = MEDIA_TYPES.get(wish.ending, "text/plain")
    if not text.strip():
        raise Unreadable("no_text")
    kept = text.strip("\n")
    read = Read(media_type, [Page(1, kept, kept)], _title(text) if media_type == "text/markdown" else "")
    read.cut_long_texts()
    if wish.pages.strip():
        read.notes.append("A text has no pages to choose from, so all of it was read.")
    return read


def read_csv_file(content: bytes, wish: Wish) -> Read:
    """Reads a CSV file as text and as one table. Raises Unreadable when a table is wanted and it is none."""
    from engine.core.errors import Refusal
    from engine.table_files.csv_table import read_csv

    read = read_plain(content, wish)
    read.media_type = "text/csv"
    if wish.how == "text":
        return read
    try:
        table = read_csv(decode_body(content, wish.media_type, is_page=False), most_rows=_MAX_ROWS)
    except Refusal as refusal:
        if wish.how == "tables":
            raise Unreadable("table_wrong", detail=f"{refusal.detail}.", hint=refusal.remedy) from None
        return read
    rows: list[Row] = [list(table.columns), *([row[name] for name in table.columns] for row in table.rows)]
    if wish.how == "tables":
        title = wish.name.rsplit(".", 1)[0]
        read.tables = [{"title": title, "page": 1, "columns": list(table.columns), "rows": list(table.rows)}]
    else:
        read.pages[0].markdown = as_markdown(rows)
        read.cut_long_texts()
    return read


def _title(text: str) -> str:
    """The first heading of a Markdown text."""
    for line in text.split("\n", 200)[:200]:
        if line.startswith("# "):
            return line[2:].strip()[:300]
    return ""
