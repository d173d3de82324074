"""Queries for the results of jobs. The caller has checked that the jobs belong to its workspace."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import LargeBinary, bindparam, case, cast, func, select
from sqlalchemy.orm import Session

from storage.jobs import Json
from storage.statements import is_sqlite
from storage.tables import Job, Value

#: A result above this size (256 KiB) is left out of lists and webhooks.
LIST_CAP = 256 * 1024


_RESULT = (Value.node_id == "", Value.index_path == "", Value.name == "result")


_OF_JOBS = Value.job_id.in_(bindparam("ids", expanding=True))
#: Built once, so that SQLAlchemy finds the compiled form without hashing the statement at each read. The database gives
#: the bytes, since decoding a large text holds up all threads of the process.
_BYTES_OF_SQLITE = select(Value.job_id, cast(Value.data, LargeBinary).label("data")).where(_OF_JOBS, *_RESULT)
_BYTES_OF_POSTGRES = select(Value.job_id, func.convert_to(Value.data, "UTF8", type_=LargeBinary).label("data")).where(
    _OF_JOBS, *_RESULT
)


def result_sizes(session: Session, job_ids: Sequence[str]) -> dict[str, int]:
    """Returns job id -> bytes of its result, without jobs that have none."""
    rows = session.execute(select(Value.job_id, Value.size).where(Value.job_id.in_(job_ids), *_RESULT))
    return {row.job_id: row.size for row in rows}


def result_bytes(session: Session, job_ids: Sequence[str]) -> dict[str, bytes]:
    """Returns job id -> its result as JSON in UTF-8."""
    of_all = _BYTES_OF_SQLITE if is_sqlite(session) else _BYTES_OF_POSTGRES
    return {row.job_id: row.data for row in session.execute(of_all, {"ids": list(job_ids)})}


def small_results(session: Session, workspace_id: str, job_ids: Sequence[str]) -> tuple[dict[str, Json], set[str]]:
    """Returns job id -> result, and the ids of the jobs whose result is larger than LIST_CAP."""
    rows = session.execute(
        select(Value.job_id, Value.size, case((Value.size <= LIST_CAP, Value.data)))
        .join(Job, Job.id == Value.job_id)
        .where(
            Value.job_id.in_(job_ids),
            Value.node_id == "",
            Value.index_path == "",
            Value.name == "result",
            Job.workspace_id == workspace_id,
        )
    ).all()
    small = {job_id: json.loads(data) for job_id, _, data in rows if data is not None}
    return small, {job_id for job_id, _, data in rows if data is None}
