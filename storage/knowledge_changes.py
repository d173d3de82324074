"""Writes to knowledge: collections, sources, and what a worker reads from a source.

A worker owns a source while it reads it; each of its writes names the owner, so that a worker which lost the source
writes nothing (`Lost`). Pieces are written and removed in slices, because a write keeps all others waiting.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import delete, exists, false, func, insert, or_, select, update
from sqlalchemy.orm import Session, aliased

from engine.core.clock import DAY, HOUR
from engine.core.ids import new_id
from storage.database import now
from storage.files import drop_uses
from storage.knowledge import Kind, SourceLine, source_line
from storage.knowledge_terms import IndexedPiece
from storage.knowledge_word_index import add_words, remove_words
from storage.statements import Statement, is_sqlite
from storage.tables_knowledge import (
    KnowledgeCollection,
    KnowledgeContent,
    KnowledgeDocument,
    KnowledgePiece,
    KnowledgeSource,
    KnowledgeVectors,
    KnowledgeWrite,
)

#: The pieces that one write stores or removes.
SLICE = 200
#: How long the receipt of a step's addition is kept, in milliseconds; longer than the step's job may run.
RECEIPT_MS = 4 * DAY
#: The problems of a source that are kept.
MOST_PROBLEMS = 50
#: How often a source is read again -> the time between, in milliseconds.
AGAIN = {"hourly": HOUR, "daily": DAY, "weekly": 7 * DAY, "monthly": 30 * DAY}

_MOVE = Statement("update knowledge_documents set key = :key where id = :id and source_id = :source_id")


class Lost(Exception):
    """The source belongs to another worker, or to none, or was removed."""


class NewPiece(Struct, frozen=True):
    """A piece to store."""

    text: str
    heading: str = ""
    place: str = ""


class NewDocument(Struct, frozen=True):
    """A document to store, with its pieces and their vectors, if there are any."""

    key: str
    name: str
    address: str
    hash: str
    pieces: Sequence[NewPiece]
    vectors: Sequence[bytes]


class KnownDocument(Struct, frozen=True):
    """A stored document of a source, to see whether it changed."""

    id: int
    hash: str
    model: str
    pieces: int
    chars: int


class Progress(Struct, frozen=True):
    """What a worker says about the source it reads. `tokens` and `cost_nanos` are added; None: the cost is unknown."""

    done: int
    total: int
    message: str = ""
    tokens: int = 0
    cost_nanos: int | None = 0


class Task(Struct, frozen=True):
    """A source that a worker has claimed, with what it needs of its collection. `leaving`: it is to be removed."""

    source: SourceLine
    workspace_id: str
    model: str
    piece_chars: int
    leaving: bool


def insert_collection(session: Session, workspace_id: str, name: str, piece_chars: int) -> KnowledgeCollection:
    """Adds an empty collection; returns its ORM row."""
    at = now(session)
    row = KnowledgeCollection(
        id=new_id("collection"),
        workspace_id=workspace_id,
        name=name,
        model=None,
        piece_chars=piece_chars,
        created_at=at,
        updated_at=at,
        deleted_at=None,
    )
    session.add(row)
    session.flush()
    return row


def insert_source(
    session: Session,
    collection: KnowledgeCollection,
    kind: Kind,
    name: str,
    settings: Mapping[str, Any],
    created_by: str,
    content: bytes | None = None,
) -> KnowledgeSource:
    """Adds a source that waits to be read; returns its ORM row."""
    at = now(session)
    row = KnowledgeSource(
        id=new_id("source"),
        workspace_id=collection.workspace_id,
        collection_id=collection.id,
        kind=kind,
        name=name,
        settings=dict(settings),
        state="waiting",
        owner=None,
        stop_requested=False,
        done=0,
        total=0,
        message="",
        problems=[],
        document_count=0,
        piece_count=0,
        char_count=0,
        vector_count=0,
        input_tokens=0,
        cost_nanos=0,
        again="",
        next_at=None,
        created_at=at,
        created_by=created_by,
        indexed_at=None,
    )
    session.add(row)
    session.flush()
    if content is not None:
        session.add(KnowledgeContent(source_id=row.id, content=content))
    collection.updated_at = at
    session.flush()
    return row


def wait_again(session: Session, source: KnowledgeSource) -> None:
    """Has a source read again by the next worker that is free, after those that wait already."""
    if source.state != "waiting":
        source.next_at = now(session)
    source.state, source.owner, source.stop_requested = "waiting", None, False
    source.done = source.total = 0
    source.message = ""


def let_go(source: KnowledgeSource) -> None:
    """Hands a source to a worker to be removed; whoever reads it loses it."""
    source.state, source.owner, source.stop_requested, source.next_at = "leaving", None, False, None


def hold_dataset_sources(session: Session, workspace_id: str, dataset_id: str) -> list[KnowledgeSource]:
    """Returns the ORM rows of the sources that hold the rows of a dataset."""
    rows = session.scalars(
        select(KnowledgeSource).where(
            KnowledgeSource.workspace_id == workspace_id,
            KnowledgeSource.kind == "dataset",
            KnowledgeSource.state != "leaving",
        )
    )
    return [row for row in rows if row.settings.get("dataset") == dataset_id]


def rename_chosen_column(session: Session, source: KnowledgeSource, column: str, name: str) -> None:
    """Keeps a source of a dataset at a column that has another name now. A reading that is under way begins anew."""
    chosen: list[str] = source.settings.get("columns") or []
    if column not in chosen:
        return
    source.settings = {**source.settings, "columns": [name if one == column else one for one in chosen]}
    if source.state == "working":
        wait_again(session, source)


# What workers do.


def anything_due(
    session: Session,
    under_way: Collection[str] = (),
    *,
    read: bool = True,
    remove: bool = True,
    sites: bool = True,
) -> bool:
    """True when a source waits for a worker that `claim_next` would give to it."""
    due = _due(session, under_way, read=read, remove=remove, sites=sites)
    return session.scalar(due.with_only_columns(KnowledgeSource.id).limit(1)) is not None


def claim_next(
    session: Session,
    owner: str,
    under_way: Collection[str] = (),
    *,
    read: bool = True,
    remove: bool = True,
    sites: bool = True,
) -> Task | None:
    """Gives the next source that is due to a worker; None when there is none. First come those to remove, then those that
    somebody waits for, then those that are read again by themselves; of each, those of workspaces of which none is being
    read (for a website only websites count, for the others only others), and the one that is due for longest.

    `under_way`: sources that this worker still reads, although they were taken from it. A second reading would have the
    same owner, and the writes of both could not be told apart. `read`, `remove`: what the worker has room for; `sites`: also
    for a website.
    """
    other = aliased(KnowledgeSource)
    # a website may take an hour and has a place of its own, so only other websites wait for it
    is_served = exists().where(
        other.workspace_id == KnowledgeSource.workspace_id,
        other.state == "working",
        (other.kind == "site") == (KnowledgeSource.kind == "site"),
    )
    row = session.scalars(
        _due(session, under_way, read=read, remove=remove, sites=sites)
        .order_by(
            KnowledgeSource.state != "leaving",
            KnowledgeSource.state != "waiting",
            is_served,
            func.coalesce(KnowledgeSource.next_at, KnowledgeSource.created_at),
            KnowledgeSource.created_at,
        )
        .limit(1)
    ).first()
    if row is None:
        return None
    collection = session.get_one(KnowledgeCollection, row.collection_id)
    leaving = row.state == "leaving"
    row.owner = owner
    if not leaving:
        row.state, row.stop_requested = "working", False
        row.done = row.total = 0
        row.message, row.problems = "", []
    session.flush()
    return Task(source_line(row), row.workspace_id, collection.model or "", collection.piece_chars, leaving)


def held_sources(session: Session, owner: str) -> dict[str, bool]:
    """Returns id -> whether it shall be stopped, of the sources that belong to a worker."""
    rows = session.execute(
        select(KnowledgeSource.id, KnowledgeSource.stop_requested).where(
            KnowledgeSource.state.in_(("working", "leaving")), KnowledgeSource.owner == owner
        )
    )
    return {row[0]: row[1] for row in rows}


def source_owners(session: Session) -> set[str]:
    """Returns the boot ids of workers that hold a source."""
    held = select(KnowledgeSource.owner).where(KnowledgeSource.state.in_(("working", "leaving"))).distinct()
    return {owner for owner in session.scalars(held) if owner is not None}


def release_sources(session: Session, owner: str, except_for: Collection[str] = ()) -> None:
    """Gives back what a worker had claimed, because it ends, is gone, or does not read it any more."""
    mine = (KnowledgeSource.owner == owner, KnowledgeSource.id.not_in(except_for))
    session.execute(
        update(KnowledgeSource).where(*mine, KnowledgeSource.state == "working").values(state="waiting", owner=None)
    )
    session.execute(update(KnowledgeSource).where(*mine, KnowledgeSource.state == "leaving").values(owner=None))


def known_documents(session: Session, source_id: str) -> dict[str, KnownDocument]:
    """Returns key -> document of a source."""
    return {key: KnownDocument(*values) for key, *values in _known(session, source_id)}


def find_document(session: Session, source_id: str, key: str) -> KnownDocument | None:
    """Returns the document of a source with this key."""
    for _, *values in _known(session, source_id, KnowledgeDocument.key == key):
        return KnownDocument(*values)
    return None


def begin_document(
    session: Session,
    source_id: str,
    owner: str | None,
    key: str,
    name: str,
    address: str,
    kept: str | None = None,
) -> int:
    """Returns the id of the document with this key; a new one is added. `clear_some` must have removed its old pieces:
    the index knows them under the old name. `kept`: the text, when it cannot be read again.
    """
    source = _owned(session, source_id, owner)
    row = session.scalars(
        select(KnowledgeDocument).where(KnowledgeDocument.source_id == source_id, KnowledgeDocument.key == key)
    ).one_or_none()
    if row is None:
        row = KnowledgeDocument(
            source_id=source_id,
            collection_id=source.collection_id,
            key=key,
            name=name,
            address=address,
            hash="",
            model="",
            piece_count=0,
            char_count=0,
            updated_at=now(session),
            kept=None,
        )
        session.add(row)
        source.document_count += 1
    row.name, row.address, row.hash, row.model, row.updated_at = name, address, "", "", now(session)
    row.kept = row.kept if kept is None else kept
    session.flush()
    return row.id


def add_documents(session: Session, source_id: str, owner: str, model: str, documents: Sequence[NewDocument]) -> None:
    """Stores documents whose keys are new; together they have SLICE pieces at most. One by one each takes a dozen
    statements.
    """
    source = _owned(session, source_id, owner)
    at = now(session)
    rows: list[dict[str, Any]] = [
        {
            "source_id": source_id,
            "collection_id": source.collection_id,
            "key": one.key,
            "name": one.name,
            "address": one.address,
            "hash": one.hash,
            "model": model if one.vectors else "",
            "piece_count": len(one.pieces),
            "char_count": sum(len(piece.text) for piece in one.pieces),
            "updated_at": at,
            "kept": None,
        }
        for one in documents
    ]
    made = insert(KnowledgeDocument).returning(KnowledgeDocument.id, sort_by_parameter_order=True)
    ids = session.scalars(made, rows).all()
    _insert_pieces(
        session,
        source,
        [
            (document_id, document.name, number, piece)
            for document_id, document in zip(ids, documents, strict=True)
            for number, piece in enumerate(document.pieces)
        ],
    )
    with_vectors = [(document_id, one) for document_id, one in zip(ids, documents, strict=True) if one.vectors]
    if with_vectors:
        session.execute(
            insert(KnowledgeVectors),
            [
                {
                    "document_id": document_id,
                    "collection_id": source.collection_id,
                    "model": model,
                    "dimensions": len(one.vectors[0]),
                    "vectors": b"".join(one.vectors),
                }
                for document_id, one in with_vectors
            ],
        )
    source.document_count += len(rows)
    source.piece_count += sum(row["piece_count"] for row in rows)
    source.char_count += sum(row["char_count"] for row in rows)
    source.vector_count += sum(len(one.vectors) for one in documents)
    session.flush()
    if not is_sqlite(session):
        from storage.postgres.vector_search import add_points

        for document_id, one in with_vectors:
            add_points(session, document_id, source.collection_id, model, one.vectors)


def write_pieces(
    session: Session, source_id: str, owner: str | None, document_id: int, first: int, pieces: Sequence[NewPiece]
) -> None:
    """Stores a slice of the pieces of a document; the first of them has the number `first`."""
    source = _owned(session, source_id, owner)
    name = session.scalar(select(KnowledgeDocument.name).where(KnowledgeDocument.id == document_id)) or ""
    _insert_pieces(session, source, [(document_id, name, first + at, one) for at, one in enumerate(pieces)])
    chars = sum(len(one.text) for one in pieces)
    _count(session, source, document_id, len(pieces), chars)


def index_all_pieces(session: Session) -> int:
    """Adds every stored piece to the index for words, which is empty: it is not copied when a database is moved. Returns
    how many there are.
    """
    last, count = 0, 0
    while True:
        rows = session.execute(
            select(
                KnowledgePiece.id,
                KnowledgeDocument.collection_id,
                KnowledgeDocument.source_id,
                KnowledgeDocument.name,
                KnowledgePiece.heading,
                KnowledgePiece.text,
            )
            .join(KnowledgeDocument, KnowledgeDocument.id == KnowledgePiece.document_id)
            .where(KnowledgePiece.id > last)
            .order_by(KnowledgePiece.id)
            .limit(SLICE)
        ).all()
        if not rows:
            return count
        add_words(
            session,
            [
                IndexedPiece(row.id, row.collection_id, row.source_id, _heading(row.name, row.heading), row.text)
                for row in rows
            ],
        )
        last = rows[-1].id
        count += len(rows)


def finish_document(
    session: Session,
    source_id: str,
    owner: str | None,
    document_id: int,
    hash_: str,
    model: str,
    vectors: Sequence[bytes],
) -> None:
    """Says that all pieces of a document are stored, and stores their vectors, which `model` made; without any, the
    document is found by its words.
    """
    source = _owned(session, source_id, owner)
    row = session.get_one(KnowledgeDocument, document_id)
    row.hash = hash_
    if vectors:
        row.model = model
        session.add(
            KnowledgeVectors(
                document_id=document_id,
                collection_id=source.collection_id,
                model=model,
                dimensions=len(vectors[0]),
                vectors=b"".join(vectors),
            )
        )
        source.vector_count += len(vectors)
    session.flush()
    if vectors and not is_sqlite(session):
        from storage.postgres.vector_search import add_points

        add_points(session, document_id, source.collection_id, model, vectors)


def note_progress(session: Session, source_id: str, owner: str, progress: Progress) -> None:
    """Stores how far the reading of a source is."""
    _note(_owned(session, source_id, owner), progress)


def note_sitemap(session: Session, source_id: str, *, there: bool) -> None:
    """Stores with the settings of a website whether it has a sitemap that nothing names."""
    source = _owned(session, source_id, None)
    source.settings = {**source.settings, "has_sitemap": there}


def clear_some(session: Session, source_id: str, owner: str | None, document_id: int, *, gone: bool = False) -> bool:
    """Removes a slice of the pieces of a document. Returns whether none is left; `gone`: then it is removed itself."""
    source = _owned(session, source_id, owner)
    row = session.get(KnowledgeDocument, document_id)
    if row is None:
        return True
    _remove_vectors(session, source, document_id)
    row.hash, row.model = "", ""
    session.flush()
    pieces = session.execute(
        select(KnowledgePiece.id, KnowledgePiece.heading, KnowledgePiece.text)
        .where(KnowledgePiece.document_id == document_id)
        .order_by(KnowledgePiece.number)
        .limit(SLICE)
    ).all()
    if pieces:
        remove_words(
            session,
            [
                IndexedPiece(piece.id, source.collection_id, source.id, _heading(row.name, piece.heading), piece.text)
                for piece in pieces
            ],
        )
        session.execute(
            delete(KnowledgePiece)
            .where(KnowledgePiece.id.in_([piece.id for piece in pieces]))
            .execution_options(synchronize_session=False)
        )
        _count(session, source, document_id, -len(pieces), -sum(len(piece.text) for piece in pieces))
    if len(pieces) == SLICE:
        return False
    if gone:
        session.execute(
            delete(KnowledgeDocument)
            .where(KnowledgeDocument.id == document_id)
            .execution_options(synchronize_session=False)
        )
        source.document_count = max(0, source.document_count - 1)
        session.expire_all()
    return True


def clear_documents(session: Session, source_id: str, owner: str | None, document_ids: Sequence[int]) -> bool:
    """Removes documents, with SLICE pieces at most. Returns whether all of them are removed; else it is to be called again
    with the same.
    """
    source = _owned(session, source_id, owner)
    documents = session.execute(
        select(KnowledgeDocument.id, KnowledgeDocument.name, KnowledgeDocument.piece_count)
        .where(KnowledgeDocument.id.in_(document_ids), KnowledgeDocument.source_id == source_id)
        .order_by(KnowledgeDocument.id)
    ).all()
    names: dict[int, str] = {}
    count = 0
    for document in documents:
        count += document.piece_count
        if count > SLICE:
            break
        names[document.id] = document.name
    if documents and not names:
        clear_some(session, source_id, owner, documents[0].id, gone=True)
        return False
    pieces = session.execute(
        select(KnowledgePiece.id, KnowledgePiece.document_id, KnowledgePiece.heading, KnowledgePiece.text).where(
            KnowledgePiece.document_id.in_(names)
        )
    ).all()
    remove_words(
        session,
        [
            IndexedPiece(
                one.id, source.collection_id, source.id, _heading(names[one.document_id], one.heading), one.text
            )
            for one in pieces
        ],
    )
    vectors = session.execute(
        select(KnowledgeVectors.dimensions, func.length(KnowledgeVectors.vectors)).where(
            KnowledgeVectors.document_id.in_(names)
        )
    ).all()
    for table, column in (
        (KnowledgeVectors, KnowledgeVectors.document_id),
        (KnowledgePiece, KnowledgePiece.document_id),
        (KnowledgeDocument, KnowledgeDocument.id),
    ):
        session.execute(delete(table).where(column.in_(names)).execution_options(synchronize_session=False))
    source.vector_count = max(0, source.vector_count - sum(size // max(1, one) for one, size in vectors))
    source.document_count = max(0, source.document_count - len(names))
    source.piece_count = max(0, source.piece_count - len(pieces))
    source.char_count = max(0, source.char_count - sum(len(one.text) for one in pieces))
    session.flush()
    session.expire_all()
    return len(names) == len(documents)


def move_documents(session: Session, source_id: str, owner: str, moves: Sequence[tuple[int, str]]) -> None:
    """Gives documents (id, new key) of a source another key. Their pieces, words and vectors stay as they are."""
    _owned(session, source_id, owner)
    _MOVE.run(session, *({"id": document_id, "source_id": source_id, "key": key} for document_id, key in moves))


def end_source(
    session: Session, source_id: str, owner: str | None, state: str, message: str, problems: Sequence[Mapping[str, str]]
) -> None:
    """Says how the reading of a source ended, and when it is read again."""
    source = _owned(session, source_id, owner)
    source.state, source.owner, source.stop_requested = state, None, False
    source.message = message
    source.problems = [dict(one) for one in problems[:MOST_PROBLEMS]]
    source.document_count = (
        session.scalar(
            select(func.count()).select_from(KnowledgeDocument).where(KnowledgeDocument.source_id == source_id)
        )
        or 0
    )
    if state == "ready":
        source.indexed_at = now(session)
    source.next_at = now(session) + AGAIN[source.again] if source.again in AGAIN else None
    session.flush()


def documents_to_remove(session: Session, source_id: str, most: int) -> list[int]:
    """Returns documents of a source that is leaving; none when all are removed."""
    wanted = select(KnowledgeDocument.id).where(KnowledgeDocument.source_id == source_id)
    return list(session.scalars(wanted.order_by(KnowledgeDocument.id).limit(most)))


def remove_source(session: Session, source_id: str, owner: str | None) -> None:
    """Removes a source whose documents are removed, and its collection when it was deleted and this was its last."""
    source = _owned(session, source_id, owner)
    collection_id = source.collection_id
    session.execute(delete(KnowledgeContent).where(KnowledgeContent.source_id == source_id))
    drop_uses(session, "collection", source_id)
    session.delete(source)
    session.flush()
    remove_empty_collection(session, collection_id)


def remove_empty_collection(session: Session, collection_id: str) -> None:
    """Removes a deleted collection once it has no source."""
    session.flush()
    collection = session.get(KnowledgeCollection, collection_id)
    if collection is None or collection.deleted_at is None:
        return
    left = session.scalar(select(KnowledgeSource.id).where(KnowledgeSource.collection_id == collection_id).limit(1))
    if left is None:
        session.execute(delete(KnowledgeWrite).where(KnowledgeWrite.collection_id == collection_id))
        session.delete(collection)


def find_receipt(session: Session, step: str, collection_id: str) -> dict[str, Any] | None:
    """Returns what this step's addition to this collection gave; None when it has added nothing yet."""
    return session.scalar(
        select(KnowledgeWrite.result).where(KnowledgeWrite.id == step, KnowledgeWrite.collection_id == collection_id)
    )


