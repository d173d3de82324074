"""Which plans the loader keeps."""

from __future__ import annotations

import pytest

from engine.jobs.transitions import claim
from engine.jobs.worker import plan_loader as module
from engine.jobs.worker.plan_loader import PlanLoader
from storage.job_changes import Claimed
from tests.engine.jobs.world import TEST_CATALOG, World


def claimed(world: World, flow_id: str) -> Claimed:
    job = world.write(claim, world.boot_id, world.submit(flow_id, {"n": 1}).job_id)
    assert job is not None
    return job


async def test_the_plan_that_was_used_longest_ago_goes_first(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KEPT_PLANS", 2)
    loader = PlanLoader(TEST_CATALOG)
    busy, idle, new = (claimed(world, world.add_flow()) for _ in range(3))
    world.read(loader.prepare, busy)
    world.read(loader.prepare, idle)
    assert loader.prepare_at_once(busy) is not None
    world.read(loader.prepare, new)
    assert [loader.prepare_at_once(job) is not None for job in (busy, idle, new)] == [True, False, True]
