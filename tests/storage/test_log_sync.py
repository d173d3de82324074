"""Committed writes of a server are on disk before anybody hears of them."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from pathlib import Path

import pytest

import storage.log_sync
from engine.core.clock import SystemClock
from engine.core.errors import StorageUnavailable
from storage.database import Database
from storage.log_sync import LogSync
from storage.opening import open_database

pytestmark = pytest.mark.sqlite("PostgreSQL syncs its own log.")


def add(session, *numbers):
    session.connection().exec_driver_sql("create table if not exists numbers (number integer)")
    for number in numbers:
        session.connection().exec_driver_sql(f"insert into numbers values ({number})")


def synced(monkeypatch, before=lambda: None):
    """Returns a list that grows with each sync, by the size of the log then."""
    sizes: list[int] = []

    def sync(descriptor: int) -> None:
        before()
        sizes.append(os.fstat(descriptor).st_size)
        os.fsync(descriptor)

    monkeypatch.setattr(storage.log_sync, "_sync_data", sync)
    return sizes


@pytest.fixture
def database(tmp_path: Path):
    opened = open_database(tmp_path, clock=SystemClock())
    yield opened
    opened.close()


async def test_a_write_is_answered_after_its_sync(database: Database, monkeypatch):
    sizes = synced(monkeypatch)
    await database.write(add, 1)
    assert len(sizes) == 1
    assert sizes[0] > 0
    database.write_now(add, 2)
    assert len(sizes) == 2
    database.write_alone(add, 3)
    assert len(sizes) == 3


async def test_the_next_transaction_runs_while_the_disk_works(database: Database, monkeypatch):
    """Two writes wait, so the first is synced in the thread; the second is done before that sync ends."""
    second_runs, may_sync = threading.Event(), threading.Event()
    sizes = synced(monkeypatch, before=lambda: may_sync.wait(30))
    order: list[str] = []

    def first(session):
        add(session, 1)
        assert order == []

    def second(session):
        add(session, 2)
        second_runs.set()

    async def tell(name, work):
        await database.write(work)
        order.append(name)

    waiting = threading.Event()
    blocked = asyncio.create_task(database.write(lambda _session: waiting.wait(30) and None))
    await asyncio.sleep(0.05)  # the writer is in the first write, and these two wait for the next transactions
    tasks = [asyncio.create_task(tell("first", first))]
    await asyncio.sleep(0)
    monkeypatch.setattr("storage.database.MAX_BATCH", 1)
    tasks.append(asyncio.create_task(tell("second", second)))
    await asyncio.sleep(0)
    waiting.set()
    assert await asyncio.to_thread(second_runs.wait, 30)
    assert order == []
    assert not blocked.done()
    may_sync.set()
    await asyncio.gather(blocked, *tasks)
    assert order == ["first", "second"]
    assert sizes


def refuse(_descriptor: int) -> None:
    raise OSError(5, "Input/output error")


async def test_a_log_that_the_disk_refuses_is_moved_into_the_database(database: Database, monkeypatch):
    """The system takes pages that it could not write for written, so another sync would not fill the hole in the log."""
    log = Path(f"{database.url.removeprefix('sqlite:///')}-wal")
    await database.write(add, 1)
    assert log.stat().st_size > 0
    monkeypatch.setattr(storage.log_sync, "_sync_data", refuse)
    await database.write(add, 2)
    assert log.stat().st_size == 0


async def test_while_that_fails_callers_get_an_error_and_the_writes_are_there(database: Database, monkeypatch):
    await database.write(add, 1)
    reader = sqlite3.connect(database.url.removeprefix("sqlite:///"))
    reader.execute("begin")
    reader.execute("select * from numbers").fetchall()  # it keeps the log from being begun anew
    monkeypatch.setattr(storage.log_sync, "_sync_data", refuse)
    monkeypatch.setattr(storage.log_sync, "_BUSY_SECONDS", 0.1)
    with pytest.raises(StorageUnavailable, match="the log is in use") as caught:
        await database.write(add, 2)
    assert "may have been done" in caught.value.remedy
    sizes = synced(monkeypatch)
    for write in (database.write_now, database.write_alone):
        with pytest.raises(StorageUnavailable, match="the log is in use"):
            write(add, 3)
    assert sizes == [], "no sync counts now"
    reader.close()
    await database.write(add, 4)
    await database.write(add, 5)
    assert len(sizes) == 1
    found = await database.read(lambda session: session.connection().exec_driver_sql("select * from numbers").all())
    assert [row[0] for row in found] == [1, 2, 3, 3, 4, 5]


def test_without_a_thread_syncs_are_made_by_who_asks(tmp_path: Path, monkeypatch):
    class NoThread(threading.Thread):
        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    (tmp_path / "flowport.db-wal").write_bytes(b"1")
    sizes, faults = synced(monkeypatch), []
    sync = LogSync(tmp_path / "flowport.db")
    monkeypatch.setattr(threading, "Thread", NoThread)
    sync.after_sync(faults.append)
    assert (faults, sizes) == ([None], [1])
    monkeypatch.undo()
    sync.after_sync(faults.append)
    sync.close()
    assert faults == [None, None]


async def test_what_need_not_be_durable_is_not_synced(tmp_path: Path, monkeypatch):
    open_database(tmp_path).close()
    worker = open_database(tmp_path, durable=False)
    sizes = synced(monkeypatch)
    await worker.write(add, 1)
    worker.close()
    assert sizes == []


def test_closing_syncs_what_waits_and_a_new_log_is_opened_anew(tmp_path: Path, monkeypatch):
    sizes = synced(monkeypatch)
    log = tmp_path / "flowport.db-wal"
    sync = LogSync(tmp_path / "flowport.db")
    assert sync.sync() is None, "without a log there is nothing to sync"
    log.write_bytes(b"1")
    faults: list[object] = []
    sync.after_sync(faults.append)
    sync.close()
    assert (faults, sizes) == ([None], [1])
    log.rename(tmp_path / "old")
    log.write_bytes(b"123")
    assert sync.sync() is None
    assert sizes == [1, 3]
    sync.close()
