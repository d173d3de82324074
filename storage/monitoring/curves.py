"""The curves of Monitoring by slot (run time, waiting time, concurrent jobs), and a value that changes when figures may
change.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import ColumnElement, and_, case, func, literal, not_, or_, select, union_all
from sqlalchemy.orm import Session

from engine.core.clock import HOUR, MINUTE
from storage.database import now
from storage.jobs import PUBLIC
from storage.monitoring.counts import percentiles_by
from storage.monitoring.durations import Took
from storage.monitoring.period import Filters, Period, open_jobs
from storage.monitoring.rollup_reads import of_scope, source_of, usable_span
from storage.monitoring.rollup_writes import LONGEST, Span
from storage.tables import ApiKey, Flow, Job, RefusalCount, RollupBusy, RollupCarried, Usage
from storage.usage import usage_subject
from storage.workspaces import get_limits


class Curves(Struct, frozen=True):
    """One value for each slot of the period. `took`: run times of completed jobs by the time of their acceptance;
    `waited`: waiting times of all that started; `at_once`: the highest number of jobs that held a slot of the plan at
    the same time.
    """

    took: tuple[Took | None, ...]
    waited: tuple[Took | None, ...]
    at_once: tuple[int, ...]


def read_curves(session: Session, workspace_id: str, filters: Filters, period: Period) -> Curves:
    """Returns the curves of one workspace."""
    source = source_of(session, workspace_id, period)
    took = percentiles_by(session, workspace_id, filters, source, "took", period)
    waited = percentiles_by(session, workspace_id, filters, source, "waited", period)
    slots = range(len(period.starts))
    return Curves(
        tuple(took.get(one) for one in slots),
        tuple(waited.get(one) for one in slots),
        _at_once(session, workspace_id, filters, period),
    )


def _at_once(session: Session, workspace_id: str, filters: Filters, period: Period) -> tuple[int, ...]:
    """Returns the highest number of concurrent jobs in each slot: of each minute from the roll-up as far as it reaches,
    and from the jobs after it.

    A job of the API takes a slot of the plan when it is accepted (an item of a batch: when it is admitted) and releases
    it when it ends. A Playground run holds no slot of the plan, so it counts from its start.
    """
    span = usable_span(session, workspace_id)
    if span is None or span.until <= period.since or _begins_within(session, workspace_id, period, span):
        return _levels(session, filters, period, period.since, [_accepted_since(workspace_id, filters, period)])
    highest = _levels(session, filters, period, span.until, _held_since(workspace_id, filters, period, span.until))
    return tuple(map(max, highest, _most_of(session, workspace_id, filters, period, span)))


def _begins_within(session: Session, workspace_id: str, period: Period, span: Span) -> bool:
    """Returns whether jobs from before the span may have held a slot in the period. The span of a workspace that is
    younger than the period begins within it, at the first job.
    """
    if span.since <= period.since:
        return False
    earlier = select(Job.id).where(
        Job.workspace_id == workspace_id,
        Job.created_at >= period.since - LONGEST,
        Job.created_at < span.since,
    )
    return session.scalar(earlier.limit(1)) is not None


def _most_of(session: Session, workspace_id: str, filters: Filters, period: Period, span: Span) -> tuple[int, ...]:
    """Returns the highest number of each slot in the span, from the roll-up. Slots begin at full minutes."""
    table = RollupBusy
    rows = session.execute(
        select(table.start, table.most).where(
            table.workspace_id == workspace_id,
            table.start > period.since - HOUR,
            table.start >= span.since,  # sums from before it are removed later
            table.start < span.until,
            table.flow_id == (filters.flow_id or ""),
            *of_scope(table, filters),
        )
    )
    highest = [0] * len(period.starts)
    for start, most in rows:
        first = max(0, (period.since - start) // MINUTE)
        if period.slot(start + first * MINUTE) == period.slot(start + HOUR - 1):
            slot: int = period.slot(start + first * MINUTE)
            highest[slot] = max(highest[slot], *most[first:])
            continue
        for minute in range(first, len(most)):
            slot = period.slot(start + minute * MINUTE)
            if slot < len(highest):  # later ones are empty
                highest[slot] = max(highest[slot], most[minute])
    return tuple(highest)


def _accepted_since(workspace_id: str, filters: Filters, period: Period) -> list[ColumnElement[bool]]:
    return [
        *filters.jobs_at_any_time(workspace_id),
        Job.created_at >= period.since - LONGEST,
        Job.created_at <= period.until,
    ]


def _held_since(workspace_id: str, filters: Filters, period: Period, since: int) -> list[list[ColumnElement[bool]]]:
    """Returns the conditions for jobs that held a slot after the end of the roll-up's span: accepted since then, or
    carried over it.
    """
    by_id = filters.jobs_at_any_time(workspace_id, by_id=True)
    carried = select(RollupCarried.job_id).where(RollupCarried.workspace_id == workspace_id)
    return [
        [*filters.jobs_at_any_time(workspace_id), Job.created_at >= since, Job.created_at <= period.until],
        [*by_id, Job.created_at < since, Job.id.in_(carried)],
    ]


def _levels(
    session: Session, filters: Filters, period: Period, since: int, chosen: Sequence[Sequence[ColumnElement[bool]]]
) -> tuple[int, ...]:
    """Returns the highest number in each slot from `since` on, from the rows of jobs."""
    begin: Any
    holds: Any
    waited = or_(Job.waiting_since.is_not(None), Job.waited_ms > 0)
    if filters.of_api:
        begin = case((and_(Job.batch_id.is_(None), not_(waited)), Job.created_at), else_=Job.enqueued_at)
        holds = Job.counted
    else:
        begin = case((waited, Job.enqueued_at), else_=Job.started_at)
        holds = and_(Job.started_at.is_not(None), Job.waiting_since.is_(None))
    held = union_all(
        *(
            select(case((begin < since, since), else_=begin).label("begin"), Job.completed_at.label("end")).where(
                *conditions, holds, Job.completed_at.is_(None) | (Job.completed_at >= since)
            )
            for conditions in chosen
        )
    ).cte("held")
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
