"""The counts of Monitoring, each from one statement: jobs, percentiles, costs, failures, refused calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import Session

from engine.core.clock import MINUTE, Millis
from storage.monitoring.period import Filters, Period
from storage.tables import Job, ModelCall, RefusalCount


@dataclass(frozen=True)
class Cost:
    """The cost of model calls in nano-dollars.

    `unknown` of the `calls` have no known price and are not included in it.
    """

    nanos: int = 0
    calls: int = 0
    unknown: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.nanos + other.nanos, self.calls + other.calls, self.unknown + other.unknown)


@dataclass(frozen=True)
class Took:
    """Percentiles of a duration in milliseconds."""

    p50: int
    p95: int


#: What completed jobs of which a step failed are counted as, in place of their status, and as an error.
STEPS_FAILED = "steps_failed"

#: (slot, flow id, status or STEPS_FAILED, key id or "") -> number of jobs.
Counts = dict[tuple[int, str, str, str], int]
#: (slot, flow id, connection, model) -> cost.
Costs = dict[tuple[int, str, str, str], Cost]
#: (flow id, error code or STEPS_FAILED, key id or "") -> number of failures, and the time of the last one.
Failures = dict[tuple[str, str, str], tuple[int, Millis]]
#: (slot, flow id, code, key id or "") -> number of refused calls, and the time of the last one.
Refusals = dict[tuple[int, str, str, str], tuple[int, Millis]]

RUN_TIME = Job.completed_at - Job.started_at
_WENT_ON = (Job.status == "completed") & (Job.steps_failed > 0)
_KEY = func.coalesce(Job.key_id, "").label("key_id")
COMPLETED = (Job.status == "completed", Job.started_at.is_not(None), Job.completed_at.is_not(None))


def percentiles(
    session: Session,
    mine: list[ColumnElement[bool]],
    value: ColumnElement[Any],
    group: Any = None,
    *,
    where: tuple[ColumnElement[bool], ...],
) -> dict[Any, Took]:
    """Returns group -> exact nearest-rank percentiles of a value of jobs; without `group` one entry with the
    key None.
    """
    parts = [] if group is None else [group]
    ranked = (
        select(
            *([] if group is None else [group.label("part")]),
            value.label("took"),
            func.row_number().over(partition_by=parts or None, order_by=value).label("rank"),
            func.count().over(partition_by=parts or None).label("jobs"),
        )
        .where(*mine, *where)
        .subquery()
    )
    rank, jobs = ranked.c.rank, ranked.c.jobs
    at_50, at_95 = (jobs * 50 + 99) // 100, (jobs * 95 + 99) // 100
    part = [] if group is None else [ranked.c.part]
    statement = select(
        *part,
        func.max(case((rank == at_50, ranked.c.took))).label("p50"),
        func.max(case((rank == at_95, ranked.c.took))).label("p95"),
    ).where((rank == at_50) | (rank == at_95))
    rows = session.execute(statement.group_by(*part)).all()
    return {
        (None if group is None else row.part): Took(int(row.p50), int(row.p95)) for row in rows if row.p50 is not None
    }


def count_jobs(session: Session, mine: list[ColumnElement[bool]], period: Period) -> Counts:
    """Counts jobs by the time at which they were accepted."""
    slot = period.slot(Job.created_at)
    status = case((_WENT_ON, STEPS_FAILED), else_=Job.status)
    rows = session.execute(
        select(slot.label("slot"), Job.flow_id, status.label("status"), _KEY, func.count().label("jobs"))
        .where(*mine)
        .group_by(slot, Job.flow_id, status, _KEY)
    )
    return {(int(row.slot), row.flow_id, row.status, row.key_id): row.jobs for row in rows}


def add_costs(session: Session, mine: list[ColumnElement[bool]], period: Period) -> Costs:
    """Adds up the costs of all calls of the period's jobs, by the time of the call."""
    slot = period.slot(ModelCall.at)
    last = len(period.starts) - 1
    by = (slot, ModelCall.flow_id, ModelCall.connection, ModelCall.model)
    rows = session.execute(
        select(
            slot.label("slot"),
            *by[1:],
            func.sum(func.coalesce(ModelCall.cost_nanos, 0)).label("nanos"),
            func.count().label("calls"),
            func.sum(case((ModelCall.cost_nanos.is_(None), 1), else_=0)).label("unknown"),
        )
        .join(Job, Job.id == ModelCall.job_id)
        .where(*mine)
        .group_by(*by)
    )
    costs: Costs = {}
    for row in rows:
        at = (min(max(int(row.slot), 0), last), row.flow_id, row.connection, row.model)
        costs[at] = costs.get(at, Cost()) + Cost(int(row.nanos), row.calls, int(row.unknown))
    return costs


def count_failures(session: Session, mine: list[ColumnElement[bool]]) -> Failures:
    """Counts jobs that failed, and completed ones of which a step failed; the time of the last one is when it ended."""
    code = case((_WENT_ON, STEPS_FAILED), else_=func.coalesce(Job.error["code"].as_string(), "")).label("code")
    rows = session.execute(
        select(Job.flow_id, code, _KEY, func.count().label("jobs"), func.max(Job.completed_at).label("last_at"))
        .where(*mine, (Job.status == "failed") | _WENT_ON)
        .group_by(Job.flow_id, code, _KEY)
    )
    return {(row.flow_id, row.code, row.key_id): (row.jobs, Millis(row.last_at or 0)) for row in rows}


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
