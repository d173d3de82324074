"""Tests of a batch in the Playground: column mapping, one job per row, pause, stop, retry of failed rows, and the CSV
file.
"""

from __future__ import annotations

import csv
import io
import re
from typing import Any

import pytest
from nicegui import ui
from nicegui.testing import User
from nicegui.testing.user_interaction import UserInteraction
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from engine.actions.datasets import add_dataset, change_row, delete_rows, import_rows
from engine.actions.playground_batches import begin_playground_batch
from engine.actions.questions import Answer, answer_question
from engine.flow.dataset_payloads import fitted, match_columns, payload_of_row
from engine.flow.edits import update_node
from engine.nodes.model_answers import SAME_TEXTS
from engine.playground_batches.rows import ListedRows, RowsThatRan
from storage import tables
from storage.batches import PlaygroundBatchRow, environments_with_waiting_items, find_playground_batch, list_batch_runs
from storage.dataset_changes import checked_rows
from storage.datasets import find_dataset, list_rows
from storage.playground_batches import find_newest_batch
from storage.questions import list_open_questions
from storage.tables import Job
from tests.factories import document
from tests.logical_time import pass_time
from tests.ui.arrange import buttons, draft, newest_button, page_text, press, texts, until
from tests.ui.conftest import Site
from tests.ui.datasets.test_datasets import drop
from tests.ui.playground.inspector.test_inspector import change
from tests.ui.playground.runs import Did, end_run, working
from tests.ui.playground.test_run_panel import FLOW, field, jobs, named, opened, payload, push
from tests.workbooks import read_workbook
from ui.parts.job_words import version_words

FIELDS = [{"name": "who", "type": "string", "required": True}, {"name": "max_pages", "type": "integer"}]
READING: dict[str, Any] = {
    "format": 1,
    "title": "Read",
    "nodes": [
        {"id": "api_input", "type": "api_input", "config": {"fields": [{"name": "text", "type": "string"}]}},
        {"id": "parse_json", "type": "parse_json", "label": "Read", "inputs": {"text": "{{ api_input.out.text }}"}},
    ],
    "edges": [{"id": "e1", "source": "api_input", "target": "parse_json"}],
}


def test_columns_are_laid_on_fields_by_their_names():
    assert match_columns(FIELDS, ["Max Pages", "WHO", "other"]) == {"who": "WHO", "max_pages": "Max Pages"}
    text = [{"name": "text"}]
    assert match_columns(text, ["From", "E-mail Text", "Texts"]) == {"text": "E-mail Text"}
    assert match_columns(text, ["text 1", "e-mail_text"]) == match_columns(text, ["a", "b"]) == {}
    assert match_columns(text, ["Nachricht"]) == {"text": "Nachricht"}
    assert match_columns([*text, {"name": "who"}], ["From", "E-mail text"]) == {}, (
        "of several fields nothing is guessed"
    )
    row = {"WHO": 7, "Max Pages": " 12 ", "other": 1}
    assert payload_of_row(row, FIELDS, {"who": "WHO", "max_pages": "Max Pages"}) == {"who": "7", "max_pages": 12}
    assert payload_of_row({"WHO": "", "p": ""}, FIELDS, {"who": "WHO", "max_pages": "p"}) == {"who": ""}


@pytest.mark.parametrize(
    ("value", "kind", "fits"),
    [
        ("5", "integer", 5),
        (5.0, "integer", 5),
        ("5.5", "integer", "5.5"),
        ("-0.5", "number", -0.5),
        ("1e9", "number", "1e9"),
        ("Yes", "boolean", True),
        ("maybe", "boolean", "maybe"),
        (["a"], "string", '["a"]'),
        ("", "integer", None),
        ("9" * 40, "integer", "9" * 40),
        (-(2.0**63), "integer", -(2**63)),
        (2.0**63, "integer", 2.0**63),
        (1e300, "integer", 1e300),
    ],
)
def test_a_cell_is_fitted_only_where_that_is_beyond_doubt(value: Any, kind: str, fits: Any):
    assert fitted(value, kind) == fits
    assert type(fitted(value, kind)) is type(fits)


def dataset(site: Site, *rows: dict[str, Any]) -> str:
    dataset_id = site.database.write_now(add_dataset, site.owner, "Texts")
    site.database.write_now(import_rows, site.owner, dataset_id, checked_rows(rows))
    assert site.database.read_now(find_dataset, site.workspace_id, "Texts").rows == len(rows)  # type: ignore[union-attr]
    return dataset_id


