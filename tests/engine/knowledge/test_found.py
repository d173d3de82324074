"""200 passages and 24 questions in other words: how many passages are among the first five, by words, by meaning, joined.

The embedding model is the stand-in (`tests/stand_ins/embedding_server.py`): its table of words was written before the
questions, and it is no measure of a real model.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path

import pytest

from engine.actions.knowledge import add_collection, add_text, read_again
from engine.actions.principal import Principal
from engine.knowledge.documents import Found
from engine.knowledge.indexer import Indexer
from engine.knowledge.search import Hits, search
from engine.knowledge.writing import cut_document
from engine.models.embeddings import Embedded
from storage.knowledge import hold_collection, list_sources
from storage.knowledge_terms import terms_of
from storage.knowledge_word_index import find_by_words
from tests.engine.jobs.world import World
from tests.engine.knowledge.conftest import Model

HERE = Path(__file__).parent


def passages() -> dict[str, list[str]]:
    """Returns topic -> passages."""
    found: dict[str, list[str]] = {}
    for line in (HERE / "passages.txt").read_text().splitlines():
        if line.startswith("# "):
            found[line[2:]] = []
        else:
            found[list(found)[-1]].append(line)
    return found


def questions() -> list[tuple[str, str]]:
    """Returns (question, the beginning or another part of the passage that answers it)."""
    lines = (HERE / "questions.txt").read_text().splitlines()
    return [(question, part) for question, _, part in (line.partition(" | ") for line in lines)]


def test_every_question_has_one_passage() -> None:
    texts = [text for topic in passages().values() for text in topic]
    assert (len(texts), len(set(texts)), len(questions())) == (200, 200, 24)
    assert [part for _, part in questions() if sum(part in text for text in texts) != 1] == []


async def test_words_meaning_and_both(world: World, ada: Principal, indexer: Indexer, model: Model) -> None:
    made = world.write(add_collection, ada, "Passages")
    for topic, texts in passages().items():
        # each passage has a heading above it, so that it becomes a piece of its own
        world.write(add_text, ada, made, topic, "\n\n".join(f"# {topic}\n\n{text}" for text in texts))
    world.write(lambda session: setattr(hold_collection(session, ada.workspace_id, made), "model", "box:tiny"))
    for source in world.read(list_sources, ada.workspace_id, made):
        world.write(read_again, ada, source.id)
    await indexer.pass_over()
    while indexer.busy:
        await indexer.settled()
        await indexer.pass_over()

    async def vectors(name: str, texts: Sequence[str], purpose: str) -> Embedded:
        return await model.embed("", name, texts, purpose)

    async def found(by: str) -> int:
        count = 0
        for question, part in questions():
            hits: Hits = await search(
                world.database,
                ada.workspace_id,
                made,
                question,
                vectors,
                limit=5,
                by=by,  # type: ignore[arg-type]
            )
            count += any(part in one.piece.text for one in hits.hits)
        return count

    by_words, by_meaning, joined = await found("words"), await found("meaning"), await found("both")
    print(f"found in the first five of 24: words {by_words}, meaning (stand-in) {by_meaning}, joined {joined}")
    assert by_words >= 10
    assert joined >= 14
    assert joined > by_words
    assert joined >= by_meaning
    assert terms_of("What do I do?")  # a question of common words alone is searched all the same


#: (a question, whether it finds "Die Straße ist weiß, in İstanbul und Δελφοὺς. ﬁnance", one with "die Strasse").
SPELLED = [
    ("Straße", True, True),
    ("STRASSE", True, True),
    ("STRAẞE", True, True),
    ("strasse", True, True),
    ("weiß", True, False),
    ("İSTANBUL", True, False),
    ("istanbul", True, False),
    ("ΔΕΛΦΟὺΣ", True, False),
    ("ﬁnance", True, False),
    ("Strase", False, False),
]


@pytest.mark.parametrize(
    "question",
    ["REISSVERSCHLUSS", "Reissverschluss", "Reißverschluß", "Reißverschluss", "Fussballklasse FUSSBALLKLASSE"],
)
async def test_a_word_with_both_ss_and_sharp_s_is_found_however_it_is_written(
    world: World, ada: Principal, question: str
) -> None:
    made = world.write(add_collection, ada, "Shop")
    world.write(add_text, ada, made, "zip", "Ein Reißverschluss. Die Fußballklasse.")
    with world.database.reading() as session:
        assert len(find_by_words(session, made, terms_of(question), 10)) == 1
        worst = " ".join(f"{letter}ssxssyßzssß" for letter in "abcdefghijklmnopqrstuvwxyzäöü")
        assert find_by_words(session, made, terms_of(worst), 10) == []


@pytest.mark.parametrize(("question", "sharp", "plain"), SPELLED)
async def test_a_word_is_found_in_all_its_spellings(
    world: World, ada: Principal, question: str, sharp: bool, plain: bool
) -> None:
    made = world.write(add_collection, ada, "Streets")
    world.write(add_text, ada, made, "sharp", "Die Straße ist weiß, in İstanbul und Δελφοὺς. ﬁnance")
    world.write(add_text, ada, made, "plain", "Die Strasse.")

    async def none(_model: str, _texts: Sequence[str], _purpose: str) -> Embedded:
        raise AssertionError

    hits = (await search(world.database, ada.workspace_id, made, question, none)).hits
    assert {one.piece.document for one in hits} == {
        name for name, is_found in (("sharp", sharp), ("plain", plain)) if is_found
    }
    assert [one.score for one in hits] == [1.0] * len(hits)
    marked = {"sharp": "straße", "plain": "strasse"}
    if sharp and plain:
        assert {one.piece.document: one.words for one in hits} == {name: (word,) for name, word in marked.items()}


#: A text as files hold it, and a word of it as people type it.
UNSEEN = [
    ("Die Donau\u00addampf\u00adschiff\u2060fahrt\ufeff", "Donaudampfschifffahrt", "donaudampfschifffahrt"),
    (unicodedata.normalize("NFD", "Die Gebühr beträgt drei Euro."), "Gebühr", "gebühr"),
    ("Die Gebühr beträgt drei Euro.", unicodedata.normalize("NFD", "Gebühr"), "gebühr"),
    ("Die Donaudampfschifffahrt", "Donau\u00addampf\u00adschiff\u00adfahrt", "donaudampfschifffahrt"),
    ("ราคา\u200bสินค้า", "คาสิน", "าส"),
    ("Die Vereinbarung\u200b\u00adgilt ab Mai", "gilt", "gilt"),
    ("Die Vereinbarung\u200bgilt ab Mai", "Vereinbarung", "vereinbarung"),
    ("\ufeffThe last line\ufeffNext line", "next", "next"),
]


@pytest.mark.parametrize(("text", "question", "word"), UNSEEN)
async def test_a_word_is_found_whatever_is_not_seen_in_it(
    world: World, ada: Principal, text: str, question: str, word: str
) -> None:
    made = world.write(add_collection, ada, "Prices")
    world.write(add_text, ada, made, "prices", text)

    async def none(_model: str, _texts: Sequence[str], _purpose: str) -> Embedded:
        raise AssertionError

    (hit,) = (await search(world.database, ada.workspace_id, made, question, none)).hits
    assert hit.score == 1.0
    assert word in hit.words


def test_only_texts_that_are_stored_in_another_way_count_as_changed() -> None:
    def hash_of(text: str) -> str:
        return cut_document(Found("file", "prices", (("", text),)), 1_000).hash

    assert hash_of("Gebühr 👩\u200d🚀") == "5d7f41a2e72043e542ff70c1c5f89aa8dfa1e4e583d44ee944857d528c6d63cc"
    assert hash_of("\ufeffPrices \u200bof\u200b\n\ufeffbread") == hash_of("Prices of\nbread")
    assert hash_of("Ge\u00adbu\u0308hr 👩\u200d🚀") == hash_of("Gebühr 👩\u200d🚀") != hash_of("Gebühr 👩🚀")
