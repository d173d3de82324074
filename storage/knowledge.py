"""Queries for knowledge: collections with their sources, documents and pieces. Every statement names the workspace."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from engine.core.errors import NotFound
from storage.tables_knowledge import (
    KnowledgeCollection,
    KnowledgeContent,
    KnowledgeDocument,
    KnowledgePiece,
    KnowledgeSource,
)

Kind = Literal["text", "file", "site", "dataset", "flow"]
State = Literal["waiting", "working", "ready", "failed", "stopped", "leaving"]

#: What a workspace may keep as knowledge, over all of its collections.
MAX_COLLECTIONS = 100
MAX_SOURCES = 2_000
MAX_PIECES = 200_000
MAX_CHARS = 200_000_000


class SourceLine(Struct, frozen=True):
    """A source of a collection. Times are milliseconds; `cost_nanos` None: unknown. `next_at`: when it is read again by
    itself; None while it waits or is read, whose end sets it.
    """

    id: str
    collection_id: str
    kind: Kind
    name: str
    settings: dict[str, Any]
    state: State
    done: int
    total: int
    message: str
    problems: tuple[dict[str, str], ...]
    documents: int
    pieces: int
    chars: int
    vectors: int
    input_tokens: int
    cost_nanos: int | None
    again: str
    next_at: int | None
    created_at: int
    indexed_at: int | None
    stop_requested: bool

    @property
    def busy(self) -> bool:
        """True while it waits for a worker or is being read."""
        return self.state in {"waiting", "working"}


class CollectionLine(Struct, frozen=True):
    """A collection with its sums. `model`: the embedding model; empty: word search only."""

    id: str
    name: str
    model: str
    piece_chars: int
    sources: int
    pieces: int
    vectors: int
    busy: int
    failed: int
    created_at: int
    updated_at: int


class PieceLine(Struct, frozen=True):
    """A piece with where it is from. `number` counts from 0 in its document."""

    id: int
    document_id: int
    number: int
    text: str
    heading: str
    place: str
    document: str
    address: str
    source_id: str
    source: str


class KeptText(Struct, frozen=True):
    """A text that a step of a flow added. `hash`: that of its document."""

    id: int
    key: str
    name: str
    address: str
    hash: str
    text: str


class Room(Struct, frozen=True):
    """What the collections of a workspace hold together."""

    collections: int
    sources: int
    pieces: int
    chars: int

    def without(self, pieces: int, chars: int) -> Room:
        """Returns the room once this much of it has made way for what replaces it."""
        return replace(self, pieces=self.pieces - pieces, chars=self.chars - chars)

    def has_room_for(self, pieces: int = 1, chars: int = 1) -> bool:
        """True when the workspace may hold so many more pieces and characters."""
        return self.pieces + pieces <= MAX_PIECES and self.chars + chars <= MAX_CHARS


def most_text() -> str:
    """Returns how much text a workspace may hold, in words."""
    return f"{MAX_PIECES:,} pieces or {MAX_CHARS // 1_000_000} million characters"


def list_collections(session: Session, workspace_id: str) -> list[CollectionLine]:
    """Returns all collections of a workspace, sorted by name."""
    sums = {
        row.collection_id: row
        for row in session.execute(
            select(
                KnowledgeSource.collection_id,
                func.count().label("sources"),
                func.sum(KnowledgeSource.piece_count).label("pieces"),
                func.sum(KnowledgeSource.vector_count).label("vectors"),
                func.count().filter(KnowledgeSource.state.in_(("waiting", "working"))).label("busy"),
                func.count().filter(KnowledgeSource.state == "failed").label("failed"),
            )
            .where(KnowledgeSource.workspace_id == workspace_id, KnowledgeSource.state != "leaving")
            .group_by(KnowledgeSource.collection_id)
        )
    }
    rows = session.scalars(_owned(workspace_id).order_by(func.lower(KnowledgeCollection.name), KnowledgeCollection.id))
    return [_collection_line(row, sums.get(row.id)) for row in rows]


def find_collection(session: Session, workspace_id: str, collection: str) -> CollectionLine | None:
    """Returns the collection with this id, or else with this name, which imported flows use; None when there is none."""
    row = session.scalars(named_collection(workspace_id, collection)).first()
    if row is None:
        return None
    return next(one for one in list_collections(session, workspace_id) if one.id == row.id)


def get_collection(session: Session, workspace_id: str, collection: str) -> CollectionLine:
    """Returns the same as `find_collection`. Raises NotFound."""
    found = find_collection(session, workspace_id, collection)
    if found is None:
        raise no_collection(collection)
    return found


def hold_collection(session: Session, workspace_id: str, collection: str) -> KnowledgeCollection:
    """Returns the collection's ORM row, for an action to change. Raises NotFound."""
    row = session.scalars(named_collection(workspace_id, collection)).first()
    if row is None:
        raise no_collection(collection)
    return row


