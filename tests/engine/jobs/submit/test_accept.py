"""Accepting jobs: what is refused, in which order, and that limits are exact."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from engine.actions.jobs import submit
from engine.actions.limits import set_plan
from engine.actions.principal import command_line
from engine.core.clock import DAY, HOUR, MINUTE, Millis, MovedClock, next_month
from engine.core.environments import ENVIRONMENTS
from engine.core.errors import (
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
from engine.core.ids import WorkspaceId, new_id
from engine.flow.document import Document
from engine.flow.payload_check import check_payload
from engine.jobs.huey_queue import JsonSerializer
from engine.jobs.notifier import NOTIFIER
from engine.jobs.submit.accept import (
    Accepted,
    Caller,
    find_body_version,
    find_live_flow,
    read_key_again,
)
from engine.jobs.submit.bodies import CheckedBody, SubmitOptions, checked_body, read_version
from engine.jobs.transitions import claim, finish
from storage.database import now
from storage.idempotency import remove_old_answers
from storage.job_changes import Lease
from storage.jobs import KeyScope, read_value
from storage.keys import read_caller
from storage.tables import ApiKey, ApiKeySecret, Flow, FlowVersion, Idempotency, Job, Workspace
from storage.usage import Caps, Used, read_usage, reconcile_usage, usage_subject
from tests.engine.jobs.world import World, add_workspace, count_open, document_of, open_world
from tests.logical_time import StillClock
from tests.stored import fill_disk, free_disk


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
    return Caller(world.workspace_id, key_id, changes.get("environment", "live"), "Shop", "fp_live_ab")


def submit_with(world: World, caller: Caller, flow_id: str, payload=None, **options):
    return world.write(submit, caller, flow_id, payload or {}, SubmitOptions(**options))


def end(world: World, job_id: str) -> None:
    claimed = world.write(claim, "boot_w", job_id)
    world.write(finish, job_id, "completed", lease=Lease("boot_w", claimed.attempt), result=("1", 1))


def test_an_accepted_job_is_queued_with_its_payload_event_and_message(world: World) -> None:
    flow_id = world.add_flow()
    accepted = world.submit(flow_id, {"n": 5}, request_id="req_1", trace="00-1")
    job = world.job(accepted.job_id)
    assert (job.status, job.flow_version, job.environment, job.limit_ms) == ("queued", 1, "live", 1_800_000)
    assert (job.request_id, job.traceparent, job.steps_total) == ("req_1", "00-1", 2)
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


class Told:
    """A notifier that records the job ids it is given."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def wake(self) -> None:
        self.heard.append("wake")

    def cancel(self, job_id: str) -> None:
        raise AssertionError("nothing was cancelled")

    def changed(self, *job_ids: str) -> None:
        self.heard += job_ids


def test_workers_and_those_who_wait_hear_of_an_accepted_job(world: World) -> None:
    notifier = world.database.info[NOTIFIER] = Told()
    job_id = world.submit(world.add_flow()).job_id
    world.database.write_now(
        lambda _session: None
    )  # the notices of a write follow its answer, and precede the next write
    assert sorted(notifier.heard) == [job_id, "wake"]


def test_a_job_of_a_key_is_stored_with_it_and_seen_by_it(world: World) -> None:
    flow_id = world.add_flow()
    caller = add_key(world, environment="test", flow_ids=[flow_id])
    job = world.job(submit_with(world, caller, flow_id).job_id)
    assert (job.key_id, job.environment) == (caller.key_id, "test")
    scope = replace(caller, environment="test", flow_ids=frozenset({flow_id})).scope
    assert scope == KeyScope("test", frozenset({flow_id}))


def test_a_job_begins_with_the_defaults_of_its_fields(world: World) -> None:
    fields = [{"name": "n", "type": "integer"}, {"name": "word", "type": "string", "default": "hello"}]
    job_id = world.submit(world.add_flow(document_of(fields=fields)), {"n": 1}).job_id
    assert world.read(read_value, job_id, "payload") == {"n": 1, "word": "hello"}


def test_a_node_that_stands_apart_is_no_step(world: World) -> None:
    document = document_of(("echo", "set_fields", {"n": 1}), ("apart", "set_fields", {"n": 1}))
    document = document.model_copy(update={"edges": document.edges[:1]})
    assert world.job(world.submit(world.add_flow(document)).job_id).steps_total == 2


