"""A large file that is imported is read in a process of its own, and ends up as any other."""

from __future__ import annotations

import pytest
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
