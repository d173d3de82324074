"""Fills the database of a running server with copies of one real job: same rows, other ids, spread over 30 days."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path

from engine.core.ids import new_id

DAYS = 30
#: Tables whose rows belong to a job by `job_id`.
PARTS = ("job_values", "steps", "events", "model_calls")


def copy_job(data: Path, job_id: str, count: int) -> None:
    """Adds `count` copies of the job; every tenth one failed."""
    with contextlib.closing(sqlite3.connect(data / "flowport.db", timeout=30)) as database, database:
        database.row_factory = sqlite3.Row
        (job,) = database.execute("select * from jobs where id = ?", (job_id,))
        error = json.dumps({"code": "http_status", "message": "It answered 500.", "node_id": "text_template"})
        spread = DAYS * 86_400_000 // (count + 1)
        jobs, ids = [], []
        for number in range(count):
            copy = dict(job) | {"id": new_id("job")}
            for moment in ("created_at", "enqueued_at", "started_at", "completed_at"):
                copy[moment] = job[moment] - number * spread
            if number % 10 == 0:
                copy |= {"status": "failed", "error": error}
            jobs.append(copy)
            ids.append(copy["id"])
        _insert(database, "jobs", jobs)
        for table in PARTS:
            rows = [dict(row) for row in database.execute(f"select * from {table} where job_id = ?", (job_id,))]
            _insert(database, table, [_copy(row, new) for new in ids for row in rows])


def _copy(row: dict[str, object], job_id: str) -> dict[str, object]:
    copy = row | {"job_id": job_id}
    if isinstance(row.get("id"), int):
        copy.pop("id")
    return copy


def _insert(database: sqlite3.Connection, table: str, rows: list[dict[str, object]]) -> None:
    if rows:
        names = list(rows[0])
        said = f"insert into {table} ({', '.join(names)}) values ({', '.join(f':{name}' for name in names)})"
        database.executemany(said, rows)
