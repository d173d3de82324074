"""After a frozen worker is killed, its lock file shows what it executed; abandoned work frees its thread."""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from engine.core.shared_places import CURRENT_WORKSPACE
from engine.jobs.at_work import AtWork, give_up, is_stopped, suspects_in, suspects_of_silent
from engine.jobs.worker.threads import PLACES, Threads
from engine.jobs.worker_locks import new_boot

NOBODY = 2**22 + 1  # larger than every process id


@pytest.fixture
def file(tmp_path: Path):
    _, lock = new_boot(tmp_path)
    yield lock
    lock.release()


def test_a_worker_that_died_by_itself_leaves_no_hint(file) -> None:
    at_work = AtWork(file.descriptor)
    at_work.begin_in_thread("job_a")
    assert suspects_in(file.descriptor) is None


def test_the_jobs_in_threads_and_on_the_loop_are_the_suspects_of_a_frozen_worker(file) -> None:
    at_work = AtWork(file.descriptor)
    over = at_work.begin_in_thread("job_over")
    at_work.begin_in_thread("job_thread")
    at_work.end_in_thread(over)
    seen = []

    async def freeze() -> None:
        assert at_work.on_loop == "job_loop"
        give_up(file.path, NOBODY)
        seen.append(suspects_in(file.descriptor))

    with pytest.raises(StopIteration):
        at_work.watched("job_loop", freeze()).send(None)
    assert seen == [{"job_loop", "job_thread"}]
    assert at_work.on_loop is None
    assert suspects_in(file.descriptor) == {"job_thread"}


def test_all_are_suspects_of_a_frozen_worker_in_which_nobody_is_named(file) -> None:
    AtWork(file.descriptor)
    give_up(file.path, NOBODY)
    assert suspects_in(file.descriptor) is None


@pytest.mark.process
def test_nobody_is_the_cause_when_somebody_stopped_the_worker(file) -> None:
    at_work = AtWork(file.descriptor)
    at_work.begin_in_thread("job_a")
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert not is_stopped(other.pid)
        other.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, other.pid, os.WSTOPPED | os.WNOWAIT)
        give_up(file.path, other.pid)
        assert suspects_in(file.descriptor) == frozenset()
    finally:
        other.kill()
        other.communicate()


def test_the_suspects_of_a_worker_that_lives_but_says_nothing(file) -> None:
    assert suspects_of_silent(file.descriptor) is None, "a file of an earlier version"
    at_work = AtWork(file.descriptor)
    assert suspects_of_silent(file.descriptor) is None
    at_work.begin_in_thread("job_a")
    assert suspects_of_silent(file.descriptor) == {"job_a"}


def test_without_room_for_the_record_the_worker_works_all_the_same(tmp_path: Path) -> None:
    file = os.open(tmp_path / "lock", os.O_CREAT | os.O_RDONLY)
    at_work = AtWork(file)
    at_work.end_in_thread(at_work.begin_in_thread("job_a"))
    assert suspects_in(file) is None
    os.close(file)


async def test_a_watched_coroutine_is_one_for_the_loop_and_for_libraries(file) -> None:
    at_work = AtWork(file.descriptor)
    stopped = []

    async def work() -> str:
        try:
            await asyncio.sleep(0)
            assert at_work.on_loop == "job_a"
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            stopped.append(at_work.on_loop)
            raise
        return "never"

    task = asyncio.get_running_loop().create_task(at_work.watched("job_a", work()))
    assert inspect.getcoroutinestate(task.get_coro()) == inspect.CORO_CREATED
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert inspect.getcoroutinestate(task.get_coro()) == inspect.CORO_SUSPENDED
    assert at_work.on_loop is None
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stopped == ["job_a"]


async def test_work_that_nobody_waits_for_gives_its_place_to_others_and_is_known_until_it_ends() -> None:
    threads = Threads(AtWork(), stuck_seconds=0)
    go, begun = threading.Event(), threading.Semaphore(0)

    def wait() -> None:
        begun.release()
        go.wait()

    left = [asyncio.create_task(threads.run("job_a", wait)) for _ in range(PLACES)]
    for _ in left:
        assert await asyncio.to_thread(begun.acquire, timeout=60)
    waits = asyncio.create_task(threads.run("job_b", lambda: "done"))
    assert not threads.left_behind
    for task in left:
        task.cancel()
    assert await waits == "done"
    assert threads.left_behind
    assert threads.stuck
    assert not Threads(AtWork()).stuck
    go.set()
    while threads.left_behind:
        await asyncio.sleep(0.001)
    assert not threads.stuck
    threads.shutdown()


async def test_slow_work_of_one_workspace_holds_up_no_other() -> None:
    threads = Threads(AtWork())
    one_ends, order = threading.Semaphore(0), list[str]()

    def slow() -> None:
        order.append("a")
        one_ends.acquire()

    CURRENT_WORKSPACE.set("a")
    theirs = [asyncio.create_task(threads.run("job_a", slow)) for _ in range(PLACES + 6)]
    await asyncio.sleep(0)
    CURRENT_WORKSPACE.set("b")
    ours = asyncio.create_task(threads.run("job_b", lambda: order.append("b")))
    await asyncio.sleep(0)
    one_ends.release()
    while len(order) <= PLACES:
        await asyncio.sleep(0.001)
    for _ in theirs:
        one_ends.release()
    await asyncio.gather(*theirs, ours)
    assert order[: PLACES + 1] == ["a"] * PLACES + ["b"]
    threads.shutdown()


async def test_work_that_raises_raises_where_it_is_waited_for() -> None:
    threads = Threads(AtWork())
    with pytest.raises(ZeroDivisionError):
        await threads.run("job_a", lambda: 1 / 0)
    assert not threads.left_behind
    threads.shutdown()
