"""Word search in the pieces of collections, with the full-text search of PostgreSQL.

A piece has the same words as in FTS5, which makes them here too, in a table in memory: so both databases find the same
pieces. They are ranked as FTS5 ranks them (BM25), for which PostgreSQL has no function. Its index says only which pieces
hold a word, so how often a piece holds it is a part of the word: `invoic/b` is the word `invoic`, once in the text. A
question asks for each word with each count.

The rows are small, since the words lie apart from them, and no search reads these. There are no statistics of the words:
with them the planner would read all rows for a word that stands in most pieces.
"""

from __future__ import annotations

import bisect
import contextlib
import sqlite3
import string
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final, cast

from sqlalchemy.orm import Session

from storage.knowledge_terms import TOKENIZER, IndexedPiece, Term, indexed
from storage.statements import Statement

#: How often a piece holds a word, where one in its headings counts as 0.6; counts between are taken as the lower one.
COUNTS: Final = (0.6, 1.0, 1.6, 2.0, 2.6, 3.0, 3.6, 4.0, 5.0, 6.0, 8.0, 11.0, 16.0)
_HEADING: Final = 0.6
_LETTERS: Final = string.ascii_lowercase[: len(COUNTS)]
#: FTS5 indexes the collection and the source of a piece, and counts them as words of it.
_OWNERS: Final = 2
#: PostgreSQL's words have at most 2,046 bytes.
_LONGEST: Final = 500

_ADD = Statement(
    """
    insert into knowledge_words (id, collection_id, source_id, length, words)
    values (:id, :collection_id, :source_id, :length, cast(:words as tsvector))
    """
)
_REMOVE = Statement("delete from knowledge_words where id = :id")
_SIZE = Statement(
    """
    select count(*), cast(avg(length) as float8), (select reltuples from pg_class where oid = 'knowledge_words'::regclass)
      from knowledge_words where collection_id = :collection_id
    """
)
#: Terms that most pieces of a sample hold.
_COMMON = Statement(
    """
    with sample as materialized (
        select words from knowledge_words tablesample system (cast(:percent as float4)) repeatable (1)
         where collection_id = :collection_id
    )
    select wanted.place
      from unnest(cast(:places as bigint[]), cast(:queries as text[])) as wanted (place, query)
     cross join lateral (
        select count(*) as pieces, count(*) filter (where words @@ cast(wanted.query as tsquery)) as found from sample) seen
     where seen.pieces >= :least and seen.found > 0.6 * seen.pieces
    """
)
_FIND = Statement(
    """
    with wanted as materialized (
        select * from unnest(cast(:places as bigint[]), cast(:queries as text[]), cast(:counts as float8[]))
                 as wanted (place, query, times)
    ), hit as materialized (
        select wanted.place, wanted.times, piece.id, piece.source_id,
               float8 '0.3' + float8 '0.9' * piece.length / cast(:length as float8) as length
          from wanted join knowledge_words piece on piece.words @@ cast(wanted.query as tsquery)
         where piece.collection_id = :collection_id
    ), weight as materialized (
        select place, greatest(
                   ln((cast(:pieces as float8) - count(*) + float8 '0.5') / (count(*) + float8 '0.5')), float8 '1e-6'
               ) * float8 '2.2' as weight
          from hit group by place
    )
    select hit.id
      from hit join weight on weight.place = hit.place
     where (cast(:source_ids as text[]) is null or hit.source_id = any(cast(:source_ids as text[])))
       and (cast(:document_ids as bigint[]) is null or hit.id in (
               select piece.id from knowledge_pieces piece where piece.document_id = any(cast(:document_ids as bigint[]))))
     group by hit.id
     order by sum(weight * times / (times + length)) desc, hit.id
     limit :most
    """
)
#: Of so many pieces, terms that most of them hold are left out; the pieces of a sample, and the fewest that tell.
MANY: Final = 5_000
_SAMPLE: Final = 500
_LEAST: Final = 100


def add_words(session: Session, pieces: Iterable[IndexedPiece]) -> None:
    """Adds pieces to the index."""
    given = list(pieces)
    if not given:
        return
    found = _counted([(indexed(piece.heading), indexed(piece.text)) for piece in given])
    _ADD.run(
        session,
        *(
            {
                "id": piece.id,
                "collection_id": piece.collection_id,
                "source_id": piece.source_id,
                "length": length + _OWNERS,
                "words": " ".join(_quoted(f"{word}/{_letter(times)}") for word, times in words.items()),
            }
            for piece, (length, words) in zip(given, found, strict=True)
        ),
    )


def remove_words(session: Session, pieces: Iterable[IndexedPiece]) -> None:
    """Removes pieces from the index."""
    if rows := [{"id": piece.id} for piece in pieces]:
        _REMOVE.run(session, *rows)


