"""Read rows, Look up a row and Save rows with a real database."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from engine.actions.datasets import (
    add_dataset,
    change_row,
    delete_dataset,
    delete_rows,
    import_rows,
    known_datasets,
    remove_column,
    rename_column,
)
from engine.flow.contract import final_nodes
from engine.flow.document import Document
from engine.flow.node_context import NodeFailed
from engine.flow.output_schemas import out_schema, schema_at
from engine.flow.validation import problems
from engine.jobs.worker.dataset_writes import RowsRead, WorkspaceDatasets
from engine.nodes import CATALOG, dataset_source
from engine.nodes.known_datasets import KnownDataset, missing_datasets, with_datasets
from storage.dataset_changes import checked_rows
from storage.dataset_keys import MAX_SAME, PIECE_ROWS, look_through
from storage.datasets import CHUNK, each_row, list_row_ids
from tests.engine.jobs.world import World, open_world
from tests.engine.nodes.one_node import Alone, problems_of, run_node
from tests.factories import person

GOODS = [
    {"id": 1, "name": "Rye", "price": 3.2, "kind": "bread"},
    {"id": 2, "name": "Roll", "price": 0.6, "kind": "bread"},
    {"id": 3, "name": "Cake", "price": 24, "kind": "sweet"},
]
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One data folder for all tests; each test creates its own datasets."""
    world = open_world(tmp_path_factory.mktemp("datasets"))
    yield world
    world.database.close()


@pytest.fixture
def goods(world: World) -> str:
    return add(world, GOODS)


def add(world: World, rows: list[dict[str, Any]]) -> str:
    ada = person(world.workspace_id)
    dataset_id = world.write(add_dataset, ada, f"Goods {next(_numbers)}")
    world.write(import_rows, ada, dataset_id, checked_rows(rows))
    return dataset_id


def rows_of(world: World, dataset_id: str) -> list[dict[str, Any]]:
    return [row.data for row in world.read(lambda session: list(each_row(session, world.workspace_id, dataset_id)))]


def alone(world: World, step: str = "job:node:") -> Alone:
    return Alone(datasets=WorkspaceDatasets(world.database, world.workspace_id), idempotency_key=step)


async def test_rows_whose_text_was_compared_with_a_number_are_told_once(world: World) -> None:
    dataset = add(world, [{"price": f"{number} EUR"} for number in range(CHUNK + 5)])
    rule = {"field": "price", "operator": "less", "value": 3}
    context = alone(world)
    await run_node("dataset_source", {"dataset": dataset, "rules": [rule]}, {}, context)
    (told,) = context.warnings
    assert told.startswith(
        f"{CHUNK + 5:,} of {CHUNK + 5:,} items: `price` is no number, like `0 EUR`, so the rule “is less than 3”"
    )


async def take(world: World, dataset: str, step: str = "job:node:", **config: Any) -> list[Any]:
    return await run_node("dataset_source", {"dataset": dataset, **config}, {}, alone(world, step))


async def put(world: World, config: dict[str, Any], row: dict[str, Any], step: str) -> Any:
    return await run_node("dataset_sink", config, row, alone(world, step))


async def test_rows_that_change_while_a_step_looks_for_one_are_looked_through_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = add(world, [{"a": f"a{n}", "b": "old"} for n in range(PIECE_ROWS + 1)])
    config = {"dataset": dataset, "mode": "upsert", "key_column": "b"}
    await put(world, {**config, "key_column": "a"}, {"a": "a1", "b": "old"}, "job:keys:")
    rows_read, (row_id, *_) = world.database.read, world.read(list_row_ids, world.workspace_id, dataset)

    async def read_then_changed(work: Any, *args: Any) -> Any:
        read = await rows_read(work, *args)
        if work is look_through:
            monkeypatch.undo()
            world.write(change_row, person(world.workspace_id), dataset, row_id, {"b": "new"})
        return read

    monkeypatch.setattr(world.database, "read", read_then_changed)
    assert (await put(world, config, {"b": "new", "a": "found"}, "job:node:"))["action"] == "updated"
    assert rows_of(world, dataset)[0] == {"a": "found", "b": "new"}
    assert len(rows_of(world, dataset)) == PIECE_ROWS + 1