def tab(user: User, name: str) -> None:
    assert user.client is not None
    found = [one for one in user.client.elements.values() if one.tag == "q-tab" and one.props.get("name") == name]
    found[-1].parent_slot.parent.value = name  # type: ignore[union-attr]


def choose_source(user: User, before: str, after: str) -> None:
    assert user.client is not None
    boxes = [one for one in user.client.elements.values() if isinstance(one, ui.select)]
    next(one for one in boxes if one.value == before).value = after


def open_rows(user: User) -> list[Any]:
    """The rows of the table of the batch that can be opened."""
    assert user.client is not None
    return [one for one in user.client.elements.values() if one.tag == "tr" and "fp-open" in one.classes]


def open_row(user: User, place: int) -> None:
    UserInteraction(user, {open_rows(user)[place]}, None).click()


def newest(site: Site, flow_id: str) -> PlaygroundBatchRow:
    found = site.database.read_now(find_playground_batch, site.workspace_id, flow_id=flow_id)
    assert found is not None
    return found


async def test_all_samples_are_run_as_jobs_of_one_batch(site: Site, user: User) -> None:
    flow_id = site.flow("Letter", saved=False, file=FLOW)
    await opened(user, flow_id)
    async with working(site):
        push(user, "Run all samples")
        await user.should_see("2 of 2 rows · 2 completed", retries=250)
    ran = site.database.read_now(list_batch_runs, site.workspace_id, newest(site, flow_id).id)
    assert [(run.row, run.title, payload(site, run.job)["who"]) for run in ran] == [
        (1, "Ann", "Ann"),
        (2, "Bob", "Bob"),
    ]
    assert len({run.job.snapshot_id for run in ran}) == 1, "the document is stored once"
    assert site.database.read_now(environments_with_waiting_items) == [], "they take no slot of the plan"
    assert "Dear Ann" in page_text(user)
    open_row(user, 1)
    await user.should_see("Row 2 of the batch (Bob).", retries=100)
    assert field(user, "who").value == "Ann", "the form keeps what it had, until somebody wants the row"
    assert "The form has another input: “Run” runs that one, not this row." in page_text(user)
    assert "“Run this row again” runs it once more with the flow as it is now: the result in the batch stays" in page_text(user)  # fmt: skip
    press(user, "Put its input into the form")
    await user.should_not_see("The form has another input: “Run” runs that one, not this row.")
    assert field(user, "who").value == "Bob"
    field(user, "who").value = "Cid"
    press(user, "Run this row again")
    await until(lambda: len(jobs(site)) == 3)
    assert field(user, "who").value == payload(site, jobs(site)[0])["who"] == "Bob"
    await user.should_see("The input of the row stands where you had typed.")
    await user.should_not_see("Row 2 of the batch")  # it is a run like every other
    await user.open("/jobs")
    await user.should_see("Row 2 of the batch (Bob)")
    assert page_text(user).count("of the batch") == 2, "the newest job is no row"


async def test_a_row_from_before_a_field_was_renamed_runs_with_what_is_filled_in(site: Site, user: User) -> None:
    flow_id = site.flow("Letter", saved=False, file=FLOW)
    await opened(user, flow_id)
    async with working(site):
        push(user, "Run all samples")
        await user.should_see("2 of 2 rows · 2 completed", retries=250)
    start, names = draft(site, flow_id).node("api_input"), draft(site, flow_id).node("set_fields")
    assert start is not None
    assert names is not None
    fields = [{**start.config["fields"][0], "name": "person"}, start.config["fields"][1]]
    renamed = [
        update_node(start, config={"fields": fields}),
        update_node(names, inputs={"name": "{{ api_input.out.person }}"}),
    ]
    change(user, 1, "edit", renamed)
    await until(lambda: "person" in texts(user))
    open_row(user, 1)
    await user.should_see("Row 2 of the batch (Bob).", retries=100)
    press(user, "Run this row again")
    await user.should_see("What the row has for “who” is left out: the flow has no such field any more.")
    await until(lambda: "Fill in “person”." in page_text(user))
    assert field(user, "count").value == "2"
    field(user, "person").value = "Bob"
    press(user, "Run")
    await until(lambda: len(jobs(site)) == 3)
    assert payload(site, jobs(site)[0]) == {"person": "Bob", "count": 2}


