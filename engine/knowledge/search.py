"""Answers a question with the pieces of a collection: by words, by meaning, or by both.

The two lists are joined by reciprocal rank (Cormack, Clarke and Büttcher, 2009): a piece gets 1 / (60 + rank) of each
list in which it stands. The order is that of the sum; the score that people see and set a limit for is plainer: the
larger one of the share of the question's words that the piece holds, and its likeness in meaning, both from 0 to 1.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Protocol

from msgspec import Struct
from sqlalchemy.orm import Session

from engine.flow.node_context import NodeFailed
from engine.models.embeddings import Embedded, Purpose
from storage.database import Database
from storage.knowledge import (
    CollectionLine,
    PieceLine,
    any_leaving,
    documents_called,
    documents_of,
    get_collection,
    ids_of_places,
    list_sources,
    pieces_by_id,
)
from storage.knowledge_terms import Term, found_words_in, terms_of
from storage.knowledge_vectors import as_bytes, find_by_meaning
from storage.knowledge_word_index import find_by_words

#: How many pieces of each list are joined.
CANDIDATES = 50
#: The constant of reciprocal rank.
RANK_OFFSET = 60
LONGEST_QUESTION = 4_000


class Embed(Protocol):
    """Asks the embedding model `CONNECTION:model-name` for vectors. Raises NodeFailed."""

    async def __call__(self, model: str, texts: Sequence[str], purpose: Purpose) -> Embedded: ...


class Hit(Struct, frozen=True):
    """A piece that was found, and why.

    `words`: the words as they stand in the piece. `likeness`: of its meaning and the question's, None without vectors.
    Ranks count from 1; None: it is not in that list.
    """

    piece: PieceLine
    score: float
    words: tuple[str, ...]
    likeness: float | None
    word_rank: int | None
    meaning_rank: int | None


class Hits(Struct, frozen=True):
    """What a search found. `trouble`: why it did not search by meaning although the collection has a model."""

    hits: tuple[Hit, ...]
    by_meaning: bool
    trouble: str
    milliseconds: int


async def search(
    database: Database,
    workspace_id: str,
    collection: str,
    question: str,
    embed: Embed,
    *,
    limit: int = 5,
    min_score: float = 0.0,
    sources: Sequence[str] = (),
    by: str = "both",
) -> Hits:
    """Returns the best pieces for a question. `sources`: only pieces of sources with these names or ids, and of
    documents with one of these texts in their name or address. `by`: "words" or "meaning" for one of the lists only.

    When the embedding model does not answer, the words alone decide. Raises NotFound.
    """
    begun = time.monotonic()
    question = question.strip()[:LONGEST_QUESTION]
    line, only = await database.read(_prepare, workspace_id, collection, tuple(sources))
    if not question or only.nothing:
        return Hits((), by_meaning=False, trouble="", milliseconds=0)
    vector, trouble = b"", ""
    if line.model and line.vectors and by != "words":
        try:
            vector = as_bytes((await embed(line.model, [question], "question")).vectors[0])
        except NodeFailed as failure:
            trouble = " ".join(filter(None, (failure.message, failure.why)))
    found = await database.read(
        _find, workspace_id, line, question if by != "meaning" else "", vector, only, limit, min_score
    )
    return Hits(tuple(found), bool(vector), trouble, round((time.monotonic() - begun) * 1000))


class _Only(Struct, frozen=True):
    """Which pieces a search may find: those of these sources and of these documents; `documents` None: of all."""

    sources: tuple[str, ...] = ()
    documents: frozenset[int] | None = None
    nothing: bool = False


def _prepare(
    session: Session, workspace_id: str, collection: str, sources: tuple[str, ...]
) -> tuple[CollectionLine, _Only]:
    line = get_collection(session, workspace_id, collection)
    wanted = {one.strip().casefold() for one in sources if one.strip()}
    if not wanted and not any_leaving(session, line.id):
        return line, _Only()
    known = list_sources(session, workspace_id, line.id)
    if not wanted:
        # Pieces of a deleted source would take the places of others among the candidates. The word index takes long to
        # choose among many sources, and not among many documents.
        there = documents_of(session, [one.id for one in known])
        return line, _Only((), frozenset(there), nothing=not there)
    named = [one for one in known if one.id in sources or one.name.casefold() in wanted]
    rest = wanted - {one.name.casefold() for one in named} - {one.id.casefold() for one in named}
    if not rest:
        return line, _Only(tuple(one.id for one in named))
    documents = documents_called(session, line.id, sorted(rest)) | documents_of(session, [one.id for one in named])
    return line, _Only((), frozenset(documents), nothing=not documents)


def _find(
    session: Session,
    workspace_id: str,
    line: CollectionLine,
    question: str,
    vector: bytes,
    only: _Only,
    limit: int,
    min_score: float,
) -> list[Hit]:
    terms = terms_of(question)
    by_words = find_by_words(session, line.id, terms, CANDIDATES, only.sources, only.documents)
    near = (
        find_by_meaning(session, line.id, line.model, vector, CANDIDATES, only.sources, only.documents)
        if vector
        else []
    )
    ids = ids_of_places(session, [(one.document_id, one.number) for one in near])
    by_meaning = {ids[one.document_id, one.number]: one.cosine for one in near if (one.document_id, one.number) in ids}
    words_ranks = {piece_id: rank for rank, piece_id in enumerate(by_words, 1)}
    meaning_ranks = {piece_id: rank for rank, piece_id in enumerate(by_meaning, 1)}
    order = sorted(
        words_ranks.keys() | meaning_ranks.keys(),
        key=lambda one: (-_reciprocal(words_ranks.get(one)) - _reciprocal(meaning_ranks.get(one)), one),
    )
    taken = order if min_score > 0 else order[:limit]
    pieces = pieces_by_id(session, workspace_id, taken)
    there = [pieces[one] for one in taken if one in pieces]
    found = found_words_in(terms, [f"{one.document} {one.heading} {one.text}" for one in there])
    hits = [
        _hit(piece, terms, matched, by_meaning.get(piece.id), words_ranks.get(piece.id), meaning_ranks.get(piece.id))
        for piece, matched in zip(there, found, strict=True)
    ]
    return [one for one in hits if one.score >= min_score][:limit]


def _hit(
    piece: PieceLine,
    terms: Sequence[Term],
    matched: dict[Term, tuple[str, ...]],
    cosine: float | None,
    word_rank: int | None,
    meaning_rank: int | None,
) -> Hit:
    share = len(matched) / len(terms) if terms else 0.0
    likeness = None if cosine is None else max(0.0, min(1.0, cosine))
    words = tuple(dict.fromkeys(word for one in matched.values() for word in one))
    return Hit(piece, round(max(share, likeness or 0.0), 4), words, likeness, word_rank, meaning_rank)


def _reciprocal(rank: int | None) -> float:
    return 0.0 if rank is None else 1.0 / (RANK_OFFSET + rank)


def as_json(hits: Hits) -> list[dict[str, Any]]:
    """Returns the pieces as flows get them."""
    return [
        {
            "number": number,
            "text": one.piece.text,
            "source": one.piece.document or one.piece.source,
            "collection_source": one.piece.source,
            "address": one.piece.address,
            "place": one.piece.place,
            "heading": one.piece.heading,
            "score": one.score,
            "words": list(one.words),
            "likeness": None if one.likeness is None else round(one.likeness, 4),
        }
        for number, one in enumerate(hits.hits, 1)
    ]
