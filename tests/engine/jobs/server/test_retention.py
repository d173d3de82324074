"""Retention deletes values first and rows later, the oldest first when the maximum size is reached; a backup is made
every night.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from sqlalchemy import text, update

from engine.actions.flows import (
    change_flow_settings,
    delete_flow,
    export_flow,
    import_flow,
    save_draft,
    save_version,
)
from engine.backups.backups import list_backups
from engine.backups.passphrase import seal_passphrase
from engine.core.clock import DAY, HOUR, MINUTE, MovedClock
from engine.core.settings import Settings
from engine.jobs.server.maintenance import LATE_AGE, NIGHT_HOUR, Maintenance
from engine.jobs.server.retention import CAP_GB, GIB, Retention, Rules, read_rules
from engine.jobs.transitions import claim, finish
from engine.secrets.sealing import open_vault
from storage.audit import add_entry
from storage.deleted_flows import has_parts, remove_parts, remove_row
from storage.flows import EMPTY_DRAFT, get_flow
from storage.job_changes import Lease
from storage.retention import read_room
from storage.settings import BACKUP_PASSPHRASE, SERVER, put_setting
from storage.tables import Flow, Job
from tests.engine.jobs.stored_jobs import add_ended_jobs
from tests.engine.jobs.world import World
from tests.factories import document, greeting, person
from tests.postgres_cluster import POSTGRES

UNCAPPED = Rules(cap_gb=0)


def count(world: World, table: str) -> int:
    return world.read(lambda session: session.scalar(text(f"select count(*) from {table}")))


def add(world: World, flow_id: str, jobs: int, days_ago: float, **options: Any) -> list[str]:
    first_at = world.database.clock.now() - round(days_ago * DAY)
    return world.write(add_ended_jobs, world.workspace_id, flow_id, jobs, first_at=first_at, **options)


def keep_days(world: World, flow_id: str, days: int) -> None:
    world.write(lambda session: setattr(session.get(Flow, flow_id), "settings", {"keep_days": days}))


def test_values_go_after_30_days_and_the_job_stays(world: World) -> None:
    flow_id = world.add_flow()
    (old,) = add(world, flow_id, 1, 30.1)
    (young,) = add(world, flow_id, 1, 29.9)
    world.write(lambda session: session.execute(update(Job).values(traceparent="\n\nuser=ann")))
    waiting = world.submit(flow_id).job_id
    report = Retention(world.database, rest=0).run()
    assert (report.values, report.jobs) == (1, 0)
    assert not world.job(old).has_result, "so the public API says 410"
    assert world.job(young).has_result
    assert (world.job(old).traceparent, world.job(young).traceparent) == (None, "\n\nuser=ann")
    assert world.job(waiting).status == "queued"
    for table in ("job_values", "steps", "events"):
        left = world.read(
            lambda session, name=table: session.scalars(text(f"select distinct job_id from {name}")).all()
        )
        assert old not in left
    assert Retention(world.database, rest=0).run().values == 0, "what is done is not looked at again"


def test_a_job_that_has_not_ended_keeps_its_values_however_old(world: World, clock: MovedClock) -> None:
    flow_id = world.add_flow()
    job_id = world.submit(flow_id).job_id
    world.write(claim, world.boot_id, job_id)
    clock.offset = 500 * DAY
    Retention(world.database, rest=0).run()
    assert world.job(job_id).status == "processing"
    world.write(finish, job_id, "completed", lease=Lease(world.boot_id, 1), result=('{"n":1}', 7))
    assert world.result(job_id) == {"n": 1}


@pytest.mark.parametrize(("days", "ages_kept"), [(1, [0.5]), (7, [0.5, 5]), (90, [0.5, 5, 40, 80]), (0, [0.5, 5])])
def test_a_flow_may_keep_its_values_for_another_time(days: int, ages_kept: list[float], world: World) -> None:
    flow_id, other = world.add_flow(), world.add_flow()
    keep_days(world, flow_id, days)
    jobs = {age: add(world, flow_id, 1, age)[0] for age in (0.5, 5, 40, 80, 100)}
    (neighbour,) = add(world, other, 1, 20)
    Retention(world.database, rest=0).run()
    assert [age for age, job in jobs.items() if world.job(job).has_result] == ages_kept
    assert world.job(neighbour).has_result


def test_rows_of_jobs_go_after_13_months_with_all_that_hangs_on_them(world: World) -> None:
    flow_id = world.add_flow()
    keep_days(world, flow_id, 3_000)
    add(world, flow_id, 120, 400)
    (kept,) = add(world, flow_id, 1, 390)
    report = Retention(world.database, rest=0).run()
    assert report.jobs == 120
    assert [count(world, table) for table in ("jobs", "steps", "events", "job_values")] == [1, 2, 4, 6]
    assert world.job(kept).has_result


def test_of_a_deleted_flow_the_draft_goes_at_once_the_versions_with_its_last_job_and_the_row_last(
    world: World, clock: MovedClock
) -> None:
    def left() -> list[int]:
        return [count(world, table) for table in ("flows", "flow_versions", "deployments", "jobs")]

    flow_id, neighbour = world.add_flow(), world.add_flow()
    ada = person(world.workspace_id)
    file = greeting(notes=[{"id": "note", "text": "Mrs Patient"}])
    for revision in range(1, 40):
        world.write(save_draft, ada, flow_id, document(file), revision)
        world.write(save_version, ada, flow_id, f"Note {revision}")
    world.write(change_flow_settings, ada, flow_id, {"webhook_url": "https://a.example"})
    add(world, flow_id, 1, 0)
    there = left()
    world.write(delete_flow, ada, flow_id)
    assert "Patient" not in world.read(lambda session: session.get_one(Flow, flow_id).draft)

    clock.offset += 2 * DAY
    Retention(world.database, rest=0).run()
    assert left() == [2, there[1], there[2] + 1, 1], "a job may show its version"

    clock.offset += 398 * DAY
    report = Retention(world.database, rest=0).run()
    assert (report.jobs, report.flows) == (1, 1)
    assert left() == [1, 1, 0, 0]
    assert world.read(lambda session: session.get(Flow, neighbour)) is not None


def test_retention_takes_nothing_of_a_flow_that_was_brought_back(world: World, clock: MovedClock) -> None:
    flow_id, ada = world.add_flow(), person(world.workspace_id)
    file = world.write(export_flow, ada, flow_id)
    world.write(change_flow_settings, ada, flow_id, {"webhook_url": "https://a.example"})
    world.write(delete_flow, ada, flow_id)
    clock.offset += 2 * DAY
    Retention(world.database, rest=0).run()
    world.write(import_flow, ada, file, flow_id)
    there = count(world, "flow_versions")
    assert there == 1

    assert not world.read(has_parts, flow_id), "retention looked for it while it was deleted"
    assert world.write(remove_parts, flow_id, 100) == 0
    assert world.write(remove_row, flow_id) == 0
    clock.offset += 2 * DAY
    Retention(world.database, rest=0).run()
    assert count(world, "flow_versions") == there
    assert world.read(get_flow, world.workspace_id, flow_id).newest_version == 2


def test_a_deleted_flow_without_jobs_keeps_its_title_and_nothing_else(world: World, clock: MovedClock) -> None:
    flow_id, ada = world.add_flow(), person(world.workspace_id)
    world.write(change_flow_settings, ada, flow_id, {"webhook_url": "https://a.example"})
    world.write(delete_flow, ada, flow_id)
    clock.offset += 2 * DAY
    Retention(world.database, rest=0).run()
    assert [count(world, table) for table in ("flows", "flow_versions", "deployments")] == [1, 0, 0]
    row = world.read(lambda session: session.get_one(Flow, flow_id))
    assert (row.title, row.description, row.settings, row.draft) == ("A flow", "", {}, EMPTY_DRAFT)


def test_logs_are_shortened(world: World, clock: MovedClock) -> None:
    world.write(add_entry, person(world.workspace_id), "deploy", "flow_old")
    clock.offset = 400 * DAY
    world.write(add_entry, person(world.workspace_id), "deploy", "flow_new")
    assert Retention(world.database, rest=0).run().log_rows == 1
    assert world.read(lambda session: session.scalar(text("select subject from audit"))) == "flow_new"


def test_old_lines_of_a_log_go_in_one_pass_however_many_they_are(world: World, clock: MovedClock) -> None:
    for _number in range(300):
        world.write(add_entry, person(world.workspace_id), "deploy", "flow_old")
    clock.offset = 400 * DAY
    assert Retention(world.database, rest=0).run().log_rows == 300


def test_above_the_cap_the_oldest_values_go_first_and_the_file_shrinks(world: World) -> None:
    first, second = world.add_flow(), world.add_flow()
    oldest = add(world, first, 200, 20, size=18_000)
    middle = add(world, second, 200, 10, size=18_000)
    newest = add(world, first, 200, 0.01, size=18_000)
    before = world.read(read_room).file
    cap = Rules(cap_gb=before * 0.55 / GIB)
    report = Retention(world.database, rest=0).run(cap)
    room = world.read(read_room)
    assert report.over_cap > 200
    assert room.used <= cap.cap_bytes
    assert room.file < before * 0.8
    assert not any(world.job(job).has_result for job in oldest)
    assert not world.job(middle[0]).has_result
    assert world.job(middle[-1]).has_result
    assert all(world.job(job).has_result for job in newest[::50])
    world.database.close()
    if not POSTGRES:
        assert (world.data / "flowport.db").stat().st_size < before * 0.8


def test_values_of_the_last_hour_stay_also_above_the_cap(world: World) -> None:
    flow_id = world.add_flow()
    jobs = add(world, flow_id, 50, 0.01)
    assert Retention(world.database, rest=0).run(Rules(cap_gb=0.0001)).over_cap == 0
    assert all(world.job(job).has_result for job in jobs)


def test_a_job_with_very_many_steps_is_removed_in_pieces_and_its_result_last(world: World) -> None:
    flow_id = world.add_flow()
    (job_id,) = add(world, flow_id, 1, 40)
    world.write(
        lambda session: session.info["driver"].executemany(
            "insert into job_values (job_id, node_id, index_path, name, size, data) values (?, 'read', ?, 'output', 2, '1')",
            ((job_id, str(number)) for number in range(3_000)),
        )
    )
    sizes: list[bool] = []
    retention = Retention(world.database, rest=0, _rows=50)
    inner = retention._timed

    def looked_at(verb: Any, *args: Any) -> float:
        took = inner(verb, *args)
        sizes.append(world.job(job_id).has_result)
        return took

    retention._timed = looked_at  # type: ignore[method-assign]
    retention.run(UNCAPPED)
    assert len(sizes) > 3
    assert sizes[0]
    assert not sizes[-1]
    assert count(world, "job_values") == 0


def test_the_owners_rules_count(world: World) -> None:
    assert world.read(read_rules) == Rules(30, 13, 5.0)
    world.write(put_setting, SERVER, CAP_GB, 0)
    assert world.read(read_rules) == Rules(30, 13, 0)


def back_up_for(days: int, world: World, clock: MovedClock, begun_at: int) -> None:
    """Lets the maintenance of a server that begins this many hours later work for some days, and checks its backups."""
    clock.offset += begun_at * HOUR + HOUR - clock.now() % HOUR + 10 * MINUTE  # far from the boundary of an hour
    vault = open_vault(world.data)
    settings = Settings(data=world.data, backup_passphrase="")
    monotonic = [0.0]
    maintenance = Maintenance(world.database, settings, vault, monotonic=lambda: monotonic[0])
    maintenance.pass_over()
    assert list_backups(world.data) == [], "nothing has run yet"
    world.submit(world.add_flow())
    for _ in range(24 * days):
        clock.offset += HOUR
        monotonic[0] += 3_601
        maintenance.pass_over()
    made = list_backups(world.data)
    assert len(made) == 7 if days > 7 else len(made) in (days, days + 1)
    nights = made[: days - 1]  # the first backup is made as soon as something has run
    gaps = {round((newer.at - older.at) / HOUR) for newer, older in itertools.pairwise(nights)}
    assert gaps == {24}
    assert 0 <= NIGHT_HOUR < 24
    assert not made[0].has_passphrase


@pytest.mark.parametrize(("begun_at", "days"), [(0, 3), (12, 8)])
def test_a_backup_is_made_every_night_and_seven_are_kept(
    world: World, clock: MovedClock, begun_at: int, days: int
) -> None:
    back_up_for(days, world, clock, begun_at)


@pytest.mark.slow
@pytest.mark.parametrize("begun_at", range(24))
def test_a_backup_is_made_every_night_at_whatever_hour_it_began(world: World, clock: MovedClock, begun_at: int) -> None:
    back_up_for(8, world, clock, begun_at)


def test_once_a_passphrase_is_set_a_backup_is_made_again_with_it(world: World, clock: MovedClock) -> None:
    vault, monotonic = open_vault(world.data), [0.0]
    settings = Settings(data=world.data, backup_passphrase="")
    maintenance = Maintenance(world.database, settings, vault, monotonic=lambda: monotonic[0])
    add(world, world.add_flow(), 1, days_ago=0)

    def look_after(time: int) -> list[bool]:
        clock.offset += time
        monotonic[0] += 3_601
        maintenance.pass_over()
        return [one.has_passphrase for one in list_backups(world.data)]

    assert look_after(0) == [False]
    assert look_after(10 * MINUTE) == [False]
    world.write(put_setting, SERVER, BACKUP_PASSPHRASE, seal_passphrase(vault, "four words or more"))
    assert look_after(10 * MINUTE) == [True, False]
    assert look_after(10 * MINUTE) == [True, False]


def test_a_clock_that_was_ahead_once_costs_no_nights(world: World, clock: MovedClock) -> None:
    monotonic = [0.0]
    maintenance = Maintenance(
        world.database,
        Settings(data=world.data, backup_passphrase=""),
        open_vault(world.data),
        monotonic=lambda: monotonic[0],
    )
    add(world, world.add_flow(), 1, days_ago=0)  # it has ended: hours with an open job are added up one by one

    def look_after(time: int) -> None:
        clock.offset += time
        monotonic[0] += 3_601
        maintenance.pass_over()

    for _ in range(7):
        look_after(LATE_AGE)
    nights = list_backups(world.data)
    look_after(400 * DAY)
    clock.offset -= 400 * DAY
    for _ in range(LATE_AGE // HOUR):
        look_after(HOUR)
    now = clock.now()
    ahead, *others = list_backups(world.data)
    assert ahead.at > now
    new = [one for one in others if one not in nights]
    assert len(new) in (1, 2), "as in any day"
    assert others == [*new, *nights[: 7 - len(new)]]


@pytest.mark.parametrize("after_crash", [True, False])
@pytest.mark.sqlite("It damages SQLite's file.")
def test_a_damaged_database_is_found_after_a_crash_and_at_night_and_no_backup_is_made(
    world: World, clock: MovedClock, after_crash: bool, caplog: pytest.LogCaptureFixture
) -> None:
    world.submit(world.add_flow())
    world.database.close()
    with (world.data / "flowport.db").open("r+b") as file:
        file.seek(4_096 * 40)
        file.write(b"\xa5" * 4_096 * 20)
    ended: list[bool] = []
    settings = Settings(data=world.data, backup_passphrase="")
    maintenance = Maintenance(world.database, settings, open_vault(world.data), after_crash=after_crash)
    maintenance.on_damage = lambda: ended.append(True)
    if after_crash:
        maintenance.is_sound()
    else:
        maintenance.back_up()
    assert ended == [True]
    assert "is damaged" in caplog.text
    assert "restore FILE" in caplog.text
    assert list_backups(world.data) == []


def test_a_sound_database_is_checked_once_after_a_crash(world: World) -> None:
    settings = Settings(data=world.data, backup_passphrase="")
    maintenance = Maintenance(world.database, settings, open_vault(world.data), after_crash=True)
    assert maintenance.check_due
    maintenance.pass_over()
    assert not maintenance.check_due
    assert not Maintenance(world.database, settings, open_vault(world.data)).check_due
