"""Queries for the results of jobs. The caller has checked that the jobs belong to its workspace."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import bindparam, case, select
from sqlalchemy.orm import Session

from storage.jobs import Json
from storage.tables import Job, Value

#: A result above this size (256 KiB) is left out of lists and webhooks.
LIST_CAP = 256 * 1024


_RESULT = (Value.node_id == "", Value.index_path == "", Value.name == "result")


#: Built once, so that SQLAlchemy finds the compiled form without hashing the statement at each read.
_TEXTS = select(Value.job_id, Value.data).where(Value.job_id.in_(bindparam("ids", expanding=True)), *_RESULT)


def result_sizes(session: Session, job_ids: Sequence[str]) -> dict[str, int]:
    """Returns job id -> bytes of its result, without jobs that have none."""
    rows = session.execute(select(Value.job_id, Value.size).where(Value.job_id.in_(job_ids), *_RESULT))
    return {row.job_id: row.size for row in rows}


def result_texts(session: Session, job_ids: Sequence[str]) -> dict[str, str]:
    """Returns job id -> its result as JSON text."""
    return {row.job_id: row.data for row in session.execute(_TEXTS, {"ids": list(job_ids)})}


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
