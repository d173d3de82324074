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


def fill(data: Path, job_id: str, count: int) -> None:
    """Adds `count` copies of the job by SQL alone, while no server runs. Their ids are random and inserted in order,
    which keeps a million copies at minutes.
    """
    spread = DAYS * 86_400_000 // (count + 1)
    with contextlib.closing(sqlite3.connect(data / "flowport.db", isolation_level=None)) as database:
        for pragma in ("journal_mode=off", "synchronous=off", "cache_size=-500000", "temp_store=memory"):
            database.execute(f"pragma {pragma}")
        database.execute("create temp table copies (id text primary key, number integer) without rowid")
        database.execute(
            "insert into copies with recursive n (number) as (select 1 union all select number + 1 from n where number < ?)"
            " select 'job_' || substr(lower(hex(randomblob(11))), 1, 22), number from n where number <= ?",
            (count, count),
        )
        moments = ("created_at", "enqueued_at", "started_at", "completed_at")
        changed = {name: f"{name} - number * {spread}" for name in moments}
        _insert_copies(database, "jobs", job_id, {"id": "copies.id", **changed})
        for table in PARTS:
            _insert_copies(database, table, job_id, {"job_id": "copies.id"})
        database.execute("pragma journal_mode=wal")


def _insert_copies(database: sqlite3.Connection, table: str, job_id: str, changed: dict[str, str]) -> None:
    own = "id" if table == "jobs" else "job_id"
    columns = [row[1] for row in database.execute(f"pragma table_info({table})") if row[1] != "id" or own == "id"]
    taken = ", ".join(changed.get(name, f"{table}.{name}") for name in columns)
    database.execute(
        f"insert into {table} ({', '.join(columns)}) select {taken} from copies, {table} where {table}.{own} = ? order by copies.id",
        (job_id,),
    )
