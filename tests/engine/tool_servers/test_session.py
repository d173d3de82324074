"""Sessions with an MCP server, against a real one in a process of its own, and one that keeps sessions."""

from __future__ import annotations

from threading import Event
from typing import Any

import pytest

from engine.flow.node_context import NodeFailed
from engine.outbound.client import OutboundClient, OutboundRules, parse_allow_list
from engine.tool_servers.session import ServerAddress, opened
from tests.stand_ins.local_server import LocalServer, Reply, Seen
from tests.stand_ins.mcp_server import free_port, mcp_server

pytestmark = pytest.mark.process


class _Impatient(OutboundClient):
    """Its clients give a server up that sends nothing for half a second; those of the outbound client, for minutes."""

    def client(self, *args: Any, silence_seconds: float | None = 0.5, **more: Any) -> Any:
        return super().client(*args, silence_seconds=silence_seconds, **more)


class _WithSessions(LocalServer):
    """A server of the protocol of 2025, which keeps sessions. `ends`: how many of its sessions end at their first call of a
    tool after the one before it was answered, as after a restart.
    """

    def __init__(self, ends: int, *, in_json: bool) -> None:
        super().__init__()
        self.ends, self.in_json, self.known_for_one_call, self.gone = ends, in_json, False, False
        self.begun, self.made, self.known, self.second_came = 0, [], set[str](), Event()

    def reply(self, seen: Seen) -> Reply:
        if self.gone:
            return Reply(404)
        if seen.method != "POST":
            return Reply(405 if seen.method == "GET" else 200)
        asked = seen.json
        match asked.get("method"):
            case "initialize":
                self.begun += 1
                self.known.add(f"session {self.begun}")
                server = {"name": "shop", "version": "1"}
                told = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": server}
                return self._said(asked, {"result": told}, headers={"mcp-session-id": f"session {self.begun}"})
            case "server/discover":
                return self._said(asked, {"error": {"code": -32601, "message": "unknown"}})
            case None:  # the answer to a ping; the second one is sent when the first was answered
                if asked["id"] == 2:
                    self.second_came.set()
                return Reply(404)
            case _ if "id" not in asked:
                return Reply(202)
        if asked["method"] == "tools/call" and self.made and self.ends:
            self.ends -= 1
            self.known.clear()
        if seen.headers.get("mcp-session-id") not in self.known:
            error = {"error": {"code": -32600, "message": "Session not found"}}
            return self._said(asked, error, status=404) if self.in_json else Reply(404)
        if asked["method"] == "tools/list":
            return self._said(asked, {"result": {"tools": [{"name": "note", "inputSchema": {"type": "object"}}]}})
        self.made.append(asked["params"]["arguments"]["text"])
        if self.known_for_one_call:
            self.known.clear()
            pings = b"".join(b'data: {"jsonrpc": "2.0", "id": %d, "method": "ping"}\n\n' % number for number in (1, 2))
            headers = {"content-type": "text/event-stream"}
            return Reply(headers=headers, chunks=(pings,), between=lambda: self.second_came.wait(10))
        return self._said(asked, {"result": {"content": [{"type": "text", "text": "written"}]}})

    def _said(self, asked: Any, said: dict[str, Any], **rest: Any) -> Reply:
        return Reply.of_json({"jsonrpc": "2.0", "id": asked["id"], **said}, **rest)


@pytest.mark.parametrize("in_json", [False, True])
async def test_a_call_is_made_once_more_when_the_server_has_ended_the_session(in_json: bool) -> None:
    outbound = OutboundClient(OutboundRules(parse_allow_list("127.0.0.1")))
    with _WithSessions(1, in_json=in_json) as server:
        async with opened(outbound, ServerAddress("shop", server.origin + "/mcp")) as session:
            for text in ("one", "two", "three"):
                assert await session.call("note", {"text": text}, 60) == "written"
    assert (server.made, server.begun) == (["one", "two", "three"], 2)
    await outbound.aclose()


async def test_a_server_that_ends_every_session_is_told_so_and_another_call_tries_again() -> None:
    outbound = OutboundClient(OutboundRules(parse_allow_list("127.0.0.1")))
    with _WithSessions(2, in_json=True) as server:
        async with opened(outbound, ServerAddress("shop", server.origin + "/mcp")) as session:
            await session.call("note", {"text": "one"}, 60)
            with pytest.raises(NodeFailed, match="“shop” ended the session"):
                await session.call("note", {"text": "two"}, 60)
            assert await session.call("note", {"text": "three"}, 60) == "written"
    assert (server.made, server.begun) == (["one", "three"], 3)
    await outbound.aclose()


