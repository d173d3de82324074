"""Playground runs for tests of the Run panel: started by the action, then ended in the way a worker ends them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from engine.actions.jobs import RunOptions, run_in_playground
from engine.core.ids import FlowId, JobId
from storage.jobs import JobFilters, list_jobs
from storage.tables import Job, Step, Value
from tests.engine.jobs.world import World
from tests.ui.arrange import draft
from tests.ui.conftest import Site


@dataclass(frozen=True)
class Did:
    """What a node did, for one item."""

    node_id: str
    output: Any = None
    index_path: str = ""
    status: str = "completed"
    error: Mapping[str, Any] | None = None
    tries: int = 1
    ms: int = 1500
    cost_nanos: int = 0
    tokens: int = 0
    warnings: tuple[str, ...] = ()
    items: int | None = None


def playground_run(
    site: Site,
    flow_id: str,
    payload: dict[str, Any],
    *did: Did,
    status: str = "completed",
    result: Any = None,
    error: Mapping[str, Any] | None = None,
    options: RunOptions = RunOptions(),
) -> JobId:
    """A Playground job of the draft that ended after these steps."""
    job_id = site.database.write_now(
        run_in_playground, site.owner, FlowId(flow_id), draft(site, flow_id), payload, options
    )
    end_run(site, job_id, *did, status=status, result=result, error=error)
    return job_id


def end_run(
    site: Site,
    job_id: str,
    *did: Did,
    status: str = "completed",
    result: Any = None,
    error: Mapping[str, Any] | None = None,
) -> None:
    """Ends a job that waits, after these steps."""

    def leave(session: Any) -> None:
        job = session.get_one(Job, job_id)
        job.status, job.started_at, job.completed_at = status, job.created_at, job.created_at + 2000
        job.error = dict(error) if error else None
        job.last_seq += 1
        if result is not None:
            _put(session, job_id, "", "", "result", result)
        for one in did:
            session.add(_step(job_id, one, job.created_at))
            _put(session, job_id, one.node_id, one.index_path, "input", {"given": one.node_id})
            if one.output is not None:
                _put(session, job_id, one.node_id, one.index_path, "output", one.output)

    site.database.write_now(leave)


def _step(job_id: str, did: Did, at: int) -> Step:
    return Step(
        job_id=job_id,
        node_id=did.node_id,
        index_path=did.index_path,
        status=did.status,
        attempt=1,
        tries=did.tries,
        started_at=at,
        ended_at=at + did.ms,
        duration_ms=did.ms,
        error=dict(did.error) if did.error else None,
        warnings=list(did.warnings) or None,
        cost_nanos=did.cost_nanos,
        input_tokens=did.tokens,
        output_tokens=0,
        model_calls=int(did.tokens > 0),
        simulated=False,
        items=did.items,
    )


def _put(session: Any, job_id: str, node_id: str, index_path: str, name: str, value: Any) -> None:
    text = json.dumps(value)
    session.add(Value(job_id=job_id, node_id=node_id, index_path=index_path, name=name, size=len(text), data=text))


@contextlib.asynccontextmanager
async def working(site: Site, environment: str = "playground") -> AsyncIterator[None]:
    """A worker on the test's event loop that takes every job of this environment."""
    runs = World(site.settings.data, site.database, site.workspace_id).runs()

    async def work() -> None:
        carried: set[str] = set()
        while True:
            waiting = JobFilters(statuses=("queued",), environments=(environment,))
            for job in site.database.read_now(list_jobs, site.workspace_id, waiting).jobs:
                if job.id not in carried:
                    carried.add(job.id)
                    await runs.carry(job.id)
            await asyncio.sleep(0.01)

    task = asyncio.create_task(work())
    try:
        yield
    finally:
        task.cancel()
