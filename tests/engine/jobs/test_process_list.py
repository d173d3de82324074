"""The rows of the processes: what each says of itself, and what the others see."""

from __future__ import annotations

from engine.jobs.transitions import claim
from storage.workers import API, SERVER, beat, insert_worker, list_processes, remove_worker
from tests.engine.jobs.world import World


def test_servers_come_before_workers_each_with_its_release_and_its_jobs(world: World) -> None:
    world.write(insert_worker, "boot_w", "b", 7, version="1.2.3")
    world.write(insert_worker, "boot_a", "b", 8, kind=API)
    world.write(beat, "boot_s", "z", 9, kind=SERVER, version="1.2.3", lag_ms=4)
    job_id = world.submit(world.add_flow()).job_id
    world.write(claim, "boot_w", job_id)
    seen = world.read(list_processes)
    assert [(one.boot_id, one.kind, one.host, one.pid, one.version, one.lag_ms, one.jobs) for one in seen] == [
        ("boot_s", "server", "z", 9, "1.2.3", 4, 0),
        ("boot_a", "api", "b", 8, "", 0, 0),
        ("boot_w", "worker", "b", 7, "1.2.3", 0, 1),
    ]
    world.write(remove_worker, "boot_w")
    world.write(beat, "boot_a", "b", 8, kind=API, lag_ms=70)
    assert [(one.boot_id, one.lag_ms) for one in world.read(list_processes)] == [("boot_s", 4), ("boot_a", 70)]
