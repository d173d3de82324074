"""How long a start takes beside `import nicegui`, and what the server and its worker hold when nothing happens.

`python -m tests.benchmarks.start [jobs]`: the start is also measured with so many jobs in the database. A million take
some minutes to make, and 3.5 GB.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.benchmarks.many_jobs import fill
from tests.benchmarks.measured_flows import THREE_NODES
from tests.benchmarks.process_cost import cpu, memory_of_both
from tests.live_server import ROOT, LiveServer

ROUNDS = 5
JOBS = 100_000
IDLE_SECONDS = 60


@dataclass(frozen=True)
class Took:
    """Seconds of the clock, and of the processor."""

    wall: float
    cpu: float


def main(jobs: int = JOBS) -> None:
    """Prints the figures."""
    os.environ.pop(
        "PYTHONDONTWRITEBYTECODE", None
    )  # both sides start from bytecode, as on every machine after the first
    with tempfile.TemporaryDirectory() as folder:
        server = LiveServer(Path(folder) / "data")
        server.start()  # makes the folder, and the bytecode of what it imports
        job_id = _run_once(server)
        server.stop()
        starts(server, "empty")
        print(f"  {_memory(server)}")
        begun = time.perf_counter()
        fill(server.data, job_id, jobs)
        print(f"  {jobs:,} jobs were added in {time.perf_counter() - begun:.0f} s")
        starts(server, f"{jobs:,} jobs")


def starts(server: LiveServer, what: str) -> None:
    """Prints how long a start takes, as a ratio to `import nicegui` in the same run."""
    imports, ready = [], []
    for _ in range(ROUNDS):
        imports.append(_import_nicegui(server.environment()))
        ready.append(_start(server))
        server.stop()
    base, took = _median(imports), _median(ready)
    print(
        f"start, {what}: {took.wall:.2f} s = {took.wall / base.wall:.2f} of `import nicegui` ({base.wall:.2f} s);"
        f" CPU of the server {took.cpu:.2f} s = {took.cpu / base.cpu:.2f} of it ({base.cpu:.2f} s)"
    )


def _import_nicegui(environment: dict[str, str]) -> Took:
    begun = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", "import nicegui"], cwd=ROOT, env=environment)
    _pid, _status, used = os.wait4(process.pid, 0)
    process.returncode = 0
    return Took(time.perf_counter() - begun, used.ru_utime + used.ru_stime)


def _start(server: LiveServer) -> Took:
    """Starts the server; measured to the line that it prints when it is ready."""
    said = server.log().count("Flowport is ready")
    begun = time.perf_counter()
    server.start(owner=False, wait=False)
    while server.log().count("Flowport is ready") == said:
        assert server.process is not None
        assert server.process.poll() is None, server.log()
        time.sleep(0.005)
    took = Took(time.perf_counter() - begun, cpu(server.process.pid))  # type: ignore[union-attr]
    server.wait_until_ready()
    return took


def _memory(server: LiveServer) -> str:
    server.start(owner=False)
    assert server.process is not None
    time.sleep(IDLE_SECONDS)
    held = [one / 1024 for one in memory_of_both(server.process.pid)]
    server.stop()
    parts = " + ".join(f"{one:.1f}" for one in held)
    return f"idle for {IDLE_SECONDS} s, server and worker hold {parts} = {sum(held):.1f} MiB (Pss)"


def _run_once(server: LiveServer) -> str:
    flow_id = server.run("flows", "import", "-", stdin=json.dumps(THREE_NODES)).stdout.strip()
    server.run("flows", "deploy", flow_id)
    key = server.run("keys", "create", "--label", "bench", "--environment", "live").stdout.strip()
    url, headers = f"{server.url}/public/v1/flows/execute/{flow_id}?wait=30", {"Authorization": f"Bearer {key}"}
    return httpx.post(url, json={"name": "Ada"}, headers=headers, timeout=60).json()["job_id"]


def _median(measured: Sequence[Took]) -> Took:
    return Took(statistics.median(one.wall for one in measured), statistics.median(one.cpu for one in measured))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
