"""Where the text of a PDF's page stands: lines and cells, tables, and the page as it is printed.

A PDF has no paragraphs and no tables, only pieces of text with their places. Pieces at the same height make a line;
pieces of a line with a wide gap between them are cells. Lines with several cells whose columns lie below each other
make a table, unless the cells are as long as the lines of a page with two columns of prose: these are read in the order
in which the page draws them, and so are words that are written from right to left.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from engine.documents.rows import Row, as_markdown

_MAX_COLUMNS = 220
#: Characters of a cell, on average, from which lines of cells are prose in columns.
_PROSE = 32
_MARKS = re.compile(r"^[•◦▪‣·●○■–—*-]\s+")


class Piece(NamedTuple):
    """A word and its place on the page, in points from the left and from the bottom. Its height is that of its font.

    `order`: its number among the words as the page draws them, which nearly always is the order of reading.
    """

    left: float
    right: float
    bottom: float
    top: float
    text: str
    order: int = 0


@dataclass
class Cell:
    left: float
    right: float
    text: str
    order: int = 0


@dataclass
class Line:
    """A line with its cells, from left to right."""

    middle: float
    height: float
    pieces: list[Piece] = field(default_factory=list)
    cells: list[Cell] = field(default_factory=list)

    @property
    def text(self) -> str:
        return " ".join(cell.text for cell in self.cells)


class PageLayout:
    """The lines of one page, from the top."""

    def __init__(self, pieces: list[Piece]) -> None:
        widths = sorted((piece.right - piece.left) / max(len(piece.text), 1) for piece in pieces)
        self._width = max(widths[len(widths) // 2] if widths else 5.0, 0.5)
        self._left = min((piece.left for piece in pieces), default=0.0)
        self._lines = _lines(pieces)
        for line in self._lines:
            line.cells = _cells(line.pieces, 2 * self._width)

    def as_printed(self) -> str:
        """Returns the text with its columns side by side, as spaces put them."""
        written = []
        for line in self._lines:
            text = ""
            for cell in line.cells:
                column = min(int((cell.left - self._left) / self._width), _MAX_COLUMNS)
                text += " " * max(column - len(text), 2 if text else 0) + cell.text
            written.append(text.rstrip())
        return "\n".join(written)

    def tables(self) -> list[list[Row]]:
        """Returns the tables of the page, each as rows of cells."""
        return [block for block in self._blocks() if isinstance(block, list)]

    def as_markdown(self, text: str) -> str:
        """Returns the page as Markdown: larger lines are headings, tables are tables.

        `text`: the page in reading order, which is used as it is for a page that is mostly prose in columns or written
        from right to left.
        """
        if self._is_prose_in_columns() or is_right_to_left(text):
            return text
        usual = self._usual_size()
        written: list[str] = []
        above: Line | None = None
        for block in self._blocks():
            if isinstance(block, list):
                written.append(as_markdown(block))
                above = None
                continue
            level = _level(block, usual)
            if level:
                written.append(f"{'#' * level} {block.text}")
            elif above is not None and _goes_on(above, block):
                written[-1] += f"\n{_item(block.text)}"
            else:
                written.append(_item(block.text))
            above = None if level else block
        return "\n\n".join(written)

    def _usual_size(self) -> float:
        sizes: Counter[float] = Counter()
        for line in self._lines:
            sizes[round(line.height, 1)] += len(line.text)
        return max(sizes, key=lambda size: sizes[size], default=0.0)

    def _is_prose_in_columns(self) -> bool:
        several = [line for line in self._lines if len(line.cells) > 1]
        return len(several) > len(self._lines) / 3 and _is_prose(several)

    def _blocks(self) -> list[Line | list[Row]]:
        """Returns the lines, with each table as one list of rows, and prose in columns in the order of reading."""
        blocks: list[Line | list[Row]] = []
        at = 0
        while at < len(self._lines):
            end = self._end_of_cells(at)
            several = [line for line in self._lines[at:end] if len(line.cells) > 1]
            if len(several) > 1 and _is_prose(several):
                at = self._put_prose(blocks, at, end)
                continue
            inner = _table_in(self._lines, at, end) if len(several) > 1 else at
            rows = _rows(self._lines[at:inner]) if inner > at else None
            if rows is None:
                blocks.append(self._lines[at])
                at += 1
            else:
                blocks.append(rows)
                at = inner
        return blocks

    def _put_prose(self, blocks: list[Line | list[Row]], start: int, end: int) -> int:
        """Adds prose in columns from `start` to `end`, each cell as a line, and returns where it ends: lines of one
        column alone above and below belong to it when they are drawn between its cells.
        """
        lines = self._lines[start:end]
        orders = [cell.order for line in lines for cell in line.cells]
        first, last = min(orders), max(orders)
        while blocks and isinstance(above := blocks[-1], Line) and first < above.cells[0].order < last:
            lines.append(above)
            blocks.pop()
        while end < len(self._lines) and first < self._lines[end].cells[0].order < last:
            lines.append(self._lines[end])
            end += 1
        cells = sorted(((cell, line) for line in lines for cell in line.cells), key=lambda one: one[0].order)
        blocks += [Line(line.middle, line.height, cells=[cell]) for cell, line in cells]
        return end

    def _end_of_cells(self, start: int) -> int:
        """Returns where the lines with several cells that begin with this line end, with single cells between them."""
        if len(self._lines[start].cells) < 2:
            return start
        end, last = start, start
        while end < len(self._lines):
            line = self._lines[end]
            if end > start and self._gap(end) > 3 * max(line.height, self._lines[end - 1].height):
                break
            if len(line.cells) > 1:
                last = end
            elif end - last > 1:  # a table's cell may go on in two lines below it
                break
            end += 1
        return last + 1

    def _gap(self, at: int) -> float:
        return self._lines[at - 1].middle - self._lines[at].middle


def _lines(pieces: list[Piece]) -> list[Line]:
    lines: list[Line] = []
    for piece in sorted(pieces, key=lambda one: (-(one.bottom + one.top), one.left)):
        middle, height = (piece.bottom + piece.top) / 2, piece.top - piece.bottom
        line = lines[-1] if lines else None
        if line is None or abs(line.middle - middle) > 0.5 * min(line.height, height):
            line = Line(middle, height)
            lines.append(line)
        line.pieces.append(piece)
        line.height = max(line.height, height)
    for line in lines:
        line.pieces.sort()
    return lines


def _cells(pieces: list[Piece], widest_space: float) -> list[Cell]:
    cells: list[Cell] = []
    held: list[Piece] = []

    def end() -> None:
        if held:
            first = min(one.order for one in held)
            cells.append(Cell(held[0].left, max(one.right for one in held), _joined(held, widest_space), first))
            held.clear()

    right = 0.0
    for piece in pieces:
        if held and piece.left - right > widest_space:
            end()
        right = max(right, piece.right) if held else piece.right
        held.append(piece)
    end()
    return cells


def _joined(pieces: list[Piece], widest_space: float) -> str:
    """Returns the text of a cell; its order of reading is that of drawing when a letter is written from right to left."""
    if any(is_leftward(letter) for piece in pieces for letter in piece.text):
        return " ".join(piece.text for piece in sorted(pieces, key=lambda one: one.order))
    text, right = "", pieces[0].left
    for piece in pieces:
        touching = piece.left - right < widest_space / 12
        text += ("" if touching else " ") + piece.text
        right = max(right, piece.right)
    return text


def is_right_to_left(text: str) -> bool:
    """True when most letters of a text are written from right to left, as those of Hebrew and Arabic."""
    letters = [is_leftward(letter) for letter in text if letter.isalpha()]
    return sum(letters) * 2 > len(letters)


def is_leftward(letter: str) -> bool:
    return letter > "\u0590" and unicodedata.bidirectional(letter) in {"R", "AL"}


def is_mark(letter: str) -> bool:
    """True for signs above, below or in a letter, as vowel signs of Hebrew and Arabic."""
    return letter > "\u02ff" and unicodedata.bidirectional(letter) == "NSM"


def _is_prose(lines: list[Line]) -> bool:
    cells = [cell for line in lines for cell in line.cells]
    return sum(len(cell.text) for cell in cells) / max(len(cells), 1) > _PROSE


def _columns(lines: list[Line]) -> list[list[float]]:
    """Returns left and right of each column: cells that lie below each other, of lines with several cells."""
    columns: list[list[float]] = []
    for cell in sorted(
        (cell for line in lines if len(line.cells) > 1 for cell in line.cells), key=lambda one: one.left
    ):
        if columns and cell.left < columns[-1][1]:
            columns[-1][1] = max(columns[-1][1], cell.right)
        else:
            columns.append([cell.left, cell.right])
    return columns


def _table_in(lines: list[Line], start: int, end: int) -> int:
    """Returns where the table from `start` ends, at most `end`; `start` when its first line does not belong to it.

    A line does not belong to the table when the others have more columns without it, like a note above its head.
    """
    for at in range(start, end):
        if len(lines[at].cells) == 1 and _spanned(lines[at].cells[0], _columns(lines[start:end])) > 1:
            end = at
            break
    if end - start < 3:
        return end if end - start == 2 else start
    whole = len(_columns(lines[start:end]))
    if len(_columns(lines[start + 1 : end])) > whole:
        return start
    while end - start > 2 and len(_columns(lines[start : end - 1])) > whole:
        end -= 1
        whole = len(_columns(lines[start:end]))
    return end


def _spanned(cell: Cell, columns: list[list[float]]) -> int:
    return sum(cell.left < right and cell.right > left for left, right in columns)


def _rows(lines: list[Line]) -> list[Row] | None:
    """Puts the cells of the lines into columns. Returns None when they do not lie below each other."""
    columns = _columns(lines)
    widest = max(len(line.cells) for line in lines)
    if len(columns) < max(2, widest):
        return None
    rows: list[Row] = []
    for line in lines:
        row: Row = [""] * len(columns)
        for cell in line.cells:
            place = next((n for n, (left, right) in enumerate(columns) if left <= cell.left < right), None)
            if place is None:
                place = max(0, sum(left <= cell.left for left, _ in columns) - 1)
            row[place] = f"{row[place]} {cell.text}".strip()
        if len(line.cells) == 1 and rows:
            rows[-1] = [f"{above} {more}".strip() for above, more in zip(rows[-1], row, strict=True)]
        else:
            rows.append(row)
    return rows


def _level(line: Line, usual: float) -> int:
    """Returns the level of a heading; 0 for a usual line."""
    if not usual or len(line.text) > 120 or not any(map(str.isalpha, line.text)):
        return 0
    ratio = line.height / usual
    return 1 if ratio >= 1.6 else 2 if ratio >= 1.25 else 3 if ratio >= 1.12 else 0


def _goes_on(above: Line, line: Line) -> bool:
    step = above.middle - line.middle
    return 0 <= step < 1.9 * max(above.height, line.height) and not _MARKS.match(line.text)


def _item(text: str) -> str:
    return _MARKS.sub("- ", text).replace("<", "\\<")
