"""The figures of Monitoring for a period: counts, percentiles, costs, errors and refusals, computed by the database.

A job belongs to the period in which it was accepted, with its whole cost. Percentiles (nearest rank) cover completed
jobs; over long periods they are as exact as the pages show them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from msgspec import Struct, field
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from engine.core.clock import Millis
from storage.environments import read_environments
from storage.monitoring.counts import (
    Cost,
    Costs,
    Counts,
    Failures,
    Refusals,
    count_all,
    count_failures,
    count_jobs,
    count_refusals,
    percentiles_by,
    read_costs,
    sum_jobs,
)
from storage.monitoring.durations import Took
from storage.monitoring.period import Filters, Period, open_jobs
from storage.monitoring.rollup_reads import source_of
from storage.monitoring.rollup_writes import STEPS_FAILED
from storage.playground_batches import count_refused_rows
from storage.tables import ApiKey, Flow, Job
from storage.usage import read_usage
from storage.workspaces import get_limits

Group = TypeVar("Group")


class Kind(Struct, frozen=True):
    """One kind of failure of a flow: its code, how often it occurred, and when last.

    `refused`: the call created no job. The code STEPS_FAILED: jobs that were completed although a step failed.
    """

    code: str
    refused: bool
    count: int
    last_at: Millis


class _Calls(Struct, frozen=True, kw_only=True):
    """Calls in the period: accepted jobs by status, and the kinds of failures and refusals."""

    by_status: Mapping[str, int]
    kinds: tuple[Kind, ...] = field(default=())

    @property
    def requests(self) -> int:
        """The number of accepted jobs."""
        return sum(self.by_status.values())

    @property
    def success(self) -> float | None:
        """Completed jobs divided by completed and failed ones, 0 to 1; None without any."""
        return success_of(self.by_status)

    @property
    def refused(self) -> int:
        """The number of calls that created no job."""
        return sum(kind.count for kind in self.kinds if kind.refused)

    @property
    def last_error(self) -> Kind | None:
        """The failure or refusal that occurred last, or None."""
        return max(self.kinds, key=lambda kind: kind.last_at, default=None)


class Endpoint(_Calls, frozen=True, kw_only=True):
    """A flow in the period. `title` None: calls whose flow id is unknown. `by_slot` counts requests."""

    flow_id: str
    title: str | None
    live_version: int | None
    deleted: bool
    by_slot: tuple[int, ...]
    took: Took | None
    cost: Cost


class CallerFigures(_Calls, frozen=True, kw_only=True):
    """The calls with one key in the period; `key_id` is empty for calls with no known key."""

    key_id: str


class Now(Struct, frozen=True):
    """The present load and the limits; None: no limit. `waiting` jobs have a slot and wait for a worker; `outside` are
    items of batches that wait for a slot.

    `concurrency` is the sum over all environments in view. `quota_of`: the environment of the monthly figures, when
    several are in view.
    """

    running: int
    waiting: int
    outside: int
    concurrency: int | None
    month_count: int
    monthly: int | None
    quota_of: str | None = None


class Figures(_Calls, frozen=True, kw_only=True):
    """All figures except the curves. `costs`: (slot, flow id, connection, model) -> cost, by the time of the call."""

    period: Period
    endpoints: tuple[Endpoint, ...]
    statuses: tuple[Mapping[str, int], ...]
    took: Took | None
    took_before: Took | None
    requests_before: int
    costs: Costs
    now: Now
    #: The most calling keys first.
    callers: tuple[CallerFigures, ...] = field(default=())

    @property
    def cost(self) -> Cost:
        """The sum of all costs."""
        return sum(self.costs.values(), Cost())


class Tried(Struct, frozen=True):
    """Runs in the Playground in the period. `refused`: rows of its batches that were refused before they ran."""

    runs: int
    failed: int
    refused: int
    cost: Cost


def read_tried(session: Session, workspace_id: str, flow_id: str | None, period: Period) -> Tried:
    """Returns the figures of the Playground that stand beside those of calls."""
    filters, source = Filters(flow_id, environment="playground"), source_of(session, workspace_id, period)
    counts = count_jobs(sum_jobs(session, workspace_id, filters, period, source))
    return Tried(
        sum(counts.values()),
        sum(count for (_slot, _flow, status, _key), count in counts.items() if status == "failed"),
        count_refused_rows(session, workspace_id, flow_id, period.since, period.until),
        sum(read_costs(session, workspace_id, filters, period, source).values(), Cost()),
    )


def success_of(by_status: Mapping[str, int]) -> float | None:
    """Returns completed jobs divided by completed and failed ones, 0 to 1; None without any."""
    completed = by_status.get("completed", 0) + by_status.get(STEPS_FAILED, 0)
    failed = by_status.get("failed", 0)
    return completed / (completed + failed) if completed + failed else None


def read_figures(session: Session, workspace_id: str, filters: Filters, period: Period) -> Figures:
    """Returns the figures of one workspace for a period."""
    source = source_of(session, workspace_id, period)
    sums = sum_jobs(session, workspace_id, filters, period, source)
    counts = count_jobs(sums)
    costs = read_costs(session, workspace_id, filters, period, source)
    refusals = count_refusals(session, filters, workspace_id, period)
    failures = count_failures(sums)
    kinds = _kinds(failures, refusals, lambda flow_id, _key_id: flow_id)
    by_slot = _by_status(counts, lambda slot, _flow_id, _key_id: slot)
    by_status = sum(by_slot.values(), Counter[str]())
    for (slot, _flow, _code, _key), (refused, _last) in refusals.items():
        by_slot[slot]["refused"] += refused
    took = percentiles_by(session, workspace_id, filters, source, "took")
    flows = _list_flows(session, workspace_id, filters, {*kinds, *(flow for _slot, flow, _status, _key in counts)})
    endpoints = _endpoints(flows, period, counts, costs, took, kinds)
    earlier = source_of(session, workspace_id, period.before)
    return Figures(
        period=period,
        endpoints=tuple(endpoints),
        by_status=by_status,
        statuses=tuple(by_slot[slot] for slot in range(len(period.starts))),
        took=took.get(None),
        took_before=percentiles_by(session, workspace_id, filters, earlier, "took").get(None),
        requests_before=count_all(session, workspace_id, filters, earlier),
        costs=costs,
        now=_load_limits(session, workspace_id, filters),
        kinds=_together(kinds),
        callers=_callers(counts, failures, refusals),
    )


def _by_status(counts: Counts, group: Callable[[int, str, str], Group]) -> defaultdict[Group, Counter[str]]:
    """Adds up the jobs of each group by status. `group(slot, flow id, key id)` names the group of a job."""
    found: defaultdict[Group, Counter[str]] = defaultdict(Counter)
    for (slot, flow_id, status, key_id), jobs in counts.items():
        found[group(slot, flow_id, key_id)][status] += jobs
    return found


def _kinds(failures: Failures, refusals: Refusals, group: Callable[[str, str], str]) -> dict[str, list[Kind]]:
    """Returns the kinds of failures and refusals of each group. `group(flow id, key id)` names the group of a call."""
    summed: dict[tuple[str, str, bool], tuple[int, Millis]] = {}
    every = (
        *((flow_id, key_id, code, False, one) for (flow_id, code, key_id), one in failures.items()),
        *((flow_id, key_id, code, True, one) for (_slot, flow_id, code, key_id), one in refusals.items()),
    )
    for flow_id, key_id, code, refused, (count, last_at) in every:
        name = group(flow_id, key_id), code, refused
        before = summed.get(name, (0, Millis(0)))
        summed[name] = (before[0] + count, max(before[1], last_at))
    found: dict[str, list[Kind]] = {}
    for (name, code, refused), (count, last_at) in summed.items():
        found.setdefault(name, []).append(Kind(code, refused, count, last_at))
    return found


def _callers(counts: Counts, failures: Failures, refusals: Refusals) -> tuple[CallerFigures, ...]:
    """Returns one entry for each key, the most calling first."""
    by_status = _by_status(counts, lambda _slot, _flow_id, key_id: key_id)
    kinds = _kinds(failures, refusals, lambda _flow_id, key_id: key_id)
    found = [
        CallerFigures(key_id=key_id, by_status=by_status[key_id], kinds=tuple(kinds.get(key_id, ())))
        for key_id in {*by_status, *kinds}
    ]
    return tuple(sorted(found, key=lambda one: (-one.requests, -one.refused, one.key_id)))


def _together(kinds: Mapping[str, list[Kind]]) -> tuple[Kind, ...]:
    """Adds up the kinds of all flows; the most frequent come first."""
    summed: dict[tuple[str, bool], Kind] = {}
    for one in (kind for flow in kinds.values() for kind in flow):
        other = summed.get((one.code, one.refused), Kind(one.code, one.refused, 0, Millis(0)))
        summed[one.code, one.refused] = Kind(
            one.code, one.refused, one.count + other.count, max(one.last_at, other.last_at)
        )
    return tuple(sorted(summed.values(), key=lambda kind: (-kind.count, kind.code)))


class _Flow(Struct, frozen=True):
    title: str
    live_version: int | None
    deleted: bool


def _list_flows(session: Session, workspace_id: str, filters: Filters, called: set[str]) -> dict[str, _Flow | None]:
    """Returns flows that were called, deleted ones too, and flows that are live.

    None: no flow has the id of the call.
    """
    statement = select(Flow.id, Flow.title, Flow.live_version, Flow.deleted_at).where(Flow.workspace_id == workspace_id)
    if filters.flow_id is not None:
        statement = statement.where(Flow.id == filters.flow_id)
    found = {
        row.id: _Flow(row.title, row.live_version, row.deleted_at is not None) for row in session.execute(statement)
    }
    live = {
        flow_id
        for flow_id, flow in found.items()
        if flow.live_version is not None and not flow.deleted and filters.of_api
    }
    return {flow_id: found.get(flow_id) for flow_id in called | live}


def _endpoints(
    flows: Mapping[str, _Flow | None],
    period: Period,
    counts: Counts,
    costs: Costs,
    took: Mapping[str, Took],
    kinds: Mapping[str, list[Kind]],
) -> list[Endpoint]:
    """Returns one entry for each flow, the most called first."""
    by_slot = {flow_id: [0] * len(period.starts) for flow_id in flows}
    by_status = _by_status(counts, lambda _slot, flow_id, _key_id: flow_id)
    spent = dict.fromkeys(flows, Cost())
    for (slot, flow_id, _status, _key), jobs in counts.items():
        by_slot[flow_id][slot] += jobs
    for (_slot, flow_id, *_model), cost in costs.items():
        spent[flow_id] = spent.get(flow_id, Cost()) + cost
    found = [
        Endpoint(
            flow_id=flow_id,
            title=flow.title if flow else None,
            live_version=flow.live_version if flow else None,
            deleted=flow.deleted if flow else False,
            by_status=by_status[flow_id],
            by_slot=tuple(by_slot[flow_id]),
            took=took.get(flow_id),
            cost=spent[flow_id],
            kinds=tuple(kinds.get(flow_id, ())),
        )
        for flow_id, flow in flows.items()
    ]
    return sorted(found, key=lambda one: (-one.requests, -one.refused, (one.title or "").casefold(), one.flow_id))


def _load_limits(session: Session, workspace_id: str, filters: Filters) -> Now:
    """Returns the open jobs that match the filters, and limits and monthly count of the key or else of its environment.

    Without a key or an environment, the monthly figures are Production's, unless another environment is nearly used up
    and has less left.
    """
    columns = (Job.status, Job.counted, Job.flow_id, Job.key_id, Job.environment)
    found = session.execute(
        select(*columns, func.count().label("jobs")).where(*open_jobs(workspace_id)).group_by(*columns)
    ).all()
    rows = [row for row in found if filters.fits(row.flow_id, row.key_id, row.environment)]
    holds = [row for row in rows if row.counted or not filters.of_api]
    environments = read_environments(session, workspace_id, get_limits(session, workspace_id))
    key = None
    if filters.key_id is not None:
        key = session.execute(
            select(ApiKey.environment, ApiKey.concurrency, ApiKey.monthly).where(
                ApiKey.id == filters.key_id, ApiKey.workspace_id == workspace_id
            )
        ).one_or_none()
    one = key.environment if key else filters.environment
    looked_at = [use for use in environments if use.environment == one] or environments
    quota = max(looked_at, key=lambda use: (use.share if use.nearly else 0, use.environment == "live"))
    concurrency, monthly, used = _sum(use.caps.concurrency for use in looked_at), quota.caps.monthly, quota.used
    if key is not None:
        concurrency = concurrency if key.concurrency is None else key.concurrency
        if key.monthly is not None:
            monthly, used = key.monthly, read_usage(session, filters.key_id or "")
    return Now(
        running=sum(row.jobs for row in holds if row.status == "processing"),
        waiting=sum(row.jobs for row in holds if row.status == "queued"),
        outside=sum(row.jobs for row in rows if row not in holds),
        concurrency=concurrency,
        month_count=used.month_count,
        monthly=monthly,
        quota_of=quota.environment if len(looked_at) > 1 else None,
    )


def _sum(limits: Iterable[int | None]) -> int | None:
    """Returns the sum of the limits; None when one of them is no limit."""
    known = list(limits)
    return None if None in known else sum(limit for limit in known if limit is not None)
