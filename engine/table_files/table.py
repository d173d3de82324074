"""What a file with rows becomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from engine.core.errors import TooLarge

Row = dict[str, Any]
#: Whether the first line of a CSV file holds the columns' names; `auto`: unless every cell of it is a number.
Names = Literal["auto", "first line", "none"]


@dataclass(frozen=True)
class Table:
    """Rows with their columns in order. `form` says in words how they were read: `CSV, semicolons, Windows-1252`.

    `has_names`: the columns' names stood in the file.
    """

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    form: str
    has_names: bool = True


def too_many_rows(most: int) -> TooLarge:
    """What is said when a file has more rows than a dataset takes."""
    return TooLarge(
        f"The file has more than {most:,} rows, which is what a dataset takes",
        remedy="Split the file, or leave out rows that are not needed.",
    )
