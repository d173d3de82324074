"""The server's side of its worker processes: starts them, wakes them, hears from them, replaces them, stops them.

One worker takes jobs. Beside it there may be one that runs the jobs that two workers died under, one at a time (`ALONE`), and for
a minute one that lets its last jobs end because of a step that cannot be ended (`drain`): another takes new ones meanwhile.

Lines to a worker's stdin: `wake`, `cancel JOB`; the end of that pipe means stop, so a killed server leaves no orphan. Lines
from its stdout: `ready LOCK FILE`, `alive`, `job JOB`, `drain`. Its stderr goes to the server's, line by line, as
`worker[pid] ...`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from engine.core.errors import StorageUnavailable
from engine.core.logging_setup import as_text, write_to_stderr
from engine.jobs.at_work import give_up
from engine.jobs.server.job_waiters import JobWaiters

#: Set in the child's environment: `app.py worker` then talks to its parent through stdin and stdout.
PIPES = "FLOWPORT_WORKER_PIPES"
#: The same: it runs only the jobs that wait for a worker of their own, and ends.
ALONE = "FLOWPORT_WORKER_ALONE"
#: Seconds before the second, third ... restart in a row; a worker that lived for long begins anew.
PAUSES = (0.0, 0.5, 1.0, 2.0, 4.0)
LIVED_SECONDS = 10.0
#: A worker is looked at so often, and says `alive` as often. Looks are counted, not time: while this process itself gets no
#: processor, or the whole machine sleeps, no worker is taken for frozen.
LOOK_SECONDS = 0.5
#: A worker that said nothing for so many looks (6 s) is frozen: its interpreter is held or somebody stopped it. Another takes
#: its jobs within 15 s, the time it needs to begin included.
SILENT_LOOKS = 12
#: At first it reads its modules and says nothing (2 min).
STARTING_LOOKS = 240
#: How often a job that needs a worker of its own is looked for.
ALONE_SECONDS = 1.0
#: What a process or a thread that cannot be started raises.
NOT_STARTED = (OSError, RuntimeError)
#: Longer than the worker's own grace.
STOP_SECONDS = 35.0


class _Child:
    """One worker process and what was heard from it."""

    def __init__(self, process: subprocess.Popen[bytes], *, alone: bool) -> None:
        self.process = process
        self.alone = alone
        #: It has read its modules and beats.
        self.heard = False
        #: Its lock file, known when it takes jobs.
        self.lock_file: Path | None = None
        self.silent_looks = 0
        #: It takes no more jobs, or has ended.
        self.replaceable = threading.Event()
        self.ended = threading.Event()

    @property
    def name(self) -> str:
        return f"worker[{self.process.pid}]"

    def send(self, line: bytes) -> None:
        """A full pipe means that the worker is awake anyway; it also looks for cancels by itself."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError, ValueError):
            os.write(self.process.stdin.fileno(), line)

    def tell_to_stop(self) -> None:
        """SIGTERM; to one that somebody stopped as well."""
        for number in (signal.SIGTERM, signal.SIGCONT):
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)

    def kill_silent(self) -> None:
        """Ends one that does not do what it should, and keeps what it executes: those jobs may be why."""
        if self.process.poll() is None:
            if self.lock_file is not None:
                give_up(self.lock_file, self.process.pid)
            self.process.kill()

    def close(self) -> None:
        """Lets go of its pipes."""
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


