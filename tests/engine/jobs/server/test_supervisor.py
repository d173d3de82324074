"""The supervisor with shell scripts as workers: behaviour when the system lacks resources, and when it stops."""

from __future__ import annotations

import errno
import io
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.jobs.at_work import AtWork, suspects_in
from engine.jobs.server import supervisor as module
from engine.jobs.server.job_waiters import JobWaiters
from engine.jobs.server.supervisor import ALONE, Supervisor
from engine.jobs.worker_locks import new_boot
from tests.engine.jobs.world import World

pytestmark = pytest.mark.process

#: Reports that it takes jobs, and runs until its input closes or a signal ends it.
TAKES_JOBS = "echo ready /none; exec cat"


class Started:
    """A supervisor and the lines of its log."""

    def __init__(
        self,
        world: World,
        program: Path,
        *,
        waits_alone: Callable[[], bool] = lambda: False,
        log_fails: bool = False,
        **options: Any,
    ) -> None:
        self.lines: list[str] = []
        self._log_fails = log_fails
        self._said = threading.Condition()
        self.supervisor = Supervisor(
            [str(program)],
            os.environ,
            JobWaiters(world.database),
            waits_alone=waits_alone,
            write_line=self._hear,
            **options,
        )
        self.supervisor.start()

    def wait_for_line(self, words: str, times: int = 1) -> None:
        with self._said:
            assert self._said.wait_for(lambda: sum(words in line for line in self.lines) >= times, 30), self.lines

    def _hear(self, line: str) -> None:
        with self._said:
            self.lines.append(line)
            self._said.notify_all()
        if self._log_fails:
            raise OSError(errno.ENOSPC, "No space left on device")


def write_program(path: Path, script: str) -> None:
    """Replaces the program atomically."""
    new = path.with_suffix(".new")
    new.write_text(f"#!/bin/sh\n{script}\n")
    new.chmod(0o700)
    new.rename(path)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The path of the worker program, which a test writes before or after the start."""
    return tmp_path / "worker"


@pytest.fixture
def start(world: World, program: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Started]]:
    monkeypatch.setattr(module, "PAUSES", (0.0, 0.01))
    monkeypatch.setattr(module, "ALONE_SECONDS", 0.01)
    started: list[Started] = []

    def start(**options: Any) -> Started:
        started.append(Started(world, program, **options))
        return started[-1]

    yield start
    for one in started:
        one.supervisor.stop()
        assert one.supervisor.pids == []


def test_a_worker_that_cannot_be_started_is_tried_again_until_it_can(
    start: Callable[..., Started], program: Path
) -> None:
    one = start()
    one.wait_for_line("cannot be started", times=2)
    write_program(program, TAKES_JOBS)
    assert one.supervisor.wait_until_ready(60), one.lines


def test_a_worker_that_begins_to_tell_changes_has_readers_look_once_more(
    start: Callable[..., Started], program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it changed just before, it told nobody."""
    looked = threading.Event()
    monkeypatch.setattr(JobWaiters, "look_again", lambda _: looked.set())
    write_program(program, 'echo ready /none; while read -r line; do [ "$line" != watch ] || echo watching; done')
    one = start()
    assert one.supervisor.wait_until_ready(60), one.lines
    waiters = one.supervisor._waiters
    waiters.is_watching = True
    waiters.tell_watching()
    assert looked.wait(30)


def test_the_one_for_jobs_that_run_alone_is_tried_again_too(start: Callable[..., Started], program: Path) -> None:
    one = start(waits_alone=lambda: True)
    one.wait_for_line("cannot be started", times=4)
    write_program(program, f'[ -z "${ALONE}" ] || echo alone >&2; {TAKES_JOBS}')
    one.wait_for_line("alone")


