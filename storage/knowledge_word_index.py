"""Word search in the pieces of collections, with FTS5 of SQLite.

The index `knowledge_words` holds no copy of the texts (`content=''`), so a piece is removed from it by giving its texts
again: `storage.knowledge_terms.indexed` must never change its result for a text. Its tokenizer takes word stems (porter)
and ignores accents.

With PostgreSQL the same functions use its full-text search, on the words as FTS5 makes them (`storage/postgres/word_search.py`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from msgspec.structs import replace
from sqlalchemy.orm import Session

from storage.knowledge_terms import IndexedPiece, Term, indexed, spellings
from storage.statements import Statement, is_sqlite

_ADD = Statement("insert into knowledge_words (rowid, owner, heading, text) values (:id, :owner, :heading, :text)")
_REMOVE = Statement(
    "insert into knowledge_words (knowledge_words, rowid, owner, heading, text)"
    " values ('delete', :id, :owner, :heading, :text)"
)
_FIND = Statement(
    "select rowid, bm25(knowledge_words, 0.0, 0.6, 1.0) as rank_ from knowledge_words"
    " where knowledge_words match :match order by rank_, rowid limit :most"
)
# The plus keeps SQLite from asking the index for each of these pieces by itself, which takes minutes.
_FIND_IN = Statement(
    "select rowid, bm25(knowledge_words, 0.0, 0.6, 1.0) as rank_ from knowledge_words"
    " where knowledge_words match :match and +rowid in ("
    "select id from knowledge_pieces where document_id in (select value from json_each(:documents)))"
    " order by rank_, rowid limit :most"
)


def add_words(session: Session, pieces: Iterable[IndexedPiece]) -> None:
    """Adds pieces to the index."""
    if not is_sqlite(session):
        _postgres().add_words(session, pieces)
    elif rows := [_values(piece) for piece in pieces]:
        _ADD.run(session, *rows)


def remove_words(session: Session, pieces: Iterable[IndexedPiece]) -> None:
    """Removes pieces from the index; their texts must be those that were added."""
    if not is_sqlite(session):
        _postgres().remove_words(session, pieces)
    elif rows := [_values(piece) for piece in pieces]:
        _REMOVE.run(session, *rows)


def find_by_words(
    session: Session,
    collection_id: str,
    terms: Sequence[Term],
    most: int,
    source_ids: Sequence[str] = (),
    document_ids: AbstractSet[int] | None = None,
) -> list[int]:
    """Returns the ids of the pieces that hold at least one of the terms, the best first (BM25). `source_ids`,
    `document_ids`: only pieces of these.
    """
    if not terms:
        return []
    terms = [replace(term, text=text) for term in terms for text in spellings(term)]
    if not is_sqlite(session):
        return _postgres().find_by_words(session, collection_id, terms, most, source_ids, document_ids)
    owners = f'owner : "{_token(collection_id)}"'
    if source_ids:
        owners += f" AND owner : ({' OR '.join(_quoted(_token(one)) for one in source_ids)})"
    wanted = " OR ".join(_quoted(one.text) + ("*" if one.begins else "") for one in terms)
    match = f"{owners} AND {{heading text}} : ({wanted})"
    if document_ids is None:
        return [row[0] for row in _FIND.rows(session, {"match": match, "most": most})]
    wanted_documents = json.dumps(sorted(document_ids))
    return [row[0] for row in _FIND_IN.rows(session, {"match": match, "most": most, "documents": wanted_documents})]


def _postgres() -> Any:
    from storage.postgres import word_search

    return word_search


def _values(piece: IndexedPiece) -> dict[str, int | str]:
    owner = f"{_token(piece.collection_id)} {_token(piece.source_id)}"
    return {"id": piece.id, "owner": owner, "heading": indexed(piece.heading), "text": indexed(piece.text)}


def _token(id_: str) -> str:
    return id_.replace("_", "")


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
