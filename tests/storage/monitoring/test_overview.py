"""The figures of Monitoring, compared with rows counted by hand and with plain SQL over the same period."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import insert, text
from sqlalchemy.orm import Session

from engine.actions.workspaces import ensure_workspace
from engine.core.clock import DAY, HOUR, MINUTE, SECOND
from engine.core.ids import new_id
from storage.database import Database
from storage.monitoring.counts import STEPS_FAILED, Cost, Took
from storage.monitoring.curves import Curves, read_curves, read_mark
from storage.monitoring.figures import Figures, read_figures
from storage.monitoring.period import RANGES, Filters, Period
from storage.tables import ApiKey, Flow, Job, ModelCall, RefusalCount, Workspace
from tests.databases import open_database
from tests.logical_time import STILL_AT, StillClock

NOW = STILL_AT


@dataclass
class World:
    """A database with one workspace to which tests add jobs."""

    database: Database
    clock: StillClock
    workspace_id: str
    made: int = field(default=0)

    def flow(self, title: str = "Greeting", **more: Any) -> str:
        flow_id = new_id("flow")
        row = {
            "id": flow_id,
            "workspace_id": self.workspace_id,
            "title": title,
            "description": "",
            "draft": "{}",
            "draft_revision": 1,
            "draft_saved_at": NOW,
            "draft_differs": False,
            "newest_version": 1,
            "live_version": 1,
            "deployed_at": NOW,
            "ever_deployed": True,
            "settings": {},
            "created_at": NOW - 40 * DAY,
            "updated_at": NOW,
            "deleted_at": None,
        }
        self._add(Flow, {**row, **more})
        return flow_id

    def key(self, environment: str = "live", **more: Any) -> str:
        key_id = new_id("key")
        row = {"label": "Shop", "flow_ids": None, "concurrency": None, "monthly": None, "expires_at": None}
        row |= {"revoked_at": None, "created_at": NOW, "created_by": "Ada", "last_used_at": None}
        mine = {"id": key_id, "workspace_id": self.workspace_id, "environment": environment}
        self._add(ApiKey, {**row, **mine, **more})
        return key_id

    def job(
        self, flow_id: str, at: int, took: int | None = 1_000, *, wait: int = 0, status: str = "", **more: Any
    ) -> str:
        """Adds a job accepted at `at`; `took` None: it has not ended."""
        job_id = new_id("job")
        ended = took is not None
        status = status or ("completed" if ended else "processing")
        row: dict[str, Any] = dict.fromkeys(column.name for column in Job.__table__.columns)
        row |= {
            "id": job_id,
            "workspace_id": self.workspace_id,
            "flow_id": flow_id,
            "environment": "live",
            "counted": True,
            "status": status,
            "attempts": 1,
            "created_at": at,
            "enqueued_at": at,
            "started_at": None if status == "queued" else at + wait,
            "completed_at": at + wait + took if took is not None else None,
            "limit_ms": 300_000,
            "steps_total": 1,
            "steps_done": 1,
            "items_failed": 0,
            "steps_failed": 0,
            "questions": 0,
            "waited_ms": 0,
            "cost_nanos": 0,
            "input_tokens": 0,
            "output_tokens": 0,
            "model_calls": 0,
            "simulated": False,
            "last_seq": 1,
            "value_bytes": 0,
            "request_id": "req",
            "webhook_by_caller": False,
        }
        if code := more.pop("code", None):
            row |= {"status": "failed", "error": {"code": code, "message": "It failed."}}
        self._add(Job, {**row, **more})
        return job_id

    def call(self, job_id: str, flow_id: str, at: int, nanos: int | None, model: str = "small-model") -> None:
        row = {"workspace_id": self.workspace_id, "job_id": job_id, "flow_id": flow_id, "node_id": "prompt"}
        row |= {"index_path": "", "connection": "openai", "model": model, "input_tokens": 1, "output_tokens": 1}
        row |= {"price": None, "duration_ms": 10, "simulated": False, "error": None}
        self._add(ModelCall, {**row, "at": at, "cost_nanos": nanos})

    def refused(
        self, at: int, count: int, *, flow_id: str = "", key_id: str = "", code: str = "validation_failed"
    ) -> None:
        row = {"minute": at // MINUTE, "workspace_id": self.workspace_id, "flow_id": flow_id}
        self._add(RefusalCount, {**row, "key_id": key_id, "code": code, "count": count})

    def figures(self, name: str = "24h", filters: Filters = Filters(), offset: int = 0) -> Figures:
        period = Period.ending(self.clock.at, name, offset)
        return self.database.read_now(read_figures, self.workspace_id, filters, period)

    def curves(self, name: str = "24h", filters: Filters = Filters()) -> Curves:
        return self.database.read_now(read_curves, self.workspace_id, filters, Period.ending(self.clock.at, name))

    def mark(self) -> tuple[Any, ...]:
        return self.database.read_now(read_mark, self.workspace_id)

    def number(self, sql: str, **values: Any) -> Any:
        return self.database.read_now(lambda session: session.execute(text(sql), values).scalar())

    def _add(self, table: Any, row: dict[str, Any]) -> None:
        def work(session: Session) -> None:
            session.execute(insert(table.__table__), row)

        self.database.write_now(work)


@pytest.fixture
def world(new_data: Path) -> Iterator[World]:
    clock = StillClock()
    database = open_database(new_data, clock=clock)
    yield World(database, clock, database.write_now(ensure_workspace, "free"))
    database.close()


def test_a_period_is_as_long_as_its_name_and_begins_at_a_full_minute() -> None:
    for name, (length, _step) in RANGES.items():
        period = Period.ending(NOW + 12_345, name)

        assert period.since % MINUTE == 0
        assert length <= period.until - period.since < length + MINUTE


def test_slots_lie_on_the_readers_clock() -> None:
    india = 5 * HOUR + 30 * MINUTE

    period = Period.ending(NOW, "30d", india)

    assert {(start + india) % DAY for start in period.starts} == {0}
    assert period.starts[0] <= period.since < period.starts[1]
    assert period.starts[-1] <= period.until < period.starts[-1] + DAY


@pytest.mark.parametrize(
    ("zone", "changed", "name", "lengths"),
    [
        ("Europe/Berlin", (2026, 10, 25), "30d", {24, 25}),
        ("Europe/Berlin", (2026, 10, 25), "7d", {6, 7}),
        ("Europe/Berlin", (2026, 10, 25), "24h", {1}),
        ("Europe/Berlin", (2026, 3, 29), "30d", {24, 23}),
        ("Europe/Berlin", (2026, 3, 29), "7d", {6, 5}),
        ("Europe/Berlin", (2026, 3, 29), "24h", {1}),
        ("Asia/Beirut", (2026, 3, 29), "30d", {24, 23}),  # at midnight, which the clocks pass over
        ("Asia/Beirut", (2026, 3, 29), "7d", {6, 5}),
        ("America/Nuuk", (2026, 10, 24), "30d", {24, 25}),  # at midnight, back to the day before
        ("America/Havana", (2026, 11, 1), "30d", {24, 25}),
        ("Australia/Lord_Howe", (2026, 10, 4), "7d", {6, 5.5}),
    ],
)
@pytest.mark.parametrize("days", [-20, 0, 1, 5])
def test_slots_lie_on_the_readers_clock_when_the_clocks_change(
    zone: str, changed: tuple[int, int, int], name: str, lengths: set[float], days: int
) -> None:
    clock = ZoneInfo(zone)
    until = round(datetime(*changed, 23, 10, tzinfo=clock).timestamp()) * SECOND + days * DAY
    period = Period.in_zone(until, name, clock)
    local = [datetime.fromtimestamp(start / SECOND, clock) for start in period.starts]
    hours = [(period.end(start) - start) / HOUR for start in period.starts]

    assert set(hours) <= lengths
    if days >= 0 and name != "24h" and days < RANGES[name][0] // DAY - 1:
        assert set(hours) == lengths
    step = RANGES[name][1] // HOUR
    passed_over = [at for at in local if at.hour % step and (at.hour, zone) != (1, "Asia/Beirut")]
    assert [at.minute for at in local] == [0] * len(local)
    assert passed_over == []
    assert period.starts[0] <= period.since < period.starts[1]
    assert period.starts[-1] <= period.until < period.end(period.starts[-1])
    for at in range(period.since, until, 20 * MINUTE):
        start = period.starts[period.slot(at)]
        assert start <= at < period.end(start)


@pytest.mark.parametrize("name", list(RANGES))
def test_no_range_has_more_points_than_a_chart_may_have(name: str) -> None:
    assert len(Period.ending(NOW, name).starts) <= 300


def test_jobs_are_counted_by_what_became_of_them(world: World) -> None:
    flow = world.flow()
    world.job(flow, NOW - HOUR)
    world.job(flow, NOW - HOUR)
    world.job(flow, NOW - HOUR, code="timeout")
    world.job(flow, NOW - HOUR, status="cancelled")
    world.job(flow, NOW - MINUTE, None)
    world.job(flow, NOW - 25 * HOUR)

    figures = world.figures()

    assert figures.requests == 5
    assert figures.by_status == {"completed": 2, "failed": 1, "cancelled": 1, "processing": 1}
    assert figures.success == pytest.approx(2 / 3)
    assert figures.requests_before == 1


def test_completed_jobs_with_failed_steps_are_counted_apart_and_by_key(world: World) -> None:
    flow = world.flow()
    world.job(flow, NOW - HOUR, key_id="key_a")
    world.job(flow, NOW - HOUR, key_id="key_a", steps_failed=2)
    world.job(flow, NOW - HOUR, key_id="key_b", code="timeout")
    world.refused(NOW - HOUR, 4, flow_id=flow, key_id="key_b")
    world.refused(NOW - HOUR, 1, flow_id=flow)

    figures = world.figures()

    assert figures.by_status == {"completed": 1, STEPS_FAILED: 1, "failed": 1}
    assert figures.success == pytest.approx(2 / 3), "its status is completed"
    assert {(kind.code, kind.refused): kind.count for kind in figures.kinds} == {
        (STEPS_FAILED, False): 1,
        ("timeout", False): 1,
        ("validation_failed", True): 5,
    }
    assert [(one.key_id, one.requests, one.refused, len(one.kinds)) for one in figures.callers] == [
        ("key_a", 2, 0, 1),
        ("key_b", 1, 4, 2),
        ("", 0, 1, 1),
    ]
    assert [one.key_id for one in world.figures(filters=Filters(key_id="key_b")).callers] == ["key_b"]


def test_playground_runs_count_only_when_they_are_asked_for(world: World) -> None:
    flow = world.flow()
    world.job(flow, NOW - HOUR)
    world.job(flow, NOW - HOUR, environment="playground", counted=False)

    assert world.figures().requests == 1
    assert world.figures(filters=Filters(environment="playground")).requests == 1


def test_percentiles_are_exact(world: World) -> None:
    flow = world.flow()
    took = [random.Random(seed).randrange(1, 90_000) for seed in range(101)]
    for one in took:
        world.job(flow, NOW - HOUR, one)
    world.job(flow, NOW - HOUR, 10**7, code="timeout")
    ordered = sorted(took)

    figures = world.figures()

    assert figures.took == Took(ordered[50], ordered[95])
    assert figures.endpoints[0].took == figures.took


@pytest.mark.parametrize(
    ("times", "expected"), [([], None), ([7], Took(7, 7)), ([1, 2], Took(1, 2)), ([3, 1, 2], Took(2, 3))]
)
def test_percentiles_of_few_jobs_are_times_that_were_measured(
    world: World, times: list[int], expected: Took | None
) -> None:
    flow = world.flow()
    for took in times:
        world.job(flow, NOW - HOUR, took)

    assert world.figures().took == expected


def test_costs_add_up_and_what_is_unknown_is_counted_apart(world: World) -> None:
    one, two = world.flow("One"), world.flow("Two")
    known = world.job(one, NOW - HOUR)
    world.call(known, one, NOW - HOUR, 1_500)
    partly = world.job(two, NOW - HOUR, cost_nanos=None)
    world.call(partly, two, NOW - HOUR, 500)
    world.call(partly, two, NOW - HOUR, None, "own-model")

    figures = world.figures()

    assert figures.cost == Cost(2_000, 3, 1)
    assert {endpoint.title: endpoint.cost for endpoint in figures.endpoints} == {
        "One": Cost(1_500, 1, 0),
        "Two": Cost(500, 2, 1),
    }


def test_the_cost_of_running_failed_and_cancelled_jobs_is_in_it(world: World) -> None:
    flow = world.flow()
    for job in (
        world.job(flow, NOW - MINUTE, None),
        world.job(flow, NOW - HOUR, code="node_failed"),
        world.job(flow, NOW - HOUR, status="cancelled"),
    ):
        world.call(job, flow, NOW - 30_000, 100)

    assert world.figures().cost == Cost(300, 3, 0)


def test_refused_calls_come_from_their_counts(world: World) -> None:
    flow, key = world.flow(), world.key("test")
    world.refused(NOW - HOUR, 3, flow_id=flow, key_id=key)
    world.refused(NOW - HOUR, 2, code="not_found")
    world.refused(NOW - 26 * HOUR, 9, flow_id=flow, key_id=key)

    figures = world.figures()

    assert figures.refused == 5
    assert {endpoint.title: endpoint.refused for endpoint in figures.endpoints} == {"Greeting": 3, None: 2}
    assert world.figures(filters=Filters(environment="test")).refused == 3
    assert world.figures(filters=Filters(environment="live")).refused == 0
    assert world.figures(filters=Filters(key_id=key)).refused == 3
    assert world.figures(filters=Filters(environment="playground")).refused == 0


def test_the_last_error_is_the_newest_of_failures_and_refusals(world: World) -> None:
    flow = world.flow()
    world.job(flow, NOW - 3 * HOUR, code="timeout")
    world.job(flow, NOW - 2 * HOUR, code="page_not_found")
    world.refused(NOW - HOUR, 1, flow_id=flow)

    last = world.figures().endpoints[0].last_error

    assert last is not None
    assert (last.code, last.refused, last.count) == ("validation_failed", True, 1)
    assert [kind.code for kind in world.figures().kinds] == ["page_not_found", "timeout", "validation_failed"]


def test_a_live_flow_stands_in_the_table_before_its_first_call_and_a_deleted_one_while_it_has_any(world: World) -> None:
    world.flow("Quiet")
    gone = world.flow("Gone", deleted_at=NOW, live_version=None)
    world.flow("Never called", live_version=None)
    world.job(gone, NOW - HOUR)

    assert [(one.title, one.requests, one.deleted) for one in world.figures().endpoints] == [
        ("Gone", 1, True),
        ("Quiet", 0, False),
    ]


def test_figures_are_narrowed_by_flow_key_and_environment(world: World) -> None:
    one, two, key = world.flow("One"), world.flow("Two"), world.key("test")
    world.job(one, NOW - HOUR, key_id=key, environment="test")
    world.job(one, NOW - HOUR)
    world.job(two, NOW - HOUR)

    assert world.figures(filters=Filters(flow_id=one)).requests == 2
    assert world.figures(filters=Filters(key_id=key)).requests == 1
    assert world.figures(filters=Filters(flow_id=two, key_id=key)).requests == 0
    assert world.figures(filters=Filters(environment="live")).requests == 2


def test_another_workspace_is_never_in_it(world: World) -> None:
    row = {"id": "ws_other", "name": "Other", "plan": "free", "concurrency": None, "monthly": None, "created_at": NOW}
    world._add(Workspace, row)
    flow = world.flow(workspace_id="ws_other")
    job = world.job(flow, NOW - HOUR, None, workspace_id="ws_other")
    world.call(job, flow, NOW - HOUR, 7)
    before = world.mark()

    figures = world.figures()

    assert (figures.requests, figures.cost, figures.endpoints, figures.now.running) == (0, Cost(), (), 0)
    assert max(world.curves().at_once) == 0
    world.job(flow, NOW, None, workspace_id="ws_other")
    assert world.mark() == before


def test_slots_of_the_curves_hold_their_own_jobs(world: World) -> None:
    flow = world.flow()
    world.job(flow, NOW - 3 * HOUR, 5_000, wait=200)
    world.job(flow, NOW - 10, 9_000, wait=0)
    period = Period.ending(NOW, "24h")
    slot = (NOW - 3 * HOUR) // HOUR - period.first

    curves = world.curves()

    assert curves.took[slot] == Took(5_000, 5_000)
    assert curves.waited[slot] == Took(200, 200)
    assert [at for at, took in enumerate(curves.took) if took] == [slot, len(period.starts) - 1]


def test_jobs_at_once_are_the_most_that_held_a_slot_in_each_part_of_the_period(world: World) -> None:
    flow = world.flow()
    hour = NOW // HOUR * HOUR
    world.job(flow, hour - 5 * HOUR, 2 * HOUR + 1_000)  # spans three slots
    world.job(flow, hour - 4 * HOUR, 1_000)
    world.job(flow, hour - 4 * HOUR + 1_000, 1_000)  # uses the slot that was released in the same moment
    world.job(flow, hour - 4 * HOUR, 1_000, counted=False, batch_id="batch_1")
    world.job(flow, hour - 30 * HOUR, 7 * HOUR)  # began before the period
    world.job(flow, NOW - 1_000, None)

    at_once = world.curves().at_once

    first = Period.ending(NOW, "24h").first
    place = {back: hour // HOUR - back - first for back in (5, 4, 3, 2)}
    assert [at_once[place[back]] for back in (5, 4, 3, 2)] == [1, 2, 1, 0]
    assert at_once[0] == 1
    assert at_once[-1] == 1


def test_what_runs_now_stands_beside_the_limits(world: World) -> None:
    flow, key = world.flow(), world.key(concurrency=2, monthly=50)
    world.job(flow, NOW - 1_000, None)
    world.job(flow, NOW - 1_000, None, key_id=key)
    world.job(flow, NOW - 1_000, None, status="queued")
    world.job(flow, NOW - 1_000, None, status="queued", counted=False, batch_id="batch_1")
    world.job(flow, NOW - 1_000, None, environment="playground", counted=False)

    whole, of_key = world.figures().now, world.figures(filters=Filters(key_id=key)).now
    staging = world.figures(filters=Filters(environment="test")).now

    assert (whole.running, whole.waiting, whole.outside) == (2, 1, 1)
    assert (whole.concurrency, whole.monthly, whole.quota_of) == (4 + 1 + 1, 1_000, "live")
    assert (staging.running, staging.concurrency, staging.monthly, staging.quota_of) == (0, 1, 250, None)
    assert (of_key.running, of_key.concurrency, of_key.monthly) == (1, 2, 50)


def test_the_mark_changes_with_everything_a_figure_shows(world: World) -> None:
    flow = world.flow()
    marks = [world.mark()]

    def happened(sql: str = "", **values: Any) -> None:
        if sql:
            world.database.write_now(lambda session: session.execute(text(sql), values))
        marks.append(world.mark())

    job = world.job(flow, NOW - 1_000, None)
    happened()
    happened("update jobs set last_seq = last_seq + 1, model_calls = 1, cost_nanos = 5 where id = :id", id=job)
    happened("update jobs set status = 'completed', completed_at = :at where id = :id", id=job, at=NOW)
    world.refused(NOW, 1, flow_id=flow)
    happened()
    happened("update refusal_counts set count = count + 1")
    happened("update workspaces set plan = 'pro'")
    happened("update flows set live_version = null")

    assert len(set(marks)) == len(marks)
    assert world.mark() == marks[-1]


def test_the_numbers_equal_plain_sql_over_the_same_period(world: World) -> None:
    chance = random.Random(3)
    flows = [world.flow(title) for title in ("One", "Two", "Three")]
    keys = [world.key("live"), world.key("test")]
    statuses = ["completed"] * 6 + ["failed", "cancelled", "processing"]

    def fill(session: Session) -> None:
        for _ in range(600):
            status = chance.choice(statuses)
            at = NOW - chance.randrange(40 * DAY)
            job_id, flow_id = new_id("job"), chance.choice(flows)
            cost = chance.choice([0, 120, 3_000, None])
            session.execute(
                text(
                    "insert into jobs (id, workspace_id, flow_id, environment, key_id, counted, status, attempts, created_at,"
                    " enqueued_at, started_at, completed_at, limit_ms, error, steps_total, steps_done, items_failed, cost_nanos,"
                    " input_tokens, output_tokens, model_calls, simulated, last_seq, request_id, value_bytes, steps_failed, webhook_by_caller) values (:id, :ws, :flow, :env,"
                    " :key, true, :status, 1, :at, :at, :at, :ended, 1000, :error, 1, 1, 0, :cost, 0, 0, 1, false, 1, 'r', 0, 0, false)"
                ),
                {
                    "id": job_id,
                    "ws": world.workspace_id,
                    "flow": flow_id,
                    "env": chance.choice(["live", "test", "playground"]),
                    "key": chance.choice(keys),
                    "status": status,
                    "at": at,
                    "ended": None if status == "processing" else min(NOW, at + chance.randrange(60_000)),
                    "error": '{"code": "timeout"}' if status == "failed" else None,
                    "cost": cost,
                },
            )
            row = {"job_id": job_id, "flow_id": flow_id, "ws": world.workspace_id, "at": at, "cost": cost}
            session.execute(
                text(
                    "insert into model_calls (workspace_id, job_id, flow_id, node_id, index_path, at, connection, model,"
                    " input_tokens, output_tokens, cost_nanos, duration_ms, simulated)"
                    " values (:ws, :job_id, :flow_id, 'p', '', :at, 'c', 'm', 1, 1, :cost, 1, false)"
                ),
                row,
            )

    world.database.write_now(fill)
    for name in RANGES:
        figures = world.figures(name)
        period = figures.period
        of_jobs = "from jobs where environment <> 'playground' and created_at between :since and :until"
        bounds = {"since": period.since, "until": period.until}

        assert figures.requests == world.number(f"select count(*) {of_jobs}", **bounds)
        for status in ("completed", "failed", "cancelled", "processing"):
            count = world.number(f"select count(*) {of_jobs} and status = :status", status=status, **bounds)
            assert figures.by_status.get(status, 0) == count
            assert sum(slot.get(status, 0) for slot in figures.statuses) == count
        assert figures.cost.nanos == world.number(f"select coalesce(sum(cost_nanos), 0) {of_jobs}", **bounds)
        assert figures.cost.unknown == world.number(f"select count(*) {of_jobs} and cost_nanos is null", **bounds)
        for endpoint in figures.endpoints:
            assert endpoint.requests == world.number(
                f"select count(*) {of_jobs} and flow_id = :flow", flow=endpoint.flow_id, **bounds
            )
            assert sum(endpoint.by_slot) == endpoint.requests
