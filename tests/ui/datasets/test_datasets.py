"""Pages of datasets: list, paging and search, editing rows, imports with a preview, exports, permissions."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from msgspec.structs import replace
from nicegui import ui
from nicegui.testing import User
from nicegui.testing.user_interaction import UserInteraction

from engine.actions.datasets import add_dataset, delete_dataset, import_rows, rename_column
from engine.actions.flows import create_flow
from engine.actions.workspaces import create_workspace
from storage.dataset_changes import checked_rows
from storage.datasets import (
    ColumnLine,
    DatasetLine,
    as_json,
    find_dataset,
    get_dataset,
    list_datasets,
    page_of_rows,
)
from storage.jobs import JobFilters, JobRow, list_jobs, read_value
from tests.factories import document, greeting, person
from tests.ui.arrange import box, buttons, choose, draft, entries, hrefs, newest_button, page_text, press, texts, until
from tests.ui.conftest import Site
from tests.workbooks import read_workbook
from ui.datasets.words import cell_text, number_text, shown_numbers, sum_line
from ui.kit.text import ENGLISH, Reader

BREAD: list[dict[str, Any]] = [
    {"name": "Rye", "price": 3.2, "organic": True, "tags": ["dark"]},
    {"name": "Roll", "price": 1, "organic": False, "tags": []},
]


def add(site: Site, name: str = "Bread", rows: list[dict[str, Any]] = BREAD) -> str:
    dataset_id = site.database.write_now(add_dataset, site.owner, name)
    if rows:
        site.database.write_now(import_rows, site.owner, dataset_id, checked_rows(rows))
    return dataset_id


def rows_of(site: Site, dataset_id: str) -> list[dict[str, Any]]:
    page = site.database.read_now(page_of_rows, site.workspace_id, dataset_id, offset=0, limit=100)
    return [row.data for row in page.rows]


def jobs_of(site: Site) -> tuple[JobRow, ...]:
    return site.database.read_now(list_jobs, site.workspace_id, JobFilters(environments=("playground",))).jobs


def use(site: Site, dataset_id: str, title: str = "Weekly offers") -> None:
    file = greeting()
    file["nodes"].append({"id": "dataset_source", "type": "dataset_source", "config": {"dataset": dataset_id}})
    site.database.write_now(create_flow, site.owner, title, document(file))


async def drop(user: User, name: str, data: bytes) -> None:
    """Uploads a file in the open import dialog."""
    await user.should_see("Drop a file here, or choose one", retries=100)
    box = max(user.find(kind=ui.upload).elements, key=lambda element: element.id)
    await box.handle_uploads([ui.upload.SmallFileUpload(name, "text/csv", data)])


def cell(user: User, text: str) -> ui.element:
    assert user.client is not None
    return next(
        element
        for element in user.client.elements.values()
        if element.tag == "td" and getattr(element, "text", "") == text
    )


def field(user: User, label: str, kind: type[Any] = ui.input) -> Any:
    """Returns the newest field with this label."""
    assert user.client is not None
    labels = {
        one.html_id: one for one in user.client.elements.values() if (getattr(one, "text", "") or "").startswith(label)
    }
    found = [
        one
        for one in user.client.elements.values()
        if isinstance(one, kind)
        and (one.props.get("aria-labelledby") in labels or one.props.get("aria-label") == label)
    ]
    return max(found, key=lambda element: element.id)


async def test_an_empty_list_says_what_a_dataset_is_and_offers_a_file(site: Site, user: User) -> None:
    await user.open("/datasets")
    said = page_text(user)
    assert "No datasets yet" in said
    assert "Read rows" in said
    assert buttons(user).count("Import a file") == 2


async def test_the_list_tells_rows_columns_and_who_uses_them(site: Site, user: User) -> None:
    use(site, add(site))
    add(site, "Readers", [])
    await user.open("/datasets")
    said = texts(user)
    assert "2 datasets, 2 rows. Flows take rows from them and keep rows in them." in said
    assert [text for text in said if text in {"Bread", "Readers"}] == ["Bread", "Readers"]
    assert "1 flow" in said
    assert "no flow yet" in said
    user.find("Find a dataset").type("reader")
    await user.should_not_see("Bread")


async def test_the_list_follows_what_others_do(site: Site, user: User) -> None:
    dataset_id = add(site)
    await user.open("/datasets")
    site.database.write_now(delete_dataset, site.owner, dataset_id)
    await user.should_see("No datasets yet", retries=80)


async def test_a_table_shows_rows_with_their_types_and_turns_pages(site: Site, user: User) -> None:
    rows = [{"n": number, "word": f"Word {number}", "none": None} for number in range(120)]
    dataset_id = add(site, "Numbers", rows)
    await user.open(f"/datasets/{dataset_id}")
    said = texts(user)
    assert "Mixed" not in said
    for text in ("Numbers", "Whole number", "Text", "Empty", "Word 49", "Rows 1 to 50 of 120"):
        assert text in said
    assert any(text.startswith("120 rows, 3 columns, ") for text in said)
    assert "Word 50" not in said
    press(user, "Next")
    await user.should_see("Rows 51 to 100 of 120", retries=100)
    press(user, "Next")
    await user.should_see("Rows 101 to 120 of 120", retries=100)
    assert not newest_button(user, "Next").enabled
    press(user, "First")
    await user.should_see("Word 0", retries=100)


async def test_a_search_counts_what_it_finds(site: Site, user: User) -> None:
    dataset_id = add(site, "Numbers", [{"word": f"Word {number}"} for number in range(60)])
    await user.open(f"/datasets/{dataset_id}")
    user.find("Search in all rows").type("WORD 5")
    await user.should_see("11 rows found", retries=100)
    assert "Word 4" not in texts(user)
    user.find("Search in all rows").clear().type("nothing like this")
    await user.should_see("No row has this text", retries=100)


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("1,480.50", "1 row found"),
        ("1480.50", "1 row found"),
        ("480.5", "1 row found"),
        ("3.20", "2 rows found"),
        ("4.00", "1 row found"),
        ("0.00", "No row has this text"),
    ],
)
async def test_a_number_is_found_as_it_is_shown(site: Site, user: User, search: str, found: str) -> None:
    rows = [{"p": 1480.5, "n": 1}, {"p": 3.2, "n": 4}, {"p": 4, "n": 4}, {"p": -3.2, "n": 480}, {"p": 10**400, "n": 4}]
    await user.open(f"/datasets/{add(site, 'Prices', rows)}")
    assert {"1,480.50", "3.20", "4.00"} <= set(texts(user))
    user.find("Search in all rows").type(search)
    await user.should_see(found, retries=100)


@pytest.mark.parametrize("reader", [ENGLISH, Reader(".", ","), Reader("\u202f", ",")])
def test_every_part_of_a_number_as_it_is_shown_is_found_in_its_row(reader: Reader) -> None:
    columns = [ColumnLine("p", "number")]
    for value in (
        0,
        4,
        4.0,
        -3.2,
        0.05,
        -0.0,
        10.01,
        20.2,
        1480.5,
        1480,
        1000000,
        1234567.89,
        -12000.07,
        123456789012.3,
    ):
        text = number_text(value, reader, two=True)
        for written in {text, text.replace(reader.thousands, "")}:
            parts = {written[at:to] for at in range(len(written)) for to in range(at + 1, len(written) + 1)}
            for searched in {one.strip() for one in parts}:
                shown = shown_numbers(columns, searched, reader)
                if shown is None:
                    continue
                assert searched in shown.text("p", value), (value, searched)
                for row in ({"p": value}, {"p": value, "q": 1}):
                    assert any(part in as_json(row) for part in shown.parts), (row, searched)


async def test_a_cell_opens_its_row_in_a_form_by_type_and_saves_only_what_changed(site: Site, user: User) -> None:
    dataset_id = add(site, rows=[*BREAD, {"name": "Bun"}])
    await user.open(f"/datasets/{dataset_id}")
    user.find("Bun").click()
    await user.should_see("Row 3")
    field(user, "price").value = "abc"
    press(user, "Save")
    await user.should_see("Write a number, like 0.5")
    field(user, "price").value = "2.5"
    press(user, "Add an item")
    field(user, "tags, item 1", ui.textarea).value = "soft"
    press(user, "Save")
    await user.should_not_see("Row 3", retries=100)
    assert rows_of(site, dataset_id) == [*BREAD, {"name": "Bun", "price": 2.5, "tags": ["soft"]}]


async def test_a_column_of_whole_numbers_takes_a_decimal_and_keeps_whole_ones_whole(site: Site, user: User) -> None:
    dataset_id = add(site, rows=[{"name": "Rye", "price": 1}, {"name": "Roll", "price": 2}])
    await user.open(f"/datasets/{dataset_id}")
    for name, title, typed, kind in (("Rye", "Row 1", "+3", "integer"), ("Roll", "Row 2", "2.5", "number")):
        user.find(name).click()
        await user.should_see(title)
        field(user, "price").value = typed
        press(user, "Save")
        await user.should_not_see(title, retries=100)
        columns = site.database.read_now(get_dataset, site.workspace_id, dataset_id).columns
        assert [(one.name, one.type) for one in columns] == [("name", "string"), ("price", kind)]
    assert json.dumps(rows_of(site, dataset_id)) == json.dumps(
        [{"name": "Rye", "price": 3}, {"name": "Roll", "price": 2.5}]
    )


async def test_a_row_of_columns_that_were_changed_meanwhile_is_refused_with_all_that_is_typed(
    site: Site, user: User
) -> None:
    dataset_id = add(site)
    await user.open(f"/datasets/{dataset_id}")
    user.find("Roll").click()
    await user.should_see("Row 2")
    site.database.write_now(rename_column, site.owner, dataset_id, "price", "cost")
    price = field(user, "price")
    price.value = "5"
    press(user, "Save")
    await user.should_see("The columns were changed meanwhile: “price” is none of them.")
    assert (price.value, price.is_deleted) == ("5", False)
    assert rows_of(site, dataset_id)[1]["cost"] == 1


async def test_what_is_open_and_typed_stays_when_somebody_else_writes_to_the_table(site: Site, user: User) -> None:
    dataset_id = add(site)
    await user.open(f"/datasets/{dataset_id}")
    user.find("Roll").click()
    await user.should_see("Row 2")
    name = field(user, "name")
    name.value = "Bap"
    site.database.write_now(import_rows, site.owner, dataset_id, checked_rows([{"name": "by a flow"}]))
    await user.should_see("by a flow", retries=100)
    assert not name.is_deleted
    press(user, "Save")
    await user.should_not_see("Row 2", retries=100)
    assert [row["name"] for row in rows_of(site, dataset_id)] == ["Rye", "Bap", "by a flow"]


async def test_the_link_to_a_flow_stays_when_a_row_is_changed(site: Site, user: User) -> None:
    dataset_id = add(site)
    use(site, dataset_id)
    await user.open(f"/datasets/{dataset_id}")
    (link,) = (one for one in user.find("Weekly offers").elements if one.tag == "a")
    site.database.write_now(import_rows, site.owner, dataset_id, checked_rows([{"name": "Bun"}]))
    await user.should_see("Bun", retries=100)
    assert not link.is_deleted, "a press on it may have begun"


async def test_the_import_that_an_empty_table_offers_stays_when_somebody_else_writes_to_it(
    site: Site, user: User
) -> None:
    dataset_id = add(site, "Readers", [])
    await user.open(f"/datasets/{dataset_id}")
    press(user, "Import a file")
    await user.should_see("Or paste rows")
    paste = field(user, "Or paste rows", ui.textarea)
    site.database.write_now(import_rows, site.owner, dataset_id, checked_rows([{"name": "by a flow"}]))
    await user.should_see("by a flow", retries=100)
    assert not paste.is_deleted


async def test_a_field_that_is_emptied_is_null(site: Site, user: User) -> None:
    dataset_id = add(site)
    await user.open(f"/datasets/{dataset_id}")
    user.find("Roll").click()
    await user.should_see("Row 2")
    field(user, "price").value = ""
    press(user, "Save")
    await user.should_not_see("Row 2", retries=100)
    assert rows_of(site, dataset_id)[1] == {"name": "Roll", "price": None, "organic": False, "tags": []}


def enter(user: User, element: ui.element) -> None:
    UserInteraction(user, {element}, None).trigger("keydown.enter")


def _takes_enter(element: ui.element) -> bool:
    return any(one.type == "keydown.enter" for one in element._event_listeners.values())


async def test_a_row_is_added_and_a_dataset_without_columns_asks_for_one_first(site: Site, user: User) -> None:
    dataset_id = add(site, "Readers", [])
    await user.open(f"/datasets/{dataset_id}")
    press(user, "Add a row")
    await user.should_see("What you fill in when you add a row", retries=100)
    await user.should_see("A row needs columns to write into.")
    field(user, "Name").value = "mail"
    enter(user, field(user, "Name"))
    await user.should_see("Its columns: mail.", retries=100)
    assert newest_button(user, "Add a column").visible
    press(user, "Add a row")
    await user.should_see("New row")
    field(user, "mail").value = "ada@example.com"
    (form,) = {one for one in user.find(kind=ui.element).elements if "fp-form" in one.classes and _takes_enter(one)}
    enter(user, form)
    await user.should_see("1 row, 1 column.", retries=100)
    assert rows_of(site, dataset_id) == [{"mail": "ada@example.com"}]


async def test_several_rows_are_added_in_one_window(site: Site, user: User) -> None:
    dataset_id = add(site, "Goods", [{"name": "Mug", "price": 12.5}])
    await user.open(f"/datasets/{dataset_id}")
    assert "12.50" in texts(user)
    press(user, "Add a row")
    for at, name in enumerate(("Pot", "Bowl")):
        await user.should_see("Add and next")
        field(user, "name").value = name
        field(user, "price").value = str(1000 + at)
        press(user, "Add and next")
        await until(lambda at=at: len(rows_of(site, dataset_id)) == at + 2)
        await until(lambda: not field(user, "name").value)
    await user.should_see("2 rows are added. Here is the next one.")
    press(user, "Close")

    await user.should_see("1,001.00")
    assert [one["name"] for one in rows_of(site, dataset_id)] == ["Mug", "Pot", "Bowl"]


async def test_a_failure_is_told_until_the_person_goes_on(site: Site, user: User) -> None:
    bread = add(site)
    use(site, "Bread", "By name")
    await user.open(f"/datasets/{bread}")
    choose(user, "Rename...")
    await user.should_see("Rename the dataset")
    field(user, "Name").value = "Loaves"
    press(user, "Rename")
    await user.should_see("“By name” finds this dataset by its name")

    (entry,) = [element for text, element in entries(user) if text == "Rename..."]
    assert entry.menu is not None
    entry.menu.open()
    choose(user, "Rename...")
    await user.should_not_see("“By name” finds this dataset by its name")


async def test_chosen_rows_are_deleted_after_a_question(site: Site, user: User) -> None:
    dataset_id = add(site)
    await user.open(f"/datasets/{dataset_id}")
    assert user.client is not None
    boxes = [one for one in user.client.elements.values() if isinstance(one, ui.checkbox)]
    next(box for box in boxes if box.props["aria-label"] == "Choose row 1").value = True
    await user.should_see("1 row chosen")
    press(user, "Delete...")
    await user.should_see("Delete 1 row?")
    press(user, "Delete")
    await user.should_not_see("Rye", retries=100)
    assert rows_of(site, dataset_id) == BREAD[1:]


async def test_a_file_is_looked_at_before_it_becomes_a_dataset(site: Site, user: User) -> None:
    await user.open("/datasets")
    press(user, "Import a file")
    await user.should_see("Drop a file here, or choose one")
    await drop(user, "price_list.csv", b"name;price\nRye;3.2\nRoll;1\n")
    await user.should_see("2 rows, 2 columns (CSV, semicolons)", retries=100)
    assert site.database.read_now(list_datasets, site.workspace_id) == []
    assert field(user, "Name of the dataset").value == "price list"
    press(user, "Import 2 rows")
    await user.should_see("2 rows, 2 columns.", retries=100)
    (made,) = site.database.read_now(list_datasets, site.workspace_id)
    assert (made.name, made.rows) == ("price list", 2)
    assert rows_of(site, made.id) == [{"name": "Rye", "price": 3.2}, {"name": "Roll", "price": 1}]


async def test_a_file_that_is_no_table_is_refused_with_its_line_and_stores_nothing(site: Site, user: User) -> None:
    await user.open("/datasets")
    press(user, "Import a file")
    await drop(user, "broken.csv", b"name,price\nRye,1\nRoll,2,3\n")
    await user.should_see("Line 3 has 3 values, but there are 2 columns.", retries=100)
    await drop(user, "again.json", b'[{"name": "Rye"}]')
    await user.should_see("1 row, 1 column (JSON)", retries=100)
    field(user, "Name of the dataset").value = " "
    press(user, "Import 1 row")
    await user.should_see("The name is empty.", retries=100)
    assert site.database.read_now(list_datasets, site.workspace_id) == []


async def test_pasted_rows_are_added_or_replace_all(site: Site, user: User) -> None:
    dataset_id = add(site)
    await user.open(f"/datasets/{dataset_id}")
    press(user, "Import")
    await user.should_see("Import into Bread")
    field(user, "Or paste rows", ui.textarea).value = "name\tmaker\nBun\tAda"
    press(user, "Read the text")
    await user.should_see("1 new column: maker. The rows that are there have nothing in it.", retries=100)
    press(user, "Import 1 row")
    await user.should_see("3 rows, 5 columns", retries=100)
    assert rows_of(site, dataset_id) == [*BREAD, {"name": "Bun", "maker": "Ada"}]
    press(user, "Import")
    await user.should_see("Import into Bread", retries=100)
    field(user, "Or paste rows", ui.textarea).value = '{"name": "Only"}'
    press(user, "Read the text")
    await user.should_see("Replace the 3 rows", retries=100)
    max(user.find(kind=ui.toggle).elements, key=lambda element: element.id).value = "replace"
    await user.should_see("The rows and columns that are there now are deleted.")
    press(user, "Import 1 row")
    await user.should_see("1 row, 1 column.", retries=100)
    assert rows_of(site, dataset_id) == [{"name": "Only"}]


async def test_a_file_with_half_of_a_character_in_a_name_is_shown_and_imported(site: Site, user: User) -> None:
    await user.open("/datasets")
    press(user, "Import a file")
    names = ", ".join(f'"c{number}": 1' for number in range(40))
    await drop(user, "odd.json", f'[{{{names}, "a\\ud800": 1}}]'.encode())
    await user.should_see("1 row, 41 columns", retries=100)
    press(user, "Import 1 row")
    await user.should_see("1 row, 41 columns.", retries=100)
    (line,) = site.database.read_now(list_datasets, site.workspace_id)
    assert line.column_names[40] == "a\ufffd"


async def test_a_person_says_whether_the_first_line_holds_names(site: Site, user: User) -> None:
    await user.open("/datasets")
    press(user, "Import a file")
    await drop(user, "names.csv", b"Rye,3\nRoll,1\n")
    await user.should_see("1 row, 2 columns", retries=100)
    max(user.find(kind=ui.switch).elements, key=lambda element: element.id).value = False
    await user.should_see("2 rows, 2 columns", retries=100)
    assert "Column 1" in texts(user)
    press(user, "Another file")
    await drop(user, "more.csv", b"name;age\nCleo;50\n")
    await user.should_see("1 row, 2 columns (CSV, semicolons)", retries=100)


async def test_a_dataset_is_renamed_and_one_in_use_is_deleted_by_typing_its_name(site: Site, user: User) -> None:
    dataset_id = add(site)
    await user.open(f"/datasets/{dataset_id}")
    choose(user, "Rename...")
    await user.should_see("Rename the dataset")
    field(user, "Name").value = "Loaves"
    press(user, "Rename")
    await user.should_not_see("Rename the dataset", retries=100)
    await user.should_see("Loaves", retries=100)
    assert site.database.read_now(get_dataset, site.workspace_id, dataset_id).name == "Loaves"
    use(site, dataset_id)
    await user.open(f"/datasets/{dataset_id}")
    assert "Weekly offers" in texts(user)
    choose(user, "Delete...")
    await user.should_see("1 flow uses it: Weekly offers.")
    assert not newest_button(user, "Delete").enabled
    boxes = [one for one in user.find(kind=ui.input).elements if isinstance(one, ui.input)]
    max(boxes, key=lambda element: element.id).value = "Loaves"
    press(user, "Delete")
    await user.should_see("No datasets yet", retries=100)


async def test_columns_are_renamed_and_removed_from_their_heads(site: Site, user: User) -> None:
    dataset_id = add(site, rows=[{"name": "Rye"}])
    await user.open(f"/datasets/{dataset_id}")
    choose(user, "Rename column...")
    await user.should_see("Rename the column")
    field(user, "Name").value = "title"
    press(user, "Rename")
    await user.should_see("name is now title.", retries=100)
    await user.should_not_see("Rename the column", retries=100)
    choose(user, "Remove column...")
    await user.should_see("Remove column title?")
    press(user, "Remove")
    await user.should_not_see("Rye", retries=100)
    assert rows_of(site, dataset_id) == [{}]


async def test_a_viewer_looks_and_changes_nothing(site: Site) -> None:
    dataset_id = add(site)
    user = await site.sign_in("viewer")
    await user.open("/datasets")
    assert "Import a file" not in buttons(user)
    await user.open(f"/datasets/{dataset_id}")
    assert not {"Import", "Add a row"} & set(buttons(user))
    assert not user.client.elements or not [
        one for one in user.client.elements.values() if isinstance(one, ui.checkbox)
    ]
    user.find("Rye").click()
    await user.should_see("Row 1")
    assert "Save" not in buttons(user)
    assert field(user, "name").props.get("readonly")


def of(site: Site, user: User) -> httpx.AsyncClient:
    """Returns an HTTP client with the signed-in person's session, to download files."""
    browser = site.browser()
    browser.cookies.set("flowport_session", user.http_client.cookies["flowport_session"])
    return browser


