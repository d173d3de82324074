"""Queries for the list of flows: the last job of each, and seven days of calls. Playground runs are left out."""

from __future__ import annotations

from msgspec import Struct
from sqlalchemy import Nullable, func, select
from sqlalchemy.orm import Session

from engine.core.clock import DAY, Millis
from storage.database import now
from storage.jobs import PUBLIC, JobRow, as_job, select_jobs
from storage.monitoring.counts import count_jobs, sum_jobs
from storage.monitoring.period import Filters, Period
from storage.monitoring.rollup_reads import source_of
from storage.monitoring.rollup_writes import STEPS_FAILED
from storage.table_base import belongs_to
from storage.tables import Flow, Job


class Activity(Struct, frozen=True):
    """The calls of a flow: the newest job, jobs per day (oldest day first), and how many completed or failed in these
    days.
    """

    last_job: JobRow | None
    by_day: tuple[int, ...]
    ended: int
    failed: int

    @property
    def error_rate(self) -> float | None:
        """Failed jobs divided by ended ones, 0 to 1; None when none ended."""
        return self.failed / self.ended if self.ended else None


def list_activity(session: Session, workspace_id: str, days: int = 7) -> dict[str, Activity]:
    """Returns flow id -> activity, for every flow that was ever called."""
    until = now(session)
    today = until // DAY
    first = today - days + 1
    period = Period(Millis(first * DAY), until, DAY)
    source = source_of(session, workspace_id, period)
    sums = sum_jobs(session, workspace_id, Filters(), period, source)
    counts: dict[str, dict[tuple[int, str], int]] = {}
    for (slot, flow_id, status, _key), jobs in count_jobs(sums).items():
        at = (first + slot, "completed" if status == STEPS_FAILED else status)
        mine = counts.setdefault(flow_id, {})
        mine[at] = mine.get(at, 0) + jobs
    newest = _newest_jobs(session, workspace_id)
    return {
        flow_id: _activity(newest.get(flow_id), counts.get(flow_id, {}), range(first, today + 1))
        for flow_id in {*counts, *newest}
    }


def count_calls_by_key(
    session: Session, workspace_id: str, days: int = 30, *, flow_id: str | None = None
) -> dict[str, int]:
    """Returns key id -> accepted calls of the last days, of one flow or of all, for every key that called."""
    until = now(session)
    period = Period(Millis(until - days * DAY), until, DAY)
    sums = sum_jobs(session, workspace_id, Filters(flow_id=flow_id), period, source_of(session, workspace_id, period))
    found: dict[str, int] = {}
    for (_slot, _flow, _status, key_id), jobs in count_jobs(sums).items():
        found[key_id] = found.get(key_id, 0) + jobs
    found.pop("", None)  # started by a schedule or a webhook
    return found


def list_tried(session: Session, workspace_id: str) -> frozenset[str]:
    """Returns the ids of the flows that ran, by a call or in the Playground."""
    ran = select(Job.id).where(Job.flow_id == Flow.id).limit(1).exists()
    tried = select(Flow.id).where(Flow.workspace_id == workspace_id, Flow.deleted_at.is_(None), ran)
    return frozenset(session.scalars(tried))


def count_callers_since(
    session: Session, workspace_id: str, flow_id: str, since: int, besides: str | None = None
) -> int:
    """Returns how many API keys called a flow since a time (milliseconds). `besides`: the id of a key that does not count."""
    return session.scalars(
        select(func.count(func.distinct(Job.key_id))).where(
            Job.workspace_id == workspace_id,
            Job.flow_id == flow_id,
            Job.created_at >= since,
            Job.environment.in_(PUBLIC),
            Job.key_id.is_distinct_from(besides),
        )
    ).one()


def count_calls_since(session: Session, workspace_id: str, flow_id: str, since: int, most: int) -> int:
    """Returns how many jobs callers started of a flow since a time (milliseconds); it stops at `most`."""
    counted = (
        select(Job.id)
        .where(
            Job.workspace_id == workspace_id,
            Job.flow_id == flow_id,
            Job.created_at >= since,
            Job.environment.in_(PUBLIC),
        )
        .limit(most)
    )
    return session.scalars(select(func.count()).select_from(counted.subquery())).one()


def _newest_jobs(session: Session, workspace_id: str) -> dict[str, JobRow]:
    newest = (
        select(Job.id)
        .where(Job.flow_id == Flow.id, Job.environment.in_(PUBLIC))
        .order_by(Job.created_at.desc(), Job.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    ids = session.scalars(
        select(Nullable(newest)).where(Flow.workspace_id == workspace_id, Flow.deleted_at.is_(None))
    ).all()
    # Without an index on the workspace: SQLite would read all of its jobs in place of these few.
    mine = belongs_to(Job.workspace_id, workspace_id)
    rows = session.execute(select_jobs().where(mine, Job.id.in_([job_id for job_id in ids if job_id is not None])))
    return {row.flow_id: as_job(row) for row in rows}


def _activity(last_job: JobRow | None, counts: dict[tuple[int, str], int], days: range) -> Activity:
    by_day = tuple(sum(count for (day, _status), count in counts.items() if day == one) for one in days)
    by_status: dict[str, int] = {}
    for (_day, status), count in counts.items():
        by_status[status] = by_status.get(status, 0) + count
    failed = by_status.get("failed", 0)
    return Activity(last_job, by_day, by_status.get("completed", 0) + failed, failed)
