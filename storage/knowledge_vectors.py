"""Search by meaning: the vectors of pieces, one blob for each document, compared with that of a question.

A vector is a row of signed bytes. The cosine of two vectors needs no scale, so none is stored. `simsimd` compares them
in the reader's thread; the vectors are read in portions, so that a search needs little memory however large the
collection is. PostgreSQL compares them itself when it can (`storage/postgres/vector_search.py`).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, cast

from msgspec import Struct
from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.statements import is_sqlite
from storage.tables_knowledge import KnowledgeDocument, KnowledgeVectors

#: How many bytes of vectors are compared at a time.
PORTION = 2 << 20


class NearPiece(Struct, frozen=True):
    """A piece by its document and number, and the cosine of its vector and the question's (1: the same direction)."""

    document_id: int
    number: int
    cosine: float


def as_bytes(vector: Sequence[float]) -> bytes:
    """Returns a vector as signed bytes: the largest component becomes 127. A vector of zeros stays one."""
    largest = max(map(abs, vector), default=0.0)
    if not largest or largest != largest or largest == float("inf"):  # noqa: PLR0124 - the test for NaN
        return bytes(len(vector))
    scale = 127.0 / largest
    return bytes([round(value * scale) & 255 for value in vector])


def all_as_bytes(vectors: Iterable[Sequence[float]]) -> list[bytes]:
    """Returns vectors as signed bytes; for a whole batch this is work for a thread."""
    return list(map(as_bytes, vectors))


def find_by_meaning(
    session: Session,
    collection_id: str,
    model: str,
    question: bytes,
    most: int,
    source_ids: Sequence[str] = (),
    document_ids: AbstractSet[int] | None = None,
) -> list[NearPiece]:
    """Returns the pieces whose vectors are nearest to the question's, the nearest first. Vectors of another model, or
    of another length, do not count. `source_ids`, `document_ids`: only pieces of these.
    """
    if not is_sqlite(session):
        from storage.postgres.vector_search import find_by_points, has_points

        if has_points(session, len(question)):
            found = find_by_points(session, collection_id, model, question, most, source_ids, document_ids)
            return [NearPiece(*one) for one in found]
    query = (
        select(KnowledgeVectors.document_id, KnowledgeVectors.vectors)
        .where(
            KnowledgeVectors.collection_id == collection_id,
            KnowledgeVectors.model == model,
            KnowledgeVectors.dimensions == len(question),
        )
        .execution_options(yield_per=100)
    )
    if source_ids:
        mine = select(KnowledgeDocument.id).where(KnowledgeDocument.source_id.in_(source_ids))
        query = query.where(KnowledgeVectors.document_id.in_(mine))
    best: list[tuple[float, int, int]] = []
    portion, documents = bytearray(), list[tuple[int, int]]()
    for document_id, vectors in session.execute(query):
        if document_ids is not None and document_id not in document_ids:
            continue
        portion += vectors
        documents.append((document_id, len(vectors) // len(question)))
        if len(portion) >= PORTION:
            best = heapq.nlargest(most, [*best, *_compared(portion, documents, question, most)])
            portion, documents = bytearray(), []
    if portion:
        best = heapq.nlargest(most, [*best, *_compared(portion, documents, question, most)])
    return [NearPiece(document_id, number, cosine) for cosine, document_id, number in best]


def _compared(
    portion: bytearray, documents: Iterable[tuple[int, int]], question: bytes, most: int
) -> list[tuple[float, int, int]]:
    """Returns (cosine, document id, number) of the nearest in a portion. A vector of zeros is near to nothing."""
    import simsimd

    length = len(question)
    rows = memoryview(portion).cast("b", shape=[len(portion) // length, length])
    asked = memoryview(bytearray(question)).cast("b", shape=[1, length])
    compared = memoryview(simsimd.cdist(rows, asked, "cosine"))
    table: list[list[float]] = cast("Any", compared).tolist()
    distances = [one[0] for one in table]
    places = [(document_id, number) for document_id, count in documents for number in range(count)]
    nearest = heapq.nsmallest(most, range(len(places)), key=distances.__getitem__)
    return [(1.0 - distances[at], *places[at]) for at in nearest if distances[at] == distances[at]]
