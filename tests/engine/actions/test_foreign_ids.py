"""Ids of other workspaces look like unknown ids (S15): every query that takes a workspace and an id is called with
both.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from typing import Any

import pytest

import storage
from engine.actions.connections import add_connection
from engine.actions.datasets import add_dataset
from engine.actions.flows import create_flow, save_as
from engine.actions.hooks import add_hook
from engine.actions.jobs import run_in_playground
from engine.actions.keys import create_key
from engine.actions.knowledge import add_collection, add_text
from engine.actions.members import ensure_owner, password_hash_now
from engine.actions.owner_notes import ask_owner
from engine.actions.schedules import add_schedule
from engine.actions.secrets import add_secret
from engine.actions.team import invite
from engine.actions.tool_servers import add_tool_server
from engine.core.errors import Refusal
from engine.secrets.sealing import open_vault
from storage.links import list_invitations
from storage.members import list_people
from storage.questions import AskedJob, NewQuestion, insert_question
from tests.factories import document

#: Maps the name of a query's id parameter to the kind of object it identifies.
NAMED = {
    "flow_id": "flow",
    "job_id": "job",
    "key_id": "key",
    "dataset_id": "dataset",
    "dataset": "dataset",
    "collection_id": "collection",
    "collection": "collection",
    "source_id": "source",
    "secret_id": "secret",
    "user_id": "user",
    "note_id": "note",
    "schedule_id": "schedule",
    "hook_id": "hook",
    "invitation_id": "invitation",
    "server_id": "server",
    "question_id": "question",
}
#: Values for the other parameters of the queries.
OTHERS = {"number": 1, "ids": (1,), "limit": 5, "since": 0, "until": 1 << 53, "after": (0, ""), "most": 5}
MORNINGS = {"kind": "weekly", "days": [1], "time": "09:00"}
#: Queries that return nothing private: they count the person's own notes, or take more than an id.
LEFT_OUT = {"owner_notes.count_open_notes_of"}


def queries() -> dict[str, tuple[Callable[..., Any], str]]:
    """Maps names such as `flows.get_flow` to the query and the kind of object it takes by id."""
    found = {}
    for module in pkgutil.iter_modules(storage.__path__):
        if module.ispkg:
            continue
        loaded = importlib.import_module(f"storage.{module.name}")
        for name, function in inspect.getmembers(loaded, inspect.isfunction):
            names = list(inspect.signature(function).parameters)
            place = f"{module.name}.{name}"
            if (
                function.__module__ == loaded.__name__
                and not name.startswith("_")
                and names[:2] == ["session", "workspace_id"]
                and len(names) > 2
                and names[2] in NAMED
                and name.startswith(("find_", "get_", "list_", "read_", "hold_", "count_"))
                and place not in LEFT_OUT
            ):
                found[place] = (function, NAMED[names[2]])
    return found


QUERIES = queries()


@pytest.fixture
def things(database, ada, tmp_path):
    """One object of each kind; all belong to Ada."""
    vault = open_vault(tmp_path / "data")
    write = database.write_now
    flow_id = write(create_flow, ada, "Greeting", document(), "")
    write(save_as, ada, flow_id, "Greeting")
    write(ensure_owner, ada.workspace_id, "ada@example.com", password_hash_now("correct horse battery"))
    write(invite, ada, "viewer")
    write(add_connection, ada, vault, "oa", "openai", key="sk-0123456789")
    collection = write(add_collection, ada, "Terms")
    job_id = write(run_in_playground, ada, flow_id, document(), {"name": "Ada"})
    asked = AskedJob(1, ada.workspace_id, flow_id, "playground", None, webhook_by_caller=False)
    question = NewQuestion(
        "ask_1", "approval", "", "one", "", "May it go on?", '{"values":{},"editable":[]}', "fail", 1
    )
    write(insert_question, job_id, asked, question)
    return {
        "collection": collection,
        "source": write(add_text, ada, collection, "Returns", "Within 30 days."),
        "flow": flow_id,
        "job": job_id,
        "question": question.id,
        "key": write(create_key, ada, "Shop", "live").id,
        "dataset": write(add_dataset, ada, "People", ()),
        "secret": write(add_secret, ada, vault, "Mail", "a value of ours", "mail.example.com"),
        "user": database.read_now(list_people, ada.workspace_id)[0].id,
        "note": write(ask_owner, ada, "A model please"),
        "hook": write(add_hook, ada, vault, flow_id, "GitHub", "github", {}).id,
        "schedule": write(
            add_schedule, ada, flow_id, "", MORNINGS, "UTC", {"kind": "input", "payload": {"name": "Ada"}}
        ),
        "server": write(add_tool_server, ada, vault, "shop", "https://tools.example.com/mcp"),
        "invitation": database.read_now(list_invitations, ada.workspace_id)[0].id,
    }


def asked(database, things, query, workspace_id, thing_id):
    """Returns the query's result as text, without the requested id."""
    wanted = list(inspect.signature(query).parameters.values())[2:]
    known = OTHERS | {name: things[kind] for name, kind in NAMED.items()}
    more = {one.name: known.get(one.name, "x") for one in wanted[1:] if one.default is one.empty}
    try:
        answer = database.read_now(
            lambda session: repr(query(session, workspace_id, **{wanted[0].name: thing_id}, **more))
        )
    except Refusal as refusal:
        answer = f"{type(refusal).__name__}: {refusal}"
    return answer.replace(thing_id, "THE ID")


def test_many_queries_take_an_id() -> None:
    assert {"flows.get_flow", "jobs.get_job", "keys.get_key", "datasets.get_dataset", "secrets.hold_secret"} <= set(
        QUERIES
    )
    assert len(QUERIES) > 25


def test_a_foreign_id_looks_like_an_unknown_one(database, things, stranger) -> None:
    told = {}
    for name, (query, kind) in QUERIES.items():
        foreign = asked(database, things, query, stranger.workspace_id, things[kind])
        unknown = asked(database, things, query, stranger.workspace_id, "x" * len(things[kind]))
        if foreign != unknown:
            told[name] = (foreign, unknown)

    assert told == {}


def test_for_its_owner_it_is_there(database, things, ada) -> None:
    """For the owner each query finds the object; otherwise the test above would prove nothing."""
    there = {
        name
        for name, (query, kind) in QUERIES.items()
        if asked(database, things, query, ada.workspace_id, things[kind])
        != asked(database, things, query, ada.workspace_id, "x" * len(things[kind]))
    }

    assert there >= {
        "flows.find_flow", "flows.get_flow", "flows.get_draft", "flows.get_version", "flows.hold_flow", "jobs.find_job",
        "jobs.get_job", "keys.get_key", "keys.hold_key", "datasets.get_dataset", "secrets.hold_secret",
        "owner_notes.hold_note", "links.find_invitation", "schedules.get_schedule", "schedules.hold_schedule",
        "schedules.list_schedules", "hooks.get_hook", "hooks.hold_hook", "hooks.list_hooks",
        "knowledge.get_collection", "knowledge.hold_source",
        "knowledge.find_content", "knowledge.list_sources",
    }  # fmt: skip
