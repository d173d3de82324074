"""Every template is a flow without problems that runs with each of its samples, without keys and network."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from api.commands.parser import main
from engine.actions.datasets import bring_samples, change_row
from engine.actions.knowledge import bring_documents
from engine.actions.principal import command_line
from engine.actions.workspaces import ensure_workspace
from engine.flow.flow_file import FlowFile, parse_flow_file
from engine.flow.node_type import GROUPS
from engine.flow.validation import deploy_problems
from engine.knowledge.samples import sample_documents
from engine.nodes import CATALOG
from engine.outbound.practice_site import PRACTICE_HOST
from engine.table_files.reading import read_table
from engine.table_files.samples import sample_tables
from storage.datasets import list_datasets, page_of_rows
from tests.databases import open_database
from tests.templates.lines import crossings
from ui.flow_view.list_frames import frames_of
from ui.flows.templates import FIRST, all_templates, shelves

FOLDER = Path(__file__).parents[2] / "assets" / "templates"
FILES = sorted(FOLDER.glob("*.json"))


def read(path: Path) -> FlowFile:
    file, problems = parse_flow_file(path.read_bytes())
    assert file is not None, problems
    return file


def samples(path: Path) -> list[dict[str, Any]]:
    return next(node for node in read(path).document.nodes if node.type == "api_input").config["samples"]


RUNS = [pytest.param(path, sample, id=f"{path.stem}: {sample['title']}") for path in FILES for sample in samples(path)]


#: File name of a template -> check of its result. A new template needs an entry.
EXPECTED: dict[str, Callable[[dict[str, Any], dict[str, Any]], bool]] = {
    "answer-by-kind": lambda sent, got: (
        got["kind"] == ("urgent" if "at once" in sent["message"] else "usual")
        and got["answer"].startswith(f"Dear {sent['name']},")
    ),
    "answer-by-word": lambda sent, got: (
        got["mentioned"] is ("refund" in sent["text"].lower()) and ("refund" in got["answer"]) is got["mentioned"]
    ),
    "add-up-rows": lambda _sent, got: (
        (got["sum"], got["rows"]) == (2316.9, 4)
        and got["answer"].startswith(
            "Sum 2316.90, 4 rows\nMill & Sons: 740.50, 2 rows\nNorthfield Ovens Ltd: 1480, 1 row\n"
        )
    ),
    "answer-from-your-text": lambda _sent, got: bool(got["answer"]) and isinstance(got["known"], bool),
    "answer-from-documents": lambda _sent, got: (
        got["answer"].startswith("[1] ")
        and got["sources"][0]["source"] in got["answer"]
        and all(f"[{one['number']}]" in got["answer"] for one in got["sources"])
    ),
    "ask-before-sending": lambda _sent, got: (
        (got["decision"], got["decided_by"]) == ("approved", "--approve") and bool(got["reply"])
    ),
    "cheapest-of-a-list": lambda _sent, got: (
        [item["price"] for item in got["cheapest"]] == [4.2, 4.9, 5.2]
        and got["in_words"].startswith("Oat Tin Loaf (4.2 GBP), ")
    ),
    "check-links": lambda sent, got: (
        [one["url"] for one in got["broken"]] == sent["urls"][1:2]
        and got["broken_count"] == 1
        and got["checked"] == len(sent["urls"])
    ),
    "classify-a-list": lambda sent, got: (
        [one["text"] for one in got["results"]] == sent["texts"] and got["failed"] == 0
    ),
    "compare-two-pages": lambda _sent, got: len(set(got["titles"])) == 2 and len(got["differences"]) > 1,
    "contact-details": lambda _sent, got: (
        "hello@hearthandrye.example" in got["emails"] and "01632 960 148" in got["telephones"]
    ),
    "count-reviews": lambda sent, got: (
        got["counts"]
        == (
            [{"key": "positive", "count": 3}, {"key": "negative", "count": 2}]
            if len(sent["reviews"]) == 5
            else [{"key": "positive", "count": 2}, {"key": "negative", "count": 1}]
        )
        and [one["review"] for one in got["reviews"]] == sent["reviews"]
        and (got["total"], got["not_sorted"]) == (len(sent["reviews"]), 0)
    ),
    "deep-analysis": lambda _sent, got: got["pages_read"] == len(got["sources"]) == 12 and len(got["key_points"]) > 1,
    "describe-a-picture": lambda _sent, got: (
        got["title"] == "market-stall.png"
        and got["description"] == "The Simulated model got 1 picture, “market-stall.png”, but cannot see it."
    ),
    "describe-pictures": lambda sent, got: (
        [one["picture"] for one in got["pictures"]] == [one.rsplit("/", 1)[1] for one in sent["pictures"]]
        and all(one["description"] and one["keywords"] for one in got["pictures"])
        and got["count"] == 3
    ),
    "details-from-a-page": lambda sent, got: (
        list(got["details"]) == ["name", "price", "delivery"] and got["source"] == sent["url"]
    ),
    "details-from-a-text": lambda _sent, got: list(got["details"]) == ["sender", "date", "total"],
    "enrich-rows-of-a-dataset": lambda _sent, got: got["enriched"] == len(got["products"]) == 6,
    "fetch-from-a-service": lambda _sent, got: got["status"] == 200 and len(got["answer"]["items"]) == 11,
    "fill-a-letter": lambda sent, got: (
        got["letter"].startswith(f"Dear {sent['name']},") and sent["what"] in got["letter"]
    ),
    "filter-a-list": lambda sent, got: got["kept"] == [sent["lines"][0], sent["lines"][2]] and got["count"] == 2,
    "find-in-a-text": lambda _sent, got: got["found"] == ["camille@example.com", "office@example.com"],
    "keep-pages": lambda _sent, got: got["action"] == "added" and got["pieces"] >= 1,
    "keep-entries": lambda sent, got: got["saved"] == sent and sent["name"] in got["answer"],
    "links-of-a-page": lambda _sent, got: all(one["url"] and one["text"] for one in got["links"]),
    "assistant-that-looks-things-up": lambda sent, got: (
        got["answer"].startswith("Made up by the Simulated model")
        and ("3.8" if "Olive" in sent["question"] else "7:00 to 17:00") in got["answer"]
    ),
    "find-one-row": lambda sent, got: (
        got["answer"].startswith("sku: B-001\nname: Rye loaf\n") and got["row"]["price"] == 4.2
        if sent["look_for"] == "B-001"
        else (got["answer"], got["row"])
        == ("Sorry, we have nothing under “B-999”. Please check it and ask again.", None)
    ),
    "look-up-a-row": lambda sent, got: got["count"] == 1 and sent["search"].lower() in got["rows"][0]["name"].lower(),
    "map-a-website": lambda sent, got: (
        all(sent.get("only", "/") in one for one in got["urls"])
        and got["found"] == len(got["urls"]) == (3 if "only" in sent else 12)
        and got["seen"] == 12
    ),
    "order-from-a-text": lambda sent, got: (
        got["output"]["customer"] in sent["text"] and got["output"]["text"].count(" x ") == len(got["output"]["lines"])
    ),
    "page-mentions-a-word": lambda sent, got: got["found"] is sent["url"].endswith("/courses"),
    "prices-of-pages": lambda _sent, got: (
        got["count"] == len(got["products"]) > 2
        and got["products"] == sorted(got["products"], key=lambda one: one["price"])
        and not got["not_read"]
    ),
    "pick-from-a-page": lambda _sent, got: all(list(one) == ["name", "price"] for one in got["entries"]),
    "sort-a-text": lambda _sent, got: got["kind"] in {"question", "order", "complaint", "praise"},
    "score-a-text": lambda _sent, got: 1 <= got["score"] <= 10,
    "summarise-pages": lambda sent, got: [one["url"] for one in got["pages"]] == sent["urls"],
    "report-about-pages": lambda sent, got: got["pages_read"] == len(sent["urls"]) and bool(got["report"]),
    "translate-a-list": lambda sent, got: [one["text"] for one in got["texts"]] == sent["texts"],
    "read-an-invoice": lambda sent, got: (
        got["details"]
        == (
            {
                "sender": "Mill & Sons, 14 Weir Road, Alderbrook",
                "invoice_number": "2041",
                "date": "3 March 2026",
                "total": 612,
                "currency": "GBP",
            }
            if got["file"] == "invoice-2041.pdf"
            else {
                "sender": "Northfield Ovens Ltd, Unit 3, Station Yard, Harrow Cross",
                "invoice_number": "8817",
                "date": "11 March 2026",
                "total": 1480,
                "currency": "GBP",
            }
        )
        and got["file"] == sent["invoice"].rsplit("/", 1)[1]
    ),
    "sort-invoices": lambda sent, got: (
        (got["done"], got["details"]["total"], got["details"]["currency"], got["details"]["approved_by"])
        == (("added", 1480, "GBP", "--approve") if "8817" in sent["invoice"] else ("added", 612, "GBP", None))
    ),
    "summarise-a-document": lambda _sent, got: got["title"] == "Newsletter, autumn 2026",
    "table-of-a-file": lambda sent, got: (
        got["rows"][0]["item" if "order" in got["columns"] else "Item"]
        == ("Mill Lane Rye" if sent["file"].endswith(".xlsx") else "Rye flour, 25 kg")
    ),
    "text-of-a-file": lambda sent, got: (
        ("Chestnut loaf" in got["text"]) is sent["file"].endswith(".docx") and "Hearth & Rye" in got["text"]
    ),
    "website-analyzer": lambda _sent, got: (
        len({page["url"] for page in got["pages"]}) == got["pages_found"] == 12 and got["not_read"] == []
    ),
}
#: Parts of results that may be empty without an error.
MAY_BE_EMPTY = {"not_read", "row"}


def test_there_is_one_for_every_group_of_nodes() -> None:
    used = {CATALOG[node.type].group for path in FILES for node in read(path).document.nodes}
    assert used == set(GROUPS)
    assert len(FILES) >= 12


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_template_could_be_deployed_as_it_is(path: Path) -> None:
    file = read(path)

    assert deploy_problems(file.document, CATALOG) == []
    assert file.title
    assert file.description.endswith(".")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_template_stays_on_the_practice_site_and_names_no_real_model(path: Path) -> None:
    text = path.read_text()
    addresses = [word for word in text.replace('"', " ").split() if word.startswith(("http://", "https://"))]

    assert all(address.startswith(f"https://{PRACTICE_HOST}/") for address in addresses)
    assert all(node.config.get("model", "simulated") == "simulated" for node in read(path).document.nodes)


@pytest.mark.parametrize(("path", "sample"), RUNS)
@pytest.mark.process
def test_a_template_runs_with_its_sample(
    path: Path, sample: dict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bring_datasets(path, tmp_path)
    command = [
        "flows",
        "run",
        str(path),
        "--input",
        json.dumps(sample["payload"]),
        "--data",
        str(tmp_path),
        "--approve",
    ]

    code = main(command, {}, serve=_never, worker=_never)

    said = capsys.readouterr()
    assert code == 0, said.err
    result = json.loads(said.out)
    assert result
    values = result.get("output", result)
    assert [name for name, value in values.items() if value in (None, "", []) and name not in MAY_BE_EMPTY] == []
    assert EXPECTED.get(path.stem, lambda _sent, _got: True)(sample["payload"], result), result


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_nodes_and_notes_of_a_template_do_not_lie_on_each_other(path: Path) -> None:
    document = read(path).document
    boxes = [(node.position.x, node.position.y, 204.0, 84.0) for node in document.nodes]
    boxes += [(note.position.x, note.position.y, note.size.width, note.size.height) for note in document.notes]
    for left, right in combinations(boxes, 2):
        apart = left[0] + left[2] <= right[0] or right[0] + right[2] <= left[0]
        apart = apart or left[1] + left[3] <= right[1] or right[1] + right[3] <= left[1]
        assert apart, f"{left} and {right}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_lines_of_a_template_cross(path: Path) -> None:
    assert [(one.id, other.id) for one, other in crossings(read(path).document)] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_frame_of_a_list_surrounds_only_what_runs_per_item(path: Path) -> None:
    document = read(path).document
    for frame in frames_of(document):
        inside = [node.position for node in document.nodes if node.id in frame["nodes"]]
        left, right = min(at.x for at in inside) - 18, max(at.x for at in inside) + 204 + 18
        top, bottom = min(at.y for at in inside) - 18, max(at.y for at in inside) + 84 + 18
        for node in document.nodes:
            at = node.position
            within = at.x < right and left < at.x + 204 and at.y < bottom and top < at.y + 84
            assert within is (node.id in frame["nodes"]), node.id


def test_every_template_stands_on_a_shelf_and_the_best_come_first() -> None:
    shelved = [template.name for _, templates in shelves(all_templates()) for template in templates]
    assert sorted(shelved) == sorted(path.stem for path in FILES)
    assert [one.name for one in all_templates()[:4]] == list(FIRST)


def bring_datasets(path: Path, data: Path) -> None:
    """Imports the datasets and documents that a template brings, as the Templates page does."""
    document = read(path).document
    if samples := sample_tables(document):
        database = open_database(data)
        database.write_now(bring_samples, command_line(database.write_now(ensure_workspace, "free")), samples)
        database.close()
    if documents := sample_documents(document):
        database = open_database(data)
        database.write_now(bring_documents, command_line(database.write_now(ensure_workspace, "free")), documents)
        database.close()


def test_a_question_about_nothing_in_the_documents_is_answered_plainly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = FOLDER / "answer-from-documents.json"
    bring_datasets(path, tmp_path)
    asked = json.dumps({"question": "Xylophone?"})

    code = main(["flows", "run", str(path), "--input", asked, "--data", str(tmp_path)], {}, serve=_never, worker=_never)

    assert code == 0
    said = json.loads(capsys.readouterr().out)
    assert said == {"answer": "Nothing about this was found in the documents. Try other words.", "sources": []}


def test_the_sum_of_a_table_says_which_rows_had_no_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = 'Sender,Total\nMill,"1.234,50"\nMill,cash\nOvens,"10,00 €"\nOvens,\n'
    database = open_database(tmp_path)
    owner = command_line(database.write_now(ensure_workspace, "free"))
    database.write_now(bring_samples, owner, {"Costs": read_table(table.encode(), "costs.csv")})
    database.close()
    told = (FOLDER / "add-up-rows.json").read_text(encoding="utf-8")
    for name, mine in {
        '"Sample invoices"': '"Costs"',
        '"total"': '"Total"',
        '"by": "sender"': '"by": "Sender"',
    }.items():
        told = told.replace(name, mine)
    path = tmp_path / "costs.json"
    path.write_text(told, encoding="utf-8")

    code = main(["flows", "run", str(path), "--data", str(tmp_path)], {}, serve=_never, worker=_never)

    assert code == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["sum"], answer["rows"]) == (1244.5, 2)
    assert answer["answer"].splitlines() == [
        "Sum 1244.50, 2 rows, 2 rows had no number",
        "Mill: 1234.50, 1 row, 1 row had no number",
        "Ovens: 10, 1 row, 1 row had no number",
    ]


def test_a_template_that_keeps_rows_fills_only_what_is_empty(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = FOLDER / "enrich-rows-of-a-dataset.json"
    bring_datasets(path, tmp_path)
    counts = []
    for _ in range(2):
        assert (
            main(["flows", "run", str(path), "--input", "{}", "--data", str(tmp_path)], {}, serve=_never, worker=_never)
            == 0
        )
        counts.append(json.loads(capsys.readouterr().out)["enriched"])
    assert counts == [6, 0]
    database = open_database(tmp_path)
    workspace_id = database.write_now(ensure_workspace, "free")
    (dataset,) = database.read_now(list_datasets, workspace_id)
    rows = database.read_now(page_of_rows, workspace_id, dataset.id, offset=0, limit=10).rows
    database.close()
    assert all(row.data["name"].split()[0] in row.data["description"] for row in rows), rows


def test_a_dataset_of_a_template_is_made_once_and_never_written_over(new_data: Path) -> None:
    document = read(FOLDER / "enrich-rows-of-a-dataset.json").document
    database = open_database(new_data)
    owner = command_line(database.write_now(ensure_workspace, "free"))
    assert database.write_now(bring_samples, owner, sample_tables(document)) == ["Sample products"]
    (dataset,) = database.read_now(list_datasets, owner.workspace_id)
    row = database.read_now(page_of_rows, owner.workspace_id, dataset.id, offset=0, limit=1).rows[0]
    database.write_now(change_row, owner, dataset.id, row.id, {"description": "Ours"})
    assert database.write_now(bring_samples, owner, sample_tables(document)) == []
    row = database.read_now(page_of_rows, owner.workspace_id, dataset.id, offset=0, limit=1).rows[0]
    assert row.data["description"] == "Ours"
    database.close()


def _never(_settings: object) -> int:
    raise AssertionError
