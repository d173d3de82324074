"""Statements of a batch of writes are sent together, and yet an error is that of the write that caused it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from engine.core.errors import Invalid
from storage.database import Database
from storage.opening import open_database
from storage.statements import Statement
from tests.databases import url_of

PUT = Statement("insert into settings (scope, name, value) values ('test', :name, '{}')")
NAMES = Statement("select name from settings where scope = 'test' order by name")
CHANGE = Statement("update settings set value = '[]' where scope = 'test' and name = :name")


@pytest.fixture
def database(new_data: Path) -> Iterator[Database]:
    opened = open_database(new_data, url=url_of(new_data))
    yield opened
    opened.close()


def put(session: Session, *names: str) -> None:
    PUT.run(session, *({"name": name} for name in names))


def put_and_refuse(session: Session, name: str) -> None:
    put(session, name)
    raise Invalid("no")


def names(session: Session) -> list[str]:
    return [name for (name,) in NAMES.rows(session, {})]


def put_and_read(session: Session, name: str) -> tuple[list[str], int]:
    put(session, name)
    return names(session), CHANGE.count(session, {"name": name})


def put_in_both_ways(session: Session, name: str) -> int:
    put(session, name)
    return session.execute(text("select count(*) from settings where scope = 'test'")).scalar_one()


async def test_each_write_of_a_batch_gets_its_own_outcome(database: Database) -> None:
    outcomes = await asyncio.gather(
        database.write(put, "a", "b"),
        database.write(put, "c", "a"),
        database.write(put_and_refuse, "d"),
        database.write(put_and_read, "e"),
        database.write(put, "e"),
        database.write(put_in_both_ways, "f"),
        return_exceptions=True,
    )
    assert [type(one) for one in outcomes] == [type(None), IntegrityError, Invalid, tuple, IntegrityError, int]
    assert outcomes[3] == (["a", "b", "e"], 1)
    assert outcomes[5] == 4
    assert database.read_now(names) == ["a", "b", "e", "f"]
