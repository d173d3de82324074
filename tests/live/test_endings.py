"""Processes that die or are stopped in the middle of a job: it goes on and ends."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import httpx
import pytest

from storage.jobs import get_job
from tests.factories import greeting
from tests.live import flows
from tests.live.holding_site import wait_until


@pytest.fixture(scope="module")
def two_steps(terminal, site) -> str:
    """Fetches `/first`, then `url`."""
    row = [flows.fetch("first", site.at("/first")), flows.fetch("second")]
    return terminal.flow(flows.in_a_row(row, flows.URL))


def worker_of(server) -> int | None:
    """The process id of the server's worker."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if fields[0] != "Z" and int(fields[1]) == server.process.pid:
                return int(entry.name)
    return None


def test_a_job_goes_on_after_its_worker_was_killed(server, caller, two_steps, site):
    before = site.hits("/first")
    job_id = caller.accepted(two_steps, {"url": site.hold("killed")})
    site.wait_until_held("killed")
    pid = worker_of(server)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    site.wait_until_held("killed", times=2)
    assert caller.job(job_id)["attempts"] == 2
    site.let_go("killed")
    job = caller.ended(job_id)
    assert (job["status"], job["attempts"], job["result"]["output"]["body"]) == ("completed", 2, "held no more")
    assert site.hits("/first") == before + 1, "a step that had ended is not run again"
    events = caller.events(job_id)
    assert [seq for seq, _, _ in events] == list(range(1, len(events) + 1))
    assert [name for _, name, _ in events if name == "job.completed"] == ["job.completed"]
    assert worker_of(server) not in {pid, None}


def test_a_server_that_is_stopped_in_the_middle_ends_every_job_after_its_next_start(
    server, terminal, caller, two_steps, site
):
    """One job ends while the server stops; of the other its worker loses patience, as it does with a container's."""
    greet = terminal.flow(greeting())
    in_time = caller.accepted(two_steps, {"url": site.hold("in-time")})
    late = caller.accepted(two_steps, {"url": site.hold("late")})
    site.wait_until_held("in-time")
    site.wait_until_held("late")
    before, worker = site.hits("/first"), worker_of(server)
    waiting: list[httpx.Response] = []
    thread = threading.Thread(target=lambda: waiting.append(caller.request("GET", f"/jobs/{late}?wait=60")))
    thread.start()
    quick = caller.accepted(greet, {"name": "Ada"})

    server.process.send_signal(signal.SIGTERM)
    thread.join(timeout=20)
    assert waiting[0].status_code in {200, 503}, "whoever waits is answered before the server ends"
    site.let_go("in-time")
    wait_until(lambda: status_of(terminal, in_time) == "completed", "the worker did not let the job end")
    assert worker is not None
    os.kill(worker, signal.SIGKILL)
    assert server.process.wait(timeout=40) == 0

    server.start(owner=False)
    site.let_go("late")
    assert (caller.job(in_time)["attempts"], caller.job(in_time)["result"]["output"]["body"]) == (1, "held no more")
    job = caller.ended(late)
    assert (job["status"], job["attempts"], job["result"]["output"]["body"]) == ("completed", 2, "held no more")
    assert caller.ended(quick)["result"] == {"output": "Hello Ada"}
    assert site.hits("/first") == before, "a step that had ended is not run again"
    assert '"concurrency";r=3' in caller.submit(greet, {"name": "Ada"}).headers["ratelimit"], "no slot leaked"


def status_of(terminal, job_id: str) -> str:
    """As stored: a server that stops answers nobody."""
    return terminal.store.read_now(get_job, terminal.owner.workspace_id, job_id).status
