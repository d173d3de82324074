"""A disk that becomes full and is freed again; a backup made under load, restored elsewhere and continued there."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from tests.factories import greeting
from tests.hosting.small_disk import SmallDisk, processes_of, small_disk
from tests.live import flows
from tests.live.caller import Caller, Terminal
from tests.live.holding_site import HoldingSite
from tests.live_server import LiveServer, live_server

#: `make test` covers a full disk in tests/api/test_routes.py, and a backup with unfinished jobs in
#: tests/commands/test_backup_and_check.py.
pytestmark = pytest.mark.slow

LARGE = "x" * 200_000
PASSPHRASE = "correct horse"


@pytest.fixture(scope="module")
def site() -> Iterator[HoldingSite]:
    with HoldingSite({}) as running:
        yield running


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDisk]:
    with small_disk(tmp_path_factory.mktemp("disk") / "small") as made:
        yield made


@pytest.fixture(scope="module")
def server(disk: SmallDisk, tmp_path_factory: pytest.TempPathFactory, site: HoldingSite) -> Iterator[LiveServer]:
    env = {
        "FLOWPORT_OUTBOUND_ALLOW": site.origin.removeprefix("http://"),
        "FLOWPORT_PLAN": "enterprise",
        "FLOWPORT_BACKUP_PASSPHRASE": PASSPHRASE,
    }
    with live_server(disk.folder / "data", owner=False, env=env) as running:
        yield running


@pytest.fixture(scope="module")
def terminal(server: LiveServer) -> Iterator[Terminal]:
    made = Terminal(server)
    yield made
    made.close()


@pytest.fixture(scope="module")
def caller(terminal: Terminal) -> Caller:
    return terminal.caller()


@pytest.fixture(scope="module")
def greet(terminal: Terminal) -> str:
    return terminal.flow(greeting())


@pytest.fixture(scope="module")
def fetch(terminal: Terminal) -> str:
    return terminal.flow(flows.one_node(flows.fetch(), flows.URL))


def until(seconds: float = 30) -> Iterator[None]:
    """Repeats the body of a loop until it breaks; fails when the time is over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        time.sleep(0.1)
    raise AssertionError("it did not come in time")


def test_a_full_disk_is_answered_with_503_and_all_goes_on_when_there_is_room(
    disk: SmallDisk, server: LiveServer, terminal: Terminal, caller: Caller, greet: str, fetch: str, site: HoldingSite
) -> None:
    held = caller.accepted(fetch, {"url": site.hold("full")})
    done = caller.run(greet, {"name": "Ann"})
    site.wait_until_held("full")
    processes = processes_of(server)
    accepted = {held, done["job_id"]}
    for _ in until():
        disk.fill(server)  # fills again what the server itself frees (an unfinished backup, a log)
        answer, ready = caller.submit(greet, {"name": LARGE}), httpx.get(f"{server.url}/readyz")
        if answer.status_code == 202:
            accepted.add(answer.json()["job_id"])
        elif ready.status_code == 503:
            break
    assert answer.json()["code"] == "storage_unavailable"
    assert int(answer.headers["retry-after"]) > 0
    assert ready.json()["status"] == "not ready"
    assert httpx.get(f"{server.url}/healthz").status_code == 200
    assert caller.job(done["job_id"]) == done, "what is there can be read"
    site.let_go("full")
    assert caller.submit(greet, {"name": LARGE}).status_code == 503

    disk.free(server)
    for _ in until():
        if httpx.get(f"{server.url}/readyz").status_code == 200:
            break
    for _ in until():
        answer = caller.submit(greet, {"name": "Bea"})
        if answer.status_code == 202:
            break
    accepted.add(answer.json()["job_id"])
    assert {caller.ended(job)["status"] for job in accepted} == {"completed"}
    assert processes_of(server) == processes, "nothing was started again"
    stored = terminal.store.read_now(lambda session: session.scalars(text("select id from jobs")).all())
    assert set(stored) == accepted, "nothing is half made"
    active = terminal.store.read_now(lambda session: session.scalar(text("select sum(active) from usage")))
    assert active == 0
    assert "Traceback" not in server.log(), server.log()


def test_a_backup_under_load_goes_on_in_another_folder(
    server: LiveServer, caller: Caller, greet: str, fetch: str, site: HoldingSite, tmp_path: Path
) -> None:
    done = caller.run(greet, {"name": "Cat"})
    held = [caller.accepted(fetch, {"url": site.hold("moved")}) for _ in range(3)]
    site.wait_until_held("moved", times=3)
    stop, sent = threading.Event(), []

    def load() -> None:
        while not stop.is_set():
            sent.append(caller.submit(greet, {"name": "load"}).status_code)

    threads = [threading.Thread(target=load) for _ in range(2)]
    for thread in threads:
        thread.start()
    file = tmp_path / "moved.fpbackup"
    try:
        server.run("backup", str(file))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert set(sent) == {202}
    server.kill()

    new = replace(
        server, data=tmp_path / "new", process=None, env={**server.env, "FLOWPORT_BACKUP_PASSPHRASE": "wrong one"}
    )
    refused = new.run("restore", str(file), check=False)
    assert (refused.returncode, list((tmp_path / "new").glob("*"))) == (1, [])
    assert "The passphrase is wrong" in refused.stderr
    new.env = server.env
    restored = new.run("restore", str(file))
    assert "BAD" not in restored.stdout
    going_on = re.search(r"(\d+) jobs that were running go on", restored.stderr)
    assert going_on is not None
    assert int(going_on[1]) >= 3, "those that were held, and some of the load maybe"
    try:
        new.start(owner=False)
        there = Caller(new.url, caller.key)
        assert there.job(done["job_id"]) == done
        site.wait_until_held("moved", times=6)
        site.let_go("moved")
        assert {there.ended(job)["status"] for job in held} == {"completed"}
        assert there.run(greet, {"name": "Dan"})["result"] == {"output": "Hello Dan"}
        assert new.stop() == 0
    finally:
        if new.process is not None and new.process.poll() is None:
            new.process.kill()
            new.process.wait()
