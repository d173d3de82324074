"""The write-ahead log is moved into the file by a thread of its own, not by a commit."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.checkpoints import LONG_PAGES, PAGES, Checkpoints, log_length
from storage.database import Database, open_database
from storage.sqlite_file import file_of
from storage.statements import Statement

_FILL = Statement("insert into settings (scope, name, value) values (:scope, 'fill', :value)")


@pytest.fixture
def database(new_data: Path) -> Iterator[Database]:
    opened = open_database(new_data)
    yield opened
    opened.close()


@pytest.fixture
def connection(database: Database) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(file_of(database.url), timeout=0, isolation_level=None)) as opened:
        yield opened


def fill(database: Database, pages: int) -> None:
    """Makes the log longer by about this many pages, in one commit."""
    scope = str(log_length(file_of(database.url)))
    rows = [{"scope": f"{scope} {number}", "value": f'"{"x" * 3_500}"'} for number in range(pages)]
    database.write_now(lambda session: _FILL.run(session, *rows))


def test_no_commit_moves_the_log_and_the_thread_does(database: Database, connection: sqlite3.Connection) -> None:
    file = file_of(database.url)
    for _ in range(3):
        fill(database, PAGES // 2)
    length = log_length(file)
    assert length.pages > PAGES
    assert length.moved < PAGES // 2, "the commits of the three writes left the pages in the log"

    Checkpoints(database.url).pass_over(connection)

    length = log_length(file)
    assert length.moved == length.pages


def test_a_short_log_is_left_alone(database: Database, connection: sqlite3.Connection) -> None:
    Checkpoints(database.url).pass_over(connection)
    fill(database, PAGES // 4)
    before = log_length(file_of(database.url))

    Checkpoints(database.url).pass_over(connection)

    assert log_length(file_of(database.url)) == before


def test_a_long_log_begins_anew_and_a_reader_is_not_in_the_way_of_writers(
    database: Database, connection: sqlite3.Connection
) -> None:
    file = file_of(database.url)
    with database.reading() as session:
        assert session.connection().exec_driver_sql("select count(*) from settings").scalar() is not None
        fill(database, LONG_PAGES)
        Checkpoints(database.url).pass_over(connection)  # the reader still needs the log
        fill(database, 10)
        assert log_length(file).pages > LONG_PAGES

    Checkpoints(database.url).pass_over(connection)
    fill(database, 10)

    assert log_length(file).pages < 100
