"""A large file that is imported, and one of Excel, is read in a process of its own, and ends up as any other."""

from __future__ import annotations

import io

import pytest
import xlsxwriter
from nicegui import ui
from nicegui.testing import User

from storage.datasets import list_datasets
from tests.ui.arrange import press
from tests.ui.conftest import Site
from tests.ui.datasets.test_datasets import drop, rows_of

pytestmark = pytest.mark.process


async def test_a_large_file_is_read_apart(site: Site, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ui.datasets.import_dialog.SMALL_FILE", 20)
    await user.open("/datasets")
    press(user, "Import a file")
    await drop(user, "wide.csv", ",".join(map(str, range(2_001))).encode())
    await user.should_see("The file has more than 2,000 columns.", retries=300)
    await drop(user, "prices.csv", "name;price\nRye;3.2\nKäse;1\n".encode())
    await user.should_see("2 rows, 2 columns (CSV, semicolons)", retries=300)
    press(user, "Import 2 rows")
    await user.should_see("2 rows, 2 columns.", retries=100)
    (made,) = site.database.read_now(list_datasets, site.workspace_id)
    assert rows_of(site, made.id) == [{"name": "Rye", "price": 3.2}, {"name": "Käse", "price": 1}]


async def test_a_sheet_of_an_excel_file_is_imported(site: Site, user: User) -> None:
    content = io.BytesIO()
    with xlsxwriter.Workbook(content) as book:
        book.add_worksheet("About")
        for name, rows in (("Shops", [["town"], ["Ulm"]]), ("Goods", [["name", "price"], ["Rye", 3.2], ["=x", 1]])):
            sheet = book.add_worksheet(name)
            for at, row in enumerate(rows):
                for place, value in enumerate(row):
                    (sheet.write_string if isinstance(value, str) else sheet.write)(at, place, value)
    await user.open("/datasets")
    press(user, "Import a file")
    await drop(user, "goods.xlsx", content.getvalue()[:900])
    await user.should_see("“goods.xlsx” is damaged", retries=300)
    await drop(user, "goods.xlsx", content.getvalue())
    await user.should_see("1 row, 1 column (sheet “Shops”)", retries=300)
    sheets = next(one for one in user.find(kind=ui.select).elements if one.options == {0: "“Shops”", 1: "“Goods”"})
    sheets.value = 1
    await user.should_see("2 rows, 2 columns (sheet “Goods”)", retries=100)
    press(user, "Import 2 rows")
    await user.should_see("2 rows, 2 columns.", retries=100)
    (made,) = site.database.read_now(list_datasets, site.workspace_id)
    assert (made.name, rows_of(site, made.id)) == ("goods", [{"name": "Rye", "price": 3.2}, {"name": "=x", "price": 1}])
