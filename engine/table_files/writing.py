"""Rows as CSV and JSON text, piece by piece. A cell that a spreadsheet would run gets an apostrophe in front (security.md S30)."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

#: What makes a spreadsheet read a cell as a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")
#: Tells spreadsheets that a CSV file is UTF-8; it stands before the first line.
MARK = "\ufeff"


def csv_line(cells: Iterable[Any]) -> str:
    """One line of a CSV file, with its line end."""
    text = io.StringIO()
    csv.writer(text).writerow([safe_cell(cell) for cell in cells])
    return text.getvalue()


def csv_rows(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Lines of these columns. Null is empty; lists, groups and yes/no are JSON."""
    return "".join(csv_line(_cell(row.get(column)) for column in columns) for row in rows)


def json_rows(rows: Iterable[Mapping[str, Any]]) -> str:
    """Objects, one a line, with commas between: the inside of a JSON list."""
    return ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)


def safe_cell(value: Any) -> Any:
    """A value that no spreadsheet runs."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _cell(value: Any) -> Any:
    if isinstance(value, bool | list | dict):
        return json.dumps(value, ensure_ascii=False)
    return "" if value is None else value
