"""When the database exceeds its maximum size, the workspace that stores the most loses its oldest values, not
others.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from engine.core.clock import DAY
from engine.jobs.server.retention import GIB, Retention, Rules
from engine.jobs.transitions import claim
from storage.job_changes import Lease, requeue_job
from storage.retention import JOB_BYTES, read_room, used_by_values, value_bytes
from storage.steps import NewValue, Progress, take_over_steps, write_progress
from tests.engine.jobs.stored_jobs import add_ended_jobs
from tests.engine.jobs.world import World, add_workspace, document_of, open_world


@pytest.fixture
def world(new_data: Path) -> Iterator[World]:
    world = open_world(new_data)
    yield world
    world.database.close()


def store(world: World, workspace_id: str, jobs: int, days_ago: float, size: int = 9_000) -> list[str]:
    """Inserts ended jobs of a flow of this workspace, with values."""
    first_at = world.database.clock.now() - round(days_ago * DAY)
    flow_id = world.add_flow(workspace_id=workspace_id)
    return world.write(add_ended_jobs, workspace_id, flow_id, jobs, first_at=first_at, size=size)


def has_values(world: World, jobs: list[str]) -> list[bool]:
    return [world.result(job_id) is not None for job_id in jobs]


def run_with_cap(world: World, part: float) -> None:
    """Runs retention with a maximum size that is this fraction of the stored data."""
    cap = world.read(read_room).used * part / GIB
    Retention(world.database, rest=0).run(Rules(cap_gb=cap))


def test_a_flood_of_one_workspace_takes_nothing_from_another(world: World) -> None:
    flooder = world.write(add_workspace)
    mine = store(world, world.workspace_id, 60, 20)
    flood = store(world, flooder, 200, 5) + store(world, flooder, 200, 1)
    run_with_cap(world, 0.6)
    assert all(has_values(world, mine)), "they are the oldest of all, and within their share"
    kept = has_values(world, flood)
    assert not kept[0]
    assert kept[-1]
    assert sum(kept) < 300
    assert kept == sorted(kept), "its oldest went first"


def test_a_flood_of_the_last_hour_takes_nothing_from_another_either(world: World) -> None:
    flooder = world.write(add_workspace)
    mine = store(world, world.workspace_id, 60, 20)
    flood = store(world, flooder, 300, 0.01)
    run_with_cap(world, 0.6)
    assert all(has_values(world, mine))
    assert all(has_values(world, flood))


def test_who_is_above_the_share_by_more_goes_down_to_the_other_first(world: World) -> None:
    other = world.write(add_workspace)
    small = store(world, world.workspace_id, 150, 20)
    large = store(world, other, 250, 5)
    run_with_cap(world, 0.5)
    assert abs(sum(has_values(world, small)) - sum(has_values(world, large))) <= 60, "both end near the same"


def test_the_database_goes_below_its_cap_though_nobody_is_above_the_share(world: World) -> None:
    other = world.write(add_workspace)
    jobs = store(world, world.workspace_id, 100, 20), store(world, other, 100, 5)
    world.write(
        lambda session: session.connection().exec_driver_sql("create table ballast as select zeroblob(3000000)")
    )
    run_with_cap(world, 0.9)
    assert [all(has_values(world, mine)) for mine in jobs] == [False, False]


async def test_what_a_workspace_uses_is_counted_as_its_jobs_run(world: World) -> None:
    steps = document_of(
        ("large", "test_large", {"bytes": 3 << 20}), ("small", "set_fields", {"a": "{{ api_input.out.n }}"})
    )
    flow_id = world.add_flow(steps)
    job_id = world.submit(flow_id, {"n": 7}).job_id
    await world.runs().carry(job_id)
    stored = world.read(
        lambda session: session.scalar(
            text("select sum(length(data)) from job_values where job_id = :id"), {"id": job_id}
        )
    )
    assert stored < 1 << 20, "the large value was cut"
    assert world.read(value_bytes, [job_id]) == [JOB_BYTES + stored]
    assert world.read(used_by_values, [flow_id]) == JOB_BYTES + stored


def stored_bytes(world: World, job_id: str) -> int:
    told = text("select sum(length(cast(data as blob))) from job_values where job_id = :id")
    return world.read(lambda session: session.scalar(told, {"id": job_id}))


def halfway(world: World, job_id: str, owner: str) -> None:
    """A worker claims the job and stores the inputs of its two steps: a short one and one that is truncated."""
    claimed = world.write(claim, owner, job_id)
    values = (
        NewValue("large", "", "input", '{"bytes":"' + "x" * 20_000 + '"}', 5 << 20),
        NewValue("small", "", "input", '{"a":"' + "ü" * 500 + '"}', 1_008),
    )
    lease = Lease(owner, claimed.attempt)
    told = Progress(job_id, claimed.workspace_id, claimed.flow_id, lease, (), values, (), (), 0, 0)
    assert world.write(write_progress, told) == [True]


async def test_a_step_that_runs_again_is_counted_once(world: World) -> None:
    steps = document_of(
        ("large", "test_large", {"bytes": 3 << 20}), ("small", "set_fields", {"a": "{{ api_input.out.n }}"})
    )
    job_id = world.submit(world.add_flow(steps), {"n": 7}).job_id
    halfway(world, job_id, "boot_first")
    assert world.read(value_bytes, [job_id]) == [JOB_BYTES + stored_bytes(world, job_id)]
    assert world.write(requeue_job, job_id, Lease("boot_first", 1), unpunished=False)
    await world.runs().carry(job_id)
    assert world.job(job_id).status == "completed"
    assert world.read(value_bytes, [job_id]) == [JOB_BYTES + stored_bytes(world, job_id)]


def test_values_that_a_run_takes_over_count_as_they_are_stored(world: World) -> None:
    flow_id = world.add_flow(document_of(("large", "set_fields", {"a": 1}), ("small", "set_fields", {"a": 1})))
    first, second = world.submit(flow_id, {"n": 7}).job_id, world.submit(flow_id, {"n": 7}).job_id
    halfway(world, first, "boot_first")
    end = "insert into steps (job_id, node_id, index_path, status, attempt, tries, started_at, warnings, cost_nanos,"
    end += " input_tokens, output_tokens, model_calls, simulated) values (:id, 'large', '', 'completed', 1, 1, 1, '[]', 0, 0, 0, 0, 0)"
    output = "insert into job_values (job_id, node_id, index_path, name, size, data) values (:id, 'large', '', 'output', 2, '{}')"
    for statement in (end, output):
        world.write(lambda session, statement=statement: session.execute(text(statement), {"id": first}))
    world.write(take_over_steps, second, first, ["large"])
    assert stored_bytes(world, second) > 20_000
    assert world.read(value_bytes, [second]) == [JOB_BYTES + stored_bytes(world, second)]


def test_what_workspaces_use_is_read_from_an_index(world: World) -> None:
    plan = world.read(
        lambda session: session.execute(
            text(
                "explain query plan select count(*), coalesce(sum(value_bytes), 0) from jobs"
                " where flow_id = :id and completed_at is not null and values_gone_at is null"
            ),
            {"id": "flow"},
        ).all()
    )
    assert "USING COVERING INDEX ix_jobs_kept_values" in plan[0][3]