def wait_until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_log_that_takes_no_line_keeps_no_worker_from_being_replaced(
    start: Callable[..., Started], program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker is killed, then suspended, which is found by its silence."""
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(module, "SILENT_LOOKS", 200)
    write_program(program, "echo a line >&2; while echo ready /none; do sleep 0.05; done")
    one = start(log_fails=True)
    pids: set[int | None] = {None}
    for number in (signal.SIGKILL, signal.SIGSTOP):
        wait_until(lambda: one.supervisor.pid not in pids)
        assert one.supervisor.wait_until_ready(30)
        pid = one.supervisor.pid
        assert pid is not None
        pids.add(pid)
        os.kill(pid, number)
    wait_until(lambda: one.supervisor.pid not in pids)
    one.wait_for_line("SIGKILL")
    one.wait_for_line("has said nothing")
    one.wait_for_line("a line", times=3)


@pytest.mark.parametrize("waits_alone", [False, True])
def test_an_error_in_a_thread_that_keeps_workers_is_logged_and_tried_again(
    start: Callable[..., Started], program: Path, monkeypatch: pytest.MonkeyPatch, waits_alone: bool
) -> None:
    """Of the look for jobs that run alone, and of the start of a process."""
    errors = [ZeroDivisionError("a fault"), OSError(errno.EMFILE, "Too many open files")]

    def waits() -> bool:
        if waits_alone and errors:
            raise errors.pop()
        return waits_alone

    usual = module.os.set_blocking

    def begin(descriptor: int, blocking: bool) -> None:
        if not waits_alone and errors:
            raise errors.pop()
        usual(descriptor, blocking)

    monkeypatch.setattr(module.os, "set_blocking", begin)
    write_program(program, f'[ -z "${ALONE}" ] || echo alone >&2; {TAKES_JOBS}')
    one = start(waits_alone=waits)
    assert one.supervisor.wait_until_ready(60), one.lines
    one.wait_for_line("a fault")
    one.wait_for_line("Too many open files")
    if waits_alone:
        one.wait_for_line("alone")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_keeps_workers_and_cannot_go_on_is_told_to_the_server(
    start: Callable[..., Started], program: Path
) -> None:
    lost = threading.Event()

    def waits() -> bool:
        raise SystemExit

    write_program(program, TAKES_JOBS)
    one = start(waits_alone=waits)
    one.supervisor.when_lost(lost.set)
    assert lost.wait(30)
    assert any("ended by an error" in line for line in one.lines), one.lines


def test_the_time_without_a_worker_is_counted_until_one_takes_jobs(
    start: Callable[..., Started], program: Path
) -> None:
    one = start()
    one.wait_for_line("cannot be started", times=2)
    assert one.supervisor.away_seconds > 0
    write_program(program, TAKES_JOBS)
    assert one.supervisor.wait_until_ready(60), one.lines
    assert one.supervisor.away_seconds == 0
    one.supervisor.stop()
    assert one.supervisor.away_seconds == 0, "a server that stops lacks no worker"


def test_workers_that_end_before_they_take_jobs_do_not_begin_the_time_without_one_anew(
    start: Callable[..., Started], program: Path
) -> None:
    write_program(program, "exit 1")
    one = start()
    since = one.supervisor._away_since
    one.wait_for_line("exit code 1", times=2)
    assert one.supervisor._away_since == since is not None
    write_program(program, TAKES_JOBS)
    assert one.supervisor.wait_until_ready(60), one.lines
    assert one.supervisor.away_seconds == 0


@pytest.mark.parametrize("name", ["worker-watch", "worker-notices", "worker-log"])
def test_a_worker_whose_watcher_cannot_be_started_is_ended_and_replaced(
    start: Callable[..., Started], program: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    refused: list[str] = []
    usual = threading.Thread.start

    def begin(thread: threading.Thread) -> None:
        if thread.name == name and not refused:
            refused.append(name)
            raise RuntimeError("can't start new thread")
        usual(thread)

    monkeypatch.setattr(threading.Thread, "start", begin)
    write_program(program, TAKES_JOBS)
    one = start()
    one.wait_for_line("can't start new thread")
    assert one.supervisor.wait_until_ready(60), one.lines
    one.supervisor.stop()
    assert (one.supervisor.pids, refused) == ([], [name])


@pytest.mark.parametrize(("silent_looks", "suspects"), [(1, {"job_cause"}), (12, set())], ids=["frozen", "slow to end"])
def test_a_worker_that_is_killed_because_the_server_stops_names_a_cause_only_when_it_is_frozen(
    start: Callable[..., Started],
    program: Path,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    silent_looks: int,
    suspects: set[str],
) -> None:
    _, lock = new_boot(world.data)
    AtWork(lock.descriptor).begin_in_thread("job_cause")
    write_program(program, f"trap '' TERM; echo ready {lock.path}; exec cat")
    one = start()
    assert one.supervisor.wait_until_ready(30), one.lines
    monkeypatch.setattr(module, "STOP_SECONDS", 1.2)
    one.supervisor._stopping.set()
    monkeypatch.setattr(module, "SILENT_LOOKS", silent_looks)
    one.supervisor.stop()
    assert suspects_in(lock.descriptor) == suspects
    lock.release()


def test_a_line_for_a_worker_that_ends_goes_to_no_other_connection() -> None:
    """After the pipe is closed, the next connection of a caller gets its descriptor."""
    read_end, write_end = os.pipe()

    class Ending(io.FileIO):
        closing: threading.Thread | None = None

        def fileno(self) -> int:
            number = super().fileno()
            if self.closing is None:  # the worker ends while a line is sent to it
                self.closing = threading.Thread(target=child.close)
                self.closing.start()
                self.closing.join(timeout=0.05)
            return number

    pipe = Ending(write_end, "wb")
    child = module._Child(SimpleNamespace(pid=1, stdin=pipe, stdout=None, stderr=None), alone=False)  # type: ignore[arg-type]
    child.send(b"wake\n")
    assert os.read(read_end, 100) == b"wake\n"
    assert pipe.closing is not None
    pipe.closing.join(timeout=10)
    assert pipe.closed
    child.send(b"wake\n")  # it is closed
    assert os.read(read_end, 100) == b""
    os.close(read_end)
