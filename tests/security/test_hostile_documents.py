"""Every hostile file through a real server and worker: its job ends in time with a sentence, and a neighbour's document
is read meanwhile.
"""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.engine.documents import made_files as made
from tests.engine.documents.hostile_files import HOSTILE, hostile
from tests.live import flows
from tests.live_server import TLS
from tests.security.beside import beside

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.costly("60 files, each up to its time limit")]

FILE = {"name": "file", "type": "file", "required": True}
READS = flows.one_node(
    {"id": "read_document", "type": "read_document", "config": {"as": "markdown"}, "inputs": {"file": "{{ api_input.out.file }}"}},
    FILE,
    title="Read a file",
)  # fmt: skip
#: What a hostile file may take, beside its way through the queue.
SECONDS = 15.0


def uploaded(server: Any, key: str, name: str, content: bytes) -> str:
    answer = httpx.post(
        f"{server.url}/public/v1/files",
        headers={"Authorization": f"Bearer {key}"},
        files={"file": (name, content)},
        timeout=120,
        verify=TLS,
    )
    assert answer.status_code in {200, 201}, answer.text
    return answer.json()["file_id"]


def evaluators() -> set[str]:
    """The processes on this machine that read documents."""
    found = set()
    for one in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"documents:" in one.read_bytes():
                found.add(one.parent.name)
        except OSError:
            continue
    return found


@pytest.mark.timeout(3_000)
def test_hostile_files_end_in_time_and_hold_nobody_up(server, terminal, caller) -> None:
    flow = terminal.flow(READS)
    innocent = f"data:application/pdf;name=bill.pdf;base64,{base64.b64encode(made.INVOICE).decode()}"
    files = {name: hostile(name).content for name in HOSTILE}
    ids = {name: uploaded(server, caller.key, name, content) for name, content in files.items()}
    files.clear()
    before = evaluators()
    told = {}
    with beside(server, terminal, flow=READS, payload={"file": innocent}) as watch:
        for name, file_id in ids.items():
            begun = time.monotonic()
            job = caller.run(flow, {"file": file_id})
            told[name] = (time.monotonic() - begun, job)
            said = (
                job["error"]["message"] if job["error"] else f"read {len(job['result']['output']['text'])} characters"
            )
            print(f"{told[name][0]:5.1f} s  {name}: {said}", flush=True)
    print(watch)
    watch.check(grown_mib=60)
    assert max(seconds for seconds, _ in told.values()) < SECONDS
    failed = [job for _, job in told.values() if job["status"] == "failed"]
    assert len(failed) >= 40
    assert {job["attempts"] for _, job in told.values()} == {1}
    assert {job["error"]["code"] for job in failed} <= {"file_not_taken", "node_failed", "result_too_large"}
    assert evaluators() <= before, "no process is left"
    assert server.process is not None and server.process.poll() is None
