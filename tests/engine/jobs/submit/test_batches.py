"""Batches: items keep their order, the batch ends once with its last item, and it is cancelled as a whole."""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from engine.actions.jobs import cancel, cancel_all
from engine.core.clock import MovedClock
from engine.core.errors import BatchNotCancellable, IdempotencyKeyReused, NotFound
from engine.jobs.notifier import NOTIFIER
from engine.jobs.server.job_waiters import JobWaiters, go_on, wait_until_ended
from engine.jobs.submit.accept import find_body_version
from engine.jobs.submit.batches import AcceptedBatch, accept_batch, check_items
from engine.jobs.submit.bodies import SubmitOptions, checked_body
from engine.jobs.transitions import claim, finish, give_back
from storage.batches import (
    BatchRow,
    batch_job_ids,
    find_batch_status,
    get_batch,
    list_batches,
    list_items,
    waiting_items,
)
from storage.job_changes import Lease
from storage.jobs import KeyScope, read_value
from storage.retention import remove_jobs
from storage.tables import FlowVersion, Idempotency, WebhookDelivery, Workspace
from tests.engine.jobs.world import World, document_of, open_world

HOOK = "https://hooks.example.com/end"
LIVE = KeyScope("live")


def submit(world: World, flow_id: str, count: int = 3, **options: Any) -> AcceptedBatch:
    body = {"items": [{"n": number} for number in range(count)]}
    return world.write(accept_batch, world.caller, flow_id, body, SubmitOptions(route="/batch", **options))


def begin(world: World, job_id: str) -> None:
    assert world.write(claim, world.boot_id, job_id) is not None


def end(world: World, job_id: str, status: str = "completed") -> None:
    """Ends a job in its first attempt."""
    error = {"code": "node_failed", "message": "No.", "node_id": None} if status == "failed" else None
    assert world.write(finish, job_id, status, lease=Lease(world.boot_id, 1), error=error, result=("1", 1))


def batch_of(world: World, batch_id: str) -> BatchRow:
    return world.read(get_batch, world.workspace_id, batch_id)


def told(world: World) -> list[tuple[str, str, str | None, str, bool]]:
    """Returns the rows of the webhook outbox."""
    columns = [getattr(WebhookDelivery, name) for name in ("event", "job_id", "batch_id", "url", "by_caller")]
    return [tuple(row) for row in world.read(lambda session: session.execute(select(*columns)).all())]


def test_items_keep_their_places_and_pages_of_ids_their_order(world: World) -> None:
    flow_id = world.add_flow()
    single = world.submit(flow_id, {"n": 1}).job_id
    made = submit(world, flow_id, 25)
    assert world.job(single).item_index is None
    assert [world.job(job_id).item_index for job_id in made.job_ids] == list(range(25))

    pages, cursor = [], None
    while True:
        ids, cursor = world.read(batch_job_ids, made.batch_id, 10, cursor)
        pages += ids
        if cursor is None:
            break
    assert tuple(pages) == made.job_ids
    assert [item.index for item in world.read(list_items, made.batch_id, 21, 10)] == [22, 23, 24]


def test_items_are_let_in_in_their_order(world: World) -> None:
    made = submit(world, world.add_flow(), 12)
    assert [world.job(job_id).counted for job_id in made.job_ids] == [True] * 4 + [False] * 8
    assert [job_id for job_id, *_ in world.read(waiting_items, world.workspace_id, "live", (), 50)] == list(
        made.job_ids[4:]
    )


def test_a_batch_is_queued_then_processing_and_completed_when_all_have_ended(world: World) -> None:
    made = submit(world, world.add_flow())
    seen = [batch_of(world, made.batch_id).status]
    world.write(cancel, world.caller, made.job_ids[2])
    seen.append(batch_of(world, made.batch_id).status)
    begin(world, made.job_ids[0])
    seen.append(batch_of(world, made.batch_id).status)
    end(world, made.job_ids[0], "failed")
    seen.append(batch_of(world, made.batch_id).status)
    begin(world, made.job_ids[1])
    end(world, made.job_ids[1])
    row = batch_of(world, made.batch_id)
    assert (*seen, row.status) == ("queued", "queued", "processing", "processing", "completed")
    assert row.counts == {"completed": 1, "failed": 1, "cancelled": 1}
    assert row.completed_at == world.job(made.job_ids[1]).completed_at


