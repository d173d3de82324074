"""Accepting jobs: what is refused, in which order, and that limits hold to the last slot."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from engine.actions.jobs import submit
from engine.clock import DAY, HOUR, MINUTE, MovedClock, next_month
from engine.errors import (
    ConcurrencyLimitExceeded,
    IdempotencyKeyReused,
    MonthlyQuotaExceeded,
    NotAllowed,
    NotDeployed,
    NotFound,
    PayloadInvalid,
    StorageUnavailable,
    Unauthorized,
)
from engine.ids import new_id
from engine.jobs.accept import Caller, SubmitOptions
from engine.jobs.changes import claim, finish
from engine.jobs.queue import JsonSerializer
from storage.database import now
from storage.job_changes import Holder
from storage.models import ApiKey, Flow, FlowVersion, Job, Workspace
from storage.usage import read_usage, reconcile_usage
from tests.engine.jobs.world import World, add_workspace, count_open, document_of, open_world


def add_key(world: World, **changes) -> Caller:
    key_id = new_id("key")

    def add(session) -> None:
        row = {
            "environment": "live",
            "label": "Shop",
            "flow_ids": None,
            "concurrency": None,
            "monthly": None,
            "created_at": now(session),
            "created_by": "test",
            **changes,
        }
        session.add(ApiKey(id=key_id, workspace_id=world.workspace_id, **row))

    world.write(add)
    return Caller(world.workspace_id, key_id, "live", "Shop", "fp_live_ab")


def submit_with(world: World, caller: Caller, flow_id: str, payload=None, **options):
    return world.write(submit, caller, flow_id, payload or {}, SubmitOptions(**options))


def end(world: World, job_id: str) -> None:
    claimed = world.write(claim, "boot_w", job_id)
    world.write(finish, job_id, "completed", holder=Holder("boot_w", claimed.attempt), result=("1", 1))


def test_an_accepted_job_is_queued_with_its_payload_event_and_message(world: World) -> None:
    flow_id = world.add_flow()
    accepted = world.submit(flow_id, {"n": 5}, request_id="req_1", traceparent="00-1")
    job = world.job(accepted.job_id)
    assert (job.status, job.flow_version, job.environment, job.limit_ms) == ("queued", 1, "live", 1_800_000)
    assert (job.request_id, job.steps_total) == ("req_1", 2)
    assert (accepted.limits.concurrency, accepted.limits.active, accepted.limits.monthly, accepted.limits.used) == (
        4,
        1,
        1000,
        1,
    )
    (message,) = world.read(
        lambda session: session.connection().exec_driver_sql("select data from task").scalars().all()
    )
    assert JsonSerializer().deserialize(message).args == [job.id]


def test_the_plan_gives_four_slots_and_says_what_is_full(world: World) -> None:
    flow_id = world.add_flow()
    jobs = [world.submit(flow_id).job_id for _ in range(4)]
    with pytest.raises(ConcurrencyLimitExceeded) as refused:
        world.submit(flow_id)
    assert "All 4 jobs that this workspace may have at once" in str(refused.value)
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


def test_a_cap_set_later_counts_what_the_key_already_used(world: World) -> None:
    flow_id = world.add_flow()
    caller = add_key(world)
    submit_with(world, caller, flow_id)
    world.write(lambda session: session.execute(update(ApiKey).values(concurrency=1)))
    with pytest.raises(ConcurrencyLimitExceeded):
        submit_with(world, caller, flow_id)


@pytest.mark.parametrize("change", [{"revoked_at": 1}, {"expires_at": 1}])
def test_a_key_that_is_no_longer_valid_is_refused_whatever_was_cached(world: World, change: dict[str, int]) -> None:
    flow_id = world.add_flow()
    caller = add_key(world)
    submit_with(world, caller, flow_id)
    world.write(lambda session: session.execute(update(ApiKey).values(**change)))
    with pytest.raises(Unauthorized):
        submit_with(world, caller, flow_id)


def test_unknown_foreign_and_switched_off_flows_are_refused(world: World) -> None:
    foreign = world.add_flow(workspace_id=world.write(add_workspace))
    for flow_id in (foreign, "flow_unknown"):
        with pytest.raises(NotFound):
            world.submit(flow_id)
    with pytest.raises(NotDeployed):
        world.submit(world.add_flow(live=False))


def test_a_key_for_some_flows_may_not_call_others(world: World) -> None:
    mine, other = world.add_flow(), world.add_flow()
    caller = add_key(world, flow_ids=[mine])
    assert submit_with(world, caller, mine).status == "queued"
    with pytest.raises(NotAllowed):
        submit_with(world, caller, other)


def test_the_live_version_counts_from_the_next_request_and_old_ones_by_request(world: World) -> None:
    flow_id = world.add_flow()

    def go_live(session) -> None:
        for number, deployed in ((2, now(session)), (3, None)):
            session.add(
                FlowVersion(
                    flow_id=flow_id,
                    number=number,
                    document=document_of(fields=[{"name": "m", "type": "string"}]).dumps(),
                    title="",
                    note="",
                    created_at=now(session),
                    created_by="",
                    first_deployed_at=deployed,
                )
            )
        session.execute(update(Flow).values(live_version=2))

    world.submit(flow_id, {"n": 1})
    world.write(go_live)
    assert world.job(world.submit(flow_id, {"m": "x"}).job_id).flow_version == 2
    assert world.job(world.submit(flow_id, {"n": 1}, version=1).job_id).flow_version == 1
    with pytest.raises(NotFound):
        world.submit(flow_id, {"m": "x"}, version=3)


def test_a_wrong_payload_is_told_before_any_limit(world: World) -> None:
    flow_id = world.add_flow()
    for _ in range(4):
        world.submit(flow_id)
    with pytest.raises(PayloadInvalid) as refused:
        world.submit(flow_id, {"n": "5", "x": 1})
    assert {error.pointer for error in refused.value.errors} == {"/n", "/x"}


@pytest.mark.parametrize(
    ("settings", "cancel_after", "limit"),
    [
        ({}, None, 1_800_000),
        ({}, 60, 60_000),
        ({"limit_seconds": 30}, 60, 30_000),
        ({"limit_seconds": 1}, None, 10_000),
        ({"limit_seconds": 10**9}, None, 86_400_000),
    ],
)
def test_the_time_limit_is_the_flows_or_lower(world: World, settings, cancel_after, limit: int) -> None:
    job_id = world.submit(world.add_flow(settings=settings), cancel_after_seconds=cancel_after).job_id
    assert world.job(job_id).limit_ms == limit


def test_the_same_idempotency_key_gives_the_same_job_and_uses_nothing(new_data: Path) -> None:
    clock = MovedClock()
    world = open_world(new_data, clock=clock)
    flow_id = world.add_flow()
    first = world.submit(flow_id, {"n": 1}, idempotency_key="a")
    again = world.submit(flow_id, {"n": 1}, idempotency_key="a")
    assert replace(again, replayed=False, limits=first.limits) == first
    assert (again.replayed, again.limits.used, world.active()) == (True, 1, 1)
    with pytest.raises(IdempotencyKeyReused):
        world.submit(flow_id, {"n": 2}, idempotency_key="a")
    other = world.write(
        submit, replace(world.caller, environment="test"), flow_id, {"n": 2}, SubmitOptions(idempotency_key="a")
    )
    assert not other.replayed
    clock.offset += DAY
    assert not world.submit(flow_id, {"n": 2}, idempotency_key="a").replayed
    world.database.close()


def test_a_refused_request_leaves_no_idempotency_row(world: World) -> None:
    flow_id = world.add_flow()
    jobs = [world.submit(flow_id).job_id for _ in range(4)]
    with pytest.raises(ConcurrencyLimitExceeded):
        world.submit(flow_id, idempotency_key="a")
    end(world, jobs[0])
    assert not world.submit(flow_id, idempotency_key="a").replayed


def test_reconciling_sets_the_counters_to_what_the_jobs_table_says(world: World) -> None:
    flow_id = world.add_flow()
    caller = add_key(world)
    submit_with(world, caller, flow_id)
    world.write(lambda session: session.connection().exec_driver_sql("update usage set active = 9"))
    assert world.write(reconcile_usage) == 2
    assert world.active() == 1
    assert world.active(caller.key_id) == 1
    assert world.read(read_usage, world.workspace_id).month_count == 1


def test_a_disk_that_cannot_be_written_refuses_and_leaves_nothing_half_made(world: World) -> None:
    flow_id = world.add_flow(document_of(fields=[{"name": "text", "type": "string"}]))
    world.write(lambda session: session.connection().exec_driver_sql("pragma max_page_count = 1"))
    with pytest.raises(StorageUnavailable):
        world.submit(flow_id, {"text": "x" * 500_000})
    world.write(lambda session: session.connection().exec_driver_sql("pragma max_page_count = 1000000"))
    assert (world.read(count_open, world.workspace_id), world.active()) == (0, 0)
    assert world.submit(flow_id, {"text": "x" * 500_000}).limits.active == 1


SUBMITTER = """
import sys, threading, random, time
from pathlib import Path
from engine.errors import ConcurrencyLimitExceeded
from engine.jobs.changes import claim, finish
from storage.database import open_database
from storage.job_changes import Holder
from engine.actions.jobs import submit
from engine.jobs.accept import Caller
from tests.engine.jobs.world import count_open

