"""The server's side of its worker process: starts it, wakes it, hears from it, restarts it, stops it.

Lines to the worker's stdin: `wake`, `cancel JOB`; the end of that pipe means stop, so a killed server leaves no orphan. Lines
from its stdout: `ready`, `alive`, `job JOB`. Its stderr goes to the server's, line by line, as `worker[pid] ...`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO

from engine.jobs.hub import Hub
from engine.log_lines import as_text, write_to_stderr

#: Set in the child's environment: `app.py worker` then talks to its parent through stdin and stdout.
PIPES = "FLOWPORT_WORKER_PIPES"
#: Seconds before the second, third ... restart in a row; a worker that lived for long begins anew.
PAUSES = (0.0, 0.5, 1.0, 2.0, 4.0)
LIVED_SECONDS = 10.0
#: A worker that said nothing for so many seconds (it says `alive` every second) is killed.
SILENT_SECONDS = 60
#: Longer than the worker's own grace.
STOP_SECONDS = 35.0


class Supervisor:
    """Keeps one worker process running until `stop`. It is the bell of the server (`engine.jobs.bell`)."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        hub: Hub,
        *,
        write_line: Callable[[str], None] = write_to_stderr,
        worker_line: Callable[[str, str], str] = as_text,
    ) -> None:
        self._command = list(command)
        self._environment = {name: value for name, value in environment.items() if name != "PYTEST_CURRENT_TEST"} | {
            PIPES: "1"
        }
        self._hub = hub
        self._write_line = write_line
        self._worker_line = worker_line
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._silent_seconds = 0
        self._lock = threading.Lock()
        self._keeper = threading.Thread(target=self._keep_running, name="supervisor", daemon=True)

    def start(self) -> None:
        """Starts the worker in the background."""
        self._keeper.start()

    def stop(self) -> None:
        """SIGTERM, and waits until the worker has ended; kills it when it takes too long."""
        self._stopping.set()
        with self._lock:
            process = self._process
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        self._keeper.join(timeout=STOP_SECONDS)
        if self._keeper.is_alive() and process is not None:
            process.kill()
            self._keeper.join(timeout=5)

    def wait_until_ready(self, seconds: float) -> bool:
        """True as soon as a worker takes jobs."""
        return self._ready.wait(seconds)

    @property
    def ready(self) -> bool:
        """True while a worker takes jobs."""
        return self._ready.is_set()

    @property
    def pid(self) -> int | None:
        """The worker's process id, None while there is none."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    # The bell.

    def wake(self) -> None:
        """There is something to run."""
        self._send(b"wake\n")

    def cancel(self, job_id: str) -> None:
        """A running job shall stop."""
        self._send(f"cancel {job_id}\n".encode())

    def changed(self, *job_ids: str) -> None:
        """Changes made by this process."""
        self._hub.changed(*job_ids)

    def _send(self, line: bytes) -> None:
        """A full pipe means that the worker is awake anyway; it also looks for cancels by itself."""
        process = self._process
        if process is not None and process.stdin is not None:
            with contextlib.suppress(OSError, ValueError):
                os.write(process.stdin.fileno(), line)

    def _keep_running(self) -> None:
        restarts = 0
        while not self._stopping.is_set():
            begun = time.monotonic()
            code = self._run_once()
            if self._stopping.is_set():
                return
            restarts = 0 if time.monotonic() - begun > LIVED_SECONDS else restarts + 1
            pause = PAUSES[min(restarts, len(PAUSES) - 1)]
            self._write_line(
                self._worker_line(f"ended with {_told(code)}; another is started in {pause:g} s.", "worker")
            )
            self._stopping.wait(pause)

    def _run_once(self) -> int:
        process = self._spawn()
        if process is None:
            return 0
        readers = [
            threading.Thread(target=self._hear, args=(process,), name="worker-notices", daemon=True),
            threading.Thread(target=self._pass_log_on, args=(process,), name="worker-log", daemon=True),
        ]
        for reader in readers:
            reader.start()
        self._silent_seconds = 0
        code = self._wait(process)
        self._ready.clear()
        for reader in readers:
            reader.join(timeout=2)
        with self._lock:
            self._process = None
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        return code

    def _spawn(self) -> subprocess.Popen[bytes] | None:
        with self._lock:
            if self._stopping.is_set():
                return None
            process = subprocess.Popen(  # noqa: S603 - our own program
                self._command,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
            )
            assert process.stdin is not None
            os.set_blocking(process.stdin.fileno(), False)
            self._process = process
            return process

    def _wait(self, process: subprocess.Popen[bytes]) -> int:
        while True:
            try:
                return process.wait(timeout=1)
            except subprocess.TimeoutExpired:
                self._silent_seconds += 1
                if self._silent_seconds >= SILENT_SECONDS and self._ready.is_set():
                    self._write_line(self._worker_line("says nothing any more and is ended.", f"worker[{process.pid}]"))
                    process.kill()

    def _hear(self, process: subprocess.Popen[bytes]) -> None:
        for line in _lines(process.stdout):
            self._silent_seconds = 0
            word, _, job_id = line.partition(" ")
            if word == "job":
                self._hub.notify(job_id)
            elif word == "ready":
                self._ready.set()

    def _pass_log_on(self, process: subprocess.Popen[bytes]) -> None:
        for line in _lines(process.stderr):
            self._write_line(self._worker_line(line, f"worker[{process.pid}]"))


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