async def test_a_server_that_is_gone_is_told_so_by_every_call() -> None:
    outbound = OutboundClient(OutboundRules(parse_allow_list("127.0.0.1")))
    with _WithSessions(0, in_json=True) as server:
        async with opened(outbound, ServerAddress("shop", server.origin + "/mcp")) as session:
            await session.call("note", {"text": "one"}, 60)
            server.gone = True
            for text in ("two", "three"):
                with pytest.raises(NodeFailed, match="There is no MCP server at the address of “shop”"):
                    await session.call("note", {"text": text}, 60)
    await outbound.aclose()


async def test_a_call_that_was_carried_out_is_not_made_again() -> None:
    """The library answers pings that come meanwhile, and is told that the session has ended."""
    outbound = OutboundClient(OutboundRules(parse_allow_list("127.0.0.1")))
    with _WithSessions(0, in_json=True) as server:
        server.known_for_one_call = True
        async with opened(outbound, ServerAddress("shop", server.origin + "/mcp")) as session:
            with pytest.raises(NodeFailed, match="“shop” ended the session"):
                await session.call("note", {"text": "one"}, 60)
    assert server.made == ["one"]
    await outbound.aclose()


async def test_a_call_may_be_silent_for_as_long_as_its_own_limit_allows() -> None:
    outbound = _Impatient(OutboundRules(parse_allow_list("127.0.0.1")))
    with mcp_server(free_port()) as url:
        async with opened(outbound, ServerAddress("shop", url)) as session:
            assert await session.call("slow", {"seconds": 1.5}, 60) == {"result": "done"}
    await outbound.aclose()


class _WithPages(_WithSessions):
    """Its list of tools has a page after each page, of which every second is empty."""

    pages = 0

    def reply(self, seen: Seen) -> Reply:
        if seen.method != "POST" or seen.json.get("method") != "tools/list":
            return super().reply(seen)
        self.pages += 1
        tools = [{"name": f"tool {self.pages}", "inputSchema": {"type": "object"}}] * (self.pages % 2)
        return self._said(seen.json, {"result": {"tools": tools, "nextCursor": str(self.pages)}})


async def test_a_list_of_tools_without_an_end_is_read_for_some_pages() -> None:
    with _WithPages(0, in_json=True) as server:
        outbound = OutboundClient(OutboundRules(parse_allow_list(server.origin.removeprefix("http://"))))
        async with opened(outbound, ServerAddress("Shop", f"{server.origin}/mcp")) as session:
            tools = await session.list_tools()
        assert (server.pages, [tool.name for tool in tools][:2], len(tools)) == (20, ["tool 1", "tool 3"], 10)
        await outbound.aclose()


class _WithPattern(_WithSessions):
    """Its tool has an output schema with a pattern that its result does not fit; a longer one would take `re` years."""

    def __init__(self) -> None:
        super().__init__(0, in_json=True)

    def reply(self, seen: Seen) -> Reply:
        asked = seen.json if seen.method == "POST" else {}
        if asked.get("method") == "tools/list":
            properties = {"x": {"type": "string", "pattern": "^(a+)+$"}}
            output = {"type": "object", "properties": properties}
            tool = {"name": "look", "inputSchema": {"type": "object"}, "outputSchema": output}
            return self._said(asked, {"result": {"tools": [tool]}})
        if asked.get("method") == "tools/call":
            result = {"content": [], "structuredContent": {"x": "aaaaaaaa!"}}
            return self._said(asked, {"result": result})
        return super().reply(seen)


async def test_no_pattern_of_a_server_is_run_on_what_it_answers() -> None:
    outbound = OutboundClient(OutboundRules(parse_allow_list("127.0.0.1")))
    with _WithPattern() as server:
        async with opened(outbound, ServerAddress("shop", server.origin + "/mcp")) as session:
            assert [tool.name for tool in await session.list_tools()] == ["look"]
            assert await session.call("look", {}, 60) == {"x": "aaaaaaaa!"}
    await outbound.aclose()


class _WithManyParts(_WithSessions):
    """Its answer has more parts than are read."""

    def reply(self, seen: Seen) -> Reply:
        if seen.method == "POST" and seen.json.get("method") == "tools/call":
            return self._said(seen.json, {"result": {"content": [{}] * 20_000}})
        return super().reply(seen)


async def test_an_answer_of_more_objects_than_are_read_is_refused() -> None:
    """The library makes errors of each, which took minutes for 9 MB."""
    outbound = OutboundClient(OutboundRules(parse_allow_list("127.0.0.1")))
    with _WithManyParts(0, in_json=True) as server:
        async with opened(outbound, ServerAddress("shop", server.origin + "/mcp")) as session:
            with pytest.raises(
                NodeFailed, match="The reply of “shop” has more than 20,000 objects and lists"
            ) as failed:
                await session.call("note", {"text": "one"}, 60)
    assert failed.value.code == "response_too_large"
    await outbound.aclose()