async def test_the_rows_are_exported_as_csv_excel_and_json(site: Site, user: User) -> None:
    dataset_id = add(site, "Brot & Käse", [*BREAD, {"name": "=SUM(A1)", "price": None}])
    async with of(site, user) as browser:
        answer = await browser.get(f"/datasets/{dataset_id}/export.csv")
        assert answer.headers["content-disposition"] == 'attachment; filename="brot-k-se.csv"'
        assert answer.text.splitlines() == [
            "\ufeffname,price,organic,tags",
            'Rye,3.2,true,"[""dark""]"',
            "Roll,1,false,[]",
            "'=SUM(A1),,,",
        ]
        answer = await browser.get(f"/datasets/{dataset_id}/export.xlsx")
        assert answer.headers["content-disposition"] == 'attachment; filename="brot-k-se.xlsx"'
        assert list(read_workbook(answer.content).values()) == [
            [
                ["name", "price", "organic", "tags"],
                ["Rye", 3.2, True, '["dark"]'],
                ["Roll", 1.0, False, "[]"],
                ["=SUM(A1)", "", "", ""],
            ]
        ]
        answer = await browser.get(f"/datasets/{dataset_id}/export.json")
        assert json.loads(answer.text) == [*BREAD, {"name": "=SUM(A1)", "price": None}]
        empty = add(site, "Empty", [])
        assert (await browser.get(f"/datasets/{empty}/export.json")).json() == []


