"""The rows of a dataset as a source: what changed is written anew, and what is gone is removed."""

from __future__ import annotations

from typing import Any

from sqlalchemy import event, text

from engine.actions.datasets import (
    add_dataset,
    add_row,
    delete_dataset,
    delete_rows,
    import_rows,
    remove_column,
    rename_column,
)
from engine.actions.knowledge import add_dataset_rows, read_again
from engine.actions.principal import Principal
from engine.knowledge.indexer import SLICE, Indexer
from storage.dataset_changes import checked_rows
from storage.datasets import CHUNK, list_row_ids, list_rows
from storage.knowledge_documents import known_documents, move_documents
from storage.tables_knowledge import KnowledgeSource
from tests.engine.jobs.world import World
from tests.engine.knowledge.conftest import Model
from tests.engine.knowledge.indexing import check_index, found, read_all, set_model, sources, texts


async def test_what_did_not_change_is_left_and_what_is_gone_is_removed(
    world: World, ada: Principal, made: str, indexer: Indexer, model: Model
) -> None:
    dataset = world.write(add_dataset, ada, "Goods")
    goods = [{"name": f"Loaf {at}", "made of": "rye"} for at in range(70)]
    world.write(import_rows, ada, dataset, checked_rows(goods))
    set_model(world, made)
    source_id = world.write(add_dataset_rows, ada, made, "Goods")
    await read_all(indexer)
    (source,) = sources(world, made)
    assert (source.state, source.documents, source.pieces, source.vectors) == ("ready", 70, 70, 70)
    assert (len(model.texts), source.input_tokens, source.cost_nanos) == (70, 700, 70)
    assert "name: Loaf 3\nmade of: rye" in texts(world, source_id)
    world.write(add_row, ada, dataset, {"name": "Bun", "made of": "wheat"})
    first = world.read(list_rows, ada.workspace_id, dataset)[0].id
    world.write(delete_rows, ada, dataset, [first])
    world.write(read_again, ada, source_id)
    await read_all(indexer)
    assert model.texts[70:] == ["Bun\nname: Bun\nmade of: wheat"]
    (source,) = sources(world, made)
    assert (source.documents, source.vectors) == (70, 70)
    assert await found(world, made, "wheat bun", model)
    assert not any("Loaf 0\n" in one for one in texts(world, source_id))
    check_index(world)


async def test_the_same_table_imported_again_costs_only_what_is_new(
    world: World, ada: Principal, made: str, indexer: Indexer, model: Model
) -> None:
    dataset = world.write(add_dataset, ada, "Goods")
    goods = [{"name": f"Loaf {at}", "made of": "rye"} for at in range(230)] + [{"name": "Twin"}, {"name": "Twin"}]
    world.write(import_rows, ada, dataset, checked_rows(goods))
    set_model(world, made)
    source_id = world.write(add_dataset_rows, ada, made, dataset)
    await read_all(indexer)
    assert len(model.texts) == 232
    goods = [{"name": "Bun", "made of": "wheat"}, {"name": "Twin"}, {"name": "Twin"}, {"name": "Twin"}, *goods[3:230]]
    world.write(import_rows, ada, dataset, checked_rows(goods), "replace")
    world.write(read_again, ada, source_id)
    await read_all(indexer)
    assert sorted(model.texts[232:]) == ["Bun\nname: Bun\nmade of: wheat", "Twin\nname: Twin"]
    (source,) = sources(world, made)
    assert (source.state, source.documents, source.pieces, source.vectors) == ("ready", 231, 231, 231)
    keys = world.read(lambda session: session.scalars(text("select key from knowledge_documents")).all())
    assert {int(one) for one in keys} == set(world.read(list_row_ids, ada.workspace_id, dataset))
    assert "name: Loaf 229\nmade of: rye" in await found(world, made, "loaf 229", model)
    check_index(world)


async def test_documents_are_taken_over_together(world: World, ada: Principal, made: str, indexer: Indexer) -> None:
    dataset = world.write(add_dataset, ada, "Goods")
    world.write(import_rows, ada, dataset, checked_rows([{"name": f"Loaf {at}"} for at in range(SLICE)]))
    source_id = world.write(add_dataset_rows, ada, made, dataset)
    await read_all(indexer)
    known = world.read(known_documents, source_id)
    moves = [(one.id, f"{int(key) + 10_000}") for key, one in known.items()]
    sent: list[Any] = []

    def move(session: Any) -> None:
        session.get_one(KnowledgeSource, source_id).owner = "boot_here"
        session.flush()
        event.listen(session, "do_orm_execute", sent.append)
        move_documents(session, source_id, "boot_here", moves)

    world.write(move)
    assert {one.id: key for key, one in world.read(known_documents, source_id).items()} == dict(moves)
    assert len(sent) <= 3, "all others wait for this write"


