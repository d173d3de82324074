"""Where the cells of a table stand: a cell that is merged over columns or rows (`colspan`, `rowspan`) moves those after it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

T = TypeVar("T")
#: The number of empty cells that may be added to make the rows of a table equally long, or for merged cells: one long row
#: and thousands of short ones would need millions.
MAX_PADDING = 50_000
#: The most cells and open merged cells that are looked at in the tables of a page.
_MAX_STEPS = 300_000


class TablePlaces:
    """Finds the places of the cells of a page's tables. All of them share what that may cost."""

    def __init__(self) -> None:
        self._steps_left = _MAX_STEPS

    def of(self, table: LexborNode, rows: Sequence[tuple[LexborNode, Sequence[LexborNode]]]) -> list[list[int]]:
        """Returns the columns of the cells of each row, counted without columns in which no cell begins. `rows` are all
        rows of the table, also those without cells. The cells of a table that would need too many empty ones stand side
        by side.
        """
        beside = [[*range(len(cells))] for _, cells in rows]
        if table.css_first("[colspan], [rowspan]") is None:
            return beside
        found = self._found(rows)
        if found is None:
            return beside
        dense = {place: number for number, place in enumerate(sorted({place for places in found for place in places}))}
        found = [[dense[place] for place in places] for places in found]
        gaps = sum(places[-1] + 1 - len(places) for places in found if places)
        return found if gaps <= MAX_PADDING else beside

    def _found(self, rows: Sequence[tuple[LexborNode, Sequence[LexborNode]]]) -> list[list[int]] | None:
        """Returns the columns, or None when finding them takes too long."""
        found: list[list[int]] = []
        covered: list[tuple[int, int, int]] = []  # the first column, the one after the last, and the row after the last
        group: int | None = None
        for number, (row, cells) in enumerate(rows):
            within = row.parent.mem_id if row.parent is not None else None
            covered = [one for one in covered if one[2] > number] if within == group else []
            group = within
            self._steps_left -= 2 * len(covered) + len(cells)
            if self._steps_left < 0:
                return None
            places, later, at, next_ = [], [*covered], 0, 0
            for cell in cells:
                while next_ < len(covered) and covered[next_][0] <= at:
                    at, next_ = max(at, covered[next_][1]), next_ + 1
                end = at + (_span(cell, "colspan") or 1)
                down = _span(cell, "rowspan")
                if down != 1:
                    later.append((at, end, number + down if down else len(rows)))  # 0: down to the last row
                places.append(at)
                at = end
            covered = sorted(later)
            found.append(places)
        return found


def placed(cells: Sequence[T], places: Sequence[int], empty: T) -> list[T]:
    """Returns a row with each cell in its column."""
    row = [empty] * (places[-1] + 1 if places else 0)
    for cell, place in zip(cells, places, strict=True):
        row[place] = cell
    return row


def _span(cell: LexborNode, name: str) -> int:
    said = (cell.attributes.get(name) or "").strip()
    return int(said) if re.fullmatch(r"[0-9]{1,9}", said) else 1
