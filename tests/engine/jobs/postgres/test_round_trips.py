"""How often accepting, claiming and ending jobs asks PostgreSQL. A trip takes longer than the statements in it, and in all
but the first of a transaction nobody else can write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from engine.actions.jobs import submit_many
from engine.jobs.submit.accept import Submit
from engine.jobs.submit.bodies import SubmitOptions
from engine.jobs.transitions import claim_many, finish_many
from storage.job_changes import Lease
from storage.job_ends import JobEnd
from storage.postgres.connections import BEGIN
from storage.postgres.libpq_statements import Asked, Wire
from tests.engine.jobs.world import World, document_of


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The first statement of each trip."""
    begun: list[str] = []
    send = Wire.send

    def counting(wire: Wire, asked: Sequence[Asked]) -> None:
        begun.append(asked[0].sql)
        send(wire, asked)

    monkeypatch.setattr(Wire, "send", counting)
    return begun


def trips_of_each(trips: list[str]) -> float:
    """Returns how many trips a transaction took, and begins to count anew."""
    each = len(trips) / trips.count(BEGIN)
    trips.clear()
    return each


async def test_a_group_of_jobs_takes_few_trips(world: World, trips: list[str]) -> None:
    call = Submit(world.caller, world.add_flow(document_of()), {}, SubmitOptions())
    await world.database.write_joined(submit_many, call)  # makes the row of usage
    trips.clear()
    await asyncio.gather(*(world.database.write_joined(submit_many, call) for _ in range(3)))
    assert trips_of_each(trips) == 2
    claimed, _ = await world.database.write(claim_many, "boot_a", 10, ())
    assert (len(claimed), trips_of_each(trips)) == (4, 3)
    of = world.workspace_id, "live"
    ends = [JobEnd(job.id, "completed", Lease("boot_a", 1), stop_steps=False, of=of) for job in claimed]
    await asyncio.gather(*(world.database.write_joined(finish_many, end) for end in ends))
    assert (world.active(), trips_of_each(trips)) == (0, 3)
