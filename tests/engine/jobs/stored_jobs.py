"""Inserts large numbers of ended jobs, with values, steps and events, for tests of retention."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from storage.statements import DRIVER

_JOB = (
    "insert into jobs (id, workspace_id, flow_id, environment, counted, status, attempts, created_at, enqueued_at, started_at,"
    " completed_at, limit_ms, steps_total, steps_done, items_failed, cost_nanos, input_tokens, output_tokens, model_calls,"
    " simulated, last_seq, request_id, webhook_by_caller, value_bytes)"
    " values (?, ?, ?, 'live', false, 'completed', 1, ?, ?, ?, ?, 1000, 2, 2, 0, 0, 0, 0, 0, false, 5, 'req', false, ?)"
)
_STEP = (
    "insert into steps (job_id, node_id, index_path, status, attempt, tries, started_at, input_tokens, output_tokens,"
    " model_calls, simulated) values (?, ?, '', 'completed', 1, 1, 1, 0, 0, 0, false)"
)
NODES = ("read", "write")


def add_ended_jobs(
    session: Session,
    workspace_id: str,
    flow_id: str,
    count: int,
    *,
    first_at: int,
    every_ms: int = 1,
    size: int = 2_000,
) -> list[str]:
    """Inserts jobs that ended one after another; each has a payload, a result, and two steps with input, output and
    events.
    """
    driver: Any = session.info[DRIVER]
    ids = [f"job_{flow_id}_{first_at}_{number:07d}" for number in range(count)]
    at = [first_at + number * every_ms for number in range(count)]
    text = '"' + "x" * size + '"'
    driver.executemany(
        _JOB,
        ((job, workspace_id, flow_id, time, time, time, time, 6 * size) for job, time in zip(ids, at, strict=True)),
    )
    places = [("", "payload"), ("", "result"), *((node, name) for node in NODES for name in ("input", "output"))]
    driver.executemany(
        "insert into job_values (job_id, node_id, index_path, name, size, data) values (?, ?, '', ?, ?, ?)",
        ((job, node, name, size, text) for job in ids for node, name in places),
    )
    driver.executemany(_STEP, ((job, node) for job in ids for node in NODES))
    driver.executemany(
        "insert into events (job_id, seq, at, name, data) values (?, ?, ?, 'step.started', '{}')",
        ((job, number, time) for job, time in zip(ids, at, strict=True) for number in range(4)),
    )
    return ids
