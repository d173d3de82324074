"""`make bench`: figures of this machine, as ratios to a baseline measured in the same run or as absolute values.

No figure fails a test, because test machines are shared. Compare the ratios rather than the absolute rates.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import statistics
import tempfile
import time
from pathlib import Path

import httpx
import uvloop

from tests.benchmarks import canvas, closed_loop, fetched_list, lists, start
from tests.benchmarks.baseline import bare, wait_for_port
from tests.benchmarks.load import CLIENTS, rate
from tests.benchmarks.measured_flows import THREE_NODES
from tests.benchmarks.pages import first_rows
from tests.live_server import LiveServer, free_port, live_server


async def latencies(server: LiveServer, flow_id: str, headers: dict[str, str], count: int = 200) -> list[float]:
    """Returns the milliseconds from sending a request to the completed job, one job after another."""
    times = []
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
        for number in range(count):
            begun = time.perf_counter()
            answer = await client.post(
                f"/public/v1/flows/execute/{flow_id}?wait=10", headers=headers, json={"name": f"n{number}"}
            )
            answer.raise_for_status()
            assert answer.json()["status"] == "completed", answer.text
            times.append((time.perf_counter() - begun) * 1000)
    return sorted(times)


def memory_mib(pid: int) -> float:
    """Returns the resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def children(pid: int) -> list[int]:
    """Returns the child processes of this process."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(part) for task in tasks for part in (task / "children").read_text().split()]


def percentile(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, int(len(values) * share))]


def main() -> None:
    """Prints the figures."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        begun = time.perf_counter()
        with live_server(data) as server:
            cold = time.perf_counter() - begun
            flow_file = Path(folder) / "flow.json"
            flow_file.write_text(json.dumps(THREE_NODES))
            flow_id = server.run("flows", "import", str(flow_file)).stdout.strip()
            server.run("flows", "deploy", flow_id)
            server.run("plan", "set", "enterprise", "--concurrency", "1000000")
            key = server.run("keys", "create", "--label", "bench", "--environment", "live").stdout.strip()
            headers = {"Authorization": f"Bearer {key}"}
            time.sleep(2)
            assert server.process is not None
            worker = children(server.process.pid)
            idle = (memory_mib(server.process.pid), sum(memory_mib(pid) for pid in worker))

            times = asyncio.run(latencies(server, flow_id, headers))

            port = free_port()
            baseline = multiprocessing.get_context("spawn").Process(target=bare, args=(port,), daemon=True)
            baseline.start()
            wait_for_port(port)

            noop = f"http://127.0.0.1:{port}/noop"
            endpoint = f"{server.url}/public/v1/flows/execute/{flow_id}"
            body = b'{"name":"x"}'
            before = uvloop.run(rate(noop, body, {}, 200))
            accepted = uvloop.run(rate(endpoint, body, headers, 202))
            after = uvloop.run(rate(noop, body, {}, 200))
            baseline.terminate()
            base = statistics.mean((before, after))
            print(
                f"POST execute, {CLIENTS} clients:   {accepted:,.0f}/s = {accepted / base:.2f} of a bare FastAPI no-op ({base:,.0f}/s),"
            )
            print("                              with the accepted jobs running on the same two cores")
            print(
                f"submit to completed, 3 nodes: p50 {percentile(times, 0.5):.1f} ms, p99 {percentile(times, 0.99):.1f} ms (one after another)"
            )
            print(f"cold start to ready:          {cold:.1f} s")
            print(
                f"idle memory:                  server {idle[0]:.0f} MiB, worker {idle[1]:.0f} MiB (before the first model call)"
            )
            canvas.main(server, flow_id)
        print("a page's first row, from its address, in a browser:")
        for line in first_rows(Path(folder)):
            print(f"  {line}")


if __name__ == "__main__":
    closed_loop.main([])
    main()
    start.main()
    lists.main()
    fetched_list.main()
