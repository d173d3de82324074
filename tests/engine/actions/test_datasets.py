"""Actions on datasets: names, imports, edited rows and columns, permissions, and flows that use a dataset."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from engine.actions.datasets import (
    add_column,
    add_dataset,
    add_row,
    change_row,
    delete_dataset,
    delete_rows,
    import_rows,
    remove_column,
    rename_column,
    rename_dataset,
)
from engine.actions.deployments import deploy
from engine.actions.flows import create_flow, delete_flow, save_as, save_draft
from engine.core.errors import Conflict, Invalid, NotAllowed, NotFound, TooLarge
from storage import dataset_changes
from storage.audit import list_entries
from storage.dataset_changes import checked_rows, checked_texts, with_keys, write_from_step
from storage.dataset_uses import list_uses
from storage.datasets import ColumnLine, find_key_column, get_dataset, list_datasets, page_of_rows
from tests.factories import document, greeting, person

BREAD = [{"name": "Rye", "price": 3.2}, {"name": "Roll", "price": 1}]


@pytest.fixture
def bread(database, ada):
    """A dataset with two rows."""
    dataset_id = database.write_now(add_dataset, ada, "Bread")
    database.write_now(import_rows, ada, dataset_id, checked_rows(BREAD))
    return dataset_id


def rows_of(database, ada, dataset_id) -> list[dict[str, Any]]:
    page = database.read_now(page_of_rows, ada.workspace_id, dataset_id, offset=0, limit=100)
    return [row.data for row in page.rows]


def ids_of(database, ada, dataset_id) -> list[int]:
    return [row.id for row in database.read_now(page_of_rows, ada.workspace_id, dataset_id, offset=0, limit=100).rows]


def columns_of(database, ada, dataset_id) -> list[tuple[str, str]]:
    return [(one.name, one.type) for one in database.read_now(get_dataset, ada.workspace_id, dataset_id).columns]


def test_an_import_brings_its_columns_and_counts(database, ada, bread):
    line = database.read_now(get_dataset, ada.workspace_id, bread)
    assert [(one.name, one.type) for one in line.columns] == [("name", "string"), ("price", "number")]
    assert (line.name, line.rows, line.bytes) == (
        "Bread",
        2,
        len('{"name":"Rye","price":3.2}{"name":"Roll","price":1}'),
    )


def test_an_import_adds_or_replaces(database, ada, bread):
    more = [{"name": "Cake", "tags": ["sweet"]}]
    assert database.write_now(import_rows, ada, bread, checked_rows(more, ("tags", "name"))) == 3
    assert columns_of(database, ada, bread) == [("name", "string"), ("price", "number"), ("tags", "array")]
    assert database.write_now(import_rows, ada, bread, checked_rows(more, ("tags", "name")), "replace") == 1
    assert columns_of(database, ada, bread) == [("tags", "array"), ("name", "string")]
    assert rows_of(database, ada, bread) == more


def test_the_write_of_an_import_builds_no_row_again_for_its_key(database, ada, bread):
    database.write_now(write_from_step, ada.workspace_id, "Bread", "upsert", "name", BREAD[0], "job_1:node:0")
    column = database.read_now(find_key_column, ada.workspace_id, bread)
    new = with_keys(checked_texts(['{"name":"Cake","price":2}']), column)
    built_again = replace(new, rows=[{}])  # the keys of these rows would be others
    database.write_now(import_rows, ada, bread, built_again)
    cake = {"name": "Cake", "price": 5}
    wrote = database.write_now(write_from_step, ada.workspace_id, "Bread", "update", "name", cake, "job_2:node:0")
    assert (wrote.action, rows_of(database, ada, bread)) == ("updated", [*BREAD, cake])


def test_a_refused_import_changes_nothing(database, ada, bread, monkeypatch):
    monkeypatch.setattr(dataset_changes, "MAX_ROWS", 3)
    before = database.read_now(get_dataset, ada.workspace_id, bread)
    with pytest.raises(TooLarge, match="would have 4 rows"):
        database.write_now(import_rows, ada, bread, checked_rows(BREAD))
    assert database.read_now(get_dataset, ada.workspace_id, bread) == before
    assert rows_of(database, ada, bread) == BREAD


@pytest.mark.parametrize(
    ("row", "refusal"),
    [
        ({"": 1}, Invalid),
        ({"x" * 201: 1}, Invalid),
        ({f"c{n}": 1 for n in range(201)}, Invalid),
        ({"text": "x" * (1 << 20)}, TooLarge),
    ],
)
def test_rows_beyond_the_limits_are_refused(database, ada, bread, row, refusal):
    with pytest.raises(refusal) as refused:
        database.write_now(import_rows, ada, bread, checked_rows([row]))
    assert refused.value.remedy


def test_a_name_is_taken_once_capitals_or_not(database, ada, stranger, bread):
    for taken in ("Bread", " bread "):
        with pytest.raises(Conflict, match="exists already"):
            database.write_now(add_dataset, ada, taken)
    for wrong in ("", "  ", "x" * 101):
        with pytest.raises(Invalid):
            database.write_now(add_dataset, ada, wrong)
    database.write_now(rename_dataset, ada, bread, "BREAD")
    database.write_now(add_dataset, stranger, "Bread")
    assert [one.name for one in database.read_now(list_datasets, ada.workspace_id)] == ["BREAD"]


def test_rows_are_added_changed_and_deleted_by_hand(database, ada, bread):
    row_id = database.write_now(add_row, ada, bread, {"name": "Cake", "price": 24})
    assert database.write_now(change_row, ada, bread, row_id, {"price": None, "name": "\ud800!"})
    assert rows_of(database, ada, bread)[-1] == {"name": "\ufffd!", "price": None}
    assert not database.write_now(change_row, ada, bread, row_id, {"price": None})
    assert database.write_now(delete_rows, ada, bread, [row_id, 999_999]) == 1
    assert rows_of(database, ada, bread) == BREAD
    with pytest.raises(NotFound, match="deleted meanwhile"):
        database.write_now(change_row, ada, bread, row_id, {"price": 1})
    line = database.read_now(get_dataset, ada.workspace_id, bread)
    assert line.bytes == len('{"name":"Rye","price":3.2}{"name":"Roll","price":1}')


def test_an_open_form_brings_no_column_back_that_was_renamed_or_removed(database, ada, bread):
    rye, _ = ids_of(database, ada, bread)
    database.write_now(rename_column, ada, bread, "price", "cost")
    for change in ((change_row, rye), (add_row,)):
        with pytest.raises(Conflict, match="“price” is none of them"):
            database.write_now(change[0], ada, bread, *change[1:], {"name": "Bun", "price": 5})
    assert database.write_now(change_row, ada, bread, rye, {"name": "Bun"})
    assert columns_of(database, ada, bread) == [("name", "string"), ("cost", "number")]
    assert rows_of(database, ada, bread)[0] == {"name": "Bun", "cost": 3.2}


def test_an_open_form_never_means_a_row_that_came_later(database, ada, bread):
    _, roll = ids_of(database, ada, bread)
    database.write_now(import_rows, ada, bread, checked_rows([{"name": "Bun"}, {"name": "Bagel"}]), "replace")
    with pytest.raises(NotFound, match="deleted meanwhile"):
        database.write_now(change_row, ada, bread, roll, {"price": 2})
    assert database.write_now(delete_rows, ada, bread, [roll]) == 0
    assert rows_of(database, ada, bread) == [{"name": "Bun"}, {"name": "Bagel"}]

    ids = ids_of(database, ada, bread)
    for _ in range(3):
        database.write_now(delete_rows, ada, bread, ids)
        later = [database.write_now(add_row, ada, bread, {"name": "Bap"}) for _ in range(2)]
        assert min(later) > max(ids), "the last row of all was deleted, and its id is not given again"
        ids = later


def test_columns_are_added_renamed_and_removed_with_their_values(database, ada, bread):
    database.write_now(add_column, ada, bread, "sold", "boolean")
    assert columns_of(database, ada, bread)[-1] == ("sold", "boolean")
    database.write_now(rename_column, ada, bread, "name", "title")
    assert rows_of(database, ada, bread)[0] == {"title": "Rye", "price": 3.2}
    database.write_now(remove_column, ada, bread, "price")
    assert columns_of(database, ada, bread) == [("title", "string"), ("sold", "boolean")]
    assert rows_of(database, ada, bread) == [{"title": "Rye"}, {"title": "Roll"}]
    assert database.read_now(get_dataset, ada.workspace_id, bread).bytes == len('{"title":"Rye"}{"title":"Roll"}')
    with pytest.raises(Conflict):
        database.write_now(add_column, ada, bread, "sold", "string")
    with pytest.raises(Invalid):
        database.write_now(remove_column, ada, bread, "price")


def test_a_dataset_made_by_hand_begins_with_columns(database, ada):
    dataset_id = database.write_now(
        add_dataset, ada, "Leads", (ColumnLine("mail", "string"), ColumnLine("age", "integer"))
    )
    assert columns_of(database, ada, dataset_id) == [("mail", "string"), ("age", "integer")]


@pytest.mark.parametrize(
    "verb",
    [
        lambda who, one: (add_dataset, who, "Mine"),
        lambda who, one: (rename_dataset, who, one, "Mine"),
        lambda who, one: (delete_dataset, who, one),
        lambda who, one: (import_rows, who, one, checked_rows([{"a": 1}]), "replace"),
        lambda who, one: (add_row, who, one, {"a": 1}),
        lambda who, one: (change_row, who, one, 1, {"a": 1}),
        lambda who, one: (delete_rows, who, one, [1, 2]),
        lambda who, one: (add_column, who, one, "a", "string"),
        lambda who, one: (rename_column, who, one, "name", "a"),
        lambda who, one: (remove_column, who, one, "name"),
    ],
)
def test_viewers_only_look_and_strangers_find_nothing(database, ada, stranger, bread, verb):
    work, *args = verb(person(ada.workspace_id, "viewer"), bread)
    with pytest.raises(NotAllowed):
        database.write_now(work, *args)
    work, *args = verb(stranger, bread)
    if work is not add_dataset:
        with pytest.raises(NotFound):
            database.write_now(work, *args)
    assert rows_of(database, ada, bread) == BREAD
    database.write_now(delete_rows, person(ada.workspace_id, "editor"), bread, [1])


def using(dataset: Any, kind: str = "dataset_source", **changes: Any) -> dict[str, Any]:
    """A flow file with a node of a dataset, which is parked: a draft contains it, a version does not."""
    file = greeting(**changes)
    file["nodes"].append({"id": "dataset_source", "type": kind, "config": {"dataset": dataset}})
    return file


def test_flows_that_use_a_dataset_are_known_by_draft_and_version(database, ada, stranger, bread):
    by_id = database.write_now(create_flow, ada, "By id", document(using(bread, "look_up_row")))
    by_name = database.write_now(create_flow, ada, "By name", document(using("Bread")))
    database.write_now(create_flow, ada, "Other", document(using("Cakes")))
    database.write_now(create_flow, stranger, "Theirs", document(using(bread)))
    wrong = using({"not": "a name"})
    wrong["nodes"].append(
        {"id": "agent", "type": "agent", "config": {"tools": [5, {"kind": "dataset", "dataset": []}]}}
    )
    database.write_now(create_flow, ada, "Of a wrong form", document(wrong))
    uses = database.read_now(list_uses, ada.workspace_id)
    assert [(use.title, use.live, use.by_name) for use in uses[bread]] == [
        ("By id", False, False),
        ("By name", False, True),
    ]
    with pytest.raises(Conflict, match="“By name” finds this dataset by its name"):
        database.write_now(rename_dataset, ada, bread, "Loaves")
    with pytest.raises(Conflict, match="“By id”, “By name” use this dataset"):
        database.write_now(delete_dataset, ada, bread)
    database.write_now(delete_flow, ada, by_name)
    database.write_now(rename_dataset, ada, bread, "Loaves")
    database.write_now(save_as, ada, by_id, "By id")
    database.write_now(save_draft, ada, by_id, document(greeting()), 1)
    database.write_now(deploy, ada, by_id)
    assert bread not in database.read_now(list_uses, ada.workspace_id), (
        "the newest version and the draft use it no more"
    )


def test_a_flow_of_a_template_follows_the_new_name_of_its_dataset(database, ada, bread):
    tools = {"tools": [{"kind": "dataset", "dataset": "Bread", "name": "look_up"}]}
    file = using("Bread")
    file["nodes"].append({"id": "agent", "type": "agent", "config": tools})
    database.write_now(create_flow, ada, "Bakery", document(file), template="bakery")
    assert [(use.title, use.by_name) for use in database.read_now(list_uses, ada.workspace_id)[bread]] == [
        ("Bakery", False)
    ]
    database.write_now(rename_dataset, ada, bread, "Loaves")


def test_a_used_dataset_can_be_deleted_all_the_same(database, ada, bread):
    database.write_now(create_flow, ada, "By id", document(using(bread)))
    database.write_now(delete_dataset, ada, bread, "delete")
    assert database.read_now(list_datasets, ada.workspace_id) == []
    assert rows_of(database, ada, bread) == []


def test_the_audit_log_says_what_was_done(database, ada, bread):
    database.write_now(rename_dataset, ada, bread, "Loaves")
    database.write_now(delete_rows, ada, bread, ids_of(database, ada, bread)[:1])
    database.write_now(delete_dataset, ada, bread)
    entries = database.read_now(list_entries, ada.workspace_id)
    assert [(one.verb, one.detail) for one in entries if one.subject == bread] == [
        ("delete dataset", "Loaves: 1 rows"),
        ("delete rows", "Loaves: 1 row"),
        ("rename dataset", "Bread is now Loaves"),
        ("import rows", "Bread: append 2 rows"),
        ("create dataset", "Bread"),
    ]
