"""Reads sources in the background of a worker process, cuts their documents, and keeps the index up to date.

A source is claimed by one worker. Documents whose text did not change are left as they are, so reading again after a
crash, or on a schedule, costs what is new. Each write is small. Without an answer of the embedding model, the words of a
document are stored all the same.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from engine.core.errors import Refusal, StorageUnavailable
from engine.core.log_throttle import LogThrottle
from engine.core.shared_places import CURRENT_WORKSPACE
from engine.flow.node_context import NodeFailed
from engine.knowledge.documents import Missed, NotRead
from engine.knowledge.reading import Tools, read_source
from engine.knowledge.saved_embeddings import SavedEmbeddings
from engine.knowledge.writing import CutDocument, cut_document, embedded_text, write_document, write_kept
from engine.models.embeddings import BATCH, BATCH_CHARS, batches
from storage.datasets import RowsChanged
from storage.knowledge import most_text, read_room
from storage.knowledge_changes import (
    Lost,
    Progress,
    Task,
    anything_due,
    claim_next,
    end_source,
    held_sources,
    note_progress,
    release_sources,
    remove_source,
)
from storage.knowledge_documents import (
    SLICE,
    KnownDocument,
    NewDocument,
    add_documents,
    begin_document,
    clear_documents,
    clear_some,
    documents_to_remove,
    finish_document,
    known_documents,
    move_documents,
    write_pieces,
)
from storage.knowledge_vectors import all_as_bytes

log = logging.getLogger(__name__)

#: How many sources a worker process reads at a time, and how many it removes beside them. Of those that it reads one at
#: most is a website, which may take an hour.
AT_ONCE, SITES_AT_ONCE = 2, 1
#: How many documents are written or removed together.
GROUP = 25
#: How often the reading of a dataset begins whose rows are replaced meanwhile.
_TRIES = 5


@dataclass
class _Run:
    """One reading of a source."""

    task: Task
    known: dict[str, KnownDocument]
    seen: set[str] = field(default_factory=set)
    missed: Missed | None = None
    problems: list[dict[str, str]] = field(default_factory=list)
    not_read: int = 0
    done: int = 0
    total: int = 0
    changed: int = 0
    tokens: int = 0
    cost_nanos: int | None = 0
    trouble: str = ""
    full: bool = False
    #: Hash -> the ids of rows of a dataset whose documents have it, the last one first.
    rows: dict[str, list[int]] = field(default_factory=dict)
    moves: list[tuple[int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.task.source.kind == "dataset":
            for row_id in sorted(map(int, self.known), reverse=True):
                self.rows.setdefault(self.known[str(row_id)].hash, []).append(row_id)


class Indexer:
    """The readings of one worker process. `pass_over` is called every second and waits for none of them."""

    def __init__(self, tools: Tools, embeddings: SavedEmbeddings, owner: str) -> None:
        self._tools = tools
        self._database = tools.database
        self._embeddings = embeddings
        self._owner = owner
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._removing: set[str] = set()
        self._sites: set[str] = set()
        self._closing = False
        self._looking = False
        self._log_throttle = LogThrottle()

    async def pass_over(self) -> None:
        """Begins to read what is due, ends what people stopped or changed, and gives back what no reading has any more."""
        if self._looking or self._closing:
            return
        self._looking = True
        try:
            held = await self._database.read(held_sources, self._owner)
            for source_id, running in self._under_way.items():
                if held.get(source_id, True) and not running.cancelling():
                    running.cancel()  # it shall stop, or it was taken from this reading
            if held.keys() - self._under_way.keys():
                await self._database.write(release_sources, self._owner, tuple(self._under_way))
            while not self._closing:
                mine = tuple(self._under_way)
                room = {
                    "read": len(mine) - len(self._removing) < AT_ONCE,
                    "remove": len(self._removing) < AT_ONCE,
                    "sites": len(self._sites) < SITES_AT_ONCE,
                }
                if not (room["read"] or room["remove"]) or not await self._database.read(anything_due, mine, **room):
                    return
                task = await self._database.write(claim_next, self._owner, mine, **room)
                if task is None:
                    return
                self._begin(task)
        except StorageUnavailable as error:
            if self._log_throttle.may_say("look"):
                log.warning("Sources of knowledge wait: %s", error)
        finally:
            self._looking = False

    def _begin(self, task: Task) -> None:
        source_id = task.source.id
        running = asyncio.create_task(self._work(task), name=f"source {source_id}")
        self._under_way[source_id] = running
        if task.leaving:
            self._removing.add(source_id)
        elif task.source.kind == "site":
            self._sites.add(source_id)

        def ended(_done: asyncio.Task[None]) -> None:
            self._under_way.pop(source_id, None)
            self._removing.discard(source_id)
            self._sites.discard(source_id)

        running.add_done_callback(ended)

    @property
    def busy(self) -> bool:
        """True while a source is read or removed."""
        return bool(self._under_way)

    async def settled(self) -> None:
        """Waits until nothing is read; for tests."""
        while self._under_way:
            await asyncio.wait(self._under_way.values())

    async def close(self) -> None:
        """Ends every reading; another worker goes on with it."""
        self._closing = True
        for running in self._under_way.values():
            running.cancel()
        if self._under_way:
            await asyncio.wait(self._under_way.values(), timeout=1)
        try:
            await self._database.write(release_sources, self._owner)
        except StorageUnavailable as error:
            log.warning("Sources of knowledge are given back later: %s", error)

    async def _work(self, task: Task) -> None:
        source_id = task.source.id
        CURRENT_WORKSPACE.set(task.workspace_id)
        try:
            if task.leaving:
                await self._remove(source_id)
            else:
                await self._read(task)
        except Lost:
            log.info("Source %s was removed or is read by another worker", source_id)
        except asyncio.CancelledError:
            if not self._closing:
                await self._end(source_id, "stopped", "It was stopped. What was read until then can be found.", ())
            raise
        except StorageUnavailable as error:
            if self._log_throttle.may_say("source"):
                log.warning("Source %s waits: %s", source_id, error)  # the next pass gives it back
        except Exception:
            log.exception("Source %s stumbled", source_id)
            await self._end(
                source_id, "failed", "Something in Flowport failed. Read it again; if it stays, report it.", ()
            )

    async def _read(self, task: Task) -> None:
        source_id = task.source.id
        tries, made_room = 1, False
        while True:
            run = _Run(task, await self._database.read(known_documents, source_id))
            try:
                await self._read_documents(run)
            except RowsChanged:
                if (tries := tries + 1) <= _TRIES:
                    continue
                told = "Its rows were replaced, or a column of them, each time they were read. Read it again later."
                await self._end(source_id, "failed", told, run.problems)
                return
            except (NodeFailed, Refusal) as error:
                await self._end(source_id, "failed", _not_read(run, error), run.problems)
                return
            gone = await self._remove_gone(run)
            if not run.full or not gone or made_room:
                break
            made_room = True  # what found no room may find some now
        state, message = _outcome(run)
        await self._end(source_id, state, message, run.problems)

    async def _read_documents(self, run: _Run) -> None:
        group: list[CutDocument] = []
        held = 0
        async for one in read_source(run.task, self._tools, partial(self._note, run)):
            if isinstance(one, Missed):
                run.missed = one
                run.problems.append({"name": one.name[:300], "message": one.message[:1_000]})
                continue
            run.total = max(run.total, one.total)
            if one.key:
                run.seen.add(one.key)
            if isinstance(one, NotRead):
                run.not_read += bool(one.key)
                run.done += bool(one.key)
                run.problems.append({"name": one.name[:300], "message": one.message[:1_000]})
                continue
            document = await asyncio.to_thread(cut_document, one, run.task.piece_chars)
            if not document.pieces and run.task.source.kind == "file":
                raise NodeFailed(f"“{one.name}” has no text that can be read.", remedy="Add it as text.")
            if self._is_same(run, document.key, document) or self._is_moved(run, document):
                run.done += 1
                if len(run.moves) >= SLICE:
                    await self._move(run)
                if run.done % 200 == 0:
                    await self._note(run)
                continue
            group.append(document)
            held += len(document.pieces)
            if held >= BATCH or len(group) >= GROUP:
                await self._write(run, group)
                group, held = [], 0
        await self._move(run)
        await self._write(run, group)

    def _is_same(self, run: _Run, key: str, document: CutDocument) -> bool:
        known = run.known.get(key)
        return (
            known is not None
            and known.hash == document.hash
            and known.model == (run.task.model if known.pieces else "")
        )

    def _is_moved(self, run: _Run, document: CutDocument) -> bool:
        """True when a row that is gone had the same text: its document is kept, for this row. An import with Replace gives
        every row another id.
        """
        rows = run.rows.get(document.hash)
        if not rows or document.key in run.known:
            return False
        # rows come in the order of their ids: an earlier one that was not seen is gone
        while rows and str(rows[-1]) in run.seen:
            rows.pop()
        if not rows or rows[-1] > int(document.key) or not self._is_same(run, str(rows[-1]), document):
            return False
        moved = run.known[document.key] = run.known.pop(str(rows.pop()))
        run.moves.append((moved.id, document.key))
        return True

    async def _move(self, run: _Run) -> None:
        moves, run.moves = run.moves, []
        if moves:
            await self._database.write(move_documents, run.task.source.id, self._owner, moves)

    async def _write(self, run: _Run, group: Sequence[CutDocument]) -> None:
        """Stores a group of documents with their vectors; while the workspace is full, those that need no more room."""
        if not group:
            return
        room, source = await self._database.read(read_room, run.task.workspace_id), run.task.source
        if source.kind in {"text", "file"}:  # what was read of it before makes way for it, as if it were deleted first
            room = room.without(source.pieces, source.chars)
        if not room.has_room_for():
            fitting = [one for one in group if (known := run.known.get(one.key)) and len(one.pieces) <= known.pieces]
            run.full = run.full or len(fitting) < len(group)
            group = fitting
        vectors = await self._vectors(run, [embedded_text(one, piece) for one in group for piece in one.pieces])
        at, held = 0, 0
        new: list[NewDocument] = []
        for document in group:
            mine = vectors[at : at + len(document.pieces)]
            at += len(document.pieces)
            if document.stored_hash is not None or document.key in run.known or len(document.pieces) > SLICE:
                await self._store(run, document, mine)
                continue
            if held + len(document.pieces) > SLICE:
                await self._add(run, new)
                new, held = [], 0
            new.append(NewDocument(document.key, document.name, document.address, document.hash, document.pieces, mine))
            held += len(document.pieces)
        await self._add(run, new)
        run.done += len(group)
        run.changed += len(group)
        await self._note(run)

    async def _add(self, run: _Run, documents: Sequence[NewDocument]) -> None:
        if documents:
            await self._database.write(add_documents, run.task.source.id, self._owner, run.task.model, documents)

    async def _store(self, run: _Run, document: CutDocument, vectors: Sequence[bytes]) -> None:
        source_id, model = run.task.source.id, run.task.model
        if document.stored_hash is not None:
            await self._database.write(write_kept, source_id, self._owner, document, model, vectors)
            return
        known = run.known.get(document.key)
        if len(document.pieces) <= SLICE and (known is None or known.pieces <= SLICE):
            known_id = known.id if known else None
            await self._database.write(write_document, source_id, self._owner, document, known_id, model, vectors)
            return
        while known is not None and not await self._database.write(clear_some, source_id, self._owner, known.id):
            pass
        document_id = await self._database.write(
            begin_document, source_id, self._owner, document.key, document.name, document.address
        )
        for first in range(0, len(document.pieces), SLICE):
            pieces = document.pieces[first : first + SLICE]
            await self._database.write(write_pieces, source_id, self._owner, document_id, first, pieces)
        await self._database.write(finish_document, source_id, self._owner, document_id, document.hash, model, vectors)

    async def _vectors(self, run: _Run, texts: Sequence[str]) -> list[bytes]:
        """Returns a vector for each text; none without a model, or when it does not answer, which `run` then tells."""
        if not run.task.model or not texts or run.trouble:
            return []
        found: list[bytes] = []
        try:
            for batch in batches([text[:BATCH_CHARS] for text in texts]):
                answer = await self._embeddings.embed(run.task.workspace_id, run.task.model, batch, "document")
                run.tokens += answer.call.input_tokens
                known = run.cost_nanos is not None and answer.call.cost_nanos is not None
                run.cost_nanos = run.cost_nanos + answer.call.cost_nanos if known else None  # type: ignore[operator]
                found += await asyncio.to_thread(all_as_bytes, answer.vectors)
                await self._note(run)
        except NodeFailed as failure:
            run.trouble = _sentence(failure)
            return []
        return found if len({len(one) for one in found}) == 1 else []

    async def _note(self, run: _Run, message: str = "") -> None:
        progress = Progress(run.done, run.total, message, run.tokens, run.cost_nanos)
        run.tokens, run.cost_nanos = 0, 0
        await self._database.write(note_progress, run.task.source.id, self._owner, progress)

    async def _remove_gone(self, run: _Run) -> int:
        """Removes documents that the source does not have any more. Returns how many."""
        if run.task.source.kind == "flow":
            return 0
        gone = [
            known.id
            for key, known in run.known.items()
            if key not in run.seen and (run.missed is None or key in run.missed.gone)
        ]
        for first in range(0, len(gone), GROUP):
            await self._clear(run.task.source.id, gone[first : first + GROUP])
        return len(gone)

    async def _remove(self, source_id: str) -> None:
        while document_ids := await self._database.read(documents_to_remove, source_id, GROUP):
            await self._clear(source_id, document_ids)
        await self._database.write(remove_source, source_id, self._owner)

    async def _clear(self, source_id: str, document_ids: Sequence[int]) -> None:
        while not await self._database.write(clear_documents, source_id, self._owner, document_ids):
            pass

    async def _end(self, source_id: str, state: str, message: str, problems: Sequence[dict[str, str]]) -> None:
        try:
            await self._database.write(end_source, source_id, self._owner, state, message, tuple(problems))
        except Lost:
            pass
        except StorageUnavailable as error:
            log.warning("Source %s could not be ended: %s", source_id, error)


def _outcome(run: _Run) -> tuple[str, str]:
    """Returns the state of a source after it was read, and a sentence for people."""
    if run.full:
        return "failed", (
            f"The workspace holds its most: {most_text()} of text. Remove what is not needed, or add less.{_what_stays(run)}"
        )
    if run.trouble:
        return "failed", f"Its words can be found, its meaning cannot: {run.trouble}"
    if run.problems and run.not_read == run.done:
        return "failed", run.problems[0]["message"]
    return "ready", ""


def _not_read(run: _Run, error: NodeFailed | Refusal) -> str:
    return f"{_sentence(error)}{_what_stays(run)}"


def _what_stays(run: _Run) -> str:
    """Returns what is told of a file beside why it was not read: its source may hold the one that it replaces."""
    stays = run.task.source.kind == "file" and any(known.pieces for known in run.known.values())
    return " What was read of it before can still be found." if stays else ""


def _sentence(error: NodeFailed | Refusal) -> str:
    if isinstance(error, Refusal):
        return " ".join(filter(None, (f"{error.detail or error.title}.", error.remedy)))
    return " ".join(filter(None, (error.message, error.why, error.remedy)))
