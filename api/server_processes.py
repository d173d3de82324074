"""Several processes of one server at one port (`serve --processes N`): starts them, replaces those that end, and ends all.

The parent opens the listening socket and every process accepts from it, so a connection that waits is taken by a process
that lives; with a socket for each process (SO_REUSEPORT) the connections of a killed one are reset. Each process has a
socket to its parent as stdin: it writes a line when it is ready, and the end of it means stop, so a killed parent leaves
no orphan. The parent answers no call.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

#: Environment variables of each process: the folder in which all count their calls, for `/metrics`, by prometheus_client's
#: name, and the number of the process.
FIGURES, NUMBER = "PROMETHEUS_MULTIPROC_DIR", "FLOWPORT_PROCESS"
#: The files of the process with a number, by prometheus_client's names, and the bytes of each: there is room for every route
#: with every status.
FIGURE_FILES, FIGURE_BYTES = ("counter_{}.db", "histogram_{}.db"), 512 * 1024
_READY = b"ready\n"
#: Seconds before another start, by the number of processes in a row that ended within LIVED_SECONDS.
PAUSES = (0.0, 0.5, 1.0, 2.0, 4.0)
LIVED_SECONDS = 10.0
#: A process that is suspended (SIGSTOP) at this many looks in a row (6 s) is ended, as a worker is: its connections and what
#: it does for all servers would wait for ever. Looks are counted instead of time, as all may have been suspended together.
LOOK_SECONDS = 0.5
SUSPENDED_LOOKS = 12
#: How long the parent waits for the others after a signal before it kills them; longer than a server's own limits.
STOP_SECONDS = 50.0


@dataclass
class _Place:
    """One of the N processes, which others follow when it ends."""

    number: int
    process: subprocess.Popen[bytes] | None = None
    pipe: socket.socket | None = None
    begun: float = 0.0
    #: When it is started, on the monotonic clock, and how many in a row ended early.
    due: float = 0.0
    short_lives: int = 0
    suspended_looks: int = 0

    @property
    def suspended(self) -> bool:
        """Whether its process was stopped by a signal and has not gone on; not known on macOS before Python 3.13."""
        if self.process is None or not hasattr(os, "waitid"):
            return False
        with contextlib.suppress(ChildProcessError):  # it has ended
            return os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT) is not None
        return False


class ServerProcesses:
    """Runs `command_of(number)` for the numbers 0 to `count` - 1 on one listening socket, until SIGTERM or SIGINT.

    `environment` tells them the descriptor of the listener, which has the same number in each. `say` prints a line.
    """

    def __init__(
        self,
        command_of: Callable[[int], Sequence[str]],
        environment: Mapping[str, str],
        listener: socket.socket,
        count: int,
        say: Callable[[str], None],
    ) -> None:
        self._command_of = command_of
        self._environment = dict(environment)
        self._listener = listener
        self._say = say
        self._places = [_Place(number) for number in range(count)]
        self._any_ready = False
        self._signals = 0
        self._exit_code = 0
        self._next_look: float | None = None
        self._awake, self._waker = socket.socketpair()

    def run(self) -> int:
        """Runs until a signal, and returns 0; or until a process ends by itself before any was ready, and returns its exit
        code: what keeps it from starting keeps the others, too.
        """
        with self._signal_handlers():
            while not self._stops:
                self._start_due()
                self._wait(self._seconds_until_due())
                self._look_for_suspended()
            return self._end_all()

    @property
    def pids(self) -> list[int]:
        """The ids of the processes that run."""
        return [place.process.pid for place in self._places if place.process is not None]

    @property
    def _stops(self) -> bool:
        return bool(self._signals or self._exit_code)

    def _start_due(self) -> None:
        for place in self._places:
            if place.process is None and place.due <= time.monotonic():
                try:
                    self._start(place)
                except OSError as error:  # the machine is out of processes, memory or files
                    place.due = time.monotonic() + PAUSES[-1]
                    self._say(f"Process {place.number + 1} cannot be started: {error}. It is tried again.")

    def _start(self, place: _Place) -> None:
        mine, theirs = socket.socketpair()
        with contextlib.ExitStack() as undo:
            undo.callback(mine.close)
            with theirs:
                place.process = subprocess.Popen(  # noqa: S603 - our own program
                    list(self._command_of(place.number)),
                    env={**self._environment, NUMBER: str(place.number)},
                    stdin=theirs.fileno(),
                    pass_fds=(self._listener.fileno(),),
                    start_new_session=True,  # Ctrl+C reaches the parent alone, which tells the others
                )
            undo.pop_all()
        mine.setblocking(False)
        place.pipe, place.begun = mine, time.monotonic()

    def _seconds_until_due(self) -> float | None:
        """The time until a process is started, or suspended ones are looked at; None while all run."""
        dues = [place.due for place in self._places if place.process is None]
        if self._next_look is not None:
            dues.append(self._next_look)
        return max(0.0, min(dues) - time.monotonic()) if dues else None

    def _wait(self, timeout: float | None) -> None:
        """Waits so many seconds at most for a signal, a line, or the end of a process."""
        pipes = {place.pipe: place for place in self._places if place.pipe is not None}
        ready, _, _ = select.select([self._awake, *pipes], [], [], timeout)
        if self._awake in ready:
            self._awake.recv(4_096)
        for pipe in ready:
            if pipe is not self._awake:
                self._read(pipes[pipe])
        for place in self._places:
            if place.process is not None and (code := place.process.poll()) is not None:
                self._ended(place, code)

    def _look_for_suspended(self) -> None:
        """Ends processes that stay suspended. SIGCHLD tells that one was suspended; then it is looked at again and again."""
        if self._next_look is not None and time.monotonic() < self._next_look:
            return
        for place in self._places:
            place.suspended_looks = place.suspended_looks + 1 if place.suspended else 0
            if place.process is not None and place.suspended_looks > SUSPENDED_LOOKS:
                seconds = SUSPENDED_LOOKS * LOOK_SECONDS
                self._say(
                    f"Process {place.number + 1} of {len(self._places)} has been suspended for {seconds:g} s and is ended."
                )
                place.suspended_looks = 0
                place.process.kill()
        some = any(place.suspended_looks for place in self._places)
        self._next_look = time.monotonic() + LOOK_SECONDS if some else None

    def _read(self, place: _Place) -> None:
        assert place.pipe is not None
        try:
            said = place.pipe.recv(4_096)
        except OSError:
            said = b""
        if _READY.strip() in said:
            self._any_ready = True
        elif not said:  # it ends; SIGCHLD follows
            place.pipe.close()
            place.pipe = None

    def _ended(self, place: _Place, code: int) -> None:
        if place.pipe is not None:
            self._read(place)  # a process that was ready and has ended was ready
        if place.pipe is not None:
            place.pipe.close()
        lived = time.monotonic() - place.begun
        place.process = place.pipe = None
        if self._stops:
            return
        if code > 0 and not self._any_ready:
            self._exit_code = code
            return
        place.short_lives = 0 if lived > LIVED_SECONDS else place.short_lives + 1
        pause = PAUSES[min(place.short_lives, len(PAUSES) - 1)]
        place.due = time.monotonic() + pause
        reason = f"exit code {code}" if code >= 0 else f"signal {-code}"
        self._say(f"Process {place.number + 1} of {len(self._places)} ended with {reason}; another is started.")

    def _end_all(self) -> int:
        """Ends all processes and returns the exit code; those that take longer than STOP_SECONDS are killed."""
        until = time.monotonic() + STOP_SECONDS
        asked = 0
        while self.pids and time.monotonic() < until:
            if asked < max(1, self._signals):  # a second Ctrl+C is passed on: open requests are not waited for then
                asked += 1
                self._send(signal.SIGTERM)
                self._send(signal.SIGCONT)  # a suspended process ends too
            self._wait(max(0.0, until - time.monotonic()))
        self._send(signal.SIGKILL)
        for place in self._places:
            if place.process is not None:
                self._exit_code = self._exit_code or 1
                place.process.wait()
        return self._exit_code

    def _send(self, number: signal.Signals) -> None:
        for place in self._places:
            if place.process is not None:
                with contextlib.suppress(ProcessLookupError):
                    place.process.send_signal(number)

    @contextlib.contextmanager
    def _signal_handlers(self) -> Iterator[None]:
        """Writes every signal to the socket that `_wait` reads."""
        for end in (self._awake, self._waker):
            end.setblocking(False)
        before = signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)

        def stop(_number: int, _frame: object) -> None:
            self._signals += 1

        handlers = {
            signal.SIGCHLD: signal.signal(signal.SIGCHLD, lambda _number, _frame: None),
            signal.SIGTERM: signal.signal(signal.SIGTERM, stop),
            signal.SIGINT: signal.signal(signal.SIGINT, stop),
        }
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(before)
            self._awake.close()
            self._waker.close()


@contextlib.contextmanager
def figures_folder(folder: Path, count: int, say: Callable[[str], None]) -> Iterator[dict[str, str]]:
    """Yields the environment in which `count` processes count their calls in `folder`, which is removed at the end. One that
    follows another goes on in its files.

    They map the files into memory. Each file has all its blocks from the beginning: on a full disk, writing to a page
    without one ends the process (SIGBUS). Where the disk has no room for them, it says so with `say` and yields nothing.
    """
    environment = {FIGURES: str(folder)}
    try:
        shutil.rmtree(folder, ignore_errors=True)  # a parent that was killed has left it
        folder.mkdir(mode=0o700, parents=True)
        for number in range(count):
            for name in FIGURE_FILES:
                (folder / name.format(number)).write_bytes(bytes(FIGURE_BYTES))
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        environment = {}
        say(f"/metrics has the calls of one process at a time: {folder} cannot be written: {error.strerror or error}.")
    try:
        yield environment
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def tell_parent_ready() -> None:
    """Tells the parent that this process answers."""
    with contextlib.suppress(OSError):
        os.write(0, _READY)


def when_parent_ends(stop: Callable[[], None]) -> None:
    """Calls `stop` once when the parent has ended, however it ended. Call it on the event loop."""
    loop = asyncio.get_running_loop()

    def read() -> None:
        if not os.read(0, 4_096):
            loop.remove_reader(0)
            stop()

    loop.add_reader(0, read)
