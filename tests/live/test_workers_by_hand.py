"""Servers without a worker, and workers that were started by hand: jobs under which workers die end there, too."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.tables import Job
from storage.workers import list_processes
from tests.live.caller import Caller, Terminal
from tests.live.flows import URL, fetch, one_node
from tests.live.holding_site import HoldingSite, wait_until
from tests.live_server import ROOT, LiveServer


class Workers:
    """The workers of a server, which the test starts."""

    def __init__(self, server: LiveServer) -> None:
        self.server = server
        self.log_file = server.data.parent / "workers.log"
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        with self.log_file.open("ab") as log:
            command = [sys.executable, str(ROOT / "app.py"), "worker"]
            self.started.append(subprocess.Popen(command, env=self.server.environment(), stdout=log, stderr=log))
        return self.started[-1]

    def kill(self) -> None:
        """Kills the worker that was started last."""
        self.started[-1].kill()
        self.started[-1].wait()

    def log(self) -> str:
        return self.log_file.read_text()

    def was_told(self, pid: int | None, words: str) -> bool:
        """True when a line of the worker beside another one has these words."""
        return any(line.startswith(f"worker[{pid}] ") and words in line for line in self.log().splitlines())

    def holder(self, job_id: str) -> int | None:
        """Returns the process id of the worker that runs a job."""
        owner = self.server.store.read_now(lambda session: session.get_one(Job, job_id).owner)
        return next((one.pid for one in self.server.store.read_now(list_processes) if one.boot_id == owner), None)


def memory_arenas(pid: int) -> int:
    """Returns in how many areas of 64 MiB, beside the first, glibc keeps the memory of a process; 0 elsewhere."""
    maps = Path(f"/proc/{pid}/maps")
    rows = [line.split() for line in maps.read_text().splitlines()] if maps.exists() else []
    parts = [(int(ends[0], 16), int(ends[1], 16), row[1], row[4]) for row in rows if (ends := row[0].split("-"))]
    size = 64 * 1024 * 1024
    return sum(
        used[2:] == ("rw-p", "0") and free == (used[1], used[0] + size, "---p", "0") and used[0] % size == 0
        for used, free in itertools.pairwise(parts)
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, site: HoldingSite) -> Iterator[LiveServer]:
    env = {"FLOWPORT_OUTBOUND_ALLOW": site.origin.removeprefix("http://")}
    server = LiveServer(
        tmp_path_factory.mktemp("by_hand") / "data", env=env, options=("--no-pages", "--no-worker")
    ).start(owner=False)
    yield server
    server.close_store()
    assert server.stop() == 0
    assert "Traceback" not in server.log(), server.log()


@pytest.fixture
def workers(server: LiveServer) -> Iterator[Workers]:
    workers = Workers(server)
    yield workers
    for worker in workers.started:
        worker.kill()
        worker.wait()
    assert "Traceback" not in workers.log(), workers.log()


def test_a_job_that_killed_two_workers_runs_beside_the_third_and_ends(
    terminal: Terminal, caller: Caller, site: HoldingSite, workers: Workers
) -> None:
    flow_id = terminal.flow(one_node(fetch(), URL))
    cause = caller.accepted(flow_id, {"url": site.hold("cause")})
    for times in (1, 2):
        killed = workers.start()
        site.wait_until_held("cause", times)
        assert workers.holder(cause) == killed.pid
        workers.kill()

    third = workers.start()
    site.wait_until_held("cause", times=3)
    alone = workers.holder(cause)
    assert memory_arenas(third.pid) <= 2, "each would keep the most memory that its threads ever needed"
    assert alone not in {None, third.pid}
    site.let_go("other")
    other = caller.run(flow_id, {"url": site.hold("other")})
    assert (other["status"], other["attempts"]) == ("completed", 1), "others go on beside it"

    third.send_signal(signal.SIGTERM)
    wait_until(lambda: workers.was_told(alone, "Stopping: SIGTERM"), "its worker was not told to end")
    site.let_go("cause")  # jobs have 20 s to end
    job = caller.ended(cause)
    assert (job["status"], job["attempts"]) == ("completed", 3), workers.log()
    assert third.wait(30) == 0
    assert not Path(f"/proc/{alone}").exists()
