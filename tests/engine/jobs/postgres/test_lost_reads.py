"""A step that cannot read for a moment what it needs waits, and its job goes on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from storage.opening import open_database
from tests.databases import url_of
from tests.engine.jobs.kitchen import Kitchen
from tests.engine.jobs.world import World
from tests.stand_ins.openai_server import OpenAIServer

pytestmark = pytest.mark.process


@pytest.fixture
def worker(world: World) -> Iterator[World]:
    """The same world as a worker opens it."""
    database = open_database(world.data, url=url_of(world.data), clock=world.database.clock, durable=False)
    yield replace(world, database=database, _open=[])
    database.close()


async def test_a_step_whose_connection_cannot_be_read_for_a_moment_goes_on(worker: World) -> None:
    with OpenAIServer(key="sk-1") as model:
        kitchen = Kitchen(worker, model)
        outside = kitchen.outside()
        looks = 0

        def open_connection(session: Session, *which: Any) -> Any:
            nonlocal looks
            looks += 1
            if looks == 2:  # the first is before the first step; as when PostgreSQL restarts
                session.execute(text("select pg_terminate_backend(pg_backend_pid())"))
            return outside.open_connection(session, *which)

        job_id = worker.submit(kitchen.agent(), {"question": "How much is it?"}).job_id
        runs = worker.runs()
        runs.services_for = replace(outside, open_connection=open_connection).services_for
        await runs.carry(job_id)
        await kitchen.outbound.aclose()
    job = worker.job(job_id)
    assert (job.status, job.attempts, worker.result(job_id)) == ("completed", 1, {"output": "Hello."})
    assert looks == 3
