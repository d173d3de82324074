"""Builds small flows and people for tests."""

from __future__ import annotations

import json
from typing import Any

from engine.actions.flows import UNTITLED, read_import
from engine.actions.principal import Principal
from engine.flow.document import Document
from engine.flow.flow_file import FlowFile, parse_flow_file
from engine.flow.node_context import PersonQuestion
from engine.jobs.questions import Place, ask, set_aside
from storage.database import Database
from storage.job_changes import Lease, claim_job
from storage.questions import QuestionRow


def greeting(text: str = "Hello {{ api_input.out.name }}", **changes: Any) -> dict[str, Any]:
    """A valid flow file: API Input with the field `name`, then a Text Template."""
    return {
        "format": 1,
        "title": "Greeting",
        "description": "Says hello",
        "nodes": [
            {
                "id": "api_input",
                "type": "api_input",
                "config": {"fields": [{"name": "name", "type": "string", "required": True}]},
            },
            {"id": "text_template", "type": "text_template", "label": "Greet", "inputs": {"template": text}},
        ],
        "edges": [{"id": "e1", "source": "api_input", "target": "text_template"}],
        **changes,
    }


def parked_node() -> dict[str, Any]:
    """A node without edges, which a flow ignores (parked)."""
    return {"id": "set_fields", "type": "set_fields", "inputs": {"a": 1}}


def as_bytes(file: dict[str, Any]) -> bytes:
    """Serialises a flow file as it is stored on disk."""
    return json.dumps(file).encode()


def flow_file(file: dict[str, Any], fallback_title: str = UNTITLED) -> FlowFile:
    """Reads a flow file as it is imported."""
    return read_import(as_bytes(file), fallback_title)


def document(file: dict[str, Any] | None = None) -> Document:
    """Parses a flow file and returns its document."""
    parsed, problems = parse_flow_file(as_bytes(file or greeting()))
    assert parsed is not None, problems
    return parsed.document


def asks_person(
    database: Database,
    job_id: str,
    values: dict[str, Any] | None = None,
    *,
    title: str = "Send it?",
    aside: bool = True,
    **more: Any,
) -> QuestionRow:
    """Lets a queued job ask a person the way a worker does, and sets it aside. Returns the question.

    With `aside` false the job is not set aside yet: `sets_aside` does it.
    """
    claimed = database.write_now(claim_job, "boot_asks", job_id)
    assert claimed is not None
    values = {"text": "Hello"} if values is None else values
    question = PersonQuestion("approval", title, values, **more)
    content = json.dumps({"values": values, "editable": list(question.editable)})
    lease, place = Lease("boot_asks", claimed.attempt), Place("approval", "")
    asked = database.write_now(ask, job_id, lease, place, question, content, title)
    assert asked is not None
    if aside:
        sets_aside(database, asked, claimed.attempt)
    return asked


def sets_aside(database: Database, question: QuestionRow, attempt: int = 1) -> None:
    """Sets a job aside that has asked a person."""
    assert database.write_now(set_aside, question.job_id, Lease("boot_asks", attempt), [question.id])


def person(workspace_id: str, role: str = "owner", name: str = "Ada") -> Principal:
    """Builds a signed-in principal."""
    return Principal(workspace_id, f"user_{name}", name, role, "192.0.2.7")  # type: ignore[arg-type]
