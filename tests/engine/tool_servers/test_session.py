"""Sessions with an MCP server, against a real one in a process of its own."""

from __future__ import annotations

from typing import Any

import pytest

from engine.outbound.client import OutboundClient, OutboundRules, parse_allow_list
from engine.tool_servers.session import ServerAddress, opened
from tests.stand_ins.mcp_server import free_port, mcp_server

pytestmark = pytest.mark.process


class _Impatient(OutboundClient):
    """Its clients give a server up that sends nothing for half a second; those of the outbound client, for minutes."""

    def client(self, *args: Any, silence_seconds: float | None = 0.5, **more: Any) -> Any:
        return super().client(*args, silence_seconds=silence_seconds, **more)


async def test_a_call_may_be_silent_for_as_long_as_its_own_limit_allows() -> None:
    outbound = _Impatient(OutboundRules(parse_allow_list("127.0.0.1")))
    with mcp_server(free_port()) as url:
        async with opened(outbound, ServerAddress("shop", url)) as session:
            assert await session.call("slow", {"seconds": 1.5}, 60) == {"result": "done"}
    await outbound.aclose()