async def test_a_step_writes_over_all_rows_with_a_value_or_says_that_they_are_too_many(world: World) -> None:
    dataset = add(world, [{"a": "x", "n": 0}] * MAX_SAME)
    config = {"dataset": dataset, "mode": "upsert", "key_column": "a"}
    assert (await put(world, config, {"a": "x", "n": 1}, "job:node:1"))["action"] == "updated"
    assert (await put(world, config, {"a": "x", "n": 1}, "job:node:2"))["action"] == "unchanged"
    assert rows_of(world, dataset) == [{"a": "x", "n": 1}] * MAX_SAME
    world.write(import_rows, person(world.workspace_id), dataset, checked_rows([{"a": "x", "n": 1}]))
    for mode in ("upsert", "update"):
        with pytest.raises(NodeFailed, match=r"More than 1,000 rows have the same value in `a`") as refused:
            await put(world, {**config, "mode": mode}, {"a": "x", "n": 2}, f"job:node:{mode}")
        assert "Compare a column that tells rows apart" in refused.value.remedy
    assert (await put(world, {**config, "mode": "leave"}, {"a": "x", "n": 2}, "job:node:3"))["action"] == "kept"
    assert rows_of(world, dataset) == [{"a": "x", "n": 1}] * (MAX_SAME + 1)


async def test_rows_with_a_value_that_are_too_large_together_are_not_written_over(world: World) -> None:
    dataset = add(world, [{"a": "x", "text": "y" * 900_000}] * 5)
    with pytest.raises(NodeFailed, match="take more than 4 MiB"):
        await put(world, {"dataset": dataset, "mode": "update", "key_column": "a"}, {"a": "x", "n": 1}, "job:node:")
    assert all("n" not in row for row in rows_of(world, dataset))


@pytest.mark.parametrize(
    ("config", "ids"),
    [
        ({}, [1, 2, 3]),
        ({"take": "first", "count": 2}, [1, 2]),
        ({"take": "first", "count": 99}, [1, 2, 3]),
        ({"rules": [{"field": "kind", "operator": "equals", "value": "bread"}]}, [1, 2]),
        ({"take": "first", "count": 1, "rules": [{"field": "price", "operator": "greater", "value": "3"}]}, [1]),
        ({"match": "any", "rules": [{"field": "id", "value": "3"}, {"field": "name", "value": "Rye"}]}, [1, 3]),
        ({"rules": [{"field": "name", "operator": "matches", "value": "^R"}, {"field": "price", "operator": "less", "value": 1}]}, [2]),
        ({"rules": [{"field": "colour", "operator": "is_not_empty"}]}, []),
        ({"take": "random", "count": 3}, [1, 2, 3]),
    ],
)  # fmt: skip
async def test_the_source_takes_what_was_asked_in_order(world: World, goods: str, config: dict, ids: list[int]) -> None:
    assert [row["id"] for row in await take(world, goods, **config)] == ids


async def test_rows_by_chance_are_the_same_on_every_try_of_a_step_and_fair(world: World) -> None:
    dataset_id = add(world, [{"n": number} for number in range(20)])
    drawn = [
        tuple(row["n"] for row in await take(world, dataset_id, f"job_{number}:node:", take="random", count=5))
        for number in range(40)
    ]
    again = await take(world, dataset_id, "job_7:node:", take="random", count=5)
    assert tuple(row["n"] for row in again) == drawn[7]
    assert all(list(one) == sorted(set(one)) and len(one) == 5 for one in drawn)
    assert len(set(drawn)) > 30
    assert set(itertools.chain(*drawn)) == set(range(20)), "no row is left out for ever"