def add_receipt(session: Session, step: str, collection_id: str, result: Mapping[str, Any]) -> None:
    """Stores what a step's addition gave, and removes old receipts."""
    session.execute(delete(KnowledgeWrite).where(KnowledgeWrite.at < now(session) - RECEIPT_MS))
    session.add(KnowledgeWrite(id=step, collection_id=collection_id, result=dict(result), at=now(session)))
    session.flush()


def find_source_named(session: Session, collection_id: str, kind: Kind, name: str) -> KnowledgeSource | None:
    """Returns the ORM row of the source of this kind and name."""
    return session.scalars(
        select(KnowledgeSource).where(
            KnowledgeSource.collection_id == collection_id,
            KnowledgeSource.kind == kind,
            KnowledgeSource.name == name,
            KnowledgeSource.state != "leaving",
        )
    ).first()


def _due(session: Session, under_way: Collection[str], *, read: bool, remove: bool, sites: bool) -> Any:
    to_remove = (KnowledgeSource.state == "leaving") & KnowledgeSource.owner.is_(None)
    to_read = or_(
        KnowledgeSource.state == "waiting",
        KnowledgeSource.state.in_(("ready", "failed", "stopped")) & (KnowledgeSource.next_at <= now(session)),
    )
    if not sites:
        to_read &= KnowledgeSource.kind != "site"
    wanted = [one for one, has_room in ((to_remove, remove), (to_read, read)) if has_room]
    return select(KnowledgeSource).where(KnowledgeSource.id.not_in(under_way), or_(false(), *wanted))


