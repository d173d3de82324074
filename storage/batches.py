"""Reading batches: how many of their jobs stand where, and the job ids by cursor."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from engine.errors import NotFound, ParameterInvalid
from storage.models import Batch, Job


@dataclass(frozen=True)
class BatchRow:
    """A batch; `counts` is status -> number of jobs, `job_ids` one page of them by id."""

    id: str
    total: int
    counts: dict[str, int]
    job_ids: tuple[str, ...]
    next_cursor: str | None


def get_batch(
    session: Session, workspace_id: str, environment: str, batch_id: str, limit: int, cursor: str | None
) -> BatchRow:
    """A batch of this workspace and environment. Raises NotFound, and ParameterInvalid for a cursor that is not ours."""
    after = "" if cursor is None else _read_cursor(cursor)
    total = session.scalar(
        select(Batch.total).where(
            Batch.id == batch_id, Batch.workspace_id == workspace_id, Batch.environment == environment
        )
    )
    if total is None:
        raise NotFound(f"No batch has the id {batch_id!r}")
    counts = session.execute(select(Job.status, func.count()).where(Job.batch_id == batch_id).group_by(Job.status))
    found = session.scalars(
        select(Job.id).where(Job.batch_id == batch_id, Job.id > after).order_by(Job.id).limit(limit + 1)
    ).all()
    page = tuple(found[:limit])
    more = len(found) > limit
    return BatchRow(batch_id, total, {row[0]: row[1] for row in counts}, page, _make_cursor(page[-1]) if more else None)


def _make_cursor(job_id: str) -> str:
    return base64.urlsafe_b64encode(f"b:{job_id}".encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> str:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (ValueError, binascii.Error):
        text = ""
    if not text.startswith("b:") or not text.isprintable():
        raise ParameterInvalid("`cursor` is not one that this batch gave. Leave it out to begin with the first.")
    return text[2:]