@pytest.mark.parametrize(
    ("flows", "asked", "url", "by_caller"),
    [
        (None, None, None, False),
        ("https://a.example", None, "https://a.example", False),
        (None, "https://b.example", "https://b.example", True),
        ("https://a.example", "https://b.example", "https://b.example", True),
    ],
)
def test_the_webhook_of_a_request_counts_before_that_of_its_flow(world: World, flows, asked, url, by_caller) -> None:
    flow_id = world.add_flow(settings={"webhook_url": flows} if flows else {})
    world.submit(flow_id, webhook_url=asked)
    stored = world.read(lambda session: session.execute(select(Job.webhook_url, Job.webhook_by_caller)).one())
    assert tuple(stored) == (url, by_caller)


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
    with pytest.raises(MonthlyQuotaExceeded, match="All 1 requests of Staging of this workspace for this month"):
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


@pytest.mark.parametrize("change", [{"revoked_at": 1}, {"expires_at": 1}])
def test_a_key_that_is_no_longer_valid_is_refused_whatever_was_cached(world: World, change: dict[str, int]) -> None:
    flow_id = world.add_flow()
    caller = add_key(world)
    submit_with(world, caller, flow_id)
    world.write(lambda session: session.execute(update(ApiKey).values(**change)))
    with pytest.raises(Unauthorized):
        submit_with(world, caller, flow_id)


def test_only_the_secret_that_was_sent_counts_while_a_key_has_two(world: World) -> None:
    flow_id = world.add_flow()
    caller = add_key(world)

    def add_secrets(session) -> None:
        at = now(session)
        for number, valid_until in enumerate((None, at - 1)):
            secret = {"hash": f"hash_{number}", "key_id": caller.key_id, "prefix": "fp_live_ab", "last4": "abcd"}
            session.add(ApiKeySecret(**secret, created_at=at, valid_until=valid_until))

    world.write(add_secrets)
    assert submit_with(world, replace(caller, key_hash="hash_0"), flow_id).status == "queued"
    for gone in ("hash_1", "hash_of_nothing"):
        with pytest.raises(Unauthorized):
            submit_with(world, replace(caller, key_hash=gone), flow_id)


def test_what_a_key_may_is_read_again_and_what_was_sent_stays(world: World) -> None:
    known = add_key(world)
    changed = {"label": "Store", "environment": "test", "flow_ids": ["flow_1"], "concurrency": 3, "monthly": 9}
    world.write(lambda session: session.execute(update(ApiKey).values(**changed)))
    plan = world.read(read_caller, world.workspace_id, known.key_id)
    assert plan.requests is not None
    assert world.read(read_key_again, known) == Caller(
        world.workspace_id,
        known.key_id,
        "test",
        label="Store",
        prefix="fp_live_ab",
        flow_ids=frozenset({"flow_1"}),
        concurrency=3,
        monthly=9,
        requests=plan.requests,
    )
    secret = {"hash": "hash_1", "key_id": known.key_id, "prefix": "fp_live_ab", "last4": "abcd"}
    world.write(lambda session: session.add(ApiKeySecret(**secret, created_at=1)))
    assert world.read(read_key_again, replace(known, key_hash="hash_1")).key_hash == "hash_1"


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
    with pytest.raises(NotAllowed):
        world.read(find_live_flow, replace(caller, flow_ids=frozenset({mine})), other)
    foreign = world.add_flow(workspace_id=world.write(add_workspace))
    for flow_id in (foreign, "flow_unknown"):
        with pytest.raises(NotFound):
            submit_with(world, caller, flow_id)


def add_versions(world: World, flow_id: str, numbers: Iterable[int], **changes) -> None:
    """Adds deployed versions; each has one input field, `f` and its number."""

    def add(session) -> None:
        rows = [
            {
                "flow_id": flow_id,
                "number": number,
                "document": document_of(fields=[{"name": f"f{number}", "type": "string"}]).dumps(),
                "title": "",
                "note": "",
                "created_at": 1,
                "created_by": "",
                "first_deployed_at": 1,
                **changes,
            }
            for number in numbers
        ]
        session.execute(insert(FlowVersion), rows)

    world.write(add)


def test_a_version_of_another_flow_is_none_of_this_one(world: World) -> None:
    other, flow_id = sorted(world.add_flow() for _ in range(2))
    add_versions(world, other, [2, 3])
    add_versions(world, flow_id, [3], first_deployed_at=None)
    for number in (2, 3):
        with pytest.raises(NotFound, match=f"Version {number} of this flow was never deployed"):
            world.submit(flow_id, version=number)
    with pytest.raises(NotFound):
        world.read(read_version, flow_id, 2)
    add_versions(world, flow_id, [2], document=document_of(fields=[{"name": "mine", "type": "string"}]).dumps())
    assert [[field["name"] for field in world.read(read_version, one, 2).fields] for one in (flow_id, other)] == [
        ["mine"],
        ["f2"],
    ]


