"""Writes rows as an Excel file (.xlsx): row by row to the disk, so that its size does not matter to memory."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from engine.core.lone_surrogates import without_lone_surrogates

EXCEL: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
#: The most rows below the names. What is left out stands in a CSV file, and the last row says so.
MAX_ROWS: Final = 100_000
#: The most characters that Excel takes in a cell.
LONGEST_CELL: Final = 32_767
#: The largest whole number that Excel keeps with all its digits.
_EXACT: Final = 10**15
_CUT: Final = " … (cut here: the CSV file has all of it)"
_ENDS: Final = f"An Excel file from here has at most {MAX_ROWS:,} rows. The CSV file has all of them."
#: The narrowest and the widest column, in characters.
_NARROW, _WIDE = 8, 60


class ExcelFile:
    """An Excel file that is being written. Its first row is bold and stays in place when the others are scrolled."""

    def __init__(self, path: Path) -> None:
        """`path`: the file. What is written lies in its folder until the file is closed."""
        import xlsxwriter

        self._book = xlsxwriter.Workbook(str(path), {"constant_memory": True, "tmpdir": str(path.parent)})
        self._book.use_zip64()
        self._sheet = self._book.add_worksheet()
        self._bold, self._top = self._book.add_format({"bold": True}), self._book.add_format({"valign": "top"})
        self._sheet.freeze_panes(1, 0)
        self._widths: list[int] = []
        self._next = 0

    def add(self, rows: Iterable[Sequence[Any]]) -> None:
        """Writes rows of cells; the first of all holds the names of the columns. Numbers are numbers, texts never formulas, lists
        and objects JSON.
        """
        for row in rows:
            if self._next > MAX_ROWS:
                self._sheet.write_string(MAX_ROWS + 1, 0, _ENDS, self._bold)
                return
            for place, value in enumerate(row):
                self._write(place, value)
            self._next += 1

    def close(self) -> None:
        """Ends the file. Raises OSError."""
        from xlsxwriter.exceptions import FileCreateError

        for place, width in enumerate(self._widths):
            self._sheet.set_column(place, place, min(max(width + 2, _NARROW), _WIDE))
        try:
            self._book.close()
        except FileCreateError as error:
            raise OSError(str(error)) from error

    def _write(self, place: int, value: Any) -> None:
        style = self._top if self._next else self._bold
        if isinstance(value, bool):
            self._sheet.write_boolean(self._next, place, value, style)
        elif isinstance(value, int | float | Decimal) and math.isfinite(value) and abs(value) < _EXACT:
            self._sheet.write_number(self._next, place, float(value), style)
        elif value is not None and value != "":
            if not isinstance(value, str):
                value = json.dumps(value, ensure_ascii=False)
            self._sheet.write_string(self._next, place, _fitted(without_lone_surrogates(value)), style)
        self._widths += [0] * (place + 1 - len(self._widths))
        self._widths[place] = max(self._widths[place], len(str(value or "")[:_WIDE]))


def _fitted(text: str) -> str:
    """Returns the text as it fits into a cell. Excel counts the units of UTF-16."""
    if len(text) <= LONGEST_CELL // 2 or len(units := text.encode("utf-16-le")) <= 2 * LONGEST_CELL:
        return text
    return units[: 2 * (LONGEST_CELL - len(_CUT))].decode("utf-16-le", "ignore") + _CUT
