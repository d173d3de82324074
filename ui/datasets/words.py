"""Texts about datasets: column types, cells and counts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from storage.datasets import ColumnLine, DatasetLine, ShownValues
from ui.kit.text import Reader, _, number, plural, size, type_word

#: Most characters that a cell shows; the row's form shows the whole value.
SHOWN = 120
#: A table of fewer bytes is shown without its size.
_WORTH_TELLING = 1024
#: Numbers from here on are written as they are stored: `float` has no two places for them.
_TOO_LARGE = 1e15
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
    """The text of a cell in a column of numbers: `1,480.00` with `two` places, unless it is very large."""
    if two and _may_have_two_places(value):
        return number(value, reader, places=2)
    return cell_text(value, reader)


def shown_numbers(columns: Sequence[ColumnLine], search: str, reader: Reader) -> ShownValues | None:
    """Returns how the numbers are shown in their cells, for a search that may be one; None for other searches."""
    marks = {reader.thousands, reader.decimal}
    if not marks & set(search) or not set(search.removeprefix("-")) <= {*"0123456789", *marks}:
        return None
    numbers = {one.name for one in columns if one.type == "number"}
    if not numbers:
        return None

    places = search.rpartition(reader.decimal)[2] if reader.decimal in search else ""
    hundredths = int(places) if len(places) == 2 and places.isdecimal() else None

    def shown(name: str, value: Any) -> str:
        if name not in numbers or not _may_have_two_places(value):
            return ""
        if hundredths is not None and round(abs(value) % 1 * 100) != hundredths:  # far quicker than the text
            return ""
        if round(value, 2) != value:
            return ""
        text = number_text(value, reader, two=True)
        return f"{text} {text.replace(reader.thousands, '')}"  # nobody has to type what only groups the digits

    return ShownValues(shown, _stored_parts(search, reader))


def _stored_parts(search: str, reader: Reader) -> tuple[str, ...]:
    """Returns what of a number stands in the JSON text of a row when it is shown with the searched text in two places: its
    digits without thousands and last zeros.
    """
    whole, _point, places = search.replace(reader.thousands, "").partition(reader.decimal)
    kept = places.rstrip("0")
    stored = f"{whole}.{kept}" if kept else whole
    if len(places) < 2:
        return (stored,)
    # both places are there, so the number ends
    return (f"{stored},", f"{stored}}}") if kept else (f"{stored},", f"{stored}}}", f"{stored}.0")


def _may_have_two_places(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _TOO_LARGE


def rows_word(count: int, reader: Reader) -> str:
    """Formats the number of rows: `1,234 rows`."""
    return plural(count, _("row"), _("rows"), reader)


def sum_line(dataset: DatasetLine, reader: Reader) -> str:
    """Summarises a dataset: `1,234 rows, 5 columns, 20 KB`; a small one without its size."""
    columns = plural(len(dataset.columns), _("column"), _("columns"), reader)
    large = f", {size(dataset.bytes, reader)}" if dataset.bytes >= _WORTH_TELLING else ""
    return f"{rows_word(dataset.rows, reader)}, {columns}{large}"
