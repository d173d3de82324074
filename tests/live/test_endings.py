"""Processes are killed or stopped in the middle of jobs: every job continues and ends exactly once.

The tests share one server.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from engine.actions.datasets import add_dataset
from engine.jobs.server.supervisor import ALONE
from storage.datasets import each_row
from storage.jobs import get_job
from storage.webhooks import list_deliveries
from tests.factories import greeting
from tests.live import flows
from tests.live.caller import Caller, Terminal
from tests.live.holding_site import HoldingSite, wait_until
from tests.live_server import LiveServer, live_server
from tests.stand_ins.local_server import Places
from tests.stand_ins.webhook_receiver import WebhookReceiver

JOBS, ITEMS, KEYS, KILLS = 4, 24, 6, 2
CALLERS = 24


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, places: Places) -> Iterator[LiveServer]:
    data = tmp_path_factory.mktemp("mortal") / "data"
    env = {"FLOWPORT_OUTBOUND_ALLOW": places.allow, "FLOWPORT_WEBHOOK_ALLOW": places.allow}
    with live_server(data, owner=False, env=env) as running:
        yield running
        assert "Traceback" not in running.log(), running.log()


@pytest.fixture(scope="module")
def two_steps(terminal, site) -> str:
    """A flow that fetches `/first` and then `url`."""
    row = [flows.fetch("first", site.at("/first")), flows.fetch("second")]
    return terminal.flow(flows.in_a_row(row, flows.URL))


def worker_of(server) -> int | None:
    """Returns the process id of the server's ordinary worker, not of one that runs jobs alone after two lost
    workers.
    """
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if fields[0] != "Z" and int(fields[1]) == server.process.pid and not runs_alone(entry):
                return int(entry.name)
    return None


def runs_alone(process: Path) -> bool:
    with contextlib.suppress(OSError):
        return f"{ALONE}=1".encode() in (process / "environ").read_bytes().split(b"\0")
    return False


def kill_worker(server: LiveServer) -> int:
    """Kills the worker, once there is one."""
    wait_until(lambda: worker_of(server) is not None, server.log())
    pid = worker_of(server)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: worker_of(server) != pid, "it is still there")
    return pid


def keeping_flow() -> dict[str, Any]:
    """A flow that adds each number of `numbers` to a dataset as a row, and counts it under one of ten keys."""
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


def test_a_job_goes_on_after_its_worker_was_killed(server, caller, two_steps, site):
    before = site.hits("/first")
    job_id = caller.accepted(two_steps, {"url": site.hold("killed")})
    site.wait_until_held("killed")
    pid = kill_worker(server)
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


def test_the_end_of_a_batch_is_told_once_whenever_its_worker_was_killed(
    server: LiveServer, site: HoldingSite, places: Places
) -> None:
    """The kill happens while items run, and again when the last of them end."""
    terminal = Terminal.new(server)
    caller, flow_id = terminal.caller(), terminal.flow(flows.one_node(flows.fetch(), flows.URL, title="Batch"))
    names = ["batch-a", "batch-b", "batch-c"]
    with WebhookReceiver().at_place(places) as receiver:
        batch = caller.request(
            "POST",
            f"/flows/execute/{flow_id}/batch",
            json={"items": [{"url": site.hold(name)} for name in names]},
            headers={"X-Webhook-Url": receiver.url},
        ).json()
        for name in names:
            site.wait_until_held(name)
        kill_worker(server)
        for name in names:
            site.wait_until_held(name, times=2)
            site.let_go(name)
        kill_worker(server)
        for job_id in batch["job_ids"]:
            assert caller.ended(job_id)["status"] == "completed"
        receiver.wait_for(len(names) + 1, seconds=120)
        of_batch = [seen for seen in receiver.deliveries if seen.json["type"] == "batch.completed"]

    stored = terminal.store.read_now(list_deliveries, terminal.owner.workspace_id, flow_id)
    assert [row.event for row in stored].count("batch.completed") == 1, (
        "one row in the outbox, however often a worker died"
    )
    assert len({seen.headers["webhook-id"] for seen in of_batch}) == 1
    told = of_batch[0].json["data"]
    asked = caller.request("GET", f"/batches/{batch['batch_id']}").json()
    assert told == {name: value for name, value in asked.items() if name not in {"job_ids", "next_cursor"}}
    assert (told["status"], told["completed"], asked["job_ids"]) == ("completed", 3, batch["job_ids"])


def test_rows_are_kept_once_whatever_happens_to_the_worker(server: LiveServer) -> None:
    terminal = Terminal.new(server, "enterprise")
    log = terminal.store.write_now(add_dataset, terminal.owner, "Log")
    last = terminal.store.write_now(add_dataset, terminal.owner, "Last")
    flow_id = terminal.flow(keeping_flow())
    caller = terminal.caller()
    payload = {"numbers": [number % KEYS for number in range(ITEMS)]}
    with ThreadPoolExecutor(JOBS) as callers:
        job_ids = list(callers.map(lambda _: caller.accepted(flow_id, payload), range(JOBS)))
    for kill in range(KILLS):
        least = (kill * 2 + 1) * JOBS * ITEMS // (KILLS * 2 + 2)
        wait_until(lambda least=least: len(rows_of(terminal, log)) >= least, "too few rows were kept")
        kill_worker(server)
    jobs = [caller.ended(job_id) for job_id in job_ids]

    assert [job["status"] for job in jobs] == ["completed"] * JOBS, jobs
    assert max(job["attempts"] for job in jobs) > 1, "no job was running when its worker was killed"
    assert all(job["result"]["output"]["items"] == list(range(ITEMS)) for job in jobs)
    logged = Counter((row["job"], row["index"]) for row in rows_of(terminal, log))
    assert logged == {(job_id, index): 1 for job_id in job_ids for index in range(ITEMS)}
    kept = rows_of(terminal, last)
    assert sorted(row["key"] for row in kept) == list(range(KEYS)), "one row for each key"
    assert all(row["index"] % KEYS == row["key"] and row["job"] in job_ids for row in kept), "no row is half of two"


def test_many_callers_on_free_never_hold_a_fifth_slot_and_every_slot_comes_back(
    server: LiveServer, site: HoldingSite
) -> None:
    """Jobs complete, fail, are cancelled and time out, and the worker is killed in the middle."""
    terminal = Terminal.new(server)
    flow_id = terminal.flow(flows.one_node(flows.fetch(retries=0), flows.URL, title="Many"))
    # Each caller has its own key, because a key may send 50 requests a second.
    callers = [terminal.caller(f"Caller {number}") for number in range(CALLERS)]
    kinds: dict[str, tuple[str, dict[str, str]]] = {
        "completed": (site.at("/story"), {}),
        "failed": (site.at("/nowhere"), {}),
        "cancelled": (site.hold("cancelled"), {}),
        "timeout": (site.hold("too-late"), {"Cancel_After": "1"}),
    }
    wanted = ["completed", "failed", "cancelled", "completed", "failed", "cancelled", "completed", "timeout"]
    accepted: list[str] = []
    statuses: Counter[int] = Counter()
    active: Counter[int] = Counter()
    done = threading.Event()

    def submit_until_accepted(number: int) -> tuple[str, dict[str, Any]]:
        caller, kind = callers[number], wanted[number % len(wanted)]
        url, headers = kinds[kind]
        while (answer := caller.submit(flow_id, {"url": url}, **headers)).status_code == 429:
            statuses[429] += 1
            assert answer.json()["code"] == "concurrency_limit_exceeded", answer.text
            done.wait(0.2)
        statuses[answer.status_code] += 1
        job_id = answer.json()["job_id"]
        accepted.append(job_id)
        if kind == "cancelled":
            caller.cancel(job_id)
        return kind, caller.ended(job_id)

    def watch() -> None:
        while not done.is_set():
            active[terminal.store.read_now(count_active, terminal.workspace_id)] += 1
            done.wait(0.02)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        with ThreadPoolExecutor(CALLERS) as threads:
            jobs = threads.map(submit_until_accepted, range(CALLERS))
            wait_until(lambda: len(accepted) >= CALLERS // 4, "too few were accepted")
            kill_worker(server)
            ended = list(jobs)
    finally:
        done.set()
        watching.join()

    assert statuses.keys() == {202, 429}
    assert max(active) == 4
    for kind, job in ended:
        assert (job["error"] or {}).get("code") == "timeout" if kind == "timeout" else job["status"] == kind, job
    assert terminal.store.read_now(usage_of, terminal.workspace_id) == (0, CALLERS), "quota exact, no slot lost"


def test_a_server_that_is_stopped_in_the_middle_ends_every_job_after_its_next_start(
    server, terminal, caller, two_steps, site
):
    """One job ends while the server stops; the other exceeds the worker's time limit for stopping."""
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
    thread.join(timeout=120)
    assert waiting[0].status_code in {200, 503}, "whoever waits is answered before the server ends"
    site.let_go("in-time")
    wait_until(lambda: status_of(terminal, in_time) == "completed", "the worker did not let the job end")
    assert worker is not None
    os.kill(worker, signal.SIGKILL)
    assert server.process.wait(timeout=120) == 0

    server.start(owner=False)
    site.let_go("late")
    assert (caller.job(in_time)["attempts"], caller.job(in_time)["result"]["output"]["body"]) == (1, "held no more")
    job = caller.ended(late)
    assert (job["status"], job["attempts"], job["result"]["output"]["body"]) == ("completed", 2, "held no more")
    assert caller.ended(quick)["result"] == {"output": "Hello Ada"}
    assert site.hits("/first") == before, "a step that had ended is not run again"
    assert '"concurrency";r=3' in caller.submit(greet, {"name": "Ada"}).headers["ratelimit"], "no slot leaked"


