"""Half an hour of mixed load: the server's resource use must not grow, and no call may end with a 5xx.

FLOWPORT_TEST_SOAK_MINUTES sets the duration. Prints a table of what the server and its worker used, minute by minute.
"""

from __future__ import annotations

import itertools
import os
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, sync_playwright

from engine.actions.flows import change_flow_settings
from tests.browser.conftest import sign_in
from tests.factories import greeting
from tests.live import flows
from tests.live.caller import Caller, Terminal
from tests.live.holding_site import HoldingSite
from tests.live.test_endings import worker_of
from tests.live_server import LiveServer, live_server
from tests.shared import FLAGS, chromium

MINUTES = float(os.environ.get("FLOWPORT_TEST_SOAK_MINUTES", "30"))
#: Warm-up: caches fill and pages are drawn for the first time.
WARM_MINUTES = min(5.0, MINUTES / 3)
#: How long the browser stays on a page. Every minute has the same number of pages, because pages take most of the
#: memory.
PAGE_SECONDS = 3.0
PAGES = (
    "/flows",
    "/jobs",
    "/monitoring",
    "/templates",
    "/playground",
    "/settings/keys",
    "/settings/limits",
    "/settings/data",
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(int(MINUTES * 60) + 600)]


@dataclass
class Load:
    """Threads that call at a constant rate until `over`. The status codes of the responses are counted."""

    over: threading.Event = field(default_factory=threading.Event)
    answers: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)

    def start(self, name: str, act: Callable[[], httpx.Response | None], every: float) -> None:
        def again() -> None:
            due = time.monotonic()
            while not self.over.wait(max(0.0, due - time.monotonic())):
                due = max(due + every, time.monotonic() - every)
                try:
                    answer = act()
                except Exception as error:  # noqa: BLE001 - reported at the end
                    self.wrong.append(f"{name}: {error!r}")
                    continue
                if answer is not None:
                    self.answers[f"{name} {answer.status_code}"] += 1
                    if answer.status_code >= 500:
                        self.wrong.append(f"{name}: {answer.status_code} {answer.url} {answer.text[:200]}")

        self.threads.append(threading.Thread(target=again, name=name, daemon=True))
        self.threads[-1].start()

    def stop(self) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join(timeout=90)


@dataclass(frozen=True)
class Used:
    """Resources of a process: memory in MiB, open files, threads."""

    memory: float
    files: int
    threads: int

    @classmethod
    def by(cls, pid: int) -> Used:
        at = Path(f"/proc/{pid}")
        status = dict(line.split(":", 1) for line in (at / "status").read_text().splitlines())
        return cls(int(status["VmRSS"].split()[0]) / 1024, len(list((at / "fd").iterdir())), int(status["Threads"]))


@pytest.fixture
def site() -> Iterator[HoldingSite]:
    with HoldingSite({"/story": "<h1>The lighthouse</h1>"}) as running:
        yield running


@pytest.fixture
def server(tmp_path: Path, site: HoldingSite) -> Iterator[LiveServer]:
    with live_server(
        tmp_path / "data", env={"FLOWPORT_OUTBOUND_ALLOW": site.origin.removeprefix("http://")}
    ) as running:
        yield running