async def test_rows_that_are_replaced_while_they_are_read_are_all_of_one_table(
    world: World, ada: Principal, made: str, indexer: Indexer, model: Model
) -> None:
    dataset = world.write(add_dataset, ada, "Goods")
    world.write(import_rows, ada, dataset, checked_rows([{"name": f"Old {at}"} for at in range(CHUNK + 5)]))
    set_model(world, made)
    world.write(add_dataset_rows, ada, made, dataset)
    model.ready.clear()
    await indexer.pass_over()
    await model.asked.wait()  # the first page of rows is read
    new = checked_rows([{"name": f"New {at}"} for at in range(CHUNK + 5)])
    world.write(import_rows, ada, dataset, new, "replace")
    model.ready.set()
    await read_all(indexer)
    (source,) = sources(world, made)
    assert (source.state, source.documents) == ("ready", CHUNK + 5)
    old = text("select count(*) from knowledge_pieces where text like 'name: Old%'")
    assert world.read(lambda session: session.scalar(old)) == 0
    check_index(world)


async def test_long_and_short_documents_are_removed_together(
    world: World, ada: Principal, made: str, indexer: Indexer
) -> None:
    dataset = world.write(add_dataset, ada, "Goods")
    rows = [
        {"name": f"Row {at}", "text": "Some more words. " * (60 * many)} for at, many in enumerate((3, 500, 1, 260, 2))
    ]
    world.write(import_rows, ada, dataset, checked_rows([*rows, {"name": "Stays"}]))
    source_id = world.write(add_dataset_rows, ada, made, dataset)
    await read_all(indexer)
    assert sources(world, made)[0].pieces > 2 * SLICE
    world.write(delete_rows, ada, dataset, world.read(list_row_ids, ada.workspace_id, dataset)[:5])
    world.write(read_again, ada, source_id)
    await read_all(indexer)
    (source,) = sources(world, made)
    assert (source.documents, source.pieces, source.chars) == (1, 1, len("name: Stays"))
    assert texts(world, source_id) == ["name: Stays"]
    check_index(world)


def goods_with_columns(world: World, ada: Principal, made: str) -> tuple[str, str]:
    """Makes a dataset and a source of the columns `name` and `made of`; returns the ids of both."""
    dataset = world.write(add_dataset, ada, "Goods")
    world.write(import_rows, ada, dataset, checked_rows([{"name": "Rye", "made of": "rye", "cost": 7.25}]))
    return dataset, world.write(add_dataset_rows, ada, made, dataset, ["name", "made of"])


async def test_a_chosen_column_that_is_renamed_stays_chosen(
    world: World, ada: Principal, made: str, indexer: Indexer
) -> None:
    dataset, source_id = goods_with_columns(world, ada, made)
    world.write(rename_column, ada, dataset, "name", " sort  of bread ")
    world.write(rename_column, ada, dataset, "cost", "price")
    await read_all(indexer)
    assert texts(world, source_id) == ["sort of bread: Rye\nmade of: rye"]


async def test_without_its_chosen_columns_nothing_else_of_a_dataset_is_read(
    world: World, ada: Principal, made: str, indexer: Indexer
) -> None:
    dataset, source_id = goods_with_columns(world, ada, made)
    await read_all(indexer)
    world.write(remove_column, ada, dataset, "name")
    world.write(read_again, ada, source_id)
    await read_all(indexer)
    (source,) = sources(world, made)
    assert (source.state, texts(world, source_id)) == ("ready", ["made of: rye"])
    assert [one["message"] for one in source.problems] == [
        "The dataset does not have these chosen columns any more: `name`. The other chosen ones are read."
    ]
    world.write(remove_column, ada, dataset, "made of")
    world.write(read_again, ada, source_id)
    await read_all(indexer)
    (source,) = sources(world, made)
    assert (source.state, texts(world, source_id)) == ("failed", [])
    assert source.message.startswith("The dataset has none of the chosen columns any more (`name`, `made of`)")
    check_index(world)


async def test_the_rows_of_a_deleted_dataset_are_found_no_more(
    world: World, ada: Principal, made: str, indexer: Indexer
) -> None:
    dataset, source_id = goods_with_columns(world, ada, made)
    await read_all(indexer)
    world.write(delete_dataset, ada, dataset)
    assert (sources(world, made), await found(world, made, "rye")) == ([], [])
    # what an earlier release left: a source whose dataset is gone
    world.write(lambda session: setattr(session.get_one(KnowledgeSource, source_id), "state", "waiting"))
    await read_all(indexer)
    (source,) = sources(world, made)
    assert (source.state, source.pieces) == ("failed", 0)
    assert source.message == "The dataset Goods was deleted, and its rows with it. Delete this source too."
    check_index(world)
