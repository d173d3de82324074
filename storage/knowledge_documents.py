"""What is written of a source's documents: their pieces, their vectors and the index for words.

Pieces are written and removed in slices, because a write keeps all others waiting. Each write names the worker that owns
the source, and raises Lost when another one does (`storage.knowledge_changes`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from storage.database import now
from storage.knowledge_changes import hold_claimed
from storage.knowledge_terms import IndexedPiece
from storage.knowledge_word_index import add_words, remove_words
from storage.statements import Statement, is_sqlite
from storage.tables_knowledge import (
    KnowledgeDocument,
    KnowledgePiece,
    KnowledgeSource,
    KnowledgeVectors,
)

#: The pieces that one write stores or removes.
SLICE = 200

_MOVE = Statement("update knowledge_documents set key = :key where id = :id and source_id = :source_id")


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
    source = hold_claimed(session, source_id, owner)
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
    source = hold_claimed(session, source_id, owner)
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
    source = hold_claimed(session, source_id, owner)
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
    source = hold_claimed(session, source_id, owner)
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


def clear_some(session: Session, source_id: str, owner: str | None, document_id: int, *, gone: bool = False) -> bool:
    """Removes a slice of the pieces of a document. Returns whether none is left; `gone`: then it is removed itself."""
    source = hold_claimed(session, source_id, owner)
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
    source = hold_claimed(session, source_id, owner)
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
    hold_claimed(session, source_id, owner)
    _MOVE.run(session, *({"id": document_id, "source_id": source_id, "key": key} for document_id, key in moves))


def documents_to_remove(session: Session, source_id: str, most: int) -> list[int]:
    """Returns documents of a source that is leaving; none when all are removed."""
    wanted = select(KnowledgeDocument.id).where(KnowledgeDocument.source_id == source_id)
    return list(session.scalars(wanted.order_by(KnowledgeDocument.id).limit(most)))


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


def _remove_vectors(session: Session, source: KnowledgeSource, document_id: int) -> None:
    row = session.get(KnowledgeVectors, document_id)
    if row is not None:
        source.vector_count = max(0, source.vector_count - len(row.vectors) // max(1, row.dimensions))
        session.delete(row)


def _heading(document: str, heading: str) -> str:
    return f"{document} {heading}".strip()
