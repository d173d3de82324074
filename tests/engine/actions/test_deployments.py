from __future__ import annotations

import pytest

from engine.actions.deployments import deploy, undeploy
from engine.actions.flows import create_flow, delete_flow, import_flow, save_draft, save_version
from engine.core.errors import FlowInvalid, NotAllowed, NotFound
from storage.audit import list_entries
from storage.flows import get_draft, get_flow, get_version, list_deployments, list_versions, note_first_deployment
from tests.factories import document, flow_file, greeting, parked_node, person
from ui.flows.deploy_checks import look_before_deploy


@pytest.fixture
def saved(database, ada):
    return database.write_now(import_flow, ada, flow_file(greeting())).flow_id


def change(database, ada, flow_id, text):
    revision = database.read_now(get_draft, ada.workspace_id, flow_id).revision
    database.write_now(save_draft, ada, flow_id, document(greeting(text)), revision)


def test_deploying_gives_one_path_for_ever(database, ada, saved):
    first = database.write_now(deploy, ada, saved)
    database.write_now(undeploy, ada, saved)
    change(database, ada, saved, "second")
    second = database.write_now(deploy, ada, saved)
    assert first.path == second.path == f"/public/v1/flows/execute/{saved}"
    assert (first.version, second.version) == (1, 2)


def test_deploying_saves_a_draft_that_differs_as_the_next_version(database, ada, saved):
    change(database, ada, saved, "second")
    assert database.write_now(deploy, ada, saved).version == 2
    assert "second" in database.read_now(get_version, ada.workspace_id, saved, 2).document


def test_deploying_the_newest_version_leaves_the_draft_alone(database, ada, saved):
    change(database, ada, saved, "second")
    assert database.write_now(deploy, ada, saved, version=1).version == 1
    assert database.read_now(get_flow, ada.workspace_id, saved).newest_version == 1


def test_editing_and_saving_change_nothing_for_callers(database, ada, saved):
    database.write_now(deploy, ada, saved)
    change(database, ada, saved, "second")
    database.write_now(save_version, ada, saved)
    assert database.read_now(get_flow, ada.workspace_id, saved).live_version == 1


def test_an_older_version_goes_live_again(database, ada, saved):
    change(database, ada, saved, "second")
    database.write_now(deploy, ada, saved)
    database.write_now(deploy, ada, saved, version=1)
    assert database.read_now(get_flow, ada.workspace_id, saved).live_version == 1
    history = [(row.verb, row.version) for row in database.read_now(list_deployments, ada.workspace_id, saved)]
    assert history == [("deploy", 1), ("deploy", 2)]


def test_a_version_that_was_deployed_with_a_list_that_is_never_one_goes_live_again(database, ada, saved):
    never = greeting("second")
    never["nodes"] += [
        {"id": "each", "type": "array_splitter", "inputs": {"items": "{{ api_input.out.name }}"}},
        {"id": "all", "type": "array_flatten"},
    ]
    ends = [("api_input", "each"), ("each", "text_template"), ("text_template", "all")]
    never["edges"] = [{"id": f"e_{target}", "source": source, "target": target} for source, target in ends]
    revision = database.read_now(get_draft, ada.workspace_id, saved).revision
    database.write_now(save_draft, ada, saved, document(never), revision)
    with pytest.raises(FlowInvalid) as refused:
        database.write_now(deploy, ada, saved)
    assert [one.code for one in refused.value.problems] == ["never_a_list"]
    database.write_now(save_version, ada, saved)
    database.write_now(note_first_deployment, saved, 2)  # as a server did that did not look at this yet
    assert database.read_now(look_before_deploy, ada.workspace_id, saved, 2).problems == ()
    assert database.write_now(deploy, ada, saved, version=2).version == 2