async def test_a_row_that_still_runs_is_not_run_again(site: Site, user: User) -> None:
    flow_id = site.flow("Letter", saved=False, file=FLOW)
    await opened(user, flow_id)
    push(user, "Run all samples")
    await until(lambda: len(jobs(site)) == 2)
    await until(lambda: len(open_rows(user)) == 2)
    open_row(user, 1)
    await user.should_see("Row 2 of the batch (Bob).", retries=100)
    again = newest_button(user, "Run this row again")
    assert not again.enabled
    bob = next(job for job in jobs(site) if payload(site, job)["who"] == "Bob")
    end_run(site, bob.id, result={"output": "Dear Bob"})
    await until(lambda: again.enabled)
    press(user, "Run this row again")
    await until(lambda: len(jobs(site)) == 3)
    assert field(user, "who").value == "Bob"
    repeat = next(job for job in jobs(site) if job.run_options == {"again": bob.id, "now": True})
    assert version_words(repeat) == "What was on the canvas"
    tab(user, "batch")
    await user.should_see("Run again: Waiting", retries=60)
    end_run(site, repeat.id, result={"output": "Dear Bob!"})
    await user.should_see("Run again: Completed", retries=250)
    assert [one.props["href"] for one in user.find("Run again: Completed").elements] == [f"/jobs/{repeat.id}"]


@pytest.mark.parametrize(
    ("file", "said", "column"),
    [(FLOW, "The saved samples (2)", "Who"), (READING, "There is nothing to run over yet.", "Text")],
)
async def test_a_file_is_imported_in_the_tab_and_chosen_with_its_columns(
    site: Site, user: User, file: dict[str, Any], said: str, column: str
) -> None:
    flow_id = site.flow("Letter", saved=False, file=file)
    await opened(user, flow_id)
    tab(user, "batch")
    await user.should_see(said, retries=60)
    press(user, "Import a file")
    await drop(user, "guests.csv", b"Who,Text,n\nAnn,1,1\nBob,2,2\nEve,3,3\n")
    await user.should_see("3 rows, 3 columns", retries=100)
    press(user, "Import 3 rows")
    await user.should_see("Dataset guests (3 rows)", retries=60)
    await until(lambda: "Start 3 runs" in buttons(user))
    assert column in [box.value for box in user.find(kind=ui.select).elements]


async def test_rows_of_a_dataset_are_run_and_what_failed_is_run_again(site: Site, user: User) -> None:
    flow_id = site.flow("Read", saved=False, file=READING)
    dataset(site, {"Text": '{"a": 1}', "n": 1}, {"Text": "{broken", "n": 2}, {"Text": "[2]", "n": 3})
    await opened(user, flow_id)
    tab(user, "batch")
    await user.should_see("Dataset Texts (3 rows)", retries=60)
    await until(lambda: "Start 3 runs" in buttons(user))
    async with working(site):
        press(user, "Start 3 runs")
        await user.should_see("3 of 3 rows · 2 completed · 1 failed", retries=250)
        assert "{broken" in page_text(user)
        press(user, "Retry failed (1)")
        await until(lambda: len(jobs(site)) == 4 and all(job.ended for job in jobs(site)))
        await user.should_see("3 of 3 rows · 2 completed · 1 failed", retries=250)
    ran = site.database.read_now(list_batch_runs, site.workspace_id, newest(site, flow_id).id)
    assert [(run.row, run.job.status) for run in ran] == [(1, "completed"), (2, "failed"), (3, "completed")]
    named(user, "Rows shown").value = "failed"
    assert '{"a": 1}' not in page_text(user).split("Rows of the batch")[-1].split("New batch")[-1]


async def test_the_fields_of_flat_results_have_a_column_each(site: Site, user: User) -> None:
    output = {"id": "api_output", "type": "api_output", "inputs": {"name": "{{ parse_json.out.name }}", "price": "5"}}
    edges = [*READING["edges"], {"id": "e2", "source": "parse_json", "target": "api_output"}]
    flow_id = site.flow("Read", saved=False, file={**READING, "nodes": [*READING["nodes"], output], "edges": edges})
    dataset(site, {"text": '{"name": "Lamp"}'}, {"text": "{broken"})
    await opened(user, flow_id)
    tab(user, "batch")
    await until(lambda: "Start 2 runs" in buttons(user))
    async with working(site):
        press(user, "Start 2 runs")
        await user.should_see("2 of 2 rows", retries=250)
    assert user.client is not None
    heads = [one for one in user.client.elements.values() if one.tag == "th"]
    assert [child.text for one in heads for child in one] == ["Row", "Input", "Status", "Time", "name", "price"]
    cells = [one for one in user.client.elements.values() if "fp-batch-text" in one.classes]
    assert [one.props.get("colspan") for one in cells] == [None, None, 2]