def test_what_was_read_of_the_newest_512_versions_is_not_read_again(world: World) -> None:
    flow_id = world.add_flow()
    add_versions(world, flow_id, range(2, 515))

    def read_all(session) -> None:
        for number in range(2, 515):
            read_version(session, flow_id, number)

    world.read(read_all)
    world.write(lambda session: session.execute(delete(FlowVersion).where(FlowVersion.flow_id == flow_id)))
    for number in (3, 514):
        assert [field["name"] for field in world.read(read_version, flow_id, number).fields] == [f"f{number}"]
    with pytest.raises(NotFound):
        world.read(read_version, flow_id, 2)


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
    assert "2 fields are wrong" in str(refused.value)
    with pytest.raises(PayloadInvalid, match="1 field is wrong"):
        world.submit(flow_id, {"n": "5"})


@pytest.mark.parametrize(
    ("settings", "cancel_after", "limit"),
    [
        ({}, None, 1_800_000),
        ({}, 60, 60_000),
        ({"limit_seconds": 30}, 60, 30_000),
        ({"limit_seconds": 1}, None, 10_000),
        ({"limit_seconds": 10**9}, None, 86_400_000),
        ({"limit_seconds": 60.5}, None, 60_500),
        ({"limit_seconds": True}, None, 1_800_000),
        ({"limit_seconds": "60"}, None, 1_800_000),
        ({"limit_seconds": None}, None, 1_800_000),
        ({}, 0, 1),
        ({}, 0.0004, 1),
        ({}, 12.3456, 12_346),
    ],
)
def test_the_time_limit_is_the_flows_or_lower(world: World, settings, cancel_after, limit: int) -> None:
    job_id = world.submit(world.add_flow(settings=settings), cancel_after_seconds=cancel_after).job_id
    assert world.job(job_id).limit_ms == limit


@pytest.mark.parametrize(
    ("kept", "number"), [(None, None), (1, 1), (1_000, 1_000), (0, 1), (5_000, 1_000), (True, None), ("2", None)]
)
def test_a_job_knows_how_many_of_its_flow_run_at_once(world: World, kept: Any, number: int | None) -> None:
    job_id = world.submit(world.add_flow(settings={"concurrency": kept})).job_id
    assert world.read(lambda session: session.get(Job, job_id).flow_concurrency) == number


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


def test_an_idempotency_key_counts_for_one_workspace_one_route_and_one_body(world: World) -> None:
    flow_id, other = (world.add_flow(document_of(fields=[{"name": "a"}, {"name": "b"}])) for _ in range(2))
    body = {"a": "1", "b": "2"}

    def replayed(flow_id: str = flow_id, payload=body, *, key: str = "k", route: str = "") -> bool:
        return world.submit(flow_id, payload, idempotency_key=key, route=route).replayed

    world.write(lambda session: session.execute(update(Workspace).values(concurrency=-1)))
    assert [replayed(), replayed()] == [False, True]
    assert replayed(payload=dict(reversed(body.items()))), "the same body, written in another order"
    assert not replayed(other)
    assert not replayed(route="/flows/execute-and-wait")
    assert not replayed(key="k2")
    elsewhere = world.write(add_workspace)
    caller = replace(world.caller, workspace_id=elsewhere)
    route = f"/flows/execute/{flow_id}"
    theirs = world.add_flow(workspace_id=elsewhere)
    assert not submit_with(world, caller, theirs, idempotency_key="k", route=route).replayed


def test_a_replay_tells_what_the_key_has_left_now_and_needs_that_it_may_still_call_the_flow(world: World) -> None:
    flow_id = world.add_flow()
    caller = add_key(world, concurrency=1, monthly=2)
    first = submit_with(world, caller, flow_id, idempotency_key="k")
    again = submit_with(world, caller, flow_id, idempotency_key="k")
    assert (again.job_id, again.replayed) == (first.job_id, True)
    assert (again.limits.concurrency, again.limits.active, again.limits.monthly, again.limits.used) == (1, 1, 2, 1)
    world.write(lambda session: session.execute(update(ApiKey).values(flow_ids=["flow_other"])))
    with pytest.raises(NotAllowed):
        submit_with(world, caller, flow_id, idempotency_key="k")


def test_an_idempotency_key_counts_for_24_hours_to_the_millisecond(new_data: Path) -> None:
    clock = StillClock()
    begun = clock.at
    world = open_world(new_data, clock=clock)
    flow_id = world.add_flow()

    def replayed(after: int) -> bool:
        clock.at = Millis(begun + after)
        return world.submit(flow_id, {"n": 1}, idempotency_key="k").replayed

    assert [replayed(0), replayed(DAY - 1), replayed(DAY), replayed(2 * DAY - 1)] == [False, True, False, True]
    world.database.close()


