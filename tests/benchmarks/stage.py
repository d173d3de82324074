"""What a closed loop runs against: a server with an API key, the bare no-op, and a site that answers late."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.baseline import bare, wait_for_port
from tests.benchmarks.callers import Load, Outcome, call
from tests.benchmarks.process_cost import cpu, cpu_of_both
from tests.benchmarks.slow_origin import slow_origin
from tests.live_server import LiveServer, free_port, live_server

BODY = json.dumps({"name": "x"})
#: How long the no-op is measured before and after a cell, as a share of the cell's seconds.
BARE_SHARE = 0.3


@dataclass(frozen=True)
class Cell:
    """One measurement: completed jobs per second, its ratio to the no-op of the same moment, milliseconds from request
    to completed job, and milliseconds of CPU per job (of the no-op: per request).
    """

    what: str
    flow: str
    size: int
    rate: float
    ratio: float
    p50: float
    p99: float
    errors: int
    server_cpu: float
    worker_cpu: float
    noop_rate: float
    noop_cpu: float
    note: str = ""

    @property
    def key(self) -> tuple[str, str, int]:
        """Which cells of two runs are the same."""
        return self.what, self.flow, self.size


@dataclass
class Stage:
    """A running server, the no-op beside it, and what is called."""

    server: LiveServer
    key: str
    origin: str
    noop_port: int
    noop_pid: int

    @property
    def pid(self) -> int:
        assert self.server.process is not None
        return self.server.process.pid

    def deploy(self, flow: dict[str, Any]) -> str:
        """Imports and deploys a flow and returns its id."""
        flow_id = self.server.run("flows", "import", "-", stdin=json.dumps(flow)).stdout.strip()
        self.server.run("flows", "deploy", flow_id)
        return flow_id

    def load(self, way: str, flow_id: str, clients: int, seconds: float, **more: Any) -> Load:
        """Describes callers of a flow."""
        path = f"/public/v1/flows/execute/{flow_id}"
        path += {"wait": "?wait=60", "batch": "/batch"}.get(way, "")
        return Load(way, self.server.port, path, more.pop("body", BODY), clients, seconds, self.key, **more)

    def measure(self, what: str, flow: str, size: int, load: Load, rounds: int = 1) -> Cell:
        """Returns the medians of the rounds, each of which is the no-op, the load, and the no-op."""
        found = [self._round(what, flow, size, load) for _ in range(rounds)]
        names = ("rate", "ratio", "p50", "p99", "server_cpu", "worker_cpu", "noop_rate", "noop_cpu")
        medians = {name: statistics.median(getattr(cell, name) for cell in found) for name in names}
        notes = [cell.note for cell in found if cell.note]
        return Cell(what, flow, size, errors=sum(cell.errors for cell in found), note="; ".join(notes[:1]), **medians)

    def _round(self, what: str, flow: str, size: int, load: Load) -> Cell:
        first, first_cpu = self._bare(load)
        server, worker = cpu_of_both(self.pid)
        outcome = call(load)
        self.wait_until_idle()
        server_after, worker_after = cpu_of_both(self.pid)
        second, second_cpu = self._bare(load)
        noop = (first.rate + second.rate) / 2
        per_job = 1000 / max(1, outcome.done)
        return Cell(
            what,
            flow,
            size,
            outcome.rate,
            outcome.rate / noop,
            outcome.p50,
            outcome.p99,
            outcome.errors,
            (server_after - server) * per_job,
            (worker_after - worker) * per_job,
            noop,
            (first_cpu + second_cpu) * 1000 / (first.done + second.done),
            outcome.first_error,
        )

    def _bare(self, load: Load) -> tuple[Outcome, float]:
        """Returns what as many callers get of the no-op, and the CPU seconds it took."""
        before = cpu(self.noop_pid)
        outcome = call(Load("noop", self.noop_port, "/noop", BODY, load.clients, max(1.0, load.seconds * BARE_SHARE)))
        return outcome, cpu(self.noop_pid) - before

    def wait_until_idle(self, seconds: float = 300.0) -> None:
        """Waits until no job is open, so that the CPU of all accepted jobs is counted and none of the next cell's."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.open_jobs():
            time.sleep(0.05)

    def open_jobs(self) -> int:
        """Returns how many jobs have not ended."""
        return self.server.store.read_now(_count_open)


def _count_open(session: Any) -> int:
    from sqlalchemy import text

    return session.execute(text("select count(*) from jobs where status in ('queued', 'processing')")).scalar_one()


@contextlib.contextmanager
def stage(data: Path | None = None) -> Iterator[Stage]:
    """Starts all three and stops them."""
    with tempfile.TemporaryDirectory() as folder, slow_origin() as origin, bare_noop() as (port, pid):
        data = data or Path(folder) / "data"
        with live_server(data, env=allowed(origin)) as server:
            yield Stage(server, new_key(server), origin, port, pid)


def allowed(origin: str) -> dict[str, str]:
    """Returns the environment of a server whose flows may call the site."""
    return {"FLOWPORT_OUTBOUND_ALLOW": origin.removeprefix("http://")}


def new_key(server: LiveServer) -> str:
    """Lifts the limits of the plan and returns an API key."""
    server.run("plan", "set", "enterprise", "--concurrency", "unlimited")
    return server.run("keys", "create", "--label", "bench", "--environment", "live").stdout.strip()


@contextlib.contextmanager
def bare_noop() -> Iterator[tuple[int, int]]:
    """Starts the no-op and yields its port and process id."""
    port = free_port()
    process = multiprocessing.get_context("spawn").Process(target=bare, args=(port,), daemon=True)
    process.start()
    assert process.pid is not None
    wait_for_port(port)
    yield port, process.pid
    process.terminate()
    process.join()
