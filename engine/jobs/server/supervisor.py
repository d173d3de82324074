"""The server's control of its worker processes: it starts, wakes, watches, replaces and stops them.

One worker takes jobs from the queue. Beside it, a second one may run the jobs under which two workers died, one at a
time (`ALONE`). A worker with a step that cannot be ended lets its other jobs end for up to a minute (`drain`), while a
new worker takes jobs.

A worker without a server, `app.py worker`, has a supervisor that starts the second one only (`only_alone`): the servers
may all be on other machines, or run no worker. Several supervisors of the same jobs do no harm, because a job is claimed
by one worker; one that finds none ends.

The server writes the lines `wake` and `cancel JOB` to a worker's stdin; the end of that pipe means stop, so a killed
server leaves no orphan. A worker writes the lines `ready LOCK FILE`, `alive`, `job JOB` and `drain` to its stdout. Its
stderr goes to the server's stderr line by line, as `worker[pid] ...`.

The threads go on after every error: of the log (the line is lost), of a start (files, processes, memory, threads), of the
database and of this program. Each is logged, and what failed is tried again. Should one of the two that keep workers end
all the same, the server is told (`when_lost`) and ends, since nobody else would notice.
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
from engine.core.log_throttle import LogThrottle
from engine.core.logging_setup import as_text, write_to_stderr
from engine.jobs.at_work import give_up
from engine.jobs.server.copied_worker import CopiedProcess
from engine.jobs.server.end_of_process import EndOfProcess
from engine.jobs.server.job_waiters import JobWaiters

#: Environment variable of the child: `app.py worker` exchanges lines with its parent through stdin and stdout.
PIPES = "FLOWPORT_WORKER_PIPES"
#: Environment variable of the child: it runs only the jobs that must run alone in a process, and then ends.
ALONE = "FLOWPORT_WORKER_ALONE"
#: Seconds before a restart, by the number of workers in a row that ended within LIVED_SECONDS.
PAUSES = (0.0, 0.5, 1.0, 2.0, 4.0)
LIVED_SECONDS = 10.0
#: The interval of checks, and of the worker's `alive`. Checks are counted instead of time: while this process gets no
#: processor time, or the machine sleeps, no worker counts as frozen.
LOOK_SECONDS = 0.5
#: A worker that sent no line during this many checks (6 s) is frozen: its interpreter is blocked, or it was suspended.
#: Another worker has its jobs within 15 s, including the time in which it starts.
SILENT_LOOKS = 12
#: The same limit for a worker that is still importing its modules and sends nothing yet (2 min).
STARTING_LOOKS = 240
#: The interval in which the supervisor checks whether a job must run alone in a process.
ALONE_SECONDS = 1.0
#: How long `stop` waits before it kills workers; longer than the time that a worker gives its jobs to end.
STOP_SECONDS = 35.0


class _Child:
    """One worker process, and what its lines have said."""

    def __init__(self, process: subprocess.Popen[bytes] | CopiedProcess, *, alone: bool) -> None:
        self.process = process
        self.alone = alone
        #: True after its first line: it has imported its modules.
        self.heard = False
        #: Its lock file; None until it takes jobs.
        self.lock_file: Path | None = None
        self.silent_looks = 0
        #: What it was told last of whether somebody watches jobs; None: nothing, and it tells all changes.
        self.is_watched: bool | None = None
        #: Held while the pipe to the worker is written to or closed: after it is closed, the next connection of a caller
        #: may get its descriptor.
        self._sending = threading.Lock()
        #: Set when it takes no more jobs or has ended.
        self.replaceable = threading.Event()
        self.ended = threading.Event()

    @property
    def name(self) -> str:
        return f"worker[{self.process.pid}]"

    def send(self, line: bytes) -> bool:
        """Writes a line to the worker. Returns whether it was written.

        With a full pipe it is not: the worker is awake then, and it polls for cancellations itself.
        """
        pipe = self.process.stdin
        assert pipe is not None
        with self._sending, contextlib.suppress(OSError):
            if not pipe.closed:
                os.write(pipe.fileno(), line)
                return True
        return False

    def terminate(self) -> None:
        """Sends SIGTERM, and SIGCONT so that a suspended process ends too."""
        for number in (signal.SIGTERM, signal.SIGCONT):
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)

    @property
    def silent(self) -> bool:
        """True when it sent no line for so long that it counts as frozen."""
        return self.silent_looks >= (SILENT_LOOKS if self.heard else STARTING_LOOKS)

    def kill(self) -> None:
        """Kills a worker, and records whether it was frozen: only then may the jobs that it executes be the cause."""
        if self.process.poll() is None:
            if self.lock_file is not None:
                give_up(self.lock_file, self.process.pid, responds=not self.silent)
            self.process.kill()

    def close(self) -> None:
        """Closes the pipe to the worker. Who reads what comes from it closes the other two."""
        assert self.process.stdin is not None
        with self._sending, contextlib.suppress(OSError):
            self.process.stdin.close()

    def close_unread(self) -> None:
        """Closes the pipes from the worker, which nobody reads."""
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()


class Supervisor:
    """Keeps a worker process running until `stop`. It is the server's JobNotifier (`engine.jobs.notifier`).

    `waits_alone` returns whether a job must run alone in a process; it is called from a thread. `only_alone`: workers for
    such jobs are the only ones that it starts. `first`: a copy of this process that becomes the first worker.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        waiters: JobWaiters,
        *,
        waits_alone: Callable[[], bool] = lambda: False,
        only_alone: bool = False,
        first: CopiedProcess | None = None,
        write_line: Callable[[str], None] = write_to_stderr,
        worker_line: Callable[[str, str], str] = as_text,
    ) -> None:
        self._command = list(command)
        self._environment = {name: value for name, value in environment.items() if name != "PYTEST_CURRENT_TEST"}
        #: What workers have beside that.
        self._added = {PIPES: "1"}
        self._first = first
        self._waiters = waiters
        waiters.tell_watching = self._tell_watching
        self._waits_alone = waits_alone
        self._write_line = write_line
        self._worker_line = worker_line
        #: The worker that takes jobs, and all workers that run.
        self._current: _Child | None = None
        self._children: list[_Child] = []
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._lock = threading.Lock()
        #: Held while a worker is told whether somebody watches, so that it hears last what is so now.
        self._telling = threading.Lock()
        self._log_throttle = LogThrottle()
        #: How many workers in a row ended early.
        self._restarts = 0
        #: Since when no worker takes jobs, on the monotonic clock; None while one does, and before the start.
        self._away_since: float | None = None
        #: True when a thread that keeps workers has ended by an error, and what is called then.
        self.is_lost = False
        self._on_lost: Callable[[], object] = lambda: None
        turns = {"supervisor-alone": self._run_alone}
        if not only_alone:
            turns["supervisor"] = self._run_one
        self._keeps_one = not only_alone
        self._keepers = [
            threading.Thread(target=self._keep, args=(turn,), name=name, daemon=True) for name, turn in turns.items()
        ]

    def tell_workers(self, name: str, value: str) -> None:
        """Adds a variable to the environment of workers. Called before `start`."""
        self._added[name] = value

    def start(self) -> None:
        """Starts the workers in the background."""
        if self._keeps_one:
            self._away_since = time.monotonic()
        for keeper in self._keepers:
            keeper.start()

    def stop(self) -> None:
        """Sends SIGTERM and waits until the workers have ended; kills those that take too long."""
        children = self.terminate()
        if self._first is not None:  # it has never become a worker
            self._first.kill()
            self._first.wait()
        if not self._wait_for_all(STOP_SECONDS):
            for child in children:
                child.kill()
            self._wait_for_all(5)

    def terminate(self) -> list[_Child]:
        """Starts no more workers and sends SIGTERM to those that run, which are returned. After a second one they give their
        jobs no time to end.
        """
        self._stopping.set()
        children = self._all_children()
        for child in children:
            child.terminate()
        return children

    def wait_until_ready(self, seconds: float) -> bool:
        """Returns True as soon as a worker takes jobs, False when none does within `seconds`."""
        return self._ready.wait(seconds)

    def when_lost(self, end: Callable[[], object]) -> None:
        """Calls `end`, in any thread, when no thread keeps workers any more; at once when that has happened already."""
        self._on_lost = end
        if self.is_lost:
            end()

    @property
    def away_seconds(self) -> float:
        """For how many seconds no worker has taken jobs, 0 while one does and when none is wanted."""
        since = self._away_since
        return 0.0 if since is None or self._stopping.is_set() else time.monotonic() - since

    @property
    def pid(self) -> int | None:
        """The process id of the worker that takes jobs, None while there is none."""
        child = self._current
        return child.process.pid if child is not None and child.process.poll() is None else None

    @property
    def pids(self) -> list[int]:
        """The process ids of all workers that run."""
        with self._lock:
            return [child.process.pid for child in self._children if child.process.poll() is None]

    # The methods of JobNotifier.

    def wake(self) -> None:
        """Wakes the worker that takes jobs: a job was queued."""
        child = self._current
        if child is not None:
            child.send(b"wake\n")

    def cancel(self, job_id: str) -> None:
        """Sends the request to stop a running job to all workers, since any of them may run it."""
        for child in self._all_children():
            child.send(f"cancel {job_id}\n".encode())

    def changed(self, *job_ids: str) -> None:
        """Notifies the waiting readers of changes that this process made."""
        self._waiters.changed(*job_ids)

    def ended(self, *job_ids: str) -> None:
        """Notifies the waiting readers of jobs and batches that this process ended."""
        self._waiters.ended(*job_ids)

    def _tell_watching(self) -> None:
        """Tells all workers whether a reader waits for more than the ends of jobs: only then they tell other changes."""
        for child in self._all_children():
            self._tell_whether_watched(child)

    def _tell_whether_watched(self, child: _Child) -> None:
        with self._telling:
            is_watching = self._waiters.is_watching
            if child.is_watched is not is_watching and child.send(b"watch\n" if is_watching else b"unwatch\n"):
                child.is_watched = is_watching

    def _all_children(self) -> list[_Child]:
        with self._lock:
            return list(self._children)

    # The threads that keep workers.

    def _keep(self, turn: Callable[[], None]) -> None:
        """Takes turns until the stop. A turn that fails is logged, and the next one follows after a pause."""
        try:
            while not self._stopping.is_set():
                try:
                    turn()
                except Exception as error:  # noqa: BLE001 - who would start a worker afterwards?
                    self._wait_to_start(error)
        finally:
            if not self._stopping.is_set():
                self.is_lost = True
                self._say("are not started any more: the thread for it ended by an error. The server ends.", "workers")
                self._on_lost()

    # The worker that takes jobs from the queue.

    def _run_one(self) -> None:
        """Starts a worker and returns when another one is to be started."""
        begun = time.monotonic()
        child = self._spawn()
        if child is None:
            return
        child.replaceable.wait()
        self._current = None
        self._ready.clear()
        if self._away_since is None:  # one that ended before it took jobs has been away since before its start
            self._away_since = time.monotonic()
        code = child.process.poll()
        if self._stopping.is_set():
            return
        if code is None:
            self._stop_earlier_drains(child)
            return  # the worker is draining
        self._restarts = 0 if time.monotonic() - begun > LIVED_SECONDS else self._restarts + 1
        pause = PAUSES[min(self._restarts, len(PAUSES) - 1)]
        self._say(f"ended with {_exit_reason(code)}; another is started in {pause:g} s.")
        self._stopping.wait(pause)

    def _stop_earlier_drains(self, child: _Child) -> None:
        """Stops workers that started to drain earlier.

        Only the latest one keeps its minute, so that few processes exist at a time.
        """
        with self._lock:
            earlier = [one for one in self._children if one.replaceable.is_set() and one is not child and not one.alone]
        for one in earlier:
            one.terminate()

    # The worker for jobs that must run alone in a process.

    def _run_alone(self) -> None:
        """Waits a second; then runs a worker until it ends, if a job must run alone."""
        if self._stopping.wait(ALONE_SECONDS):
            return
        try:
            if not self._waits_alone():
                return
        except StorageUnavailable:
            return  # the disk is full, or the database is busy: tried again
        child = self._spawn(alone=True)
        if child is None:
            return
        child.ended.wait()
        if code := child.process.poll():
            self._say(f"for one job at a time ended with {_exit_reason(code)}.")

    # Every worker.

    def _spawn(self, *, alone: bool = False) -> _Child | None:
        with self._lock:
            if self._stopping.is_set():
                return None
            process = self._start_process(alone=alone)
            child = _Child(process, alone=alone)
            self._children.append(child)
        watcher = threading.Thread(target=self._watch_child, args=(child,), name="worker-watch", daemon=True)
        try:
            assert process.stdin is not None
            os.set_blocking(process.stdin.fileno(), False)
            if not alone:
                self._current = child
            watcher.start()
        except BaseException:
            self._current = None if self._current is child else self._current
            process.kill()  # no thread would notice its end
            process.wait()
            self._forget(child)
            child.close_unread()
            raise
        return child

    def _start_process(self, *, alone: bool) -> subprocess.Popen[bytes] | CopiedProcess:
        if self._first is not None and not alone:
            process, self._first = self._first, None
            process.begin(self._added)
            return process
        return subprocess.Popen(  # noqa: S603 - our own program
            self._command,
            env={**self._environment, **self._added, **({ALONE: "1"} if alone else {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )

    def _wait_to_start(self, error: Exception) -> None:
        """Waits because the machine is out of processes, memory, files or threads, or because of a fault.

        The caller then tries to start a worker again.
        """
        pause = PAUSES[-1]
        reason = str(error) if isinstance(error, OSError | RuntimeError) else repr(error)
        self._say(f"cannot be started: {reason}. It is tried again in {pause:g} s.")
        self._stopping.wait(pause)

    def _forget(self, child: _Child) -> None:
        """Removes a worker that has ended."""
        with self._lock:
            self._children.remove(child)
        child.close()

    def _watch_child(self, child: _Child) -> None:
        """Watches a worker from its start to its end, in a thread of its own."""
        try:
            self._watch_to_its_end(child)
        finally:
            child.ended.set()
            child.replaceable.set()

    def _watch_to_its_end(self, child: _Child) -> None:
        readers = [
            threading.Thread(target=self._read_notices, args=(child,), name="worker-notices", daemon=True),
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
        if readers[-1].ident is None:
            child.close_unread()

    def _wait(self, child: _Child) -> None:
        """Waits until the process has ended, by itself or killed because it is frozen."""
        with EndOfProcess(child.process) as end:
            while True:
                try:
                    if end.wait(LOOK_SECONDS):
                        return
                    child.silent_looks += 1
                    if child.silent and not self._stopping.is_set():
                        self._end_frozen(child)
                except Exception as error:  # noqa: BLE001 - nobody else would notice its end
                    self._stumbled(error, child)
                    time.sleep(LOOK_SECONDS)

    def _end_frozen(self, child: _Child) -> None:
        seconds = child.silent_looks * LOOK_SECONDS
        self._say(f"has said nothing for {seconds:g} s and is ended.", child.name)
        child.kill()

    def _read_notices(self, child: _Child) -> None:
        for lines in _chunks_of_lines(child.process.stdout):
            child.silent_looks, child.heard = 0, True
            try:
                self._hear(child, [line.partition(" ") for line in lines])
            except Exception as error:  # noqa: BLE001 - a worker that nobody hears would count as frozen
                self._stumbled(error, child)

    def _hear(self, child: _Child, said: list[tuple[str, str, str]]) -> None:
        if child.is_watched is not self._waiters.is_watching:  # it is new, or its pipe was full
            self._tell_whether_watched(child)
        self._waiters.changed(*(job_id for word, _, job_id in said if word == "job"))
        self._waiters.ended(*(job_id for word, _, job_id in said if word == "end"))
        for word, _, rest in said:
            if word == "ready":
                child.lock_file = Path(rest)
                if not child.alone:
                    self._away_since = None
                    self._ready.set()
            elif word == "drain":
                child.replaceable.set()
            elif word == "watching":
                self._waiters.look_again()

    def _pass_log_on(self, child: _Child) -> None:
        for line in _lines(child.process.stderr):
            self._say(line, child.name)

    def _stumbled(self, error: Exception, child: _Child) -> None:
        """Logs an error of a thread that watches a worker, and goes on with it."""
        if not self._stopping.is_set() and self._log_throttle.may_say("watch"):
            self._say(f"is watched with an error: {error!r}", child.name)

    def _say(self, line: str, name: str = "worker") -> None:
        """Writes a line to the log. An error of the log is passed over: workers depend on the thread that calls this."""
        with contextlib.suppress(Exception):
            self._write_line(self._worker_line(line, name))

    def _wait_for_all(self, seconds: float) -> bool:
        """True when no worker is left and no thread can start another one."""
        until = time.monotonic() + seconds
        for keeper in self._keepers:
            if keeper.ident is not None:  # of a server that starts no worker it is None
                keeper.join(timeout=max(0.0, until - time.monotonic()))
        while self._children and time.monotonic() < until:
            time.sleep(0.05)
        return not self._children and not any(keeper.is_alive() for keeper in self._keepers)


def _lines(pipe: IO[bytes] | None) -> Iterator[str]:
    """Yields the lines of a pipe as they arrive, without their line ends."""
    for lines in _chunks_of_lines(pipe):
        yield from lines


def _chunks_of_lines(pipe: IO[bytes] | None) -> Iterator[list[str]]:
    """Yields the lines that arrived together, without their line ends, and closes the pipe at its end."""
    assert pipe is not None
    rest = b""
    with pipe:
        while chunk := os.read(pipe.fileno(), 65_536):
            *lines, rest = (rest + chunk).split(b"\n")
            yield [line.decode(errors="replace").rstrip("\r") for line in lines]
    if rest:
        yield [rest.decode(errors="replace")]


def _exit_reason(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