def test_a_batch_that_has_begun_is_never_queued_again(world: World) -> None:
    made = submit(world, world.add_flow(), 2)
    begin(world, made.job_ids[0])
    assert world.write(give_back, made.job_ids[0], Lease(world.boot_id, 1))
    assert batch_of(world, made.batch_id).counts == {"queued": 2}
    assert batch_of(world, made.batch_id).status == "processing"
    world.write(cancel, world.caller, made.job_ids[0])
    assert batch_of(world, made.batch_id).status == "processing"


@pytest.mark.parametrize("seed", range(3))
def test_the_end_of_a_batch_is_told_once_in_whatever_order_its_items_end(world: World, seed: int) -> None:
    world.write(lambda session: session.execute(update(Workspace).values(concurrency=-1)))
    made = submit(world, world.add_flow(), 8, webhook_url=HOOK)
    order = list(made.job_ids)
    random.Random(seed).shuffle(order)
    for number, job_id in enumerate(order):
        assert "batch.completed" not in [event for event, *_ in told(world)]
        if number % 3 == 0:
            world.write(cancel, world.caller, job_id)
            continue
        begin(world, job_id)
        end(world, job_id, "completed" if number % 3 == 1 else "failed")
    outbox = told(world)
    assert [line for line in outbox if line[0] == "batch.completed"] == [
        ("batch.completed", "", made.batch_id, HOOK, True)
    ]
    assert sorted(job_id for event, job_id, *_ in outbox if event != "batch.completed") == sorted(made.job_ids)


def test_the_flows_webhook_hears_of_a_batch_whose_call_named_none(world: World) -> None:
    made = submit(world, world.add_flow(settings={"webhook_url": HOOK}), 1)
    begin(world, made.job_ids[0])
    end(world, made.job_ids[0])
    assert told(world)[-1] == ("batch.completed", "", made.batch_id, HOOK, False)


def test_what_is_not_committed_ends_no_batch(world: World) -> None:
    """A worker that dies before its last commit leaves neither the end of the batch nor its webhook."""
    made = submit(world, world.add_flow(), 1, webhook_url=HOOK)
    begin(world, made.job_ids[0])

    def dies(session) -> None:
        assert finish(session, made.job_ids[0], "completed", lease=Lease(world.boot_id, 1), result=("1", 1))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        world.write(dies)
    assert (batch_of(world, made.batch_id).status, told(world)) == ("processing", [])
    end(world, made.job_ids[0])
    assert [event for event, *_ in told(world)] == ["job.completed", "batch.completed"]


def test_cancelling_a_batch_ends_what_waits_and_stops_what_runs(world: World) -> None:
    made = submit(world, world.add_flow(), 10, webhook_url=HOOK)
    other = submit(world, world.add_flow(), 2)
    begin(world, made.job_ids[0])
    end(world, made.job_ids[0])
    begin(world, made.job_ids[1])

    row = world.write(cancel_all, world.caller, made.batch_id)

    assert (row.status, row.counts) == ("processing", {"completed": 1, "processing": 1, "cancelled": 8})
    assert world.job(made.job_ids[1]).cancel_requested_at is not None
    assert [world.job(job_id).counted for job_id in other.job_ids] == [True, True], "their places are free for others"
    assert world.write(cancel_all, world.caller, made.batch_id).counts == row.counts, "cancelling again changes nothing"
    assert world.write(finish, made.job_ids[1], "cancelled", lease=Lease(world.boot_id, 1))
    row = world.write(cancel_all, world.caller, made.batch_id)
    assert (row.status, row.counts) == ("completed", {"completed": 1, "cancelled": 9})
    assert [line[0] for line in told(world)].count("batch.completed") == 1
    assert world.active() == 2


def test_a_batch_that_ended_by_itself_cannot_be_cancelled(world: World) -> None:
    made = submit(world, world.add_flow(), 2)
    for job_id in made.job_ids:
        begin(world, job_id)
        end(world, job_id)
    with pytest.raises(BatchNotCancellable, match="have all ended"):
        world.write(cancel_all, world.caller, made.batch_id)
    with pytest.raises(NotFound):
        world.write(cancel_all, world.caller, "batch_x")