@pytest.mark.parametrize("more", [{}, {"lines": ["a", "b"]}])
async def test_a_text_of_several_lines_is_shown_as_a_text(site: Site, user: User, more: dict[str, Any]) -> None:
    flow_id = site.flow("Letter", saved=False, file=FLOW)
    await opened(user, flow_id)
    push(user, "Run all samples")
    await until(lambda: len(jobs(site)) == 2)
    for job in jobs(site):
        end_run(site, job.id, result={"letter": "Dear Ann,\nyours Bob", **more})
    await user.should_see("2 of 2 rows", retries=250)
    assert user.client is not None
    (table,) = (one for one in user.client.elements.values() if one.props.get("aria-label") == "Rows of the batch")
    shown = [str(getattr(one, "text", "")) for one in table.descendants()]
    assert [text for text in shown if "Dear" in text] == ["Dear Ann,\nyours Bob"] * 2


async def test_rows_with_one_text_in_all_fields_are_named(site: Site, user: User) -> None:
    flow_id = site.flow("Letter", saved=False, file=FLOW)
    await opened(user, flow_id)
    push(user, "Run all samples")
    await until(lambda: len(jobs(site)) == 2)
    for job in jobs(site):
        warnings = (SAME_TEXTS,) if payload(site, job)["who"] == "Bob" else ("It was slow.",)
        end_run(site, job.id, Did("text_template", warnings=warnings), result={"output": "Hello"})
    said = "All fields of an answer are the same text in row 2:"
    await user.should_see(said, retries=250)
    await site.app.batches.close()
    await opened(user, flow_id)  # as after a restart: the batch is read from the database
    tab(user, "batch")
    await user.should_see(said, retries=60)


async def test_a_retry_in_one_tab_takes_no_row_that_completed_by_one_in_another(site: Site, user: User) -> None:
    flow_id = site.flow("Read", saved=False, file=READING)
    dataset_id = dataset(site, {"text": "{broken"}, {"text": "{broken"})
    await opened(user, flow_id)
    tab(user, "batch")
    await until(lambda: "Start 2 runs" in buttons(user))
    async with working(site):
        press(user, "Start 2 runs")
        await until(lambda: "Retry failed (2)" in buttons(user))
        other = user.client
        await opened(user, flow_id)
        tab(user, "batch")
        await until(lambda: "Retry failed (2)" in buttons(user))
        for row in site.database.read_now(list_rows, site.workspace_id, dataset_id):
            site.database.write_now(change_row, site.owner, dataset_id, row.id, {"text": "1"})
        press(user, "Retry failed (2)")
        await user.should_see("2 of 2 rows · 2 completed")
        user.client = other
        assert "Retry failed (2)" in buttons(user), "this tab looks no more at a batch that is over"
        press(user, "Retry failed (2)")
        await user.should_see("2 of 2 rows · 2 completed")
    assert len(jobs(site)) == 4


async def test_a_pause_lets_no_other_row_begin_and_a_stop_cancels_those_that_run(site: Site, user: User) -> None:
    flow_id = site.flow("Read", saved=False, file=READING)
    dataset(site, *({"text": str(place)} for place in range(9)))
    await opened(user, flow_id)
    tab(user, "batch")
    await until(lambda: "Start 9 runs" in buttons(user))
    press(user, "Start 9 runs")
    await until(lambda: len(jobs(site)) == 4)
    await until(lambda: "Pause" in buttons(user))
    press(user, "Pause")
    async with working(site):
        await until(lambda: all(job.ended for job in jobs(site)))
        await pass_time(1)
        assert len(jobs(site)) == 4, "four at once, and none after the pause"
        await user.should_see("Paused · 4 of 9 rows", retries=250)
    press(user, "Resume")
    await until(lambda: len(jobs(site)) == 8)
    press(user, "Stop the batch")
    await until(lambda: site.app.batches.running(flow_id) is None)
    assert sorted(job.status for job in jobs(site)) == ["cancelled"] * 4 + ["completed"] * 4
    await user.should_see("1 left out", retries=250)


