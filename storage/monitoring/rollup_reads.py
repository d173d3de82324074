"""Where the jobs of a period are counted: in the sums of the roll-up, or from the rows of the jobs themselves.

The sums of an hour are used when it lies within the period, within one slot of it, and within the roll-up's span
(`storage/monitoring/rollup_writes.py`). Everything else is read from rows, with those jobs of the span that are not in the sums
yet: so no job is left out and none is counted twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import ColumnElement, Subquery, and_, false, not_, or_, select, union_all
from sqlalchemy.orm import Session

from engine.core.clock import DAY, HOUR
from storage.database import now
from storage.monitoring.period import Filters, Period
from storage.monitoring.rollup_writes import Span, find_span
from storage.tables import Job, RollupBusy, RollupCalls, RollupCarried, RollupDurations, RollupJobs

#: Times from one millisecond to before another.
Range = tuple[int, int]


class Source(Struct, frozen=True):
    """Where the jobs of a period are counted: `summed` in the sums of the hours that begin in these ranges, `read` from
    the rows of jobs that were accepted in these ranges.
    """

    summed: tuple[Range, ...]
    read: tuple[Range, ...]

    @property
    def days_and_hours(self) -> tuple[tuple[Range, ...], tuple[Range, ...]]:
        """The ranges of `summed`, divided into whole UTC days and the hours before and after them."""
        days: list[Range] = []
        hours: list[Range] = []
        for since, until in self.summed:
            first, last = -(-since // DAY) * DAY, until // DAY * DAY
            if first >= last:
                hours.append((since, until))
                continue
            days.append((first, last))
            hours += [one for one in ((since, first), (last, until)) if one[0] < one[1]]
        return tuple(days), tuple(hours)


def usable_span(session: Session, workspace_id: str) -> Span | None:
    """Returns the span of the roll-up; None when there is none, or when the clock was set back into it: jobs accepted
    since then are not in the sums.
    """
    span = find_span(session, workspace_id)
    return None if span is None or span.until > now(session) or span.until <= span.since else span


def source_of(session: Session, workspace_id: str, period: Period) -> Source:
    """Returns where the jobs of a period are counted."""
    span = usable_span(session, workspace_id)
    end = period.until + 1
    summed: list[Range] = []
    if span is not None:
        until = min(span.until, end)
        start = -(-max(period.since, span.since) // HOUR) * HOUR
        while start < until:
            after = min(start + HOUR, span.until)
            if after <= end and period.slot(start) == period.slot(after - 1):
                _extend(summed, (start, after))
            start += HOUR
    read: list[Range] = []
    at = period.since
    for since, until in [*summed, (end, end)]:
        if at < since:
            read.append((at, since))
        at = until
    return Source(tuple(summed), tuple(read))


def _extend(ranges: list[Range], one: Range) -> None:
    """Adds a range after the others, joined with the last one when they touch."""
    if ranges and ranges[-1][1] == one[0]:
        one = (ranges.pop()[0], one[1])
    ranges.append(one)


def within(column: Any, ranges: Iterable[Range]) -> ColumnElement[bool]:
    """Returns the condition that a column of milliseconds lies in one of the ranges."""
    return or_(false(), *(and_(column >= since, column < until) for since, until in ranges))


def job_rows(
    workspace_id: str,
    filters: Filters,
    source: Source,
    columns: Sequence[Any],
    where: Sequence[ColumnElement[bool]] = (),
) -> Subquery:
    """Returns the rows of the jobs that are not in the sums, for a SELECT from it. `columns`: of `Job`."""
    mine = filters.jobs_at_any_time(workspace_id)
    parts = [
        select(*columns).where(*mine, *where, Job.created_at >= since, Job.created_at < until)
        for since, until in source.read
    ]
    if source.summed:
        parts.append(
            select(*columns)
            .join_from(RollupCarried, Job, Job.id == RollupCarried.job_id)
            .where(
                RollupCarried.workspace_id == workspace_id,
                not_(RollupCarried.counted),
                *filters.jobs_at_any_time(workspace_id, by_id=True),
                *where,
                within(Job.created_at, source.summed),
            )
        )
    return union_all(*parts).subquery() if len(parts) > 1 else parts[0].subquery()


def of_sums(
    sums: type[RollupJobs | RollupCalls], workspace_id: str, filters: Filters, source: Source
) -> list[ColumnElement[bool]]:
    """Returns the conditions on a table of sums."""
    found = [sums.workspace_id == workspace_id, within(sums.start, source.summed)]
    environments = filters.environments
    found.append(sums.environment.in_(environments))
    if filters.flow_id is not None:
        found.append(sums.flow_id == filters.flow_id)
    if filters.key_id is not None:
        found.append(sums.key_id == filters.key_id)
    return found


def of_scope(table: type[RollupDurations | RollupBusy], filters: Filters) -> list[ColumnElement[bool]]:
    """Returns the conditions for the rows that are kept for these filters, apart from the flow."""
    if filters.key_id is None:
        return [table.key_id == "", table.environment == (filters.environment or "")]
    found = [table.key_id == filters.key_id]
    return [*found, table.environment == filters.environment] if filters.environment else found
