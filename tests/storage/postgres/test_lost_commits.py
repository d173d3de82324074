"""What was written is stored exactly once when connections are lost, and whoever wrote it gets the answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.orm import Session

from storage.database import Database, after_commit
from storage.opening import open_database
from storage.postgres.commit_marks import Mark, Marks, outcome_of
from storage.postgres.connections import LOCK, Began, connect_directly
from storage.postgres.libpq_statements import wire_of
from storage.postgres.pipelining import PipedDriver
from storage.statements import Statement
from tests.postgres_proxy import Cut, Proxy

ADD = Statement(
    "insert into settings (scope, name, value) values ('test', :name, '1')"
    " on conflict (scope, name) do update set value = cast(cast(cast(settings.value as text) as integer) + 1 as text)::json"
)
COUNTS = Statement("select name, cast(value as text) from settings where scope = 'test' order by name")
TOLD: list[str] = []


@pytest.fixture
def database(new_data: Path, proxy: Proxy) -> Iterator[Database]:
    TOLD.clear()
    opened = open_database(new_data, url=proxy.url)
    yield opened
    opened.close()


def tell(*names: str) -> None:
    TOLD.extend(names)


def count(session: Session, name: str) -> str:
    ADD.run(session, {"name": name})
    after_commit(session, tell, name)
    return name


def count_many(session: Session, names: Sequence[str]) -> list[str]:
    return [count(session, name) for name in names]


def counts(database: Database) -> dict[str, str]:
    return dict(database.read_now(lambda session: [tuple(row) for row in COUNTS.rows(session, {})]))


@pytest.mark.parametrize("where", ["before", "while", "after"])
def test_a_commit_whose_answer_is_lost_counts_once(database: Database, proxy: Proxy, where: Cut) -> None:
    proxy.cut(where)
    assert database.write_now(count, "one") == "one"
    assert (proxy.cuts, counts(database), TOLD) == (1, {"one": "1"}, ["one"])


async def test_forty_lost_answers_in_a_row_of_writes(database: Database, proxy: Proxy) -> None:
    for number in range(40):
        proxy.cut(("before", "while", "after")[number % 3])
        names = [f"{number:02d}-{one}" for one in range(3)]
        assert await asyncio.gather(*(database.write_joined(count_many, name) for name in names)) == names
    assert proxy.cuts == 40
    assert set(counts(database).values()) == {"1"}
    assert len(counts(database)) == len(TOLD) == 120


def test_a_connection_that_was_lost_before_is_opened_anew(database: Database, proxy: Proxy) -> None:
    database.write_now(count, "one")
    assert database.look_up(lambda session: COUNTS.row(session, {})) == ("one", "1")
    proxy.lose_all()
    assert database.look_up(lambda session: COUNTS.row(session, {})) == ("one", "1")
    database.write_now(count, "one")
    assert counts(database) == {"one": "2"}


def begun(connection: psycopg.Connection) -> Began:
    connection.execute("begin")
    row = connection.execute(LOCK).fetchone()
    assert row is not None
    return Began(*row)


def put(marks: Marks, connection: psycopg.Connection, began: Began) -> Mark:
    """Puts a mark by the statements of the program, as the writer does before COMMIT."""
    piped = PipedDriver(wire_of(connection), carefully=False)
    piped.execute("update settings set value = '1' where name = 'nobody'")
    mark = marks.put(piped, began)
    piped.flush(ending=True)
    return mark


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_a_mark_says_which_transaction_was_stored(database: Database, end: str) -> None:
    marks, never = Marks(), lambda: False
    with contextlib.closing(connect_directly(database.url)) as connection:
        kept = None
        for number in range(3):
            began = begun(connection)
            connection.execute("insert into settings (scope, name, value) values ('test', %s, '1')", (str(number),))
            mark = put(marks, connection, began)
            assert outcome_of(database.url, mark, until=lambda: True) == "unknown"
            connection.execute(end if number == 2 else "commit")
            assert outcome_of(database.url, mark, until=never) == (
                "aborted" if end == "rollback" and number == 2 else "committed"
            )
            kept, before = mark, kept
            if before is not None and end == "commit":
                assert outcome_of(database.url, before, until=never) == "aborted"  # nobody asks: a later one has begun


def test_a_transaction_without_changes_leaves_no_mark_and_no_number(database: Database) -> None:
    marks = Marks()
    with contextlib.closing(connect_directly(database.url)) as connection:
        mark = put(marks, connection, begun(connection))
        row = connection.execute("select pg_current_xact_id_if_assigned() is null").fetchone()
        connection.execute("commit")
        assert row == (True,)
        assert outcome_of(database.url, mark, until=lambda: False) == "aborted"


def test_a_transaction_that_its_client_left_is_ended(database: Database) -> None:
    with contextlib.closing(connect_directly(database.url)) as connection:
        began = begun(connection)
        connection.execute("insert into settings (scope, name, value) values ('test', 'left', '1')")
        mark = put(Marks(), connection, began)
        assert outcome_of(database.url, mark, until=lambda: False) == "aborted"
        with pytest.raises(psycopg.OperationalError):
            connection.execute("commit")
    assert counts(database) == {}


def test_marks_of_processes_that_are_gone_are_removed(database: Database) -> None:
    database.write_now(count, "one")
    with contextlib.closing(connect_directly(database.url)) as connection:
        connection.execute("insert into write_marks values ('old', 7, 1)")
        began = begun(connection)
        connection.execute("insert into settings (scope, name, value) values ('test', 'two', '1')")
        put(Marks(), connection, began)
        connection.execute("commit")
        rows = connection.execute("select writer from write_marks").fetchall()
    assert len(rows) == 2
    assert ("old",) not in rows