async def test_a_batch_that_was_taken_away_is_shown_as_it_is_stored_and_can_be_stopped(site: Site, user: User) -> None:
    flow_id = site.flow("Read", saved=False, file=READING)
    dataset(site, *({"text": str(place)} for place in range(9)))
    await opened(user, flow_id)
    tab(user, "batch")
    await until(lambda: "Start 9 runs" in buttons(user))
    press(user, "Start 9 runs")
    await until(lambda: len(jobs(site)) == 4 and "Stop the batch" in buttons(user))
    await site.app.batches.close()  # as when another server takes it
    async with working(site):
        await user.should_see("4 of 9 rows · 4 completed")
        assert site.app.batches.running(flow_id) is None, "who looks takes nothing"
    press(user, "Stop the batch")
    await user.should_see("Stopped · ")
    await until(lambda: "New batch" in buttons(user))
    assert site.app.batches.running(flow_id) is None
    stored = site.database.read_now(find_newest_batch, site.workspace_id, flow_id)
    assert stored is not None
    assert stored.state == "stopped"


async def test_whoever_may_no_longer_run_flows_pauses_nothing(site: Site, user: User) -> None:
    flow_id = site.flow("Read", saved=False, file=READING)
    dataset(site, *({"text": str(place)} for place in range(5)))
    await opened(user, flow_id)
    tab(user, "batch")
    await until(lambda: "Start 5 runs" in buttons(user))
    press(user, "Start 5 runs")
    await until(lambda: len(jobs(site)) == 4 and "Pause" in buttons(user))
    site.database.write_now(lambda session: session.execute(update(tables.User).values(role="viewer")))
    press(user, "Pause")
    await user.should_see("This is not allowed.", retries=100)
    running = site.app.batches.running(flow_id)
    assert running is not None
    assert running.state == "running"


async def test_a_row_without_a_required_value_is_refused_and_the_rest_runs(site: Site, user: User) -> None:
    file = {**READING, "nodes": [{**READING["nodes"][0], "config": {"fields": [{"name": "text", "type": "integer", "required": True}]}}, READING["nodes"][1]]}  # fmt: skip
    flow_id = site.flow("Read", saved=False, file=file)
    dataset(site, {"text": "no number"}, {"text": "12"})
    await opened(user, flow_id)
    tab(user, "batch")
    await until(lambda: "Start 2 runs" in buttons(user))
    async with working(site):
        press(user, "Start 2 runs")
        await user.should_see("2 of 2 rows · 1 completed · 1 failed", retries=250)
    assert "expected a whole number" in page_text(user)
    await user.open("/monitoring")
    assert "In the Playground in the same time: 1 run, 0 failed, cost $0.00." in page_text(user)
    assert "1 row of a batch was refused before it ran." in page_text(user)
    (path,) = [one.props["href"] for one in user.find("See what was refused").elements]
    await user.open(path)
    shown = page_text(user)
    assert "Nothing was refused" not in shown
    assert "expected a whole number" in shown.split("Rows of batches in the Playground")[1]
    for narrowed in ("&environment=live", "&environment=public", "&code=unknown_field"):
        await user.open(f"/jobs?tab=refused{narrowed}")
        assert "Rows of batches in the Playground" not in page_text(user)


async def test_the_file_tells_whom_to_answer_and_keeps_the_order_of_the_rows(site: Site, user: User) -> None:
    start = {**READING["nodes"][0], "config": {"fields": [{"name": "text", "type": "integer", "required": True}]}}
    flow_id = site.flow("Read", saved=False, file={**READING, "nodes": [start, READING["nodes"][1]]})
    mails = [("=Ann", "5", 7), ("Bob", "no number", 8), ("Cid", "12", 9)]
    table_id = dataset(site, *({"From": name, "Text of it": text, "Status": count} for name, text, count in mails))
    await opened(user, flow_id)
    tab(user, "batch")
    await user.should_see("“text” takes the column “Text of it”", retries=60)
    async with working(site):
        press(user, "Start 3 runs")
        await user.should_see("3 of 3 rows · 2 completed · 1 failed", retries=250)
    path = f"/playground/batches/{newest(site, flow_id).id}/results"
    head, *rows = csv.reader(io.StringIO((await user.http_client.get(f"{path}.csv")).text.removeprefix("\ufeff")))
    assert head == ["From", "table.Status", "text", "output", "Status", "Error", "Row", "Title", "Job", "Seconds", "Cost in USD"]  # fmt: skip
    assert [row[:5] for row in rows] == [
        ["'=Ann", "7", "5", "5", "Completed"],
        ["Bob", "8", "no number", "", "Refused"],
        ["Cid", "9", "12", "12", "Completed"],
    ]
    assert [row[6] for row in rows] == ["1", "2", "3"]
    answer = await user.http_client.get(f"{path}.xlsx")
    assert re.search(r'filename="read-[0-9-]{15}\.xlsx"', answer.headers["content-disposition"])
    (sheet,) = read_workbook(answer.content).values()
    assert sheet[0] == head
    assert [row[:5] for row in sheet[1:]] == [
        ["=Ann", 7, 5, 5, "Completed"],
        ["Bob", 8, "no number", "", "Refused"],
        ["Cid", 9, 12, 12, "Completed"],
    ]
    assert isinstance(sheet[1][9], float)
    assert not list((site.settings.data / "backups").iterdir()), "nothing is left on the disk"
    site.database.write_now(delete_rows, site.owner, table_id, [1])
    _, first, *_ = csv.reader(io.StringIO((await user.http_client.get(f"{path}.csv")).text.removeprefix("\ufeff")))
    assert first[:3] == ["", "", "5"], "what was sent is kept with the run"


