"""What grows: jobs in the table, nodes of a flow, items of a list, and jobs in flight."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from tests.benchmarks.callers import call
from tests.benchmarks.many_jobs import fill
from tests.benchmarks.measured_flows import THREE_NODES, chain, for_each_item, one_call
from tests.benchmarks.process_cost import memory_of_both
from tests.benchmarks.slow_origin import held, release, slow_origin
from tests.benchmarks.stage import BODY, Cell, Stage, allowed, bare_noop, new_key
from tests.live_server import live_server

JOBS = (0, 100_000, 1_000_000)
NODES = (3, 30, 300)
ITEMS = (1, 100, 10_000)
IN_FLIGHT = (1, 100, 1_000, 5_000)
#: How long the site waits for the last job in flight.
PATIENCE = 30.0


def with_jobs(sizes: Sequence[int], seconds: float, rounds: int) -> Iterator[Cell]:
    """Measures a server with so many ended jobs in its table: its start, one caller, and a hundred."""
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder, slow_origin() as origin, bare_noop() as (port, pid):
            data = Path(folder) / "data"
            with live_server(data, env=allowed(origin)) as server:
                stage = Stage(server, new_key(server), origin, port, pid)
                flow_id = stage.deploy(THREE_NODES)
                job_id = _run_one(stage, flow_id)
            fill(data, job_id, size)
            importing = _seconds(_import_nicegui)
            begun = time.monotonic()
            with live_server(data, env=allowed(origin)) as server:
                start = time.monotonic() - begun
                stage.server = server
                note = f"start {start:.1f} s = {start / importing:.1f} x import nicegui"
                call(stage.load("wait", flow_id, 1, 1.0))
                one = stage.measure("jobs", "three, 1 client", size, stage.load("wait", flow_id, 1, seconds), rounds)
                yield replace(one, note=f"{one.note} {note}".strip())
                many = stage.load("wait", flow_id, 100, seconds)
                yield stage.measure("jobs", "three, 100 clients", size, many, rounds)


def with_nodes(stage: Stage, sizes: Sequence[int], seconds: float, rounds: int) -> Iterator[Cell]:
    """Measures flows of so many nodes."""
    for size in sizes:
        load = stage.load("wait", stage.deploy(chain(size)), 20, seconds)
        yield stage.measure("nodes", "chain, 20 clients", size, load, rounds)


def with_items(stage: Stage, sizes: Sequence[int], seconds: float, rounds: int) -> Iterator[Cell]:
    """Measures a flow that runs one node for each of so many items."""
    flow_id = stage.deploy(for_each_item())
    for size in sizes:
        body = json.dumps({"names": ["x"] * size})
        load = stage.load("wait", flow_id, 2, seconds, body=body)
        yield stage.measure("items", "list, 2 clients", size, load, rounds)


def in_flight(stage: Stage, sizes: Sequence[int]) -> Iterator[str]:
    """Describes so many jobs that all wait for one call each: how soon all of them wait, and their memory."""
    flow_id = stage.deploy(one_call(f"{stage.origin}/hold"))
    call(stage.load("post", flow_id, 1, PATIENCE, most=1))  # what a first job loads
    _release_until_idle(stage)
    for size in sizes:
        time.sleep(2)
        server, worker = memory_of_both(stage.pid)
        begun = time.monotonic()
        load = stage.load("post", flow_id, min(size, 50), PATIENCE, most=size)
        outcome = call(load)
        wait_until = time.monotonic() + PATIENCE
        most, reached = 0, 0.0
        while most < size and time.monotonic() < wait_until:
            now = held(stage.origin)
            if now > most:
                most, reached = now, time.monotonic() - begun
            time.sleep(0.1)
        time.sleep(1)
        server_full, worker_full = memory_of_both(stage.pid)
        _release_until_idle(stage)
        yield (
            f"{size:>6,} jobs: {outcome.done:,} accepted, {most:,} in flight after {reached:.1f} s, "
            f"{(server_full - server) / size:.1f} + {(worker_full - worker) / size:.1f} KB a job (server + worker), "
            f"{(server_full + worker_full) / 1024:.0f} MB in all"
        )


def _release_until_idle(stage: Stage) -> None:
    while stage.open_jobs():
        release(stage.origin)
        time.sleep(0.1)


def _run_one(stage: Stage, flow_id: str) -> str:
    url = f"{stage.server.url}/public/v1/flows/execute/{flow_id}?wait=30"
    headers = {"Authorization": f"Bearer {stage.key}", "Content-Type": "application/json"}
    return httpx.post(url, content=BODY, headers=headers, timeout=60).json()["job_id"]


def _import_nicegui() -> None:
    subprocess.run([sys.executable, "-c", "import nicegui"], check=True)


def _seconds(work: Callable[[], Any]) -> float:
    begun = time.monotonic()
    work()
    return time.monotonic() - begun
