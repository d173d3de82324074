"""Tables: from rows of cells to named columns, plain text and Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Cell = str | int | float | bool | None
Row = list[Cell]


def table_of(rows: Sequence[Row], title: str, page: int) -> dict[str, Any]:
    """Returns `{"title", "page", "columns", "rows"}`, with each row as an object. Empty rows and columns are left out.

    The first row names the columns when every cell of it is text; otherwise they are `Column 1` and so on.
    """
    full = [row for row in rows if any(cell not in (None, "") for cell in row)]
    width = max(map(len, full), default=0)
    used = [place for place in range(width) if any(_at(row, place) not in (None, "") for row in full)]
    full = [[_at(row, place) for place in used] for row in full]
    named = len(full) > 1 and all(isinstance(cell, str) and cell.strip() for cell in _filled(full[0]))
    columns = _names(full[0] if named else [], len(used))
    return {
        "title": title,
        "page": page,
        "columns": columns,
        "rows": [dict(zip(columns, row, strict=True)) for row in (full[1:] if named else full)],
    }


def as_text(rows: Sequence[Row]) -> str:
    """Returns one line for each row that is not empty, with bars between the cells."""
    return "\n".join(" | ".join(shown(cell) for cell in _trimmed(row)) for row in rows if _trimmed(row))


def as_markdown(rows: Sequence[Row]) -> str:
    """Returns a Markdown table; its first row is the head."""
    full = [_trimmed(row) for row in rows if _trimmed(row)]
    width = max(map(len, full), default=0)
    if not width:
        return ""
    lines = [
        f"| {' | '.join(shown(_at(row, place)).replace('|', chr(92) + '|') for place in range(width))} |"
        for row in full
    ]
    return "\n".join([lines[0], f"| {' | '.join(['---'] * width)} |", *lines[1:]])


def shown(cell: Cell) -> str:
    """Returns a cell on one line; an empty cell is an empty text."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return " ".join(str(cell).split())


def _at(row: Row, place: int) -> Cell:
    return row[place] if place < len(row) else None


def _trimmed(row: Row) -> Row:
    last = len(row)
    while last and row[last - 1] in (None, ""):
        last -= 1
    return row[:last]


def _filled(row: Row) -> Row:
    """The cells of a head; a head may have gaps, but not only gaps."""
    return [cell for cell in row if cell not in (None, "")] or [None]


def _names(head: Row, width: int) -> list[str]:
    names: list[str] = []
    taken: set[str] = set()
    for place in range(width):
        wanted = shown(_at(head, place))[:200] or f"Column {place + 1}"
        name, number = wanted, 2
        while name in taken:
            name, number = f"{wanted} {number}", number + 1
        taken.add(name)
        names.append(name)
    return names
