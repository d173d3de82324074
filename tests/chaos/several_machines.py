"""Two servers and four workers on machines of their own share a PostgreSQL, while processes, the database and the network
fail again and again. Then the rules L1 to L3 are checked.

Run it in a network of its own: `unshare --net python -m tests.chaos.several_machines FOLDER JOBS ROUNDS`.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import random
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg

from storage.postgres.connections import WRITE_LOCK
from tests.chaos.kills import FLOW, Counted
from tests.chaos.machines import HOME, ROOT, Machine, Postgres, address_of, make_switch
from tests.one_command import clean_environment, run_here
from tests.stand_ins.openai_server import Said

SERVERS, WORKERS = ("pages-1", "pages-2"), ("worker-1", "worker-2", "worker-3", "worker-4")
#: At most so many jobs are open at the same time.
LIMIT = 200
#: The seconds that a model call takes at most. A job has two.
LONGEST_CALL = 10.0
#: One round of what happens. Two of each kind that kills make 30 kills in 15 rounds.
ROUND = ("worker killed", "server killed", "worker killed", "server killed")
#: What happens in addition after rounds, so often in all.
REST = {"database killed": 10, "machine cut off": 5, "worker frozen": 3, "rolling restart": 2}
#: Within so many seconds others take the jobs of a machine.
TAKEN_OVER = {"worker killed": 13.0, "machine cut off": 15.0, "worker frozen": 35.0}
PATIENCE = 240.0


class Slow(Counted):
    """The model server on the address of the switch, whose answers take up to LONGEST_CALL seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._place = socket.socket()
        self._place.bind((HOME, 0))

    @property
    def origin(self) -> str:
        return f"http://{HOME}:{self.port}"

    def _say(self, body: dict[str, Any]) -> Said:
        said = super()._say(body)
        return Said(said.text, delay=random.uniform(0.0, LONGEST_CALL))