def find_named_collection(session: Session, workspace_id: str, name: str) -> str | None:
    """Returns the id of the collection with this name, ignoring case; None when there is none."""
    names = session.execute(_owned(workspace_id).with_only_columns(KnowledgeCollection.id, KnowledgeCollection.name))
    return next((one for one, its_name in names if its_name.casefold() == name.casefold()), None)


def list_sources(session: Session, workspace_id: str, collection_id: str) -> list[SourceLine]:
    """Returns the sources of a collection in the order in which they were added."""
    rows = session.scalars(
        select(KnowledgeSource)
        .join(KnowledgeCollection, KnowledgeCollection.id == KnowledgeSource.collection_id)
        .where(
            KnowledgeSource.workspace_id == workspace_id,
            KnowledgeSource.collection_id == collection_id,
            KnowledgeSource.state != "leaving",
            KnowledgeCollection.deleted_at.is_(None),
        )
        .order_by(KnowledgeSource.created_at, KnowledgeSource.id)
    )
    return [source_line(row) for row in rows]


def hold_source(session: Session, workspace_id: str, source_id: str) -> KnowledgeSource:
    """Returns the source's ORM row, for an action to change. Raises NotFound."""
    row = session.scalars(
        select(KnowledgeSource).where(
            KnowledgeSource.workspace_id == workspace_id,
            KnowledgeSource.id == source_id,
            KnowledgeSource.state != "leaving",
        )
    ).one_or_none()
    if row is None:
        raise NotFound("There is no such source any more", remedy="The page Knowledge lists what is there.")
    return row


def list_dataset_sources(session: Session, workspace_id: str, source_ids: Collection[str]) -> dict[str, str]:
    """Returns source -> dataset id, for those of these sources that hold the rows of a dataset."""
    rows = session.execute(
        select(KnowledgeSource.id, KnowledgeSource.settings).where(
            KnowledgeSource.workspace_id == workspace_id,
            KnowledgeSource.id.in_(source_ids),
            KnowledgeSource.kind == "dataset",
        )
    )
    return {source_id: str(settings.get("dataset", "")) for source_id, settings in rows}


def find_content(session: Session, workspace_id: str, source_id: str) -> bytes | None:
    """Returns the bytes that were given to a source; None for a source that is read elsewhere."""
    return session.scalar(
        select(KnowledgeContent.content)
        .join(KnowledgeSource, KnowledgeSource.id == KnowledgeContent.source_id)
        .where(KnowledgeSource.workspace_id == workspace_id, KnowledgeSource.id == source_id)
    )


def list_kept(session: Session, workspace_id: str, source_id: str, *, after: int = 0) -> list[KeptText]:
    """Returns the next texts that steps added, after the document id `after`; none at the end."""
    rows = session.execute(
        select(
            KnowledgeDocument.id,
            KnowledgeDocument.key,
            KnowledgeDocument.name,
            KnowledgeDocument.address,
            KnowledgeDocument.hash,
            KnowledgeDocument.kept,
        )
        .join(KnowledgeSource, KnowledgeSource.id == KnowledgeDocument.source_id)
        .where(
            KnowledgeSource.workspace_id == workspace_id,
            KnowledgeSource.id == source_id,
            KnowledgeDocument.id > after,
            KnowledgeDocument.kept.is_not(None),
        )
        .order_by(KnowledgeDocument.id)
        .limit(50)
    )
    return [KeptText(*row) for row in rows]


def documents_called(session: Session, collection_id: str, texts: Sequence[str]) -> set[int]:
    """Returns the ids of the documents of a collection with one of these texts in their name or address."""
    wanted = [text.casefold() for text in texts]
    rows = session.execute(
        select(KnowledgeDocument.id, KnowledgeDocument.name, KnowledgeDocument.address)
        .join(KnowledgeSource, KnowledgeSource.id == KnowledgeDocument.source_id)
        .where(KnowledgeDocument.collection_id == collection_id, KnowledgeSource.state != "leaving")
    )
    return {row[0] for row in rows if any(one in row[1].casefold() or one in row[2].casefold() for one in wanted)}


def documents_of(session: Session, source_ids: Sequence[str]) -> set[int]:
    """Returns the ids of the documents of these sources."""
    return set(session.scalars(select(KnowledgeDocument.id).where(KnowledgeDocument.source_id.in_(source_ids))))


def any_leaving(session: Session, collection_id: str) -> bool:
    """True while a deleted source of a collection still has rows."""
    leaving = select(KnowledgeSource.id).where(
        KnowledgeSource.collection_id == collection_id, KnowledgeSource.state == "leaving"
    )
    return session.scalar(leaving.limit(1)) is not None


