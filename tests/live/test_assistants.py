"""AI assistants at a real server, with the official MCP client: they follow a running flow and get the result of a long
one.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import AsyncIterator

import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

from engine.actions.flows import change_flow_settings
from tests.live import flows
from tests.live.caller import Caller, Terminal
from tests.live.holding_site import HoldingSite
from tests.live_server import TLS


@contextlib.asynccontextmanager
async def assistant_of(terminal: Terminal, caller: Caller) -> AsyncIterator[Client]:
    """An MCP client of a server on which the flow “Fetch” is a tool."""
    flow_id = terminal.flow(flows.one_node(flows.fetch(), flows.URL, title="Fetch"))
    terminal.store.write_now(change_flow_settings, terminal.owner, flow_id, {"mcp": True})
    headers = {"Authorization": f"Bearer {caller.key}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=120, verify=TLS) as client,
        Client(streamable_http_client(f"{caller.url}/mcp", http_client=client)) as assistant,
    ):
        yield assistant


async def test_progress_is_told_while_the_flow_runs(terminal: Terminal, caller: Caller, site: HoldingSite) -> None:
    heard: list[tuple[float, float | None]] = []

    async def hear(done: float, total: float | None, message: str | None) -> None:
        heard.append((done, total))
        if done == 1:
            site.let_go("slow-page")

    async with assistant_of(terminal, caller) as assistant:
        answer = await assistant.call_tool("fetch", {"url": site.hold("slow-page")}, progress_callback=hear)

    assert answer.structured_content["output"]["body"] == "held no more"
    assert (1, 2) in heard


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_flow_of_70_seconds_is_walked_to_its_result(
    terminal: Terminal, caller: Caller, site: HoldingSite
) -> None:
    """After 50 seconds the call returns a job instead of a result, and the tool that it names returns the job's
    result.
    """
    opening = threading.Timer(70, site.let_go, ["very-slow-page"])
    async with assistant_of(terminal, caller) as assistant:
        opening.start()
        begun = time.monotonic()
        answer = await assistant.call_tool("fetch", {"url": site.hold("very-slow-page")})
        assert (answer.is_error, answer.structured_content["status"]) == (False, "processing")
        assert time.monotonic() - begun >= 50
        while answer.structured_content["status"] in {"queued", "processing"}:
            assert "Call the tool get_job" in answer.content[0].text
            answer = await assistant.call_tool("get_job", {"job_id": answer.structured_content["job_id"]})

    assert time.monotonic() - begun >= 70
    assert answer.structured_content["status"] == "completed"
    assert answer.structured_content["result"]["output"]["body"] == "held no more"
