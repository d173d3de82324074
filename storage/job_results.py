"""Results of several jobs at once, for lists: large ones are left out."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import case, select
from sqlalchemy.orm import Session

from storage.jobs import Json
from storage.models import Job, Value

#: A result above this is not part of a list (or of a webhook): 256 KiB.
LIST_CAP = 256 * 1024


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