def page_of_pieces(
    session: Session, workspace_id: str, source_id: str, *, offset: int, limit: int
) -> tuple[list[PieceLine], int]:
    """Returns some pieces of a source in the order of its documents, and how many there are in all."""
    mine = (
        KnowledgeSource.workspace_id == workspace_id,
        KnowledgeSource.id == source_id,
        KnowledgeSource.state != "leaving",
    )
    total = session.scalar(
        select(func.coalesce(func.sum(KnowledgeDocument.piece_count), 0))
        .join(KnowledgeSource, KnowledgeSource.id == KnowledgeDocument.source_id)
        .where(*mine)
    )
    rows = session.execute(
        _pieces().where(*mine).order_by(KnowledgeDocument.id, KnowledgePiece.number).offset(offset).limit(limit)
    )
    return [PieceLine(*row) for row in rows], total or 0


def pieces_by_id(session: Session, workspace_id: str, ids: Sequence[int]) -> dict[int, PieceLine]:
    """Returns id -> piece for those of these ids that are there; pieces of deleted sources are not."""
    rows = session.execute(
        _pieces().where(
            KnowledgeSource.workspace_id == workspace_id,
            KnowledgeSource.state != "leaving",
            KnowledgePiece.id.in_(ids),
        )
    )
    return {row[0]: PieceLine(*row) for row in rows}


def ids_of_places(session: Session, places: Sequence[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """Returns (document id, number) -> id of the piece there."""
    if not places:
        return {}
    documents = {document_id for document_id, _ in places}
    numbers = {number for _, number in places}
    rows = session.execute(
        select(KnowledgePiece.document_id, KnowledgePiece.number, KnowledgePiece.id).where(
            KnowledgePiece.document_id.in_(documents), KnowledgePiece.number.in_(numbers)
        )
    )
    wanted = set(places)
    return {(row[0], row[1]): row[2] for row in rows if (row[0], row[1]) in wanted}


def read_room(session: Session, workspace_id: str) -> Room:
    """Returns what the collections of a workspace hold together."""
    row = session.execute(
        select(
            func.count(),
            func.coalesce(func.sum(KnowledgeSource.piece_count), 0),
            func.coalesce(func.sum(KnowledgeSource.char_count), 0),
        ).where(KnowledgeSource.workspace_id == workspace_id)
    ).one()
    collections = session.scalar(select(func.count()).select_from(_owned(workspace_id).subquery()))
    return Room(collections or 0, row[0], row[1], row[2])


def named_collection(workspace_id: str, collection: str) -> Select[KnowledgeCollection]:
    """Selects the collection with this id or, when there is none, with this name."""
    return (
        _owned(workspace_id)
        .where(or_(KnowledgeCollection.id == collection, KnowledgeCollection.name == collection))
        .order_by((KnowledgeCollection.id == collection).desc())
        .limit(1)
    )


def no_collection(collection: str) -> NotFound:
    """Returns the refusal for a collection that is unknown, deleted or of another workspace."""
    return NotFound(f"No collection of knowledge is called `{collection}`", remedy="The page Knowledge lists them all.")


def source_line(row: KnowledgeSource) -> SourceLine:
    """Returns a source as pages show it."""
    return SourceLine(
        row.id,
        row.collection_id,
        row.kind,  # type: ignore[arg-type] - checked when it was stored
        row.name,
        row.settings,
        row.state,  # type: ignore[arg-type] - checked when it was stored
        row.done,
        row.total,
        row.message,
        tuple(row.problems),
        row.document_count,
        row.piece_count,
        row.char_count,
        row.vector_count,
        row.input_tokens,
        row.cost_nanos,
        row.again,
        None if row.state in {"waiting", "working"} else row.next_at,
        row.created_at,
        row.indexed_at,
        row.stop_requested,
    )


def _owned(workspace_id: str) -> Select[KnowledgeCollection]:
    return select(KnowledgeCollection).where(
        KnowledgeCollection.workspace_id == workspace_id, KnowledgeCollection.deleted_at.is_(None)
    )


def _pieces() -> Any:
    return (
        select(
            KnowledgePiece.id,
            KnowledgePiece.document_id,
            KnowledgePiece.number,
            KnowledgePiece.text,
            KnowledgePiece.heading,
            KnowledgePiece.place,
            KnowledgeDocument.name,
            KnowledgeDocument.address,
            KnowledgeSource.id,
            KnowledgeSource.name,
        )
        .join(KnowledgeDocument, KnowledgeDocument.id == KnowledgePiece.document_id)
        .join(KnowledgeSource, KnowledgeSource.id == KnowledgeDocument.source_id)
    )


def _collection_line(row: KnowledgeCollection, sums: Any) -> CollectionLine:
    return CollectionLine(
        row.id,
        row.name,
        row.model or "",
        row.piece_chars,
        sums.sources if sums else 0,
        (sums.pieces or 0) if sums else 0,
        (sums.vectors or 0) if sums else 0,
        sums.busy if sums else 0,
        sums.failed if sums else 0,
        row.created_at,
        row.updated_at,
    )