@pytest.mark.costly("calls, pages and a browser for as long as the run takes")
def test_half_an_hour_of_everything_grows_nothing(server: LiveServer, site: HoldingSite):
    terminal = Terminal(server)
    server.run("plan", "set", "enterprise", "--concurrency", "200", "--monthly", "unlimited")
    greet = terminal.flow(greeting())
    fetch = terminal.flow(flows.in_a_row([flows.fetch()], flows.URL))
    each = terminal.flow(flows.in_a_list())
    terminal.store.write_now(change_flow_settings, terminal.owner, greet, {"mcp": True})
    caller = terminal.caller()
    load = Load()
    ids: list[str] = []
    numbers = itertools.count()

    def submit() -> httpx.Response:
        answer = caller.submit(greet, {"name": f"Ann {next(numbers)}"})
        if answer.status_code == 202:
            ids.append(answer.json()["job_id"])
            del ids[:-50]
        return answer

    def poll() -> httpx.Response | None:
        return caller.request("GET", f"/jobs/{ids[-1]}") if ids else None

    def cancel() -> httpx.Response:
        job_id = caller.accepted(fetch, {"url": site.hold(f"soak-{next(numbers)}")})
        time.sleep(0.3)
        return caller.cancel(job_id)

    def follow() -> httpx.Response:
        """Reads a list, and one of its event streams to the end."""
        job_id = caller.accepted(each, {"urls": [site.at("/story")] * 4})
        answer = caller.request("GET", f"/jobs/{job_id}/events")
        if "job.completed" not in answer.text:
            load.wrong.append(f"follow: {answer.text[-300:]}")
        return answer

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), headless=True, args=FLAGS)
        context = browser.new_context(base_url=server.url)
        page = sign_in(context.new_page())
        cookies = {cookie["name"]: cookie["value"] for cookie in context.cookies()}
        load.start("submit", submit, 0.1)
        load.start("wait", lambda: caller.request("POST", f"/flows/execute/{greet}?wait=10", json={"name": "B"}), 0.3)
        load.start("poll", poll, 0.1)
        load.start("list", lambda: caller.request("GET", "/jobs?limit=20"), 1.0)
        load.start("wrong", lambda: caller.submit(greet, {"nobody": 1}), 0.7)
        load.start("fetch", lambda: caller.submit(fetch, {"url": site.at("/story")}), 0.5)
        load.start("cancel", cancel, 1.0)
        load.start("follow", follow, 1.0)
        load.start("tool", lambda: _call_tool(caller), 1.0)
        opened = (*PAGES, f"/playground/{greet}", f"/flows/{each}")
        paths = itertools.cycle(opened)
        load.start("page", lambda: httpx.get(server.url + next(paths), cookies=cookies, timeout=30), 2.0)
        rows = _watch(server, load, page, opened)
        load.stop()
        browser.close()
    terminal.close()

    print(
        f"\n{'minute':>6} {'server MiB':>11} {'files':>6} {'threads':>8} {'worker MiB':>11} {'files':>6} {'threads':>8}"
    )
    for minute, (one, other) in enumerate(rows):
        print(
            f"{minute:>6} {one.memory:>11.1f} {one.files:>6} {one.threads:>8} "
            f"{other.memory:>11.1f} {other.files:>6} {other.threads:>8}"
        )
    print(dict(sorted(load.answers.items())))
    assert load.wrong == [], server.log()[-8_000:]
    assert "Traceback" not in server.log(), server.log()[-8_000:]
    for process in zip(*rows, strict=True):
        _check_flat(process)


def _call_tool(caller: Caller) -> httpx.Response:
    """Calls the greeting flow as an AI assistant does, through MCP."""
    headers = {"Authorization": f"Bearer {caller.key}", "Accept": "application/json, text/event-stream"}
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "greeting", "arguments": {"name": "C"}},
    }
    answer = httpx.post(f"{caller.url}/mcp", headers=headers, json=call, timeout=60)
    assert "Hello C" in answer.text, answer.text
    return answer


def _watch(server: LiveServer, load: Load, page: Page, addresses: Iterable[str]) -> list[tuple[Used, Used]]:
    """Opens pages in a real browser and samples both processes once a minute."""
    assert server.process is not None
    worker = worker_of(server)
    assert worker is not None
    rows, paths, ends = [], itertools.cycle(addresses), time.monotonic() + MINUTES * 60
    next_look = time.monotonic()
    while time.monotonic() < ends and not load.wrong:
        due = time.monotonic() + PAGE_SECONDS
        page.goto(next(paths))
        page.wait_for_timeout(max(500.0, (due - time.monotonic()) * 1_000))
        if time.monotonic() >= next_look:
            rows.append((Used.by(server.process.pid), Used.by(worker)))
            next_look += 60
    assert worker_of(server) == worker, "the worker was replaced"
    return rows


def _check_flat(rows: tuple[Used, ...]) -> None:
    """Compares the last third of the run with the values after the warm-up."""
    warm = rows[int(WARM_MINUTES) :] or rows
    third = max(1, len(warm) // 3)
    before, after = warm[:third], warm[-third:]
    for name, room in (("memory", 25.0), ("files", 20), ("threads", 8)):
        was, is_now = (statistics.median(getattr(used, name) for used in part) for part in (before, after))
        assert is_now <= was + room, f"{name} grew from {was:.1f} to {is_now:.1f}"
