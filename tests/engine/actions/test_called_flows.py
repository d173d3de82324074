"""Deploying a flow pins the versions of the flows it calls."""

from __future__ import annotations

import json

import pytest

from engine.actions.deployments import deploy
from engine.actions.flows import (
    create_flow,
    delete_flow,
    export_flow,
    import_flow,
    restore_version,
    save_draft,
    save_version,
)
from engine.core.errors import Conflict, FlowInvalid
from storage.called_flow_uses import list_callers
from storage.flows import get_draft, get_flow, get_version
from tests.factories import document, flow_file, greeting


def calling(flow_id):
    """A flow file of an API Input with `name` and a call of another flow."""
    file = greeting()
    call = {"id": "call_flow", "type": "call_flow", "label": "Greet", "config": {"flow_id": flow_id}}
    file["nodes"][1] = {**call, "inputs": {"name": "{{ api_input.out.name }}"}}
    file["edges"] = [{"id": "e1", "source": "api_input", "target": "call_flow"}]
    return {**file, "title": "Caller"}


@pytest.fixture
def greet(database, ada):
    flow_id = database.write_now(import_flow, ada, flow_file(greeting())).flow_id
    database.write_now(deploy, ada, flow_id)
    return flow_id


@pytest.fixture
def caller(database, ada, greet):
    return database.write_now(import_flow, ada, flow_file(calling(greet))).flow_id


def change(database, ada, flow_id, file):
    revision = database.read_now(get_draft, ada.workspace_id, flow_id).revision
    database.write_now(save_draft, ada, flow_id, document(file), revision)


def called_version(database, ada, flow_id, number):
    text = database.read_now(get_version, ada.workspace_id, flow_id, number).document
    return json.loads(text)["nodes"][1]["config"].get("version")


def test_deploying_fixes_the_live_version_and_keeps_it(database, ada, greet, caller):
    change(database, ada, greet, greeting("newer"))
    database.write_now(save_version, ada, greet)  # version 2 is saved but not live
    assert called_version(database, ada, caller, 1) is None
    assert database.write_now(deploy, ada, caller).version == 1
    assert called_version(database, ada, caller, 1) == 1
    assert not database.read_now(get_flow, ada.workspace_id, caller).draft_differs


def test_update_api_takes_a_newer_live_version_over_as_a_version_of_its_own(database, ada, greet, caller):
    database.write_now(deploy, ada, caller)
    assert database.write_now(deploy, ada, caller).version == 1, "nothing new, nothing saved"
    change(database, ada, greet, greeting("newer"))
    database.write_now(deploy, ada, greet)
    assert database.write_now(deploy, ada, caller).version == 2
    assert [called_version(database, ada, caller, number) for number in (1, 2)] == [1, 2]
    assert database.write_now(deploy, ada, caller, version=1).version == 1
    assert called_version(database, ada, caller, 1) == 1, "a rollback calls what it called"


def test_a_rollback_calls_what_it_called_though_the_called_flow_needs_another_field_now(database, ada, greet, caller):
    database.write_now(deploy, ada, caller)
    file = greeting()
    file["nodes"][0]["config"]["fields"] = [{"name": "lang", "type": "string", "required": True}]
    file["nodes"][1]["inputs"] = {"template": "{{ api_input.out.lang }}"}
    change(database, ada, greet, file)
    database.write_now(deploy, ada, greet)
    newer = calling(greet)
    newer["nodes"][1]["inputs"] = {"lang": "{{ api_input.out.name }}"}
    change(database, ada, caller, newer)
    assert database.write_now(deploy, ada, caller).version == 2

    assert database.write_now(deploy, ada, caller, version=1).version == 1
    database.write_now(delete_flow, ada, greet)
    with pytest.raises(FlowInvalid) as refused:
        database.write_now(deploy, ada, caller, version=2)
    assert [problem.code for problem in refused.value.problems] == ["unknown_flow"]


def test_a_flow_that_others_call_is_not_deleted_unless_that_is_meant(database, ada, greet, caller):
    agent = greeting()
    agent["nodes"][1] = {"id": "agent", "type": "agent", "config": {"tools": [{"kind": "flow", "flow_id": greet}, 5]}}
    agent["edges"] = []
    file = document(agent)
    with_tool = database.write_now(create_flow, ada, "Agent", file)

    with pytest.raises(Conflict, match="“Agent”, “Caller” use this flow"):
        database.write_now(delete_flow, ada, greet, "refuse")
    uses = database.read_now(list_callers, ada.workspace_id, greet)
    assert [(use.flow_id, use.live) for use in uses] == [(with_tool, False), (caller, False)]
    database.write_now(deploy, ada, caller)
    assert database.read_now(list_callers, ada.workspace_id, greet)[1].live
    assert database.read_now(list_callers, ada.workspace_id, caller) == ()
    database.write_now(delete_flow, ada, caller, "refuse")


def test_a_restored_version_and_an_imported_file_have_no_version_to_call(database, ada, caller):
    database.write_now(deploy, ada, caller)
    file = database.read_now(export_flow, ada, caller)
    assert file.document.nodes[1].config["version"] == 1
    database.write_now(restore_version, ada, caller, 1)
    row = database.read_now(get_draft, ada.workspace_id, caller)
    assert "version" not in json.loads(row.document)["nodes"][1]["config"]
    assert not database.read_now(get_flow, ada.workspace_id, caller).draft_differs


def test_a_file_that_calls_an_unknown_flow_comes_in_with_a_warning(database, ada):
    imported = database.write_now(import_flow, ada, flow_file(calling("flow_elsewhere")))
    assert [problem.code for problem in imported.problems] == ["unknown_flow"]
    with pytest.raises(FlowInvalid):
        database.write_now(deploy, ada, imported.flow_id)


def test_a_flow_of_another_workspace_and_a_deleted_one_are_not_there(database, ada, stranger, greet, caller):
    foreign = database.write_now(import_flow, stranger, flow_file(calling(greet)))
    assert [problem.code for problem in foreign.problems] == ["unknown_flow"]
    database.write_now(delete_flow, ada, greet)
    with pytest.raises(FlowInvalid) as refused:
        database.write_now(deploy, ada, caller)
    assert [problem.code for problem in refused.value.problems] == ["unknown_flow"]


def test_a_circle_of_flows_is_not_deployed(database, ada, greet, caller):
    change(database, ada, greet, calling(caller))
    with pytest.raises(FlowInvalid) as refused:
        database.write_now(deploy, ada, greet)
    assert [problem.code for problem in refused.value.problems] == ["calls_itself"]
    assert database.read_now(get_flow, ada.workspace_id, greet).live_version == 1


def test_a_flow_that_was_never_saved_is_not_called(database, ada):
    draft = database.write_now(create_flow, ada, "Sketch", document(greeting()))
    imported = database.write_now(import_flow, ada, flow_file(calling(draft)))
    assert [problem.code for problem in imported.problems] == ["flow_not_saved"]