def test_a_thousand_items_are_cancelled_in_one_go(world: World) -> None:
    made = submit(world, world.add_flow(), 1_000, webhook_url=HOOK)
    assert world.write(cancel_all, world.caller, made.batch_id).counts == {"cancelled": 1_000}
    assert (world.active(), [line[0] for line in told(world)].count("batch.completed")) == (0, 1)


def test_a_key_lists_the_batches_that_it_sees_newest_first(new_data: Path) -> None:
    clock = MovedClock()
    world = open_world(new_data, clock=clock)
    first, second = world.add_flow(), world.add_flow()
    made = []
    for number in range(7):
        clock.offset += 1 if number % 2 else 0  # some batches are created in the same millisecond
        made.append(submit(world, (first, second)[number % 2], 1).batch_id)

    def listed(scope: KeyScope, limit: int = 3) -> list[str]:
        found, cursor = [], None
        while True:
            page = world.read(list_batches, world.workspace_id, scope, limit, cursor)
            found += [batch.id for batch in page.batches]
            cursor = page.next_cursor
            if cursor is None:
                return found

    assert sorted(listed(LIVE)) == sorted(made)
    created = [batch_of(world, batch_id).created_at for batch_id in listed(LIVE)]
    assert created == sorted(created, reverse=True)
    assert sorted(listed(KeyScope("live", frozenset([second])))) == sorted(made[1::2])
    assert listed(KeyScope("live", frozenset())) == listed(KeyScope("test")) == []
    assert world.read(list_batches, "ws_other", LIVE, 3, None).batches == ()
    with pytest.raises(NotFound):
        world.read(get_batch, world.workspace_id, made[0], KeyScope("live", frozenset([second])))
    world.database.close()


@pytest.mark.sqlite("It reads SQLite's statements and query plans.")
def test_counting_and_ending_read_an_index_alone(world: World) -> None:
    def plan(session, sql: str) -> str:
        return " ".join(str(row) for row in session.execute(text(f"explain query plan {sql}")))

    for sql in (
        "select status, count(*) from jobs where batch_id in ('a', 'b') group by batch_id, status",
        "select 1 from jobs where batch_id = 'a' and (status = 'queued' or status = 'processing')",
    ):
        assert "COVERING INDEX ix_jobs_batch (batch_id=?)" in world.read(plan, sql)


async def test_who_waits_for_a_batch_hears_of_its_end(world: World) -> None:
    waiters = JobWaiters(world.database)
    world.database.info[NOTIFIER] = waiters
    made = submit(world, world.add_flow(), 2)

    def wait(seconds: float) -> Any:
        return wait_until_ended(
            world.database, waiters, world.workspace_id, made.batch_id, seconds, go_on, find_batch_status
        )

    await wait(0.05)
    waiting = asyncio.create_task(wait(60))
    runs = world.runs()
    await runs.carry(made.job_ids[0])
    assert not waiting.done()
    await runs.carry(made.job_ids[1])
    await waiting
    assert batch_of(world, made.batch_id).ended
    with pytest.raises(NotFound):
        await wait_until_ended(world.database, waiters, world.workspace_id, "batch_x", 5, go_on, find_batch_status)


def test_a_batch_goes_with_the_last_of_its_jobs(world: World) -> None:
    made = submit(world, world.add_flow(), 2)
    for job_id in made.job_ids:
        world.write(cancel, world.caller, job_id)
    world.write(remove_jobs, made.job_ids[:1])
    assert batch_of(world, made.batch_id).counts == {"cancelled": 1}
    world.write(remove_jobs, made.job_ids[1:])
    with pytest.raises(NotFound):
        batch_of(world, made.batch_id)


FIELDS = [
    {"name": "n", "type": "number", "required": True},
    {"name": "tag", "type": "string", "default": "a"},
    {"name": "more", "type": "object", "fields": [{"name": "deep", "type": "integer", "default": 3}]},
]
FIRST = {"n": 1, "more": {}}


