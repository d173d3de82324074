"""The result of reading a file with rows."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from engine.core.errors import TooLarge

Row = dict[str, Any]
#: The most columns that a file may have; a dataset may have fewer.
MAX_COLUMNS = 2_000
#: Whether the first line of a CSV file holds column names; "auto": unless every cell in it is a number.
Names = Literal["auto", "first line", "none"]


class Table(Struct, frozen=True):
    """Rows, with their columns in order. `form` describes the format for users: `CSV, semicolons, Windows-1252`.

    `has_names`: the column names were in the file. `around`: what stands beside the list in a JSON object that contains
    the rows.
    """

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    form: str
    has_names: bool = True
    around: Row = {}


def too_many_columns() -> TooLarge:
    """The error for a file with more columns than MAX_COLUMNS."""
    return TooLarge(
        f"The file has more than {MAX_COLUMNS:,} columns",
        remedy="Look at its delimiters and line breaks: a table with so many has usually lost its lines. Else leave out columns.",
    )


def too_many_rows(most: int) -> TooLarge:
    """The error for a file with more rows than a dataset may have."""
    return TooLarge(
        f"The file has more than {most:,} rows, and a table may have that many",
        remedy="Split the file, or leave out rows that are not needed.",
    )
