"""Reads tables of Excel (.xlsx, .xlsb, .xls) and OpenDocument (.ods) with calamine."""

from __future__ import annotations

import datetime as dt
import io
import math
from itertools import islice
from typing import Any

import python_calamine

from engine.core.counted import counted
from engine.documents.document import MAX_CELLS, Page, Read, Unreadable, Wish
from engine.documents.rows import Cell, Row, as_markdown, as_text, table_of

EXCEL = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
OLD_EXCEL = "application/vnd.ms-excel"
OPEN_DOCUMENT = "application/vnd.oasis.opendocument.spreadsheet"
#: The largest whole number that a file's floating-point numbers hold exactly.
_EXACT = 2.0**53


def read_sheets(content: bytes, wish: Wish, media_type: str, title: str = "") -> Read:
    """Reads the chosen sheets; each is a page and a table. Raises Unreadable."""
    try:
        book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(content))
    except python_calamine.PasswordError:
        raise Unreadable("with_password") from None
    except (python_calamine.CalamineError, ValueError, OSError) as error:
        raise Unreadable("damaged", detail=_detail(error)) from None
    names = book.sheet_names
    read = Read(media_type, [], title, len(names))
    chosen = wish.chosen(len(names), "sheet")
    room = MAX_CELLS
    for done, number in enumerate(chosen):
        if read.is_full(wish, done, chosen, "sheet"):
            break
        name = names[number - 1]
        rows, room = _rows(book, name, room)
        if rows is None:
            read.notes.append(f"The sheet “{name[:60]}” cannot be read, so it was left out.")
            continue
        text = as_text(rows)
        marked = f"## {name}\n\n{as_markdown(rows)}".strip() if wish.how == "markdown" and text else ""
        read.pages.append(Page(number, f"{name}\n{text}" if len(names) > 1 and text else text, marked))
        if wish.how == "tables" and text:
            read.tables.append(table_of(rows, name, number))
        if room < 0:
            read.cut(
                f"Only the first {counted(len(rows), 'row')} of the sheet “{name[:60]}” were read: it is very large."
            )
    if not any(page.text for page in read.pages):
        raise Unreadable("no_text")
    return read


def _rows(book: Any, name: str, room: int) -> tuple[list[Row] | None, int]:
    """Returns the rows of a sheet, None when it cannot be read, and the number of cells that may still be read, -1 when
    the sheet has more.
    """
    try:
        sheet = book.get_sheet_by_name(name)
        wide = max(sheet.width, 1)
        left = sheet.iter_rows()
        rows = [[_value(cell) for cell in row] for row in islice(left, room // wide + 1)]
        is_whole = next(left, None) is None
    except (python_calamine.CalamineError, ValueError, OSError):
        return None, room
    return rows, max(0, room - len(rows) * wide) if is_whole else -1


def _value(cell: Any) -> Cell:
    """Returns a cell as JSON: whole numbers, which come as floating-point numbers, become whole again."""
    if isinstance(cell, bool | int):
        return cell
    if isinstance(cell, float):
        if not math.isfinite(cell):
            return str(cell)
        return int(cell) if cell.is_integer() and abs(cell) <= _EXACT else cell
    if isinstance(cell, str):
        return cell or None
    if isinstance(cell, dt.datetime):
        whole_day = cell.time() == dt.time()
        return cell.date().isoformat() if whole_day else cell.isoformat(sep=" ", timespec="seconds")
    if isinstance(cell, dt.date | dt.time):
        return cell.isoformat()
    return str(cell)


def _detail(error: Exception) -> str:
    return f"{str(error).rstrip('.')[:150]}."