class Supervisor:
    """Keeps a worker process running until `stop`. It is the bell of the server (`engine.jobs.notifier`).

    `waits_alone` says whether a job needs a worker of its own; it is asked from a thread.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        waiters: JobWaiters,
        *,
        waits_alone: Callable[[], bool] = lambda: False,
        write_line: Callable[[str], None] = write_to_stderr,
        worker_line: Callable[[str, str], str] = as_text,
    ) -> None:
        self._command = list(command)
        self._environment = {name: value for name, value in environment.items() if name != "PYTEST_CURRENT_TEST"} | {
            PIPES: "1"
        }
        self._hub = waiters
        self._waits_alone = waits_alone
        self._write_line = write_line
        self._worker_line = worker_line
        #: The one that takes jobs, and all that run.
        self._current: _Child | None = None
        self._children: list[_Child] = []
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._lock = threading.Lock()
        self._keepers = [
            threading.Thread(target=self._keep_running, name="supervisor", daemon=True),
            threading.Thread(target=self._keep_alone, name="supervisor-alone", daemon=True),
        ]

    def start(self) -> None:
        """Starts the worker in the background."""
        for keeper in self._keepers:
            keeper.start()

    def stop(self) -> None:
        """SIGTERM, and waits until the workers have ended; kills those that take too long."""
        self._stopping.set()
        with self._lock:
            children = list(self._children)
        for child in children:
            child.tell_to_stop()
        if not self._wait_for_all(STOP_SECONDS):
            for child in children:
                child.kill_silent()
            self._wait_for_all(5)

    def wait_until_ready(self, seconds: float) -> bool:
        """True as soon as a worker takes jobs."""
        return self._ready.wait(seconds)

    @property
    def pid(self) -> int | None:
        """The process id of the worker that takes jobs, None while there is none."""
        child = self._current
        return child.process.pid if child is not None and child.process.poll() is None else None

    @property
    def pids(self) -> list[int]:
        """The same of all workers."""
        with self._lock:
            return [child.process.pid for child in self._children if child.process.poll() is None]

    # The bell.

    def wake(self) -> None:
        """There is something to run."""
        child = self._current
        if child is not None:
            child.send(b"wake\n")

    def cancel(self, job_id: str) -> None:
        """A running job shall stop, whichever worker has it."""
        with self._lock:
            children = list(self._children)
        for child in children:
            child.send(f"cancel {job_id}\n".encode())

    def changed(self, *job_ids: str) -> None:
        """Changes made by this process."""
        self._hub.changed(*job_ids)

    # The worker that takes jobs.

    def _keep_running(self) -> None:
        restarts = 0
        while True:
            begun = time.monotonic()
            try:
                child = self._spawn()
            except NOT_STARTED as error:
                self._wait_to_start(error)
                continue
            if child is None:
                return
            child.replaceable.wait()
            self._current = None
            self._ready.clear()
            code = child.process.poll()
            if self._stopping.is_set():
                return
            if code is None:
                self._hurry_others_than(child)
                continue  # it lets its jobs end
            restarts = 0 if time.monotonic() - begun > LIVED_SECONDS else restarts + 1
            pause = PAUSES[min(restarts, len(PAUSES) - 1)]
            self._say(f"ended with {_told(code)}; another is started in {pause:g} s.")
            self._stopping.wait(pause)

    def _hurry_others_than(self, child: _Child) -> None:
        """One at a time has a minute to let its jobs end: however often workers are replaced, few are left."""
        with self._lock:
            earlier = [one for one in self._children if one.replaceable.is_set() and one is not child and not one.alone]
        for one in earlier:
            one.tell_to_stop()

    # The one for jobs that need a worker of their own.

    def _keep_alone(self) -> None:
        while not self._stopping.wait(ALONE_SECONDS):
            try:
                if not self._waits_alone():
                    continue
            except StorageUnavailable:
                continue  # the disk is full, or the database is busy: it is asked again
            try:
                child = self._spawn(alone=True)
            except NOT_STARTED as error:
                self._wait_to_start(error)
                continue
            if child is None:
                return
            child.ended.wait()
            if code := child.process.poll():
                self._say(f"for one job at a time ended with {_told(code)}.")

    # Each of them.

    def _spawn(self, *, alone: bool = False) -> _Child | None:
        with self._lock:
            if self._stopping.is_set():
                return None
            process = subprocess.Popen(  # noqa: S603 - our own program
                self._command,
                env={**self._environment, ALONE: "1"} if alone else self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
            )
            assert process.stdin is not None
            os.set_blocking(process.stdin.fileno(), False)
            child = _Child(process, alone=alone)
            self._children.append(child)
            if not alone:
                self._current = child
        watcher = threading.Thread(target=self._see_through, args=(child,), name="worker-watch", daemon=True)
        try:
            watcher.start()
        except RuntimeError:
            process.kill()  # nobody would see its end
            process.wait()
            self._forget(child)
            raise
        return child

    def _wait_to_start(self, error: Exception) -> None:
        """The machine is out of processes, memory, files or threads for now: a worker is started when it has some again."""
        pause = PAUSES[-1]
        self._say(f"cannot be started: {error}. It is tried again in {pause:g} s.")
        self._stopping.wait(pause)

    def _forget(self, child: _Child) -> None:
        """It has ended."""
        with self._lock:
            self._children.remove(child)
        child.close()

    def _see_through(self, child: _Child) -> None:
        """From its start to its end."""
        readers = [
            threading.Thread(target=self._hear, args=(child,), name="worker-notices", daemon=True),
            threading.Thread(target=self._pass_log_on, args=(child,), name="worker-log", daemon=True),
        ]
        try:
            for reader in readers:
                reader.start()
        except RuntimeError as error:
            self._say(f"cannot be heard: {error}. It is ended.", child.name)
            child.process.kill()
        self._wait(child)
        for reader in readers:
            if reader.ident is not None:
                reader.join(timeout=2)
        self._forget(child)
        child.ended.set()
        child.replaceable.set()

    def _wait(self, child: _Child) -> None:
        """Until the process has ended, by itself or because it is frozen."""
        while True:
            try:
                child.process.wait(timeout=LOOK_SECONDS)
                return
            except subprocess.TimeoutExpired:
                child.silent_looks += 1
                most = SILENT_LOOKS if child.heard else STARTING_LOOKS
                if child.silent_looks >= most and not self._stopping.is_set():
                    self._end_frozen(child)

    def _end_frozen(self, child: _Child) -> None:
        seconds = child.silent_looks * LOOK_SECONDS
        self._say(f"has said nothing for {seconds:g} s and is ended.", child.name)
        child.kill_silent()

    def _hear(self, child: _Child) -> None:
        for line in _lines(child.process.stdout):
            child.silent_looks, child.heard = 0, True
            word, _, rest = line.partition(" ")
            if word == "job":
                self._hub.notify(rest)
            elif word == "ready":
                child.lock_file = Path(rest)
                if not child.alone:
                    self._ready.set()
            elif word == "drain":
                child.replaceable.set()

    def _pass_log_on(self, child: _Child) -> None:
        for line in _lines(child.process.stderr):
            self._say(line, child.name)

    def _say(self, line: str, name: str = "worker") -> None:
        self._write_line(self._worker_line(line, name))

    def _wait_for_all(self, seconds: float) -> bool:
        """True when no worker is left and nobody starts one."""
        until = time.monotonic() + seconds
        for keeper in self._keepers:
            keeper.join(timeout=max(0.0, until - time.monotonic()))
        while self._children and time.monotonic() < until:
            time.sleep(0.05)
        return not self._children and not any(keeper.is_alive() for keeper in self._keepers)


def _lines(pipe: IO[bytes] | None) -> Iterator[str]:
    """The lines of a pipe as they come."""
    assert pipe is not None
    rest = b""
    while chunk := os.read(pipe.fileno(), 65_536):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.decode(errors="replace").rstrip("\r")
    if rest:
        yield rest.decode(errors="replace")


def _told(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
