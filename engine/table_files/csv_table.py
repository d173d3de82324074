"""Reads CSV: detects the delimiter, takes column names from the first line, and gives each column one type.

A column becomes numbers, booleans, lists or objects only when every value in it is one; otherwise it stays text.
Numbers with leading zeros (postcodes) or more than 15 digits before or after the point (card and article numbers) stay
text, because conversion would change them. An empty cell is null. The apostrophe that an export writes before a formula is removed.
"""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from engine.core.errors import Invalid
from engine.flow.json_values import read_strictly
from engine.table_files.table import MAX_COLUMNS, Names, Table, too_many_columns, too_many_rows
from engine.table_files.writing import FORMULA

#: Delimiters and their names in messages.
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
#: Number of characters that are read to detect the delimiter.
_LOOKED_AT = 64 << 10
_MAX_CELL = 1 << 20
#: A comma that is none of a number or a sentence, and a semicolon that is none of a sentence.
_COMMA = re.compile(r"(?<![0-9]),(?! )|,(?![0-9 ])")
_SEMICOLON = re.compile(r";(?! )")
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,14})")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,15})?(?:[eE][+-]?[0-9]{1,2})?")

# The csv module's limit is 128 KiB per cell for the whole process; a dataset row may have 1 MiB.
csv.field_size_limit(max(csv.field_size_limit(), _MAX_CELL))


def read_csv(text: str, *, encoding: str = "", names: Names = "auto", most_rows: int = 100_000) -> Table:
    """Reads the rows of a CSV text. `encoding` is shown in `Table.form`.

    Raises Invalid, with the line number, and TooLarge for more than `most_rows` rows.
    """
    text, delimiter = _delimiter_of(text)
    records = _records(text, delimiter)
    first = next(records, None)
    if first is None:
        raise Invalid("The file is empty", remedy="Choose a CSV file with at least one row.")
    if len(first[1]) > MAX_COLUMNS:
        raise too_many_columns()
    has_names = names == "first line" or (
        names == "auto" and not all(_NUMBER.fullmatch(one.strip()) for one in first[1])
    )
    head = _head(first[1]) if has_names else [f"Column {number}" for number in range(1, len(first[1]) + 1)]
    cells: list[list[str]] = []
    for line, record in records if has_names else itertools.chain([first], records):
        if len(cells) == most_rows:
            raise too_many_rows(most_rows)
        cells.append(_fitted(record, len(head), line))
    if not cells:
        raise Invalid(
            "The file has a line with names, but no rows", remedy="Choose a file with at least one row below the names."
        )
    kept = [number for number, name in enumerate(head) if name or any(row[number] for row in cells)]
    columns = [head[number] or _free_name(f"Column {number + 1}", head) for number in kept]
    values = [_typed([row[number] for row in cells]) for number in kept]
    cells.clear()  # the values of large files would not fit beside them in the memory of an evaluator process
    rows = tuple(dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)) if kept else ()
    form = ", ".join(part for part in ("CSV", DELIMITERS[delimiter], encoding) if part)
    return Table(tuple(columns), rows, form, has_names)


def _delimiter_of(text: str) -> tuple[str, str]:
    """Returns the text without a `sep=;` line, and the delimiter that gives the most lines the same number of cells."""
    if match := re.match(r"\ufeff?sep=([,;|\t])\r?\n", text):
        return text[match.end() :], match[1]
    text = text.removeprefix("\ufeff")
    piece = text[:_LOOKED_AT]
    if len(text) > _LOOKED_AT:
        piece = piece.rpartition("\n")[0] or piece
    found: dict[str, tuple[float, int]] = {}
    for delimiter in DELIMITERS:
        widths = _widths(piece, delimiter)
        if widths and widths[0] > 1:
            found[delimiter] = (sum(width == widths[0] for width in widths) / len(widths), min(widths[0], 50))
    best = max(found, key=lambda one: found[one], default=",")
    first = piece.lstrip().partition("\n")[0]
    if best == "," and not _COMMA.search(first):
        as_even = [one for one in found if one != "," and found[one][0] == found[","][0]]
        if as_even and not (as_even == [";"] and not _SEMICOLON.search(first)):
            best = max(as_even, key=lambda one: found[one])
    return text, best


def _widths(piece: str, delimiter: str) -> list[int]:
    widths: list[int] = []
    records = csv.reader(io.StringIO(piece, newline=""), delimiter=delimiter)
    with contextlib.suppress(
        csv.Error
    ):  # the last cell may be cut by the limit; real errors are reported when the whole text is read
        widths.extend(len(record) for record in itertools.islice(records, 200) if record)
    return widths


