"""The limits of a plan, an environment and a key: exact, and told by the one that is the tightest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from engine.actions.limits import set_plan
from engine.actions.principal import command_line
from engine.core.clock import HOUR, MINUTE, MovedClock, next_month
from engine.core.environments import ENVIRONMENTS
from engine.core.errors import (
    ConcurrencyLimitExceeded,
    MonthlyQuotaExceeded,
)
from engine.core.ids import WorkspaceId
from storage.tables import ApiKey, Job, Workspace
from storage.usage import Caps, Used, read_usage, reconcile_usage, usage_subject
from tests.engine.jobs.submit.submitting import add_key, end, submit_with
from tests.engine.jobs.world import World, open_world


def test_the_plan_gives_four_slots_and_says_what_is_full(world: World) -> None:
    flow_id = world.add_flow()
    jobs = [world.submit(flow_id).job_id for _ in range(4)]
    with pytest.raises(ConcurrencyLimitExceeded) as refused:
        world.submit(flow_id)
    assert "All 4 jobs that Production of this workspace may have at once" in str(refused.value)
    assert "Settings, Limits and plan" in str(refused.value)
    assert refused.value.retry_after == 2
    end(world, jobs[0])
    assert world.submit(flow_id).limits.active == 4


def test_retry_after_follows_the_flows_usual_time(world: World) -> None:
    flow_id = world.add_flow()
    end(world, world.submit(flow_id).job_id)
    world.write(lambda session: session.execute(update(Job).values(completed_at=Job.started_at + 7_400)))
    for _ in range(4):
        world.submit(flow_id)
    with pytest.raises(ConcurrencyLimitExceeded) as refused:
        world.submit(flow_id)
    assert refused.value.retry_after == 8


def test_the_months_quota_is_told_before_concurrency_and_begins_again_on_the_first(
    new_data: Path,
) -> None:
    clock = MovedClock()
    clock.offset = next_month(clock.now()) - clock.now() - HOUR
    world = open_world(new_data, clock=clock)
    world.write(lambda session: session.execute(update(Workspace).values(monthly=4)))
    flow_id = world.add_flow()
    jobs = [world.submit(flow_id).job_id for _ in range(4)]
    with pytest.raises(MonthlyQuotaExceeded) as refused:
        world.submit(flow_id)
    assert HOUR / 1000 - 60 < refused.value.retry_after <= HOUR / 1000
    assert "begins again on the 1st at 00:00 UTC" in str(refused.value)
    clock.offset += HOUR + MINUTE
    with pytest.raises(ConcurrencyLimitExceeded):
        world.submit(flow_id)
    end(world, jobs[0])
    assert world.submit(flow_id).limits.used == 1
    world.database.close()


def test_an_unlimited_workspace_is_never_full(world: World) -> None:
    world.write(lambda session: session.execute(update(Workspace).values(concurrency=-1, monthly=-1)))
    flow_id = world.add_flow()
    limits = [world.submit(flow_id).limits for _ in range(20)][-1]
    assert (limits.concurrency, limits.monthly, limits.active) == (None, None, 20)


def test_a_key_has_its_own_lower_limits(world: World) -> None:
    flow_id = world.add_flow()
    caller = add_key(world, concurrency=1, monthly=2)
    first = submit_with(world, caller, flow_id)
    assert (first.limits.concurrency, first.limits.active, first.limits.monthly, first.limits.used) == (1, 1, 2, 1)
    with pytest.raises(ConcurrencyLimitExceeded, match="the key “Shop”"):
        submit_with(world, caller, flow_id)
    assert world.active() == 1
    end(world, first.job_id)
    end(world, submit_with(world, caller, flow_id).job_id)
    with pytest.raises(MonthlyQuotaExceeded, match="API Keys"):
        submit_with(world, caller, flow_id)
    assert world.active() == 0


def test_each_environment_has_slots_and_a_month_of_its_own(world: World) -> None:
    world.write(set_plan, command_line(WorkspaceId(world.workspace_id)), "pro")
    flow_id = world.add_flow()
    live, test, dev = (add_key(world, environment=name) for name in ENVIRONMENTS)
    for _ in range(20):
        submit_with(world, live, flow_id)
    first = submit_with(world, test, flow_id).limits
    assert (first.concurrency, first.active, first.monthly, first.used) == (5, 1, 2_500, 1)
    for _ in range(4):
        submit_with(world, test, flow_id)
    with pytest.raises(
        ConcurrencyLimitExceeded, match="All 5 jobs that Staging of this workspace may have at once are"
    ):
        submit_with(world, test, flow_id)
    assert submit_with(world, dev, flow_id).limits.active == 1
    with pytest.raises(ConcurrencyLimitExceeded, match="All 20 jobs that Production of"):
        submit_with(world, live, flow_id)
    assert [world.active(usage_subject(world.workspace_id, name)) for name in ENVIRONMENTS] == [20, 5, 1]


def test_a_slot_comes_back_to_the_environment_that_it_was_taken_from(world: World) -> None:
    flow_id = world.add_flow()
    live, test = add_key(world), add_key(world, environment="test")
    running = submit_with(world, test, flow_id)
    with pytest.raises(
        ConcurrencyLimitExceeded, match="The one job that Staging of this workspace may have at once is"
    ):
        submit_with(world, test, flow_id)
    submit_with(world, live, flow_id)
    end(world, running.job_id)
    assert (world.active(), world.active(usage_subject(world.workspace_id, "test"))) == (1, 0)
    assert submit_with(world, test, flow_id).limits.active == 1


def test_the_month_of_staging_is_refused_by_name_and_leaves_production_alone(world: World) -> None:
    own = Caps(monthly=1)
    world.write(set_plan, command_line(WorkspaceId(world.workspace_id)), "free", test=own)
    flow_id = world.add_flow()
    test = add_key(world, environment="test")
    end(world, submit_with(world, test, flow_id).job_id)
    with pytest.raises(
        MonthlyQuotaExceeded, match="The one request of Staging of this workspace for this month is used"
    ):
        submit_with(world, test, flow_id)
    assert world.submit(flow_id).limits.used == 1


def test_the_tighter_of_environment_and_key_is_told(world: World) -> None:
    world.write(set_plan, command_line(WorkspaceId(world.workspace_id)), "pro")
    flow_id = world.add_flow()
    wide, narrow = (add_key(world, environment="test", concurrency=most, monthly=50) for most in (9, 2))
    seen = submit_with(world, wide, flow_id).limits
    assert (seen.concurrency, seen.active, seen.monthly, seen.used) == (5, 1, 50, 1)
    seen = submit_with(world, narrow, flow_id).limits
    assert (seen.concurrency, seen.active) == (2, 1)
    for _ in range(3):
        seen = submit_with(world, wide, flow_id).limits
    assert (seen.concurrency, seen.active) == (5, 5)
    with pytest.raises(ConcurrencyLimitExceeded, match="Staging"):
        submit_with(world, narrow, flow_id)


def test_a_call_that_its_keys_limit_refused_is_taken_when_it_is_sent_again(world: World) -> None:
    flow_id = world.add_flow()
    caller = add_key(world, concurrency=1)
    running = submit_with(world, caller, flow_id)
    with pytest.raises(ConcurrencyLimitExceeded, match="the key “Shop”"):
        submit_with(world, caller, flow_id, idempotency_key="a")
    assert world.active() == 1, "the slot of the environment is not lost"
    end(world, running.job_id)
    again = submit_with(world, caller, flow_id, idempotency_key="a")
    assert (again.replayed, again.limits.active, world.active()) == (False, 1, 1)


def test_a_cap_set_later_counts_what_the_key_already_used(world: World) -> None:
    flow_id = world.add_flow()
    caller = add_key(world)
    submit_with(world, caller, flow_id)
    world.write(lambda session: session.execute(update(ApiKey).values(concurrency=1)))
    with pytest.raises(ConcurrencyLimitExceeded):
        submit_with(world, caller, flow_id)


def test_reconciling_sets_the_counters_to_what_the_jobs_table_says(world: World) -> None:
    flow_id = world.add_flow()
    caller = add_key(world)
    submit_with(world, caller, flow_id)
    world.write(lambda session: session.connection().exec_driver_sql("update usage set active = 9"))
    assert world.write(reconcile_usage) == 2
    assert world.active() == 1
    assert world.active(caller.key_id) == 1
    assert world.read(read_usage, world.workspace_id).month_count == 1


def test_reconciling_counts_each_environment_from_the_jobs_table(world: World) -> None:
    flow_id = world.add_flow()
    submit_with(world, add_key(world, environment="test"), flow_id)
    world.submit(flow_id)
    world.write(lambda session: session.connection().exec_driver_sql("delete from usage"))
    world.write(reconcile_usage)
    used = [world.read(read_usage, usage_subject(world.workspace_id, name)) for name in ENVIRONMENTS]
    assert used == [Used(1, 1), Used(1, 1), Used(0, 0)]


SUBMITTER = """
import sys, threading, random, time
from collections import Counter
from pathlib import Path
from engine.core.errors import ConcurrencyLimitExceeded
from engine.jobs.transitions import claim, finish
from storage.job_changes import Lease
from engine.actions.jobs import submit
from engine.jobs.submit.accept import Caller
from tests.databases import open_database
from tests.engine.jobs.world import count_open