def defaults_flow(world: World) -> str:
    return world.add_flow(document_of(("echo", "set_fields", {"n": "{{ api_input.out.n }}"}), fields=FIELDS))


@pytest.mark.parametrize(
    "body",
    [
        {"more": {}, "n": 1},
        {"n": 1.0, "more": {"deep": None}},
        {"n": 1, "tag": "a", "more": {"deep": 3}},
        {"n": 1, "tag": None, "more": {}},
    ],
)
def test_a_request_that_says_the_same_is_the_same(world: World, body: dict[str, Any]) -> None:
    flow_id = defaults_flow(world)
    first = world.submit(flow_id, FIRST, idempotency_key="a")
    again = world.submit(flow_id, body, idempotency_key="a", request_id="req_2", trace="00-2")
    assert (again.job_id, again.replayed) == (first.job_id, True)


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        ({"n": 2, "more": {}}, {}),
        ({"n": 1.5, "more": {}}, {}),
        ({"n": True, "more": {}}, {}),
        ({"n": 1, "tag": "b", "more": {}}, {}),
        ({"n": 1}, {}),
        ({"n": 1, "more": {}, "other": 1}, {}),
        (FIRST, {"version": 1}),
        (FIRST, {"cancel_after_seconds": 60}),
        (FIRST, {"webhook_url": HOOK}),
    ],
)
def test_a_request_that_says_or_asks_for_something_else_is_another(
    world: World, body: dict[str, Any], asked: dict[str, Any]
) -> None:
    flow_id = defaults_flow(world)
    world.submit(flow_id, FIRST, idempotency_key="a")
    with pytest.raises(IdempotencyKeyReused):
        world.submit(flow_id, body, idempotency_key="a", **asked)
    assert world.active() == 1


def test_the_defaults_are_those_of_the_version_that_the_first_request_met(world: World) -> None:
    flow_id = defaults_flow(world)
    first = world.submit(flow_id, FIRST, idempotency_key="a")

    def go_live(session) -> None:
        changed = [{**FIELDS[0]}, {**FIELDS[1], "default": "z"}, {"name": "new", "type": "string", "required": True}]
        document = document_of(("echo", "set_fields", {"n": "{{ api_input.out.n }}"}), fields=changed)
        row = {"title": "", "note": "", "created_at": 1, "created_by": "", "first_deployed_at": 1}
        session.add(FlowVersion(flow_id=flow_id, number=2, document=document.dumps(), **row))
        session.execute(text("update flows set live_version = 2"))

    world.write(go_live)
    for body in (FIRST, {**FIRST, "tag": "a"}):
        assert world.submit(flow_id, body, idempotency_key="a").job_id == first.job_id
    with pytest.raises(IdempotencyKeyReused):
        world.submit(flow_id, {"n": 1, "tag": "z", "new": "x"}, idempotency_key="a")


def test_a_repeated_request_is_told_how_its_job_stands_now(world: World) -> None:
    flow_id = world.add_flow()
    job_id = world.submit(flow_id, {"n": 1}, idempotency_key="a").job_id
    batch = submit(world, flow_id, 2, idempotency_key="b")

    def now() -> tuple[str, str]:
        again = submit(world, flow_id, 2, idempotency_key="b")
        assert (again.batch_id, again.job_ids, again.replayed) == (batch.batch_id, batch.job_ids, True)
        return world.submit(flow_id, {"n": 1}, idempotency_key="a").status, again.status

    seen = [now()]
    begin(world, job_id)
    begin(world, batch.job_ids[0])
    seen.append(now())
    end(world, job_id)
    world.write(finish, batch.job_ids[1], "cancelled", lease=None)
    end(world, batch.job_ids[0])
    seen.append(now())
    assert seen == [("queued", "queued"), ("processing", "processing"), ("completed", "completed")]


def test_a_repeated_request_whose_job_is_gone_is_told_what_the_first_was(world: World) -> None:
    flow_id = world.add_flow()
    job_id = world.submit(flow_id, {"n": 1}, idempotency_key="a").job_id
    world.write(lambda session: session.execute(text("delete from jobs")))
    again = world.submit(flow_id, {"n": 1}, idempotency_key="a")
    assert (again.job_id, again.status, again.replayed) == (job_id, "queued", True)