async def test_export_is_a_button_that_is_seen_also_by_a_viewer(site: Site, user: User) -> None:
    dataset_id = add(site, "Goods")
    await user.open(f"/datasets/{dataset_id}")
    assert {"Export", "Import", "Add a row"} <= set(buttons(user))
    viewer = await site.sign_in("viewer")
    await viewer.open(f"/datasets/{dataset_id}")
    assert "Export" in buttons(viewer)
    assert "Import" not in buttons(viewer)


@pytest.mark.parametrize("path", ["", "/export.csv", "/export.xlsx", "/export.json"])
async def test_a_strangers_dataset_is_not_there(site: Site, user: User, path: str) -> None:
    other = person(site.database.write_now(create_workspace, "Elsewhere"), name="Mallory")
    theirs = site.database.write_now(add_dataset, other, "Secret")
    mine = add(site)
    async with of(site, user) as browser:
        for address in (theirs, "dataset_unknown"):
            assert (await browser.get(f"/datasets/{address}{path}")).status_code == 404
        if path:
            assert (await browser.get(f"/datasets/Bread{path}")).status_code == 404, "files are named by id"
            assert (await browser.get(f"/datasets/{mine}{path}")).status_code == 200
    async with site.browser() as nobody:
        assert (await nobody.get(f"/datasets/{mine}{path}")).status_code == 303
    assert site.database.read_now(find_dataset, site.workspace_id, theirs) is None


