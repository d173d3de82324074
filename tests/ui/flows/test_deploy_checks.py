"""Checks before a deployment: which keys a change affects, by what they sent in the last seven days."""

from __future__ import annotations

from typing import Any

import pytest

from engine.actions.datasets import add_dataset
from engine.actions.deployments import deploy
from engine.actions.flows import create_flow, save_as, save_draft
from engine.actions.keys import create_key, revoke_key
from engine.actions.principal import command_line
from engine.core.clock import DAY, MovedClock
from storage.database import Database
from storage.sent_fields import CALLS, Sent, add_sent_fields
from tests.factories import document, greeting

LANG = {"name": "lang", "type": "string"}


def flow_with(*fields: dict[str, Any]) -> Any:
    file = greeting()
    file["nodes"][0]["config"]["fields"] += fields
    return document(file)


def noticed(
    database: Database, workspace: str, clock: MovedClock, before: Any, after: Any, calls: dict[str, tuple[int, int]]
) -> list[tuple[str, str, bool]]:
    """Returns the sentence about each change; `calls`: label -> (calls, calls with `lang`)."""
    from ui.flows.deploy_checks import look_before_deploy

    owner = command_line(workspace)
    flow_id = database.write_now(create_flow, owner, "Greeting", before)
    database.write_now(save_as, owner, flow_id, "Greeting")
    database.write_now(deploy, owner, flow_id)
    database.write_now(save_draft, owner, flow_id, after, 1)
    day = clock.now() // DAY
    for label, (count, with_lang) in calls.items():
        key = database.write_now(create_key, owner, label, "live")
        counts = {Sent(day - 3, workspace, flow_id, key.id, CALLS): count}
        counts |= {Sent(day - 3, workspace, flow_id, key.id, "lang"): with_lang} if with_lang else {}
        database.write_now(add_sent_fields, counts)
        if label == "Gone":
            database.write_now(revoke_key, owner, key.id)
    checks = database.read_now(look_before_deploy, workspace, flow_id)
    return [(one.change.weight, one.keys, one.hits) for one in checks.changes]


@pytest.mark.parametrize(
    ("before", "after", "calls", "said"),
    [
        (
            [LANG],
            [],
            {"Shop": (9, 4), "App": (2, 2), "Batch": (5, 0), "Gone": (3, 3)},
            ("breaking", "2 keys sent `lang` in the last 7 days and will be refused: App, Shop.", True),
        ),
        (
            [],
            [{**LANG, "required": True}],
            {"Shop": (9, 0), "Gone": (3, 0)},
            ("breaking", "1 key called without `lang` in the last 7 days and will be refused: Shop.", True),
        ),
        (
            [LANG],
            [{**LANG, "required": True}],
            {"Shop": (9, 9), "App": (3, 1)},
            ("breaking", "1 key called without `lang` in the last 7 days and will be refused: App.", True),
        ),
        (
            [LANG],
            [{**LANG, "enum": ["de", "en"]}],
            {"Shop": (9, 9)},
            ("breaking", "1 key sent `lang` in the last 7 days and may be refused: Shop.", True),
        ),
        ([LANG], [], {"Shop": (9, 0)}, ("breaking", "No key sent `lang` in the last 7 days.", False)),
        ([], [LANG], {"Shop": (9, 0)}, ("harmless", "", False)),
    ],
)
def test_a_change_names_the_keys_it_will_hit(
    database: Database,
    workspace: str,
    clock: MovedClock,
    before: list[dict[str, Any]],
    after: list[dict[str, Any]],
    calls: dict[str, tuple[int, int]],
    said: tuple[str, str, bool],
) -> None:
    assert noticed(database, workspace, clock, flow_with(*before), flow_with(*after), calls) == [said]


def test_of_many_keys_only_the_number_is_said(database: Database, workspace: str, clock: MovedClock) -> None:
    calls = {f"Key {number}": (1, 1) for number in range(6)}

    ((_weight, said, hits),) = noticed(database, workspace, clock, flow_with(LANG), flow_with(), calls)

    assert (said, hits) == ("6 keys sent `lang` in the last 7 days and will be refused.", True)


GROUP = {"name": "who", "type": "object", "fields": [{"name": "city", "type": "string"}]}


@pytest.mark.parametrize(
    ("before", "after", "heading"),
    [
        ([], [LANG], "No problems."),
        ([LANG], [], "It can go live, but calls that no longer fit will get an error."),
        ([GROUP], [{**GROUP, "fields": [LANG]}], "It can go live, but calls that no longer fit will get an error."),
    ],
)
def test_one_heading_sums_up_what_the_checks_found(
    database: Database, workspace: str, before: list[dict[str, Any]], after: list[dict[str, Any]], heading: str
) -> None:
    from ui.flows.deploy_checks import look_before_deploy

    owner = command_line(workspace)
    flow_id = database.write_now(create_flow, owner, "Greeting", flow_with(*before))
    database.write_now(save_as, owner, flow_id, "Greeting")
    database.write_now(deploy, owner, flow_id)
    database.write_now(save_draft, owner, flow_id, flow_with(*after), 1)
    assert database.read_now(look_before_deploy, workspace, flow_id).heading[0] == heading


def test_tables_that_calls_begin_to_write_into_are_named_once(database: Database, workspace: str) -> None:
    from ui.flows.deploy_checks import look_before_deploy

    owner = command_line(workspace)
    dataset = database.write_now(add_dataset, owner, "Daily prices")
    file = greeting()
    keep = {"id": "k", "type": "dataset_sink", "config": {"dataset": dataset}, "inputs": {"a": "{{ api_input.out }}"}}
    file["nodes"].append(keep)
    file["edges"].append({"id": "e2", "source": "text_template", "target": "k"})
    flow_id = database.write_now(create_flow, owner, "Greeting", flow_with())
    database.write_now(save_as, owner, flow_id, "Greeting")
    database.write_now(deploy, owner, flow_id)
    looked = lambda: database.read_now(look_before_deploy, workspace, flow_id).saves  # noqa: E731
    assert looked() == ()
    database.write_now(save_draft, owner, flow_id, document(file), 1)
    assert looked() == ("Daily prices",)
    database.write_now(deploy, owner, flow_id)
    assert looked() == ()
