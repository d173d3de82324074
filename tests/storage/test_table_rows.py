"""All rows of a database as plain values: copied completely, compared, and cleaned of what PostgreSQL cannot store."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterable
from pathlib import Path

import pytest

from storage.backup import DATABASE
from storage.opening import open_database
from storage.table_rows import MovedTable, NotTheSame, Replaced, Row, SqliteRows, copy_rows, moved_tables, sums_of
from storage.tables import Base
from tests.storage.test_upgrade import RELEASES, unpack

pytestmark = pytest.mark.sqlite(
    reason="copies between two SQLite files; `postgres/test_move.py` does it with PostgreSQL"
)


@pytest.fixture(scope="module")
def first_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of the first release, in this version's schema."""
    data = tmp_path_factory.mktemp("first") / "data"
    unpack(RELEASES[0], data)
    open_database(data).close()
    return data


@pytest.fixture
def source(first_release: Path, tmp_path: Path) -> Path:
    """A copy of its database."""
    return Path(shutil.copytree(first_release, tmp_path / "source")) / DATABASE


@pytest.fixture
def target(migrated: Path, tmp_path: Path) -> Path:
    """A database without rows."""
    return Path(shutil.copytree(migrated, tmp_path / "target")) / DATABASE


def test_every_table_is_copied_but_for_the_processes(source: Path, target: Path) -> None:
    names = [table.name for table in moved_tables()]
    assert set(Base.metadata.tables) - set(names) == {"workers"}
    told: list[tuple[str, int]] = []
    there, here = SqliteRows(target), SqliteRows(source)
    copied = copy_rows(here, there, tell=lambda table, rows: told.append((table, rows)))
    there.commit()
    assert copied.tables == {table.name: sums_of(here, table) for table in moved_tables()}
    assert (copied.tables["jobs"].rows, copied.replaced_count) == (5, 0)
    assert ("jobs", 5) in told
    here.close()
    there.close()


class Losing(SqliteRows):
    """Loses the last row of each table."""

    def write(self, table: MovedTable, rows: Iterable[Row]) -> None:
        super().write(table, list(rows)[:-1])


def test_a_copy_that_is_not_the_same_is_refused(source: Path, target: Path) -> None:
    there, here = Losing(target), SqliteRows(source)
    with pytest.raises(NotTheSame, match="The table audit has 2 rows instead of 3"):
        copy_rows(here, there, tell=lambda _table, _rows: None)
    here.close()
    there.close()


def test_rows_without_those_they_belong_to_are_refused(source: Path) -> None:
    rows = SqliteRows(source)
    flow_versions = next(table for table in moved_tables() if table.name == "flow_versions")
    (row,) = rows.read(flow_versions)
    rows.write(flow_versions, [("flow_gone", *row[1:])])
    with pytest.raises(NotTheSame, match="without those that they belong to"):
        rows.commit()
    rows.close()


@pytest.mark.parametrize(
    ("column", "stored", "copied"),
    [
        ("title", "a\0b", "a\ufffdb"),
        ("value", r'{"value":"\u0000"}', r'{"value":"\ufffd"}'),
        ("value", r'{"value":"\ud83d\ude00"}', None),
        ("value", r'{"value":"\ude00\ud83d"}', r'{"value":"\ufffd\ufffd"}'),
        ("value", r'{"value":"\\u0000 \\ud83d"}', None),
        ("value", "12", None),
    ],
)
def test_what_postgresql_cannot_store_is_replaced(
    column: str, stored: str, copied: str | None, source: Path, target: Path
) -> None:
    with sqlite3.connect(source) as connection:
        if column == "title":
            connection.execute("update flows set title = ?", (stored,))
            (key,) = connection.execute("select id from flows").fetchone()
        else:
            connection.execute("insert into settings values ('server', 'odd', ?)", (stored,))
            key = "server odd"
    connection.close()
    there, here = SqliteRows(target), SqliteRows(source)
    found = copy_rows(here, there, tell=lambda _table, _rows: None)
    there.commit()
    name = "flows" if column == "title" else "settings"
    table = next(table for table in moved_tables() if table.name == name)
    (value,) = [row[table.columns.index(column)] for row in there.read(table) if name == "flows" or row[1] == "odd"]
    here.close()
    there.close()
    assert value == (stored if copied is None else copied)
    assert found.replaced == ([] if copied is None else [Replaced(name, column, key)])