def _known(session: Session, source_id: str, *only: Any) -> Iterable[Any]:
    return session.execute(
        select(
            KnowledgeDocument.key,
            KnowledgeDocument.id,
            KnowledgeDocument.hash,
            KnowledgeDocument.model,
            KnowledgeDocument.piece_count,
            KnowledgeDocument.char_count,
        ).where(KnowledgeDocument.source_id == source_id, *only)
    )


def _owned(session: Session, source_id: str, owner: str | None) -> KnowledgeSource:
    """Returns the source while this worker owns it; `owner` None: an action, which needs no claim. Raises Lost."""
    row = session.get(KnowledgeSource, source_id)
    if row is None or (owner is not None and row.owner != owner):
        raise Lost(source_id)
    return row


def _insert_pieces(session: Session, source: KnowledgeSource, pieces: Sequence[tuple[int, str, int, NewPiece]]) -> None:
    """Stores pieces (id and name of the document, number, piece) and adds them to the index for words."""
    if not pieces:
        return
    rows = [
        {"document_id": document_id, "number": number, "heading": one.heading, "place": one.place, "text": one.text}
        for document_id, _, number, one in pieces
    ]
    ids = session.scalars(insert(KnowledgePiece).returning(KnowledgePiece.id, sort_by_parameter_order=True), rows).all()
    add_words(
        session,
        [
            IndexedPiece(piece_id, source.collection_id, source.id, _heading(name, one.heading), one.text)
            for piece_id, (_, name, _, one) in zip(ids, pieces, strict=True)
        ],
    )


def _count(session: Session, source: KnowledgeSource, document_id: int, pieces: int, chars: int) -> None:
    source.piece_count = max(0, source.piece_count + pieces)
    source.char_count = max(0, source.char_count + chars)
    document = session.get_one(KnowledgeDocument, document_id)
    document.piece_count = max(0, document.piece_count + pieces)
    document.char_count = max(0, document.char_count + chars)
    session.flush()


def _note(source: KnowledgeSource, progress: Progress) -> None:
    source.done, source.total = progress.done, max(progress.total, progress.done)
    source.message = progress.message
    source.input_tokens += progress.tokens
    known = source.cost_nanos is not None and progress.cost_nanos is not None
    source.cost_nanos = source.cost_nanos + progress.cost_nanos if known else None  # type: ignore[operator]


def _remove_vectors(session: Session, source: KnowledgeSource, document_id: int) -> None:
    row = session.get(KnowledgeVectors, document_id)
    if row is not None:
        source.vector_count = max(0, source.vector_count - len(row.vectors) // max(1, row.dimensions))
        session.delete(row)


def _heading(document: str, heading: str) -> str:
    return f"{document} {heading}".strip()
