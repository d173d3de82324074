"""Knowledge on PostgreSQL: searches find the same as with SQLite, with the extension `vector` and without it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from storage.database import Database
from storage.knowledge_changes import insert_collection, insert_source
from storage.knowledge_documents import NewPiece, begin_document, clear_some, finish_document, write_pieces
from storage.knowledge_terms import terms_of
from storage.knowledge_vectors import NearPiece, find_by_meaning
from storage.knowledge_word_index import find_by_words
from storage.migrations.postgres import upgrade_postgres
from storage.opening import open_database as open_sqlite
from storage.postgres import word_search
from storage.postgres.connections import make_migration_engine
from storage.postgres.vector_search import has_points, meaning_trouble
from tests.databases import open_database

PASSAGES = Path(__file__).parents[2] / "engine/knowledge/passages.txt"
QUESTIONS = (
    "How do I bake bread with rye flour?",
    "refund of a late delivery",
    "Écran cassé, réparations",
    "the and of",
    "請求書 の 支払い",
    "水",
    "ราคา",
    "O'Brien \\ 100% \"quoted\" 'x':*",
    "naïve NAIVE naive",
    "unknownword",
    "x" * 5_000,
    "a dog and the document of a house",
    "Größe der Hauptstraße",
    "HAUPTSTRASSE",
    "İstanbul ﬁnance",
)
ODD = (
    "請求書の支払い期限は水曜日です。",
    "水道水 water water water",
    "ราคาสินค้า",
    "O'Brien said: 100% \\ done; it's 'x' & !y | z:*",
    "Une réparation d'écran. Naïve. " + "écran " * 3,
    "x" * 5_000 + " refund",
    "Die Größe der HAUPTSTRAẞE in İstanbul, ﬁnance",
    "HAUPTSTRASSE, Hauptstraße",
    "",
)
DIMENSIONS = 8


@dataclass
class Filled:
    """A database with a collection of three sources, each with one document."""

    database: Database
    collection_id: str
    source_ids: list[str]

    def by_words(
        self, question: str, sources: slice = slice(0), documents: set[int] | None = None, most: int = 50
    ) -> list[int]:
        return self.database.read_now(
            find_by_words, self.collection_id, terms_of(question), most, self.source_ids[sources], documents
        )

    def by_meaning(
        self, question: bytes, sources: slice = slice(0), documents: set[int] | None = None
    ) -> list[NearPiece]:
        return self.database.read_now(
            find_by_meaning, self.collection_id, "m:x", question, 20, self.source_ids[sources], documents
        )


def filled(database: Database) -> Filled:
    """Adds the passages and the odd texts, each with a vector."""
    drawn = random.Random(3)
    lines = PASSAGES.read_text().splitlines()
    texts = [("a heading", line) if at % 3 else ("", line) for at, line in enumerate(lines)] + [
        ("", one) for one in ODD
    ]
    vectors = [drawn.randbytes(DIMENSIONS) for _ in texts[:-1]] + [bytes(DIMENSIONS)]

    def work(session: Session) -> tuple[str, list[str]]:
        collection = insert_collection(session, "ws_1", "All", 1_000)
        source_ids = [insert_source(session, collection, "text", f"S{at}", {}, "x").id for at in range(3)]
        for at, source_id in enumerate(source_ids):
            document_id = begin_document(session, source_id, None, "d", f"Document {at}", "")
            pieces = [NewPiece(one, heading) for heading, one in texts[at::3]]
            write_pieces(session, source_id, None, document_id, 0, pieces)
            finish_document(session, source_id, None, document_id, "h", "m:x", vectors[at::3])
        return collection.id, source_ids

    return Filled(database, *database.write_now(work))


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Filled]:
    database = open_sqlite(tmp_path / "sqlite")
    yield filled(database)
    database.close()


@pytest.fixture
def postgres(new_data: Path) -> Iterator[Filled]:
    database = open_database(new_data)
    yield filled(database)
    database.close()


@pytest.mark.parametrize("many", [5_000, 1])
def test_a_question_finds_the_same_pieces_in_the_same_order(
    sqlite: Filled, postgres: Filled, many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(word_search, "MANY", many)
    for question in QUESTIONS:
        assert postgres.by_words(question) == sqlite.by_words(question), question
        assert postgres.by_words(question, slice(1, 3)) == sqlite.by_words(question, slice(1, 3)), question
        mine = sqlite.by_words(question, documents={2})
        assert postgres.by_words(question, documents={2}) == mine == sqlite.by_words(question, slice(1, 2)), question
        assert postgres.by_words(question, documents={2}, most=2) == mine[:2], question
    assert postgres.by_words("refund of a late delivery") != []


def test_pieces_that_are_removed_are_found_no_more(sqlite: Filled, postgres: Filled) -> None:
    for one in (sqlite, postgres):
        assert one.database.write_now(clear_some, one.source_ids[0], None, 1)
    assert postgres.by_words("refund of a late delivery") == sqlite.by_words("refund of a late delivery")
    count = "select count(*) from {} where document_id = 1"
    assert [scalar(postgres.database, count.format(table)) for table in ("knowledge_pieces", "knowledge_points")] == [
        0,
        0,
    ]
    assert (
        scalar(
            postgres.database, "select count(*) from knowledge_words where source_id = " + repr(postgres.source_ids[0])
        )
        == 0
    )


def test_the_nearest_pieces_are_the_same(sqlite: Filled, postgres: Filled) -> None:
    drawn = random.Random(5)
    assert postgres.database.read_now(has_points, DIMENSIONS)
    for _ in range(20):
        question = drawn.randbytes(DIMENSIONS)
        for only in ((slice(0), None), (slice(1, 3), None), (slice(0), {2})):
            expected, found = sqlite.by_meaning(question, *only), postgres.by_meaning(question, *only)
            assert [(one.document_id, one.number) for one in found] == [
                (one.document_id, one.number) for one in expected
            ]
            assert [one.cosine for one in found] == pytest.approx([one.cosine for one in expected], abs=1e-4)


def test_the_extension_may_come_later(postgres: Filled) -> None:
    database, question = postgres.database, b"\x01" * DIMENSIONS
    expected = postgres.by_meaning(question)
    run(database.url, "drop extension vector cascade", "drop table knowledge_points")
    assert not database.read_now(has_points, DIMENSIONS)
    told = database.read_now(lambda session: meaning_trouble(session.connection()))
    assert "run `create extension vector` in it" in told
    assert "finds the same" in told
    found = postgres.by_meaning(question)
    assert [(one.document_id, one.number) for one in found] == [(one.document_id, one.number) for one in expected]
    more = filled(database)  # nothing fails without it
    assert upgrade_postgres(database.url) is False
    assert database.read_now(has_points, DIMENSIONS)
    assert scalar(database, "select count(*) from knowledge_points") == 2 * len(
        PASSAGES.read_text().splitlines() + list(ODD)
    )
    assert more.by_meaning(question)[0].cosine == pytest.approx(expected[0].cosine, abs=1e-4)


def scalar(database: Database, query: str) -> object:
    return database.read_now(lambda session: session.scalar(text(query)))


def run(url: str, *statements: str) -> None:
    engine = make_migration_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()
