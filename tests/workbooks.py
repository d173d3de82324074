"""Reads Excel files in tests."""

from __future__ import annotations

import io
from typing import Any

import python_calamine


def read_workbook(content: bytes) -> dict[str, list[list[Any]]]:
    """Returns the rows of each sheet, by its name."""
    book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(content))
    return {name: book.get_sheet_by_name(name).to_python() for name in book.sheet_names}
