"""The files that a run reads and makes. Implements `engine.flow.node_context.Files` for one attempt at a job."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

from pydantic import JsonValue
from sqlalchemy.orm import Session

from engine.core.error_codes import JobErrorCode
from engine.core.errors import FileTooLarge, Refusal, StorageUnavailable
from engine.core.shared_bytes import SharedBytes
from engine.files.intake import Incoming, incoming_of, store_file, value_of
from engine.flow.file_values import MIB, FileContent, StoredFile, sent_file_id
from engine.flow.node_context import Json, NodeFailed
from engine.jobs.job_values import encoded
from storage.database import Database
from storage.file_bytes import BytesGone
from storage.files import FileRow, UseKind, add_read, find_file, find_for_job, is_named_by_job, list_shared
from storage.job_changes import Claimed, Lease, replace_payload

#: The bytes of files that steps of one process work with at a time, in all and of one workspace.
ROOM = 512 * MIB, 128 * MIB
#: Files of a step that have no more bytes together count for nothing.
SMALL_FILES = MIB


class JobFiles:
    """The files that the job may read (`storage.files.find_for_job`): an id alone, which may come from anywhere, opens no
    file. `settled` is awaited before each write.
    """

    def __init__(
        self,
        database: Database,
        job: Claimed,
        lease: Lease | None = None,
        settled: Callable[[], Awaitable[Any]] | None = None,
        room: SharedBytes | None = None,
    ) -> None:
        self._database = database
        self._job = job
        self._lease = lease
        self._settled = settled
        self._room = room or SharedBytes(*ROOM)

    async def read(self, value: Json) -> FileContent:
        """Returns the file that a value names. From then on the job names it, too. Raises NodeFailed."""
        row = await self._row(value)
        try:
            content = await asyncio.to_thread(self._database.file_bytes.read, row.sha256, row.size)
        except BytesGone as error:
            raise _gone(value) from error
        return FileContent(row.name, row.media_type, row.size, content)

    async def look_up(self, value: Json) -> StoredFile:
        """Returns the same without its bytes. Raises NodeFailed."""
        row = await self._row(value)
        return StoredFile(row.name, row.media_type, row.size)

    def room(self, size: int) -> AbstractAsyncContextManager[None]:
        """Keeps room for files in the memory of the process, but for small ones."""
        return self._room.hold(size) if size > SMALL_FILES else nullcontext()

    async def _row(self, value: Json) -> FileRow:
        file_id = sent_file_id(value)
        if file_id is None:
            raise NodeFailed(
                "This is no file.",
                code=JobErrorCode.FILE_NOT_FOUND,
                why="A file comes from a field of API Input of the type File, or from a step that makes one.",
                remedy="Take the value of such a field as the input of this step.",
            )
        try:
            row, is_named = await self._database.read(_find, self._job.workspace_id, file_id, self._job.id)
            if row is None:
                raise _gone(value)
            if not is_named:
                await self._database.write(add_read, self._job.id, [row.id])
        except StorageUnavailable as refusal:
            raise _not_now(refusal) from refusal
        return row

    async def note_read(self, kind: UseKind, owner_id: str, file_ids: Collection[str]) -> None:
        """Lets the job read those of these files that something names which it has just read. Raises NodeFailed."""
        if not file_ids:
            return
        try:
            shared = await self._database.read(list_shared, kind, owner_id, self._job.id, file_ids)
            if shared:
                await self._database.write(add_read, self._job.id, shared)
        except StorageUnavailable as refusal:
            raise _not_now(refusal) from refusal

    async def keep(self, name: str, media_type: str, content: bytes) -> Json:
        """Stores a file for this job; the same content and name again are stored once. Raises NodeFailed."""
        if self._settled is not None:
            await self._settled()
        try:
            incoming = await asyncio.to_thread(incoming_of, self._database.file_bytes, content, name, media_type)
            try:
                row = await self._database.write(_store, incoming, self._job)
            finally:
                await asyncio.to_thread(incoming.discard)
        except Refusal as refusal:
            raise _not_kept(refusal) from refusal
        return value_of(row)

    async def note_payload(self, payload: Mapping[str, Json]) -> None:
        """Stores the payload of the job anew, unless another worker has taken the job."""
        if self._lease is not None:
            text, size = await asyncio.to_thread(encoded, dict(payload))
            await self._database.write(replace_payload, self._job.id, self._lease, text, size)


def _find(session: Session, workspace_id: str, file_id: str, job_id: str) -> tuple[FileRow | None, bool]:
    if is_named_by_job(session, job_id, file_id):
        return find_file(session, workspace_id, file_id), True
    return find_for_job(session, workspace_id, job_id, [file_id]).get(file_id), False


def _store(session: Session, incoming: Incoming, job: Claimed) -> FileRow:
    return store_file(
        session, incoming, workspace_id=job.workspace_id, environment=job.environment, use=("job", job.id)
    )


def _gone(value: JsonValue) -> NodeFailed:
    name = value.get("name") if isinstance(value, Mapping) else None
    said = f"“{name}”" if isinstance(name, str) and name else "This file"
    return NodeFailed(
        f"{said} is not there, or not for this run.",
        code=JobErrorCode.FILE_NOT_FOUND,
        why="A file is removed when no job, sample, dataset or collection names it any more, or with the data of its job. "
        "A run reads files that its input, its steps, its samples or the rows it read name, and those that its API key sees.",
        remedy="Send the file again, in a field of the type File.",
    )


def _not_now(refusal: StorageUnavailable) -> NodeFailed:
    return NodeFailed("The file cannot be read right now.", why=str(refusal), remedy=refusal.remedy, passing=True)


def _not_kept(refusal: Refusal) -> NodeFailed:
    return NodeFailed(
        f"The file could not be stored: {(refusal.detail or refusal.title).rstrip('.')}.",
        code=JobErrorCode.FILE_NOT_TAKEN if isinstance(refusal, FileTooLarge) else JobErrorCode.FILE_NOT_STORED,
        why=f"{refusal.title}.",
        remedy=refusal.remedy,
        passing=isinstance(refusal, StorageUnavailable),
    )