async def test_the_file_has_a_line_per_row_and_no_formula(site: Site, user: User) -> None:
    flow_id = site.flow("Read", saved=False, file=READING)
    dataset(site, {"text": '"=1+1"'}, {"text": "{broken"})
    await opened(user, flow_id)
    tab(user, "batch")
    await until(lambda: "Start 2 runs" in buttons(user))
    async with working(site):
        press(user, "Start 2 runs")
        await user.should_see("2 of 2 rows", retries=250)
    path = f"/playground/batches/{newest(site, flow_id).id}/results.csv"
    answer = await user.http_client.get(path)
    assert re.search(r'filename="read-\d{4}-\d\d-\d\d-\d{4}\.csv"', answer.headers["content-disposition"])
    head, first, second = csv.reader(io.StringIO(answer.text.removeprefix("\ufeff")))
    assert head == ["text", "output", "Status", "Error", "Row", "Job", "Seconds", "Cost in USD"]
    assert first[:5] == ['"=1+1"', "'=1+1", "Completed", "", "1"]
    assert second[:3] == ["{broken", "", "Failed"]
    assert "no valid JSON" in second[3]
    assert (await user.http_client.get("/playground/batches/batch_x/results.csv")).status_code == 404
    async with site.browser() as stranger:
        assert (await stranger.get(path)).status_code in {302, 303, 401}


async def test_table_and_file_keep_the_order_of_the_input(site: Site, user: User) -> None:
    fields = [{"name": name, "type": "string"} for name in ("shop", "price", "Row")]
    given = {name: f"{{{{ api_input.out.{name} }}}}" for name in ("price", "shop")}
    nodes = [
        {"id": "api_input", "type": "api_input", "config": {"fields": fields}},
        {"id": "set_fields", "type": "set_fields", "inputs": {"source": "here", **given, "extra": "more"}},
    ]
    edges = [{"id": "e1", "source": "api_input", "target": "set_fields"}]
    flow_id = site.flow("Prices", saved=False, file={"format": 1, "title": "Prices", "nodes": nodes, "edges": edges})
    dataset(site, {"shop": "A", "price": "", "Row": "r"}, {"shop": "B", "price": "12", "Row": "s"})
    await opened(user, flow_id)
    tab(user, "batch")
    await until(lambda: "Start 2 runs" in buttons(user))
    async with working(site):
        press(user, "Start 2 runs")
        await user.should_see("2 of 2 rows", retries=250)
    assert user.client is not None
    shown = page_text(user).splitlines()
    at = shown.index("extra")
    assert shown[at - 4 : at + 1] == ["Time", "shop", "price", "source", "extra"]
    answer = await user.http_client.get(f"/playground/batches/{newest(site, flow_id).id}/results.csv")
    head, first, second = csv.reader(io.StringIO(answer.text.removeprefix("\ufeff")))
    assert head[:9] == ["shop", "price", "Row", "result.shop", "result.price", "source", "extra", "Status", "Error"]
    assert head[9] == "run.Row"
    assert [first[:3], second[:3]] == [["A", "", "r"], ["B", "12", "s"]]


