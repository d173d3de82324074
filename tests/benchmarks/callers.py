"""The callers of the closed loop: each has one connection and one request at a time, until its job has completed.

Started as a process of its own (`python -m tests.benchmarks.callers`), so that the CPU of the load is not in that of
what is measured. Requests are prepared bytes and answers are searched rather than parsed, because the callers share the
cores with the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop

ROOT = Path(__file__).parents[2]
#: The pause of a caller that polls.
PAUSE = 0.02
#: After the time is over, each caller waits this long for the job it has.
DRAIN = 120.0


@dataclass(frozen=True)
class Load:
    """What the callers do. `way`: noop, post, wait, poll or batch."""

    way: str
    port: int
    path: str
    body: str
    clients: int
    seconds: float
    key: str = ""
    #: How many jobs one request makes.
    jobs: int = 1
    #: How many requests are sent at most; None: as many as the seconds allow.
    most: int | None = None


@dataclass(frozen=True)
class Outcome:
    """`done` jobs in `seconds`, from the first request to the last answer. Times are milliseconds from a request to its
    completed job, or to that of all jobs of its batch.
    """

    done: int
    seconds: float
    p50: float
    p99: float
    errors: int
    first_error: str = ""

    @property
    def rate(self) -> float:
        return self.done / self.seconds if self.seconds else 0.0


def call(load: Load) -> Outcome:
    """Runs the callers in their own process and returns what they measured."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.callers"],
        input=json.dumps(dataclasses.asdict(load)),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    if ended.returncode:
        raise RuntimeError(ended.stderr)
    return Outcome(**json.loads(ended.stdout))


@dataclass
class _Run:
    """What the callers of one process share."""

    load: Load
    begun: float = 0.0
    until: float = 0.0
    sent: int = 0
    done: int = 0
    last: float = 0.0
    times: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def goes_on(self) -> bool:
        return time.perf_counter() < self.until and (self.load.most is None or self.sent < self.load.most)


class _Caller(asyncio.Protocol):
    """One connection. `ended` is set when it sends no more."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._begun = 0.0
        self._reads = b""
        self.ended = self._loop.create_future()
        load = run.load
        self._head = f"HTTP/1.1\r\nHost: 127.0.0.1:{load.port}\r\nAuthorization: Bearer {load.key}\r\n".encode()
        body = load.body.encode()
        size = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        self._post = f"POST {load.path} ".encode() + self._head + size + body

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def begin(self) -> None:
        """Sends the request for the next job, or ends."""
        if not self._run.goes_on():
            self.finish()
            return
        self._run.sent += 1
        self._reads = b""
        self._begun = time.perf_counter()
        self._transport.write(self._post)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = self._buffer[:head_end].lower()
        at = head.find(b"content-length:")
        size = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._buffer) < head_end + 4 + size:
            return
        body, self._buffer = self._buffer[head_end + 4 : head_end + 4 + size], b""
        self._answered(int(head[9:12]), body)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self._fail(f"the connection was closed: {exc}")

    def finish(self) -> None:
        """Closes the connection."""
        if not self.ended.done():
            self.ended.set_result(None)
        self._transport.close()

    def _answered(self, status: int, body: bytes) -> None:
        way = self._run.load.way
        if status not in {200, 202}:
            self._fail(f"{status}: {body[:300].decode(errors='replace')}")
        elif way in {"noop", "post"} or self._has_completed(body):
            self._count()
        elif self._is_over(body):
            self._fail(body[:300].decode(errors="replace"))
        else:
            self._reads = self._reads or self._read_request(body)
            if way == "poll":
                self._loop.call_later(PAUSE, self._ask)
            else:
                self._ask()

    def _has_completed(self, body: bytes) -> bool:
        if self._run.load.way == "batch":
            return f'"completed":{self._run.load.jobs},'.encode() in body
        return b'"status":"completed"' in body

    def _is_over(self, body: bytes) -> bool:
        if self._run.load.way == "batch":
            return b'"completed_at":"' in body
        return b'"status":"failed"' in body or b'"status":"cancelled"' in body

    def _read_request(self, body: bytes) -> bytes:
        address = body.split(b'"url":"', 1)[1].split(b'"', 1)[0] if b'"url":"' in body else self._job_address(body)
        asked = {"poll": b"", "batch": b"?wait=30&limit=1"}.get(self._run.load.way, b"?wait=30")
        return b"GET " + address + asked + b" " + self._head + b"\r\n"

    def _job_address(self, body: bytes) -> bytes:
        return b"/public/v1/jobs/" + body.split(b'"job_id":"', 1)[1].split(b'"', 1)[0]

    def _ask(self) -> None:
        if not self.ended.done():
            self._transport.write(self._reads)

    def _count(self) -> None:
        now = time.perf_counter()
        run = self._run
        run.times.append(now - self._begun)
        run.done += run.load.jobs
        run.last = now
        self.begin()

    def _fail(self, reason: str) -> None:
        """Records the error and ends: a caller that goes on at once would only count the same error again."""
        self._run.errors.append(reason)
        self.finish()


async def _call(load: Load) -> Outcome:
    run = _Run(load)
    loop = asyncio.get_running_loop()
    callers = []
    for _ in range(load.clients):
        _, caller = await loop.create_connection(lambda: _Caller(run), "127.0.0.1", load.port)
        callers.append(caller)
    run.begun = run.last = time.perf_counter()
    run.until = run.begun + load.seconds
    for caller in callers:
        caller.begin()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(load.seconds + DRAIN):
            await asyncio.gather(*(caller.ended for caller in callers))
    late = [caller for caller in callers if not caller.ended.done()]
    run.errors += ["not completed in time"] * len(late)
    for caller in late:
        caller.finish()
    times = sorted(run.times) or [0.0]
    return Outcome(
        run.done,
        run.last - run.begun,
        times[len(times) // 2] * 1000,
        times[len(times) * 99 // 100] * 1000,
        len(run.errors),
        run.errors[0] if run.errors else "",
    )


if __name__ == "__main__":
    print(json.dumps(dataclasses.asdict(uvloop.run(_call(Load(**json.load(sys.stdin)))))))
