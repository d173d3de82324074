from __future__ import annotations

import pytest

from engine.actions.deployments import deploy
from engine.actions.flows import (
    change_flow_settings,
    create_flow,
    delete_flow,
    duplicate_flow,
    export_flow,
    find_version_of_draft,
    import_flow,
    rename_flow,
    restore_version,
    save_as,
    save_draft,
    save_version,
)
from engine.actions.webhooks import set_webhook
from engine.core.errors import FlowInvalid, Invalid, NotAllowed, NotFound, VersionConflict
from engine.flow.document import MAX_BYTES, Document, Position, load_document
from engine.jobs.submit.accept import WEBHOOK_SETTINGS
from storage.flows import find_flow, get_draft, get_flow, get_version, list_flows, list_versions
from tests.factories import document, flow_file, greeting, parked_node, person


@pytest.fixture
def saved(database, ada):
    """A flow with version 1."""
    return database.write_now(import_flow, ada, flow_file(greeting())).flow_id


def change(database, ada, flow_id, text, **changes):
    draft = database.read_now(get_draft, ada.workspace_id, flow_id)
    new = document(greeting(text, **changes))
    return database.write_now(save_draft, ada, flow_id, new, draft.revision)


def test_a_new_flow_is_a_draft_that_was_never_saved(database, ada):
    flow_id = database.write_now(create_flow, ada)
    row = database.read_now(get_flow, ada.workspace_id, flow_id)
    assert (row.state, row.title, row.newest_version) == ("Not saved yet", "Untitled flow", 0)
    assert database.read_now(list_versions, ada.workspace_id, flow_id) == []


def test_the_first_save_as_gives_title_and_version_1_under_the_same_id(database, ada):
    flow_id = database.write_now(create_flow, ada, document=document())
    assert database.write_now(save_as, ada, flow_id, "  Greeter ") == flow_id
    row = database.read_now(get_flow, ada.workspace_id, flow_id)
    assert (row.title, row.newest_version, row.state) == ("Greeter", 1, "Draft")


def test_save_as_of_a_saved_flow_makes_a_copy_that_is_not_deployed(database, ada, saved):
    database.write_now(deploy, ada, saved)
    change(database, ada, saved, "changed")
    copy = database.write_now(save_as, ada, saved, "Copy")
    assert copy != saved
    row = database.read_now(get_flow, ada.workspace_id, copy)
    assert (row.title, row.newest_version, row.live_version) == ("Copy", 1, None)
    assert "changed" in database.read_now(get_version, ada.workspace_id, copy, 1).document
    assert database.read_now(get_flow, ada.workspace_id, saved).newest_version == 1


@pytest.mark.parametrize("title", ["", "   ", "x" * 201])
def test_a_title_has_1_to_200_characters(database, ada, saved, title):
    with pytest.raises(Invalid):
        database.write_now(save_as, ada, saved, title)


def test_save_makes_the_next_version_and_older_ones_never_change(database, ada, saved):
    first = database.read_now(get_version, ada.workspace_id, saved, 1)
    change(database, ada, saved, "second")
    assert database.write_now(save_version, ada, saved, " shorter text ", based_on=1) == 2
    assert database.read_now(get_version, ada.workspace_id, saved, 1) == first
    newest, _ = database.read_now(list_versions, ada.workspace_id, saved)
    assert (newest.number, newest.note, newest.created_by) == (2, "shorter text", "Ada")


def test_saving_again_with_nothing_changed_makes_no_version(database, ada, saved):
    assert database.write_now(save_version, ada, saved) == 1


def test_saving_on_top_of_an_unseen_version_is_a_conflict(database, ada, saved):
    change(database, ada, saved, "second")
    database.write_now(save_version, ada, saved, based_on=1)
    change(database, ada, saved, "third")
    with pytest.raises(VersionConflict):
        database.write_now(save_version, ada, saved, based_on=1)


