"""The write-ahead log is moved into the file by a thread of its own, not by a commit."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.core.ids import new_id
from storage import checkpoints as module
from storage.checkpoints import LONG_PAGES, PAGES, Checkpoints
from storage.database import Database
from storage.opening import open_database
from storage.sqlite_file import file_of
from storage.statements import Statement
from storage.write_ahead_log import end_of_log

pytestmark = pytest.mark.sqlite("They are about SQLite's write-ahead log.")

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
    rows = [{"scope": new_id("fill"), "value": f'"{"x" * 3_500}"'} for _ in range(pages)]
    database.write_now(lambda session: _FILL.run(session, *rows))


def pages(database: Database) -> int:
    return end_of_log(file_of(database.url)).frames


def moved(connection: sqlite3.Connection) -> int:
    """Returns how many pages of the log a checkpoint of this moment finds in the file, or moves there."""
    return connection.execute("pragma wal_checkpoint(passive)").fetchone()[2]


def size(database: Database) -> int:
    return file_of(database.url).stat().st_size


def test_no_commit_moves_the_log_and_the_thread_does(database: Database, connection: sqlite3.Connection) -> None:
    before = size(database)
    for _ in range(3):
        fill(database, PAGES // 2)
    length = pages(database)
    assert length > PAGES
    assert size(database) == before, "the commits of the three writes left the pages in the log"

    Checkpoints(database.url).pass_over(connection)

    assert size(database) > before + PAGES * 3_500
    assert moved(connection) == length == pages(database)


def test_a_short_log_is_left_alone(database: Database, connection: sqlite3.Connection) -> None:
    Checkpoints(database.url).pass_over(connection)
    fill(database, PAGES // 4)
    before = size(database)

    Checkpoints(database.url).pass_over(connection)

    assert size(database) == before


def test_what_was_moved_is_not_moved_again(database: Database, connection: sqlite3.Connection) -> None:
    checkpoints = Checkpoints(database.url)
    fill(database, PAGES + 100)
    checkpoints.pass_over(connection)
    fill(database, 300)
    before = size(database)
    checkpoints.pass_over(connection)
    assert size(database) == before


def test_a_log_to_which_nobody_writes_is_read_twice(database: Database) -> None:
    checkpoints = Checkpoints(database.url)
    for _ in range(2):
        fill(database, 10)
        assert [checkpoints.is_unchanged() for _ in range(4)] == [False, False, True, True]


def test_a_long_log_begins_anew_and_a_reader_is_not_in_the_way_of_writers(
    database: Database, connection: sqlite3.Connection
) -> None:
    with database.reading() as session:
        assert session.connection().exec_driver_sql("select count(*) from settings").scalar() is not None
        fill(database, LONG_PAGES)
        Checkpoints(database.url).pass_over(connection)  # the reader still needs the log
        fill(database, 10)
        assert pages(database) > LONG_PAGES

    Checkpoints(database.url).pass_over(connection)
    fill(database, 10)

    assert pages(database) < 100


def test_a_database_that_cannot_be_opened_for_a_while_keeps_the_thread_looking(
    new_data: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.001)
    caplog.set_level("INFO", module.__name__)
    failed, again, looked = 0, threading.Event(), threading.Event()
    checkpoints = Checkpoints(f"sqlite:///{new_data / 'missing' / 'flowport.db'}")

    def connect() -> sqlite3.Connection:
        nonlocal failed
        failed += 1
        if failed == 20:
            again.set()
        return usual()

    usual = checkpoints._connect
    monkeypatch.setattr(checkpoints, "_connect", connect)
    monkeypatch.setattr(checkpoints, "pass_over", lambda _: looked.set())
    checkpoints.start()
    assert again.wait(30)
    new_data.mkdir(exist_ok=True)
    (new_data / "missing").mkdir()
    assert looked.wait(30)
    checkpoints.stop()
    assert caplog.text.count("was not moved") == 1