def find_by_words(
    session: Session,
    collection_id: str,
    terms: Sequence[Term],
    most: int,
    source_ids: Sequence[str] = (),
    document_ids: AbstractSet[int] | None = None,
) -> list[int]:
    """Returns the ids of the pieces that hold at least one of the terms, as `storage.knowledge_word_index` does."""
    asked = list(_queries(terms))
    pieces, length, all_pieces = _SIZE.row(session, {"collection_id": collection_id})
    if not asked or not pieces:
        return []
    whole = {
        "collection_id": collection_id,
        "pieces": pieces,
        "length": length,
        "source_ids": list(source_ids) or None,
        "document_ids": None if document_ids is None else list(document_ids),
        "most": most,
    }
    if pieces >= MANY:
        # A term that more than half of the pieces hold counts nearly nothing, and takes the most time.
        common = _common(session, collection_id, asked, min(100.0, 100.0 * _SAMPLE / max(all_pieces, pieces)))
        telling = [one for one in asked if one[0] not in common]
        if common and telling and len(found := _found(session, telling, whole)) == most:
            return found
    return _found(session, asked, whole)


def _common(session: Session, collection_id: str, asked: Sequence[tuple[int, str, float]], percent: float) -> set[int]:
    """Returns the places of terms that more than half of the pieces hold."""
    by_place: dict[int, list[str]] = {}
    for place, query, _ in asked:
        by_place.setdefault(place, []).append(f"({query})")
    wanted = {
        "collection_id": collection_id,
        "percent": percent,
        "places": list(by_place),
        "queries": [" | ".join(queries) for queries in by_place.values()],
        "least": _LEAST,
    }
    return {row[0] for row in _COMMON.rows(session, wanted)}


def _found(session: Session, asked: Sequence[tuple[int, str, float]], whole: Mapping[str, Any]) -> list[int]:
    places, queries, counts = map(list, zip(*asked, strict=True))
    return [row[0] for row in _FIND.rows(session, {**whole, "places": places, "queries": queries, "counts": counts})]


def _queries(terms: Sequence[Term]) -> Iterable[tuple[int, str, float]]:
    """Yields (place of the term, query, how often the pieces that it finds hold the term)."""
    for place, (term, words) in enumerate(zip(terms, _in_order([term.text for term in terms]), strict=True)):
        if term.begins and len(words) == 1:
            yield place, f"{_quoted(words[0])}:*", 1.0
        elif len(words) == 1:
            yield from (
                (place, _quoted(f"{words[0]}/{letter}"), times) for letter, times in zip(_LETTERS, COUNTS, strict=True)
            )
        elif words:
            yield place, " & ".join(f"{_quoted(f'{word}/')}:*" for word in words), 1.0


def _counted(texts: Sequence[tuple[str, str]]) -> list[tuple[int, dict[str, float]]]:
    """Returns for each (heading, text) how many words it has, and each word with how often it counts."""
    found: list[tuple[int, dict[str, float]]] = [(0, {}) for _ in texts]
    with contextlib.closing(sqlite3.connect(":memory:")) as memory:
        memory.execute(f"create virtual table words using fts5(heading, text, content='', tokenize='{TOKENIZER}')")
        memory.execute("create virtual table found using fts5vocab(words, 'instance')")
        memory.executemany("insert into words (rowid, heading, text) values (?, ?, ?)", _numbered(texts))
        for word, at, column, times in cast(
            "Iterable[tuple[str, int, str, int]]",
            memory.execute("select term, doc, col, count(*) from found group by doc, term, col"),
        ):
            length, words = found[at]
            cut = word[:_LONGEST]
            words[cut] = words.get(cut, 0.0) + times * (_HEADING if column == "heading" else 1.0)
            found[at] = (length + times, words)
    return found


def _in_order(texts: Sequence[str]) -> list[list[str]]:
    """Returns the words of each text in order."""
    found: list[list[str]] = [[] for _ in texts]
    with contextlib.closing(sqlite3.connect(":memory:")) as memory:
        memory.execute(f"create virtual table words using fts5(text, content='', tokenize='{TOKENIZER}')")
        memory.execute("create virtual table found using fts5vocab(words, 'instance')")
        memory.executemany("insert into words (rowid, text) values (?, ?)", enumerate(texts))
        for word, at in cast(
            "Iterable[tuple[str, int]]", memory.execute("select term, doc from found order by doc, offset")
        ):
            found[at].append(word[:_LONGEST])
    return found


def _numbered(texts: Sequence[tuple[str, str]]) -> Iterable[tuple[int, str, str]]:
    return ((at, heading, text) for at, (heading, text) in enumerate(texts))


def _letter(times: float) -> str:
    return _LETTERS[max(0, bisect.bisect_right(COUNTS, times + 0.001) - 1)]


def _quoted(word: str) -> str:
    """Returns a word as it stands in a tsvector or a tsquery."""
    escaped = word.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"