def test_a_flow_never_saved_has_no_save(database, ada):
    flow_id = database.write_now(create_flow, ada, document=document())
    with pytest.raises(FlowInvalid) as refused:
        database.write_now(save_version, ada, flow_id)
    assert [problem.code for problem in refused.value.problems] == ["not_saved"]


def test_a_draft_counts_its_revisions_and_refuses_an_edit_of_an_older_one(database, ada, saved):
    assert change(database, ada, saved, "one") == 2
    assert change(database, ada, saved, "two") == 3
    with pytest.raises(VersionConflict):
        database.write_now(save_draft, ada, saved, document(), 2)
    assert '"two"' in database.read_now(get_draft, ada.workspace_id, saved).document


def test_the_state_tells_a_newer_draft_and_forgets_it_when_the_change_is_undone(database, ada, saved):
    database.write_now(deploy, ada, saved)
    state = lambda: database.read_now(get_flow, ada.workspace_id, saved).state  # noqa: E731
    assert state() == "Live"
    change(database, ada, saved, "changed")
    assert state() == "Live with newer draft"
    change(database, ada, saved, greeting()["nodes"][1]["inputs"]["template"])
    assert state() == "Live"


def test_the_state_goes_by_content_and_calls_a_rejected_version_no_newer_draft(database, ada, saved):
    database.write_now(deploy, ada, saved)
    state = lambda: database.read_now(get_flow, ada.workspace_id, saved).state  # noqa: E731
    moved = document().model_copy(
        update={"nodes": tuple(node.model_copy(update={"position": Position(x=9)}) for node in document().nodes)}
    )
    revision = database.read_now(get_draft, ada.workspace_id, saved).revision
    database.write_now(save_draft, ada, saved, moved, revision)
    assert state() == "Live"

    change(database, ada, saved, "second")
    database.write_now(deploy, ada, saved)
    assert state() == "Live"
    database.write_now(deploy, ada, saved, version=1)
    assert state() == "Live, rolled back"
    change(database, ada, saved, "third")
    assert state() == "Live with newer draft"
    database.write_now(restore_version, ada, saved, 1)
    assert state() == "Live"


def test_the_description_of_a_template_goes_with_the_first_change_of_what_the_flow_does(database, ada):
    said = lambda flow_id: database.read_now(get_flow, ada.workspace_id, flow_id).description  # noqa: E731
    flow_id = database.write_now(create_flow, ada, "Greeting", document(), "Says hello", template="greeting")
    sampled = greeting()
    sampled["nodes"][0]["config"]["samples"] = [{"title": "One", "payload": {"name": "Ann"}}]
    sampled["nodes"][1]["label"] = "Say hello"
    database.write_now(save_draft, ada, flow_id, document(sampled), 1)
    assert said(flow_id) == "Says hello"
    copy = database.write_now(duplicate_flow, ada, flow_id)
    change(database, ada, flow_id, "Good bye {{ api_input.out.name }}")
    assert (said(flow_id), said(copy)) == ("", "Says hello")

    change(database, ada, flow_id, "Hello {{ api_input.out.name }}")
    assert said(flow_id) == "Says hello", "it does again what the template says: undone, or an earlier version"
    change(database, ada, flow_id, "Good bye {{ api_input.out.name }}")
    assert said(flow_id) == ""
    database.write_now(rename_flow, ada, flow_id, "Mine", "Says good bye")
    change(database, ada, flow_id, "Hello {{ api_input.out.name }}")
    assert said(flow_id) == "Says good bye"

    database.write_now(rename_flow, ada, copy, "Copy", "My own words")
    change(database, ada, copy, "Good bye {{ api_input.out.name }}")
    assert said(copy) == "My own words"


