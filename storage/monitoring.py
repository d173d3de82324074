"""Figures about jobs: the last job of each flow, seven days at a glance, and one flow's numbers. Playground runs do not count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from engine.clock import DAY
from storage.database import now
from storage.jobs import PUBLIC, JobRow, as_job, select_jobs
from storage.models import Flow, Job

#: A flow's figures are made from so many newest jobs at most.
MOST_JOBS = 20_000


@dataclass(frozen=True)
class Activity:
    """A flow's calls: the newest one, jobs a day (oldest first), and how many ended and failed in that time."""

    last_job: JobRow | None
    by_day: tuple[int, ...]
    ended: int
    failed: int

    @property
    def error_rate(self) -> float | None:
        """Failed out of ended, 0 to 1; None when nothing ended."""
        return self.failed / self.ended if self.ended else None


@dataclass(frozen=True)
class Figures:
    """Jobs since a moment. Times in milliseconds, `cost_nanos` None when any of it is unknown."""

    requests: int
    completed: int
    failed: int
    p50_ms: int | None
    p95_ms: int | None
    cost_nanos: int | None
    last_failed: JobRow | None
    by_day: tuple[tuple[int, dict[str, int]], ...]

    @property
    def success(self) -> float | None:
        """Completed out of completed and failed, 0 to 1."""
        ended = self.completed + self.failed
        return self.completed / ended if ended else None


def list_activity(session: Session, workspace_id: str, days: int = 7) -> dict[str, Activity]:
    """Flow id -> its activity, for every flow that was ever called."""
    today = now(session) // DAY
    first = today - days + 1
    day = Job.created_at // DAY
    rows = session.execute(
        select(Job.flow_id, day.label("day"), Job.status, func.count().label("jobs"))
        .where(Job.workspace_id == workspace_id, Job.created_at >= first * DAY, Job.environment.in_(PUBLIC))
        .group_by(Job.flow_id, day, Job.status)
    )
    counts: dict[str, dict[tuple[int, str], int]] = {}
    for row in rows:
        at = (int(row.day), row.status)
        mine = counts.setdefault(row.flow_id, {})
        mine[at] = mine.get(at, 0) + row.jobs
    newest = _newest_jobs(session, workspace_id)
    return {
        flow_id: _activity(newest.get(flow_id), counts.get(flow_id, {}), range(first, today + 1))
        for flow_id in {*counts, *newest}
    }


def flow_figures(session: Session, workspace_id: str, flow_id: str | None, since: int) -> Figures:
    """The numbers of one flow, or of all, for jobs that were accepted since `since`."""
    statement = select(Job.status, Job.created_at, Job.started_at, Job.completed_at, Job.cost_nanos).where(
        Job.workspace_id == workspace_id, Job.created_at >= since, Job.environment.in_(PUBLIC)
    )
    failed = select_jobs().where(
        Job.workspace_id == workspace_id,
        Job.created_at >= since,
        Job.status == "failed",
        Job.environment.in_(PUBLIC),
    )
    if flow_id is not None:
        statement, failed = statement.where(Job.flow_id == flow_id), failed.where(Job.flow_id == flow_id)
    rows = session.execute(statement.order_by(Job.created_at.desc()).limit(MOST_JOBS)).all()
    took = sorted(
        row.completed_at - row.started_at
        for row in rows
        if row.status == "completed" and row.started_at is not None and row.completed_at is not None
    )
    statuses = [row.status for row in rows]
    costs = [row.cost_nanos for row in rows if row.status not in {"queued", "processing"}]
    last = session.execute(failed.order_by(Job.created_at.desc()).limit(1)).one_or_none()
    by_day: dict[int, dict[str, int]] = {at: {} for at in range(since // DAY * DAY, now(session) + 1, DAY)}
    for row in rows:
        of_day = by_day.setdefault(row.created_at // DAY * DAY, {})
        of_day[row.status] = of_day.get(row.status, 0) + 1
    return Figures(
        requests=len(rows),
        completed=statuses.count("completed"),
        failed=statuses.count("failed"),
        p50_ms=_percentile(took, 50),
        p95_ms=_percentile(took, 95),
        cost_nanos=None if None in costs else sum(cost for cost in costs if cost is not None),
        last_failed=None if last is None else as_job(last),
        by_day=tuple(sorted(by_day.items())),
    )


def count_callers_since(session: Session, workspace_id: str, flow_id: str, since: int) -> int:
    """How many API keys called a flow since a moment."""
    return session.scalars(
        select(func.count(func.distinct(Job.key_id))).where(
            Job.workspace_id == workspace_id,
            Job.flow_id == flow_id,
            Job.created_at >= since,
            Job.environment.in_(PUBLIC),
        )
    ).one()


def _newest_jobs(session: Session, workspace_id: str) -> dict[str, JobRow]:
    newest = (
        select(Job.id)
        .where(Job.flow_id == Flow.id, Job.environment.in_(PUBLIC))
        .order_by(Job.created_at.desc(), Job.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    ids = select(newest).where(Flow.workspace_id == workspace_id, Flow.deleted_at.is_(None))
    rows = session.execute(select_jobs().where(Job.workspace_id == workspace_id, Job.id.in_(ids)))
    return {row.flow_id: as_job(row) for row in rows}


def _activity(last_job: JobRow | None, counts: dict[tuple[int, str], int], days: range) -> Activity:
    by_day = tuple(sum(count for (day, _status), count in counts.items() if day == one) for one in days)
    by_status: dict[str, int] = {}
    for (_day, status), count in counts.items():
        by_status[status] = by_status.get(status, 0) + count
    failed = by_status.get("failed", 0)
    return Activity(last_job, by_day, by_status.get("completed", 0) + failed, failed)


def _percentile(ordered: Sequence[int], percent: int) -> int | None:
    """The nearest-rank percentile of ordered values."""
    if not ordered:
        return None
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]
