"""Data of a job may hold half of a character: every page that shows it opens, and an open page is updated with it."""

from __future__ import annotations

import csv
import io
from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from engine.secrets.question_links import question_link_path
from storage.questions import list_questions_of_job
from tests.live.caller import Terminal

pytestmark = pytest.mark.browser

HALF = '{"name": "cut \\ud83d"}'
SHOWN = "cut �"


def flow(title: str, *nodes: dict[str, Any]) -> dict[str, Any]:
    """A flow that reads a text as JSON, and then has these nodes."""
    fields = [{"name": "text", "type": "string", "required": True}]
    chain = [
        {"id": "api_input", "type": "api_input", "config": {"fields": fields}},
        {"id": "read", "type": "parse_json", "label": "Read it", "inputs": {"text": "{{ api_input.out.text }}"}},
        *nodes,
    ]
    edges = [
        {
            "id": f"e{at}",
            "source": one["id"],
            "source_port": "approved" if one["type"] == "approval" else "out",
            "target": other["id"],
        }
        for at, (one, other) in enumerate(pairwise(chain))
    ]
    return {"format": 1, "title": title, "nodes": chain, "edges": edges}


ASKS = flow(
    "Ask",
    {
        "id": "ask",
        "type": "approval",
        "config": {"editable": ["name"]},
        "inputs": {"title": "Send it?", "values": {"name": "{{ read.out.name }}"}},
    },
    {"id": "out", "type": "api_output", "inputs": {"said": "{{ read.out }}"}},
)
FAILS = flow("Fail", {"id": "twice", "type": "parse_json", "inputs": {"text": "{{ read.out.name }}"}})


def test_open_pages_get_it_as_an_update(page: Page, terminal: Terminal) -> None:
    caller = terminal.caller()
    page.goto("/waiting")
    expect(page.get_by_text("Nobody is asked anything now")).to_be_visible()
    job_id = caller.accepted(terminal.flow(ASKS), {"text": HALF})
    expect(page.get_by_role("main")).to_contain_text("Send it?")
    expect(page.get_by_label("Name", exact=True)).to_have_value(SHOWN)

    page.goto(f"/jobs/{job_id}")
    expect(page.get_by_label("Name", exact=True)).to_have_value(SHOWN)
    page.get_by_role("button", name="Approve").click()
    result = page.get_by_role("region", name="Result")
    expect(result).to_contain_text(SHOWN)
    page.reload()
    expect(result).to_contain_text(SHOWN)
    page.goto(f"/jobs/{job_id}?step=read")
    expect(page.get_by_role("complementary", name="Step")).to_contain_text(SHOWN)


def test_lists_and_links_show_it(page: Page, terminal: Terminal) -> None:
    caller = terminal.caller()
    asked = caller.accepted(terminal.flow(ASKS), {"text": HALF})
    failed = caller.run(terminal.flow(FAILS), {"text": HALF})
    assert failed["status"] == "failed"
    assert "\ud83d" in failed["error"]["message"], failed["error"]

    page.goto("/jobs?status=failed")
    expect(page.get_by_role("main")).to_contain_text(SHOWN)
    answer = page.request.get("/jobs/export.csv?status=failed")
    (row,) = csv.DictReader(io.StringIO(answer.text().removeprefix("\ufeff")))
    assert SHOWN in row["error_message"]
    page.goto(f"/jobs/{failed['job_id']}")
    expect(page.get_by_role("main")).to_contain_text(SHOWN)

    page.goto(f"/jobs/{asked}")
    expect(page.get_by_role("main")).to_contain_text("Send it?")
    page.goto("/waiting")
    expect(page.get_by_label("Name", exact=True)).to_have_value(SHOWN)
    (question,) = terminal.store.read_now(list_questions_of_job, terminal.workspace_id, asked)
    page.goto(question_link_path(terminal.vault, question.id))
    expect(page.get_by_label("Name", exact=True)).to_have_value(SHOWN)
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("Your answer is stored")).to_be_visible()
