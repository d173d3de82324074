"""Rows in pages and by search, keys, receipts of steps, and a row order that does not depend on the finishing order."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from engine.actions.datasets import (
    add_column,
    add_dataset,
    add_dataset_with_rows,
    change_row,
    delete_dataset,
    delete_rows,
    import_rows,
    remove_column,
    rename_column,
)
from engine.core.clock import MovedClock
from engine.core.do_first import DoFirst
from engine.core.errors import Invalid, NotFound
from engine.jobs.worker.dataset_writes import WorkspaceDatasets
from storage.dataset_changes import RECEIPT_MS, checked_rows, wider, write_from_step
from storage.dataset_columns import drop_columns_of
from storage.dataset_keys import OUT_OF_USE, PIECE_ROWS, find_by_value, key_text
from storage.dataset_pieces import LEFT_MS, tidy_some
from storage.datasets import (
    CHUNK,
    BeingChanged,
    ShownValues,
    as_json,
    each_row,
    find_dataset,
    find_key_column,
    get_dataset,
    hold_dataset,
    list_rows,
    list_sized_rows,
    page_of_rows,
)
from storage.tables import DatasetRow, DatasetWrite
from tests.engine.jobs.world import World, open_world
from tests.factories import person

NUMBERS = [{"n": number, "word": f"Word {number}"} for number in range(25)]
#: More than a transaction writes.
MANY = [{"n": number, "word": f"Word {number}"} for number in range(2 * PIECE_ROWS)]
#: A text whose beginning other keys have, too.
ALIKE = "https://example.com/?q=".ljust(1_000, "a")

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, clock: MovedClock) -> Iterator[World]:
    """One folder for all tests, each of which creates its own datasets."""
    world = open_world(tmp_path_factory.mktemp("datasets"), clock=clock)
    yield world
    world.database.close()


def add(world: World, rows: list[dict[str, Any]], name: str = "") -> str:
    ada = person(world.workspace_id)
    dataset_id = world.write(add_dataset, ada, name or f"Numbers {next(_numbers)}")
    if rows:
        world.write(import_rows, ada, dataset_id, checked_rows(rows))
    return dataset_id


def rows_of(world: World, dataset_id: str) -> list[dict[str, Any]]:
    return [row.data for row in world.read(lambda session: list(each_row(session, world.workspace_id, dataset_id)))]


def step(world: World, dataset: str, mode: Any, key: str, data: dict[str, Any], name: str) -> tuple[str, int, bool]:
    done = world.write(write_from_step, world.workspace_id, dataset, mode, key, data, name)
    return done.action, done.rows, done.again


def test_a_row_is_found_by_a_key_of_any_length(world: World) -> None:
    dataset_id = add(world, [])
    key = "".join(random.choices([chr(code) for code in range(0x4E00, 0x9FA5)], k=1_500))
    said = [step(world, dataset_id, "upsert", "word", {"word": key, "n": n}, f"job:long:{n}") for n in range(2)]
    assert said == [("added", 1, False), ("updated", 1, False)]
    assert rows_of(world, dataset_id) == [{"word": key, "n": 1}]


@pytest.mark.parametrize("stored_by", ["this release", "0.2"])
def test_rows_whose_keys_begin_alike_are_not_taken_for_each_other(world: World, stored_by: str) -> None:
    keys = [ALIKE, f"{ALIKE}1", f"{ALIKE}2"]
    dataset_id = add(world, [{"at": key, "n": number} for number, key in enumerate(keys)])
    step(world, dataset_id, "update", "at", {"at": "none"}, f"{stored_by}:save:first")
    if stored_by == "0.2":
        world.write(
            lambda session: session.execute(
                update(DatasetRow).where(DatasetRow.dataset_id == dataset_id).values(key=ALIKE)
            )
        )
    for number, key in enumerate([*keys, f"{ALIKE}3"]):
        done = step(world, dataset_id, "upsert", "at", {"at": key, "n": number + 10}, f"{stored_by}:save:{number}")
        assert done == ("added" if number == 3 else "updated", 1, False)
    assert [row["n"] for row in rows_of(world, dataset_id)] == [10, 11, 12, 13]


VALUES: list[Any] = [
    5, 5.0, "5", " 5 ", "\t5\x1c", "\u20285\xa0", "05", 55, 0.5, -5, 0, -0.0, 10**16, 1e16, "1e+16", -(10**20), -1e20, 1.5e300, 1e-07,
    True, "true", False, None, "", " ", "a%b_c/d", 'a\\b"c', '\\"', "Größe", "größe", "😀", "\x00", "x" * 99, "x" * 100, "x" * 101,
    ALIKE, f"{ALIKE}1", f"{ALIKE}2", [1, "ö"], '[1,"ö"]', {"b": 1, "a": 2}, {"a": 2, "b": 1}, '{"a":2,"b":1}', "{", 'Größe": 5',
]  # fmt: skip


@pytest.mark.parametrize("column", ["key", 'ä "b" \\ %', "[0-9]*"])
def test_rows_are_found_alike_with_an_index_and_without(world: World, column: str) -> None:
    rows = [{"other": {column: other}, column: value} for value in VALUES for other in ("5", None)]
    rows += [{column: value} for value in VALUES]
    dataset_id = add(world, [*rows, {"other": 5}])
    ids = [row.id for row in world.read(list_rows, world.workspace_id, dataset_id)]
    for row_id, row in list(zip(ids, rows, strict=False))[::3]:  # as 0.2 stored what it changed
        world.write(
            lambda session, at=row_id, row=row: setattr(session.get_one(DatasetRow, at), "data", {**row, "n": 0})
        )

    def found(value: Any, key_column: str) -> list[int]:
        def find(session: Session) -> list[int]:
            dataset = hold_dataset(session, world.workspace_id, dataset_id)
            return list(find_by_value(session, dataset, column, value))

        world.write(
            lambda session: find_by_value(session, hold_dataset(session, world.workspace_id, dataset_id), key_column, 1)
        )
        return world.write(find)

    keys = [value for value in VALUES if key_text(value) is not None]
    wanted = [
        [at for at, row in zip(ids, rows, strict=False) if key_text(row[column]) == key_text(key)] for key in keys
    ]
    assert all(wanted)
    assert [found(key, "other") for key in keys] == wanted, "without an index"
    for _ in range(OUT_OF_USE):
        found(5, column)
    assert [found(key, column) for key in keys] == wanted, "with one"


def test_a_column_that_is_compared_beside_the_key_column_does_not_take_its_place(world: World) -> None:
    dataset_id = add(world, [{"a": f"a{number}", "b": f"b{number}"} for number in range(5)])

    def look(column: str, times: int) -> None:
        def found(session: Session) -> Sequence[int]:
            return find_by_value(
                session, hold_dataset(session, world.workspace_id, dataset_id), column, f"{column[0]}3"
            )

        for _ in range(times):
            assert len(world.write(found)) == 1

    for _ in range(OUT_OF_USE):
        look("a", 1)
        look("b", 2)
    assert world.read(find_key_column, world.workspace_id, dataset_id) == "a"
    look("b", OUT_OF_USE)
    assert world.read(find_key_column, world.workspace_id, dataset_id) == "b"


def test_a_dataset_is_found_by_id_before_name_and_never_a_strangers(world: World) -> None:
    dataset_id = add(world, NUMBERS, "Numbers")
    other = add(world, [], dataset_id)  # a dataset whose name is another one's id
    assert world.read(find_dataset, world.workspace_id, dataset_id).id == dataset_id
    assert world.read(find_dataset, world.workspace_id, "Numbers").id == dataset_id
    assert world.read(find_dataset, world.workspace_id, other).id == other
    assert world.read(find_dataset, "ws_other", dataset_id) is None
    with pytest.raises(NotFound):
        world.read(get_dataset, world.workspace_id, "numbers")


def test_rows_come_in_order_piece_by_piece(world: World) -> None:
    many = [{"n": number} for number in range(CHUNK + 1)]
    dataset_id = add(world, many)
    add(world, [{"n": -1}])
    assert rows_of(world, dataset_id) == many
    assert world.read(list_rows, "ws_other", dataset_id) == []
    sized = world.read(list_sized_rows, world.workspace_id, dataset_id, limit=2)
    assert [(row.data["n"], row.size) for row in sized] == [(0, 7), (1, 7)]


def test_pages_and_search_count_what_fits(world: World) -> None:
    dataset_id = add(world, [*NUMBERS, {"n": 99, "word": 'a "b" ÄÖ\n', "tags": ["Word"]}])
    page = world.read(page_of_rows, world.workspace_id, dataset_id, offset=20, limit=3)
    assert ([row.data["n"] for row in page.rows], page.total) == ([20, 21, 22], 26)
    for text, found, total in (
        ("wORD 1", [1, 10], 11),
        ("19", [19], 1),
        ("äö", [99], 1),
        ('"b"', [99], 1),
        ("tags", [], 0),
        ('["word', [99], 1),
        ("nothing", [], 0),
    ):
        page = world.read(page_of_rows, world.workspace_id, dataset_id, offset=0, limit=2, search=text)
        assert ([row.data["n"] for row in page.rows], page.total) == (found, total), text
    assert world.read(page_of_rows, "ws_other", dataset_id, offset=0, limit=2).total == 0
    assert world.read(page_of_rows, "ws_other", dataset_id, offset=0, limit=2, search="word").total == 0


def test_only_rows_with_the_digits_of_a_search_are_read_as_they_are_shown(world: World) -> None:
    dataset_id = add(world, [*NUMBERS, {"n": 1480.5}])
    seen: list[Any] = []

    def shown(_name: str, value: Any) -> str:
        seen.append(value)
        return f"{value:,.2f}"

    page = world.read(
        page_of_rows,
        world.workspace_id,
        dataset_id,
        offset=0,
        limit=2,
        search="1,480.50",
        shown=ShownValues(shown, ("1480.5,", "1480.5}")),
    )
    assert ([row.data for row in page.rows], page.total, seen) == ([{"n": 1480.5}], 1, [1480.5])


@pytest.mark.parametrize("changed_by", ["this release", "0.2"])
def test_a_row_that_was_changed_is_found_by_any_letters(world: World, changed_by: str) -> None:
    dataset_id, ada = add(world, [{"word": "Rye"}, {"word": "Roll"}]), person(world.workspace_id)
    (rye, _) = world.read(list_rows, world.workspace_id, dataset_id)
    if changed_by == "0.2":
        row = {"word": "Größe"}
        world.write(lambda session: setattr(session.get_one(DatasetRow, rye.id), "data", row))
    else:
        world.write(change_row, ada, dataset_id, rye.id, {"word": "Größe"})
    for search in ("größe", "GRÖSSE", "öß"):
        page = world.read(page_of_rows, world.workspace_id, dataset_id, offset=0, limit=9, search=search)
        assert [row.data for row in page.rows] == [{"word": "Größe"}]


def test_a_column_of_a_job_stays_while_a_row_has_a_value_in_it(world: World) -> None:
    dataset_id = add(world, [])
    step(world, dataset_id, "append", "", {"Größe": 5, "Höhe": 1}, "job:save:1")
    (row,) = world.read(list_rows, world.workspace_id, dataset_id)
    world.write(lambda session: setattr(session.get_one(DatasetRow, row.id), "data", {"Größe": 7}))  # as 0.2 stored it
    world.write(lambda session: drop_columns_of(session, hold_dataset(session, world.workspace_id, dataset_id), "job"))
    assert world.read(get_dataset, world.workspace_id, dataset_id).column_names == ("Größe",)


HALF, WHOLE = "\ud800!", "\ufffd!"


def test_names_and_keys_hold_no_half_of_a_character(world: World) -> None:
    dataset_id, ada = add(world, []), person(world.workspace_id)
    new = checked_rows([{HALF: 1, "b": HALF, "c": [{HALF: HALF}]}], [HALF, "b", "c"])
    world.write(import_rows, ada, dataset_id, new)
    found = [
        step(world, dataset_id, "upsert", "b", {"b": HALF, HALF: n}, f"half:{at}:")[0] for at, n in enumerate((2, 2, 3))
    ]
    assert found == ["updated", "unchanged", "updated"]
    line = world.read(get_dataset, world.workspace_id, dataset_id)
    assert line.column_names == (WHOLE, "b", "c")
    assert rows_of(world, dataset_id) == [{WHOLE: 3, "b": WHOLE, "c": [{WHOLE: WHOLE}]}]


def test_a_column_that_0_2_stored_with_half_of_a_character_has_the_name_that_its_rows_have(world: World) -> None:
    dataset_id = add(world, [{WHOLE: 1}])
    columns = [{"name": HALF, "type": "integer"}]
    world.write(lambda session: setattr(hold_dataset(session, world.workspace_id, dataset_id), "columns", columns))
    assert world.read(get_dataset, world.workspace_id, dataset_id).column_names == (WHOLE,)
    world.write(rename_column, person(world.workspace_id), dataset_id, WHOLE, "whole")
    assert rows_of(world, dataset_id) == [{"whole": 1}]
    assert world.read(get_dataset, world.workspace_id, dataset_id).column_names == ("whole",)


def test_a_step_writes_once_however_often_it_comes(world: World) -> None:
    dataset_id = add(world, [])
    for _ in range(3):
        step(world, dataset_id, "append", "", {"a": 1}, "job_1:sink:0")
    step(world, dataset_id, "append", "", {"a": 1}, "job_1:sink:1")
    assert rows_of(world, dataset_id) == [{"a": 1}, {"a": 1}]
    assert step(world, dataset_id, "upsert", "a", {"a": 2}, "job_2:sink:") == ("added", 1, False)
    assert step(world, dataset_id, "upsert", "a", {"a": 2}, "job_2:sink:") == ("added", 0, True)
    assert step(world, dataset_id, "upsert", "a", {"a": 2}, "job_3:sink:") == ("unchanged", 1, False)


def test_update_changes_what_is_there_and_upsert_adds_what_is_not(world: World) -> None:
    dataset_id = add(world, [{"id": 5, "name": "Rye", "old": True}, {"id": "5", "name": "Rye again"}])
    assert step(world, dataset_id, "update", "id", {"id": 5.0, "name": "Roll"}, "j:s:1") == ("updated", 2, False)
    assert step(world, dataset_id, "update", "id", {"id": 6, "name": "Cake"}, "j:s:2") == ("not_found", 0, False)
    assert step(world, dataset_id, "upsert", "id", {"id": 6, "name": "Cake"}, "j:s:3") == ("added", 1, False)
    assert step(world, dataset_id, "update", "name", {"name": "Cake", "price": 2}, "j:s:4") == ("updated", 1, False)
    assert rows_of(world, dataset_id) == [
        {"id": 5.0, "name": "Roll", "old": True},
        {"id": 5.0, "name": "Roll"},
        {"id": 6, "name": "Cake", "price": 2},
    ]
    for empty in (None, "", "  "):
        with pytest.raises(Invalid, match="is the column to compare"):
            step(world, dataset_id, "upsert", "id", {"id": empty}, "j:s:5")


def test_leave_keeps_the_row_that_is_there_and_adds_what_is_not(world: World) -> None:
    dataset_id = add(world, [{"id": 5, "name": "Rye"}])
    assert step(world, dataset_id, "leave", "id", {"id": "5", "name": "Roll"}, "j:s:1") == ("kept", 0, False)
    assert step(world, dataset_id, "leave", "id", {"id": 6, "name": "Cake"}, "j:s:2") == ("added", 1, False)
    assert step(world, dataset_id, "leave", "id", {"id": 6, "name": "Tart"}, "k:s:2") == ("kept", 0, False)
    assert rows_of(world, dataset_id) == [{"id": 5, "name": "Rye"}, {"id": 6, "name": "Cake"}]
    with pytest.raises(Invalid, match="is the column to compare"):
        step(world, dataset_id, "leave", "id", {"id": None}, "j:s:5")


@pytest.mark.parametrize("seed", range(2))
def test_of_items_with_one_key_the_first_is_kept_whatever_order_they_end_in(world: World, seed: int) -> None:
    dataset_id = add(world, [])
    items = list(enumerate(["a", "b", "a", "c", "a", "b"]))
    random.Random(seed).shuffle(items)
    for index, key in items:
        step(world, dataset_id, "leave", "key", {"key": key, "index": index}, f"job_1:sink:0/{index}")
    assert {row["key"]: row["index"] for row in rows_of(world, dataset_id)} == {"a": 0, "b": 1, "c": 3}
    assert len(rows_of(world, dataset_id)) == 3


@pytest.mark.parametrize("seed", range(5))
def test_items_with_one_key_leave_the_last_items_values_whatever_order_they_end_in(world: World, seed: int) -> None:
    dataset_id = add(world, [])
    items = list(enumerate(["a", "b", "a", "c", "a", "b"]))
    random.Random(seed).shuffle(items)
    for index, key in items:
        step(world, dataset_id, "upsert", "key", {"key": key, "index": index}, f"job_1:sink:0/{index}")
    assert {row["key"]: row["index"] for row in rows_of(world, dataset_id)} == {"a": 4, "b": 5, "c": 3}
    assert len(rows_of(world, dataset_id)) == 3
    step(world, dataset_id, "upsert", "key", {"key": "a", "index": 0}, "job_2:sink:0/0")
    assert rows_of(world, dataset_id)[[row["key"] for row in rows_of(world, dataset_id)].index("a")]["index"] == 0


def test_receipts_are_forgotten_when_no_job_can_come_again(world: World, clock: MovedClock) -> None:
    dataset_id = add(world, [])
    for number in range(3):
        step(world, dataset_id, "append", "", {"n": number}, f"old:sink:{number}")
    clock.offset += RECEIPT_MS + 1
    for number in range(10):  # each write purges a few
        step(world, dataset_id, "append", "", {"n": 3}, f"new:sink:{number}")
    mine = select(DatasetWrite.id).where(DatasetWrite.dataset_id == dataset_id)
    left = world.read(lambda session: set(session.scalars(mine)))
    assert left == {f"new:sink:{number}" for number in range(10)}


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, None, 2], "integer"), ([1, 2.5], "number"), ([2.5, 1], "number"), (["a", "b"], "string"), ([True], "boolean"),
        ([1, "a"], "mixed"), ([True, 1], "mixed"), ([[1]], "array"), ([{}], "object"), ([None], ""), (["a", 1, "b"], "mixed"),
    ],
)  # fmt: skip
def test_a_column_has_the_type_of_all_its_values(values: list[Any], kind: str) -> None:
    found = ""
    for value in values:
        found = wider(found, value)
    assert found == kind


def test_keys_compare_what_a_person_takes_for_the_same() -> None:
    assert key_text(5) == key_text(5.0) == key_text("5") == key_text(" 5 ") == "5"
    assert key_text(True) == "true"
    assert key_text({"b": 1, "a": 2}) == key_text({"a": 2, "b": 1})
    assert key_text("007") != key_text(7)
    assert [key_text(empty) for empty in (None, "", "  ")] == [None] * 3
    assert key_text("x" * 1_000) == "x" * 1_000
    assert len(key_text("x" * 5_000) or "") < 1_000


def test_every_pair_of_orders_gives_the_same_columns(world: World) -> None:
    rows = [{"a": 1, "b": "x"}, {"a": 2.5}, {"b": 1}]
    found = set()
    for number, order in enumerate(itertools.permutations(rows)):
        dataset_id = add(world, list(order), f"Order {number}")
        line = world.read(get_dataset, world.workspace_id, dataset_id)
        found.add(frozenset((column.name, column.type) for column in line.columns))
    assert found == {frozenset({("a", "number"), ("b", "mixed")})}


CHANGES: dict[str, Any] = {
    "append": (import_rows, checked_rows(MANY), "append"),
    "replace": (import_rows, checked_rows(MANY), "replace"),
    "rename": (rename_column, "n", "number"),
    "remove": (remove_column, "n"),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_in_pieces_is_seen_as_a_whole_or_never(world: World, clock: MovedClock, change: str) -> None:
    ada, dataset_id = person(world.workspace_id), add(world, MANY)
    before = world.read(get_dataset, world.workspace_id, dataset_id)
    work, *given = CHANGES[change]

    async def begun() -> None:
        with pytest.raises(DoFirst) as first:
            await world.database.write(work, ada, dataset_id, *given)
        first.value.work()

    await begun()  # and the process ends before the last transaction
    assert rows_of(world, dataset_id) == MANY
    for other in ((add_column, "more", "string"), (delete_rows, [1]), (import_rows, checked_rows([{"n": 1}]))):
        with pytest.raises(BeingChanged):
            world.write(other[0], ada, dataset_id, *other[1:])
    world.write(tidy_some)
    with pytest.raises(BeingChanged):
        step(world, dataset_id, "append", "", {"n": 1}, "job:early:")
    clock.offset += LEFT_MS + 1_000
    while world.write(tidy_some):
        pass
    assert world.read(get_dataset, world.workspace_id, dataset_id) == before
    assert rows_of(world, dataset_id) == MANY

    await begun()
    steps = WorkspaceDatasets(world.database, world.workspace_id)
    waiting = asyncio.create_task(steps.write(dataset_id, "append", "", {"word": "late"}, "job:late:"))
    world.write(work, ada, dataset_id, *given)
    assert await waiting == "added"
    there = {"append": MANY * 2, "rename": [{"number": row["n"], "word": row["word"]} for row in MANY]}
    there["remove"] = [{"word": row["word"]} for row in MANY]
    assert rows_of(world, dataset_id) == [*there.get(change, MANY), {"word": "late"}]
    now_there = world.read(get_dataset, world.workspace_id, dataset_id)
    assert now_there.rows == len(rows_of(world, dataset_id))
    assert now_there.bytes == sum(len(as_json(row)) for row in rows_of(world, dataset_id))
    assert (now_there.column_names == before.column_names) == (change in ("append", "replace"))


async def test_a_new_dataset_of_many_rows_is_there_with_all_of_them_or_never(world: World, clock: MovedClock) -> None:
    ada, new = person(world.workspace_id), checked_rows(MANY)
    with pytest.raises(DoFirst) as first:
        await world.database.write(add_dataset_with_rows, ada, "Many", new)
    first.value.work()
    assert world.read(find_dataset, world.workspace_id, "Many") is None
    clock.offset += LEFT_MS + 1_000
    while world.write(tidy_some):
        pass
    dataset_id = world.write(add_dataset_with_rows, ada, "Many", new)
    assert rows_of(world, dataset_id) == MANY
    world.write(delete_dataset, ada, dataset_id)
    assert world.read(find_dataset, world.workspace_id, dataset_id) is None


def test_rows_are_found_by_their_keys_after_a_change_in_pieces(world: World) -> None:
    ada, dataset_id = person(world.workspace_id), add(world, MANY[:5])
    assert step(world, dataset_id, "update", "word", {"word": "Word 3", "n": -3}, "job:keys:1") == ("updated", 1, False)
    world.write(import_rows, ada, dataset_id, checked_rows(MANY[5:]))
    world.write(rename_column, ada, dataset_id, "word", "text")
    last = MANY[-1]["word"]
    assert step(world, dataset_id, "update", "text", {"text": last, "n": -1}, "job:keys:2") == ("updated", 1, False)
    assert step(world, dataset_id, "update", "text", {"text": "Word 3", "n": 3}, "job:keys:3") == ("updated", 1, False)
    assert rows_of(world, dataset_id)[-1] == {"n": -1, "text": last}
