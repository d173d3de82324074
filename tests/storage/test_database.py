"""Actions that share a transaction: each is stored completely or not at all, whatever it wrote."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from engine.core.errors import Invalid
from storage.database import Database, after_commit
from storage.engines import make_engine, sqlite_url
from storage.statements import Statement
from storage.tables import Setting
from tests.databases import open_database

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


CALLS: list[list[str]] = []


def plain_many(session: Session, names: Sequence[str]) -> list[str | Exception]:
    CALLS.append(list(names))
    for name in names:
        if name == "broken":
            plain(session, name)
            raise ValueError(name)
    answers: list[str | Exception] = []
    for name in names:
        if name == "refused":
            answers.append(Invalid("no"))
        else:
            plain(session, name)
            answers.append(name)
    return answers


async def test_items_that_wait_together_are_written_by_one_call_and_answered_in_their_order(database: Database) -> None:
    CALLS.clear()
    TOLD.clear()
    names = ["a", "refused", "b", "c"]
    blocked = asyncio.Event()
    loop = asyncio.get_running_loop()
    held = asyncio.create_task(database.write(hold_until, blocked, loop))
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(database.write_joined(plain_many, name)) for name in names]
    await asyncio.sleep(0)
    blocked.set()
    await held

    answers = await asyncio.gather(*waiting, return_exceptions=True)

    assert [answer if isinstance(answer, str) else type(answer) for answer in answers] == ["a", Invalid, "b", "c"]
    assert [name for call in CALLS for name in call] == names
    assert len(CALLS) <= 2, "the first may have been taken with the write before it"
    await database.write(mapped, "later")
    assert sorted(TOLD) == ["a", "b", "c"]


def found_many(session: Session, names: Sequence[str]) -> list[str]:
    CALLS.append(list(names))
    if "broken" in names:
        raise Invalid("no")
    return [name.upper() for name in names]


@pytest.mark.sqlite("PostgreSQL reads each in a thread of its own.")
async def test_items_that_are_asked_for_together_are_found_by_one_call(database: Database) -> None:
    CALLS.clear()
    asked = [asyncio.create_task(database.find_joined(found_many, name)) for name in ["a", "b", "c", "a"]]
    await asyncio.sleep(0)
    asked[1].cancel()

    answers = await asyncio.gather(*asked, return_exceptions=True)

    assert [answer if isinstance(answer, str) else type(answer) for answer in answers] == [
        "A",
        asyncio.CancelledError,
        "C",
        "A",
    ]
    assert CALLS == [["a", "c", "a"]], "nobody waits for b any more"
    assert await database.find_joined(found_many, "d") == "D"


@pytest.mark.sqlite("PostgreSQL reads each in a thread of its own.")
async def test_who_asks_together_gets_the_error_of_the_call(database: Database) -> None:
    asked = [asyncio.create_task(database.find_joined(found_many, name)) for name in ["a", "broken"]]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(answer) for answer in answers] == [Invalid, Invalid]
    assert await database.find_joined(found_many, "a") == "A"


async def test_an_item_that_breaks_the_call_fails_alone(database: Database) -> None:
    TOLD.clear()
    blocked = asyncio.Event()
    held = asyncio.create_task(database.write(hold_until, blocked, asyncio.get_running_loop()))
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(database.write_joined(plain_many, name)) for name in ["a", "broken", "b"]]
    await asyncio.sleep(0)
    blocked.set()
    await held

    answers = await asyncio.gather(*waiting, return_exceptions=True)

    assert [answer if isinstance(answer, str) else type(answer) for answer in answers] == ["a", ValueError, "b"]
    stored = database.read_now(
        lambda session: session.scalars(text("select name from settings where scope = 'test'")).all()
    )
    assert sorted(stored) == ["a", "b"]
    await database.write(mapped, "later")
    assert sorted(TOLD) == ["a", "b"]


def hold_until(session: Session, event: asyncio.Event, loop: asyncio.AbstractEventLoop) -> None:
    """Keeps the writer busy until the event is set on the loop, so that other writes wait together."""

    async def wait() -> None:
        await event.wait()

    asyncio.run_coroutine_threadsafe(wait(), loop).result(timeout=30)


@pytest.mark.parametrize(("durable", "mode"), [(True, 2), (False, 1)])
@pytest.mark.sqlite("It reads a setting of SQLite.")
def test_only_what_is_not_durable_commits_without_the_disk(new_data: Path, durable: bool, mode: int) -> None:
    engine = make_engine(sqlite_url(new_data), immediate=True, durable=durable)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("pragma synchronous").scalar() == mode
    engine.dispose()
