"""Results of jobs: their sizes and stored texts, and small ones for webhooks. The caller has read the jobs of its workspace."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import case, select
from sqlalchemy.orm import Session

from storage.jobs import Json
from storage.tables import Job, Value

#: A result above this is not part of a list (or of a webhook): 256 KiB.
LIST_CAP = 256 * 1024


_RESULT = (Value.node_id == "", Value.index_path == "", Value.name == "result")


def result_sizes(session: Session, job_ids: Sequence[str]) -> dict[str, int]:
    """Job id -> bytes of its stored result; without those that have none."""
    rows = session.execute(select(Value.job_id, Value.size).where(Value.job_id.in_(job_ids), *_RESULT))
    return {row.job_id: row.size for row in rows}


def result_texts(session: Session, job_ids: Sequence[str]) -> dict[str, bytes]:
    """Job id -> its stored result as JSON in UTF-8."""
    rows = session.execute(select(Value.job_id, Value.data).where(Value.job_id.in_(job_ids), *_RESULT))
    return {row.job_id: row.data.encode() for row in rows}


def small_results(session: Session, workspace_id: str, job_ids: Sequence[str]) -> tuple[dict[str, Json], set[str]]:
    """Job id -> result, and the ids of jobs whose result is larger than 256 KiB."""
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
