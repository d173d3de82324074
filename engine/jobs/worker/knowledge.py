"""The collections of knowledge that a run searches and adds to, as they are at that moment."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy.orm import Session

from engine.core.clock import to_rfc3339
from engine.core.errors import Refusal, StorageUnavailable, TooLarge
from engine.core.ids import file_ids_in
from engine.flow.node_context import Json, NodeFailed
from engine.knowledge.chunking import clean
from engine.knowledge.documents import MAX_TEXT, Found
from engine.knowledge.search import Hits, as_json, search
from engine.knowledge.writing import CutDocument, cut_document, embedded_text, write_document
from engine.models.embeddings import Embedded, Purpose, batches
from storage.database import Database, now
from storage.files import add_read, list_shared
from storage.knowledge import (
    CollectionLine,
    get_collection,
    hold_collection,
    list_dataset_sources,
    most_text,
    read_room,
)
from storage.knowledge_changes import add_receipt, find_receipt, find_source_named, insert_source
from storage.knowledge_documents import find_document
from storage.knowledge_vectors import all_as_bytes

#: The name of the source that holds what flows add.
ADDED = "Added by flows"
MAX_SOURCE = 500


class WorkspaceKnowledge(Struct, frozen=True):
    """Implements `engine.flow.node_context.Knowledge` for one step. `settled` is awaited before each call that costs or
    writes; `embed` asks an embedding model of the workspace.
    """

    database: Database
    workspace_id: str
    step: str
    embed: Callable[..., Awaitable[Embedded]]
    on_call: Callable[[Any], None]
    warn: Callable[[str], None]
    settled: Callable[[], Awaitable[Any]] | None = None

    async def search(
        self, collection: str, query: str, limit: int = 5, min_score: float = 0.0, filters: Sequence[str] = ()
    ) -> list[dict[str, Json]]:
        """Returns the best pieces. Raises NodeFailed."""
        try:
            found = await search(
                self.database,
                self.workspace_id,
                collection,
                query,
                self._vectors,
                limit=limit,
                min_score=min_score,
                sources=filters,
            )
            await self._note_files(found)
        except Refusal as refusal:
            raise _failed(refusal) from refusal
        if found.trouble:
            self.warn(f"It searched by words only: {found.trouble}")
        return as_json(found)

    async def _note_files(self, found: Hits) -> None:
        """Lets the job read the files that the found rows of datasets name."""
        named = [(hit.piece.source_id, ids) for hit in found.hits if (ids := file_ids_in(hit.piece.text))]
        if not named:
            return
        job_id = self.step.partition(":")[0]
        shared = await self.database.read(_shared, self.workspace_id, job_id, named)
        if shared:
            await self.database.write(add_read, job_id, shared)

    async def add(self, collection: str, text: str, source: str = "") -> dict[str, Json]:
        """Adds a text once for this step, however often it is called. Raises NodeFailed."""
        try:
            line = await self.database.read(get_collection, self.workspace_id, collection)
            receipt = await self.database.read(find_receipt, self.step, line.id)
            if receipt is not None:
                return receipt
            if len(text) > MAX_TEXT:
                raise TooLarge(
                    f"The text has {len(text):,} characters; {MAX_TEXT:,} are taken", remedy="Add it in parts."
                )
            text = await asyncio.to_thread(clean, text)
            added = None
            while added is None:
                document = await asyncio.to_thread(cut_document, self._found(text, clean(source)), line.piece_chars)
                vectors = await self._meaning(line, document)
                added = await self.database.write(_add, self.workspace_id, line, self.step, document, vectors, text)
                if added is None:
                    line = await self.database.read(get_collection, self.workspace_id, line.id)
            return added
        except Refusal as refusal:
            raise _failed(refusal) from refusal

    def _found(self, text: str, source: str) -> Found:
        name = source[:MAX_SOURCE] or f"Added at {to_rfc3339(self.database.clock.now())[:16].replace('T', ' ')}"
        key = source[:MAX_SOURCE] or f"step {hashlib.sha256(self.step.encode()).hexdigest()}"
        return Found(key, name, (("", text),), address=source if source.startswith(("http://", "https://")) else "")

    async def _meaning(self, line: CollectionLine, document: CutDocument) -> list[bytes]:
        if not line.model:
            return []
        found: list[bytes] = []
        try:
            for batch in batches([embedded_text(document, piece) for piece in document.pieces]):
                answer = await self._vectors(line.model, batch, "document")
                found += await asyncio.to_thread(all_as_bytes, answer.vectors)
        except NodeFailed as failure:
            if failure.passing:
                raise
            self.warn(f"The text can be found by its words only: {failure.message} {failure.why}".strip())
            return []
        return found

    async def _vectors(self, model: str, texts: Sequence[str], purpose: Purpose) -> Embedded:
        if self.settled is not None:
            await self.settled()
        return await self.embed(self.workspace_id, model, texts, purpose, self.on_call)


def _shared(
    session: Session, workspace_id: str, job_id: str, named: Sequence[tuple[str, Collection[str]]]
) -> list[str]:
    """Returns the files that the job does not name yet, of those that pieces of sources (source id, file ids) name."""
    datasets = list_dataset_sources(session, workspace_id, {source_id for source_id, _ in named})
    return [
        file_id
        for source_id, file_ids in named
        if source_id in datasets
        for file_id in list_shared(session, "dataset", datasets[source_id], job_id, file_ids)
    ]


def _add(
    session: Session,
    workspace_id: str,
    line: CollectionLine,
    step: str,
    document: CutDocument,
    vectors: Sequence[bytes],
    text: str,
) -> dict[str, Json] | None:
    """Stores a text; None when its collection has another model or length of pieces since it was cut."""
    collection = hold_collection(session, workspace_id, line.id)
    earlier = find_receipt(session, step, collection.id)
    if earlier is not None:
        return earlier
    model = line.model
    if (collection.model or "", collection.piece_chars) != (model, line.piece_chars):
        return None
    source = find_source_named(session, collection.id, "flow", ADDED)
    known = None if source is None else find_document(session, source.id, document.key)
    is_same = known is not None and known.hash == document.hash and known.model == (model if vectors else "")
    room = read_room(session, workspace_id)
    if known is not None:
        room = room.without(known.pieces, known.chars)
    if not is_same and not room.has_room_for(len(document.pieces), len(text)):
        raise TooLarge(
            f"The workspace holds its most: {most_text()}",
            remedy="Delete sources on the page Knowledge that are not needed any more.",
        )
    if source is None:
        source = insert_source(session, collection, "flow", ADDED, {}, "a flow")
        source.state = "ready"
    if is_same:
        action = "unchanged"
    else:
        action = "added" if known is None else "replaced"
        known_id = known.id if known else None
        write_document(session, source.id, None, document, known_id, model, vectors, kept=text)
        if source.state in {"ready", "failed"}:
            source.state, source.message, source.indexed_at = "ready", "", now(session)
    result: dict[str, Json] = {"action": action, "source": document.name, "pieces": len(document.pieces)}
    add_receipt(session, step, collection.id, result)
    return result


def _failed(refusal: Refusal) -> NodeFailed:
    return NodeFailed(
        f"{refusal.detail or refusal.title}.",
        code="knowledge_failed",
        why="" if refusal.detail == "" else f"{refusal.title}.",
        remedy=refusal.remedy,
        passing=isinstance(refusal, StorageUnavailable),
    )
