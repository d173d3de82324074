"""Whoever writes into a table of many rows holds up the others for no longer than one piece of it takes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, func, select
from sqlalchemy.orm import Session

from engine.actions.datasets import (
    add_dataset,
    add_dataset_with_rows,
    delete_dataset,
    delete_rows,
    import_rows,
    remove_column,
    rename_column,
)
from engine.jobs.worker.dataset_writes import WorkspaceDatasets
from storage.dataset_changes import checked_rows
from storage.dataset_keys import MAX_SAME, PIECE_ROWS
from storage.dataset_pieces import tidy_some
from storage.datasets import list_row_ids, list_rows
from storage.statements import DRIVER
from storage.tables import DatasetRow
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


@pytest.mark.parametrize("change", ["append", "replace", "new", "rename", "remove", "delete rows", "delete"])
def test_changes_of_all_rows_of_a_large_table(world: World, change: str) -> None:
    ada, rows = person(world.workspace_id), [{"a": f"a{n}", "b": n} for n in range(MANY)]
    dataset, new = add(world, rows), checked_rows(rows)
    ids = world.read(list_row_ids, world.workspace_id, dataset)
    with steps_of_transactions(world) as done:
        if change == "new":
            dataset = world.write(add_dataset_with_rows, ada, "New", new)
        elif change == "rename":
            world.write(rename_column, ada, dataset, "b", "c")
        elif change == "remove":
            world.write(remove_column, ada, dataset, "b")
        elif change == "delete rows":
            assert world.write(delete_rows, ada, dataset, ids[:-1]) == MANY - 1
        elif change == "delete":
            world.write(delete_dataset, ada, dataset)
        else:
            world.write(import_rows, ada, dataset, new, change)
        while world.write(tidy_some):
            pass
    assert max(done) < STEPS_OF_A_ROW * PIECE_ROWS
    left: dict[str, Any] = {
        "append": rows + rows,
        "rename": [{"a": row["a"], "c": row["b"]} for row in rows],
        "remove": [{"a": row["a"]} for row in rows],
        "delete rows": rows[-1:],
        "delete": [],
    }
    stored = [row.data for row in world.read(list_rows, world.workspace_id, dataset, limit=9 * MANY)]
    assert stored == left.get(change, rows)
    with world.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(DatasetRow)) == len(stored) + MANY * (change == "new")


def test_who_reads_a_large_table_page_by_page_looks_at_each_row_once(world: World) -> None:
    dataset = add(world, [{"a": n} for n in range(MANY)])
    ids = world.read(list_row_ids, world.workspace_id, dataset)
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 10
        return 0

    with world.database.reading() as session:
        connection: Any = session.connection().connection.driver_connection
        connection.set_progress_handler(count, 10)
        assert len(list_rows(session, world.workspace_id, dataset, after=ids[-3])) == 2
        connection.set_progress_handler(None, 0)
    assert steps < 5 * STEPS_OF_A_ROW


async def test_steps_that_write_over_as_many_rows_as_they_may(world: World) -> None:
    dataset = add(world, [{"a": "x"}] * MAX_SAME)
    steps = WorkspaceDatasets(world.database, world.workspace_id)
    with steps_of_transactions(world) as done:
        assert await steps.write(dataset, "upsert", "a", {"a": "x", "n": 1}, "job:node:") == "updated"
    assert max(done) < STEPS_OF_A_ROW * MAX_SAME