async def test_a_large_dataset_is_read_in_pieces_and_no_further_than_needed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset_id = add(world, [{"n": number} for number in range(2 * CHUNK + 5)])
    assert [row["n"] for row in await take(world, dataset_id)] == list(range(2 * CHUNK + 5))
    rule = {"field": "n", "operator": "greater_or_equal", "value": CHUNK + 3}
    assert [row["n"] for row in await take(world, dataset_id, take="first", count=2, rules=[rule])] == [1003, 1004]
    monkeypatch.setattr(dataset_source, "MOST", 12_000)
    assert len(await take(world, dataset_id, take="random", count=100)) == 100, "what was drawn again counts once"
    assert len(await take(world, dataset_id, rules=[{"field": "n", "operator": "less", "value": 50}])) == 50
    with pytest.raises(NodeFailed, match="more than") as failed:
        await take(world, dataset_id)
    assert (failed.value.code, "2,000 rows" in failed.value.why) == ("too_large", True)


TENANTS = [
    {"email": None, "name": "Nobody", "rent": None},
    {"email": "Ann@example.com", "name": "Ann", "rent": 12.5},
    {"email": "ann@example.com", "name": "Second", "rent": "7", "flat.no": 4},
    {"email": " bob@example.com", "name": "Bob", "rent": True},
]


@pytest.mark.parametrize(
    ("column", "value", "more", "name"),
    [
        ("email", "ann@EXAMPLE.com", {}, "Ann"),
        ("email", "ann@example.com", {"ignore_case": False}, "Second"),
        ("email", "ann@example.co", {}, None),
        ("email", "bob@example.com", {}, None),
        ("email", " bob@example.com", {}, "Bob"),
        ("rent", "12.50", {}, "Ann"),
        ("rent", 7, {}, "Second"),
        ("rent", "true", {}, "Bob"),
        ("flat.no", 4, {}, "Second"),
        ("email", None, {}, None),
        ("email", "", {}, None),
        ("email", " ", {}, None),
        ("rent", [], {}, None),
    ],
)  # fmt: skip
async def test_the_first_row_that_has_the_value_is_looked_up(
    world: World, column: str, value: Any, more: dict, name: str | None
) -> None:
    config = {"dataset": add(world, TENANTS), "column": column, **more}
    found = await run_node("look_up_row", config, {"value": value}, alone(world))
    assert (found.port, found.value and found.value["name"]) == ("found" if name else "not_found", name)


async def test_looking_up_stops_at_the_first_row_that_fits(world: World) -> None:
    dataset_id = add(world, [{"n": number} for number in range(2 * CHUNK + 5)])
    pages: list[int] = []

    class Counting(WorkspaceDatasets):
        async def read(self, dataset: str, after: int = 0) -> RowsRead:
            pages.append(after)
            return await super().read(dataset, after)

    config = {"dataset": dataset_id, "column": "n"}
    context = Alone(datasets=Counting(world.database, world.workspace_id))
    for value, reads in [(3, 1), (CHUNK + 3, 2), (-1, 4)]:
        pages.clear()
        found = await run_node("look_up_row", config, {"value": value}, context)
        assert (found.value, len(pages)) == ({"n": value} if value >= 0 else None, reads)
    assert (await run_node("look_up_row", {**config, "dataset": add(world, [])}, {"value": 1}, context)).value is None


class Changing(WorkspaceDatasets):
    """Datasets that somebody changes before their second page is read, the first `times` times."""

    def __init__(self, world: World, change: Callable[[], Any], times: int = 1) -> None:
        super().__init__(world.database, world.workspace_id)
        self.change, self.times = change, times

    async def read(self, dataset: str, after: int = 0) -> RowsRead:
        if after and self.times:
            self.times -= 1
            self.change()
        return await super().read(dataset, after)


