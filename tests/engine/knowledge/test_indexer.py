"""Sources are read in the background: in which turn, with which model, and a stop or a crash loses nothing that was read."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from engine.actions.datasets import add_dataset, add_row, import_rows
from engine.actions.knowledge import (
    add_collection,
    add_dataset_rows,
    add_site,
    add_text,
    delete_collection,
    delete_source,
    read_again,
    set_again,
    set_meaning,
    set_piece_length,
    stop_reading,
)
from engine.actions.principal import Principal
from engine.core.clock import DAY, MovedClock
from engine.core.errors import Conflict, Invalid
from engine.jobs.worker_locks import reclaim_of
from engine.knowledge.indexer import AT_ONCE, Indexer
from engine.knowledge.search import search
from storage.dataset_changes import checked_rows
from storage.knowledge import list_collections
from storage.knowledge_changes import claim_next, end_source
from tests.engine.jobs.world import World, add_workspace
from tests.engine.knowledge.conftest import Model
from tests.engine.knowledge.indexing import PRACTICE, check_index, found, give, read_all, set_model, sources, texts
from tests.factories import person


async def test_a_short_text_is_found_at_once_and_a_site_when_it_was_read(
    world: World, ada: Principal, made: str, indexer: Indexer
) -> None:
    world.write(add_text, ada, made, "Terms", "# Returns\n\nTins may be returned within 30 days.")
    assert await found(world, made, "returning a tin") == ["Tins may be returned within 30 days."]
    world.write(add_site, ada, made, "practice.flowport.example")
    assert [one.state for one in sources(world, made)] == ["ready", "waiting"]
    await read_all(indexer)
    site = sources(world, made)[1]
    assert (site.state, site.documents, site.done, site.total) == ("ready", 12, 12, 12)
    assert any("Not Found" in one["message"] for one in site.problems)
    assert any("apron" in one for one in await found(world, made, "what to bring to a baking course"))
    assert not any("](http" in one for one in texts(world, site.id))
    check_index(world)


def claimed(world: World, count: int, **room: bool) -> list[str]:
    """Returns the names of the sources that a worker gets, in order."""
    tasks = [world.write(claim_next, "boot_here", **room) for _ in range(count)]
    return [one.source.name for one in tasks if one is not None]


async def test_what_somebody_waits_for_comes_before_what_is_read_again_by_itself(
    world: World, ada: Principal, made: str, clock: MovedClock
) -> None:
    for name in ("a", "b"):
        world.write(set_again, ada, world.write(add_site, ada, made, f"{name}.example"), "hourly")
    assert claimed(world, 3) == ["a.example", "b.example"]
    a, b = sources(world, made)
    for one in (b, a):
        world.write(end_source, one.id, "boot_here", "ready", "", ())
        clock.offset += 1
    clock.offset += DAY
    world.write(add_site, ada, made, "new.example")
    clock.offset += 1
    world.write(read_again, ada, a.id)
    assert [one.next_at for one in sources(world, made) if one.state == "waiting"] == [None, None]
    names = ["new.example", "a.example", "b.example"]
    assert claimed(world, 4) == names, "those that wait by how long they do, then what is due"
    assert [(one.state, one.next_at) for one in sources(world, made)] == [("working", None)] * 3


async def test_a_workspace_of_which_nothing_is_read_comes_first(world: World, ada: Principal, made: str) -> None:
    for at in range(3):
        world.write(add_site, ada, made, f"{at}.example")
    bob = person(world.write(add_workspace), name="Bob")
    world.write(add_site, bob, world.write(add_collection, bob, "Bob"), "bob.example")
    assert claimed(world, 4) == ["0.example", "bob.example", "1.example", "2.example"]


async def test_a_website_that_is_read_puts_back_no_other_source_of_its_workspace(
    world: World, ada: Principal, made: str, clock: MovedClock
) -> None:
    world.write(add_site, ada, made, "a.example")
    assert claimed(world, 1) == ["a.example"]
    bob = person(world.write(add_workspace), name="Bob")
    bobs = world.write(add_collection, bob, "Bob")
    for who, where, name in ((ada, made, "ada"), (bob, bobs, "bob 0"), (bob, bobs, "bob 1"), (ada, made, "ada 1")):
        clock.offset += 1
        give(world, who, where, f"{name}.txt", b"Some words.")
    clock.offset += 1
    world.write(add_site, ada, made, "b.example")
    clock.offset += 1
    world.write(add_site, bob, bobs, "bob.example")
    others = claimed(world, 4, sites=False)
    assert others == ["ada.txt", "bob 0.txt", "bob 1.txt", "ada 1.txt"]
    assert claimed(world, 2) == ["bob.example", "b.example"]


async def test_one_website_at_most_is_read_at_a_time(
    world: World, ada: Principal, made: str, indexer: Indexer, model: Model
) -> None:
    set_model(world, made)
    world.write(add_site, ada, made, PRACTICE)
    world.write(add_site, ada, made, f"{PRACTICE}bakery")
    model.ready.clear()
    await indexer.pass_over()
    assert [one.state for one in sources(world, made)] == ["working", "waiting"]
    world.write(add_text, ada, made, "Terms", "We give your money back.")
    await indexer.pass_over()
    assert [one.state for one in sources(world, made)] == ["working", "waiting", "working"]
    model.ready.set()
    await read_all(indexer)
    assert not any(one.busy for one in sources(world, made))


async def test_a_long_document_is_written_in_slices(world: World, ada: Principal, made: str, indexer: Indexer) -> None:
    long = "\n\n".join(f"Paragraph {at}. " + "Words and more words. " * 40 for at in range(450))
    source_id = world.write(add_text, ada, made, "Long", long)
    await read_all(indexer)
    assert len(texts(world, source_id)) == 450
    world.write(set_piece_length, ada, made, 4_000)
    await read_all(indexer)
    assert 100 < len(texts(world, source_id)) < 200
    check_index(world)


async def test_without_an_answer_of_the_model_the_words_are_found(
    world: World, ada: Principal, made: str, indexer: Indexer, model: Model
) -> None:
    set_model(world, made)
    model.broken = "The key was refused."
    source_id = world.write(add_text, ada, made, "Terms", "We give your money back.")
    await read_all(indexer)
    (source,) = sources(world, made)
    assert (source.state, source.pieces, source.vectors) == ("failed", 1, 0)
    assert source.message == "Its words can be found, its meaning cannot: The key was refused."
    assert await found(world, made, "money") == ["We give your money back."]
    model.broken = ""
    world.write(read_again, ada, source_id)
    await read_all(indexer)
    (source,) = sources(world, made)
    assert (source.state, source.pieces, source.vectors) == ("ready", 1, 1)
    assert await found(world, made, "reimburse", model) == ["We give your money back."]
    model.broken = "Out of order."
    assert await found(world, made, "money", model) == ["We give your money back."], "the words alone decide"


async def test_a_worker_that_is_gone_leaves_its_source_to_another(
    world: World, ada: Principal, made: str, indexer: Indexer
) -> None:
    source_id = world.write(add_site, ada, made, PRACTICE)
    assert world.write(claim_next, "boot_gone") is not None
    await read_all(indexer)
    assert sources(world, made)[0].state == "working", "it is the other worker's"
    world.write(reclaim_of, "boot_gone", None)
    await read_all(indexer)
    assert sources(world, made)[0].state == "ready"
    world.write(read_again, ada, source_id)
    await indexer.pass_over()
    await indexer.close()
    assert (sources(world, made)[0].state, len(texts(world, source_id)) > 12) == ("waiting", True)


async def test_a_change_ends_the_reading_that_is_under_way_and_begins_another(
    world: World, ada: Principal, made: str, indexer: Indexer, model: Model
) -> None:
    set_model(world, made)
    source_id = world.write(add_text, ada, made, "Terms", "We give your money back. " * 40)
    model.ready.clear()
    await indexer.pass_over()
    await model.asked.wait()
    world.write(set_piece_length, ada, made, 200)
    await indexer.pass_over()
    await indexer.settled()
    model.ready.set()
    await read_all(indexer)
    (source,) = sources(world, made)
    assert (source.state, source.pieces, source.vectors) == ("ready", 5, 5)
    model.ready.clear()
    model.asked.clear()
    world.write(set_piece_length, ada, made, 1_000)
    await indexer.pass_over()
    await model.asked.wait()
    world.write(delete_source, ada, source_id)
    await indexer.pass_over()
    await indexer.settled()
    await read_all(indexer)
    assert sources(world, made) == []
    check_index(world)


async def test_a_source_that_no_reading_has_any_more_is_given_back(
    world: World, ada: Principal, made: str, indexer: Indexer
) -> None:
    world.write(add_site, ada, made, PRACTICE)
    assert world.write(claim_next, "boot_here") is not None
    await read_all(indexer)
    assert sources(world, made)[0].state == "ready"


async def test_a_source_is_stopped_and_keeps_what_was_read(
    world: World, ada: Principal, made: str, indexer: Indexer
) -> None:
    waits = world.write(add_site, ada, made, PRACTICE)
    world.write(stop_reading, ada, waits)
    assert sources(world, made)[0].state == "stopped"
    world.write(read_again, ada, waits)
    await indexer.pass_over()
    with pytest.raises(Conflict, match="is being read now"):
        world.write(read_again, ada, waits)
    world.write(stop_reading, ada, waits)
    await indexer.pass_over()
    await indexer.settled()
    assert sources(world, made)[0].state == "stopped"
    world.write(delete_source, ada, waits)
    await read_all(indexer)
    assert sources(world, made) == []


async def test_it_is_read_again_when_its_time_has_come(
    world: World, ada: Principal, made: str, indexer: Indexer, clock: MovedClock
) -> None:
    dataset = world.write(add_dataset, ada, "Goods")
    world.write(import_rows, ada, dataset, checked_rows([{"name": "Rye"}]))
    source_id = world.write(add_dataset_rows, ada, made, dataset)
    world.write(set_again, ada, source_id, "daily")
    clock.offset += DAY + 1
    world.write(stop_reading, ada, source_id)
    await read_all(indexer)
    assert sources(world, made)[0].state == "stopped", "its next time is a day away"
    clock.offset += DAY + 1
    await read_all(indexer)
    world.write(add_row, ada, dataset, {"name": "Roll"})
    await read_all(indexer)
    assert len(texts(world, source_id)) == 1
    clock.offset += DAY + 1
    await read_all(indexer)
    assert len(texts(world, source_id)) == 2
    assert (sources(world, made)[0].next_at or 0) > clock.now()
    text_id = world.write(add_text, ada, made, "Terms", "x")
    with pytest.raises(Invalid, match="cannot be read again by itself"):
        world.write(set_again, ada, text_id, "daily")


async def test_a_deleted_collection_leaves_nothing_behind(
    world: World, ada: Principal, made: str, indexer: Indexer, model: Model
) -> None:
    set_model(world, made)
    world.write(add_site, ada, made, PRACTICE)
    await read_all(indexer)
    world.write(delete_collection, ada, made)
    assert world.read(list_collections, ada.workspace_id) == []
    await read_all(indexer)
    for table in ("collections", "sources", "contents", "documents", "pieces", "vectors"):
        count = world.read(
            lambda session, table=table: session.execute(text(f"select count(*) from knowledge_{table}")).scalar()
        )
        assert (table, count) == (table, 0)
    check_index(world)


async def test_a_deleted_source_is_found_no_more_while_the_worker_reads_others(
    world: World, ada: Principal, made: str, indexer: Indexer, model: Model
) -> None:
    secret = world.write(add_text, ada, made, "Secret", "\n\n".join(f"# {at}\n\nThe salary." for at in range(60)))
    world.write(add_text, ada, made, "Jobs", "We are looking for a baker. The salary is fair, and the oven is warm.")
    slow = world.write(add_collection, ada, "Slow")
    set_model(world, slow)
    model.ready.clear()
    for at in range(AT_ONCE):
        world.write(add_text, ada, slow, f"Slow {at}", "text")
    await indexer.pass_over()
    await model.asked.wait()
    world.write(delete_source, ada, secret)
    assert len(await found(world, made, "salary")) == 1, "and it takes the place of no other piece"
    assert [one.state for one in sources(world, slow)] == ["working"] * AT_ONCE
    await indexer.pass_over()
    while world.read(lambda session: session.scalar(text("select count(*) from knowledge_pieces"))) != 1:
        await asyncio.sleep(0.005)
    assert [one.state for one in sources(world, slow)] == ["working"] * AT_ONCE
    model.ready.set()
    await read_all(indexer)
    check_index(world)


async def test_only_some_documents_are_searched_however_many_others_fit_better(
    world: World, ada: Principal, made: str
) -> None:
    for at in range(4):
        world.write(add_text, ada, made, f"Other {at}", "\n\n".join(f"# {at}\n\nReturns." for at in range(300)))
    world.write(add_text, ada, made, "Manual", "What to do with a loaf that returns to the shop. " * 9)

    async def vectors(*_asked: Any) -> Any:
        raise AssertionError

    hits = await search(world.database, world.workspace_id, made, "returns", vectors, sources=["manua"])
    assert {one.piece.document for one in hits.hits} == {"Manual"}


async def test_another_model_makes_every_vector_anew(
    world: World, ada: Principal, made: str, indexer: Indexer, model: Model
) -> None:
    with pytest.raises(Invalid, match="No connection is called “box”"):
        world.write(set_meaning, ada, made, "box:tiny")
    world.write(add_text, ada, made, "Terms", "We give your money back.")
    for name in ("box:tiny", "box:other"):
        set_model(world, made, name)
        world.write(read_again, ada, sources(world, made)[0].id)
        await read_all(indexer)
    assert len(model.texts) == 2
    assert sources(world, made)[0].vectors == 1
