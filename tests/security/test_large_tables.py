"""Whoever writes into a table of many rows holds up the others for no longer than one piece of it takes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event
from sqlalchemy.orm import Session

from engine.actions.datasets import add_dataset, import_rows
from engine.jobs.worker.dataset_writes import WorkspaceDatasets
from storage.dataset_changes import checked_rows
from storage.dataset_keys import MOST_SAME, PIECE_ROWS
from storage.statements import DRIVER
from tests.engine.jobs.world import World, open_world
from tests.factories import person

#: The rows of a large table, and the steps of SQLite's machine that are enough to change a row with its indexes.
MANY = 10 * PIECE_ROWS
STEPS_OF_A_ROW = 60


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = open_world(tmp_path)
    yield world
    world.database.close()


def add(world: World, rows: list[dict[str, Any]]) -> str:
    ada = person(world.workspace_id)
    dataset_id = world.write(add_dataset, ada, "Table")
    world.write(import_rows, ada, dataset_id, checked_rows(rows))
    return dataset_id


@contextlib.contextmanager
def steps_of_transactions(world: World) -> Iterator[list[int]]:
    """Yields how many steps SQLite's machine made in each transaction of the writer; a row takes several."""
    done: list[int] = []
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 100
        return 0

    def committed(_connection: Connection) -> None:
        nonlocal steps
        done.append(steps)
        steps = 0

    def watch(session: Session) -> None:
        session.info[DRIVER].set_progress_handler(count, 100)

    world.write(watch)
    event.listen(world.database.write_engine, "commit", committed)
    yield done
    event.remove(world.database.write_engine, "commit", committed)
    world.write(lambda session: session.info[DRIVER].set_progress_handler(None, 0))


async def test_steps_that_compare_any_column_of_a_large_table(world: World) -> None:
    dataset = add(world, [{"a": f"a{n}", "b": f"b{n}"} for n in range(MANY)])
    steps = WorkspaceDatasets(world.database, world.workspace_id)
    with steps_of_transactions(world) as done:
        for n, key in enumerate("aabb"):
            row = {key: f"{key}{MANY - 1}", "n": n}
            assert await steps.write(dataset, "update", key, row, f"job_{n}:node:") == "updated"
    assert max(done) < STEPS_OF_A_ROW * PIECE_ROWS
    assert len(done) > MANY // PIECE_ROWS, "each piece of the keys is a transaction"


async def test_steps_that_write_over_as_many_rows_as_they_may(world: World) -> None:
    dataset = add(world, [{"a": "x"}] * MOST_SAME)
    steps = WorkspaceDatasets(world.database, world.workspace_id)
    with steps_of_transactions(world) as done:
        assert await steps.write(dataset, "upsert", "a", {"a": "x", "n": 1}, "job:node:") == "updated"
    assert max(done) < STEPS_OF_A_ROW * MOST_SAME
