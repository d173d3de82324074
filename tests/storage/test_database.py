"""Actions that share a transaction: each is stored completely or not at all, whatever it wrote."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from engine.core.errors import Invalid
from storage.database import Database, after_commit, open_database
from storage.statements import Statement
from storage.tables import Setting

PUT = Statement("insert into settings (scope, name, value) values ('test', :name, '{}')")


@pytest.fixture
def database(new_data: Path) -> Iterator[Database]:
    opened = open_database(new_data)
    yield opened
    opened.close()


TOLD: list[str] = []


def tell(*names: str) -> None:
    TOLD.extend(names)


def plain(session: Session, name: str) -> None:
    PUT.run(session, {"name": name})
    after_commit(session, tell, name)


def mapped(session: Session, name: str) -> None:
    session.add(Setting(scope="test", name=name, value={}))


def plain_then_refused(session: Session, name: str) -> None:
    plain(session, name)
    raise Invalid("no")


def mapped_then_refused(session: Session, name: str) -> None:
    mapped(session, name)
    session.flush()
    raise Invalid("no")


def only_added_then_refused(session: Session, name: str) -> None:
    mapped(session, name)
    raise Invalid("no")


async def test_verbs_of_one_transaction_leave_nothing_to_each_other(database: Database) -> None:
    TOLD.clear()
    verbs = [plain, plain_then_refused, plain, mapped_then_refused, plain, only_added_then_refused, mapped, plain]

    answers = await asyncio.gather(
        *(database.write(verb, f"n{number}") for number, verb in enumerate(verbs)), return_exceptions=True
    )

    refused = [number for number, answer in enumerate(answers) if isinstance(answer, Invalid)]
    assert refused == [1, 3, 5]
    stored = database.read_now(
        lambda session: session.scalars(text("select name from settings where scope = 'test'")).all()
    )
    assert sorted(stored) == ["n0", "n2", "n4", "n6", "n7"]
    await database.write(mapped, "n8")  # the writer starts it after it has completed all earlier ones
    assert TOLD == ["n0", "n2", "n4", "n7"], "what was rolled back is told to nobody"
