"""Texts that steps of flows add while workers read."""

from __future__ import annotations

import asyncio

from sqlalchemy import text

from engine.actions.knowledge import read_again, set_piece_length
from engine.actions.principal import Principal
from engine.knowledge.indexer import SLICE, Indexer
from storage.knowledge import page_of_pieces
from tests.engine.jobs.world import World
from tests.engine.knowledge.conftest import Model
from tests.engine.knowledge.indexing import check_index, read_all, set_model, sources, step, texts


async def test_what_a_step_adds_while_its_collection_is_read_anew_stays(
    world: World, ada: Principal, made: str, indexer: Indexer, model: Model
) -> None:
    quick = Model()
    for at in range(26):
        await step(world, f"job_1:add:0/{at}", quick).add(made, f"It costs {at} dollars.", f"Price {at}")
    await step(world, "job_1:add:0/26", quick).add(made, "A page of the site.", "https://a.example/")
    set_model(world, made)
    (source,) = sources(world, made)
    world.write(read_again, ada, source.id)
    model.ready.clear()
    await indexer.pass_over()
    await model.asked.wait()  # the first texts are read, their vectors are not there yet
    long = "\n\n".join(f"# {at}\n\nIt costs less." for at in range(SLICE + 1))
    assert (await step(world, "job_2:add:", quick).add(made, long, "Price 3"))["action"] == "replaced"
    assert (await step(world, "job_3:add:", quick).add(made, "Zebras are free.", "Zebras"))["action"] == "added"
    model.ready.set()
    await read_all(indexer)
    (source,) = sources(world, made)
    assert (source.state, source.documents, source.pieces) == ("ready", 28, 27 + SLICE + 1)
    assert source.vectors == source.pieces
    kept = texts(world, source.id)
    assert "It costs 3 dollars." not in kept
    assert {"It costs less.", "It costs 4 dollars.", "Zebras are free."} < set(kept)
    pieces, _ = world.read(lambda session: page_of_pieces(session, world.workspace_id, source.id, offset=0, limit=500))
    assert {one.address for one in pieces if one.document.startswith("https:")} == {"https://a.example/"}
    check_index(world)


async def test_a_step_that_waited_for_the_former_model_asks_the_new_one(
    world: World, ada: Principal, made: str, model: Model
) -> None:
    set_model(world, made)
    model.ready.clear()
    adding = asyncio.create_task(step(world, "job_1:add:", model).add(made, "Zebras are free. " * 40, "Zebras"))
    await model.asked.wait()
    set_model(world, made, "box:other")
    world.write(set_piece_length, ada, made, 200)
    model.ready.set()
    result = await adding
    (source,) = sources(world, made)
    assert (result["pieces"], source.pieces, source.vectors) == (4, 4, 4)
    stored = world.read(lambda session: session.scalars(text("select distinct model from knowledge_vectors")).all())
    assert stored == ["box:other"]