data, workspace, flow, enough = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
most = dict(live=4, test=2, dev=1)
database = open_database(data)
wrong, accepted, refused = [], Counter(), Counter()

def one(session, environment):
    try:
        job_id = submit(session, Caller(workspace, None, environment), flow, {}).job_id
    except ConcurrencyLimitExceeded:
        job_id = None
    held = {name: count_open(session, workspace, name) for name in most}
    if any(held[name] > most[name] for name in most): wrong.append(("too many", held))
    if job_id is None and held[environment] < most[environment]: wrong.append(("refused a free slot", environment, held))
    return job_id

def seen_enough():
    return min([accepted[name] for name in most] + [refused[name] for name in most]) >= enough

def client(environment):
    until = time.monotonic() + 240
    while not seen_enough() and time.monotonic() < until:
        job_id = database.write_now(one, environment)
        if job_id is None:
            refused[environment] += 1; time.sleep(0.002); continue
        accepted[environment] += 1; time.sleep(random.random() * 0.01)
        claimed = database.write_now(claim, "boot", job_id)
        assert database.write_now(finish, job_id, "completed", lease=Lease("boot", claimed.attempt))

threads = [threading.Thread(target=client, args=[list(most)[at % 3]]) for at in range(32)]
[thread.start() for thread in threads]; [thread.join() for thread in threads]
database.close()
print(sum(accepted.values()), seen_enough(), wrong[:3])
"""


@pytest.mark.process
@pytest.mark.costly("two processes ask for the write lock again and again, the longer the busier the machine is")
def test_64_submitters_in_2_processes_exceed_no_environments_limit_and_are_never_refused_a_free_slot(
    world: World,
) -> None:
    flow_id = world.add_flow()
    own = {"concurrency": 4, "test_concurrency": 2, "dev_concurrency": 1}
    unlimited = dict.fromkeys(("monthly", "test_monthly", "dev_monthly"), -1)
    world.write(lambda session: session.execute(update(Workspace).values(**own, **unlimited)))
    arguments = [sys.executable, "-c", SUBMITTER, str(world.data), world.workspace_id, flow_id, "5"]
    clients = [subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [client.communicate(timeout=300)[0].split(maxsplit=2) for client in clients]
    assert [(enough, wrong.strip()) for _, enough, wrong in said] == [("True", "[]")] * 2
    assert [world.active(usage_subject(world.workspace_id, name)) for name in ENVIRONMENTS] == [0, 0, 0]
    total = world.read(lambda session: session.scalar(select(func.count()).select_from(Job)))
    assert total == sum(int(line[0]) for line in said)