def test_a_batch_is_repeated_by_what_its_items_say(world: World) -> None:
    flow_id = defaults_flow(world)

    def send(*items: Any, **asked: Any) -> AcceptedBatch:
        options = SubmitOptions(route="/batch", idempotency_key="a", **asked)
        return world.write(accept_batch, world.caller, flow_id, {"items": list(items)}, options)

    first = send({"n": 1}, {"n": 2})
    assert send({"n": 1, "tag": "a"}, {"n": 2.0}).job_ids == first.job_ids
    for items, asked in (
        (({"n": 2}, {"n": 1}), {}),
        (({"n": 1},), {}),
        (({"n": 1}, "text"), {}),
        (({"n": 1}, {"n": 2}), {"webhook_url": HOOK}),
    ):
        with pytest.raises(IdempotencyKeyReused):
            send(*items, **asked)


def test_keys_that_an_earlier_release_kept_go_on_by_the_body_alone(world: World) -> None:
    flow_id = defaults_flow(world)
    first = world.submit(flow_id, FIRST, idempotency_key="a")
    known = hashlib.sha256(b'{"more":{},"n":1}').hexdigest()
    as_before = update(Idempotency).values(flow_version=None, fingerprint=known)
    world.write(lambda session: session.execute(as_before))
    again = world.submit(flow_id, {"more": {}, "n": 1}, idempotency_key="a", webhook_url=HOOK)
    assert (again.job_id, again.replayed) == (first.job_id, True)
    with pytest.raises(IdempotencyKeyReused):
        world.submit(flow_id, {**FIRST, "tag": "a"}, idempotency_key="a")


def test_a_batch_that_was_checked_before_is_the_same_batch(world: World) -> None:
    flow_id = world.add_flow(document_of(fields=[{"name": "n", "type": "integer", "default": 7}]))
    options, body = SubmitOptions(route="/batch", idempotency_key="k1"), {"items": [{}, {"n": 1}]}
    found = world.read(find_body_version, world.caller, flow_id, options)
    assert found is not None
    number, version = found
    checked = checked_body(number, version.fields, body, options, check_items)

    made = world.write(accept_batch, world.caller, flow_id, body, options, checked)

    assert world.read(read_value, made.job_ids[0], "payload") == {"n": 7}
    assert world.write(accept_batch, world.caller, flow_id, body, options, checked).batch_id == made.batch_id
    assert world.write(accept_batch, world.caller, flow_id, {"items": [{"n": 7}, {"n": 1}]}, options).replayed


@pytest.mark.sqlite("It reads SQLite's statements and query plans.")
def test_whether_a_batch_has_begun_is_seen_without_its_jobs(world: World) -> None:
    """A page of 100 batches that wait may have 100,000 jobs: reading them would take seconds."""
    flow_id = world.add_flow()
    waiting, begun = submit(world, flow_id), submit(world, flow_id)
    begin(world, begun.job_ids[1])
    world.write(give_back, begun.job_ids[1], Lease(world.boot_id, 1))
    ran: list[str] = []

    def traced(session: Session) -> Any:
        driver = session.connection().connection.driver_connection
        driver.set_trace_callback(ran.append)
        try:
            return list_batches(session, world.workspace_id, LIVE, 10, None)
        finally:
            driver.set_trace_callback(None)

    page = world.read(traced)
    plans = [
        row[3]
        for one in ran
        for row in world.read(lambda s, one=one: s.execute(text(f"explain query plan {one}")).all())
    ]

    assert {batch.id: batch.status for batch in page.batches} == {
        waiting.batch_id: "queued",
        begun.batch_id: "processing",
    }
    indexes = [re.sub(r".* (ix_\w+) .*", r"\1", line) for line in plans if " jobs " in f"{line} "]
    assert indexes == ["ix_jobs_batch", "ix_jobs_batch_begun"], "the counts, and whether one has begun"


def test_every_item_knows_what_started_its_batch(world: World) -> None:
    batch = submit(world, world.add_flow(), trigger="schedule:sched_1")
    assert {world.job(job_id).trigger for job_id in batch.job_ids} == {"schedule:sched_1"}
