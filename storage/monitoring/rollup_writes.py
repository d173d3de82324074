"""Adds up ended jobs per hour of acceptance, so that Monitoring need not read them again (tables `rollup_...`).

The roll-up of a workspace covers a span: the jobs accepted from its `since` to before its `until`. A step moves `until`
forward by an hour at most. What is not in the sums is read from the jobs themselves (`storage/monitoring/rollup_reads.py`): the
jobs accepted later, and those of the span that had not ended when it passed them (`rollup_carried`). So figures are exact
at every moment, whether the roll-up is far behind or not.

A step is read first and stored by a small write afterwards. Nobody else writes to these tables, except that `withdraw`
and `start_later` take jobs out of the span, and that a job which is accepted within the span, because the clock was set
back, ends it (`storage/span_guard.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from msgspec import Struct
from sqlalchemy import ColumnElement, Row, case, func, not_, select
from sqlalchemy.orm import Session

from engine.core.clock import DAY, HOUR, MINUTE
from storage.costs import MAX_NANOS, as_nanos, sum_nanos
from storage.database import now
from storage.error_codes import ERROR_CODE
from storage.jobs import PUBLIC
from storage.monitoring.durations import add_packed, packed, packed_as_shown
from storage.span_guard import MARGIN, SPAN_GUARD
from storage.statements import Statement, insert_into, to_json
from storage.tables import (
    Job,
    ModelCall,
    RollupBusy,
    RollupCarried,
    RollupDurations,
    RollupSpan,
    Workspace,
)

#: What completed jobs of which a step failed are counted as, in place of their status, and as an error.
STEPS_FAILED = "steps_failed"
#: How far back the roll-up reaches: the longest period and the one before it.
REACH = 61 * DAY
#: How long a job may run after its acceptance for how many jobs ran at once; see `storage/monitoring/curves.py`.
LONGEST = 3 * DAY
#: Jobs are added up this long after their acceptance, when most of them have ended.
LAG = 2 * MINUTE
#: The most jobs of a step; and how many make a step worth while before the hour has passed.
MAX_JOBS, WORTH_JOBS = 4_000, 2_000
#: The most jobs that a step adds after they have ended late.
MAX_LATE = 200
QUARTER = 15 * MINUTE


_Row = Row[*tuple[Any, ...]]


class Span(Struct, frozen=True):
    """The jobs that the roll-up covers: accepted from `since` to before `until`."""

    since: int
    until: int


class Scope(NamedTuple):
    """A filter for which durations and jobs at once are kept; empty: not limited by it, `environment` to public ones."""

    flow_id: str
    environment: str
    key_id: str


@dataclass
class Step:
    """What one step adds to the roll-up of a workspace. `until`: the end of the span after it."""

    workspace_id: str
    before: Span
    until: int
    #: (start, flow, environment, key, status, code) -> jobs, time of the last end
    jobs: dict[tuple[int, str, str, str, str, str], tuple[int, int]] = field(default_factory=dict)
    #: (start, at, flow, environment, key, connection, model) -> nanos, calls, unknown
    calls: dict[tuple[Any, ...], tuple[int, int, int]] = field(default_factory=dict)
    #: (start, width, kind, scope) -> the counts of durations after the step
    durations: dict[tuple[int, int, str, Scope], dict[int, int]] = field(default_factory=dict)
    #: (start, scope) -> the most jobs at once in each minute after the step
    busy: dict[tuple[int, Scope], list[int]] = field(default_factory=dict)
    carried: dict[str, bool] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    #: True when another step can follow at once.
    more: bool = False

    @property
    def changes(self) -> bool:
        """True when there is anything to store."""
        return self.until > self.before.until or bool(self.jobs or self.carried or self.gone)


def find_span(session: Session, workspace_id: str) -> Span | None:
    """Returns what the roll-up of a workspace covers; None before its first step."""
    row = session.execute(
        select(RollupSpan.since, RollupSpan.until).where(RollupSpan.workspace_id == workspace_id)
    ).one_or_none()
    return None if row is None else Span(row.since, row.until)


def list_workspaces(session: Session) -> Sequence[str]:
    """Returns the workspaces, each of which has a roll-up of its own."""
    return session.scalars(select(Workspace.id)).all()


# The start of a span.

_BEGIN = insert_into("rollup_spans", ("workspace_id", "since", "until"))
_CARRY = insert_into("rollup_carried", ("job_id", "workspace_id", "counted"), or_update=("job_id",))


def first_step(session: Session, workspace_id: str) -> Step:
    """Returns the step that begins the roll-up with an empty span: where the oldest period begins or the oldest job was
    accepted.
    """
    at = now(session)
    oldest = session.scalar(
        select(Job.created_at)
        .where(Job.workspace_id == workspace_id, Job.created_at >= at - REACH)
        .order_by(Job.created_at)
        .limit(1)
    )
    since = min(at if oldest is None else oldest, at - LAG) // HOUR * HOUR
    earlier = session.execute(
        select(Job.id, Job.completed_at).where(
            Job.workspace_id == workspace_id,
            Job.created_at >= since - LONGEST,
            Job.created_at < since,
            Job.completed_at.is_(None) | (Job.completed_at >= since),
        )
    )
    step = Step(workspace_id, Span(since, since), since)
    step.carried = {row.id: True for row in earlier}  # they are outside of the span, so no figure misses them
    return step


def begin(session: Session, step: Step) -> None:
    """Stores the start of a span."""
    _BEGIN.run(session, {"workspace_id": step.workspace_id, "since": step.before.since, "until": step.until})
    _store_carried(session, step)


# A step.

#: What jobs are counted by: the key or an empty text, the status or STEPS_FAILED, the code of the error.
KEY: ColumnElement[str] = func.coalesce(Job.key_id, "").label("key_id")
STATUS: ColumnElement[str] = case(
    ((Job.status == "completed") & (Job.steps_failed > 0), STEPS_FAILED), else_=Job.status
).label("status")
CODE: ColumnElement[str] = case((Job.status == "failed", func.coalesce(ERROR_CODE, "")), else_="").label("code")
#: It waits for a person, or goes on after an answer.
PAUSED: ColumnElement[bool] = Job.waiting_since.is_not(None).label("paused")
_COLUMNS = (
    Job.id,
    Job.flow_id,
    Job.environment,
    KEY,
    STATUS,
    CODE,
    Job.created_at,
    Job.started_at,
    Job.completed_at,
    Job.enqueued_at,
    Job.batch_id,
    Job.counted.label("holds"),
    Job.waited_ms,
    PAUSED,
)


def next_step(session: Session, workspace_id: str, span: Span) -> Step:
    """Reads what the roll-up does not have yet: jobs that ended late, and the next jobs after the span."""
    step = Step(workspace_id, span, _end_of_step(session, workspace_id, span))
    step.more = step.until > span.until and step.until // HOUR * HOUR + HOUR <= now(session) - LAG
    fresh: Sequence[_Row] = ()
    if step.until > span.until:
        fresh = session.execute(
            select(*_COLUMNS).where(
                Job.workspace_id == workspace_id, Job.created_at >= span.until, Job.created_at < step.until
            )
        ).all()
    carried, late = read_carried(session, workspace_id, only_late=step.until == span.until)
    step.more = step.more or len(late) == MAX_LATE or len(fresh) >= WORTH_JOBS
    _carry_on(step, fresh, carried, {row.id for row in late})
    ended = [row for row in [*fresh, *late] if row.completed_at is not None and row.created_at >= span.since]
    _add_jobs(step, ended)
    _add_calls(session, step, [row.id for row in late if row.created_at >= span.since])
    _add_durations(session, step, ended)
    if step.until > span.until:
        _add_busy(session, step, [*fresh, *(row for row in carried if row.id is not None)])
    return step


def read_carried(session: Session, workspace_id: str, *, only_late: bool) -> tuple[list[_Row], list[_Row]]:
    """Returns the carried jobs, and those of them that have ended and are not in the sums: MAX_LATE at most. `only_late`:
    the others are not read, because the span stays as it is.
    """
    statement = (
        select(*_COLUMNS, RollupCarried.counted, RollupCarried.job_id)
        .outerjoin_from(RollupCarried, Job, Job.id == RollupCarried.job_id)
        .where(RollupCarried.workspace_id == workspace_id)
    )
    if only_late:
        is_late = not_(RollupCarried.counted), Job.completed_at.is_not(None)
        statement = statement.where(*is_late).limit(MAX_LATE)
    carried = list(session.execute(statement).all())
    return carried, [row for row in carried if not row.counted and row.completed_at is not None][:MAX_LATE]


def _end_of_step(session: Session, workspace_id: str, span: Span) -> int:
    """Returns up to where the next step goes: the end of the hour, or earlier when that many jobs were accepted. It
    passes over hours without jobs at once.
    """
    last = (now(session) - LAG) // MINUTE * MINUTE
    end = (span.until // HOUR + 1) * HOUR
    mine = (Job.workspace_id == workspace_id, Job.created_at >= span.until)
    ordered = select(Job.created_at).where(*mine).order_by(Job.created_at)
    first = session.scalar(ordered.limit(1))
    if first is None or first >= end:
        idle = session.scalar(select(RollupCarried.job_id).where(RollupCarried.workspace_id == workspace_id).limit(1))
        end = end if idle is not None else max(end, min(last if first is None else first, last) // HOUR * HOUR)
        return end if end <= last else span.until
    most = session.scalar(ordered.offset(MAX_JOBS).limit(1))
    if most is not None and most < end:
        end = max(most // MINUTE * MINUTE, span.until + MINUTE)
    if end > last:
        worth = session.scalar(ordered.offset(WORTH_JOBS).limit(1))
        return last if worth is not None and span.until < worth < last else span.until
    return end


def _carry_on(step: Step, fresh: Iterable[_Row], carried: Iterable[_Row], late: AbstractSet[str]) -> None:
    """Decides which jobs are carried after the step. `late`: carried ones that the step adds to the sums."""
    for row in carried:
        counted = row.counted or row.id in late
        if row.id is None or (counted and row.completed_at is not None and row.completed_at < step.until):
            step.gone.append(row.job_id)  # it has ended before, or retention removed it
        elif counted != row.counted:
            step.carried[row.id] = counted
    for row in fresh:
        if row.completed_at is None or row.completed_at >= step.until:
            step.carried[row.id] = row.completed_at is not None


def _add_jobs(step: Step, ended: Iterable[_Row]) -> None:
    for row in ended:
        key = (row.created_at // HOUR * HOUR, row.flow_id, row.environment, row.key_id, row.status, row.code)
        count, last = step.jobs.get(key, (0, 0))
        step.jobs[key] = (count + 1, max(last, row.completed_at))


def _add_calls(session: Session, step: Step, late: Sequence[str]) -> None:
    """Adds the model calls of the jobs that the step adds."""
    accepted = (
        Job.workspace_id == step.workspace_id,
        Job.created_at >= step.before.until,
        Job.created_at < step.until,
        Job.completed_at.is_not(None),
    )
    for chosen in (accepted, (Job.id.in_(late),)):
        if (step.until == step.before.until) if chosen is accepted else not late:
            continue
        start = Job.created_at // HOUR * HOUR
        by = (
            start,
            ModelCall.at // QUARTER * QUARTER,
            ModelCall.flow_id,
            Job.environment,
            func.coalesce(Job.key_id, ""),
            ModelCall.connection,
            ModelCall.model,
        )
        rows = session.execute(
            select(
                *by,
                sum_nanos(ModelCall.cost_nanos),
                func.count(),
                func.sum(case((ModelCall.cost_nanos.is_(None), 1), else_=0)),
            )
            .join_from(Job, ModelCall, ModelCall.job_id == Job.id)
            .where(*chosen)
            .group_by(*by)
        )
        for *key, nanos, calls, unknown in rows:
            name = (int(key[0]), int(key[1]), *key[2:])
            before = step.calls.get(name, (0, 0, 0))
            step.calls[name] = (
                min(before[0] + as_nanos(nanos), MAX_NANOS),
                before[1] + calls,
                before[2] + int(unknown),
            )


def scopes_of(flow_id: str, environment: str, key_id: str) -> Iterator[Scope]:
    """Yields the filters that a job passes."""
    for flow in ("", flow_id):
        if environment in PUBLIC:
            yield Scope(flow, "", "")
        yield Scope(flow, environment, "")
        if key_id:
            yield Scope(flow, environment, key_id)


def _add_durations(session: Session, step: Step, ended: Iterable[_Row]) -> None:
    alike: dict[tuple[int, str, str, str, str], dict[int, int]] = {}
    for row in ended:
        if row.started_at is None:
            continue
        times = {"waited": row.started_at - row.created_at}
        if row.status in {"completed", STEPS_FAILED}:
            times["took"] = row.completed_at - row.started_at - row.waited_ms
        for kind, time in times.items():
            key = (row.created_at // HOUR * HOUR, kind, row.flow_id, row.environment, row.key_id)
            counts = alike.setdefault(key, {})
            counts[time] = counts.get(time, 0) + 1
    if not alike:
        return
    added: dict[tuple[int, int, str, Scope], dict[int, int]] = {}
    for (start, kind, *job), counts in alike.items():
        as_list = packed_as_shown(counts)
        for scope in scopes_of(*job):
            for width in (HOUR, DAY):
                add_packed(added.setdefault((start // width * width, width, kind, scope), {}), as_list)
    table = RollupDurations
    known = session.execute(
        select(
            table.start, table.width, table.kind, table.flow_id, table.environment, table.key_id, table.counts
        ).where(table.workspace_id == step.workspace_id, table.start.in_({key[0] for key in added}))
    )
    for start, width, kind, *scope, counts in known:
        if mine := added.get((start, width, kind, Scope(*scope))):
            add_packed(mine, counts)
    step.durations = added


# Jobs at once.


def begin_of(row: Any) -> int | None:
    """Returns since when a job counts as one that runs: a job of the API holds a slot from its acceptance (an item of a
    batch: from its admission), a Playground run counts from its start. One that waited for a person counts from when it
    went on. None: it holds none.
    """
    waited = row.paused or row.waited_ms > 0
    if row.environment not in PUBLIC:
        return (None if row.paused else row.enqueued_at) if waited else row.started_at
    if not row.holds:
        return None
    return row.created_at if row.batch_id is None and not waited else row.enqueued_at


def _add_busy(session: Session, step: Step, rows: Iterable[_Row]) -> None:
    """Stores for each minute of the step how many jobs ran at once at most."""
    since, until = step.before.until, step.until
    alike: dict[tuple[str, str, str], list[tuple[int, int]]] = {}
    for row in rows:
        begun, ended = begin_of(row), row.completed_at
        if begun is None or begun >= until or (ended is not None and ended < since):
            continue
        mine = alike.setdefault((row.flow_id, row.environment, row.key_id), [])
        mine.append((max(begun, since), 1))
        if ended is not None and ended < until:
            mine.append((ended, -1))
    if not alike:
        return
    changes: dict[Scope, list[tuple[int, int]]] = {}
    for job, mine in alike.items():
        for scope in scopes_of(*job):
            changes.setdefault(scope, []).extend(mine)
    start = since // HOUR * HOUR
    table = RollupBusy
    known = session.execute(
        select(table.flow_id, table.environment, table.key_id, table.most).where(
            table.workspace_id == step.workspace_id, table.start == start
        )
    )
    before = {Scope(*scope): list(most) for *scope, most in known}
    for scope, mine in changes.items():
        most = before.get(scope, [0] * (HOUR // MINUTE))
        _fill(most, sorted(mine), (since - start) // MINUTE, (until - start) // MINUTE, start)
        step.busy[start, scope] = most


def _fill(most: list[int], changes: Sequence[tuple[int, int]], first: int, end: int, start: int) -> None:
    """Sets the highest level in each minute from `first` to before `end`."""
    level = at = 0
    for minute in range(first, end):
        highest = level
        until = start + (minute + 1) * MINUTE
        while at < len(changes) and changes[at][0] < until:
            level += changes[at][1]
            highest = max(highest, level)
            at += 1
        most[minute] = highest


# Storing a step.

_MOVE = Statement(
    "update rollup_spans set until = :until where workspace_id = :workspace_id and since = :since and until = :before"
    " returning until"
)
_ADD_JOBS = Statement(
    """
    insert into rollup_jobs (workspace_id, start, flow_id, environment, key_id, status, code, jobs, last_ended_at)
    values (:workspace_id, :start, :flow_id, :environment, :key_id, :status, :code, :jobs, :last)
    on conflict (workspace_id, start, flow_id, environment, key_id, status, code) do update
       set jobs = rollup_jobs.jobs + excluded.jobs,
           last_ended_at = case when excluded.last_ended_at > rollup_jobs.last_ended_at then excluded.last_ended_at
                                else rollup_jobs.last_ended_at end
    """
)
_ADD_CALLS = Statement(
    f"""
    insert into rollup_calls (workspace_id, start, at, flow_id, environment, key_id, connection, model,
                              nanos, calls, unknown)
    values (:workspace_id, :start, :at, :flow_id, :environment, :key_id, :connection, :model, :nanos, :calls, :unknown)
    on conflict (workspace_id, start, at, flow_id, environment, key_id, connection, model) do update
       set nanos = case when rollup_calls.nanos > {MAX_NANOS} - excluded.nanos then {MAX_NANOS}
                        else rollup_calls.nanos + excluded.nanos end, calls = rollup_calls.calls + excluded.calls,
           unknown = rollup_calls.unknown + excluded.unknown
    """  # noqa: S608 - no outside text
)
_SCOPE = ("flow_id", "environment", "key_id")
_PUT_DURATIONS = insert_into(
    "rollup_durations",
    ("workspace_id", "start", "width", "kind", *_SCOPE, "counts"),
    or_update=("workspace_id", "start", "width", "kind", *_SCOPE),
)
_PUT_BUSY = insert_into(
    "rollup_busy", ("workspace_id", "start", *_SCOPE, "most"), or_update=("workspace_id", "start", *_SCOPE)
)
_DROP_CARRIED = Statement("delete from rollup_carried where job_id = :id")


class Rows(Struct, frozen=True):
    """The rows that a step writes, prepared before its transaction."""

    step: Step
    durations: tuple[Mapping[str, Any], ...]
    busy: tuple[Mapping[str, Any], ...]


def prepare(step: Step) -> Rows:
    """Writes the JSON of a step, so that its transaction is short."""
    mine = {"workspace_id": step.workspace_id}
    return Rows(
        step,
        tuple(
            {**mine, "start": start, "width": width, "kind": kind, **scope._asdict(), "counts": to_json(packed(counts))}
            for (start, width, kind, scope), counts in step.durations.items()
        ),
        tuple(
            {**mine, "start": start, **scope._asdict(), "most": to_json(most)}
            for (start, scope), most in step.busy.items()
        ),
    )


def store(session: Session, rows: Rows) -> bool:
    """Stores a step. False, and nothing is stored, when the span is not the one from which the step was read, or when the
    clock was set back since.
    """
    step, span = rows.step, rows.step.before
    at = now(session)
    if step.until > max(span.until, at - MARGIN):
        return False
    if (guard := session.info.get(SPAN_GUARD)) is not None:
        guard.note(at)
    mine = {"workspace_id": step.workspace_id}
    if _MOVE.row(session, {**mine, "since": span.since, "until": step.until, "before": span.until}) is None:
        return False
    names = ("start", *_SCOPE, "status", "code")
    jobs = [
        {**mine, **dict(zip(names, key, strict=True)), "jobs": count, "last": last}
        for key, (count, last) in step.jobs.items()
    ]
    of_call = ("start", "at", *_SCOPE, "connection", "model")
    calls = [
        {**mine, **dict(zip(of_call, key, strict=True)), "nanos": nanos, "calls": count, "unknown": unknown}
        for key, (nanos, count, unknown) in step.calls.items()
    ]
    for statement, written in (
        (_ADD_JOBS, jobs),
        (_ADD_CALLS, calls),
        (_PUT_DURATIONS, rows.durations),
        (_PUT_BUSY, rows.busy),
        (_DROP_CARRIED, [{"id": job_id} for job_id in step.gone]),
    ):
        if written:
            statement.run(session, *written)
    _store_carried(session, step)
    return True


def _store_carried(session: Session, step: Step) -> None:
    if step.carried:
        _CARRY.run(
            session,
            *(
                {"job_id": job_id, "workspace_id": step.workspace_id, "counted": counted}
                for job_id, counted in step.carried.items()
            ),
        )


# Taking jobs out of the span.

_WITHDRAW = Statement("delete from rollup_spans where workspace_id = :workspace_id")
_SINCE = Statement(
    "update rollup_spans set since = :since where workspace_id = :workspace_id and since < :since and until >= :since"
    " returning since"
)
_BEHIND = Statement("delete from rollup_spans where workspace_id = :workspace_id and until < :since")


def withdraw(session: Session, workspace_id: str) -> None:
    """Ends the roll-up of a workspace, so that everything is read from the jobs; it begins anew after `clear_some`."""
    _WITHDRAW.run(session, {"workspace_id": workspace_id})


def start_later(session: Session, workspace_id: str, since: int) -> None:
    """Takes the jobs accepted before `since` out of the span, because they are removed or no period reaches them."""
    wanted = {"workspace_id": workspace_id, "since": -(-since // HOUR) * HOUR}
    _SINCE.run(session, wanted)
    _BEHIND.run(session, wanted)


_TABLES = ("rollup_jobs", "rollup_calls", "rollup_durations", "rollup_busy")
_OLDEST = tuple(Statement(f"select min(start) from {table} where workspace_id = :workspace_id") for table in _TABLES)  # noqa: S608 - no outside text
_CLEAR = tuple(
    Statement(f"delete from {table} where workspace_id = :workspace_id and start = :start")  # noqa: S608 - no outside text
    for table in _TABLES
)
_CLEAR_CARRIED = Statement("delete from rollup_carried where workspace_id = :workspace_id")


def oldest_sums(session: Session, workspace_id: str) -> int | None:
    """Returns the hour of the oldest sums that are stored, or None."""
    found = [statement.row(session, {"workspace_id": workspace_id})[0] for statement in _OLDEST]
    return min((start for start in found if start is not None), default=None)


def clear_hour(session: Session, workspace_id: str, start: int) -> None:
    """Removes the sums of an hour that is in no span any more."""
    for statement in _CLEAR:
        statement.run(session, {"workspace_id": workspace_id, "start": start})


def clear_carried(session: Session, workspace_id: str) -> None:
    """Removes what a span that was withdrawn had carried."""
    _CLEAR_CARRIED.run(session, {"workspace_id": workspace_id})