def test_the_description_of_a_goal_stays_at_an_earlier_version_with_other_answers(database, ada):
    flow_id = database.write_now(create_flow, ada, "Greeting", document(), "Says hello", template="greeting")
    said = lambda: database.read_now(get_flow, ada.workspace_id, flow_id).description  # noqa: E731
    answered = lambda text: database.write_now(  # noqa: E731
        save_draft, ada, flow_id, document(greeting(text)), revision(), as_described=True
    )
    revision = lambda: database.read_now(get_draft, ada.workspace_id, flow_id).revision  # noqa: E731
    database.write_now(save_as, ada, flow_id, "Greeting")
    answered("Hi")
    database.write_now(save_version, ada, flow_id)

    database.write_now(restore_version, ada, flow_id, 1)
    assert said() == "Says hello"
    database.write_now(restore_version, ada, flow_id, 2)
    assert said() == "Says hello"

    change(database, ada, flow_id, "Good bye")
    assert said() == ""
    database.write_now(restore_version, ada, flow_id, 1)
    assert said() == "Says hello"
    change(database, ada, flow_id, "Good bye")
    answered("Good day")
    assert said() == "Says hello", "the goal's answers stand in it again"


def test_the_version_that_holds_the_draft_is_found_however_old(database, ada, saved):
    found = lambda: database.read_now(find_version_of_draft, ada.workspace_id, saved)  # noqa: E731
    change(database, ada, saved, "second")
    assert found() is None
    database.write_now(save_version, ada, saved)
    assert found() == 2
    database.write_now(restore_version, ada, saved, 1)
    assert found() == 1
    change(database, ada, saved, "Hello {{ api_input.out.name }}", notes=[{"id": "note", "text": "Ask Bea"}])
    assert found() is None, "the note would be lost"


def test_a_parked_node_stays_in_the_draft_and_out_of_versions(database, ada):
    file = greeting()
    file["nodes"].append(parked_node())
    flow_id = database.write_now(import_flow, ada, flow_file(file)).flow_id
    draft = load_document(database.read_now(get_draft, ada.workspace_id, flow_id).document)
    version = load_document(database.read_now(get_version, ada.workspace_id, flow_id, 1).document)
    assert draft.node("set_fields") is not None
    assert version.node("set_fields") is None
    assert database.read_now(get_flow, ada.workspace_id, flow_id).draft_differs is False


def test_restoring_a_version_changes_the_draft_only(database, ada, saved):
    database.write_now(deploy, ada, saved)
    change(database, ada, saved, "second")
    database.write_now(save_version, ada, saved)
    assert database.write_now(restore_version, ada, saved, 1) == 3
    row = database.read_now(get_flow, ada.workspace_id, saved)
    assert (row.live_version, row.newest_version, row.draft_differs) == (1, 2, True)


def test_importing_what_was_exported_gives_the_same_flow_under_a_new_id(database, ada, saved):
    file = database.read_now(export_flow, ada, saved)
    again = database.write_now(import_flow, ada, flow_file(file.as_json()))
    assert again.flow_id != saved
    assert database.read_now(export_flow, ada, again.flow_id) == file
    assert (file.title, file.description) == ("Greeting", "Says hello")


def test_export_gives_the_newest_version_the_draft_or_any_version(database, ada, saved):
    change(database, ada, saved, "second")
    assert database.read_now(export_flow, ada, saved).document == document()
    assert database.read_now(export_flow, ada, saved, "draft").document == document(greeting("second"))
    assert database.read_now(export_flow, ada, saved, 1).document == document()
    with pytest.raises(NotFound):
        database.read_now(export_flow, ada, saved, 2)


def test_import_names_the_flow_after_its_file_when_it_has_no_title(database, ada):
    file = greeting()
    del file["title"]
    done = database.write_now(import_flow, ada, flow_file(file, "page reader"))
    assert database.read_now(get_flow, ada.workspace_id, done.flow_id).title == "page reader"


def test_import_takes_a_flow_that_cannot_be_deployed_yet_and_says_why(database, ada):
    done = database.write_now(import_flow, ada, flow_file(greeting(nodes=[], edges=[])))
    assert {problem.code for problem in done.problems} == {"no_api_input", "no_processing_node"}


