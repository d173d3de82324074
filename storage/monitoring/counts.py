"""The counts of Monitoring: jobs, percentiles, costs, failures, refused calls.

Jobs are counted in the sums of the roll-up as far as these reach, and otherwise from their rows (`Source`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import ColumnElement, Select, Subquery, case, func, select
from sqlalchemy.orm import Session

from engine.core.clock import DAY, HOUR, MINUTE, Millis
from storage.costs import as_nanos, sum_nanos
from storage.monitoring.durations import Took, add_packed, as_shown, nearest_rank
from storage.monitoring.period import Filters, Period
from storage.monitoring.rollup_reads import Source, job_rows, of_scope, of_sums, within
from storage.monitoring.rollup_writes import CODE, KEY, STATUS, STEPS_FAILED
from storage.tables import Job, ModelCall, RefusalCount, RollupCalls, RollupDurations, RollupJobs


class Cost(Struct, frozen=True):
    """The cost of model calls in nano-dollars.

    `unknown` of the `calls` have no known price and are not included in it.
    """

    nanos: int = 0
    calls: int = 0
    unknown: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.nanos + other.nanos, self.calls + other.calls, self.unknown + other.unknown)


#: (slot, flow id, status or STEPS_FAILED, error code, key id or "") -> number of jobs, and when the last one ended.
Sums = dict[tuple[int, str, str, str, str], tuple[int, int]]
#: (slot, flow id, status or STEPS_FAILED, key id or "") -> number of jobs.
Counts = dict[tuple[int, str, str, str], int]
#: (slot, flow id, connection, model) -> cost.
Costs = dict[tuple[int, str, str, str], Cost]
#: (flow id, error code or STEPS_FAILED, key id or "") -> number of failures, and the time of the last one.
Failures = dict[tuple[str, str, str], tuple[int, Millis]]
#: (slot, flow id, code, key id or "") -> number of refused calls, and the time of the last one.
Refusals = dict[tuple[int, str, str, str], tuple[int, Millis]]

#: Kind of duration -> its expression on `Job`, and the condition for jobs that have it.
DURATIONS: dict[str, tuple[ColumnElement[Any], tuple[ColumnElement[bool], ...]]] = {
    "took": (
        Job.completed_at - Job.started_at - Job.waited_ms,
        (Job.status == "completed", Job.started_at.is_not(None), Job.completed_at.is_not(None)),
    ),
    "waited": (Job.started_at - Job.created_at, (Job.started_at.is_not(None),)),
}


def sum_jobs(session: Session, workspace_id: str, filters: Filters, period: Period, source: Source) -> Sums:
    """Counts jobs by the time at which they were accepted."""
    rows = job_rows(
        workspace_id,
        filters,
        source,
        (Job.created_at.label("start"), Job.flow_id, STATUS, CODE, KEY, Job.completed_at.label("ended_at")),
    )
    found: Sums = {}
    _add_up(session, found, period, rows.c, func.count(), func.max(rows.c.ended_at), ())
    if source.summed:
        table = RollupJobs
        where = of_sums(table, workspace_id, filters, source)
        _add_up(session, found, period, table, func.sum(table.jobs), func.max(table.last_ended_at), where)
    return found


def _add_up(
    session: Session,
    found: Sums,
    period: Period,
    table: Any,
    jobs: ColumnElement[Any],
    last: ColumnElement[Any],
    where: Sequence[ColumnElement[bool]],
) -> None:
    slot = period.slot(table.start)
    by = (slot, table.flow_id, table.status, table.code, table.key_id)
    for *key, count, ended_at in session.execute(select(*by, jobs, last).where(*where).group_by(*by)):
        name = (int(key[0]), key[1], key[2], key[3], key[4])
        before = found.get(name, (0, 0))
        found[name] = (before[0] + int(count), max(before[1], ended_at or 0))


def count_jobs(sums: Sums) -> Counts:
    """Returns the number of jobs without the codes of their errors."""
    found: Counts = {}
    for (slot, flow_id, status, _code, key_id), (jobs, _last) in sums.items():
        name = (slot, flow_id, status, key_id)
        found[name] = found.get(name, 0) + jobs
    return found


def count_failures(sums: Sums) -> Failures:
    """Counts jobs that failed, and completed ones of which a step failed; the time of the last one is when it ended."""
    found: Failures = {}
    for (_slot, flow_id, status, code, key_id), (jobs, last) in sums.items():
        if status not in {"failed", STEPS_FAILED}:
            continue
        name = (flow_id, STEPS_FAILED if status == STEPS_FAILED else code, key_id)
        before = found.get(name, (0, Millis(0)))
        found[name] = (before[0] + jobs, Millis(max(before[1], last)))
    return found


def count_all(session: Session, workspace_id: str, filters: Filters, source: Source) -> int:
    """Returns the number of jobs."""
    rows = job_rows(workspace_id, filters, source, (Job.id,))
    count = session.scalar(select(func.count()).select_from(rows)) or 0
    if source.summed:
        where = of_sums(RollupJobs, workspace_id, filters, source)
        count += int(session.scalar(select(func.sum(RollupJobs.jobs)).where(*where)) or 0)
    return count


def percentiles_by(
    session: Session, workspace_id: str, filters: Filters, source: Source, kind: str, period: Period | None = None
) -> dict[Any, Took]:
    """Returns the nearest-rank percentiles of a duration of each flow, and of all flows with the key None; with
    `period` those of each slot instead.

    They are exact when all jobs are read from their rows, else as exact as a page shows them.
    """
    if not source.summed:
        return _exact_percentiles(session, _durations(workspace_id, filters, source, kind), period)
    counts: dict[Any, dict[int, int]] = {}
    days, hours = ((), source.summed) if period is not None else source.days_and_hours
    table = RollupDurations
    where = [table.workspace_id == workspace_id, table.kind == kind, *of_scope(table, filters)]
    if filters.flow_id is not None or period is not None:
        where.append(table.flow_id == (filters.flow_id or ""))
    else:
        where.append(table.flow_id != "")
    for width, ranges in ((DAY, days), (HOUR, hours)):
        if not ranges:
            continue
        rows = session.execute(
            select(table.start, table.flow_id, table.counts).where(
                *where, table.width == width, within(table.start, ranges)
            )
        )
        for start, flow_id, packed in rows:
            add_packed(counts.setdefault(period.slot(start) if period else flow_id, {}), packed)
    rest = _durations(workspace_id, filters, source, kind)
    group = period.slot(rest.c.created_at) if period else rest.c.flow_id
    for part, time, jobs in session.execute(select(group, rest.c.time, func.count()).group_by(group, rest.c.time)):
        mine = counts.setdefault(part, {})
        shown = as_shown(int(time))
        mine[shown] = mine.get(shown, 0) + jobs
    found: dict[Any, Took] = {part: took for part, mine in counts.items() if (took := nearest_rank(mine)) is not None}
    if period is None and counts:
        together: dict[int, int] = {}
        for mine in counts.values():
            for time, jobs in mine.items():
                together[time] = together.get(time, 0) + jobs
        if (took := nearest_rank(together)) is not None:
            found[None] = took
    return found


def _durations(workspace_id: str, filters: Filters, source: Source, kind: str) -> Subquery:
    time, where = DURATIONS[kind]
    return job_rows(workspace_id, filters, source, (Job.created_at, Job.flow_id, time.label("time")), where)


def _exact_percentiles(session: Session, rows: Subquery, period: Period | None) -> dict[Any, Took]:
    if period is not None:
        return _ranked(session, rows, period.slot(rows.c.created_at))
    return {**_ranked(session, rows, rows.c.flow_id), **_ranked(session, rows, None)}


def _ranked(session: Session, rows: Subquery, group: Any) -> dict[Any, Took]:
    parts = [] if group is None else [group]
    ranked = select(
        *([] if group is None else [group.label("part")]),
        rows.c.time.label("took"),
        func.row_number().over(partition_by=parts or None, order_by=rows.c.time).label("rank"),
        func.count().over(partition_by=parts or None).label("jobs"),
    ).subquery()
    rank, jobs = ranked.c.rank, ranked.c.jobs
    at_50, at_95 = (jobs * 50 + 99) // 100, (jobs * 95 + 99) // 100
    part = [] if group is None else [ranked.c.part]
    statement = select(
        *part,
        func.max(case((rank == at_50, ranked.c.took))).label("p50"),
        func.max(case((rank == at_95, ranked.c.took))).label("p95"),
    ).where((rank == at_50) | (rank == at_95))
    found = session.execute(statement.group_by(*part)).all()
    return {
        (None if group is None else row.part): Took(int(row.p50), int(row.p95)) for row in found if row.p50 is not None
    }


def read_costs(session: Session, workspace_id: str, filters: Filters, period: Period, source: Source) -> Costs:
    """Adds up the costs of all calls of the period's jobs, by the time of the call."""
    rows = job_rows(workspace_id, filters, source, (Job.id,))
    call = ModelCall
    statements = [
        _cost_by(
            period,
            call,
            sum_nanos(call.cost_nanos),
            func.count(),
            func.sum(case((call.cost_nanos.is_(None), 1), else_=0)),
        ).join_from(rows, call, call.job_id == rows.c.id)
    ]
    if source.summed:
        table = RollupCalls
        sums = (sum_nanos(table.nanos), func.sum(table.calls), func.sum(table.unknown))
        statements.append(_cost_by(period, table, *sums).where(*of_sums(table, workspace_id, filters, source)))
    last = len(period.starts) - 1
    costs: Costs = {}
    for statement in statements:
        for slot, flow_id, connection, model, nanos, calls, unknown in session.execute(statement):
            at = (min(max(int(slot), 0), last), flow_id, connection, model)
            costs[at] = costs.get(at, Cost()) + Cost(as_nanos(nanos), int(calls), int(unknown))
    return costs


def _cost_by(period: Period, table: Any, *sums: ColumnElement[Any]) -> Select[*tuple[Any, ...]]:
    by = (period.slot(table.at), table.flow_id, table.connection, table.model)
    return select(*by, *sums).group_by(*by)


def count_refusals(session: Session, filters: Filters, workspace_id: str, period: Period) -> Refusals:
    """Counts refused calls; the time of the last one is the end of its minute, since calls are counted by minute."""
    if not filters.of_api:
        return {}
    slot = period.slot(RefusalCount.minute * MINUTE)
    rows = session.execute(
        select(
            slot.label("slot"),
            RefusalCount.flow_id,
            RefusalCount.code,
            RefusalCount.key_id,
            func.sum(RefusalCount.count).label("refused"),
            func.max(RefusalCount.minute).label("minute"),
        )
        .where(*filters.refusals(workspace_id, period))
        .group_by(slot, RefusalCount.flow_id, RefusalCount.code, RefusalCount.key_id)
    )
    return {
        (int(row.slot), row.flow_id, row.code, row.key_id or ""): (
            int(row.refused),
            Millis(min((row.minute + 1) * MINUTE - 1, period.until)),
        )
        for row in rows
    }
