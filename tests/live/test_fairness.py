"""A key with twenty thousand waiting jobs does not keep the callers of another key waiting."""

from __future__ import annotations

import json
import time
from pathlib import Path

import httpx
import pytest

from tests.benchmarks.fetched_list import slow_server
from tests.benchmarks.measured_flows import THREE_NODES
from tests.live import flows
from tests.live_server import LiveServer, live_server

pytestmark = [pytest.mark.process, pytest.mark.slow]

JOBS = 20_000
CALLS = 100
#: With the queue in the order of arrival a call waited for all of them: half a minute. A machine of two cores that runs the
#: callers and the slow service, too, needs 0.1 s at the median and 0.4 s for the slowest.
MAX_MS = 1_000
NAME = {"name": "name", "type": "string", "required": True}


def new_key(server: LiveServer, label: str) -> dict[str, str]:
    key = server.run("keys", "create", "--label", label, "--environment", "live").stdout.strip()
    return {"Authorization": f"Bearer {key}"}


def deployed(server: LiveServer, folder: Path, flow: dict) -> str:
    file = folder / "flow.json"
    file.write_text(json.dumps(flow))
    flow_id = server.run("flows", "import", str(file)).stdout.strip()
    server.run("flows", "deploy", flow_id)
    return flow_id


def durations(client: httpx.Client, flow_id: str, key: dict[str, str]) -> list[float]:
    """Returns the milliseconds of CALLS calls that each wait for their result, in order of length."""
    times = []
    for number in range(CALLS):
        begun = time.perf_counter()
        answer = client.post(f"/public/v1/flows/execute/{flow_id}?wait=60", headers=key, json={"name": f"n{number}"})
        times.append((time.perf_counter() - begun) * 1000)
        assert answer.json()["status"] == "completed", answer.text
    return sorted(times)


def test_twenty_thousand_jobs_of_one_key_keep_no_other_caller_waiting(tmp_path: Path) -> None:
    with slow_server() as origin:
        allow = {"FLOWPORT_OUTBOUND_ALLOW": origin.removeprefix("http://")}
        with (
            live_server(tmp_path / "data", env=allow) as server,
            httpx.Client(base_url=server.url, timeout=90) as client,
        ):
            server.run("plan", "set", "enterprise", "--concurrency", "unlimited")
            many, few = new_key(server, "many"), new_key(server, "few")
            slow = deployed(server, tmp_path, flows.in_a_row([flows.fetch(url=f"{origin}/x")], NAME, title="Slow"))
            quick = deployed(server, tmp_path, THREE_NODES)
            durations(client, quick, few)
            alone = durations(client, quick, few)
            for _ in range(JOBS // 1_000):
                items = [{"name": str(number)} for number in range(1_000)]
                answer = client.post(f"/public/v1/flows/execute/{slow}/batch", headers=many, json={"items": items})
                assert answer.status_code == 202, answer.text

            beside = durations(client, quick, few)

            left = client.get("/public/v1/jobs?status=queued&limit=1", headers=many).json()["data"]
            p99 = (alone[-2], beside[-2])
            print(f"p50 {alone[CALLS // 2]:.0f} and {beside[CALLS // 2]:.0f} ms, p99 {p99[0]:.0f} and {p99[1]:.0f} ms")
            assert left, "jobs of the other key were still waiting at the end"
            assert p99[1] < MAX_MS