@pytest.mark.parametrize("change", ["replaced", "renamed", "removed", "deleted"])
async def test_rows_of_two_tables_are_never_mixed(world: World, change: str) -> None:
    ada = person(world.workspace_id)
    dataset = add(world, [{"n": number, "v": "old"} for number in range(2 * CHUNK)])
    last = world.read(list_row_ids, world.workspace_id, dataset)[-1]
    world.write(delete_rows, ada, dataset, [last])  # what was removed before says nothing
    changes: dict[str, Callable[[], Any]] = {
        "replaced": lambda: world.write(import_rows, ada, dataset, checked_rows([{"n": 1, "v": "new"}] * 1_500), "replace"),
        "renamed": lambda: world.write(rename_column, ada, dataset, "v", "w"),
        "removed": lambda: world.write(remove_column, ada, dataset, "v"),
        "deleted": lambda: world.write(delete_dataset, ada, dataset),
    }  # fmt: skip
    context = Alone(datasets=Changing(world, changes[change]), idempotency_key="job:node:")
    if change == "deleted":
        with pytest.raises(NodeFailed, match="No dataset"):
            await run_node("dataset_source", {"dataset": dataset}, {}, context)
        return
    rows = await run_node("dataset_source", {"dataset": dataset}, {}, context)
    columns, value = {"replaced": ("v", "new"), "renamed": ("w", "old"), "removed": ("v", None)}[change]
    assert {row.get(columns) for row in rows} == {value}
    assert len(rows) == (1_500 if change == "replaced" else 2 * CHUNK - 1)


async def test_a_table_that_is_replaced_each_time_it_is_read_is_told(world: World) -> None:
    dataset = add(world, [{"v": number} for number in range(CHUNK + 1)])

    def replace() -> None:
        rows = checked_rows([{"v": number} for number in range(CHUNK + 1)])
        world.write(import_rows, person(world.workspace_id), dataset, rows, "replace")

    context = Alone(datasets=Changing(world, replace, times=99), idempotency_key="job:node:")
    with pytest.raises(NodeFailed, match="was replaced, or lost a column, each time") as failed:
        await run_node("dataset_source", {"dataset": dataset}, {}, context)
    assert (failed.value.code, failed.value.passing) == ("dataset_failed", True)


async def test_rows_and_columns_that_are_added_meanwhile_are_no_other_table(world: World) -> None:
    dataset = add(world, [{"v": number} for number in range(CHUNK + 1)])
    more = checked_rows([{"v": 0, "w": 1}])
    changing = Changing(world, lambda: world.write(import_rows, person(world.workspace_id), dataset, more))
    context = Alone(datasets=changing, idempotency_key="job:node:")
    assert len(await run_node("dataset_source", {"dataset": dataset}, {}, context)) == CHUNK + 2


async def test_the_last_row_of_a_page_that_is_deleted_meanwhile_is_no_other_table(world: World) -> None:
    dataset = add(world, [{"v": number} for number in range(CHUNK + 1)])
    last = world.read(list_row_ids, world.workspace_id, dataset)[CHUNK - 1]
    changing = Changing(world, lambda: world.write(delete_rows, person(world.workspace_id), dataset, [last]))
    context = Alone(datasets=changing, idempotency_key="job:node:")
    rows = await run_node("dataset_source", {"dataset": dataset}, {}, context)
    assert [row["v"] for row in rows] == list(range(CHUNK + 1)), "it was not begun anew"


async def test_a_dataset_is_found_by_name_and_a_missing_one_is_told(world: World, goods: str) -> None:
    name = next(one.name for one in world.read(known_datasets, world.workspace_id) if one.id == goods)
    assert len(await take(world, name)) == 3
    world.write(delete_dataset, person(world.workspace_id), goods)
    for work in (take(world, goods), put(world, {"dataset": goods}, {"a": 1}, "job:sink:gone")):
        with pytest.raises(NodeFailed, match=f"No dataset with the id `{goods}`") as failed:
            await work
        assert failed.value.code == "dataset_failed"
        assert failed.value.remedy


