"""Everything moves from a data folder into PostgreSQL and back, or nothing does."""

from __future__ import annotations

import base64
import fcntl
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from engine.actions.datasets import add_dataset, add_row, delete_rows
from engine.actions.workspaces import ensure_workspace
from engine.core.clock import SystemClock
from engine.core.errors import DatabaseNotEmpty, FolderNotEmpty, InUse, MoveFailed
from engine.core.settings import BadSetting
from engine.jobs.transitions import claim_many
from engine.moving.move import move_to_folder, move_to_other, move_to_postgres
from storage.datasets import ColumnLine, list_datasets
from storage.opening import open_database
from storage.postgres.all_rows import session_in, writing_all
from storage.queue import add_messages, take_messages
from storage.settings import SERVER, put_setting
from storage.table_rows import Replaced, SqliteRows, Sums, moved_tables, sums_of
from tests.factories import person
from tests.storage.test_upgrade import RELEASES, unpack

NewDatabase = Callable[[], str]


def nobody(table: str, rows: int) -> None:
    """Takes progress."""


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """The folder of the first release: five jobs, of which three have not ended."""
    unpack(RELEASES[0], tmp_path / "release")
    return tmp_path / "release"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A key file."""
    path = tmp_path / "key"
    path.write_text(base64.b64encode(bytes(32)).decode())
    return path


def sums_in(data: Path) -> dict[str, Sums]:
    """Returns the sums of every table of a data folder of this version."""
    rows = SqliteRows(data / "flowport.db")
    try:
        return {table.name: sums_of(rows, table) for table in moved_tables()}
    finally:
        rows.close()


def tables_of(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute("select tablename from pg_tables where schemaname = 'public'")]


@pytest.mark.parametrize("packed", RELEASES, ids=lambda path: path.name.removesuffix(".db.gz"))
def test_a_release_moves_to_postgresql_and_back_and_its_hashes_are_equal(
    packed: Path, new_database: NewDatabase, key: Path, tmp_path: Path
) -> None:
    told = unpack(packed, tmp_path / "old")
    url, other = new_database(), new_database()
    before = (tmp_path / "old" / "flowport.db").read_bytes()
    there = move_to_postgres(tmp_path / "old", url, tell=nobody)
    assert (tmp_path / "old" / "flowport.db").read_bytes() == before
    assert sorted(path.name for path in (tmp_path / "old").iterdir()) == ["flowport.db", "run"]
    assert there.copied.replaced == []
    along = move_to_other(url, other, tell=nobody)
    back = move_to_folder(other, tmp_path / "new", key_file=key, tell=nobody)
    assert there.copied.tables == along.copied.tables == back.copied.tables
    assert there.copied.tables["jobs"].rows == len(told["jobs"])
    assert (tmp_path / "new" / "secret.key").read_bytes() == key.read_bytes()

    migrated = tmp_path / "migrated"
    unpack(packed, migrated)
    open_database(migrated).close()
    assert sums_in(tmp_path / "new") == sums_in(migrated)
    assert [one.queued for one in (there, along, back)] == [2, 2, 2], "the messages are made anew"
    for target in (other, None):
        database = open_database(tmp_path / "new", url=target)
        claimed, _ = database.write_now(claim_many, "boot_new", 10, ())
        assert {job.id for job in claimed} == {told["jobs"][name] for name in ("Dan", "Eve")}
        database.close()


def test_rows_that_are_added_later_get_numbers_behind_those_that_were_moved(
    release: Path, new_database: NewDatabase
) -> None:
    url = new_database()
    move_to_postgres(release, url, tell=nobody)
    with psycopg.connect(url) as connection:
        newest = connection.execute("select max(id) from audit").fetchone()
        added = connection.execute(
            "insert into audit (workspace_id, at, actor, verb, subject, detail, address) values ('', 1, '', '', '', '', '')"
            " returning id"
        ).fetchone()
    assert newest is not None
    assert added == (newest[0] + 1,)


def test_a_row_of_a_dataset_gets_no_id_of_one_that_was_removed_before_the_move(
    new_database: NewDatabase, key: Path, tmp_path: Path
) -> None:
    url = new_database()
    ids: list[int] = []

    def add_and_remove(target: str | None) -> None:
        database = open_database(tmp_path / "data", url=target)
        ada = person(database.write_now(ensure_workspace, "free"))
        if not database.read_now(list_datasets, ada.workspace_id):
            database.write_now(add_dataset, ada, "Bread", (ColumnLine("name", "string"),))
        ids.append(database.write_now(add_row, ada, "Bread", {"name": "Rye"}))
        database.write_now(delete_rows, ada, "Bread", ids[-1:])
        database.close()

    add_and_remove(None)
    move_to_postgres(tmp_path / "data", url, tell=nobody)
    add_and_remove(url)
    (tmp_path / "data").rename(tmp_path / "before")
    move_to_folder(url, tmp_path / "data", key_file=key, tell=nobody)
    add_and_remove(None)
    assert ids == sorted(set(ids))


def test_a_job_waits_behind_those_of_its_key_that_were_moved(new_database: NewDatabase, tmp_path: Path) -> None:
    url = new_database()
    database = open_database(tmp_path / "new", url=url)
    with writing_all(url) as connection, session_in(connection, SystemClock().now()) as session:
        add_messages(session, [(b"moved", "key_a"), (b"moved, too", "key_a")])
    database.write_now(add_messages, [(b"new", "key_a")])
    assert database.write_now(take_messages, 9) == [b"moved", b"moved, too", b"new"]
    database.close()


def test_what_postgresql_cannot_store_is_replaced_and_listed(release: Path, new_database: NewDatabase) -> None:
    open_database(release).close()
    odd = {"both": "a\\u0000b\\ud83d", "kept": "\\ud83d\\ude00 \\\\u0000"}
    with sqlite3.connect(release / "flowport.db") as connection:
        connection.execute("update flows set title = ?", ("a\0b",))
        connection.execute("update flows set description = cast(x'61eda0bd62' as text)")
        text = json.dumps(odd).replace("\\\\", "\\")
        connection.execute("insert into settings values ('server', 'odd', ?)", (text,))
        connection.execute("insert into settings values ('server', 'bare', '12')")
    connection.close()
    url = new_database()
    copied = move_to_postgres(release, url, tell=nobody).copied
    assert {(one.table, one.column) for one in copied.replaced} == {
        ("flows", "title"), ("flows", "description"), ("settings", "value"),
    }  # fmt: skip
    assert Replaced("settings", "value", "server odd") in copied.replaced
    assert copied.replaced_count == 3
    with psycopg.connect(url) as connection:
        title, description = connection.execute("select title, description from flows").fetchone() or ("", "")
        stored = connection.execute(
            "select value ->> 'both', value ->> 'kept' from settings where name = 'odd'"
        ).fetchone()
        bare = connection.execute("select value::text from settings where name = 'bare'").fetchone()
    assert (title, description.strip("\ufffd")) == ("a\ufffdb", "a\ufffd\ufffd\ufffdb")
    assert stored == ("a\ufffdb\ufffd", "\U0001f600 \\u0000")
    assert bare == ("12",)


class Interrupted(Exception):
    """Somebody pressed Ctrl+C."""


def interrupt_at(table: str) -> Callable[[str, int], None]:
    def tell(at: str, rows: int) -> None:
        if at == table and rows:
            raise Interrupted

    return tell


@pytest.mark.parametrize("table", ["api_keys", "schedule_starts", "jobs"])
def test_an_interrupted_move_leaves_the_target_empty_and_the_source_as_it_is(
    table: str, release: Path, new_database: NewDatabase, key: Path, tmp_path: Path
) -> None:
    open_database(release).close()
    with sqlite3.connect(release / "flowport.db") as connection:
        (workspace_id, flow_id) = connection.execute("select workspace_id, id from flows").fetchone()
        connection.execute(
            "insert into schedules values ('sched_1', ?, ?, '', '{}', 'UTC', '{}', null, null, 1, '')",
            (workspace_id, flow_id),
        )
        connection.execute("insert into schedule_starts values ('sched_1', 1, 1, 0, null, null, 0, null, 0, null)")
    connection.close()
    before, url = sums_in(release), new_database()
    with pytest.raises(Interrupted):
        move_to_postgres(release, url, tell=interrupt_at(table))
    assert tables_of(url) == []
    assert sums_in(release) == before

    move_to_postgres(release, url, tell=nobody)
    target = tmp_path / "new"
    with pytest.raises(Interrupted):
        move_to_folder(url, target, key_file=key, tell=interrupt_at(table))
    assert not target.exists()
    (target / ".moving" / "files").mkdir(parents=True)  # as a move leaves it that was killed while names changed
    (target / "secret.key").write_text("of the killed one")
    moved = move_to_folder(url, target, key_file=key, tell=nobody)
    assert {path.name for path in target.iterdir()} == {"flowport.db", "secret.key"}
    assert moved.copied.tables == before == sums_in(target)


def test_only_an_empty_target_is_filled(release: Path, new_database: NewDatabase, key: Path, tmp_path: Path) -> None:
    empty, filled, foreign = new_database(), new_database(), new_database()
    open_database(tmp_path / "any", url=empty).close()  # tables without rows, as `app.py migrate` makes them
    move_to_postgres(release, empty, tell=nobody)
    database = open_database(tmp_path / "any", url=filled)
    database.write_now(put_setting, SERVER, "any", 1)
    database.close()
    with pytest.raises(DatabaseNotEmpty, match=r"holds a Flowport already: 0 workspaces.*createdb"):
        move_to_postgres(release, filled, tell=nobody)
    with psycopg.connect(foreign) as connection:
        connection.execute("create table customers (id int)")
    with pytest.raises(DatabaseNotEmpty, match=r"tables of something else \(customers\)"):
        move_to_postgres(release, foreign, tell=nobody)
    with pytest.raises(DatabaseNotEmpty, match=r"tables of something else \(customers\).* Name a database of its own"):
        open_database(tmp_path / "any", url=foreign)  # as `app.py migrate` and every start
    assert tables_of(foreign) == ["customers"]
    with psycopg.connect(empty) as connection:
        connection.execute("create table customers (id int)")
    open_database(tmp_path / "any", url=empty).close()  # Flowport was there first
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").touch()
    with pytest.raises(FolderNotEmpty, match="holds files already"):
        move_to_folder(empty, tmp_path / "used", key_file=key, tell=nobody)


def test_nothing_in_use_is_moved(release: Path, new_database: NewDatabase, key: Path, tmp_path: Path) -> None:
    url = new_database()
    (release / "run").mkdir()
    for name, said in (("serve", "A server runs on the folder"), ("boot_1", "A worker .* runs on the folder")):
        with (release / "run" / name).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            with pytest.raises(InUse, match=said):
                move_to_postgres(release, url, tell=nobody)
    assert tables_of(url) == []
    move_to_postgres(release, url, tell=nobody)
    database = open_database(tmp_path / "any", url=url)
    database.write_now(put_setting, SERVER, "any", 1)
    with pytest.raises(InUse, match=r"Flowport has the database .* open: flowport.* connection.*Stop all servers"):
        move_to_folder(url, tmp_path / "new", key_file=key, tell=nobody)
    database.close()
    assert move_to_folder(url, tmp_path / "new", key_file=key, tell=nobody).copied.rows


def test_what_cannot_be_reached_or_stored_is_told(
    release: Path, new_database: NewDatabase, key: Path, tmp_path: Path
) -> None:
    with pytest.raises(MoveFailed, match="Connection refused"):
        move_to_postgres(release, "postgresql://127.0.0.1:1/none", tell=nobody)
    open_database(release).close()
    with sqlite3.connect(release / "flowport.db") as connection:
        connection.execute("update flows set draft_revision = 'many'")
    connection.close()
    url = new_database()
    with pytest.raises(
        MoveFailed, match=r"invalid input syntax for type bigint.*COPY flows, line 1, column draft_revision"
    ):
        move_to_postgres(release, url, tell=nobody)
    assert tables_of(url) == []
    with pytest.raises(BadSetting, match="FLOWPORT_SECRET_KEY_FILE is not set"):
        move_to_folder(url, tmp_path / "new", key_file=None, tell=nobody)