async def test_the_file_has_one_line_for_a_row_that_did_not_run_again(site: Site, user: User) -> None:
    flow_id = site.flow("Read", saved=False, file=READING)
    dataset(site, *({"text": "{broken"} for _ in range(6)))
    await opened(user, flow_id)
    tab(user, "batch")
    await until(lambda: "Start 6 runs" in buttons(user))
    async with working(site):
        press(user, "Start 6 runs")
        await user.should_see("6 of 6 rows", retries=250)
    press(user, "Retry failed (6)")
    await until(lambda: len(jobs(site)) == 10)
    press(user, "Stop the batch")
    await until(lambda: "Retry failed (6)" in buttons(user))
    answer = await user.http_client.get(f"/playground/batches/{newest(site, flow_id).id}/results.csv")
    rows = csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff")))
    assert sorted((row["Row"], row["Status"]) for row in rows) == [(str(number), "Cancelled") for number in range(1, 7)]


async def test_a_late_row_gives_the_file_its_columns_too(site: Site, user: User) -> None:
    """The rows before it have failed, so none of them has a result."""
    flow_id = site.flow("Read", saved=False, file=READING)
    dataset(site, *({"text": "{broken"} for _ in range(3)), {"text": '"fine"'})
    await opened(user, flow_id)
    tab(user, "batch")
    await until(lambda: "Start 4 runs" in buttons(user))
    async with working(site):
        press(user, "Start 4 runs")
        await user.should_see("4 of 4 rows", retries=250)
    batch_id = newest(site, flow_id).id

    def repeat_the_first(session: Session) -> None:
        """As many failed rows as a large batch has before its first success."""
        first = session.scalars(select(Job).where(Job.batch_id == batch_id)).all()[0]
        columns = {name: getattr(first, name) for name in Job.__table__.columns.keys()}  # noqa: SIM118 - no mapping
        for number in range(250):
            options = {**(first.run_options or {}), "row": -number - 1}
            session.add(Job(**{**columns, "id": f"job_{number:028}", "run_options": options}))

    site.database.write_now(repeat_the_first)
    answer = await user.http_client.get(f"/playground/batches/{batch_id}/results.csv")
    head, *rows = csv.reader(io.StringIO(answer.text.removeprefix("\ufeff")))
    assert head[:2] == ["text", "output"]
    assert [row[1] for row in rows if row[1]] == ["fine"]
    assert len(rows) == 254


async def test_the_batch_is_there_again_when_the_page_is_opened_anew(site: Site, user: User) -> None:
    flow_id = site.flow("Letter", saved=False, file=FLOW)
    await opened(user, flow_id)
    async with working(site):
        push(user, "Run all samples")
        await user.should_see("2 of 2 rows", retries=250)
    await opened(user, flow_id)
    tab(user, "batch")
    await user.should_see("2 of 2 rows · 2 completed", retries=250)


async def test_the_rows_that_a_stopped_batch_left_out_can_be_run(site: Site, user: User) -> None:
    flow_id = site.flow("Read", saved=False, file=READING)
    dataset(site, *({"text": str(place)} for place in range(6)))
    await opened(user, flow_id)
    tab(user, "batch")
    await until(lambda: "Start 6 runs" in buttons(user))
    press(user, "Start 6 runs")
    await until(lambda: len(jobs(site)) == 4 and "Stop the batch" in buttons(user))
    press(user, "Stop the batch")
    await user.should_see("2 left out", retries=250)
    press(user, "New batch")
    await until(lambda: "Start 6 runs" in buttons(user))
    user.find("Leave out the rows that ran in the last batch (4)").click()
    assert "Start 2 runs" in buttons(user)
    async with working(site):
        press(user, "Start 2 runs")
        await user.should_see("2 of 2 rows · 2 completed", retries=250)

    ran = site.database.read_now(
        lambda session: [job.run_options["row"] for job in session.query(Job).order_by(Job.created_at, Job.id)]
    )
    assert sorted(ran) == [1, 2, 3, 4, 5, 6]


async def test_a_start_beside_that_of_another_tab_is_refused_and_shows_the_batch(site: Site, user: User) -> None:
    flow_id = site.flow("Read", saved=False, file=READING)
    dataset(site, *({"text": str(place)} for place in range(6)))
    await opened(user, flow_id)
    tab(user, "batch")
    await until(lambda: "Start 6 runs" in buttons(user))
    source: dict[str, Any] = {"kind": "listed", "rows": [["A", {"text": "1"}]], "skip": []}
    site.database.write_now(begin_playground_batch, site.owner, flow_id, document(READING), 1, source)
    press(user, "Start 6 runs")
    await user.should_see("Stop it before you start another.")
    await until(lambda: "Stop the batch" in buttons(user))
    assert len(jobs(site)) <= 1


