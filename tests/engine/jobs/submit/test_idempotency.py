"""Idempotency keys: the same call gives the same job, for 24 hours."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import func, select, update

from engine.actions.jobs import submit
from engine.core.clock import DAY, HOUR, Millis, MovedClock
from engine.core.errors import (
    ConcurrencyLimitExceeded,
    IdempotencyKeyReused,
    NotAllowed,
)
from engine.jobs.submit.bodies import SubmitOptions
from storage.idempotency import remove_old_answers
from storage.tables import ApiKey, Idempotency, Workspace
from tests.engine.jobs.submit.submitting import add_key, end, submit_with
from tests.engine.jobs.world import World, add_workspace, document_of, open_world
from tests.logical_time import StillClock


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
