"""The roll-up of Monitoring: at every moment its figures are those that the rows of the jobs give."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace
from sqlalchemy import text
from sqlalchemy.orm import Session

from engine.actions.workspaces import ensure_workspace
from engine.core.clock import DAY, HOUR, MINUTE, Millis
from engine.core.ids import new_job_id
from engine.jobs.server.erasing import erase
from engine.jobs.server.retention import ROWS_MONTHS, Retention
from engine.jobs.server.rollup import Rollup
from storage.costs import MAX_NANOS
from storage.database import Database
from storage.job_changes import insert_job
from storage.jobs import find_job
from storage.monitoring.counts import Took
from storage.monitoring.curves import Curves, read_curves
from storage.monitoring.durations import as_shown, nearest_rank
from storage.monitoring.figures import Figures, read_figures
from storage.monitoring.overview import list_activity
from storage.monitoring.period import RANGES, Filters, Period
from storage.monitoring.rollup_reads import source_of
from storage.monitoring.rollup_writes import (
    MAX_JOBS,
    MAX_LATE,
    Span,
    begin,
    find_span,
    first_step,
    next_step,
    prepare,
    read_carried,
    start_later,
    store,
)
from storage.server_figures import server_figures
from storage.settings import SERVER, put_setting
from storage.tables import Job
from tests.databases import open_database
from tests.engine.jobs.world import add_workspace
from tests.logical_time import StillClock
from tests.storage.monitoring.test_overview import NOW, World
from ui.kit.text import rolled_up_duration


@pytest.fixture
def world(new_data: Path) -> Iterator[World]:
    clock = StillClock()
    database = open_database(new_data, clock=clock)
    yield World(database, clock, database.write_now(ensure_workspace, "free"))
    database.close()


class _RolledBack(Exception):  # ends a transaction
    pass


def fold(world: World) -> Span:
    """Adds up all that there is, and returns the span."""
    Rollup(world.database, rest=0).run(60)
    span = world.database.read_now(find_span, world.workspace_id)
    assert span is not None
    return span


def from_rows(world: World, read: Callable[[Session], Any]) -> Any:
    """Returns what `read` gives without the roll-up."""
    found: list[Any] = []

    def work(session: Session) -> None:
        session.execute(text("delete from rollup_spans"))
        found.append(read(session))
        raise _RolledBack

    with pytest.raises(_RolledBack):
        world.database.write_now(work)
    return found[0]


def shown(found: Any) -> Any:
    """Returns figures or curves with percentiles as a page shows them."""

    def words(took: Took | None) -> Any:
        return None if took is None else (rolled_up_duration(took.p50 / 1000), rolled_up_duration(took.p95 / 1000))

    if isinstance(found, Curves):
        return tuple(map(words, found.took)), tuple(map(words, found.waited)), found.at_once
    assert isinstance(found, Figures)
    endpoints = tuple(replace(one, took=None, kinds=tuple(sorted(one.kinds, key=repr))) for one in found.endpoints)
    callers = tuple(replace(one, kinds=tuple(sorted(one.kinds, key=repr))) for one in found.callers)
    tooks = (*(one.took for one in found.endpoints), found.took, found.took_before)
    return replace(found, endpoints=endpoints, callers=callers, took=None, took_before=None), tuple(map(words, tooks))


def compare(world: World, filters: Filters = Filters(), *, offset: int = 0) -> None:
    """Compares the figures, curves and activity of every range with what the rows give."""

    def look(session: Session) -> list[Any]:
        mine = (session, world.workspace_id)
        periods = [Period.ending(world.clock.at, name, offset) for name in RANGES]
        found = [shown(read(*mine, filters, period)) for period in periods for read in (read_figures, read_curves)]
        return [*found, list_activity(*mine)]

    for rolled_up, counted in zip(world.database.read_now(look), from_rows(world, look), strict=True):
        assert rolled_up == counted


def test_what_stands_for_a_duration_is_shown_with_the_same_words() -> None:
    every = [*range(62_000), *range(62_000, 4_000_000, 97), *range(4_000_000, 3 * DAY, 19_997)]
    steps = [as_shown(took) for took in every]

    assert [rolled_up_duration(step / 1000) for step in steps] == [rolled_up_duration(took / 1000) for took in every]
    assert steps == sorted(steps)


@pytest.mark.parametrize(
    ("counts", "expected"), [({}, None), ({7: 1}, Took(7, 7)), ({1: 95, 9: 5}, Took(1, 1)), ({1: 94, 9: 6}, Took(1, 9))]
)
def test_percentiles_of_counted_durations_are_nearest_rank(counts: dict[int, int], expected: Took | None) -> None:
    assert nearest_rank(counts) == expected


def random_history(world: World, seed: int) -> None:
    """Lets jobs come, end and be added up at random, and compares the figures with the rows after each turn."""
    chance = random.Random(seed)
    flows = [world.flow(title) for title in ("One", "Two", "Three")]
    keys = {"live": [world.key("live"), world.key("live")], "test": [world.key("test")], "playground": [None]}
    open_jobs: dict[str, int] = {}
    every: list[str] = []

    def accept(at: int, *, ended: bool = False) -> None:
        environment = chance.choice(["live", "live", "test", "playground"])
        status = chance.choice(["completed"] * 5 + ["failed", "cancelled"] + ["queued", "processing"] * (not ended))
        flow_id = chance.choice(flows)
        more: dict[str, Any] = {"environment": environment, "key_id": chance.choice(keys[environment])}
        more |= {"counted": environment != "playground"}
        if status == "failed":
            more |= {"code": chance.choice(["timeout", "http_status"])}
        if status == "completed" and chance.random() < 0.1:
            more |= {"steps_failed": 1}
        took = None if status in {"queued", "processing"} else int(chance.lognormvariate(8, 3)) % (20 * HOUR) + 1
        wait = 0 if took is None else chance.randrange(took)
        if environment == "live" and chance.random() < 0.2:  # an item of a batch holds a slot since its admission
            more |= {"batch_id": "batch_1", "enqueued_at": at + wait // 2, "counted": status != "queued"}
        job_id = world.job(flow_id, at, took, wait=wait, status=status, **more)
        for _ in range(chance.randrange(3)):
            world.call(
                job_id, flow_id, at + chance.randrange(2 * HOUR), chance.choice([None, 5, 700]), chance.choice("ab")
            )
        every.append(job_id)
        if took is None:
            open_jobs[job_id] = at

    def end(job_id: str) -> None:
        values = {"id": job_id, "at": world.clock.at, "begun": max(open_jobs.pop(job_id), world.clock.at - MINUTE // 2)}
        status = chance.choice(["completed", "failed", "cancelled"])
        error = '{"code": "late"}' if status == "failed" else None
        sql = (
            "update jobs set status = :status, error = :error, started_at = coalesce(started_at, :begun),"
            " enqueued_at = case when counted then enqueued_at else :begun end, completed_at = :at,"
            " counted = environment <> 'playground' where id = :id"
        )
        world.database.write_now(
            lambda session: session.execute(text(sql), {**values, "status": status, "error": error})
        )

    for _ in range(50):
        accept(NOW - 45 * HOUR + chance.randrange(DAY if chance.random() < 0.9 else 45 * HOUR))
        accept(NOW - chance.randrange(2 * DAY, 70 * DAY), ended=True)
    for _ in range(5):
        world.clock.at += chance.choice([MINUTE, 20 * MINUTE, 3 * HOUR, 5 * HOUR])
        for _ in range(chance.randrange(6)):
            accept(world.clock.at - chance.randrange(30_000))
        for job_id in [one for one in open_jobs if chance.random() < 0.3]:
            end(job_id)
        if chance.random() < 0.7:
            span = fold(world)
            assert world.clock.at - 2 * HOUR < span.until <= world.clock.at
        filters = chance.choice(
            [
                Filters(),
                Filters(flow_id=chance.choice(flows)),
                Filters(key_id=keys["live"][0]),
                Filters(environment="test"),
                Filters(environment="playground"),
                Filters(flow_id=flows[0], key_id=keys["live"][1], environment="live"),
                Filters(key_id=keys["test"][0], environment="live"),
            ]
        )
        compare(world, filters, offset=chance.choice([0, -5 * HOUR, 5 * HOUR + 30 * MINUTE]))


def test_rolled_up_figures_are_those_of_the_rows_at_every_moment(world: World) -> None:
    random_history(world, 0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 9))
def test_rolled_up_figures_are_those_of_the_rows_in_other_histories(world: World, seed: int) -> None:
    random_history(world, seed)


def test_jobs_that_retention_removes_and_a_clock_that_is_set_back_leave_no_trace(world: World) -> None:
    flow, key = world.flow(), world.key()
    for days in range(1, 60):
        at = NOW - days * DAY - HOUR // 3
        world.call(world.job(flow, at, 700 + days, key_id=key, wait=50), flow, at + 400, 10)
    open_job = world.job(flow, NOW - 3 * HOUR, None)
    fold(world)
    compare(world)

    put = (put_setting, SERVER, ROWS_MONTHS, 1)
    world.database.write_now(*put)
    removed = Retention(world.database, rest=0).run()
    assert removed.jobs == 29
    compare(world)
    fold(world)
    compare(world)
    assert world.number("select min(start) from rollup_jobs") >= NOW - 31 * DAY

    world.clock.at -= 2 * HOUR
    world.job(flow, world.clock.at - 1)
    compare(world)
    span = fold(world)
    assert span.until <= world.clock.at
    compare(world)

    world.database.write_now(
        lambda session: session.execute(
            text("update jobs set status = 'failed', completed_at = :at, error = :error where id = :id"),
            {"id": open_job, "at": world.clock.at, "error": '{"code": "timeout"}'},
        )
    )
    job = world.database.read_now(find_job, world.workspace_id, open_job)
    assert job is not None
    fold(world)
    world.database.write_now(erase, [job])
    assert [(kind.code, kind.count) for kind in world.figures().kinds] == [("timeout", 1)]
    compare(world)
    world.clock.at += 3 * DAY
    fold(world)
    compare(world)


def accept(world: World, flow_id: str, database: Database | None = None, *, fails: bool = False) -> None:
    """Accepts a job with what accepts all jobs; it ends at once. `fails`: the transaction does not succeed."""

    def work(session: Session) -> None:
        more = {"flow_version": 1, "counted": True, "limit_ms": 1_000, "steps_total": 1, "request_id": "req"}
        of = {"id": new_job_id(), "workspace_id": world.workspace_id, "flow_id": flow_id, "environment": "live"}
        insert_job(session, {**of, **more}, ("{}", 2))
        if fails:
            raise _RolledBack
        ended = "update jobs set status = 'completed', started_at = created_at, completed_at = created_at + 5 where id = :id"
        session.execute(text(ended), of)

    (database or world.database).write_now(work)


@pytest.mark.parametrize(
    ("idle", "back"),
    [(0, 5 * MINUTE), (MINUTE // 2, HOUR), (2 * HOUR, 2 * HOUR), (2 * HOUR, 10 * DAY), (20 * DAY, 20 * DAY)],
)
def test_jobs_that_are_accepted_while_the_clock_is_behind_for_a_moment_are_in_all_figures(
    world: World, idle: int, back: int
) -> None:
    flow = world.flow()
    world.job(flow, world.clock.at - 9 * DAY)
    accept(world, flow)
    world.clock.at += 2 * HOUR
    accept(world, flow)
    world.clock.at += idle + 3 * MINUTE
    fold(world)

    world.clock.at -= back
    with pytest.raises(_RolledBack):
        accept(world, flow, fails=True)
    for _ in range(3):
        accept(world, flow)
        world.clock.at += 1
    world.clock.at += back + 10 * MINUTE
    assert world.figures("30d").requests == 6
    fold(world)
    compare(world)


def test_the_first_jobs_after_a_start_with_a_clock_that_is_behind_are_in_all_figures(
    world: World, new_data: Path
) -> None:
    flow = world.flow()
    world.job(flow, NOW - 20 * DAY)
    accept(world, flow)
    world.clock.at += 4 * HOUR
    fold(world)

    world.clock.at -= 3 * HOUR
    started = open_database(new_data, clock=world.clock)
    accept(world, flow, started)
    accept(world, flow, started)
    started.close()
    world.clock.at += 3 * HOUR + MINUTE
    assert world.figures("30d").requests == 4
    compare(world)


def test_a_clock_that_goes_on_leaves_the_span(world: World) -> None:
    flow = world.flow()
    accept(world, flow)
    for pause in (3 * HOUR, 1, MINUTE // 2, MINUTE, 30 * MINUTE, -MINUTE // 2, 2 * HOUR, 0):
        world.clock.at += pause
        span = fold(world)
        accept(world, flow)
        assert world.database.read_now(find_span, world.workspace_id) == span
        compare(world)


def test_a_step_that_was_read_before_the_clock_was_set_back_is_not_stored(world: World) -> None:
    flow = world.flow()
    accept(world, flow)
    span = fold(world)
    world.clock.at += 3 * HOUR
    step = world.database.read_now(next_step, world.workspace_id, span)
    assert step.until > NOW

    world.clock.at -= 3 * HOUR
    assert not world.database.write_now(store, prepare(step))
    assert world.database.read_now(find_span, world.workspace_id) == span


@pytest.mark.parametrize("name", ["7d", "30d"])
def test_a_job_is_shown_on_its_day_when_the_clocks_changed_since(world: World, name: str) -> None:
    berlin, flow = ZoneInfo("Europe/Berlin"), world.flow()

    def at(day: int, hour: int, minute: int) -> Millis:
        return Millis(round(datetime(2026, 10, day, hour, minute, tzinfo=berlin).timestamp() * 1_000))

    world.clock.at = at(29, 12, 0)
    expected: dict[Any, int] = {}
    for day, hour in itertools.product((20, 23, 24, 25, 26, 28), (0, 5, 6, 17, 18, 23)):
        for minute in (0, 10, 59):
            world.call(world.job(flow, at(day, hour, minute), 1_000), flow, at(day, hour, minute), 7)
            slot = (day, hour // 6 * 6 if name == "7d" else 0)
            if world.clock.at - at(day, hour, minute) < RANGES[name][0]:
                expected[slot] = expected.get(slot, 0) + 1
    period = Period.in_zone(world.clock.at, name, berlin)

    def look(session: Session) -> Any:
        mine = (session, world.workspace_id, Filters(), period)
        return shown(read_figures(*mine)), shown(read_curves(*mine))

    fold(world)
    figures = world.database.read_now(read_figures, world.workspace_id, Filters(), period)
    found = {}
    for start, by_status in zip(period.starts, figures.statuses, strict=True):
        local = datetime.fromtimestamp(start / 1_000, berlin)
        if by_status:
            found[local.day, local.hour] = by_status["completed"]
    assert found == expected
    assert world.database.read_now(look) == from_rows(world, look)


def test_the_figures_of_a_long_period_read_few_jobs(world: World) -> None:
    flow = world.flow()
    world.job(flow, NOW - 40 * DAY)
    for hours in range(1, 60):
        world.job(flow, NOW - hours * HOUR, 1_000)
    fold(world)
    source = world.database.read_now(source_of, world.workspace_id, Period.ending(NOW, "30d"))

    assert sum(until - since for since, until in source.read) <= 2 * HOUR
    assert world.figures("30d").requests == 59


def test_how_many_jobs_ran_at_once_comes_from_the_roll_up_in_a_workspace_younger_than_the_period(world: World) -> None:
    flow = world.flow()
    for hours in range(1, 60):
        world.job(flow, NOW - hours * HOUR, 1_000)
    fold(world)
    compare(world)
    nine = "[" + ", ".join(["9"] * 60) + "]"
    world.database.write_now(
        lambda session: session.execute(text("update rollup_busy set most = :nine"), {"nine": nine})
    )

    assert max(world.curves("30d").at_once) == 9

    world.job(flow, NOW - 4 * DAY, None)  # before the span: its roll-up does not know of it
    assert max(world.curves("30d").at_once) == 2


def test_sums_from_before_the_span_are_not_shown_in_a_workspace_younger_than_the_period(world: World) -> None:
    flow = world.flow()
    for hours in range(1, 60):
        world.job(flow, NOW - hours * HOUR, 1_000)
    fold(world)
    since = (NOW - 30 * HOUR) // HOUR * HOUR
    world.database.write_now(start_later, world.workspace_id, since)
    world.database.write_now(
        lambda session: session.execute(text("delete from jobs where created_at < :since"), {"since": since})
    )

    compare(world)


def test_a_step_that_adds_late_jobs_only_reads_no_others(world: World) -> None:
    flow = world.flow()
    for _ in range(MAX_LATE + 20):
        world.job(flow, NOW - 5 * HOUR, None, status="queued", counted=False, batch_id="batch_1")
    span = fold(world)
    some = "select id from jobs order by id limit :late"
    end = f"update jobs set status = 'completed', started_at = :at, completed_at = :at where id in ({some})"
    world.database.write_now(lambda session: session.execute(text(end), {"at": NOW - MINUTE, "late": 5}))

    step = world.database.read_now(next_step, world.workspace_id, span)
    assert (step.until, sum(jobs for jobs, _last in step.jobs.values()), step.more) == (span.until, 5, False)
    carried, late = world.database.read_now(read_carried, world.workspace_id, only_late=True)
    assert (len(carried), len(late)) == (5, 5)

    world.database.write_now(lambda session: session.execute(text(end), {"at": NOW - MINUTE, "late": MAX_LATE + 20}))
    assert world.database.read_now(next_step, world.workspace_id, span).more
    carried, late = world.database.read_now(read_carried, world.workspace_id, only_late=True)
    assert (len(carried), len(late)) == (MAX_LATE, MAX_LATE)
    fold(world)
    assert world.number("select sum(jobs) from rollup_jobs") == MAX_LATE + 20
    compare(world)


def test_costs_that_are_more_than_the_database_counts_to_break_no_figures(world: World) -> None:
    """Such rows are those of older versions, which took every number of tokens that a model's server named."""
    flow, huge = world.flow(), 2**63 - 10
    for at in (NOW - 5 * HOUR, NOW - 5 * HOUR + 1, NOW - 3 * HOUR, NOW - 2_000):
        world.call(world.job(flow, at), flow, at, huge)
    world.call(late := world.job(flow, NOW - 5 * HOUR, None), flow, NOW - 5 * HOUR, huge)
    assert world.database.read_now(server_figures).last_hour_nanos == MAX_NANOS
    assert world.figures().cost.nanos == 3 * MAX_NANOS

    fold(world)
    assert world.number("select max(nanos) from rollup_calls") == MAX_NANOS
    world.database.write_now(
        lambda session: session.execute(
            text("update jobs set status = 'completed', completed_at = :at where id = :id"), {"at": NOW, "id": late}
        )
    )
    fold(world)
    assert world.number("select count(*) from rollup_carried where not counted") == 0
    assert world.number("select max(nanos) from rollup_calls") == MAX_NANOS
    assert (world.figures().cost.nanos, world.figures("30d").cost.nanos) == (3 * MAX_NANOS, 2 * MAX_NANOS)


