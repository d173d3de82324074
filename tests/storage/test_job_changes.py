"""Each change of a job's status on its own: who may make it, and exactly what it writes to the tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from engine.core.clock import Millis
from storage.batches import insert_batch
from storage.events import list_events
from storage.job_changes import (
    Claimed,
    Lease,
    claim_job,
    held_jobs,
    insert_job,
    next_alone,
    next_playground_job,
    owners,
    queued_with_cancel,
    request_cancel,
    requeue_job,
    requeue_stale,
)
from storage.job_ends import Ended, JobEnd, end_jobs
from storage.tables import Batch, Job, Step, Usage, Value, WebhookDelivery
from tests.engine.jobs.world import World, add_workspace, open_world
from tests.logical_time import STILL_AT, StillClock

NOW = STILL_AT
ME = Lease("boot_me", 1)
ERROR = {"code": "timeout", "message": "It took too long.", "node_id": "slow", "why": "", "remedy": ""}

#: Columns whose initial values `insert_job` sets.
SET_BY_CHANGES = {"status", "owner", "attempts", "created_at", "enqueued_at", "started_at", "cancel_requested_at"}
SET_BY_CHANGES |= {"steps_done", "steps_failed", "value_bytes"}


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def world(new_data: Path, clock: StillClock) -> Iterator[World]:
    made = open_world(new_data, clock=clock)
    yield made
    made.database.close()


def end_job(
    session: Session,
    job_id: str,
    status: str,
    *,
    lease: Lease | None,
    error: dict[str, Any] | None = None,
    result: tuple[str, int] | None = None,
) -> Ended | None:
    """Ends one job."""
    return end_jobs(session, [JobEnd(job_id, status, lease, error, result)])[0]


def add(world: World, job_id: str = "job_1", payload: tuple[str, int] = ("{}", 2), **columns: Any) -> str:
    """Adds a queued job; columns that only later changes set are written directly."""
    row = {
        "id": job_id,
        "workspace_id": world.workspace_id,
        "flow_id": "flow_1",
        "environment": "live",
        "counted": False,
        "limit_ms": 60_000,
        "steps_total": 3,
        "request_id": "req_1",
    }
    later = {name: columns.pop(name) for name in SET_BY_CHANGES & columns.keys()}
    world.write(insert_job, row | columns, payload)
    if later:
        change(world, job_id, **later)
    return job_id


def running(world: World, job_id: str = "job_1", lease: Lease = ME, **columns: Any) -> str:
    """Adds a job that this worker claimed and started now."""
    held = {"status": "processing", "owner": lease.owner, "attempts": lease.attempt, "started_at": NOW}
    return add(world, job_id, **{**held, **columns})


def change(world: World, job_id: str, **columns: Any) -> None:
    world.write(lambda session: session.execute(update(Job).where(Job.id == job_id).values(**columns)))


def row(world: World, job_id: str = "job_1", *names: str) -> tuple[Any, ...]:
    """Returns these columns of a job."""
    columns = [getattr(Job, name) for name in names]
    return tuple(world.read(lambda session: session.execute(select(*columns).where(Job.id == job_id)).one()))


def last_event(world: World, job_id: str = "job_1") -> tuple[int, int, str, dict[str, Any]]:
    event = world.read(list_events, world.workspace_id, job_id)[-1]
    return event.seq, event.at, event.name, event.data


def add_rows(world: World, model: Any, *rows: dict[str, Any]) -> None:
    world.write(lambda session: session.execute(insert(model), list(rows)))


def test_a_new_job_waits_with_nothing_done(world: World) -> None:
    add(world, payload=('{"n": 1}', 8), run_options={"until": "a"})
    counts = ("status", "attempts", "created_at", "enqueued_at", "steps_done", "last_seq", "value_bytes")
    assert row(world, "job_1", *counts) == ("queued", 0, NOW, NOW, 0, 1, 8)
    assert row(world, "job_1", "run_options", "webhook_url", "webhook_by_caller") == ({"until": "a"}, None, False)
    assert last_event(world) == (1, NOW, "job.queued", {})
    stored = world.read(lambda session: session.execute(select(Value.name, Value.size, Value.data)).one())
    assert tuple(stored) == ("payload", 8, '{"n": 1}')


def test_a_claim_hands_over_what_the_worker_needs(world: World, clock: StillClock) -> None:
    add(world, payload=('{"n": 1}', 8), flow_version=4, run_options={"until": "a"})
    clock.at = Millis(NOW + 300)
    claimed = world.write(claim_job, "boot_me", "job_1")
    assert claimed == Claimed(
        "job_1",
        world.workspace_id,
        "flow_1",
        4,
        None,
        "live",
        attempt=1,
        limit_ms=60_000,
        started_at=NOW + 300,
        elapsed_ms=0,
        steps_total=3,
        run_options={"until": "a"},
        payload='{"n": 1}',
    )
    assert row(world, "job_1", "status", "owner", "attempts") == ("processing", "boot_me", 1)
    assert last_event(world) == (2, NOW + 300, "job.processing", {"attempt": 1})


def test_a_later_claim_counts_from_the_first_start_and_reads_the_payload_itself(
    world: World, clock: StillClock
) -> None:
    add(world)
    world.write(claim_job, "boot_me", "job_1")
    world.write(requeue_job, "job_1", ME, unpunished=True)
    clock.at = Millis(NOW + 7_000)
    claimed = world.write(claim_job, "boot_next", "job_1")
    assert (claimed.attempt, claimed.started_at, claimed.elapsed_ms, claimed.payload) == (1, NOW, 7_000, None)


@pytest.mark.parametrize(("size", "handed_over"), [(16_384, True), (16_385, False)])
def test_a_payload_of_16_kib_is_handed_over_and_a_larger_one_is_not(world: World, size: int, handed_over: bool) -> None:
    add(world, payload=("{}", size))
    assert world.write(claim_job, "boot_me", "job_1").payload == ("{}" if handed_over else None)


def test_a_wall_clock_that_was_set_back_gives_no_negative_time(world: World, clock: StillClock) -> None:
    add(world)
    clock.at = Millis(NOW - 5_000)
    claimed = world.write(claim_job, "boot_me", "job_1")
    assert (claimed.started_at, claimed.elapsed_ms) == (NOW, 0)
    change(world, "job_1", started_at=NOW + 9_000)
    assert world.write(end_job, "job_1", "completed", lease=ME)
    assert row(world, "job_1", "completed_at") == (NOW + 9_000,)


@pytest.mark.parametrize(
    ("columns", "alone", "taken"),
    [
        ({}, False, True),
        ({}, True, True),
        ({"attempts": 1}, False, True),
        ({"attempts": 2}, False, False),
        ({"attempts": 2}, True, True),
        ({"cancel_requested_at": 1}, True, False),
        ({"status": "processing"}, True, False),
        ({"status": "failed"}, True, False),
    ],
)
def test_who_gets_a_job(world: World, columns: dict[str, Any], alone: bool, taken: bool) -> None:
    add(world, **columns)
    assert (world.write(claim_job, "boot_me", "job_1", alone=alone) is not None) == taken


@pytest.mark.parametrize(
    ("fourth", "begins"),
    [
        ({}, False),
        ({"workspace_id": "ws_other"}, True),
        ({"environment": "live"}, True),
        ({"status": "queued", "attempts": 3, "cancel_requested_at": 1}, True),
        ({"status": "completed"}, True),
    ],
)
def test_a_playground_run_waits_while_four_of_its_workspace_run(
    world: World, fourth: dict[str, Any], begins: bool
) -> None:
    for number in range(3):
        running(world, f"job_{number}", environment="playground")
    running(world, "job_4", **{"environment": "playground", **fourth})
    for job_id, attempts in (("job_new", 0), ("job_alone", 2)):
        add(world, job_id, environment="playground", attempts=attempts, enqueued_at=NOW - 60_000)
    found = world.write(requeue_stale, older_than_ms=5_000, most=9)
    assert found == (["job_new"] if begins else [])
    assert world.read(next_alone) == ("job_alone" if begins else None)
    assert (world.write(claim_job, "boot_me", "job_new") is not None) == begins
    add(world, "job_live", enqueued_at=NOW - 60_000)
    assert "job_live" in world.write(requeue_stale, older_than_ms=5_000, most=9)
    assert world.write(claim_job, "boot_me", "job_live") is not None, "calls of the API do not wait for them"


def test_the_end_of_a_job_that_completed(world: World) -> None:
    running(world, payload=("{}", 2), environment="test", steps_done=1)
    ended = world.write(end_job, "job_1", "completed", lease=ME, result=("[1]", 3))
    assert ended == Ended("job_1", world.workspace_id, "flow_1", "test")
    names = ("status", "owner", "error", "steps_done", "value_bytes", "completed_at")
    assert row(world, "job_1", *names) == ("completed", None, None, 3, 5, NOW)
    assert world.result("job_1") == [1]
    assert last_event(world) == (2, NOW, "job.completed", {})


def test_the_end_of_a_job_that_failed(world: World) -> None:
    running(world, steps_done=1)
    world.write(end_job, "job_1", "failed", lease=ME, error=ERROR)
    assert row(world, "job_1", "status", "error", "steps_done", "value_bytes") == ("failed", ERROR, 1, 2)
    said = {"code": "timeout", "message": "It took too long.", "node_id": "slow"}
    assert last_event(world) == (2, NOW, "job.failed", said)


def test_after_a_second_attempt_the_values_that_are_stored_are_counted_anew(world: World) -> None:
    for job_id, lease in (("job_2", ME), ("job_1", Lease("boot_me", 2))):
        running(world, job_id, lease, payload=("{}", 2), value_bytes=999)
        add_rows(
            world,
            Value,
            {"job_id": job_id, "node_id": "a", "index_path": "", "name": "output", "size": 30, "data": "x"},
        )
        world.write(end_job, job_id, "completed", lease=lease, result=("[1]", 3))
    assert row(world, "job_1", "value_bytes") == (2 + 30 + 3,)
    assert row(world, "job_2", "value_bytes") == (999 + 3,)


@pytest.mark.parametrize("rows", [0, 2])
def test_failed_steps_are_those_that_rows_tell_of_or_what_the_worker_counted(world: World, rows: int) -> None:
    """No row tells of items that the time limit of their list ended."""
    running(world, run_options={"row": 1}, steps_failed=1)
    step = {"job_id": "job_1", "index_path": "", "status": "skipped", "attempt": 1, "tries": 1, "started_at": 1}
    step |= {"input_tokens": 0, "output_tokens": 0, "model_calls": 0, "simulated": False, "error": ERROR}
    if rows:
        add_rows(world, Step, *({**step, "node_id": f"n{number}"} for number in range(rows)))
    ended = world.write(end_job, "job_1", "completed", lease=ME)
    assert ended is not None
    assert row(world, "job_1", "steps_failed") == (max(1, rows),)


@pytest.mark.parametrize(
    ("lease", "columns"),
    [
        (Lease("boot_me", 2), {}),
        (Lease("boot_other", 1), {}),
        (None, {}),
        (ME, {"status": "queued"}),
        (ME, {"status": "completed"}),
        (None, {"status": "cancelled"}),
    ],
)
def test_nobody_ends_a_job_that_is_not_in_that_state_or_not_theirs(
    world: World, lease: Lease | None, columns: dict[str, Any]
) -> None:
    running(world, webhook_url="https://example.com", **columns)
    before = row(world, "job_1", *(column.name for column in Job.__table__.columns))
    assert world.write(end_job, "job_1", "failed", lease=lease, error=ERROR) is None
    assert row(world, "job_1", *(column.name for column in Job.__table__.columns)) == before
    assert last_event(world)[0] == 1
    assert world.read(lambda session: session.scalars(select(WebhookDelivery.id)).all()) == []


def test_a_queued_job_ends_without_a_worker(world: World) -> None:
    add(world)
    assert world.write(end_job, "job_1", "cancelled", lease=None) is not None
    assert row(world, "job_1", "status", "completed_at") == ("cancelled", NOW)


@pytest.mark.parametrize(("counted", "left"), [(True, [1, 2]), (False, [2, 3])])
def test_the_slot_of_a_job_is_given_back_to_its_workspace_and_its_key(
    world: World, counted: bool, left: list[int]
) -> None:
    running(world, counted=counted, key_id="key_1")
    add_rows(world, Usage, {"subject": "key_1", "active": 2, "month": "", "month_count": 0})
    world.write(lambda session: session.execute(update(Usage).where(Usage.subject != "key_1").values(active=3)))
    world.write(end_job, "job_1", "completed", lease=ME)
    assert sorted([world.active("key_1"), world.active()]) == left


def test_steps_that_still_run_end_with_their_job_as_cancelled(world: World) -> None:
    step = {"index_path": "", "attempt": 1, "tries": 1, "started_at": 1, "ended_at": None, "input_tokens": 0}
    step |= {"output_tokens": 0, "model_calls": 0, "simulated": False}
    done = {"node_id": "done", "status": "completed", "ended_at": 2}
    for job_id in ("job_1", "job_2"):
        running(world, job_id)
        add_rows(
            world,
            Step,
            *({**step, "job_id": job_id, **one} for one in (done, {"node_id": "runs", "status": "running"})),
        )
    world.write(end_job, "job_1", "failed", lease=ME, error=ERROR)
    steps = world.read(
        lambda session: session.execute(select(Step.job_id, Step.node_id, Step.status, Step.ended_at)).all()
    )
    assert sorted(map(tuple, steps)) == [
        ("job_1", "done", "completed", 2),
        ("job_1", "runs", "cancelled", NOW),
        ("job_2", "done", "completed", 2),
        ("job_2", "runs", "running", None),
    ]
    told = world.read(list_events, world.workspace_id, "job_1")
    assert [(one.seq, one.name) for one in told] == [(1, "job.queued"), (2, "step.cancelled"), (3, "job.failed")]
    assert told[1].data == {"node_id": "runs", "index": [], "duration_ms": NOW - 1}
    assert row(world, "job_1", "last_seq") == (3,)


def test_a_step_that_a_lost_worker_left_running_ends_with_the_job_that_waits_again(world: World) -> None:
    step = {"node_id": "runs", "index_path": "", "status": "running", "attempt": 1, "tries": 1, "started_at": 1}
    step |= {"input_tokens": 0, "output_tokens": 0, "model_calls": 0, "simulated": False}
    running(world)
    add_rows(world, Step, {**step, "job_id": "job_1"})
    assert world.write(requeue_job, "job_1", ME, unpunished=True)

    world.write(end_job, "job_1", "cancelled", lease=None)

    assert world.read(lambda session: session.execute(select(Step.status, Step.ended_at)).one()) == ("cancelled", NOW)


@pytest.mark.parametrize("by_caller", [True, False])
def test_the_end_of_a_job_with_a_webhook_is_to_be_told_at_once(world: World, by_caller: bool) -> None:
    running(world, webhook_url="https://example.com/hook", webhook_by_caller=by_caller)
    world.write(end_job, "job_1", "failed", lease=ME, error=ERROR)
    names = (
        "workspace_id",
        "flow_id",
        "job_id",
        "url",
        "event",
        "status",
        "tries",
        "next_at",
        "created_at",
        "by_caller",
    )
    columns = [getattr(WebhookDelivery, name) for name in names]
    found = world.read(lambda session: session.execute(select(*columns)).all())
    told = ("flow_1", "job_1", "https://example.com/hook", "job.failed", "waiting", 0, NOW, NOW, by_caller)
    assert [tuple(one) for one in found] == [(world.workspace_id, *told)]


def test_the_end_of_a_job_without_a_webhook_is_told_to_nobody(world: World) -> None:
    running(world)
    world.write(end_job, "job_1", "completed", lease=ME)
    assert world.read(lambda session: session.scalars(select(WebhookDelivery.id)).all()) == []


def add_one_batch(world: World, environment: str = "live", **webhook: Any) -> None:
    """Adds a batch of two jobs that both run."""
    batch = {"id": "batch_1", "flow_id": "flow_1", "environment": environment, "total": 2}
    world.write(insert_batch, {"workspace_id": world.workspace_id, **batch, **webhook})
    for number in (1, 2):
        running(world, f"job_{number}", batch_id="batch_1", environment=environment)


def ends(world: World, *job_ids: str) -> list[str | None]:
    """Ends these jobs and returns for each the batch that it completes, or None."""
    return [world.write(end_job, job_id, "completed", lease=ME).batch_ended for job_id in job_ids]


def batch_ended_at(world: World) -> int | None:
    return world.read(lambda session: session.scalar(select(Batch.completed_at)))


def test_a_batch_ends_once_with_the_last_of_its_items(world: World) -> None:
    add_one_batch(world)
    assert (ends(world, "job_1"), batch_ended_at(world)) == ([None], None)
    assert (ends(world, "job_2"), batch_ended_at(world)) == (["batch_1"], NOW)
    running(world, "job_3", batch_id="batch_1")
    assert ends(world, "job_3") == [None]


def test_a_batch_does_not_end_before_it_began(world: World, clock: StillClock) -> None:
    add_one_batch(world)
    clock.at = Millis(NOW - 5_000)
    assert (ends(world, "job_1", "job_2"), batch_ended_at(world)) == ([None, "batch_1"], NOW)


def test_a_batch_of_the_playground_has_no_end(world: World) -> None:
    add_one_batch(world, "playground")
    assert (ends(world, "job_1", "job_2"), batch_ended_at(world)) == ([None, None], None)


@pytest.mark.parametrize("by_caller", [True, False])
def test_the_end_of_a_batch_is_told_to_its_own_webhook(world: World, by_caller: bool) -> None:
    add_one_batch(world, webhook_url="https://example.com/batch", webhook_by_caller=by_caller)
    running(world, "job_0", batch_id="batch_1", webhook_by_caller=not by_caller)
    ends(world, "job_1", "job_2", "job_0")
    columns = (WebhookDelivery.event, WebhookDelivery.url, WebhookDelivery.by_caller)
    found = world.read(lambda session: session.execute(select(*columns)).all())
    assert [tuple(one) for one in found] == [("batch.completed", "https://example.com/batch", by_caller)]


@pytest.mark.parametrize(("unpunished", "attempts"), [(True, 1), (False, 2)])
def test_a_job_that_is_put_back_waits_from_now_on(
    world: World, clock: StillClock, unpunished: bool, attempts: int
) -> None:
    lease = Lease("boot_me", 2)
    running(world, lease=lease)
    clock.at = Millis(NOW + 400)
    assert world.write(requeue_job, "job_1", lease, unpunished=unpunished)
    names = ("status", "owner", "enqueued_at", "attempts")
    assert row(world, "job_1", *names) == ("queued", None, NOW + 400, attempts)
    assert last_event(world) == (2, NOW + 400, "job.queued", {"attempt": attempts})


@pytest.mark.parametrize(
    ("lease", "columns"),
    [
        (Lease("boot_me", 2), {}),
        (Lease("boot_other", 1), {}),
        (ME, {"cancel_requested_at": 1}),
        (ME, {"status": "queued"}),
        (ME, {"status": "completed"}),
    ],
)
def test_nobody_puts_back_a_job_that_is_not_theirs_or_to_be_cancelled(
    world: World, lease: Lease, columns: dict[str, Any]
) -> None:
    running(world, **columns)
    assert not world.write(requeue_job, "job_1", lease, unpunished=True)
    assert row(world, "job_1", "owner", "attempts", "last_seq") == ("boot_me", 1, 1)


def test_the_first_request_to_cancel_a_running_job_counts(world: World, clock: StillClock) -> None:
    running(world, "job_1")
    add(world, "job_2")
    for at in (NOW, NOW + 500):
        clock.at = Millis(at)
        for job_id in ("job_1", "job_2"):
            world.write(request_cancel, job_id)
    assert row(world, "job_1", "cancel_requested_at") == (NOW,)
    assert row(world, "job_2", "cancel_requested_at") == (None,)


def test_queued_jobs_whose_cancel_was_asked_for_are_found(world: World) -> None:
    add(world, "job_1", cancel_requested_at=1)
    add(world, "job_2")
    running(world, "job_3", cancel_requested_at=1)
    assert world.read(queued_with_cancel) == ["job_1"]


def test_what_a_worker_holds(world: World) -> None:
    running(world, "job_1", Lease("boot_me", 2))
    running(world, "job_2", cancel_requested_at=1)
    running(world, "job_3", Lease("boot_other", 1))
    running(world, "job_4", status="queued")
    running(world, "job_5", Lease("boot_gone", 1), status="completed")
    assert sorted(world.read(held_jobs, "boot_me")) == [("job_1", 2, False), ("job_2", 1, True)]
    assert world.read(owners) == {"boot_me", "boot_other"}
    change(world, "job_3", owner=None)
    assert world.read(owners) == {"boot_me"}


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ({"enqueued_at": NOW - 5_000}, False),
        ({"enqueued_at": NOW - 5_001}, True),
        ({"enqueued_at": NOW + 5_000}, False),
        ({"enqueued_at": NOW + 5_001}, True),
        ({"enqueued_at": 1, "batch_id": "batch_1"}, False),
        ({"enqueued_at": 1, "batch_id": "batch_1", "counted": True}, True),
        ({"enqueued_at": 1, "attempts": 1}, True),
        ({"enqueued_at": 1, "attempts": 2}, False),
        ({"enqueued_at": 1, "status": "processing"}, False),
        ({"enqueued_at": 1, "status": "cancelled"}, False),
    ],
)
def test_which_jobs_have_no_message_any_more(world: World, columns: dict[str, Any], found: bool) -> None:
    add(world, **columns)
    assert world.write(requeue_stale, older_than_ms=5_000, most=9) == (["job_1"] if found else [])
    assert row(world, "job_1", "enqueued_at") == (NOW if found else columns["enqueued_at"],)


def test_the_jobs_that_have_waited_longest_are_sent_again_first_and_only_once(world: World) -> None:
    for job_id, enqueued_at in (("job_a", 3), ("job_b", 1), ("job_c", 2)):
        add(world, job_id, enqueued_at=enqueued_at)
    assert set(world.write(requeue_stale, older_than_ms=5_000, most=2)) == {"job_b", "job_c"}
    assert world.write(requeue_stale, older_than_ms=5_000, most=2) == ["job_a"]
    assert world.write(requeue_stale, older_than_ms=5_000, most=2) == []


def test_the_job_that_has_waited_longest_for_a_worker_of_its_own_is_next(world: World) -> None:
    for job_id, enqueued_at in (("job_a", 3), ("job_b", 2), ("job_c", 4)):
        add(world, job_id, attempts=2, enqueued_at=enqueued_at)
    add(world, "job_d", attempts=1, enqueued_at=1)
    add(world, "job_e", attempts=2, enqueued_at=1, cancel_requested_at=1)
    add(world, "job_f", attempts=2, enqueued_at=1, status="processing")
    assert world.read(next_alone) == "job_b"
    world.write(claim_job, "boot_me", "job_b", alone=True)
    assert world.read(next_alone) == "job_a"


def test_the_playground_run_that_has_waited_longest_is_next(world: World) -> None:
    other = world.write(add_workspace)
    mine: dict[str, Any] = {"environment": "playground"}
    assert world.read(next_playground_job, world.workspace_id) is None
    add(world, "job_z", created_at=5, **mine)
    add(world, "job_b", created_at=2, **mine)
    add(world, "job_a", created_at=2, **mine)
    add(world, "job_live", created_at=1)
    add(world, "job_other", created_at=1, workspace_id=other, **mine)
    running(world, "job_runs", created_at=1, **mine)
    assert [world.read(next_playground_job, one) for one in (world.workspace_id, other)] == ["job_a", "job_other"]