async def test_the_sink_says_what_it_did(world: World, goods: str) -> None:
    done = await put(world, {"dataset": goods}, {"id": 4, "name": "Bun"}, "job:sink:0")
    assert done == {"action": "added", "row": {"id": 4, "name": "Bun"}}
    update = {"dataset": goods, "mode": "update", "key_column": "id"}
    assert (await put(world, update, {"id": "4", "price": 1}, "job:sink:1"))["action"] == "updated"
    context = alone(world, "job:sink:2")
    assert (await run_node("dataset_sink", update, {"id": 99}, context))["action"] == "not_found"
    assert context.warnings == ["No row has this value in `id`, so nothing was written."]
    upsert = {**update, "mode": "upsert"}
    assert (await put(world, upsert, {"id": 99, "tags": ["a"]}, "job:sink:3"))["action"] == "added"
    assert (await put(world, upsert, {"id": 99, "tags": ["a"]}, "job:sink:4"))["action"] == "unchanged"
    keep = {**update, "mode": "leave"}
    assert (await put(world, keep, {"id": "99", "tags": []}, "job:sink:5"))["action"] == "kept"
    assert rows_of(world, goods)[3:] == [{"id": "4", "name": "Bun", "price": 1}, {"id": 99, "tags": ["a"]}]


async def test_another_try_of_a_step_writes_nothing_again(world: World, goods: str) -> None:
    for _ in range(3):
        assert (await put(world, {"dataset": goods}, {"id": 5}, "job_twice:sink:0/1"))["action"] == "added"
    assert len(rows_of(world, goods)) == 4


async def test_a_row_without_a_key_is_refused(world: World, goods: str) -> None:
    with pytest.raises(NodeFailed, match="`id` is the column to compare, but this row has no value in it"):
        await put(world, {"dataset": goods, "mode": "upsert", "key_column": "id"}, {"id": None}, "job:sink:none")
    assert rows_of(world, goods) == GOODS


SINK = {"dataset": "Goods", "mode": "upsert", "key_column": "id"}


@pytest.mark.parametrize(
    ("kind", "config", "inputs", "found"),
    [
        ("dataset_source", {"dataset": "Goods"}, {}, []),
        ("dataset_source", {}, {}, [("no_dataset", "/config/dataset")]),
        ("dataset_source", {"dataset": ""}, {}, [("no_dataset", "/config/dataset")]),
        ("dataset_source", {"dataset": 5}, {}, [("invalid_value", "/config/dataset")]),
        ("dataset_source", {"dataset": "Goods", "take": "last"}, {}, [("invalid_value", "/config/take")]),
        ("dataset_source", {"dataset": "Goods", "count": 0}, {}, [("invalid_value", "/config/count")]),
        ("dataset_source", {"dataset": "Goods"}, {"x": 1}, [("unknown_key", "/inputs/x")]),
        (
            "dataset_source",
            {"dataset": "Goods", "rules": [{"operator": "matches", "value": "("}]},
            {},
            [("bad_pattern", "/config/rules/0/value")],
        ),
        ("dataset_sink", {"dataset": "Goods"}, {"a": 1}, []),
        ("dataset_sink", SINK, {"id": 1}, []),
        ("dataset_sink", {}, {}, [("no_dataset", "/config/dataset"), ("no_columns", "/inputs")]),
        ("dataset_sink", {**SINK, "mode": "update", "key_column": ""}, {"a": 1}, [("no_key_column", "/config/key_column")]),
        ("dataset_sink", SINK, {"a": 1}, [("no_key_column", "/config/key_column")]),
        ("dataset_sink", {**SINK, "mode": "merge"}, {"id": 1}, [("invalid_value", "/config/mode")]),
    ],
)  # fmt: skip
def test_settings_that_cannot_work_are_problems(kind: str, config: dict, inputs: dict, found: list) -> None:
    ours = [one[:2] for one in problems_of(kind, config, inputs) if one[0] != "no_processing_node"]
    assert ours == found


def rows_flow(config: dict[str, Any], key: str = "{{ splitter.out.name }}") -> Document:
    """A flow of API Input, Read rows, Splitter, Text Template and Save rows: it has two final nodes, and one writes to
    a dataset.
    """
    nodes = [
        {"id": "api_input", "type": "api_input"},
        {"id": "rows", "type": "dataset_source", "config": {"dataset": "Goods"}},
        {"id": "splitter", "type": "array_splitter", "inputs": {"items": "{{ rows.out }}"}},
        {"id": "text", "type": "text_template", "inputs": {"template": "{{ splitter.out.name }}"}},
        {"id": "sink", "type": "dataset_sink", "config": config, "inputs": {"id": key, "text": "{{ text.out }}"}},
        {"id": "all", "type": "array_flatten", "inputs": {"value": "{{ text.out }}"}},
        {"id": "output", "type": "api_output", "inputs": {"texts": "{{ all.out.items }}"}},
    ]
    pairs = ["api_input rows", "rows splitter", "splitter text", "text sink", "text all", "all output"]
    edges = [
        {"id": f"e{number}", "source": pair.split()[0], "target": pair.split()[1]} for number, pair in enumerate(pairs)
    ]
    return Document.model_validate({"format": 1, "nodes": nodes, "edges": edges})