@pytest.mark.parametrize("faulty", [0, 1])
def test_a_workspace_that_cannot_be_added_up_leaves_the_others(
    world: World, caplog: pytest.LogCaptureFixture, faulty: int
) -> None:
    worlds = (world, World(world.database, world.clock, world.database.write_now(add_workspace)))
    flows = [one.flow() for one in worlds]
    for one, flow in zip(worlds, flows, strict=True):
        one.job(flow, NOW - 5 * HOUR)
    fold(world)
    broken = {"id": worlds[faulty].workspace_id, "counts": "[1]"}  # a time without its count
    sql = "update rollup_durations set counts = :counts where workspace_id = :id"
    world.database.write_now(lambda session: session.execute(text(sql), broken))
    for one, flow in zip(worlds, flows, strict=True):
        one.job(flow, NOW + 5 * MINUTE)
    world.clock.at += 2 * HOUR
    assert not Rollup(world.database, rest=0).run(60)

    sums = "select sum(jobs) from rollup_jobs where workspace_id = :id"
    assert [world.number(sums, id=one.workspace_id) for one in worlds] == [1 if at == faulty else 2 for at in (0, 1)]
    assert worlds[1 - faulty].figures().requests == 2
    assert "were not added up" in caplog.text
    caplog.clear()


def test_a_step_stays_small_however_many_jobs_there_are(world: World) -> None:
    flow = world.flow()
    job_id = world.job(flow, NOW - 3 * HOUR, 500)
    columns = [column.name for column in Job.__table__.columns if column.name not in {"id", "created_at"}]
    names = ", ".join(columns)
    copy = (
        f"insert into jobs (id, created_at, {names}) with recursive n (x) as (select 1 union all select x + 1 from n"
        f" where x < :count) select 'job_' || x, created_at + x * 300, {names} from n, jobs where jobs.id = :id"
    )
    count = 2 * MAX_JOBS
    world.database.write_now(lambda session: session.execute(text(copy), {"id": job_id, "count": count}))
    steps = []
    while (span := world.database.read_now(find_span, world.workspace_id)) is None or not steps or steps[-1] > 0:
        if span is None:
            world.database.write_now(begin, world.database.read_now(first_step, world.workspace_id))
            continue
        step = world.database.read_now(next_step, world.workspace_id, span)
        steps.append(sum(jobs for jobs, _last in step.jobs.values()))
        assert world.database.write_now(store, prepare(step))
        assert not world.database.write_now(store, prepare(step)) or step.until == span.until, "no step counts twice"

    assert max(steps) <= MAX_JOBS + 200
    assert sum(steps) == count + 1
    compare(world)