def test_a_flow_with_problems_is_refused_with_all_of_them_and_no_version_is_made(database, ada, saved):
    broken = greeting("{{ nobody.out }}", edges=[])
    revision = database.read_now(get_draft, ada.workspace_id, saved).revision
    database.write_now(save_draft, ada, saved, document(broken), revision)
    with pytest.raises(FlowInvalid) as refused:
        database.write_now(deploy, ada, saved)
    assert len(refused.value.problems) >= 1
    assert len(database.read_now(list_versions, ada.workspace_id, saved)) == 1
    assert database.read_now(get_flow, ada.workspace_id, saved).live_version is None


def test_a_flow_that_was_never_saved_is_refused_with_that_and_its_other_problems(database, ada):
    flow_id = database.write_now(create_flow, ada)
    with pytest.raises(FlowInvalid) as refused:
        database.write_now(deploy, ada, flow_id)
    assert [problem.code for problem in refused.value.problems] == ["not_saved", "no_api_input", "no_processing_node"]


def test_a_parked_node_with_a_problem_does_not_stop_a_deployment(database, ada):
    file = greeting()
    file["nodes"].append(parked_node() | {"inputs": {"a": "{{ api_input.out.name }}"}})
    revision_of = database.write_now(create_flow, ada, document=document(file))
    from engine.actions.flows import save_as

    database.write_now(save_as, ada, revision_of, "Greeting")
    assert database.write_now(deploy, ada, revision_of).version == 1


def test_undeploying_keeps_the_flow_and_is_no_error_twice(database, ada, saved):
    database.write_now(deploy, ada, saved)
    database.write_now(undeploy, ada, saved)
    database.write_now(undeploy, ada, saved)
    row = database.read_now(get_flow, ada.workspace_id, saved)
    assert (row.live_version, row.state, row.newest_version) == (None, "Undeployed", 1)


def test_deploying_what_is_live_already_writes_no_history(database, ada, saved):
    database.write_now(deploy, ada, saved)
    database.write_now(deploy, ada, saved)
    assert len(database.read_now(list_deployments, ada.workspace_id, saved)) == 1


def test_deleting_a_live_flow_switches_its_endpoint_off(database, ada, saved):
    database.write_now(deploy, ada, saved)
    database.write_now(delete_flow, ada, saved)
    assert database.read_now(list_deployments, ada.workspace_id, saved)[0].verb == "undeploy"


def test_deploy_and_undeploy_stand_in_the_audit_log(database, ada, saved):
    database.write_now(deploy, ada, saved)
    database.write_now(undeploy, ada, saved)
    entries = database.read_now(list_entries, ada.workspace_id)
    assert [(row.verb, row.subject) for row in entries[:2]] == [("undeploy", saved), ("deploy", saved)]
    assert entries[0].address == "192.0.2.7"
    assert "Ada" in entries[0].actor


def test_a_stranger_and_a_viewer_cannot_deploy(database, ada, stranger, saved):
    with pytest.raises(NotFound):
        database.write_now(deploy, stranger, saved)
    with pytest.raises(NotFound):
        database.write_now(undeploy, stranger, saved)
    with pytest.raises(NotAllowed):
        database.write_now(deploy, person(ada.workspace_id, "viewer"), saved)


def test_a_version_that_does_not_exist_is_not_found(database, ada, saved):
    with pytest.raises(NotFound):
        database.write_now(deploy, ada, saved, version=9)


def test_a_connection_that_does_not_exist_stops_a_deployment_at_its_node(database, ada):
    asking = greeting()
    asking["nodes"][1] = {
        "id": "prompt",
        "type": "prompt",
        "config": {"model": "lost:small"},
        "inputs": {"prompt": "Greet {{ api_input.out.name }}"},
    }
    asking["edges"][0]["target"] = "prompt"
    flow_id = database.write_now(import_flow, ada, flow_file(asking)).flow_id

    with pytest.raises(FlowInvalid) as refused:
        database.write_now(deploy, ada, flow_id)

    (problem,) = refused.value.problems
    assert (problem.code, problem.node_id, problem.pointer) == ("no_connection", "prompt", "/config/model")
    assert "`lost` does not exist" in problem.message
