"""The periodic tasks of a worker, run once a second, tested inside the test process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Iterator

import pytest

from engine.core.errors import StorageUnavailable
from engine.core.settings import Settings
from engine.jobs.outbound_rules import outbound_rules
from engine.jobs.worker.worker import WorkerOptions, _Worker, slots_within
from engine.jobs.worker_locks import new_boot
from engine.secrets.opening import open_all
from storage.settings import OUTBOUND_ALLOW, SERVER, put_setting
from storage.workers import beats
from tests.engine.jobs.world import TEST_CATALOG, World
from tests.stored import fill_disk, free_disk


class House:
    """A worker that was not started, and the pipe to its supervisor."""

    def __init__(self, world: World) -> None:
        self.heard, self.told = os.pipe()
        for end in (self.heard, self.told):
            os.set_blocking(end, False)
        boot_id, self._lock = new_boot(world.data)
        options = WorkerOptions(catalog=TEST_CATALOG)
        self.worker = _Worker(Settings(data=world.data), options, world.database, boot_id, self._lock, self.told)
        # keeps the logging of the tests unchanged
        self.worker._hidden = frozenset(world.read(open_all, self.worker._vault))

    def read(self) -> bytes:
        return os.read(self.heard, 1 << 20)

    def fill(self) -> None:
        """Fills the pipe, as happens when the server does not read it."""
        for line in (b"job job_0\n" * 100, b"\n"):
            with contextlib.suppress(BlockingIOError):
                while True:
                    os.write(self.told, line)

    def close(self) -> None:
        worker = self.worker
        asyncio.run_coroutine_threadsafe(worker._close(), worker.loop).result(timeout=30)
        worker.loop.call_soon_threadsafe(worker.loop.stop)
        for end in (self.heard, self.told, *worker._signal_pipe):
            os.close(end)
        self._lock.release()


@pytest.fixture
def house(world: World) -> Iterator[House]:
    house = House(world)
    yield house
    house.close()


def test_new_rules_for_requests_come_between_two_turns_of_the_loop_on_which_requests_begin(
    world: World, house: House
) -> None:
    worker, outbound = house.worker, house.worker.outside.outbound
    begun, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        assert go_on.wait(30)

    before = outbound._pools._rules
    worker.loop.call_soon_threadsafe(hold)
    assert begun.wait(30)
    try:
        world.write(put_setting, SERVER, OUTBOUND_ALLOW, "10.0.0.7:80")
        worker._do_periodic_work()
        assert outbound._pools._rules == before, "a request that begins at this moment would mix both"
    finally:
        go_on.set()
    assert worker._on_loop(lambda: outbound._pools._rules) == outbound_rules(worker.settings, world.database) != before


def test_a_supervisor_that_stood_still_when_its_worker_began_to_drain_is_told_again(house: House) -> None:
    house.fill()
    house.worker._begin_to_drain()
    assert b"drain" not in house.read()
    house.worker._shall_end()
    assert house.read() == b"drain\n"


def test_a_beat_that_could_not_be_written_is_tried_again_with_the_next_look(world: World, house: House) -> None:
    house.worker.host = "h" * 500_000  # larger than the free space
    world.write(fill_disk)
    with pytest.raises(StorageUnavailable):
        house.worker._beat(first=True)
    world.write(free_disk)
    house.worker._beat(first=False)
    assert house.worker.boot_id in world.read(beats)


def test_a_folder_that_cannot_be_read_is_logged_seldom_and_keeps_no_other_work_back(
    world: World, house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As when the process is out of descriptors: reading a folder takes one."""
    monkeypatch.setattr(house.worker.reaper, "_folder", world.data / "missing")
    world.write(put_setting, SERVER, OUTBOUND_ALLOW, "10.0.0.7:80")
    for _ in range(3):
        house.worker._do_periodic_work()
    assert house.worker._on_loop(lambda: house.worker.outside.outbound.rules) == outbound_rules(
        house.worker.settings, world.database
    )
    assert caplog.text.count("Jobs of other workers were not looked at") == 1


@pytest.mark.parametrize(("limit", "slots"), [(64, 1), (1_024, 448), (4_096, 1_984), (65_536, 5_000)])
def test_a_worker_takes_no_more_jobs_than_its_descriptors_are_enough_for(limit: int, slots: int) -> None:
    assert slots_within(limit) == slots
