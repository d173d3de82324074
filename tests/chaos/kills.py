"""Kills or stops the server, its worker or both while clients submit jobs, and then checks the rules L1 to L3."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from engine.jobs.server.supervisor import ALONE
from tests.live_server import TLS, LiveServer
from tests.stand_ins.openai_server import OpenAIServer, Said

#: A flow with two paid model calls in sequence, of which the second needs the answer of the first.
FLOW = {
    "format": 1,
    "title": "Two calls",
    "nodes": [
        {
            "id": "api_input",
            "type": "api_input",
            "config": {"fields": [{"name": "n", "type": "integer", "required": True}]},
        },
        {
            "id": "first",
            "type": "prompt",
            "config": {"model": "counted:small-model"},
            "inputs": {"prompt": "first {{ api_input.out.n }} nothing"},
        },
        {
            "id": "second",
            "type": "prompt",
            "config": {"model": "counted:small-model"},
            "inputs": {"prompt": "second {{ api_input.out.n }} {{ first.out }}"},
        },
        {
            "id": "api_output",
            "type": "api_output",
            "inputs": {"n": "{{ api_input.out.n }}", "answer": "{{ second.out }}"},
        },
    ],
    "edges": [
        {"id": "a", "source": "api_input", "target": "first"},
        {"id": "b", "source": "first", "target": "second"},
        {"id": "c", "source": "second", "target": "api_output"},
    ],
}


#: How long a client goes on asking after the last kill.
PATIENCE = 240.0
#: What happens, in this order again and again. Killed: SIGKILL. Paused: SIGSTOP, and SIGCONT within seconds. Stopped:
#: SIGSTOP alone, so that the server has to replace the worker. Stranded: the worker is stopped, the server is killed and
#: starts again, and then the old worker goes on.
KINDS = (
    "worker killed",
    "server killed",
    "worker paused",
    "both killed",
    "server paused",
    "worker killed",
    "stranded",
    "worker stopped",
)


class Counted(OpenAIServer):
    """A model server that counts its calls by job and step. Each answer names its step, its job and the earlier answer,
    so the result of a job shows from which calls it was made.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[tuple[int, str]] = Counter()
        self.answer_with = self._say

    def _say(self, body: dict[str, Any]) -> Said:
        step, n, earlier = body["messages"][-1]["content"].split()
        self.calls[int(n), step] += 1
        return Said(f"{earlier}>{step}-{n}", delay=random.uniform(0.05, 1.0))


