"""Records what a server and its worker write and sync under load, and cuts the power at many moments of it.

After each cut the folder must open: no page is damaged, no job whose acceptance was answered is missing, none has ended
twice, and the slots in use are those of the open jobs.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import re
import shutil
import signal
import socket
import sqlite3
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.benchmarks.measured_flows import THREE_NODES
from tests.benchmarks.process_cost import descendants
from tests.chaos.disk_trace import Call, Disk, read_trace, under_strace
from tests.live_server import LiveServer

#: Every so many requests one is a batch of so many items.
BATCH_EVERY, ITEMS = 10, 10
#: SO_TIMESTAMPNS: the kernel says when data arrived.
TIMESTAMPS = 35


@dataclass
class Recording:
    """What was written, and when callers were told of which jobs. `folder` is the data folder before the load."""

    folder: Path
    calls: Sequence[Call]
    #: (nanoseconds since 1970 at which the answer 202 arrived, job id)
    accepted: list[tuple[int, str]]
    final: dict[str, bytes]

    @property
    def start(self) -> dict[str, bytearray]:
        """The database on the disk before the load."""
        return {
            name: bytearray((self.folder / Path(name).name).read_bytes()) for name in self.final if name.endswith(".db")
        }

    def without_syncs(self, file_end: str) -> Sequence[Call]:
        """Returns the calls as if nothing was synced in the files whose names end so."""
        return [call for call in self.calls if call.kind != "sync" or not call.file.endswith(file_end)]

    def cuts(
        self, count: int, dice: random.Random, calls: Sequence[Call] | None = None
    ) -> Iterator[tuple[int, dict[str, bytes]]]:
        """Yields moments of the load in order, and the database's files after a cut at each.

        Half of the moments are those at which an answer arrived, when most is at stake; in half of these nothing is on
        the disk but what was synced.
        """
        disk = Disk(self.calls if calls is None else calls, self.start)
        times = [at for at, _ in self.accepted]
        anywhere = [dice.randint(min(times), max(times)) for _ in range(count - count // 2)]
        for at in sorted(anywhere + dice.choices(times, k=count // 2)):
            yield at, disk.cut(at, dice, only_synced=at in times and dice.random() < 0.5)

    def promised(self, at: int) -> set[str]:
        """Returns the jobs whose acceptance had been answered at this moment."""
        return {job_id for moment, job_id in self.accepted if moment <= at}

    def rebuild(self, folder: Path, files: dict[str, bytes]) -> None:
        """Writes the data folder as it is after a cut."""
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.folder, folder)
        for name, content in files.items():
            (folder / Path(name).name).write_bytes(content)

    def faults(self, folder: Path, at: int) -> list[str]:
        """Returns what is wrong in the folder after a cut at this moment."""
        try:
            with contextlib.closing(sqlite3.connect(folder / "flowport.db")) as database:
                return list(_faults(database, self.promised(at)))
        except sqlite3.DatabaseError as error:
            return [f"it does not open: {error}"]


def _faults(database: sqlite3.Connection, promised: set[str]) -> Iterator[str]:
    def ask(question: str) -> list[tuple[object, ...]]:
        return database.execute(question).fetchall()

    if (said := ask("pragma integrity_check")) != [("ok",)]:
        yield f"damaged: {said[:3]}"
    if broken := ask("pragma foreign_key_check"):
        yield f"broken references: {broken[:3]}"
    jobs = {row[0] for row in ask("select id from jobs")}
    if missing := promised - jobs:
        yield f"{len(missing)} of {len(promised)} accepted jobs are missing"
    ends = "name in ('job.completed', 'job.failed', 'job.cancelled')"
    if twice := ask(f"select job_id from events where {ends} group by job_id having count(*) > 1"):
        yield f"ended twice: {twice[:3]}"
    ended = f"select job_id from events where {ends}"
    open_jobs = "status in ('queued', 'processing')"
    if wrong := ask(f"select id from jobs where ({open_jobs}) = (id in ({ended}))"):
        yield f"status and events differ: {wrong[:3]}"
    if gaps := ask("select job_id from events group by job_id having max(seq) <> count(*)"):
        yield f"events are missing: {gaps[:3]}"
    if lost := ask(
        f"select id from jobs where {open_jobs} and id not in (select job_id from job_values where name = 'payload')"
    ):
        yield f"jobs without their input: {lost[:3]}"
    counted = f"select count(*) from jobs where {open_jobs} and counted and key_id = subject"
    if slots := ask(f"select subject, active from usage where subject like 'key_%' and active <> ({counted})"):
        yield f"slots: {slots}"
    if short := ask("select id from batches where total <> (select count(*) from jobs where batch_id = batches.id)"):
        yield f"batches without all items: {short}"


class Caller:
    """One connection to the server that knows to the microsecond when an answer arrived.

    The kernel notes it, because a thread of a busy machine may come to read an answer only after later writes were
    synced, and would then not notice that an answer was sent before its own.
    """

    def __init__(self, port: int, key: str) -> None:
        self._head = f"Host: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self._socket.setsockopt(socket.SOL_SOCKET, TIMESTAMPS, 1)

    def ask(self, method: str, target: str, body: object = None) -> tuple[int, dict[str, Any], int]:
        """Returns the status, the JSON body and the nanoseconds since 1970 at which its last byte arrived."""
        sent = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {target} HTTP/1.1\r\n{self._head}Content-Length: {len(sent)}\r\n\r\n"
        self._socket.sendall(head.encode() + sent)
        received, at = b"", 0
        while _missing(received):
            data, noted, _, _ = self._socket.recvmsg(1 << 20, 256)
            if not data:
                raise ConnectionError("the server closed the connection")
            received += data
            seconds, nanoseconds = struct.unpack("qq", noted[0][2])
            at = seconds * 10**9 + nanoseconds
        return int(received.split(b" ", 2)[1]), json.loads(received.partition(b"\r\n\r\n")[2]), at

    def close(self) -> None:
        """Closes the connection."""
        self._socket.close()


def _missing(received: bytes) -> bool:
    """Tells whether a part of the answer has not arrived."""
    head, _, body = received.partition(b"\r\n\r\n")
    size = re.search(rb"(?i)\r\ncontent-length: *(\d+)\r\n", head + b"\r\n")
    return size is None or len(body) < int(size[1])


@dataclass
class Load:
    """Callers of a server that note when they were told of a job, as `Recording.accepted`."""

    server: LiveServer
    flow_id: str
    key: str
    requests: int
    callers: int = 16
    accepted: list[tuple[int, str]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def run(self) -> None:
        """Calls until all requests are sent and all their jobs have ended."""
        threads = [threading.Thread(target=self._call) for _ in range(self.callers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert self.errors == []

    def _call(self) -> None:
        caller = Caller(self.server.port, self.key)
        try:
            while (n := next(self._numbers)) < self.requests:
                self._run_one(caller, n)
        except (OSError, AssertionError) as error:
            self.errors.append(repr(error))
        finally:
            caller.close()

    def _run_one(self, caller: Caller, n: int) -> None:
        many = n % BATCH_EVERY == 0
        path = f"/public/v1/flows/execute/{self.flow_id}{'/batch' if many else ''}"
        payload = {"name": f"n{n}"}
        status, told, at = caller.ask("POST", path, {"items": [payload] * ITEMS} if many else payload)
        assert status == 202, told
        self.accepted += [(at, job_id) for job_id in (told["job_ids"] if many else [told["job_id"]])]
        for _ in range(10):
            _, now, _ = caller.ask("GET", f"{told['url']}?wait=30")
            if now["status"] not in {"queued", "processing"}:
                return
        raise AssertionError(now)


def record(folder: Path, requests: int) -> Recording:
    """Prepares a data folder, and records its server while it is called."""
    server = LiveServer(folder / "data", env={"FLOWPORT_PLAN": "enterprise"})
    server.start()
    flow_id = server.run("flows", "import", "-", stdin=json.dumps(THREE_NODES)).stdout.strip()
    server.run("flows", "deploy", flow_id)
    server.run("plan", "set", "enterprise", "--concurrency", "unlimited")
    key = server.run("keys", "create", "--label", "Cut", "--environment", "live").stdout.strip()
    server.close_store()
    assert server.stop() == 0
    database = folder / "data" / "flowport.db"
    log = database.with_name("flowport.db-wal")
    assert not log.exists()
    os.sync()
    shutil.copytree(folder / "data", folder / "before")

    assert shutil.which("strace"), "scripts/get-strace installs it"
    trace = folder / "trace"
    server.under = under_strace(trace, (database, log))
    load = Load(server, flow_id, key, requests)
    try:
        server.start()
        load.run()
        time.sleep(2)  # what is written after the last end
    finally:
        _kill_all(server)
    final = {str(file): file.read_bytes() for file in (database, log)}
    calls = read_trace(trace)
    trace.unlink()
    return Recording(folder / "before", calls, load.accepted, final)


def _kill_all(server: LiveServer) -> None:
    """Kills all processes at the same moment, as each would otherwise still write. strace ends with them."""
    assert server.process is not None
    pids = descendants(server.process.pid)
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
    server.process.wait(timeout=60)
