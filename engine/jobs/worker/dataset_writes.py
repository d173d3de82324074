"""The datasets that a run reads and writes. It reads their present rows, not those from when the job was accepted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, cast
from weakref import WeakValueDictionary

from msgspec import Struct
from sqlalchemy.orm import Session

from engine.core.do_first import MAX_WORK, TOO_MUCH_FIRST
from engine.core.errors import Refusal, StorageUnavailable
from engine.core.ids import file_ids_in
from engine.core.json_text import json_text
from engine.flow.node_context import Json, NodeFailed
from storage.database import Database
from storage.dataset_changes import Mode, Written, write_from_step
from storage.dataset_keys import TakesLong, Turn, look_through, write_some_keys
from storage.datasets import BeingChanged, Row, get_dataset, goes_on_after, list_sized_rows
from storage.files import add_read, list_shared, names_files

#: How often, and after how many seconds, a step looks whether the dataset is no longer being changed.
WAITS, WAIT_SECONDS = 600, 0.2
#: The turns of workspaces, while one of their writes has or awaits it.
_turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()


class RowsRead(Struct, frozen=True):
    """Some rows in order. `after`: the id of the last one; `size`: the characters of the rows' JSON text; `name` and
    `columns`: those of the dataset; `goes_on`: of the rows before them one is still there.
    """

    rows: list[Row]
    size: int
    after: int
    name: str
    columns: Sequence[str]
    goes_on: bool


class WorkspaceDatasets:
    """Implements `engine.flow.node_context.Datasets` for one workspace. `settled` is awaited before each write. `job_id`:
    the job that reads, which names the files in the rows from then on.
    """

    def __init__(
        self,
        database: Database,
        workspace_id: str,
        settled: Callable[[], Awaitable[Any]] | None = None,
        job_id: str = "",
    ) -> None:
        self._database = database
        self._workspace_id = workspace_id
        self._settled = settled
        self._job_id = job_id

    async def read(self, dataset: str, after: int = 0) -> RowsRead:
        """Returns the next rows after the row id `after`, none at the end. Raises NodeFailed."""
        try:
            read, shared = await self._database.read(_next_rows, self._workspace_id, dataset, after, self._job_id)
            if shared:
                await self._database.write(add_read, self._job_id, shared)
        except Refusal as refusal:
            raise _failed(refusal) from refusal
        return read

    async def write(
        self,
        dataset: str,
        mode: str,
        key_column: str,
        row: Mapping[str, Json],
        step: str,
        numbers: Collection[str] = (),
    ) -> str:
        """Writes a row, only once for each `step` however often it is called. `numbers`: the columns whose values may
        have decimals, also when this one has none.

        Returns what was done. Raises NodeFailed.
        """
        if self._settled is not None:
            await self._settled()
        try:
            written = await self._write(dataset, cast("Mode", mode), key_column, dict(row), step, numbers)
        except Refusal as refusal:
            raise _failed(refusal) from refusal
        return written.action

    async def _write(self, dataset: str, mode: Mode, key_column: str, *row: Any) -> Written:
        """Writes a row. What takes long is done before its transaction, and for one row of a workspace at a time. While
        many rows of the dataset are changed, it waits.
        """

        def write(turn: Turn | None = None) -> Awaitable[Written]:
            return self._database.write(write_from_step, self._workspace_id, dataset, mode, key_column, *row, turn=turn)

        waited = 0
        while True:
            try:
                return await self._write_now(write, dataset)
            except BeingChanged:
                if waited == WAITS:
                    raise
            waited += 1
            await asyncio.sleep(WAIT_SECONDS)

    async def _write_now(self, write: Callable[..., Awaitable[Written]], dataset: str) -> Written:
        try:
            return await write()
        except TakesLong:
            async with _turns.setdefault(self._workspace_id, asyncio.Lock()):
                return await self._write_in_turn(write, dataset)

    async def _write_in_turn(self, write: Callable[..., Awaitable[Written]], dataset: str) -> Written:
        turn = Turn()
        for _ in range(MAX_WORK):
            try:
                return await write(turn)
            except TakesLong as first:
                wanted = self._workspace_id, dataset, first.column
                while first.lacks_keys and await self._database.write(write_some_keys, *wanted):
                    pass  # each piece is a transaction, and others write between them
                if not first.lacks_keys:
                    turn = await self._database.read(look_through, *wanted, first.value)
        raise StorageUnavailable(TOO_MUCH_FIRST, remedy="Try again when fewer flows write into this dataset.")


def _next_rows(
    session: Session, workspace_id: str, name: str, after: int, job_id: str
) -> tuple[RowsRead, Sequence[str]]:
    """Returns the rows, and the files in them that the job does not name yet."""
    dataset = get_dataset(session, workspace_id, name)
    rows = list_sized_rows(session, workspace_id, dataset.id, after=after)
    read = RowsRead(
        [row.data for row in rows],
        sum(row.size for row in rows),
        rows[-1].id if rows else after,
        dataset.name,
        dataset.column_names,
        not after or goes_on_after(session, dataset.id, after),
    )
    if not job_id or not names_files(session, "dataset", dataset.id):
        return read, ()
    return read, list_shared(session, "dataset", dataset.id, job_id, file_ids_in(json_text(read.rows)))


def _failed(refusal: Refusal) -> NodeFailed:
    return NodeFailed(
        f"{refusal.detail or refusal.title}.",
        code="dataset_failed",
        why="" if refusal.detail == "" else f"{refusal.title}.",
        remedy=refusal.remedy,
        passing=isinstance(refusal, StorageUnavailable | BeingChanged),
    )
