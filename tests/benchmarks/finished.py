"""Flows finished per second, as README's table has them: a closed loop of callers that each wait for their result."""

from __future__ import annotations

import json
import multiprocessing
import tempfile
from pathlib import Path

import uvloop

from tests.benchmarks.baseline import bare, wait_for_port
from tests.benchmarks.fetched_list import WAIT, slow_server
from tests.benchmarks.load import rate
from tests.live import flows
from tests.live_server import free_port, live_server

CALLERS = 100
SECONDS = 10.0
BODY = b'{"name":"x"}'

_NAME = {"name": "name", "type": "string", "required": True}
THREE_NODES = flows.in_a_row(
    [
        {"id": "set_fields", "type": "set_fields", "inputs": {"who": "{{ api_input.out.name }}"}},
        {
            "id": "text_template",
            "type": "text_template",
            "inputs": {"template": "Hello {{ set_fields.out.who | upper }}"},
        },
    ],
    _NAME,
    title="Three nodes",
)


def main() -> None:
    """Prints the rate of each flow and its ratio to a bare FastAPI no-op."""
    port = free_port()
    baseline = multiprocessing.get_context("spawn").Process(target=bare, args=(port,), daemon=True)
    with tempfile.TemporaryDirectory() as folder, slow_server() as origin:
        allow = {"FLOWPORT_OUTBOUND_ALLOW": origin.removeprefix("http://")}
        with live_server(Path(folder) / "data", env=allow) as server:
            server.run("plan", "set", "enterprise", "--concurrency", "unlimited")
            key = server.run("keys", "create", "--label", "bench", "--environment", "live").stdout.strip()
            headers = {"Authorization": f"Bearer {key}"}
            baseline.start()
            wait_for_port(port)
            slow = flows.in_a_row([flows.fetch(url=origin)], _NAME, title="One slow call")
            for words, flow in (("three nodes", THREE_NODES), (f"one call of {WAIT * 1000:.0f} ms", slow)):
                file = Path(folder) / "flow.json"
                file.write_text(json.dumps(flow))
                flow_id = server.run("flows", "import", str(file)).stdout.strip()
                server.run("flows", "deploy", flow_id)
                address = f"{server.url}/public/v1/flows/execute/{flow_id}?wait=30"
                noop = uvloop.run(rate(f"http://127.0.0.1:{port}/noop", BODY, {}, 200, clients=CALLERS, seconds=3))
                done = uvloop.run(rate(address, BODY, headers, 200, clients=CALLERS, seconds=SECONDS))
                print(
                    f"finished, {CALLERS} callers, {words}: {done:,.0f}/s = {done / noop:.2f} of a bare FastAPI no-op ({noop:,.0f}/s)"
                )
            baseline.terminate()


if __name__ == "__main__":
    main()