def test_jobs_go_on_after_the_server_was_killed(
    server: LiveServer, caller: Caller, two_steps: str, site: HoldingSite
) -> None:
    """SIGKILL: the server could notify neither the worker nor the database."""
    before = site.hits("/first")
    job_id = caller.accepted(two_steps, {"url": site.hold("server-killed")})
    site.wait_until_held("server-killed")
    server.kill()
    server.start(owner=False)
    site.wait_until_held("server-killed", times=2)
    site.let_go("server-killed")
    job = caller.ended(job_id)
    assert (job["status"], job["result"]["output"]["body"]) == ("completed", "held no more")
    assert site.hits("/first") == before + 1, "a step that had ended is not run again"
    names = [name for _, name, _ in caller.events(job_id)]
    assert names.count("job.completed") == 1


def status_of(terminal, job_id: str) -> str:
    """Reads the status from the database, because a stopping server does not answer."""
    return terminal.store.read_now(get_job, terminal.owner.workspace_id, job_id).status


def count_active(session: Any, workspace_id: str) -> int:
    """Counts the active jobs directly in the table."""
    said = "select count(*) from jobs where workspace_id = :id and status in ('queued', 'processing')"
    return session.execute(text(said), {"id": workspace_id}).scalar_one()


def usage_of(session: Any, workspace_id: str) -> tuple[int, int]:
    """Returns the counters of slots in use and requests of the month."""
    said = "select active, month_count from usage where subject = :id"
    return tuple(session.execute(text(said), {"id": workspace_id}).one())


def test_a_second_signal_stops_a_server_that_waits_for_a_job(server, caller, two_steps, site):
    kept = caller.accepted(two_steps, {"url": site.hold("kept")})
    site.wait_until_held("kept")
    begun = server.log().count("Stopped.")
    server.process.send_signal(signal.SIGINT)
    wait_until(lambda: "waits up to 20 s for 1 job;" in server.log(), "it does not say what it waits for")
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(timeout=15) == 0
    assert server.log().count("Stopped.") == begun + 1

    server.start(owner=False)
    site.let_go("kept")
    job = caller.ended(kept)
    assert (job["status"], job["attempts"]) == ("completed", 1)
