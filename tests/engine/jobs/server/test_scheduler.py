"""Schedules start their jobs: once per slot, also with two servers, after a pause of the server, and over changes of the
clock; what is refused stands in the history.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace
from sqlalchemy import event, select, update

from engine.actions.datasets import add_dataset, import_rows
from engine.actions.files import upload_by_person
from engine.actions.flows import delete_flow
from engine.actions.principal import command_line
from engine.actions.schedules import (
    MAX_PER_FLOW,
    add_schedule,
    change_schedule,
    pause_schedule,
    remove_schedule,
    resume_schedule,
    start_schedule,
)
from engine.core.clock import DAY, HOUR, MINUTE, MovedClock, SystemClock
from engine.core.do_first import DoFirst
from engine.core.errors import Conflict, Invalid, NotDeployed, NotFound, PayloadInvalid, Unavailable, WrongFields
from engine.files.intake import incoming_of
from engine.flow import payload_check
from engine.jobs.server.scheduler import LOOK_SECONDS, Scheduler
from engine.jobs.submit.bodies import MAX_CHECKS, NotChecked
from engine.jobs.submit.check_threads import CheckThreads
from engine.jobs.submit.scheduled import check_inputs, find_costly_inputs
from storage.audit import list_entries
from storage.batches import batch_job_ids
from storage.dataset_changes import checked_rows
from storage.files import list_uses
from storage.jobs import JobFilters, list_jobs, read_value
from storage.schedules import STARTS_KEPT, StartRow, get_schedule, list_schedules, list_starts
from storage.tables import Flow, Workspace
from storage.tables_triggers import Schedule
from tests.databases import open_database
from tests.engine.jobs.world import add_workspace, document_of, open_world

BERLIN = "Europe/Berlin"
ONE = {"kind": "input", "payload": {"n": 1}}


def at(time: str, *days: int) -> dict[str, Any]:
    return {"kind": "weekly", "days": list(days or range(1, 8)), "time": time}


class Days:
    """A world whose clock shows local times of a zone."""

    def __init__(self, data: Path, zone: str = BERLIN) -> None:
        self.clock = MovedClock()
        self.zone = zone
        self.world = open_world(data, clock=self.clock, plan="pro")
        self.person = command_line(self.world.workspace_id)
        self.scheduler = Scheduler(self.world.database)

    def set(self, local: str, zone: str | None = None) -> None:
        moment = datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(zone or self.zone))
        self.clock.offset = int(moment.timestamp() * 1_000) - SystemClock().now()

    def add(self, flow_id: str, timing: dict[str, Any], source: dict[str, Any] = ONE, zone: str = "") -> str:
        return self.world.write(add_schedule, self.person, flow_id, "", timing, zone or self.zone, source)

    async def run(self) -> None:
        """Does what is due now."""
        while not await self.scheduler.pass_over():
            pass

    def starts(self, schedule_id: str) -> list[StartRow]:
        return self.world.read(list_starts, self.world.workspace_id, schedule_id, 1_000)

    def local(self, moment: int | None) -> str:
        assert moment is not None
        return datetime.fromtimestamp(moment / 1_000, tz=ZoneInfo(self.zone)).strftime("%a %d %H:%M")

    def next(self, schedule_id: str) -> str:
        return self.local(self.world.read(get_schedule, self.world.workspace_id, schedule_id).next_at)

    def jobs(self, schedule_id: str) -> list[str]:
        filters = JobFilters(trigger=f"schedule:{schedule_id}")
        return [job.id for job in self.world.read(list_jobs, self.world.workspace_id, filters, 100).jobs]


@pytest.fixture
def days(new_data: Path) -> Iterator[Days]:
    days = Days(new_data)
    yield days
    days.world.database.close()


async def test_every_weekday_at_nine_starts_on_weekdays_at_nine(days: Days) -> None:
    days.set("2026-11-27T08:59:50")  # a Friday
    schedule = days.add(days.world.add_flow(), at("09:00", 1, 2, 3, 4, 5))
    assert 0 < await days.scheduler.pass_over() <= 10
    assert days.starts(schedule) == []
    days.set("2026-11-27T09:00:00.100")
    await days.run()
    (start,) = days.starts(schedule)
    job = days.world.job(start.job_id or "")
    assert (days.local(start.slot), start.jobs, start.missed, start.trouble) == ("Fri 27 09:00", 1, 0, None)
    assert (job.environment, job.trigger, job.key_id) == ("live", f"schedule:{schedule}", None)
    assert days.world.read(read_value, job.id, "payload") == {"n": 1}
    assert days.next(schedule) == "Mon 30 09:00"
    await days.run()
    assert len(days.starts(schedule)) == 1


@pytest.mark.parametrize(
    ("zone", "begin", "time", "slots"),
    [
        ("Europe/Berlin", "2026-03-27T12:00", "02:30", ["Sat 28 02:30", "Sun 29 03:00", "Mon 30 02:30"]),
        ("Europe/Berlin", "2026-10-23T12:00", "02:30", ["Sat 24 02:30", "Sun 25 02:30", "Mon 26 02:30"]),
        ("America/New_York", "2026-03-06T12:00", "02:30", ["Sat 07 02:30", "Sun 08 03:00", "Mon 09 02:30"]),
        ("America/New_York", "2026-10-30T12:00", "01:30", ["Sat 31 01:30", "Sun 01 01:30", "Mon 02 01:30"]),
        ("Australia/Lord_Howe", "2026-10-02T12:00", "02:15", ["Sat 03 02:15", "Sun 04 02:30", "Mon 05 02:15"]),
        ("Australia/Lord_Howe", "2026-04-03T12:00", "01:45", ["Sat 04 01:45", "Sun 05 01:45", "Mon 06 01:45"]),
    ],
)
async def test_a_daily_schedule_starts_once_a_day_when_clocks_change(
    new_data: Path, zone: str, begin: str, time: str, slots: list[str]
) -> None:
    days = Days(new_data, zone)
    days.set(begin)
    schedule = days.add(days.world.add_flow(), at(time))
    try:
        for _ in range(3 * 24 * 4):  # looks every quarter of an hour, for three days
            days.clock.offset += 15 * MINUTE
            await days.run()
        found = [days.local(start.slot) for start in reversed(days.starts(schedule))]
        assert found == slots
        assert len(days.jobs(schedule)) == 3
    finally:
        days.world.database.close()


async def test_slots_that_passed_while_no_server_ran_start_once(days: Days) -> None:
    days.set("2026-11-02T12:00")  # a Monday
    schedule = days.add(days.world.add_flow(), at("09:00"))
    days.set("2026-11-06T15:30")
    await days.run()
    (start,) = days.starts(schedule)
    assert (days.local(start.slot), start.missed, start.jobs) == ("Tue 03 09:00", 3, 1)
    assert days.next(schedule) == "Sat 07 09:00"
    assert len(days.jobs(schedule)) == 1


async def test_two_servers_start_a_slot_once(days: Days, new_data: Path) -> None:
    days.set("2026-11-02T12:00")
    flow = days.world.add_flow()
    schedules = [days.add(flow, {"kind": "minutes", "every": 1}) for _ in range(5)]
    other = open_database(new_data, clock=days.clock)
    try:
        servers = (days.scheduler, Scheduler(other))
        for _ in range(4):
            days.clock.offset += MINUTE
            await asyncio.gather(*(one.pass_over() for one in servers * 2))
        for schedule in schedules:
            slots = [start.slot for start in days.starts(schedule)]
            assert len(slots) == len(set(slots)) == 4
            assert len(days.jobs(schedule)) == 4
    finally:
        other.close()


async def test_a_clock_that_is_set_back_starts_no_slot_again(days: Days) -> None:
    days.set("2026-11-02T08:59:59")
    schedule = days.add(days.world.add_flow(), at("09:00"))
    days.set("2026-11-02T09:00:01")
    await days.run()
    days.set("2026-11-02T08:59:59")
    await days.run()
    days.world.write(pause_schedule, days.person, schedule)
    days.world.write(resume_schedule, days.person, schedule)  # the next slot is the one that has started
    days.set("2026-11-02T09:00:02")
    await days.run()
    assert len(days.starts(schedule)) == len(days.jobs(schedule)) == 1
    assert days.next(schedule) == "Tue 03 09:00"


async def test_a_clock_that_was_ahead_for_a_moment_silences_no_schedule(days: Days) -> None:
    days.set("2026-11-02T08:58")  # a Monday
    schedule = days.add(days.world.add_flow(), at("09:00"))
    await days.run()
    days.set("2030-11-04T12:00")
    await days.run()
    days.set("2026-11-02T08:59")
    await days.run()
    assert len(days.starts(schedule)) == 1
    days.set("2026-11-02T09:10")
    await days.run()
    assert days.next(schedule) == "Tue 03 09:00"
    days.set("2026-11-03T09:00:01")
    await days.run()
    assert [days.local(start.slot) for start in days.starts(schedule)] == ["Tue 03 09:00", "Mon 02 09:00"]


async def test_a_clock_that_was_ahead_by_an_hour_lets_no_schedule_wait_for_that_hour(days: Days) -> None:
    days.set("2026-11-02T10:50")
    schedule = days.add(days.world.add_flow(), {"kind": "minutes", "every": 15})
    days.set("2026-11-02T11:00:01")
    await days.run()
    assert days.next(schedule) == "Mon 02 11:15"
    for time in ("10:01", "10:12", "10:15:01", "10:30:01", "10:45:01", "11:00:01"):  # an hour back
        days.set(f"2026-11-02T{time}")
        await days.run()
    started = [days.local(start.slot) for start in days.starts(schedule)]
    assert started == ["Mon 02 11:00", "Mon 02 10:45", "Mon 02 10:30", "Mon 02 10:15"]


async def test_times_that_come_twice_in_the_night_the_clocks_go_back_are_no_clock_that_was_ahead(
    new_data: Path,
) -> None:
    days = Days(new_data, "Australia/Lord_Howe")
    days.set("2026-04-04T14:50", "UTC")  # 01:50 on a Sunday; ten minutes later it is 01:30 again
    schedule = days.add(days.world.add_flow(), {"kind": "cron", "expression": "*/20 2 * * *"})
    assert days.next(schedule) == "Sun 05 02:40"
    for time in ("15:31", "15:42", "15:53", "16:11"):  # at 15:31 02:20 would be the next one
        days.set(f"2026-04-04T{time}", "UTC")
        await days.run()
    started = [days.local(start.slot) for start in days.starts(schedule)]
    days.world.database.close()
    assert started == ["Sun 05 02:40"]


async def test_a_clock_that_was_behind_for_a_moment_moves_no_schedule(days: Days) -> None:
    days.set("2026-11-02T12:00")
    schedule = days.add(days.world.add_flow(), at("09:00"))
    days.set("1990-01-01T00:00")
    await days.run()
    days.set("2026-11-02T12:01")
    await days.run()
    assert (days.starts(schedule), days.next(schedule)) == ([], "Tue 03 09:00")


async def test_a_paused_schedule_does_not_start_and_makes_up_for_nothing(days: Days) -> None:
    days.set("2026-11-02T08:00")
    schedule = days.add(days.world.add_flow(), at("09:00"))
    days.world.write(pause_schedule, days.person, schedule)
    days.set("2026-11-04T12:00")
    assert await days.scheduler.pass_over() == LOOK_SECONDS
    days.world.write(resume_schedule, days.person, schedule)
    await days.run()
    assert days.starts(schedule) == []
    assert days.next(schedule) == "Thu 05 09:00"


async def test_a_refused_start_says_why_and_the_next_one_clears_it(days: Days) -> None:
    days.set("2026-11-02T08:00")
    flow = days.world.add_flow(live=False)
    schedule = days.add(flow, at("09:00"))
    days.set("2026-11-02T09:00:01")
    await days.run()
    (start,) = days.starts(schedule)
    assert (start.job_id, start.jobs, (start.trouble or {})["code"]) == (None, 0, "flow_not_deployed")
    (row,) = days.world.read(list_schedules, days.world.workspace_id, flow)
    assert row.trouble == start.trouble
    assert "Deploy it" in (row.trouble or {})["remedy"]
    days.world.write(lambda session: session.execute(update(Flow).values(live_version=1)))
    days.set("2026-11-03T09:00:01")
    await days.run()
    assert [one.trouble is None for one in days.starts(schedule)] == [True, False]
    assert days.world.read(get_schedule, days.world.workspace_id, schedule).trouble is None


async def test_an_input_that_no_longer_fits_is_named(days: Days) -> None:
    days.set("2026-11-02T08:00")
    schedule = days.add(days.world.add_flow(live=False), at("09:00"), {"kind": "input", "payload": {"who": "x"}})
    days.world.write(lambda session: session.execute(update(Flow).values(live_version=1)))
    days.set("2026-11-02T09:00:01")
    await days.run()
    (start,) = days.starts(schedule)
    assert (start.trouble or {})["code"] == "validation_failed"
    assert "who: " in (start.trouble or {})["detail"]


async def test_a_stored_time_of_another_form_goes_on(days: Days) -> None:
    """Callers send times of RFC 3339; schedules may hold others from before."""
    days.set("2026-11-02T08:00")
    payload = {"at": "2026-01-31T12:00Z"}
    field = {"name": "at", "type": "string", "format": "date-time"}
    document = document_of(("echo", "set_fields", {"at": "{{ api_input.out.at }}"}), fields=[field])
    flow = days.world.add_flow(document, live=False)
    dataset = rows(days, payload)
    kept = [
        days.add(flow, at("09:00"), source)
        for source in (
            {"kind": "input", "payload": payload},
            {"kind": "dataset", "dataset_id": dataset, "mapping": {"at": "at"}},
        )
    ]
    days.world.write(lambda session: session.execute(update(Flow).values(live_version=1)))
    days.set("2026-11-02T09:00:01")
    await days.run()
    assert [(start.jobs, start.trouble) for one in kept for start in days.starts(one)] == [(1, None)] * 2


async def test_a_full_month_is_refused_and_full_slots_are_waited_for(days: Days) -> None:
    days.set("2026-11-02T08:00")
    flow = days.world.add_flow()
    schedule = days.add(flow, at("09:00"))
    limits = {"concurrency": 1, "monthly": 2}
    days.world.write(lambda session: session.execute(update(Workspace).values(**limits)))
    days.world.submit(flow)
    days.set("2026-11-02T09:00:01")
    await days.run()
    (start,) = days.starts(schedule)
    job = days.world.job(start.job_id or "")
    assert (job.status, job.counted, job.batch_id, job.trigger) == (
        "queued", False, start.batch_id, f"schedule:{schedule}",
    )  # fmt: skip
    days.set("2026-11-03T09:00:01")
    await days.run()
    assert (days.starts(schedule)[0].trouble or {})["code"] == "monthly_quota_exceeded"
    assert len(days.jobs(schedule)) == 1


def rows(days: Days, *data: dict[str, Any]) -> str:
    dataset = days.world.write(add_dataset, days.person, "Numbers")
    if data:
        days.world.write(import_rows, days.person, dataset, checked_rows(list(data)))
    return dataset


async def test_each_row_of_a_dataset_is_a_job_and_rows_that_do_not_fit_are_told(days: Days) -> None:
    days.set("2026-11-02T08:00")
    fields = [{"name": "n", "type": "integer", "required": True}]
    flow = days.world.add_flow(document_of(("echo", "set_fields", {"n": "{{ api_input.out.n }}"}), fields=fields))
    dataset = rows(days, {"Count": "1"}, {"Count": "two"}, {"Count": "3", "Note": "x"}, {"Count": ""})
    source = {"kind": "dataset", "dataset_id": dataset, "mapping": {"n": "Count"}}
    schedule = days.add(flow, at("09:00"), source)
    days.set("2026-11-02T09:00:01")
    await days.run()
    (start,) = days.starts(schedule)
    assert (start.jobs, start.left_out_count, start.trouble) == (2, 2, None)
    assert [one["number"] for one in start.left_out or []] == [2, 4]
    job_ids, _ = days.world.read(batch_job_ids, start.batch_id or "", 10, None)
    assert [days.world.read(read_value, job_id, "payload") for job_id in job_ids] == [{"n": 1}, {"n": 3}]
    assert sorted(days.jobs(schedule)) == sorted(job_ids)


@pytest.mark.parametrize(
    ("data", "code", "said"),
    [
        ([{"Count": "many"}], "validation_failed", "No row of the dataset"),
        ([{"Count": "1"}] * 1_001, "conflict", "1,001 rows"),
        (None, "not_found", "deleted"),
    ],
)
async def test_a_dataset_that_cannot_start_is_told(days: Days, data: list[Any] | None, code: str, said: str) -> None:
    days.set("2026-11-02T08:00")
    dataset = rows(days, *(data or []))
    source = {"kind": "dataset", "dataset_id": dataset, "mapping": {"n": "Count"}}
    schedule = days.add(days.world.add_flow(), at("09:00"), source)
    if data is None:
        days.world.write(
            lambda session: session.execute(update(Schedule).values(source={**source, "dataset_id": "ds_gone"}))
        )
    days.set("2026-11-02T09:00:01")
    await days.run()
    (start,) = days.starts(schedule)
    assert (start.trouble or {})["code"] == code
    assert said in str(start.trouble)


async def test_rows_with_too_many_defaults_together_start_nothing(days: Days, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payload_check, "MAX_DEFAULTS_OF_BATCH", 2_500)
    days.set("2026-11-02T08:00")
    inner = [{"name": "a", "type": "string"}, {"name": "b", "type": "string", "default": "x" * 1_000}]
    fields = [{"name": "list", "type": "array", "items": {"type": "object", "fields": inner}}]
    flow = days.world.add_flow(document_of(("echo", "set_fields", {"n": "{{ api_input.out.list }}"}), fields=fields))
    dataset = rows(days, *[{"list": [{"a": "x"}]}] * 4)
    source = {"kind": "dataset", "dataset_id": dataset, "mapping": {"list": "list"}}
    schedule = days.add(flow, at("09:00"), source)
    days.set("2026-11-02T09:00:01")
    await days.run()
    (start,) = days.starts(schedule)
    assert (start.jobs, (start.trouble or {}).get("code")) == (0, "validation_failed")
    assert days.jobs(schedule) == []


@pytest.mark.parametrize(("size", "jobs"), [(200_000, 5), (220_000, 0)])
async def test_rows_that_fill_fields_with_more_than_a_batch_may_have_start_nothing(
    days: Days, size: int, jobs: int
) -> None:
    days.set("2026-11-02T08:00")
    names = [f"f{number}" for number in range(10)]
    fields = [{"name": name, "type": "string"} for name in names]
    flow = days.world.add_flow(document_of(("echo", "set_fields", {"n": "{{ api_input.out.f0 }}"}), fields=fields))
    dataset = rows(days, *[{"text": "x" * size}] * 5)
    source = {"kind": "dataset", "dataset_id": dataset, "mapping": dict.fromkeys(names, "text")}
    schedule = days.add(flow, at("09:00"), source)
    days.set("2026-11-02T09:00:01")
    await days.run()
    (start,) = days.starts(schedule)
    assert (start.jobs, len(days.jobs(schedule))) == (jobs, jobs)
    assert (start.trouble or {}).get("code") == (None if jobs else "body_too_large")
    assert jobs or "more than 10 MiB together" in str(start.trouble)
    assert days.next(schedule) == "Tue 03 09:00"


async def test_rows_are_read_before_the_write_and_again_when_they_have_changed(days: Days) -> None:
    days.set("2026-11-02T08:00")
    fields = [{"name": "n", "type": "integer", "required": True}]
    flow = days.world.add_flow(document_of(("echo", "set_fields", {"n": "{{ api_input.out.n }}"}), fields=fields))
    table = rows(days, {"n": 1})
    schedule = days.add(flow, at("09:00"), {"kind": "dataset", "dataset_id": table, "mapping": {"n": "n"}})
    inputs = days.world.read(find_costly_inputs, days.world.workspace_id, schedule)
    assert inputs is not None
    found = check_inputs(inputs)
    told = replace(found, results=[({"n": 7}, WrongFields()) for _ in found.results])

    def started() -> list[Any]:
        batch_id = days.world.write(start_schedule, days.person, schedule, told).batch_id or ""
        job_ids, _ = days.world.read(batch_job_ids, batch_id, 10, None)
        return [days.world.read(read_value, job_id, "payload")["n"] for job_id in job_ids]

    assert started() == [7]
    days.clock.offset += MINUTE
    days.world.write(import_rows, days.person, table, checked_rows([{"n": 2}]))
    assert started() == [1, 2]


async def test_a_dataset_without_rows_starts_nothing_and_is_no_trouble(days: Days) -> None:
    days.set("2026-11-02T08:00")
    source = {"kind": "dataset", "dataset_id": rows(days), "mapping": {"n": "Count"}}
    schedule = days.add(days.world.add_flow(), at("09:00"), source)
    days.set("2026-11-02T09:00:01")
    await days.run()
    (start,) = days.starts(schedule)
    assert (start.jobs, start.batch_id, start.trouble) == (0, None, None)


async def test_a_schedule_that_cannot_be_read_is_paused_and_harms_no_other(days: Days) -> None:
    days.set("2026-11-02T08:00")
    flow = days.world.add_flow()
    broken, sound = days.add(flow, at("09:00")), days.add(flow, at("09:00"))
    days.world.write(
        lambda session: session.execute(update(Schedule).where(Schedule.id == broken).values(time_zone="No/Where"))
    )
    days.set("2026-11-02T09:00:01")
    await days.run()
    assert days.world.read(get_schedule, days.world.workspace_id, broken).paused
    assert (days.starts(broken)[0].trouble or {})["code"] == "validation_failed"
    assert len(days.jobs(sound)) == 1


async def test_a_start_by_hand_leaves_the_slots_alone(days: Days) -> None:
    days.set("2026-11-02T08:00")
    schedule = days.add(days.world.add_flow(), at("09:00"))
    days.world.write(start_schedule, days.person, schedule)
    assert days.next(schedule) == "Mon 02 09:00"
    assert len(days.jobs(schedule)) == 1
    unused = days.add(days.world.add_flow(live=False), at("09:00"))
    with pytest.raises(NotDeployed):
        days.world.write(start_schedule, days.person, unused)
    assert days.starts(unused) == []


@pytest.mark.parametrize("of", ["input", "rows"])
async def test_what_has_patterns_is_checked_before_the_write(days: Days, of: str) -> None:
    """The write takes what was found before, and holds nothing against patterns when something has changed meanwhile."""
    days.set("2026-11-02T08:00")
    flow = days.world.add_flow(document_of(fields=[{"name": "n", "type": "string", "pattern": "^[a-z]+$"}]))
    source: dict[str, Any] = {"kind": "input", "payload": {"n": "a"}}
    if of == "rows":
        source = {"kind": "dataset", "dataset_id": rows(days, {"n": "a"}, {"n": "1"}), "mapping": {"n": "n"}}
    schedule = days.add(flow, at("09:00"), source)
    days.set("2026-11-02T09:00:01")
    await days.run()
    (start,) = days.starts(schedule)
    assert (start.jobs, start.left_out_count or 0, start.trouble) == (1, int(of == "rows"), None)

    inputs = days.world.read(find_costly_inputs, days.world.workspace_id, schedule)
    assert inputs is not None
    assert days.world.read(find_costly_inputs, "ws_other", schedule) is None
    found = check_inputs(inputs)
    told = replace(found, results=[({"n": "told"}, WrongFields()) for _ in found.results])
    stale = replace(told, inputs=replace(inputs, version=inputs.version + 1))
    start = days.world.write(start_schedule, days.person, schedule, told)
    job_id = start.job_id or days.world.read(batch_job_ids, start.batch_id or "", 1, None)[0][0]
    assert days.world.read(read_value, job_id, "payload") == {"n": "told"}
    for checked in (stale, None):
        with pytest.raises(NotChecked):
            days.world.write(start_schedule, days.person, schedule, checked)
    plain = days.add(days.world.add_flow(), at("09:00"))
    assert days.world.read(find_costly_inputs, None, plain) is None, "the write checks it in a moment"


async def test_an_input_with_patterns_is_checked_before_its_schedule_is_written(days: Days) -> None:
    days.set("2026-11-02T08:00")
    flow = days.world.add_flow(document_of(fields=[{"name": "n", "type": "string", "pattern": "^[a-z]+$"}]))
    given = flow, "", at("09:00"), BERLIN
    for text in ("abc", "1"):
        source = {"kind": "input", "payload": {"n": text}}
        with pytest.raises(DoFirst) as first:
            await days.world.database.write(add_schedule, days.person, *given, source)
        first.value.work()
        if text == "abc":
            await days.world.database.write(add_schedule, days.person, *given, source)
        else:
            with pytest.raises(PayloadInvalid):
                await days.world.database.write(add_schedule, days.person, *given, source)


async def test_a_start_whose_input_changes_at_every_check_is_put_off(days: Days) -> None:
    days.set("2026-11-02T08:00")
    flow = days.world.add_flow(document_of(fields=[{"name": "n", "type": "string", "pattern": "^[a-z]+$"}]))
    table = rows(days, {"n": "a"})
    schedule = days.add(flow, at("09:00"), {"kind": "dataset", "dataset_id": table, "mapping": {"n": "n"}})

    class Changing(CheckThreads):
        """Threads during whose work somebody adds a row."""

        async def run(self, *given: Any, **more: Any) -> Any:
            found = await super().run(*given, **more)
            days.world.write(import_rows, days.person, table, checked_rows([{"n": "b"}]))
            return found

    days.set("2026-11-02T09:00:01")
    changing = Scheduler(days.world.database, Changing())
    with pytest.raises(Unavailable):
        await changing.pass_over()
    await changing.stop()
    assert (days.starts(schedule), days.next(schedule)) == ([], "Mon 02 09:00")
    await days.run()
    assert [start.jobs for start in days.starts(schedule)] == [1 + MAX_CHECKS]


async def test_a_costly_start_delays_those_of_its_own_workspace_only(days: Days) -> None:
    days.set("2026-11-02T08:00")
    costly = days.world.add_flow(document_of(fields=[{"name": "n", "type": "string", "pattern": "^[a-z]+$"}]))
    own = [days.add(costly, at("09:00"), {"kind": "input", "payload": {"n": "a"}}) for _ in range(3)]
    other = days.world.write(add_workspace)
    flow = days.world.add_flow(workspace_id=other)
    theirs = days.world.write(add_schedule, command_line(other), flow, "", at("09:00"), BERLIN, ONE)
    days.set("2026-11-02T09:00:01")
    gate = threading.Event()
    async with asyncio.timeout(20):
        held = asyncio.create_task(days.scheduler._threads.run(days.world.workspace_id, "", gate.wait, 15))
        await asyncio.sleep(0)
        days.scheduler.start()
        while not days.world.read(list_starts, other, theirs, 10):
            await asyncio.sleep(0)
        assert not any(days.starts(one) for one in own)
        gate.set()
        await held
        while not all(days.starts(one) for one in own):
            await asyncio.sleep(0)
    await days.scheduler.stop()


async def test_only_the_newest_starts_are_kept(days: Days) -> None:
    days.set("2026-11-02T08:00")
    schedule = days.add(days.world.add_flow(live=False), {"kind": "minutes", "every": 1})
    for _ in range(STARTS_KEPT + 5):
        days.clock.offset += MINUTE
        await days.run()
    assert len(days.starts(schedule)) == STARTS_KEPT


async def test_a_change_wakes_the_scheduler_that_sleeps(days: Days) -> None:
    days.set("2026-11-02T08:00")
    flow_id = days.world.add_flow()
    schedule = days.add(flow_id, at("09:00"))
    days.scheduler.start()
    await days.scheduler.pass_over()  # it looks at 08:00 and sleeps
    days.clock.offset += HOUR
    days.add(flow_id, at("11:00"))
    async with asyncio.timeout(20):
        while not days.starts(schedule):
            await asyncio.sleep(0.02)
    await days.scheduler.stop()


async def test_without_a_schedule_a_look_reads_one_number(days: Days) -> None:
    said: list[str] = []
    event.listen(days.world.database.read_engine, "before_cursor_execute", lambda *given: said.append(given[2]))
    assert await days.scheduler.pass_over() == LOOK_SECONDS
    assert [line for line in said if line != "BEGIN"] == [
        "select min(next_at) from schedules where next_at is not null"
    ]


async def test_the_file_of_an_input_is_kept_with_its_schedule(days: Days) -> None:
    days.set("2026-11-02T08:00")
    incoming = incoming_of(days.world.database.file_bytes, b"Hello", "a.txt")
    file = days.world.write(upload_by_person, days.person, incoming, "live")
    fields = [{"name": "paper", "type": "file", "required": True}]
    flow = days.world.add_flow(
        document_of(("echo", "set_fields", {"n": "{{ api_input.out.paper.name }}"}), fields=fields)
    )
    value = {"name": file.name, "media_type": file.media_type, "size": file.size, "file_id": file.id}
    schedule = days.add(flow, at("09:00"), {"kind": "input", "payload": {"paper": value}})
    assert days.world.read(list_uses, "schedule", schedule) == [file.id]
    days.set("2026-11-02T09:00:01")
    await days.run()
    (start,) = days.starts(schedule)
    assert days.world.read(list_uses, "job", start.job_id or "") == [file.id], start.trouble
    days.world.write(remove_schedule, days.person, schedule)
    assert days.world.read(list_uses, "schedule", schedule) == []


def test_what_a_schedule_may_not_be(days: Days) -> None:
    days.set("2026-11-02T08:00")
    flow = days.world.add_flow()
    with pytest.raises(Invalid, match="Enter a time"):
        days.add(flow, at("25:00"))
    with pytest.raises(PayloadInvalid):
        days.add(flow, at("09:00"), {"kind": "input", "payload": {"n": "many"}})
    with pytest.raises(Invalid, match="input or a dataset"):
        days.add(flow, at("09:00"), {"kind": "hook"})
    with pytest.raises(NotFound):
        days.add(flow, at("09:00"), {"kind": "dataset", "dataset_id": "ds_none", "mapping": {}})
    with pytest.raises(Invalid, match="101 characters"):
        days.world.write(add_schedule, days.person, flow, "x" * 101, at("09:00"), BERLIN, ONE)
    for _ in range(MAX_PER_FLOW):
        days.add(flow, at("09:00"))
    with pytest.raises(Conflict, match="100 schedules"):
        days.add(flow, at("09:00"))


@pytest.mark.parametrize(
    ("timing", "zone", "following"),
    [
        (at("09:00"), BERLIN, "Sat 28 09:00"),
        (at("07:30"), BERLIN, "Sat 28 07:30"),
        (at("09:00"), "UTC", "Fri 27 10:00"),
    ],
)
async def test_a_start_that_is_due_comes_when_the_schedule_is_changed_a_moment_before(
    days: Days, timing: dict[str, Any], zone: str, following: str
) -> None:
    days.set("2026-11-27T08:59:50")
    schedule = days.add(days.world.add_flow(), at("09:00"))
    days.set("2026-11-27T09:00:00.300")
    days.world.write(change_schedule, days.person, schedule, "Mornings", timing, zone, ONE)
    await days.run()
    (start,) = days.starts(schedule)
    assert (days.local(start.slot), start.jobs, start.missed) == ("Fri 27 09:00", 1, 0)
    assert days.next(schedule) == following


async def test_a_schedule_is_changed_and_goes_with_its_flow(days: Days) -> None:
    days.set("2026-11-02T08:00")
    flow = days.world.add_flow()
    schedule, second = days.add(flow, at("09:00")), days.add(flow, at("10:00"))
    other = {"kind": "input", "payload": {"n": 2}}
    days.world.write(change_schedule, days.person, schedule, "Mornings", at("07:30", 2), "UTC", other)
    row = days.world.read(get_schedule, days.world.workspace_id, schedule)
    assert (row.title, row.source, days.next(schedule)) == ("Mornings", other, "Tue 03 08:30")
    days.world.write(remove_schedule, days.person, second)
    days.clock.offset += 3 * DAY + HOUR
    await days.run()
    assert days.jobs(second) == []
    assert len(days.jobs(schedule)) == 1
    days.world.write(delete_flow, days.person, flow)
    assert days.world.read(list_schedules, days.world.workspace_id) == []
    assert days.world.read(lambda session: session.execute(select(Schedule)).all()) == []
    verbs = [entry.verb for entry in days.world.read(list_entries, days.world.workspace_id)]
    assert {"add schedule", "change schedule", "remove schedule"} <= set(verbs)
