"""Slow queries of one workspace hold up neither those of others nor what is read out of turn."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from storage.database import Database
from tests.databases import open_database

#: Seconds after which a query that waits for its turn counts as held up.
PATIENCE = 10


def _one(_session: Session) -> int:
    return 1


@pytest.fixture
def database(new_data: Path) -> Iterator[Database]:
    opened = open_database(new_data)
    yield opened
    opened.close()


@pytest.fixture
def slow(database: Database) -> Iterator[Callable[[Session], bool]]:
    """A query that ends with the test."""
    ended = threading.Event()
    yield lambda _session: bool(ended.wait(60))
    ended.set()


async def test_slow_queries_of_one_workspace_leave_threads_to_others(database: Database, slow) -> None:
    busy = [asyncio.create_task(database.read_in_turn("ws_a", slow)) for _ in range(20)]
    await asyncio.sleep(0)
    async with asyncio.timeout(PATIENCE):
        assert await database.read_in_turn("ws_b", _one) == 1
    busy += [asyncio.create_task(database.read_in_turn(f"ws_{name}", slow)) for name in "bcde"]
    await asyncio.sleep(0)
    async with asyncio.timeout(PATIENCE):
        assert await database.read(_one) == 1
    for task in busy:
        task.cancel()
    await asyncio.gather(*busy, return_exceptions=True)


async def test_a_query_that_nobody_waits_for_keeps_its_place_until_it_ends(database: Database, slow) -> None:
    for _ in range(20):
        left = asyncio.create_task(database.read_in_turn("ws_a", slow))
        await asyncio.sleep(0.01)
        left.cancel()
        await asyncio.gather(left, return_exceptions=True)
    async with asyncio.timeout(PATIENCE):
        assert await database.read_in_turn("ws_b", _one) == 1