def test_import_refuses_every_document_problem_at_once_and_stores_nothing(database, ada):
    file = greeting("{{ nobody.out }}", colour="red")
    file["nodes"][1]["shape"] = "round"
    file["nodes"].append({"id": "mystery", "type": "no_such_type"})
    file["edges"].append({"id": "e2", "source": "api_input", "target": "gone"})
    with pytest.raises(FlowInvalid) as refused:
        database.write_now(import_flow, ada, flow_file(file))
    codes = [problem.code for problem in refused.value.problems]
    assert sorted(codes) == ["bad_reference", "dangling_edge", "unknown_key", "unknown_key", "unknown_type"]
    assert database.read_now(list_flows, ada.workspace_id) == []


def test_a_draft_may_not_outgrow_a_flow_file(database, ada, saved):
    flow = document()
    nodes = (flow.nodes[0].model_copy(update={"config": {"note": "x" * MAX_BYTES}}), *flow.nodes[1:])
    with pytest.raises(Invalid):
        database.write_now(save_draft, ada, saved, flow.model_copy(update={"nodes": nodes}), 1)


def test_rename_changes_title_and_description_and_no_version(database, ada, saved):
    database.write_now(rename_flow, ada, saved, "Better", "Says it better")
    row = database.read_now(get_flow, ada.workspace_id, saved)
    assert (row.title, row.description, row.newest_version) == ("Better", "Says it better", 1)


def test_a_duplicate_is_a_saved_copy_that_is_not_deployed(database, ada, saved):
    database.write_now(deploy, ada, saved)
    row = database.read_now(get_flow, ada.workspace_id, database.write_now(duplicate_flow, ada, saved))
    assert (row.title, row.state) == ("Copy of Greeting", "Draft")


@pytest.mark.parametrize(("copied", "extra"), [(duplicate_flow, ()), (save_as, ("Redesign",))])
def test_a_copy_has_no_public_docs_and_no_webhooks_and_is_no_tool_of_assistants(database, ada, saved, copied, extra):
    limits = {"concurrency": 2, "limit_seconds": 60}
    database.write_now(change_flow_settings, ada, saved, {"public_docs": True, "mcp": True, **limits})
    for environment in WEBHOOK_SETTINGS:
        database.write_now(set_webhook, ada, saved, f"https://hooks.example.com/{environment}", environment)
    copy = database.write_now(copied, ada, saved, *extra)
    assert database.read_now(get_flow, ada.workspace_id, copy).settings == limits
    assert len(database.read_now(get_flow, ada.workspace_id, saved).settings) == 7


def test_a_deleted_flow_is_gone_from_every_query(database, ada, saved):
    database.write_now(deploy, ada, saved)
    database.write_now(delete_flow, ada, saved)
    assert database.read_now(list_flows, ada.workspace_id) == []
    for query, extra in ((get_flow, ()), (get_draft, ()), (get_version, (1,))):
        with pytest.raises(NotFound):
            database.read_now(query, ada.workspace_id, saved, *extra)


def test_a_foreign_flow_looks_like_one_that_does_not_exist(database, ada, stranger, saved):
    said = []
    for flow_id in (saved, "flow_that_never_was"):
        for verb, extra in (
            (save_draft, (Document(), 1)),
            (save_as, ("Mine",)),
            (save_version, ()),
            (rename_flow, ("Mine",)),
            (duplicate_flow, ()),
            (restore_version, (1,)),
            (delete_flow, ()),
            (export_flow, ()),
        ):
            with pytest.raises(NotFound) as refused:
                database.write_now(verb, stranger, flow_id, *extra)
            said.append((verb.__name__, str(refused.value).replace(flow_id, "ID")))
    assert said[: len(said) // 2] == said[len(said) // 2 :]
    assert database.read_now(find_flow, stranger.workspace_id, saved) is None
    assert database.read_now(list_versions, stranger.workspace_id, saved) == []


def test_a_viewer_changes_nothing(database, ada, saved):
    viewer = person(ada.workspace_id, "viewer", "Vera")
    for verb, extra in ((create_flow, ()), (save_as, ("T",)), (delete_flow, ())):
        arguments = () if verb is create_flow else (saved,)
        with pytest.raises(NotAllowed):
            database.write_now(verb, viewer, *arguments, *extra)