@dataclass
class Chaos:
    """A data folder, one server process at a time, clients that repeat failed requests, and the kills."""

    folder: Path
    jobs: int
    kills: int
    #: No kill is made after this many seconds, because a busy machine needs long to restart a server.
    seconds: float = 240.0
    clients: int = 12
    kinds: tuple[str, ...] = KINDS
    accepted: dict[int, str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    killed: Counter[str] = field(default_factory=Counter)
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _killed_enough: bool = False
    #: A kill waits for the next model call, so clients submit also what belongs after later kills.
    _waits_for_a_call: bool = False
    _struck: float = 0.0

    def run(self) -> None:
        """Runs the clients and the kills, and then checks every rule."""
        with Counted() as model:
            self.model = model
            env = {"FLOWPORT_PLAN": "enterprise"}
            self.server = LiveServer(self.folder / "data", env=env)
            self.server.start()
            try:
                self._deploy()
                clients = [threading.Thread(target=self._client, daemon=True) for _ in range(self.clients)]
                for client in clients:
                    client.start()
                self._kill_again_and_again(clients)
                for client in clients:
                    client.join(timeout=120)
                self._until_all_ended()
                self._check()
                assert self.server.stop() == 0
                self._check_no_process_is_left()
            finally:
                for pid, _, _ in self._processes_left():  # one that is stopped would stay for ever
                    _signal(pid, signal.SIGKILL)
                if self.server.process is not None:
                    self.server.process.wait(timeout=30)

    def _deploy(self) -> None:
        connection = ("--provider", "openai_compatible", "--base-url", self.model.url, "--concurrency", "200")
        self.server.run("models", "add", "counted", *connection)
        flow = json.loads(self.server.run("flows", "import", "-", "--json", stdin=json.dumps(FLOW)).stdout)
        self.flow_id = flow["flow_id"]
        self.server.run("flows", "deploy", self.flow_id)
        made = self.server.run("keys", "create", "--label", "Chaos", "--environment", "live", "--json").stdout
        self.key = json.loads(made)["key"]

    def _client(self) -> None:
        """Submits one job after the other, each until it is accepted, and waits for its end, so that every kill happens
        while jobs run.

        Each job has an Idempotency-Key, so repeating a request whose response was lost creates no second job.
        """
        headers = {"Authorization": f"Bearer {self.key}"}
        with httpx.Client(base_url=self.server.url, headers=headers, timeout=10, verify=TLS) as client:
            while (n := next(self._numbers)) < self.jobs:
                self._until_its_turn(n)
                with contextlib.suppress(_GaveUpError):
                    self.accepted[n] = self._submit(client, n)
                    self._wait(client, self.accepted[n])

    def _until_its_turn(self, n: int) -> None:
        """Waits for the kills that belong before this job, as `_until_enough_are_accepted` does for jobs."""
        while n * self.kills >= self.jobs * (self.killed.total() + 2):
            if self._killed_enough or self._waits_for_a_call:
                return
            time.sleep(0.01)

    def _wait(self, client: httpx.Client, job_id: str) -> None:
        begun = time.monotonic()
        while time.monotonic() < max(begun, self._struck) + PATIENCE:
            with contextlib.suppress(httpx.TransportError, ValueError):
                job = client.get(f"/public/v1/jobs/{job_id}?wait=5")
                if job.status_code == 200 and job.json()["status"] in {"completed", "failed", "cancelled"}:
                    return
                if job.status_code == 404:
                    break
            time.sleep(0.05)
        self.errors.append(f"{job_id} did not end, or is lost")

    def _submit(self, client: httpx.Client, n: int) -> str:
        begun = time.monotonic()
        while time.monotonic() < max(begun, self._struck) + PATIENCE:
            try:
                answer = client.post(
                    f"/public/v1/flows/execute/{self.flow_id}", json={"n": n}, headers={"Idempotency-Key": f"job-{n}"}
                )
            except httpx.TransportError:
                time.sleep(0.1)
                continue
            if answer.status_code == 202:
                return answer.json()["job_id"]
            if answer.status_code not in {429, 503}:
                self.errors.append(f"{answer.status_code}: {answer.text}")
                raise _GaveUpError
            time.sleep(0.1)
        self.errors.append(f"job {n} was never accepted")
        raise _GaveUpError

    def _kill_again_and_again(self, clients: list[threading.Thread]) -> None:
        until = time.monotonic() + self.seconds
        try:
            for number in range(self.kills):
                if time.monotonic() > until or not any(client.is_alive() for client in clients) or self.errors:
                    break
                self._until_enough_are_accepted(number, clients)
                self._until_nobody_is_on_the_last_attempt()
                self._until_a_call_begins(clients)
                time.sleep(random.uniform(0.0, 0.5))
                kind = self.kinds[number % len(self.kinds)]
                self._strike(kind)
                self._struck = time.monotonic()
                self.killed[kind] += 1
                print(f"{self.killed.total()} of {self.kills}: {kind}, {len(self.accepted)} jobs", flush=True)
        finally:
            self._killed_enough = True
        assert self.errors == []
        assert self.killed.total() >= min(3, self.kills), self.killed

    def _strike(self, kind: str) -> None:
        worker = self._worker_pid()
        assert self.server.process is not None
        match kind:
            case "worker killed":
                _signal(worker, signal.SIGKILL)
            case "server killed":
                self.server.kill()
                self._start_again()
            case "both killed":
                _signal(worker, signal.SIGKILL)
                self.server.kill()
                self._start_again()
            case "server paused":
                _pause(self.server.process.pid, random.uniform(0.5, 4.0))
            case "worker paused":
                # The server replaces a worker after 6 s: it may happen, too, that both go on.
                _pause(worker, random.uniform(0.5, 7.0))
            case "worker stopped":
                _signal(worker, signal.SIGSTOP)
            case "stranded":
                # The stopped worker may hold the database's write lock, for which a starting server waits 10 s.
                _signal(worker, signal.SIGSTOP)
                self.server.kill()
                goes_on = threading.Timer(random.uniform(0.5, 8.0), _signal, (worker, signal.SIGCONT))
                goes_on.start()
                self._start_again()
                goes_on.join()

    def _start_again(self) -> None:
        try:
            self.server.start()
        except AssertionError:
            self.server.wait_until_ready()  # a second wait, because the machine may be busy with other tests

    def _until_enough_are_accepted(self, kills: int, clients: list[threading.Thread]) -> None:
        """Waits for the jobs that belong before this kill: the kills are spread over all jobs."""
        while len(self.accepted) * self.kills < self.jobs * kills and any(client.is_alive() for client in clients):
            time.sleep(0.01)

    def _until_a_call_begins(self, clients: list[threading.Thread]) -> None:
        """Waits for the next model call, so that the kill interrupts a job. A restarted worker may need seconds until
        its first call.
        """
        before = self.model.calls.total()
        self._waits_for_a_call = True
        while self.model.calls.total() == before and any(client.is_alive() for client in clients):
            time.sleep(0.01)
        self._waits_for_a_call = False

    def _until_nobody_is_on_the_last_attempt(self) -> None:
        """Waits until no job is in its third attempt, because a job whose third worker is lost fails by design."""
        self._until("select count(*) = 0 from jobs where attempts >= 2 and status in ('queued', 'processing')")

    def _until_all_ended(self) -> None:
        self._until("select count(*) = 0 from jobs where status in ('queued', 'processing')")

    def _until(self, question: str) -> None:
        until = time.monotonic() + 120
        while time.monotonic() < until:
            if self._ask(question)[0][0]:
                return
            time.sleep(0.05)
        raise AssertionError(f"still not so: {question}\n{self.server.log()[-4000:]}")

    def _ask(self, question: str) -> list[Any]:
        with contextlib.closing(sqlite3.connect(self.folder / "data" / "flowport.db", timeout=10)) as connection:
            return connection.execute(question).fetchall()

    def _worker_pid(self) -> int | None:
        """Returns the process id of the worker that takes jobs: a child of the server that does not run jobs alone."""
        assert self.server.process is not None
        for pid, parent, _ in _processes():
            if parent == self.server.process.pid and not _runs_alone(pid):
                return pid
        return None

    def _check(self) -> None:
        assert self.errors == []
        assert sorted(self.accepted) == list(range(self.jobs))
        assert len(set(self.accepted.values())) == self.jobs
        again = self._ask("select sum(attempts) from jobs")[0][0] - self.jobs
        print(
            f"{self.jobs} jobs, kills {dict(self.killed)}, {again} attempts again, {sum(self.model.calls.values())} calls"
        )
        assert again >= 1, "the kills met no job at work"
        rows = {row[0]: row[1:] for row in self._ask("select id, status, attempts from jobs")}
        starts = dict(self._ask("select job_id, count(*) from events where name = 'job.processing' group by job_id"))
        assert set(rows) == set(self.accepted.values())
        headers = {"Authorization": f"Bearer {self.key}"}
        with httpx.Client(base_url=self.server.url, headers=headers, timeout=30) as client:
            for n, job_id in self.accepted.items():
                job = client.get(f"/public/v1/jobs/{job_id}").json()
                assert job["status"] == "completed", job
                assert job["result"] == {"n": n, "answer": f"nothing>first-{n}>second-{n}"}
        for n, job_id in self.accepted.items():
            first, second = self.model.calls[n, "first"], self.model.calls[n, "second"]
            # Each new start may repeat only the model call that was in progress, never one that was finished.
            assert first >= 1
            assert second >= 1
            assert first + second <= 2 + (starts[job_id] - 1), (job_id, starts[job_id], first, second)
        used = self._ask("select subject, active, month_count from usage where active <> 0 or month_count <> 0")
        # The key and its workspace: no slot is taken, and each job was counted once.
        assert sorted(row[1:] for row in used) == [(0, self.jobs)] * 2, used
        ends = self._ask(
            "select job_id, count(*) from events where name in ('job.completed', 'job.failed', 'job.cancelled')"
            " group by job_id having count(*) <> 1"
        )
        assert ends == []
        gaps = self._ask("select job_id from events group by job_id having max(seq) <> count(*)")
        assert gaps == []

    def _check_no_process_is_left(self) -> None:
        until = time.monotonic() + 60  # a worker ends itself within a few seconds after its server was killed
        while time.monotonic() < until:
            if not self._processes_left():
                return
            time.sleep(0.1)
        raise AssertionError(self._processes_left())

    def _processes_left(self) -> list[tuple[int, int, str]]:
        """Returns the workers of the data folder, and the server."""
        server = self.server.process.pid if self.server.process is not None else None
        return [one for one in _processes() if f"{self.folder}/" in one[2] or one[0] == server]


class _GaveUpError(Exception):
    pass


def _signal(pid: int | None, number: int) -> None:
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _pause(pid: int | None, seconds: float) -> None:
    _signal(pid, signal.SIGSTOP)
    time.sleep(seconds)
    _signal(pid, signal.SIGCONT)


def _runs_alone(pid: int) -> bool:
    """Tells whether the process is a worker started for a job during which two workers died; such jobs run alone."""
    with contextlib.suppress(OSError):
        return f"{ALONE}=1".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return False


def _processes() -> list[tuple[int, int, str]]:
    """Returns (pid, parent, command line) of every process that is not a zombie."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if fields[0] != "Z":
            found.append((int(entry.name), int(fields[1]), line))
    return found
