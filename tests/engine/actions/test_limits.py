from __future__ import annotations

import threading

import pytest

from engine.actions.limits import UNLIMITED, Caps, describe, set_plan
from engine.actions.workspaces import create_workspace, ensure_workspace
from engine.core.errors import Conflict, Invalid, NotAllowed, NotFound
from storage.audit import list_entries
from storage.workspaces import get_limits, list_workspaces, pick_workspace
from tests.databases import open_database
from tests.factories import person


@pytest.mark.parametrize(
    ("plan", "concurrency", "monthly"), [("free", 4, 1_000), ("pro", 20, 10_000), ("enterprise", 100, None)]
)
def test_a_plan_brings_its_limits(database, ada, plan, concurrency, monthly):
    limits = database.write_now(set_plan, ada, plan)
    assert limits.caps["live"] == Caps(concurrency, monthly)
    assert database.read_now(get_limits, ada.workspace_id) == limits


@pytest.mark.parametrize(("plan", "part"), [("free", (1, 250)), ("pro", (5, 2_500)), ("enterprise", (25, None))])
def test_staging_and_development_have_a_quarter_beside_production(database, ada, plan, part):
    limits = database.write_now(set_plan, ada, plan)
    assert limits.caps["test"] == limits.caps["dev"] == Caps(*part)


@pytest.mark.parametrize(("own", "part"), [(3, 1), (11, 2), (UNLIMITED, None)])
def test_the_quarter_is_of_what_production_has_and_at_least_one(database, ada, own, part):
    limits = database.write_now(set_plan, ada, "free", concurrency=own)
    assert limits.caps["test"].concurrency == limits.caps["dev"].concurrency == part


def test_limits_of_ones_own_stand_until_the_plan_is_set_again(database, ada):
    own = {"test": Caps(7, UNLIMITED), "dev": Caps(monthly=1)}
    limits = database.write_now(set_plan, ada, "free", concurrency=2, monthly=UNLIMITED, **own)
    assert limits.caps == {"live": Caps(2, None), "test": Caps(7, None), "dev": Caps(1, 1)}
    assert limits.own == {"live": Caps(2, UNLIMITED), **own}
    assert describe(limits) == (
        "Free: Production 2 jobs at once, any number of requests a month; Staging 7 jobs at once, any number of requests "
        "a month; Development 1 job at once, 1 request a month"
    )
    assert database.write_now(set_plan, ada, "free").caps["live"].concurrency == 4
    assert database.read_now(get_limits, ada.workspace_id).caps["test"] == Caps(1, 250)


@pytest.mark.parametrize(
    ("plan", "limits"),
    [("gold", {}), ("free", {"concurrency": 0}), ("free", {"monthly": -2}), ("free", {"dev": Caps(0)})],
)
def test_a_wrong_plan_or_limit_changes_nothing(database, ada, plan, limits):
    with pytest.raises(Invalid):
        database.write_now(set_plan, ada, plan, **limits)
    assert database.read_now(get_limits, ada.workspace_id).caps["live"].monthly == 1_000


def test_a_change_of_plan_stands_in_the_audit_log(database, ada):
    database.write_now(set_plan, ada, "pro")
    assert database.read_now(list_entries, ada.workspace_id)[0].detail.startswith("Pro: Production 20 jobs at once, ")


def test_only_an_owner_changes_the_plan(database, ada):
    with pytest.raises(NotAllowed):
        database.write_now(set_plan, person(ada.workspace_id, "editor"), "pro")


def test_the_first_workspace_is_made_once_however_many_come_at_once(tmp_path):
    made = []

    def come():
        database = open_database(tmp_path)
        made.append(database.write_now(ensure_workspace, "pro"))
        database.close()

    threads = [threading.Thread(target=come) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 1


def test_workspaces_are_found_by_id_or_name(database, workspace):
    second = database.write_now(create_workspace, "Second", "pro")
    assert database.read_now(pick_workspace, second).limits.plan == "pro"
    assert database.read_now(pick_workspace, "Second").id == second
    assert [row.name for row in database.read_now(list_workspaces)] == ["Workspace", "Second"]
    with pytest.raises(NotFound):
        database.read_now(pick_workspace, "Third")


def test_a_workspace_name_is_given_once(database, workspace):
    with pytest.raises(Conflict):
        database.write_now(create_workspace, "Workspace")
    with pytest.raises(Invalid):
        database.write_now(create_workspace, "  ")
