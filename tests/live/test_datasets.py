"""A deployed flow keeps rows under concurrency, and `kill -9` of its worker leaves each row once."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from engine.actions.datasets import add_dataset
from storage.datasets import each_row
from tests.live import flows
from tests.live.caller import Caller, Terminal
from tests.live.test_endings import worker_of
from tests.live_server import LiveServer, live_server

JOBS, ITEMS, KEYS, KILLS = 6, 40, 10, 2
PATIENCE_SECONDS = 120


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    data = tmp_path_factory.mktemp("rows") / "data"
    with live_server(data, owner=False, env={"FLOWPORT_PLAN": "enterprise"}) as running:
        yield running
        assert "Traceback" not in running.log(), running.log()


def keeping_flow() -> dict[str, Any]:
    """Each number of `numbers` is logged as a row of its own and counted under one of ten keys."""
    return flows.in_a_row(
        [
            {
                "id": "each",
                "type": "array_splitter",
                "config": {"mode": "parallel", "max_concurrency": 4},
                "inputs": {"items": "{{ api_input.out.numbers }}"},
            },
            {
                "id": "log",
                "type": "dataset_sink",
                "config": {"dataset": "Log"},
                "inputs": {"job": "{{ system.job_id }}", "index": "{{ each.index }}"},
            },
            {
                "id": "last",
                "type": "dataset_sink",
                "config": {"dataset": "Last", "mode": "upsert", "key_column": "key"},
                "inputs": {"key": "{{ each.out }}", "job": "{{ system.job_id }}", "index": "{{ each.index }}"},
            },
            {"id": "all", "type": "array_flatten", "inputs": {"value": "{{ last.out.row.index }}"}},
        ],
        {"name": "numbers", "type": "array", "items": {"type": "integer"}, "required": True},
        title="Keep numbers",
    )


def rows_of(terminal: Terminal, dataset_id: str) -> list[dict[str, Any]]:
    workspace_id = terminal.owner.workspace_id
    return [row.data for row in terminal.store.read_now(lambda one: list(each_row(one, workspace_id, dataset_id)))]


def wait_for_rows(terminal: Terminal, dataset_id: str, least: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(rows_of(terminal, dataset_id)) < least:
        assert time.monotonic() < deadline, f"{len(rows_of(terminal, dataset_id))} of {least} rows"
        time.sleep(0.02)


def kill_worker(server: LiveServer, before: int | None) -> int:
    """Kills the worker, once there is one that is not `before`."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (pid := worker_of(server)) in {None, before}:
        assert time.monotonic() < deadline, server.log()
        time.sleep(0.05)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    return pid


def test_rows_are_kept_once_whatever_happens_to_the_worker(server: LiveServer) -> None:
    terminal = Terminal(server)
    log = terminal.store.write_now(add_dataset, terminal.owner, "Log")
    last = terminal.store.write_now(add_dataset, terminal.owner, "Last")
    flow_id = terminal.flow(keeping_flow())
    caller: Caller = terminal.caller()
    payload = {"numbers": [number % KEYS for number in range(ITEMS)]}
    with ThreadPoolExecutor(JOBS) as callers:
        job_ids = list(callers.map(lambda _: caller.accepted(flow_id, payload), range(JOBS)))
    killed: int | None = None
    for kill in range(KILLS):
        wait_for_rows(terminal, log, (kill * 2 + 1) * JOBS * ITEMS // (KILLS * 2 + 2))
        killed = kill_worker(server, killed)
    jobs = [caller.ended(job_id) for job_id in job_ids]

    assert [job["status"] for job in jobs] == ["completed"] * JOBS, jobs
    assert max(job["attempts"] for job in jobs) > 1, "no job was running when its worker was killed"
    assert all(job["result"]["output"]["items"] == list(range(ITEMS)) for job in jobs)
    logged = Counter((row["job"], row["index"]) for row in rows_of(terminal, log))
    assert logged == {(job_id, index): 1 for job_id in job_ids for index in range(ITEMS)}
    kept = rows_of(terminal, last)
    assert sorted(row["key"] for row in kept) == list(range(KEYS)), "one row for each key"
    assert all(row["index"] % KEYS == row["key"] and row["job"] in job_ids for row in kept), "no row is half of two"
    terminal.close()