data, workspace, flow, enough = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
database = open_database(data)
wrong, accepted, refused = [], [], []

def one(session):
    try:
        job_id = submit(session, Caller(workspace, None, "live"), flow, {}).job_id
    except ConcurrencyLimitExceeded:
        if count_open(session, workspace) < 4: wrong.append("refused with a free slot")
        return None
    if count_open(session, workspace) > 4: wrong.append("a fifth job")
    return job_id

def client():
    until = time.monotonic() + 240
    while min(len(accepted), len(refused)) < enough and time.monotonic() < until:
        job_id = database.write_now(one)
        if job_id is None:
            refused.append(1); time.sleep(0.002); continue
        accepted.append(1); time.sleep(random.random() * 0.01)
        claimed = database.write_now(claim, "boot", job_id)
        assert database.write_now(finish, job_id, "completed", holder=Holder("boot", claimed.attempt))

threads = [threading.Thread(target=client) for _ in range(32)]
[thread.start() for thread in threads]; [thread.join() for thread in threads]
database.close()
print(len(accepted), len(refused), wrong[:3])
"""


@pytest.mark.process
def test_64_submitters_in_2_processes_never_exceed_4_jobs_and_are_never_refused_a_free_slot(world: World) -> None:
    flow_id = world.add_flow()
    world.write(lambda session: session.execute(update(Workspace).values(monthly=-1)))
    arguments = [sys.executable, "-c", SUBMITTER, str(world.data), world.workspace_id, flow_id, "25"]
    clients = [subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [client.communicate(timeout=300)[0].split(maxsplit=2) for client in clients]
    assert [line[2].strip() for line in said] == ["[]", "[]"]
    assert min(int(count) for line in said for count in line[:2]) >= 25
    assert world.active() == 0
    total = world.read(lambda session: session.scalar(select(func.count()).select_from(Job)))
    assert total == sum(int(line[0]) for line in said)
