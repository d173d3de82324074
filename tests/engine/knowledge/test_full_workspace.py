"""A workspace that holds its most: what makes way, and what is refused."""

from __future__ import annotations

import pytest

import storage.knowledge
from engine.actions.datasets import add_dataset, add_row, change_row, delete_rows, import_rows
from engine.actions.knowledge import add_dataset_rows, add_site, add_text, read_again
from engine.actions.principal import Principal
from engine.core.errors import TooLarge
from engine.flow.node_context import NodeFailed
from engine.knowledge.indexer import Indexer
from storage.dataset_changes import checked_rows
from storage.datasets import list_row_ids
from storage.files import list_uses
from tests.engine.jobs.world import World
from tests.engine.knowledge.conftest import Model
from tests.engine.knowledge.indexing import PRACTICE, check_index, give, read_all, sources, step, texts


async def test_in_a_full_workspace_a_text_makes_way_for_the_one_of_the_same_source(
    world: World, made: str, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage.knowledge, "MAX_PIECES", 2)
    for at, text_ in enumerate(("# 1\n\nOld.\n\n# 2\n\nOld.", "# 1\n\nOld.\n\n# 2\n\nOld.", "New.", "Newest.")):
        await step(world, f"job_{at}:add:", model).add(made, text_, "Terms")
    with pytest.raises(NodeFailed, match="The workspace holds its most"):
        await step(world, "job_9:add:", model).add(made, "# 1\n\nMore.\n\n# 2\n\nMore.", "Others")
    monkeypatch.setattr(storage.knowledge, "MAX_PIECES", 0)
    assert (await step(world, "job_10:add:", model).add(made, "Newest.", "Terms"))["action"] == "unchanged"
    (source,) = sources(world, made)
    assert texts(world, source.id) == ["Newest."]


async def test_a_full_workspace_takes_no_more(
    world: World, ada: Principal, made: str, indexer: Indexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write(add_text, ada, made, "Five", "\n\n".join(f"# {at}\n\ntext" for at in range(6)))
    world.write(add_site, ada, made, PRACTICE)
    monkeypatch.setattr(storage.knowledge, "MAX_PIECES", 5)
    await read_all(indexer)
    assert sources(world, made)[1].message.startswith("The workspace holds its most: 5 pieces")


async def test_in_a_full_workspace_a_file_makes_way_for_the_one_that_replaces_it(
    world: World, ada: Principal, made: str, indexer: Indexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage.knowledge, "MAX_PIECES", 3)
    source_id = give(world, ada, made, "terms.md", b"# 1\n\nOld.\n\n# 2\n\nOld.\n\n# 3\n\nOld.")
    await read_all(indexer)
    with pytest.raises(TooLarge, match="The workspace holds its most"):
        give(world, ada, made, "other.md", b"Other.")
    give(world, ada, made, "terms.md", b"# 1\n\nNew.\n\n# 2\n\nNew.\n\n# 3\n\nNew.\n\n# 4\n\nNew.")
    await read_all(indexer)
    (source,) = sources(world, made)
    assert (source.state, texts(world, source_id)) == ("ready", ["New."] * 4)
    check_index(world)


async def test_a_file_without_room_leaves_the_one_that_it_replaces(
    world: World, ada: Principal, made: str, indexer: Indexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    source_id = give(world, ada, made, "terms.md", b"Old.")
    await read_all(indexer)
    first = world.read(list_uses, "collection", source_id)
    world.write(add_text, ada, made, "Five", "\n\n".join(f"# {at}\n\ntext" for at in range(5)))
    with monkeypatch.context() as full:
        full.setattr(storage.knowledge, "MAX_PIECES", 5)
        with pytest.raises(TooLarge, match="The workspace holds its most"):
            give(world, ada, made, "terms.md", b"# 1\n\nNew.\n\n# 2\n\nNew.")
    assert sources(world, made)[0].state == "ready"
    assert world.read(list_uses, "collection", source_id) == first
    give(world, ada, made, "terms.md", b"# 1\n\nNew.\n\n# 2\n\nNew.")
    monkeypatch.setattr(storage.knowledge, "MAX_PIECES", 5)  # others were faster
    await read_all(indexer)
    assert sources(world, made)[0].message == (
        "The workspace holds its most: 5 pieces or 200 million characters of text. Remove what is not needed, or add"
        " less. What was read of it before can still be found."
    )
    assert texts(world, source_id) == ["Old."]


async def test_in_a_full_workspace_what_is_gone_goes_and_makes_room(
    world: World, ada: Principal, made: str, indexer: Indexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage.knowledge, "MAX_PIECES", 30)
    dataset = world.write(add_dataset, ada, "People")
    world.write(import_rows, ada, dataset, checked_rows([{"name": f"Person {at}"} for at in range(30)]))
    source_id = world.write(add_dataset_rows, ada, made, dataset)
    await read_all(indexer)
    ids = world.read(list_row_ids, ada.workspace_id, dataset)
    world.write(delete_rows, ada, dataset, ids[:20])
    world.write(change_row, ada, dataset, ids[20], {"name": "Changed 20"})
    world.write(add_row, ada, dataset, {"name": "Newcomer"})
    world.write(read_again, ada, source_id)
    await read_all(indexer)
    (source,) = sources(world, made)
    assert (source.state, source.pieces) == ("ready", 11)
    kept = [f"name: Person {at}" for at in range(21, 30)]
    assert sorted(texts(world, source_id)) == sorted(["name: Changed 20", "name: Newcomer", *kept])
    world.write(import_rows, ada, dataset, checked_rows([{"name": f"Other {at}"} for at in range(40)]))
    world.write(change_row, ada, dataset, ids[20], {"name": "Changed again"})
    world.write(read_again, ada, source_id)
    await read_all(indexer)
    (source,) = sources(world, made)
    assert source.state == "failed"
    assert source.message.startswith("The workspace holds its most: 30 pieces")
    assert "name: Changed again" in texts(world, source_id), "what needs no more room is written"
    check_index(world)
