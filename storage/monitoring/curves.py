"""The curves of Monitoring by slot (run time, waiting time, concurrent jobs), and a value that changes when figures may
change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import case, func, literal, select, union_all
from sqlalchemy.orm import Session

from engine.core.clock import DAY, MINUTE
from storage.database import now
from storage.jobs import PUBLIC
from storage.monitoring.counts import COMPLETED, RUN_TIME, Took, percentiles
from storage.monitoring.period import Filters, Period, open_jobs
from storage.tables import ApiKey, Flow, Job, RefusalCount, Usage
from storage.usage import usage_subject
from storage.workspaces import get_limits

#: A job may run for a day, and wait before that; older jobs hold no slot any more.
_LONGEST = 3 * DAY


@dataclass(frozen=True)
class Curves:
    """One value for each slot of the period. `took`: run times of completed jobs by the time of their acceptance;
    `waited`: waiting times of all that started; `at_once`: the highest number of jobs that held a slot of the plan at
    the same time.
    """

    took: tuple[Took | None, ...]
    waited: tuple[Took | None, ...]
    at_once: tuple[int, ...]


def read_curves(session: Session, workspace_id: str, filters: Filters, period: Period) -> Curves:
    """Returns the curves of one workspace."""
    mine = filters.jobs(workspace_id, period)
    slot = period.slot(Job.created_at)
    took = percentiles(session, mine, RUN_TIME, slot, where=COMPLETED)
    waited = percentiles(session, mine, Job.started_at - Job.created_at, slot, where=(Job.started_at.is_not(None),))
    slots = range(len(period.starts))
    return Curves(
        tuple(took.get(one) for one in slots),
        tuple(waited.get(one) for one in slots),
        _at_once(session, workspace_id, filters, period),
    )


def _at_once(session: Session, workspace_id: str, filters: Filters, period: Period) -> tuple[int, ...]:
    """Returns the highest number of concurrent jobs in each slot.

    A job of the API takes a slot of the plan when it is accepted (an item of a batch: when it is admitted) and releases
    it when it ends. A Playground run holds no slot of the plan, so it counts from its start.
    """
    begin: Any
    holds: Any
    if filters.of_api:
        begin = case((Job.batch_id.is_(None), Job.created_at), else_=Job.enqueued_at)
        holds = Job.counted
    else:
        begin, holds = Job.started_at, Job.started_at.is_not(None)
    held = (
        select(case((begin < period.since, period.since), else_=begin).label("begin"), Job.completed_at.label("end"))
        .where(
            *filters.jobs_at_any_time(workspace_id),
            holds,
            Job.created_at >= period.since - _LONGEST,
            Job.created_at <= period.until,
            Job.completed_at.is_(None) | (Job.completed_at >= period.since),
        )
        .cte("held")
    )
    steps = union_all(
        select(held.c.begin.label("at"), literal(1).label("step")),
        select(held.c.end, literal(-1)).where(held.c.end.is_not(None), held.c.end <= period.until),
    ).subquery()
    level = func.sum(steps.c.step).over(order_by=(steps.c.at, steps.c.step), rows=(None, 0))
    levels = select(steps.c.at, steps.c.step, level.label("level")).subquery()
    slot = period.slot(levels.c.at)
    rows = session.execute(
        select(slot.label("slot"), func.max(levels.c.level).label("most"), func.sum(levels.c.step).label("change"))
        .group_by(slot)
        .order_by(slot)
    ).all()
    found = {int(row.slot): (int(row.most), int(row.change)) for row in rows}
    highest: list[int] = []
    carried = 0
    for one in range(len(period.starts)):
        most, change = found.get(one, (0, 0))
        highest.append(max(carried, most))
        carried += change
    return tuple(highest)


def read_mark(session: Session, workspace_id: str) -> tuple[Any, ...]:
    """Returns a value that differs after any change that a figure may show: a job was accepted, made progress, spent
    something or ended, a call was refused, a limit, flow or key changed. It is cheap, since it reads only open jobs and
    the newest rows.
    """
    at_work = session.execute(
        select(func.count(), func.sum(Job.last_seq), func.sum(Job.model_calls), func.sum(Job.attempts)).where(
            *open_jobs(workspace_id)
        )
    ).one()
    newest = session.scalar(
        select(Job.id).where(Job.workspace_id == workspace_id).order_by(Job.created_at.desc(), Job.id.desc()).limit(1)
    )
    refused = session.scalar(
        select(func.sum(RefusalCount.count)).where(
            RefusalCount.minute >= now(session) // MINUTE - 1, RefusalCount.workspace_id == workspace_id
        )
    )
    flows = session.execute(
        select(func.count(), func.max(Flow.updated_at), func.sum(Flow.live_version)).where(
            Flow.workspace_id == workspace_id, Flow.deleted_at.is_(None)
        )
    ).one()
    limits = tuple(get_limits(session, workspace_id).caps.values())
    subjects = [usage_subject(workspace_id, environment) for environment in PUBLIC]
    usage = session.execute(
        select(func.sum(Usage.active), func.sum(Usage.month_count)).where(Usage.subject.in_(subjects))
    ).one()
    keys = session.execute(
        select(func.count(), func.max(ApiKey.created_at), func.sum(ApiKey.concurrency), func.sum(ApiKey.monthly)).where(
            ApiKey.workspace_id == workspace_id
        )
    ).one()
    parts = (at_work, (newest, refused), flows, limits, usage, keys)
    return tuple(value for part in parts for value in part)