@dataclass
class SeveralMachines:
    """The machines, their database, those who submit jobs, and what happens to all of them."""

    folder: Path
    jobs: int
    rounds: int
    clients: int = 12
    accepted: dict[int, str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    happened: Counter[str] = field(default_factory=Counter)
    #: Seconds until nobody had a job of the machine any more, by what happened.
    taken: dict[str, list[float]] = field(default_factory=dict)
    #: When PostgreSQL was killed, in milliseconds since 1970.
    database_killed: list[float] = field(default_factory=list)
    most_open: int = 0
    samples: int = 0
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _plan: list[str] = field(default_factory=list)
    #: How many events have begun: just before each, the jobs of its share are submitted.
    _begun: int = 0
    _happened: bool = False
    _over: bool = False

    def run(self) -> None:
        """Runs everything and checks the rules. Raises AssertionError."""
        self._plan = self._make_plan()
        make_switch()
        self.postgres = Postgres(self.folder / "postgres")
        self.postgres.make()
        with Slow() as self.model:
            self.machines = {name: self._machine(name, number) for number, name in enumerate((*SERVERS, *WORKERS))}
            try:
                self._deploy()
                for machine in self.machines.values():
                    machine.plug_in()
                    machine.start()
                for name in SERVERS:
                    self._until_ready(name)
                threads = [threading.Thread(target=self._client, args=(n,), daemon=True) for n in range(self.clients)]
                threads.append(threading.Thread(target=self._sample, daemon=True))
                for thread in threads:
                    thread.start()
                self._let_it_happen()
                for thread in threads[:-1]:
                    thread.join(timeout=PATIENCE)
                self._until("select count(*) = 0 from jobs where status in ('queued', 'processing')", PATIENCE)
                self._over = True
                self._check()
                assert [machine.stop() for machine in self.machines.values()] == [0] * len(self.machines)
            finally:
                for machine in self.machines.values():
                    machine.unplug()
                self.postgres.stop()

    def _machine(self, name: str, number: int) -> Machine:
        data = self.folder / name
        work = "worker" if name in WORKERS else "serve"
        address = ("--host", address_of(number), "--port", "8080", "--no-worker") if work == "serve" else ()
        return Machine(
            name, number, [sys.executable, str(ROOT / "app.py"), work, *address],
            {**self._environment, "FLOWPORT_DATA": str(data)}, self.folder / f"{name}.log",
        )  # fmt: skip

    @property
    def _environment(self) -> dict[str, str]:
        key = self.folder / "secret.key"
        if not key.exists():
            key.write_text(base64.b64encode(os.urandom(32)).decode())
            key.chmod(0o600)
        return {
            **clean_environment(),
            "PYTHONUNBUFFERED": "1",
            "FLOWPORT_DATABASE_URL": self.postgres.url,
            "FLOWPORT_SECRET_KEY_FILE": str(key),
        }

    def _deploy(self) -> None:
        def command(*words: str, stdin: str = "") -> Any:
            environment = {**self._environment, "FLOWPORT_DATA": str(self.folder / "command")}
            ended = run_here(words, stdin=stdin.encode(), environment=environment, folder=ROOT)
            assert ended.returncode == 0, (words, ended.stdout, ended.stderr)
            return ended.stdout

        more = ("--concurrency", str(LIMIT))  # calls wait for their model, not for each other
        command("models", "add", "counted", "--provider", "openai_compatible", "--base-url", self.model.url, *more)
        self.flow_id = json.loads(command("flows", "import", "-", "--json", stdin=json.dumps(FLOW)))["flow_id"]
        command("flows", "deploy", self.flow_id)
        command("plan", "set", "enterprise", "--concurrency", str(LIMIT), "--monthly", "unlimited")
        made = command("keys", "create", "--label", "Chaos", "--environment", "live", "--json")
        self.key = json.loads(made)["key"]

    # Those who call.

    def _client(self, me: int) -> None:
        """Submits jobs at any server, each until it is accepted; every second client without an Idempotency-Key, so that a
        request whose answer was lost may have made a job that nobody knows of.
        """
        headers = {"Authorization": f"Bearer {self.key}"}
        with httpx.Client(headers=headers, timeout=20) as client:
            while (n := next(self._numbers)) < self.jobs:
                self._until_its_turn(n)
                once = {"Idempotency-Key": f"job-{n}"} if me % 2 else {}
                until = time.monotonic() + PATIENCE
                while n not in self.accepted and time.monotonic() < until:
                    name = random.choice(SERVERS)
                    url = f"http://{self.machines[name].address}:8080/public/v1/flows/execute/{self.flow_id}"
                    try:
                        answer = client.post(url, json={"n": n}, headers=once)
                    except httpx.TransportError:
                        time.sleep(0.2)
                        continue
                    if answer.status_code == 202:
                        self.accepted[n] = answer.json()["job_id"]
                    elif answer.status_code not in {429, 503}:
                        self.errors.append(f"{answer.status_code}: {answer.text}")
                        return
                    else:
                        time.sleep(0.3)
                if n not in self.accepted:
                    self.errors.append(f"job {n} was never accepted")

    def _until_its_turn(self, n: int) -> None:
        """Waits for what has to happen before this job: the events are spread over all jobs."""
        while not self._happened and n * len(self._plan) >= self.jobs * (self._begun + 1):
            time.sleep(0.05)

    def _sample(self) -> None:
        """Counts open jobs under the lock of those who write, again and again."""
        while not self._over:
            with contextlib.suppress(psycopg.Error), self.postgres.connect() as connection:
                while not self._over:
                    with connection.transaction():
                        connection.execute(f"select pg_advisory_xact_lock{WRITE_LOCK}")
                        row = connection.execute(
                            "select count(*), coalesce((select max(active) from usage), 0) from jobs"
                            " where status in ('queued', 'processing') and environment = 'live'"
                        ).fetchone()
                    assert row is not None
                    self.most_open = max(self.most_open, *row)
                    self.samples += 1
                    time.sleep(0.2)
            time.sleep(0.5)

    # What happens.

    def _make_plan(self) -> list[str]:
        rest = [kind for kind, count in REST.items() for _ in range(round(count * self.rounds / 15))]
        random.shuffle(rest)
        plan = [list(ROUND) for _ in range(self.rounds)]
        for place, kind in enumerate(rest):
            plan[place * self.rounds // len(rest)].append(kind)
        return list(itertools.chain.from_iterable(plan))

    def _let_it_happen(self) -> None:
        for kind in self._plan:
            if self.errors:
                break
            self._until_nobody_is_on_the_last_attempt()
            self._begun += 1
            time.sleep(random.uniform(0.0, 2.0))
            open_then = self._open()
            _DOES[kind](self)
            self.happened[kind] += 1
            print(f"{self.happened.total()}: {kind}; {open_then} open, {len(self.accepted)} accepted since", flush=True)
        self._happened = True
        assert self.errors == []

    def _kill_a_worker(self) -> None:
        name, machine = self._any(WORKERS)
        owner = self._owner(name)
        machine.kill()
        self._note_takeover("worker killed", owner)
        machine.start()
        self._until_owner(name, owner)

    def _kill_a_server(self) -> None:
        name, machine = self._any(SERVERS)
        machine.kill()
        time.sleep(random.uniform(0.0, 3.0))
        machine.start()
        self._until_ready(name)

    def _kill_the_database(self) -> None:
        self.database_killed.append(time.time() * 1000)
        self.postgres.kill()
        time.sleep(random.uniform(0.0, 5.0))
        self.postgres.start()

    def _cut_a_machine_off(self) -> None:
        name, machine = self._any(WORKERS)
        owner = self._owner(name)
        machine.cut()
        self._note_takeover("machine cut off", owner)
        time.sleep(random.uniform(0.0, 5.0))
        machine.mend()

    def _freeze_a_worker(self) -> None:
        name, machine = self._any(WORKERS)
        owner = self._owner(name)
        machine.freeze()
        self._note_takeover("worker frozen", owner)
        machine.thaw()

    def _replace_all(self) -> None:
        for name, machine in self.machines.items():
            owner = self._owner(name) if name in WORKERS else ""
            assert machine.stop() == 0, machine.log.read_text()[-3_000:]
            machine.start()
            if name in SERVERS:
                self._until_ready(name)
            else:
                self._until_owner(name, owner)

    def _any(self, names: tuple[str, ...]) -> tuple[str, Machine]:
        name = random.choice(names)
        return name, self.machines[name]

    def _note_takeover(self, kind: str, owner: str) -> None:
        begun = time.monotonic()
        had = self._ask("select count(*) from jobs where owner = %s", owner)[0][0]
        self._until(f"select count(*) = 0 from jobs where owner = '{owner}'", 120)
        if had:
            self.taken.setdefault(kind, []).append(time.monotonic() - begun)

    # What is seen.

    def _ask(self, question: str, *values: Any) -> list[Any]:
        until = time.monotonic() + 60
        while True:
            try:
                with self.postgres.connect() as connection:
                    return connection.execute(question, values or None).fetchall()  # type: ignore[call-overload]
            except psycopg.Error:
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)

    def _until(self, question: str, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._ask(question)[0][0]:
            assert time.monotonic() < until, f"still not so: {question}"
            time.sleep(0.1)

    def _until_nobody_is_on_the_last_attempt(self) -> None:
        """Waits until no job is in its third attempt, because a job whose third worker is lost fails by design."""
        self._until(
            "select count(*) = 0 from jobs where attempts >= 2 and status in ('queued', 'processing')", PATIENCE
        )

    def _until_ready(self, name: str) -> None:
        self._wait(lambda: self._answers(name), f"{name} was not ready")

    def _answers(self, name: str) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"http://{self.machines[name].address}:8080/readyz", timeout=5).status_code == 200
        return False

    def _owner(self, name: str) -> str:
        rows = self._ask("select boot_id from workers where host = %s order by started_at desc limit 1", name)
        return rows[0][0] if rows else ""

    def _until_owner(self, name: str, before: str) -> None:
        self._wait(lambda: self._owner(name) not in {"", before}, f"{name} did not begin to work")

    def _wait(self, is_so: Callable[[], bool], said: str) -> None:
        until = time.monotonic() + 120
        while not is_so():
            assert time.monotonic() < until, said
            time.sleep(0.1)

    def _open(self) -> int:
        return self._ask("select count(*) from jobs where status in ('queued', 'processing')")[0][0]

    def _check(self) -> None:
        starts = dict(self._ask("select job_id, count(*) from events where name = 'job.processing' group by job_id"))
        again = sum(starts.values()) - len(starts)
        for kind, seconds in self.taken.items():
            print(f"{kind}: jobs taken over after {', '.join(f'{one:.1f}' for one in sorted(seconds))} s")
        print(
            f"{len(self.accepted)} acknowledged of {len(starts)} jobs; {dict(self.happened)}; {again} attempts again,"
            f" {self.model.calls.total()} calls; at most {self.most_open} open of {LIMIT} in {self.samples} samples",
            flush=True,
        )
        assert self.errors == []
        assert sorted(self.accepted) == list(range(self.jobs))
        assert len(set(self.accepted.values())) == self.jobs
        rows = dict(self._ask("select id, status from jobs"))
        assert set(self.accepted.values()) <= set(rows), "an acknowledged job is lost"
        assert set(rows.values()) == {"completed"}, Counter(rows.values())
        ends = self._ask(
            "select job_id, count(*) from events where name in ('job.completed', 'job.failed', 'job.cancelled')"
            " group by job_id having count(*) <> 1"
        )
        assert ends == []
        assert self._ask("select job_id from events group by job_id having max(seq) <> count(*)") == []
        active = self._ask("select subject, active from usage where active <> 0")
        assert active == [], active
        assert self.most_open <= LIMIT
        self._check_results(starts)
        late = {kind: [one for one in seconds if one > TAKEN_OVER[kind]] for kind, seconds in self.taken.items()}
        assert not any(late.values()), late

    def _check_results(self, starts: dict[str, int]) -> None:
        """A result shows from which calls it was made, and each crash repeats at most the call that was under way: a new
        start says that the job's worker crashed. A crash of PostgreSQL may lose the last step, since workers do not wait for
        its disk.
        """
        most: Counter[int] = Counter()
        base = f"http://{self.machines[SERVERS[0]].address}:8080"
        times = {job_id: span for job_id, *span in self._ask("select id, created_at, completed_at from jobs")}
        with httpx.Client(base_url=base, headers={"Authorization": f"Bearer {self.key}"}, timeout=30) as client:
            for job_id, begun in starts.items():
                result = client.get(f"/public/v1/jobs/{job_id}").json()["result"]
                n = result["n"]
                assert result["answer"] == f"nothing>first-{n}>second-{n}", (job_id, result)
                accepted, ended = times[job_id]
                most[n] += 2 + (begun - 1) + sum(accepted <= at <= ended for at in self.database_killed)
        calls = {n: self.model.calls[n, "first"] + self.model.calls[n, "second"] for n in range(self.jobs)}
        many = {n: (calls[n], most[n]) for n in calls if calls[n] > most[n]}
        assert not many, f"calls, and how many there may be: {many}"


_DOES: dict[str, Callable[[SeveralMachines], None]] = {
    "worker killed": SeveralMachines._kill_a_worker,
    "server killed": SeveralMachines._kill_a_server,
    "database killed": SeveralMachines._kill_the_database,
    "machine cut off": SeveralMachines._cut_a_machine_off,
    "worker frozen": SeveralMachines._freeze_a_worker,
    "rolling restart": SeveralMachines._replace_all,
}

if __name__ == "__main__":
    SeveralMachines(Path(sys.argv[1]), jobs=int(sys.argv[2]), rounds=int(sys.argv[3])).run()
