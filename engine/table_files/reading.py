"""Reads rows from a file or a pasted text: detects encoding and format, and reports invalid data with the line number.

    table = read_table(data, "prices.csv", names="auto")
    table.rows, table.columns, table.form        # for example "CSV, semicolons, Windows-1252"

Formats: CSV with commas, semicolons, tabs or bars; JSON with a list of objects (or an object that contains one); JSON
Lines.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping

from engine.core.charsets import decode_body, decode_utf8
from engine.core.errors import Invalid, TooLarge
from engine.table_files.csv_table import read_csv
from engine.table_files.json_table import looks_like_json, read_json
from engine.table_files.table import Names, Table

MAX_FILE = 64 << 20
#: Other file types that users try to import, by their first bytes.
_OTHER_FILES: Mapping[bytes, str] = {
    b"PK\x03\x04": "an Excel workbook or a zip file",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"%PDF": "a PDF",
    b"\x1f\x8b": "a gzip file",
    b"SQLite format 3": "an SQLite database",
    b"PAR1": "a Parquet file",
}


def read_table(data: bytes, name: str = "", *, names: Names = "auto", most_rows: int = 100_000) -> Table:
    """Reads the rows of a file; `name` only helps to detect the format.

    Raises Invalid, with the line number, and TooLarge.
    """
    if len(data) > MAX_FILE:
        raise TooLarge(
            f"The file has {len(data) / (1 << 20):,.1f} MiB; {MAX_FILE >> 20} MiB are read",
            remedy="Split it, or leave out columns with long texts.",
        )
    text, encoding = _as_text(data)
    if not text.strip():
        raise Invalid("The file is empty", remedy="Choose a CSV or JSON file with at least one row.")
    ending = name.lower().rsplit(".", 1)[-1]
    lines = ending in {"jsonl", "ndjson"}
    if lines or ending == "json" or (ending not in {"csv", "tsv"} and looks_like_json(text)):
        return read_json(text, lines=lines, most_rows=most_rows)
    return read_csv(text, encoding=encoding, names=names, most_rows=most_rows)


def _as_text(data: bytes) -> tuple[str, str]:
    """Decodes the file; returns the text and the name of the encoding, "" for UTF-8.

    Raises Invalid for binary files.
    """
    for mark, what in _OTHER_FILES.items():
        if data.startswith(mark):
            raise Invalid(
                f"This is {what}, not a table as text",
                remedy="Save it as CSV (UTF-8) in your spreadsheet and use that.",
            )
    with_mark = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if not with_mark and b"\0" in data[:10_000]:
        raise Invalid(
            "The file holds bytes that are no text", remedy="Save it as CSV (UTF-8) in your spreadsheet and use that."
        )
    text = decode_body(data, is_page=False)
    if with_mark:
        return text, "UTF-16"
    is_utf8 = data.startswith(codecs.BOM_UTF8) or decode_utf8(data) is not None
    return text, "" if is_utf8 else "Windows-1252"
