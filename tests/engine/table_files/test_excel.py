"""Tables as Excel files: numbers stay numbers, texts are never formulas, and what does not fit is cut with a note."""

from __future__ import annotations

import zipfile
from decimal import Decimal
from pathlib import Path

import pytest

from engine.table_files import excel
from engine.table_files.excel import LONGEST_CELL, ExcelFile
from tests.workbooks import read_workbook


def written(tmp_path: Path, *pieces: list[list[object]]) -> bytes:
    path = tmp_path / "table.xlsx"
    file = ExcelFile(path)
    for rows in pieces:
        file.add(rows)
    file.close()
    assert [one.name for one in tmp_path.iterdir()] == ["table.xlsx"], "what was made meanwhile is gone"
    return path.read_bytes()


def test_cells_keep_their_kind(tmp_path: Path) -> None:
    cells = ["=1+1", "+1", "@x", "007", "a\nb", 12, -0.5, Decimal("0.000000001"), True, None, ["a", 1], "é😀\ud800"]
    content = written(tmp_path, [[f"c{at}" for at in range(len(cells))]], [cells, [10**16, float("inf"), "_x0041_"]])
    ((_, first, second),) = read_workbook(content).values()
    assert first == ["=1+1", "+1", "@x", "007", "a\nb", 12, -0.5, 1e-9, True, "", '["a", 1]', "é😀\ufffd"]
    assert second[:3] == ["10000000000000000", "Infinity", "_x0041_"]
    with zipfile.ZipFile(tmp_path / "table.xlsx") as parts:
        sheet = parts.read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in sheet
    assert '<pane ySplit="1"' in sheet
    assert sheet.index("<cols>") < sheet.index("<sheetData>")


@pytest.mark.parametrize("letter", ["x", "😀"])
def test_a_long_text_is_cut_with_a_note(tmp_path: Path, letter: str) -> None:
    room = LONGEST_CELL // (len(letter.encode("utf-16-le")) // 2)
    ((_, (fits, cut)),) = read_workbook(written(tmp_path, [["a", "b"], [letter * room, letter * (room + 1)]])).values()
    assert fits == letter * room
    assert cut.startswith(letter * 1_000)
    assert cut.endswith("(cut here: the CSV file has all of it)")


def test_a_table_that_is_too_long_ends_with_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excel, "MAX_ROWS", 3)
    pieces = [["n"]], [[1], [2]], [[3], [4]], [[5]]
    (rows,) = read_workbook(written(tmp_path, *pieces)).values()
    assert rows[:-1] == [["n"], [1], [2], [3]]
    assert "The CSV file has all of them." in rows[-1][0]