def test_a_small_table_is_summed_up_without_its_size() -> None:
    small = DatasetLine("dataset_a", "Pumps", (), rows=1, bytes=255, created_at=0, updated_at=0)
    assert sum_line(small, ENGLISH) == "1 row, 0 columns"
    assert sum_line(replace(small, bytes=2048), ENGLISH) == "1 row, 0 columns, 2 KB"


def test_a_list_of_texts_is_shown_in_words() -> None:
    assert cell_text(["describe", "picture", 3, True], ENGLISH) == "describe, picture, 3, Yes"
    assert cell_text([], ENGLISH) == "[]"
    assert cell_text([{"a": 1}], ENGLISH) == '[{"a": 1}]'


async def test_a_flow_is_run_over_the_rows_of_a_dataset(site: Site, user: User) -> None:
    dataset_id, flow_id = add(site), site.flow("Greet")
    await user.open(f"/datasets/{dataset_id}")
    press(user, "Run a flow over these rows")
    await user.should_see("It runs once for each row.", retries=100)
    press(user, "Open the flow")
    await user.should_see("Press Run", retries=100)
    assert user.client is not None
    canvas = next(one for one in user.client.elements.values() if type(one).__name__ == "EditableCanvas")
    UserInteraction(user, {canvas}, None).trigger("ready", {"flowId": flow_id, "seq": 0, "kept": 0})
    await until(lambda: "Start 2 runs" in buttons(user))
    chosen = [one.value for one in user.client.elements.values() if isinstance(one, ui.select)]
    assert dataset_id in chosen
    assert "name" in chosen, "the column for the field of the same name"


