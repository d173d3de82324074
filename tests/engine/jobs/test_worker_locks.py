"""Dead workers are detected by their file lock, workers on other machines by a missing heartbeat; neither uses the wall
clock.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.actions.knowledge import add_collection, add_site
from engine.core.clock import DAY, HOUR, MovedClock
from engine.jobs.at_work import AtWork
from engine.jobs.transitions import claim, finish, reclaim_all, send_forgotten
from engine.jobs.worker_locks import AlreadyServing, Reaper, new_boot, run_folder, serve_lock, servers_kept_out
from storage.job_changes import Lease
from storage.knowledge import list_sources
from storage.knowledge_changes import claim_next
from storage.workers import beat, beats, insert_worker, remove_worker
from tests.engine.jobs.world import World, open_world
from tests.factories import person


def a_source(world: World) -> Callable[[], str]:
    """Adds a source of knowledge that waits for a worker; returns what reads its state."""
    ada = person(world.workspace_id)
    made = world.write(add_collection, ada, "Shop")
    world.write(add_site, ada, made, "https://practice.flowport.example/")
    return lambda: world.read(list_sources, world.workspace_id, made)[0].state


@dataclass
class Stopwatch:
    """A monotonic clock that a test sets."""

    seconds: float = 1_000.0

    def __call__(self) -> float:
        return self.seconds


def messages(world: World) -> int:
    return world.read(lambda session: session.connection().exec_driver_sql("select count(*) from task").scalar())


def test_a_worker_without_a_row_and_a_job_gives_its_source_back(world: World) -> None:
    state = a_source(world)
    assert world.write(claim_next, "boot_gone") is not None
    watch = Stopwatch()
    reaper = Reaper(world.database, world.data, monotonic=watch)
    reaper.pass_over("boot_me")
    assert state() == "working"
    watch.seconds += 29
    reaper.pass_over("boot_me")
    watch.seconds += 1
    reaper.pass_over("boot_me")
    assert state() == "waiting"


def test_in_a_restored_folder_no_source_is_being_read(world: World) -> None:
    state = a_source(world)
    world.write(insert_worker, "boot_gone", "old-host", 1)
    assert world.write(claim_next, "boot_gone") is not None
    assert world.write(reclaim_all) == 0
    assert (state(), world.read(beats)) == ("waiting", {})


@pytest.mark.process
def test_a_worker_whose_lock_can_be_taken_is_dead_whatever_host_it_ran_on(world: World) -> None:
    program = (
        "import sys, time; from pathlib import Path; from engine.jobs.worker_locks import new_boot;"
        "boot, lock = new_boot(Path(sys.argv[1])); print(boot, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(world.data)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    boot_id = process.stdout.readline().strip()
    world.write(insert_worker, boot_id, "another-host", 1)
    job_id = world.submit(world.add_flow()).job_id
    world.write(claim, boot_id, job_id)
    reaper = Reaper(world.database, world.data)
    assert reaper.pass_over("boot_me") == 0
    process.kill()
    process.wait()
    process.stdout.close()
    assert reaper.pass_over("boot_me") == 1
    assert world.job(job_id).status == "queued"
    assert not (run_folder(world.data) / boot_id).exists()
    assert world.read(beats) == {}


def test_a_worker_elsewhere_is_dead_when_its_beat_stands_still_for_30_seconds(world: World) -> None:
    world.write(insert_worker, "boot_far", "far", 1)
    job_id = world.submit(world.add_flow()).job_id
    world.write(claim, "boot_far", job_id)
    watch = Stopwatch()
    reaper = Reaper(world.database, world.data, monotonic=watch)
    for _ in range(3):
        assert reaper.pass_over("boot_me") == 0
        watch.seconds += 20
        world.write(beat, "boot_far", "far", 1)
    assert reaper.pass_over("boot_me") == 0
    watch.seconds += 29
    assert reaper.pass_over("boot_me") == 0
    watch.seconds += 1
    assert reaper.pass_over("boot_me") == 1
    assert world.job(job_id).status == "queued"


def test_a_worker_here_that_stands_still_loses_its_jobs_after_30_seconds(world: World) -> None:
    boot_id, lock = new_boot(world.data)
    at_work = AtWork(lock.descriptor)
    world.write(insert_worker, boot_id, "here", os.getpid())
    cause, beside_it = (world.submit(world.add_flow()).job_id for _ in range(2))
    for job_id in (cause, beside_it):
        world.write(claim, boot_id, job_id)
    at_work.begin_in_thread(cause)
    watch = Stopwatch()
    reaper = Reaper(world.database, world.data, monotonic=watch)
    assert reaper.pass_over("boot_me") == 0
    watch.seconds += 29
    assert reaper.pass_over("boot_me") == 0
    watch.seconds += 1
    assert reaper.pass_over("boot_me") == 2
    assert [(world.job(job).status, world.job(job).attempts) for job in (cause, beside_it)] == [
        ("queued", 1),
        ("queued", 0),
    ]
    assert (run_folder(world.data) / boot_id).exists(), "it may go on, and nobody takes its name"
    late = Lease(boot_id, 1)
    assert not world.write(finish, beside_it, "completed", lease=late)
    assert world.write(claim, "boot_next", beside_it).attempt == 1
    assert not world.write(finish, beside_it, "completed", lease=late), "the same attempt, but another owner"
    lock.release()


def test_a_reaper_that_stood_still_itself_takes_nobody_for_dead(world: World) -> None:
    boot_id, lock = new_boot(world.data)
    world.write(insert_worker, boot_id, "here", os.getpid())
    world.write(claim, boot_id, world.submit(world.add_flow()).job_id)
    watch = Stopwatch()
    reaper = Reaper(world.database, world.data, monotonic=watch)
    assert reaper.pass_over("boot_me") == 0
    watch.seconds += 3_600
    assert reaper.pass_over("boot_me") == 0
    watch.seconds += 29
    assert reaper.pass_over("boot_me") == 0
    lock.release()


def test_a_worker_that_was_taken_for_dead_is_known_again_by_its_next_beat(world: World) -> None:
    world.write(insert_worker, "boot_far", "far", 1)
    world.write(remove_worker, "boot_far")
    world.write(beat, "boot_far", "far", 1)
    assert world.read(beats) == {"boot_far": 0}


@pytest.mark.parametrize("jump", [30 * DAY, -30 * DAY, HOUR, -HOUR])
def test_a_jump_of_the_wall_clock_expires_no_lease_and_gives_no_negative_time(new_data: Path, jump: int) -> None:
    clock = MovedClock()
    world = open_world(new_data, clock=clock)
    boot_id, lock = new_boot(world.data)
    world.write(insert_worker, boot_id, "here", os.getpid())
    job_id, waiting = (world.submit(world.add_flow()).job_id for _ in range(2))
    world.write(claim, boot_id, job_id)
    clock.offset += jump
    reaper = Reaper(world.database, world.data)
    assert reaper.pass_over("boot_me") == 0
    assert world.job(job_id).status == "processing"
    world.database.info.clear()
    sent = messages(world)
    world.write(send_forgotten)
    assert messages(world) == sent + 1
    world.write(claim, boot_id, waiting)
    for ended in (job_id, waiting):
        world.write(finish, ended, "completed", lease=Lease(boot_id, 1))
        job = world.job(ended)
        assert job.created_at <= (job.started_at or 0) <= (job.completed_at or 0)
    lock.release()
    world.database.close()


def test_a_queued_job_is_sent_again_when_its_message_is_older_than_5_seconds(new_data: Path) -> None:
    clock = MovedClock()
    world = open_world(new_data, clock=clock)
    job_id = world.submit(world.add_flow()).job_id
    world.write(lambda session: session.connection().exec_driver_sql("delete from task"))
    assert world.write(send_forgotten) == 0
    clock.offset += 5_100
    assert world.write(send_forgotten) == 1
    assert world.write(send_forgotten) == 0
    assert messages(world) == 1
    world.write(claim, "boot_w", job_id)
    clock.offset += 60_000
    assert world.write(send_forgotten) == 0
    world.database.close()


def test_one_server_per_data_folder(tmp_path: Path) -> None:
    lock = serve_lock(tmp_path)
    with pytest.raises(AlreadyServing, match="Another Flowport server is running"):
        serve_lock(tmp_path)
    lock.release()
    serve_lock(tmp_path).release()


def test_a_server_learns_how_the_last_one_ended(tmp_path: Path) -> None:
    first = serve_lock(tmp_path)
    assert (first.after_crash, first.damaged) == (False, False)
    first.note_running()
    os.close(first.descriptor)  # as when it is killed

    after = serve_lock(tmp_path)
    assert (after.after_crash, after.damaged) == (True, False)
    after.note_running()
    after.note_damaged()
    after.release()

    refused = serve_lock(tmp_path)
    assert (refused.after_crash, refused.damaged) == (False, True)
    os.close(refused.descriptor)  # it refuses to start, and leaves the note

    restored = serve_lock(tmp_path)
    assert restored.damaged
    restored.note_running()
    restored.release()
    clean = serve_lock(tmp_path)
    assert (clean.after_crash, clean.damaged) == (False, False)
    clean.release()


def test_a_server_waits_for_the_tables_to_be_brought_up_to_date(tmp_path: Path) -> None:
    """Who does that has the server's lock meanwhile, and is no server."""
    migrating = (tmp_path / "migrate.lock").open("w")
    fcntl.flock(migrating, fcntl.LOCK_EX)
    held = ExitStack()
    assert held.enter_context(servers_kept_out(tmp_path)) == ""
    with ThreadPoolExecutor(1) as other:
        serving = other.submit(serve_lock, tmp_path)
        with pytest.raises(TimeoutError):
            serving.result(0.2)
        held.close()
        migrating.close()
        serving.result(30).release()
