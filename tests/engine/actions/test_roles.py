"""A table lists the roles that may use each action, and each action enforces it.

An action without a row fails the test.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from typing import Any

import pytest

import engine.actions
from engine.actions.principal import EDITORS, EVERYBODY, OWNERS
from engine.core.errors import NotAllowed
from engine.flow.document import Document
from tests.factories import person

#: Maps an action of a signed-in person to the permitted roles.
WHO_MAY = {
    "connections.add_connection": OWNERS,
    "connections.change_connection": OWNERS,
    "connections.remember_models": OWNERS,
    "connections.remove_connection": OWNERS,
    "connections.remove_price": OWNERS,
    "connections.set_price": OWNERS,
    "datasets.add_column": EDITORS,
    "datasets.add_dataset": EDITORS,
    "datasets.add_dataset_with_rows": EDITORS,
    "datasets.add_row": EDITORS,
    "datasets.bring_samples": EDITORS,
    "datasets.change_row": EDITORS,
    "datasets.delete_dataset": EDITORS,
    "datasets.delete_rows": EDITORS,
    "datasets.import_rows": EDITORS,
    "datasets.remove_column": EDITORS,
    "datasets.rename_column": EDITORS,
    "datasets.rename_dataset": EDITORS,
    "datasets.take_out_rows": EDITORS,
    "deployments.deploy": EDITORS,
    "deployments.undeploy": EDITORS,
    "erasing.erase_data": EDITORS,
    "erasing.erase_part": EDITORS,
    "flows.begin_flow": EDITORS,
    "flows.change_flow_settings": EDITORS,
    "flows.create_flow": EDITORS,
    "flows.delete_flow": EDITORS,
    "flows.duplicate_flow": EDITORS,
    "flows.export_flow": EVERYBODY,  # only reads
    "flows.import_flow": EDITORS,
    "flows.rename_flow": EDITORS,
    "flows.restore_version": EDITORS,
    "flows.save_as": EDITORS,
    "flows.save_draft": EDITORS,
    "flows.save_version": EDITORS,
    "hooks.add_hook": EDITORS,
    "hooks.change_hook": EDITORS,
    "hooks.pause_hook": EDITORS,
    "hooks.remove_hook": EDITORS,
    "hooks.renew_hook_secret": EDITORS,
    "hooks.resume_hook": EDITORS,
    "jobs.cancel_run": EDITORS,
    "jobs.cancel_waiting": EDITORS,
    "jobs.run_in_playground": EDITORS,
    "knowledge.add_collection": EDITORS,
    "knowledge.add_dataset_rows": EDITORS,
    "knowledge.add_file": EDITORS,
    "knowledge.add_site": EDITORS,
    "knowledge.add_text": EDITORS,
    "knowledge.bring_documents": EDITORS,
    "knowledge.delete_collection": EDITORS,
    "knowledge.delete_source": EDITORS,
    "knowledge.read_again": EDITORS,
    "knowledge.rename_collection": EDITORS,
    "knowledge.set_again": EDITORS,
    "knowledge.set_meaning": EDITORS,
    "knowledge.set_piece_length": EDITORS,
    "knowledge.stop_reading": EDITORS,
    "keys.change_key": EDITORS,
    "keys.create_key": EDITORS,
    "keys.revoke_key": EDITORS,
    "keys.rotate_key": EDITORS,
    "keys.try_key": EDITORS,
    "limits.set_plan": OWNERS,
    "members.change_name": EVERYBODY,  # changes the acting person only
    "members.note_jobs_seen": EVERYBODY,  # changes the acting person only
    "members.sign_out_everywhere": EVERYBODY,  # affects the acting person only
    "owner_notes.ask_owner": EDITORS,
    "owner_notes.close_note": OWNERS,
    "playground_batches.begin_playground_batch": EDITORS,
    "playground_batches.run_in_batch": EDITORS,
    "schedules.add_schedule": EDITORS,
    "schedules.change_schedule": EDITORS,
    "schedules.pause_schedule": EDITORS,
    "schedules.remove_schedule": EDITORS,
    "schedules.resume_schedule": EDITORS,
    "schedules.start_schedule": EDITORS,
    "questions.answer_question": EDITORS,
    "tool_servers.add_tool_server": OWNERS,
    "tool_servers.allow_tool": OWNERS,
    "tool_servers.allow_tools": OWNERS,
    "tool_servers.change_tool_server": OWNERS,
    "tool_servers.remember_tools": OWNERS,
    "tool_servers.remove_tool_server": OWNERS,
    "files.upload_by_person": EDITORS,
    "second_factor.require_second_factor": OWNERS,
    "second_factor.reset_second_factor": OWNERS,
    "secrets.add_secret": OWNERS,
    "secrets.close_secrets_notice": OWNERS,
    "secrets.remove_secret": OWNERS,
    "secrets.replace_secret": OWNERS,
    "secrets.set_secret_hosts": OWNERS,
    "server.note_backup": OWNERS,
    "server.note_backup_made": OWNERS,
    "server.note_new_key": OWNERS,
    "server.set_backup_passphrase": OWNERS,
    "server.set_known_names": OWNERS,
    "server.set_outbound_allow": OWNERS,
    "server.set_public_url": OWNERS,
    "server.set_rules": OWNERS,
    "server.set_webhook_allow": OWNERS,
    "team.change_role": OWNERS,
    "team.disable_person": OWNERS,
    "team.enable_person": OWNERS,
    "team.invite": OWNERS,
    "team.make_reset_link": OWNERS,
    "team.renew_invitation": OWNERS,
    "team.sign_out_person": OWNERS,
    "team.withdraw_invitation": OWNERS,
    "webhooks.renew_signing_secret": EDITORS,
    "webhooks.send_again": EDITORS,
    "webhooks.send_test": EDITORS,
    "webhooks.set_webhook": EDITORS,
}
#: Functions that take a principal and are part of an action, which has checked the permission.
PARTS = {
    "flows.add_version",
    "jobs.add_playground_job",
    "jobs.with_called_flows",
    "secrets.put_secret",
    "server.require_server_owner",
}
#: Functions that change state without a principal, and what they require instead of a role.
WITHOUT = {
    "erasing.erase_job": "a key",
    "files.upload": "a key",
    "flows.note_difference_from_live": "a part of actions",
    "sign_in_limits.begin_own_try": "a part of actions",
    "sign_in_limits.begin_try": "a part of actions",
    "sign_in_limits.forget_all": "a part of actions",
    "sign_in_limits.open_link": "a link",
    "sign_in_limits.open_question": "a link",
    "sign_in_limits.succeeded": "a part of actions",
    "jobs.add_snapshot": "a part of actions",
    "jobs.submit": "a key",
    "jobs.submit_many": "a key",
    "jobs.cancel": "a key",
    "jobs.cancel_all": "a key",
    "one_time_links.add_link": "a part of actions",
    "one_time_links.new_reset_token": "the server's terminal",
    "one_time_links.new_setup_token": "the server's terminal, while there is no owner",
    "one_time_links.renew_setup_token": "the server's terminal, while there is no owner",
    "one_time_links.use_link": "a link",
    "members.change_password": "the cookie and the old password",
    "members.ensure_owner": "the start of the program, while there is no owner",
    "members.join": "an invitation",
    "members.set_new_password": "a reset link",
    "members.set_up_owner": "a set-up link",
    "members.sign_in": "a password",
    "members.sign_out": "the cookie",
    "questions.answer_question_by_key": "a key",
    "questions.answer_question_by_link": "a link",
    "second_factor.give_code": "the step after a password, and a code",
    "second_factor.turn_off": "the cookie, and the password or a code",
    "second_factor.turn_on": "the cookie, the password and a code",
    "second_factor.turn_on_at_step": "the step after a password, and a code",
    "server_start.set_up": "the start of the program",
    "sign_in.enter": "a part of actions",
    "sign_in.start_session": "a part of actions",
    "workspaces.create_workspace": "the server's terminal",
    "workspaces.ensure_workspace": "the start of the program",
}
#: Functions that only read.
READS = {
    "called_flows.asks_person_anywhere",
    "called_flows.calls_older_versions",
    "called_flows.find_callee",
    "called_flows.live_pins",
    "called_flows.read_inner",
    "called_flows.read_library",
    "datasets.known_datasets",
    "deployments.problems_before_deploy",
    "deployments.warnings_before_deploy",
    "erasing.find_part",
    "files.check_room",
    "files.get_callers_file",
    "flows.find_version_of_draft",
    "keys.find_try_key",
    "sign_in_limits.is_audited",
    "jobs.clean_payload",
    "one_time_links.get_link",
    "samples.example_payload",
    "samples.next_input",
    "second_factor.at_step",
    "second_factor.begin_set_up",
    "second_factor.wants_set_up",
}


def functions() -> dict[str, Callable[..., Any]]:
    """Maps names such as `flows.save_as` to every function of `engine/actions` that works on the database."""
    found = {}
    for module in pkgutil.iter_modules(engine.actions.__path__):
        loaded = importlib.import_module(f"engine.actions.{module.name}")
        for name, function in inspect.getmembers(loaded, inspect.isfunction):
            first = next(iter(inspect.signature(function).parameters), "")
            if function.__module__ == loaded.__name__ and not name.startswith("_") and first in {"session", "database"}:
                found[f"{module.name}.{name}"] = function
    return found


def takes_principal(function: Callable[..., Any]) -> bool:
    return "principal" in inspect.signature(function).parameters


def made_up(function: Callable[..., Any]) -> list[Any]:
    """Builds a value for each parameter after the session and the principal."""
    wanted = list(inspect.signature(function).parameters.values())[2:]
    values = {"document": Document(), "data": b"{}", "vault": None}
    return [
        values.get(one.name, "x")
        for one in wanted
        if one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD
    ]


def test_every_action_stands_in_the_table() -> None:
    found = functions()
    with_principal = {name for name, function in found.items() if takes_principal(function)}

    told = WHO_MAY.keys() | PARTS
    assert (with_principal - told, told - with_principal) == (set(), set()), (
        "give the first rows in `WHO_MAY` with the roles that may, or in `PARTS` when an action calls them after its own"
        " check; take the second out"
    )
    without, told = found.keys() - with_principal, WITHOUT.keys() | READS
    assert (without - told, told - without) == (set(), set()), (
        "give the first rows in `WITHOUT` with what they require in place of a role, or in `READS` when they change nothing;"
        " take the second out"
    )


@pytest.mark.parametrize("name", WHO_MAY)
def test_an_action_asks_for_the_role_before_anything_else(database, workspace, name):
    action = functions()[name]
    arguments = made_up(action)
    named = {
        one.name: "x"
        for one in inspect.signature(action).parameters.values()
        if one.kind is one.KEYWORD_ONLY and one.default is one.empty
    }
    refused = set()
    for role in EVERYBODY:
        try:
            database.write_now(action, person(workspace, role), *arguments, **named)
        except NotAllowed:
            refused.add(role)
        except Exception:  # noqa: BLE001 - the role was accepted; the made-up values are refused for other reasons
            pass

    assert refused == set(EVERYBODY) - set(WHO_MAY[name])