async def test_rows_that_ran_are_left_out_also_when_rows_were_deleted_since(site: Site, user: User) -> None:
    flow_id = site.flow("Read", saved=False, file=READING)
    dataset_id = dataset(site, *({"text": str(place)} for place in range(10)))
    other_id = site.database.write_now(add_dataset, site.owner, "Zebras")
    site.database.write_now(import_rows, site.owner, other_id, checked_rows([{"text": "9"}] * 5))
    await opened(user, flow_id)
    tab(user, "batch")
    await until(lambda: "Start 10 runs" in buttons(user))
    press(user, "Start 10 runs")
    await until(lambda: len(jobs(site)) == 4 and "Stop the batch" in buttons(user))
    press(user, "Stop the batch")
    await user.should_see("6 left out", retries=250)
    ids = [row.id for row in site.database.read_now(list_rows, site.workspace_id, dataset_id)]
    site.database.write_now(delete_rows, site.owner, dataset_id, ids[:3])
    press(user, "New batch")
    await until(lambda: "Start 7 runs" in buttons(user))
    user.find("Leave out the rows that ran in the last batch (1)").click()
    assert "Start 6 runs" in buttons(user)
    choose_source(user, dataset_id, other_id)
    assert "Start 5 runs" in buttons(user)
    await user.should_not_see("Leave out the rows")
    choose_source(user, other_id, dataset_id)
    assert "Start 6 runs" in buttons(user)
    site.database.write_now(delete_rows, site.owner, dataset_id, ids[3:4])  # beside the open form
    async with working(site):
        press(user, "Start 6 runs")
        await user.should_see("6 of 6 rows · 6 completed", retries=250)
    assert sorted(payload(site, job)["text"] for job in jobs(site)) == [str(place) for place in range(10)]


def test_samples_that_ran_are_found_among_those_of_now():
    ran = RowsThatRan(ListedRows([("A", {"n": 1}), ("B", {}), ("C", {})]), frozenset({1, 2}), frozenset())
    assert ran.among(ListedRows([("B", {}), ("C", {}), ("A", {"n": 2}), ("B", {})])) == {1}
    assert ran.among(ListedRows([])) == frozenset()


async def test_rows_that_wait_for_a_person_say_so_and_lead_to_their_question(site: Site, user: User) -> None:
    edges = [
        {"id": "e1", "source": "api_input", "target": "approval"},
        {"id": "e2", "source": "approval", "source_port": "approved", "target": "api_output"},
    ]
    nodes = [
        READING["nodes"][0],
        {"id": "approval", "type": "approval", "inputs": {"title": "Send it?"}},
        {"id": "api_output", "type": "api_output", "inputs": {"reply": "{{ api_input.out.text }}"}},
    ]
    flow_id = site.flow("Ask", saved=False, file={"format": 1, "title": "Ask", "nodes": nodes, "edges": edges})
    dataset(site, {"text": "a  b"}, {"text": "c"})
    await opened(user, flow_id)
    tab(user, "batch")
    await until(lambda: "Start 2 runs" in buttons(user))
    async with working(site):
        press(user, "Start 2 runs")
        await user.should_see("2 wait for a person", retries=250)
        said = page_text(user)
        assert "0 of 2 rows · 0 completed\n" in said
        assert said.count("Waits for a person") == 2
        asked = site.database.read_now(list_open_questions, site.workspace_id, 9)
        assert user.client is not None
        paths = {one.props.get("href") for one in user.client.elements.values() if one.tag == "a"}
        assert {"/waiting", *(f"/jobs/{one.job_id}" for one in asked)} <= paths
        counts = [one.props.get("title") for one in user.client.elements.values() if "fp-count" in one.classes]
        assert "2 questions wait for a person" in counts, "the menu counts them"
    for one, approved in zip(asked, (False, True), strict=True):
        site.database.write_now(answer_question, site.owner, one.id, Answer(approved=approved))
    async with working(site):
        await user.should_see("2 of 2 rows · 2 completed", retries=250)
    assert "wait for a person" not in page_text(user)
    answer = await user.http_client.get(f"/playground/batches/{newest(site, flow_id).id}/results.csv")
    rows = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert sorted(row["Status"] for row in rows) == ["Completed", "Completed. Refused by Command line"]
    assert "Title" not in rows[0], "it says what the column text says"