def test_rows_of_idempotency_keys_go_when_they_count_no_more(new_data: Path) -> None:
    clock = StillClock()
    begun = clock.at
    world = open_world(new_data, clock=clock)
    flow_id = world.add_flow()
    for after in (0, HOUR):
        clock.at = Millis(begun + after)
        world.submit(flow_id, idempotency_key=f"key {after}")
    for after, left in ((DAY, 2), (DAY + 1, 1), (DAY + HOUR + 1, 0)):
        clock.at = Millis(begun + after)
        world.write(remove_old_answers)
        assert world.read(lambda session: session.scalar(select(func.count()).select_from(Idempotency))) == left
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


def test_reconciling_counts_each_environment_from_the_jobs_table(world: World) -> None:
    flow_id = world.add_flow()
    submit_with(world, add_key(world, environment="test"), flow_id)
    world.submit(flow_id)
    world.write(lambda session: session.connection().exec_driver_sql("delete from usage"))
    world.write(reconcile_usage)
    used = [world.read(read_usage, usage_subject(world.workspace_id, name)) for name in ENVIRONMENTS]
    assert used == [Used(1, 1), Used(1, 1), Used(0, 0)]


def test_a_disk_that_cannot_be_written_refuses_and_leaves_nothing_half_made(world: World) -> None:
    flow_id = world.add_flow(document_of(fields=[{"name": "text", "type": "string"}]))
    world.write(fill_disk)
    with pytest.raises(StorageUnavailable):
        world.submit(flow_id, {"text": "x" * 500_000})
    world.write(free_disk)
    assert (world.read(count_open, world.workspace_id), world.active()) == (0, 0)
    assert world.submit(flow_id, {"text": "x" * 500_000}).limits.active == 1


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


def deploy_second(session: Session, flow_id: str, document: Document) -> None:
    """Version 2 of a flow, live."""
    made = {"title": "A flow", "note": "", "created_at": 1, "created_by": "test", "first_deployed_at": 1}
    session.execute(insert(FlowVersion), {"flow_id": flow_id, "number": 2, "document": document.dumps(), **made})
    session.execute(update(Flow).where(Flow.id == flow_id).values(live_version=2, newest_version=2))


@pytest.mark.parametrize("key", [None, "k1"])
def test_what_was_checked_before_is_not_done_again_while_others_wait_to_write(world: World, key: str | None) -> None:
    flow_id = world.add_flow(document_of(fields=[{"name": "n", "type": "integer", "default": 7}]))
    options = SubmitOptions(idempotency_key=key)

    def submitted(payload: dict[str, int]) -> tuple[Accepted, set[str]]:
        called: set[str] = set()

        def work(session: Session) -> Accepted:
            sys.setprofile(lambda frame, event, _: called.add(frame.f_code.co_name))
            try:
                return submit(session, world.caller, flow_id, payload, options, checked)
            finally:
                sys.setprofile(None)

        checked = world.read(check_body, world.caller, flow_id, payload, options)
        return world.write(work), called

    slow = {"check_payload", "fingerprint_of"}
    first, called = submitted({})
    assert (world.read(read_value, first.job_id, "payload"), called & slow) == ({"n": 7}, set())
    world.write(deploy_second, flow_id, document_of(fields=[{"name": "n", "type": "integer", "default": 8}]))
    again, called = submitted({"n": 7})
    assert (again.replayed, called & slow) == (key is not None, set())
    if key is not None:
        with pytest.raises(IdempotencyKeyReused):
            submitted({"n": 9})


def check_body(
    session: Session, caller: Caller, flow_id: str, payload: dict[str, Any], options: SubmitOptions
) -> CheckedBody | None:
    found = find_body_version(session, caller, flow_id, options)
    if found is None:
        return None
    number, version = found
    return checked_body(number, version.fields, payload, options, check_payload)


def test_a_body_that_was_checked_for_another_version_is_checked_again(world: World) -> None:
    flow_id = world.add_flow(document_of(fields=[{"name": "n", "type": "integer", "default": 7}]))
    options = SubmitOptions(idempotency_key="k1")
    checked = world.read(check_body, world.caller, flow_id, {}, options)
    world.write(deploy_second, flow_id, document_of(fields=[{"name": "n", "type": "integer", "default": 8}]))

    job_id = world.write(submit, world.caller, flow_id, {}, options, checked).job_id

    assert world.read(read_value, job_id, "payload") == {"n": 8}
    assert world.write(submit, world.caller, flow_id, {"n": 8}, options).replayed


def test_a_body_for_a_flow_or_version_that_cannot_be_called_is_left_to_the_transaction(world: World) -> None:
    flow_id = world.add_flow()
    assert world.read(check_body, world.caller, "flow_none", {}, SubmitOptions()) is None
    assert world.read(check_body, world.caller, flow_id, {}, SubmitOptions(version=9)) is None
