"""What happens while PostgreSQL does not answer, and what is told about a database that cannot be used."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from engine.core.errors import DatabaseAway, StorageUnavailable
from engine.core.settings import BadSetting
from engine.diagnostics.readiness import Readiness
from storage.database import Database
from storage.migrations import upgrade as upgrading
from storage.migrations.schema import NewerData
from storage.opening import open_database
from storage.postgres import reachability
from storage.postgres.connections import connect_directly
from storage.postgres.faults import as_away
from storage.postgres.unusable import unsuitable
from storage.settings import SERVER, find_setting, put_setting
from tests.postgres_proxy import Proxy


@pytest.fixture
def database(new_data: Path, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setattr(reachability, "ASK_SECONDS", 0.1)
    monkeypatch.setattr(reachability, "SILENT_SECONDS", 0.5)
    opened = open_database(new_data, url=proxy.url)
    yield opened
    opened.close()


def store(session: Session, value: str) -> None:
    put_setting(session, SERVER, "test", value)


async def test_a_silent_server_holds_neither_the_event_loop_nor_a_caller_and_what_was_refused_is_not_written_later(
    database: Database, proxy: Proxy
) -> None:
    await database.write(store, "before")
    assert await database.read(find_setting, SERVER, "test") == "before"

    with proxy.silent():
        stuck = asyncio.create_task(database.write(store, "begun"))  # the writer waits for the server with this one
        await asyncio.sleep(0.05)
        waiting = [
            asyncio.create_task(work)
            for work in (
                database.write(store, "refused"),
                database.read(find_setting, SERVER, "test"),
                database.read_briefly(find_setting, SERVER, "test"),
                database.find(lambda session: session.info["now"]),
            )
        ]
        longest = await longest_pause(lambda: all(task.done() for task in waiting))
        assert longest < 0.3, "the event loop goes on"
        assert {type(task.exception()) for task in waiting[:3]} == {DatabaseAway}
        with pytest.raises(DatabaseAway):  # at once, without a thread
            await database.read(find_setting, SERVER, "test")
        body = await Readiness().look(database, Path("/"))
        assert body["status"] == "not ready"
        assert "does not answer" in str(body["reason"])
    await asyncio.gather(stuck, return_exceptions=True)

    assert await until(database, lambda value: value is not None) in {"before", "begun"}
    await database.write(store, "after")
    assert await database.read(find_setting, SERVER, "test") == "after"


async def test_a_query_of_a_worker_waits_while_the_server_is_away_and_one_of_a_server_is_refused(
    new_data: Path, database: Database, proxy: Proxy
) -> None:
    await database.write(store, "kept")
    of_worker = open_database(new_data, url=proxy.url, durable=False)
    try:
        assert await of_worker.read(find_setting, SERVER, "test") == "kept"
        with proxy.away():
            asked = asyncio.create_task(of_worker.read(find_setting, SERVER, "test"))
            with pytest.raises(DatabaseAway):
                await database.read(find_setting, SERVER, "test")
            assert not asked.done()
        assert await asked == "kept"
    finally:
        of_worker.close()


async def test_a_write_of_a_worker_waits_while_the_server_is_away_and_one_of_a_server_is_refused(
    new_data: Path, database: Database, proxy: Proxy
) -> None:
    of_worker = open_database(new_data, url=proxy.url, durable=False)
    try:
        await of_worker.write(store, "before")
        with proxy.away():
            asked = asyncio.create_task(of_worker.write(store, "after"))
            with pytest.raises(DatabaseAway):
                await database.write(store, "refused")
            assert not asked.done()
        await asked
        assert await of_worker.read(find_setting, SERVER, "test") == "after"
    finally:
        of_worker.close()


async def test_a_step_reads_and_stores_files_over_a_short_absence_of_the_server(
    new_data: Path, database: Database, proxy: Proxy
) -> None:
    of_worker = open_database(new_data, url=proxy.url, durable=False)
    kept = of_worker.file_bytes

    def keep(content: bytes) -> str:
        draft = kept.draft_of(content)
        of_worker.write_now(lambda session: kept.place(draft, session))
        return draft.sha256

    try:
        first = await asyncio.to_thread(keep, b"first")
        with proxy.away():
            reading = asyncio.create_task(asyncio.to_thread(kept.read, first, 5))
            storing = asyncio.create_task(asyncio.to_thread(kept.draft_of, b"second"))
            with pytest.raises(StorageUnavailable):
                await asyncio.to_thread(database.file_bytes.read, first, 5)
            assert not reading.done()
            assert not storing.done()
        assert await reading == b"first"
        draft = await storing
        await of_worker.write(lambda session: kept.place(draft, session))
        assert await asyncio.to_thread(kept.read, draft.sha256, 6) == b"second"
    finally:
        of_worker.close()


def test_a_file_that_the_server_has_no_room_for_is_sent_once(new_data: Path, database: Database) -> None:
    """More tries would fill the disk further."""
    of_worker = open_database(new_data, url=database.url, durable=False)
    full = """
        create function refuse() returns trigger language plpgsql as
          $$ begin perform nextval('tries'); raise 'no room' using errcode = '53100'; end $$;
        create sequence tries;
        create trigger full_disk before insert on file_pieces for each row execute function refuse()"""
    try:
        with connect_directly(database.url) as connection:
            connection.execute(full)
            with pytest.raises(StorageUnavailable):
                of_worker.file_bytes.draft_of(b"content")
            assert connection.execute("select last_value from tries").fetchone() == (1,)
    finally:
        of_worker.close()


async def longest_pause(over: Callable[[], bool]) -> float:
    """Returns the longest time between two turns of the event loop until something is over."""
    longest, last, until = 0.0, time.monotonic(), time.monotonic() + 30
    while not over():
        await asyncio.sleep(0.01)
        longest, last = max(longest, time.monotonic() - last), time.monotonic()
        assert last < until, "a call was not answered"
    return longest


async def until(database: Database, good: Callable[[object], bool]) -> object:
    """Reads until the server answers again."""
    for _ in range(300):
        try:
            value = await database.read(find_setting, SERVER, "test")
        except DatabaseAway:
            await asyncio.sleep(0.05)
            continue
        if good(value):
            return value
    raise AssertionError("it did not come back")


def test_a_server_that_is_gone_is_told_and_back_without_a_new_start(database: Database, proxy: Proxy) -> None:
    database.write_now(store, "one")
    with proxy.away():
        for call in (lambda: database.write_now(store, "two"), lambda: database.read_now(find_setting, SERVER, "test")):
            with pytest.raises(DatabaseAway) as refused:
                call()
            assert "proxy-" not in str(refused.value), "the address is for the log"
    assert database.read_now(find_setting, SERVER, "test") == "one"
    database.write_now(store, "three")
    assert database.read_now(find_setting, SERVER, "test") == "three"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (psycopg.errors.DiskFull("could not extend file base/1: No space left on device"), "Its disk is full"),
        (psycopg.errors.TooManyConnections("sorry, too many clients already"), "no free place"),
        (psycopg.errors.ReadOnlySqlTransaction("cannot execute INSERT"), "only reads"),
        (psycopg.OperationalError('connection to server at "10.1.2.3", port 5432 failed: Connection refused'), "Nothing answers"),
        (psycopg.OperationalError("consuming input failed: server closed the connection"), "was lost"),
    ],
)  # fmt: skip
def test_a_caller_is_told_why_and_not_where(error: psycopg.Error, told: str) -> None:
    said = str(as_away(error))
    assert told in said
    assert "10.1.2.3" not in said
    assert as_away(error).code == "storage_unavailable"


@pytest.mark.parametrize(
    ("version", "encoding", "standby", "told"),
    [
        (140_000, "UTF8", False, ""),
        (130_014, "UTF8", False, "PostgreSQL 13"),
        (160_004, "LATIN1", False, "LATIN1"),
        (160_004, "UTF8", True, "standby"),
    ],
)
def test_what_a_server_must_be_like(version: int, encoding: str, standby: bool, told: str) -> None:
    said = unsuitable(version, encoding, standby=standby)
    assert (said == "") is (told == "")
    assert told in said


def test_a_database_that_is_not_there_is_told_without_the_password(tmp_path: Path, new_database) -> None:
    url = make_url(new_database()).set(database="not_there", password="canary-pass")
    with pytest.raises(BadSetting, match="the database not_there of") as refused:
        open_database(tmp_path / "data", url=url.render_as_string(hide_password=False))
    assert "canary" not in str(refused.value)


def test_a_user_without_rights_is_told_which(tmp_path: Path, new_database) -> None:
    url = new_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("drop role if exists flowport_weak")
        connection.execute("create role flowport_weak login")
        connection.execute("revoke create on schema public from public")
    weak = make_url(url).set(username="flowport_weak").render_as_string(hide_password=False)
    try:
        with pytest.raises(
            BadSetting,
            match=r"lacks rights.* run `app.py migrate` with the address of that owner in FLOWPORT_DATABASE_URL",
        ):
            open_database(tmp_path / "data", url=weak)
        open_database(tmp_path / "data", url=url).close()
        with pytest.raises(BadSetting, match="may not change the tables"):
            open_database(tmp_path / "data", url=weak)
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("drop role flowport_weak")


def test_a_database_of_a_newer_program_is_left_alone(tmp_path: Path, new_database) -> None:
    url = new_database()
    open_database(tmp_path / "data", url=url).close()
    with psycopg.connect(url) as connection:
        connection.execute("update alembic_version set version_num = '9999'")
    with pytest.raises(NewerData, match="newer Flowport"):
        open_database(tmp_path / "data", url=url)


def test_a_missing_driver_is_told_with_the_command_that_installs_it(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BadSetting, match=r"requirements-postgres\.lock"):
        upgrading.upgrade("postgresql://db.example.com/flowport", tmp_path)