def _records(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yields (number of its first line, cells) for each record that is not blank. Raises Invalid."""
    lines = _Lines(text, delimiter)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        lines.begin_record()
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise _broken(error, line) from None
        if any(cell.strip() for cell in record):
            yield line, record


#: The rest of a cell that began in an earlier line, with its closing quotation mark.
_INSIDE = re.compile(r'(?:[^"]++|"")*+"?+')
_LINE = re.compile(r"[^\r\n]*+(?:\r\n?+|\n)|[^\r\n]++")


class _Lines:
    """The lines of a text for the csv module, which would build a record whatever its size: a record with too many cells
    ends the reading before it does.
    """

    def __init__(self, text: str, delimiter: str) -> None:
        self._lines = _LINE.finditer(text)
        self._delimiter = delimiter
        self._before = 0
        self._is_first = True

    def begin_record(self) -> None:
        """Says that the next line begins a record, and is not a part of a cell with line breaks."""
        self._before, self._is_first = 0, True

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = next(self._lines)[0]
        if self._is_first:
            self._is_first = False
            if line.count(self._delimiter) >= MAX_COLUMNS:  # with those in quotation marks
                self._add(line, 0)
        else:
            closes = _INSIDE.match(line)
            assert closes is not None
            self._add(line, closes.end())
        return line

    def _add(self, line: str, at: int) -> None:
        """Counts the delimiters between cells from a place on. Raises TooLarge."""
        while self._before < MAX_COLUMNS and (end := _end_of_cell(line, at, self._delimiter)) >= 0:
            self._before, at = self._before + 1, end + 1
        if self._before >= MAX_COLUMNS:
            raise too_many_columns()


def _end_of_cell(line: str, at: int, delimiter: str) -> int:
    """Returns where the delimiter after the cell at a place stands; -1 when none follows it in this line."""
    if line.startswith('"', at):
        at += 1
        while (closes := line.find('"', at)) >= 0 and line.startswith('""', closes):
            at = closes + 2
        if closes < 0:
            return -1
        at = closes + 1
    return line.find(delimiter, at)


def _broken(error: csv.Error, line: int) -> Invalid:
    said = str(error)
    if "unexpected end" in said:
        what, remedy = (
            "a quotation mark opens and never closes",
            "Close it, or write it twice when it is part of the text.",
        )
    elif "field larger" in said:
        what, remedy = (
            "a cell has more than 1 MiB",
            "A quotation mark may be missing near there; else shorten the cell.",
        )
    elif "expected after" in said:
        what, remedy = "text follows a closing quotation mark", "Write a quotation mark inside a text twice."
    else:
        what, remedy = "the line cannot be read as CSV", "Look at its quotation marks and delimiters."
    return Invalid(f"Line {line:,}: {what}", remedy=remedy)


def _head(cells: Sequence[str]) -> list[str]:
    names = [_without_guard(" ".join(cell.split())) for cell in cells]
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise Invalid(
                f"Line 1: two columns are called `{name}`",
                remedy="Give each column a name of its own, then import again.",
            )
        if name:
            seen.add(name)
    return names


def _fitted(record: list[str], width: int, line: int) -> list[str]:
    """Fits a record to the number of columns: missing cells become empty. Raises Invalid for additional values."""
    if len(record) > width and any(cell.strip() for cell in record[width:]):
        raise Invalid(
            f"Line {line:,} has {len(record)} values, but there {'is 1 column' if width == 1 else f'are {width} columns'}",
            remedy="A text with a delimiter in it needs quotation marks around it.",
        )
    return [*record[:width], *[""] * (width - len(record))]


def _free_name(name: str, taken: Sequence[str]) -> str:
    return name if name not in taken else f"{name} (no name)"


def _typed(cells: list[str]) -> list[Any]:
    """Converts the cells of a column to its type."""
    stripped = [cell.strip() for cell in cells]
    full = [cell for cell in stripped if cell]
    read = _reader_of(full)
    if read is None:
        return [None if not plain else _without_guard(cell) for cell, plain in zip(cells, stripped, strict=True)]
    return [read(cell) if cell else None for cell in stripped]


def _reader_of(full: Sequence[str]) -> Callable[[str], Any] | None:
    """Returns the function that converts every one of these texts, or None when the column is text."""
    if not full:
        return None
    if all(_INTEGER.fullmatch(cell) for cell in full):
        return int
    if all(_NUMBER.fullmatch(cell) for cell in full):
        return lambda cell: int(cell) if _INTEGER.fullmatch(cell) else float(cell)
    if all(cell.lower() in {"true", "false"} for cell in full):
        return lambda cell: cell.lower() == "true"
    if all(cell[0] in "[{" and cell[-1] in "]}" for cell in full) and all(map(_is_json, full)):
        return read_strictly
    return None


def _is_json(cell: str) -> bool:
    try:
        read_strictly(cell)
    except ValueError:
        return False
    return len(cell) < _MAX_CELL


def _without_guard(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA) else cell