async def test_without_rows_or_flows_it_is_said_what_to_do_first(site: Site, user: User) -> None:
    empty, full = add(site, "Readers", []), add(site)
    await user.open(f"/datasets/{full}")
    press(user, "Run a flow over these rows")
    await user.should_see("There is no flow yet that could run.", retries=100)
    assert "Open the flow" not in buttons(user)
    site.flow("Greet")
    await user.open(f"/datasets/{empty}")
    press(user, "Run a flow over these rows")
    await user.should_see("There are no rows yet. Add a row or import a file", retries=100)
    assert "Open the flow" not in buttons(user)


async def test_a_filled_table_leads_to_the_flow_that_answers_from_it(site: Site, user: User) -> None:
    empty, prices = add(site, "Empty", []), add(site, "Prices", [{"article": "B-100", "price": 649}])
    await user.open(f"/datasets/{empty}")
    assert "Make a flow that answers from this table" not in page_text(user)
    await user.open(f"/datasets/{prices}")
    path = f"/start?goal=find-one-row&table={prices}"
    assert path in hrefs(user)

    await user.open(path)
    chosen = {one.props.get("aria-label"): one for one in user.find(kind=ui.select).elements}
    assert chosen["In which table should it look?"].value == prices
    column = chosen["In which column does the value stand that is sent?"]
    assert (column.value, list(column.options)) == (None, ["article", "price"])
    press(user, "Make it and run it")
    await user.should_see("Choose a column.")
    column.set_value("article")
    box(user, "What should it look for first?").set_value("b-100")
    press(user, "Make it and run it")
    await until(lambda: jobs_of(site))
    (job,) = jobs_of(site)
    assert site.database.read_now(read_value, job.id, "payload") == {"look_for": "b-100"}
    step = draft(site, str(job.flow_id)).node("look_up_row")
    assert step is not None
    assert step.config == {"dataset": prices, "column": "article"}
