"""Measures how an attack affects others: the duration of another workspace's jobs and of /healthz, and the server's
memory.

    with beside(server, terminal) as watch:                                        # the neighbour's flow says Hello
        attack()
    watch.check()

    with beside(server, terminal, flow=flow_file, payload={"url": ...}) as watch:  # or does this
        attack()
    watch.check()

During the attack, one thread requests /healthz continuously and another runs the neighbour's jobs one after another.
Load from other programs on the machine must not count against the server. Therefore the same is measured before the
attack, and during it the first thread also requests an otherwise idle HTTP program (`idle`). Each of its answers takes
20 ms of CPU time: where many programs share a core, an answer without work waits once, while the server, which works
for others between two answers, waits again after each time slice.
"""

from __future__ import annotations

import functools
import itertools
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.factories import greeting
from tests.live.caller import Caller, Terminal
from tests.live_server import TLS, LiveServer

#: Promised limits: seconds of a neighbour's job and of /healthz, and growth of the server's memory in MiB.
JOB_SECONDS = 5.0
HEALTH_SECONDS = 0.25
GROWN_MIB = 20.0
#: A limit is raised to this multiple of the times measured without the attack or with the idle program.
FAIR = 5
#: One request of the idle program for so many of /healthz, as it takes the core from the server.
IDLE_EVERY = 3
_IDLE = """
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    def do_GET(self):
        worked = time.process_time() + 0.02
        while time.process_time() < worked:
            pass
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *_):
        pass
server = HTTPServer(("127.0.0.1", 0), Answer)
print(server.server_port, flush=True)
server.serve_forever()
"""


@dataclass
class Measured:
    """Durations in seconds: of /healthz, of the idle program's answers and of jobs. `wrong` lists the failures."""

    health: list[float] = field(default_factory=list)
    idle: list[float] = field(default_factory=list)
    jobs: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


@dataclass
class Watch:
    """`calm` was measured before the attack, `during` beside it. Memory of the server process is in MiB."""

    pid: int
    calm: Measured = field(default_factory=Measured)
    during: Measured = field(default_factory=Measured)
    memory_before: float = 0.0
    memory_most: float = 0.0

    @property
    def grown(self) -> float:
        """The maximum growth of the server process in MiB."""
        return self.memory_most - self.memory_before

    def check(
        self,
        *,
        job_seconds: float = JOB_SECONDS,
        health_seconds: float = HEALTH_SECONDS,
        grown_mib: float = GROWN_MIB,
        starts_a_worker: bool = False,
    ) -> None:
        """Fails when the neighbour's jobs, /healthz or the memory exceeded their limits.

        `starts_a_worker`: one answer of /healthz in fifty may be late, because starting a process blocks the server
        until it runs.
        """
        assert not self.during.wrong, self
        slowest_job = max(self.during.jobs)
        assert slowest_job <= max(job_seconds, FAIR * statistics.median(self.calm.jobs)), self
        limit = max(health_seconds, FAIR * max(self.during.idle))
        late = [seconds for seconds in self.during.health if seconds > limit]
        assert len(late) <= (max(1, len(self.during.health) // 50) if starts_a_worker else 0), self
        assert max(self.during.health) <= 4 * limit, self
        assert self.grown <= grown_mib, self

    def __str__(self) -> str:
        slowest = {
            name: f"{max(one.health, default=0) * 1000:.0f} ms (idle program {max(one.idle, default=0) * 1000:.0f} ms), "
            f"job {max(one.jobs, default=0):.2f} s"
            for name, one in (("calm", self.calm), ("attacked", self.during))
        }
        return (
            f"slowest /healthz and job: {slowest}, server grown by {self.grown:.1f} MiB, wrong: {self.during.wrong[:5]}"
        )


@contextmanager
def beside(
    server: LiveServer, terminal: Terminal, *, flow: dict[str, Any] | None = None, payload: Any = None
) -> Iterator[Watch]:
    """Measures beside the body of the `with` statement.

    The neighbour has its own workspace and thus shares no limit of a plan.
    """
    assert server.process is not None
    owner, neighbour = _neighbour(terminal)
    flow_id = owner.flow(flow or greeting())
    asked = {"name": "Ann"} if flow is None else payload
    watch = Watch(server.process.pid)
    with _idle_program() as idle_url, httpx.Client(timeout=60, verify=TLS) as client:
        urls = f"{server.url}/healthz", idle_url
        for number in range(10):
            _ask_health(client, urls, watch.calm, number)
        for _ in range(3):
            _run_job(neighbour, flow_id, asked, watch.calm)
        assert not watch.calm.wrong, watch
        watch.memory_before = _begin_measuring(watch.pid)
        over, numbers = threading.Event(), itertools.count()
        threads = [
            _again(lambda: _ask_health(client, urls, watch.during, next(numbers)), 0.05, over),
            _again(lambda: _run_job(neighbour, flow_id, asked, watch.during), 0.2, over),
        ]
        try:
            yield watch
        finally:
            over.set()
            for thread in threads:
                thread.join()
    watch.memory_most = max(watch.memory_before, _most_memory(watch.pid))


@contextmanager
def _idle_program() -> Iterator[str]:
    """Runs an HTTP server that does nothing else and yields its URL."""
    process = subprocess.Popen([sys.executable, "-I", "-S", "-c", _IDLE], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@functools.cache
def _neighbour(terminal: Terminal) -> tuple[Terminal, Caller]:
    """Returns the owner and an API caller of another workspace; created once per server."""
    owner = Terminal.new(terminal.server)
    return owner, owner.caller()


def _ask_health(client: httpx.Client, urls: tuple[str, str], measured: Measured, number: int) -> None:
    both = list(zip(urls, (measured.health, measured.idle), strict=True))
    for url, seconds in both if number % IDLE_EVERY == 0 else both[:1]:
        begun = time.perf_counter()
        try:
            status = client.get(url).status_code
        except httpx.HTTPError as error:
            measured.wrong.append(f"{url}: {error!r}")
            continue
        seconds.append(time.perf_counter() - begun)
        if status != 200:
            measured.wrong.append(f"{url}: {status}")


def _run_job(neighbour: Caller, flow_id: str, payload: Any, measured: Measured) -> None:
    begun = time.perf_counter()
    try:
        job = neighbour.run(flow_id, payload)
    except (httpx.HTTPError, AssertionError) as error:
        measured.wrong.append(f"job: {error!r}")
        return
    measured.jobs.append(time.perf_counter() - begun)
    if (job["status"], job["attempts"]) != ("completed", 1):
        measured.wrong.append(f"job: {job}")


def _again(act: Callable[[], None], pause: float, over: threading.Event) -> threading.Thread:
    """Calls a function repeatedly in a thread until the event is set, at least once."""

    def keep_doing() -> None:
        act()
        while not over.wait(pause):
            act()

    thread = threading.Thread(target=keep_doing, daemon=True)
    thread.start()
    return thread


def _begin_measuring(pid: int) -> float:
    """Resets the peak memory of a process and returns its current memory in MiB; 0 on systems other than Linux."""
    with suppress(OSError):
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    return _memory(pid, "VmRSS")


def _most_memory(pid: int) -> float:
    return _memory(pid, "VmHWM")


def _memory(pid: int, what: str) -> float:
    status = Path(f"/proc/{pid}/status")
    return int(status.read_text().split(f"{what}:")[1].split()[0]) / 1024 if status.exists() else 0.0