def test_a_sink_may_end_a_branch_inside_a_list() -> None:
    assert [one.message for one in problems(rows_flow(SINK), CATALOG)] == []


def test_a_sink_is_never_what_callers_get() -> None:
    document = rows_flow(SINK)
    fed = document.model_copy(update={"nodes": document.nodes[:5], "edges": document.edges[:4]})
    assert final_nodes(fed) == ["text"]


def test_known_datasets_give_their_columns_as_data_and_their_names() -> None:
    goods = KnownDataset("dataset_1", "Goods", {"name": "string", "price": "number", "odd": "mixed"})
    catalog = with_datasets(CATALOG, [goods])
    document = rows_flow({**SINK, "dataset": "dataset_1"})
    splitter, sink = document.node("splitter"), document.node("sink")
    assert splitter is not None
    assert sink is not None
    item = out_schema(splitter, catalog, document)
    assert schema_at(item, ("price",)) == {"type": "number"}
    assert schema_at(item, ("odd",)) == {}
    assert schema_at(item, ("added_later",)) == {}, "a row may have more columns by then"
    assert schema_at(out_schema(splitter, CATALOG, document), ("price",)) == {}
    assert catalog["dataset_sink"].summary(sink.config, {}) == "Goods: update or add by id"
    assert catalog["dataset_source"].summary({"dataset": "dataset_9"}, {}) == "dataset_9"
    look_up, inputs = {"dataset": "dataset_1", "column": "name"}, {"value": "Rye"}
    assert catalog["look_up_row"].summary(look_up, inputs) == "Goods: name is Rye"
    row = catalog["look_up_row"].out_schema(look_up, inputs) or {}
    assert (schema_at(row, ("price",)), schema_at(row, ("added_later",))) == ({"type": "number"}, {})
    assert [one.message for one in problems(document, catalog)] == []


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({"dataset": "Goods"}, []),
        ({"dataset": "dataset_1", "mode": "update", "key_column": "id"}, []),
        ({"dataset": "dataset_2"}, [("no_dataset", "It was deleted.")]),
        ({"dataset": "Bads"}, [("no_dataset", "There is no dataset called `Bads`.")]),
        ({"dataset": "Goods", "mode": "update", "key_column": "mail"}, [("no_key_column", "Goods has no column `mail`")]),
        ({"dataset": "Goods", "mode": "upsert", "key_column": "mail"}, []),
        ({"dataset": "Goods", "column": "id"}, []),
        ({"dataset": "Goods", "column": "mail"}, [("no_key_column", "Goods has no column `mail`")]),
        ({"dataset": "Bads", "column": "id"}, [("no_dataset", "There is no dataset called `Bads`.")]),
    ],
)  # fmt: skip
def test_datasets_that_are_not_there_stop_a_deployment_only(config: dict, found: list) -> None:
    goods = KnownDataset("dataset_1", "Goods", {"id": "integer"})
    document = rows_flow(config)
    if "column" in config:
        look = {"type": "look_up_row", "inputs": {"value": "{{ splitter.out.name }}"}}
        nodes = [one.model_copy(update=look) if one.type == "dataset_sink" else one for one in document.nodes]
        document = document.model_copy(update={"nodes": tuple(nodes)})
    missing = missing_datasets(document, [goods])
    assert [(one.code, one.message.startswith(start)) for one, (_, start) in zip(missing, found, strict=True)] == [
        (code, True) for code, _ in found
    ]
    assert not any(one.blocks_import for one in missing)
