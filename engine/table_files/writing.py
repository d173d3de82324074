"""Writes rows as CSV and JSON text in pieces.

A CSV cell that a spreadsheet would execute as a formula gets a leading apostrophe (CSV injection, S30).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

#: First characters that make a spreadsheet treat a cell as a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")
#: The byte order mark before the first line tells spreadsheets that a CSV file is UTF-8.
MARK = "\ufeff"


def csv_line(cells: Iterable[Any]) -> str:
    """Returns one line of a CSV file, with its line ending.

    Null becomes an empty cell; lists, objects and booleans are written as JSON, decimals without an exponent.
    """
    text = io.StringIO()
    csv.writer(text).writerow([safe_cell(_cell(cell)) for cell in cells])
    return text.getvalue()


def csv_rows(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Returns the CSV lines of the rows."""
    return "".join(csv_line(row.get(column) for column in columns) for row in rows)


def json_rows(rows: Iterable[Mapping[str, Any]]) -> str:
    """Returns the rows as JSON objects, one per line, separated by commas: the content of a JSON array without its
    brackets.
    """
    return ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)


def safe_cell(value: Any) -> Any:
    """Adds an apostrophe to a text that a spreadsheet would execute as a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _cell(value: Any) -> Any:
    if isinstance(value, bool | list | dict):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Decimal):
        return f"{value:f}"
    return "" if value is None else value
