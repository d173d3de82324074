"""Texts about datasets: column types, cells and counts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from storage.datasets import ColumnLine, DatasetLine
from ui.kit.text import Reader, _, number, plural, size, type_word

#: Most characters that a cell shows; the row's form shows the whole value.
SHOWN = 120
#: A table of fewer bytes is shown without its size.
_WORTH_TELLING = 1024
TYPES = {kind: type_word(kind) for kind in ("string", "number", "integer", "boolean", "array", "object")}


def column_word(kind: str) -> str:
    """The label of a column's type: `Text`; "Mixed" for several types, "Empty" for a column without values."""
    return TYPES.get(kind) or (_("Mixed") if kind == "mixed" else _("Empty"))


def cell_text(value: Any, reader: Reader) -> str:
    """The beginning of a value on one line."""
    match value:
        case None:
            return ""
        case bool():
            return _("Yes") if value else _("No")
        case int() | float():
            return str(value)
        case str():
            text = value
        case [*items] if items and all(isinstance(one, str | int | float) for one in items):
            text = ", ".join(cell_text(one, reader) for one in items[:SHOWN])
        case _:
            text = json.dumps(value, ensure_ascii=False)
    text = " ".join(text[: SHOWN * 2].split())
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def two_places(values: Iterable[Any]) -> bool:
    """True when the numbers of a column read best with two decimal places, as prices do: some have one or two, none more."""
    parts = [one for one in values if isinstance(one, float) and not one.is_integer()]
    return bool(parts) and all(round(one, 2) == one for one in parts)


def number_text(value: Any, reader: Reader, *, two: bool) -> str:
    """The text of a cell in a column of numbers: `1,480.00` with `two` places."""
    if two and isinstance(value, int | float) and not isinstance(value, bool):
        return number(value, reader, places=2)
    return cell_text(value, reader)


def shown_numbers(columns: Sequence[ColumnLine], search: str, reader: Reader) -> Callable[[str, Any], str] | None:
    """Returns what gives the text of a number in its cell, for a search that may be one; None for other searches."""
    marks = {reader.thousands, reader.decimal}
    if not marks & set(search) or not set(search.removeprefix("-")) <= {*"0123456789", *marks}:
        return None
    numbers = {one.name for one in columns if one.type == "number"}

    def shown(name: str, value: Any) -> str:
        if name not in numbers or not _has_two_places(value):
            return ""
        text = number_text(value, reader, two=True)
        return f"{text} {text.replace(reader.thousands, '')}"  # nobody has to type what only groups the digits

    return shown


def _has_two_places(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and round(value, 2) == value


def rows_word(count: int, reader: Reader) -> str:
    """Formats the number of rows: `1,234 rows`."""
    return plural(count, _("row"), _("rows"), reader)


def sum_line(dataset: DatasetLine, reader: Reader) -> str:
    """Summarises a dataset: `1,234 rows, 5 columns, 20 KB`; a small one without its size."""
    columns = plural(len(dataset.columns), _("column"), _("columns"), reader)
    large = f", {size(dataset.bytes, reader)}" if dataset.bytes >= _WORTH_TELLING else ""
    return f"{rows_word(dataset.rows, reader)}, {columns}{large}"
