"""What was written is stored exactly once when connections are lost, and whoever wrote it gets the answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from storage.database import Database, after_commit
from storage.opening import open_database
from storage.postgres import LOCK, Began, connect_directly
from storage.postgres_database import state_of
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


def test_the_number_of_a_transaction_is_not_believed_after_a_restart(database: Database):
    """PostgreSQL gives numbers again that did not reach its log before it crashed."""
    with contextlib.closing(connect_directly(database.url)) as connection:
        for end, before, after in (("commit", "committed", "failed"), ("rollback", "aborted", "aborted")):
            connection.execute("begin")
            row = connection.execute(LOCK).fetchone()
            assert row is not None
            connection.execute(end)
            began = Began(*row)
            assert state_of(connection, began) == before
            assert state_of(connection, replace(began, started="1")) == after
