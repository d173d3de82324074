"""A session with an MCP server (streamable HTTP), for one run.

One task enters the session, makes one call at a time and leaves it: the library's sessions may not be left by another
task, and calls that share a session disturb each other. Time limits are kept here. After a call that ran into its limit,
or a connection that broke, the session is left, and the next call begins another one. A call that the server answers with
404 because it has ended the session was not carried out, and is made once more in another one.

Requests are sent by the outbound client, by its rules for flows: an address inside a private network is refused unless
the owner allows it. No schema and no pattern of a server is run (rule S8).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from engine.core.error_codes import JobErrorCode
from engine.core.redaction import cut
from engine.flow.node_context import Json, NodeFailed, ServerTool
from engine.outbound.client import MAX_BYTES, OutboundClient, OutboundFailed, OutboundRefused, outbound_fault
from engine.outbound.reply_size import bounded_reply

if TYPE_CHECKING:
    from mcp import Client
    from mcp.types import CallToolResult, Tool

#: The seconds in which a server must take a connection, and may take to end it.
CONNECT_SECONDS = 20.0
LEAVE_SECONDS = 2.0
#: The largest number of tools that are taken from a server, of pages that list them, of characters of a description and of
#: a schema.
MAX_TOOLS = 200
_MAX_PAGES = 20
LONGEST_DESCRIPTION = 2_000
LARGEST_SCHEMA = 30_000
AUTHORIZATION = "Authorization"
#: The header with the session that a request belongs to.
SESSION = "Mcp-Session-Id"


@dataclass(frozen=True)
class ServerAddress:
    """An MCP server as the owner saved it. The key is sent in `header`; in `Authorization` as a bearer token."""

    name: str
    url: str
    header: str = AUTHORIZATION
    key: str = field(default="", repr=False)
    tools: tuple[ServerTool, ...] = ()

    def headers(self) -> dict[str, str]:
        """Returns the header with the key; none without a key."""
        if not self.key:
            return {}
        bearer = self.header.lower() == AUTHORIZATION.lower() and " " not in self.key
        return {self.header: f"Bearer {self.key}" if bearer else self.key}


@dataclass
class _Asked:
    """A call that waits for its turn."""

    work: Callable[[Client], Awaitable[Any]]
    seconds: float
    answer: asyncio.Future[Any]
    #: Tells that it is made once more, because the server had ended the session.
    repeated: bool = False


class ServerSession:
    """Implements `engine.flow.node_context.ToolServer`. Use `opened`, which ends the session's task.

    `settled` is awaited before each call of a tool.
    """

    def __init__(
        self,
        outbound: OutboundClient,
        address: ServerAddress,
        settled: Callable[[], Awaitable[Any]] | None = None,
    ) -> None:
        self._outbound = outbound
        self._address = address
        self._settled = settled
        self._waiting: asyncio.Queue[_Asked | None] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        #: The status of the server's last answer to what was sent to it.
        self._status = 200
        #: Tells that the server has ended the session, and that it took a request of the call before; both only of the
        #: session and the call that are served now.
        self._ended = self._taken = False

    @property
    def name(self) -> str:
        """The name that the owner gave the server."""
        return self._address.name

    @property
    def tools(self) -> tuple[ServerTool, ...]:
        """The tools that agents may call."""
        return self._address.tools

    async def call(self, tool: str, arguments: Mapping[str, Json], timeout_seconds: float) -> Json:
        """Calls a tool after the calls before it. Raises NodeFailed, also for what the tool reports as an error."""
        if self._settled is not None:
            await self._settled()
        result: CallToolResult = await self._ask(
            lambda client: client.call_tool(tool, dict(arguments)), timeout_seconds
        )
        text = "\n".join(_block_text(block) for block in result.content).strip()
        if result.is_error:
            raise NodeFailed(cut(text, 2_000) or f"{tool} of “{self.name}” failed without saying why.")
        return text if result.structured_content is None else result.structured_content

    async def list_tools(self, timeout_seconds: float = CONNECT_SECONDS) -> list[ServerTool]:
        """Returns the tools that the server offers. Raises NodeFailed."""
        return [_tool(one) for one in await self._ask(_all_tools, timeout_seconds)]

    async def close(self) -> None:
        """Leaves the session. A server that does not end it in time is left alone."""
        if self._task is None:
            return
        self._waiting.put_nowait(None)
        _, late = await asyncio.wait({self._task}, timeout=LEAVE_SECONDS)
        for task in late:
            task.cancel()
            await asyncio.wait({task}, timeout=LEAVE_SECONDS)

    async def _ask(self, work: Callable[[Client], Awaitable[Any]], seconds: float) -> Any:
        loop = asyncio.get_running_loop()
        if self._task is None:
            self._task = loop.create_task(self._work(), name=f"mcp {self.name}")
        asked = _Asked(work, seconds, loop.create_future())
        self._waiting.put_nowait(asked)
        return await asked.answer

    async def _work(self) -> None:
        """Serves the calls, in sessions of their own where one has to be left."""
        await asyncio.to_thread(import_module, "mcp")  # takes a second the first time
        again: _Asked | None = None
        while (first := again or await self._waiting.get()) is not None:
            again = None
            if first.answer.done():
                continue
            served = _Served(first)
            try:
                if await self._in_session(served):
                    return
                again = served.again
            except Exception as error:  # noqa: BLE001 - the library and the tasks inside it raise many kinds, in groups
                again = served.again
                if again is None:
                    served.fail(self._fault(error))
            finally:
                if again is None:
                    served.fail(NodeFailed(f"The session with “{self.name}” ended before it had answered."))

    async def _in_session(self, served: _Served) -> bool:
        """Serves calls in one session. Returns True when no more calls come, False when the session must be left."""
        limit = asyncio.timeout(CONNECT_SECONDS)
        connected = False
        try:
            async with limit, self._connected() as client:
                connected = True
                limit.reschedule(None)
                try:
                    while await self._serve(client, served):
                        following = await self._waiting.get()
                        if following is None:
                            return True
                        served.asked = following
                    return False
                finally:
                    limit.reschedule(asyncio.get_running_loop().time() + LEAVE_SECONDS)
        except TimeoutError:
            if connected:
                return False  # it did not end the session in time
            raise NodeFailed(
                f"“{self.name}” did not take the connection within {CONNECT_SECONDS:g} seconds.",
                code=JobErrorCode.TIMEOUT,
                remedy="Look whether the server runs, and try it under Settings, Tools.",
            ) from None

    async def _serve(self, client: Client, served: _Served) -> bool:
        """Makes one call. Returns False when the session must be left."""
        from mcp.shared.exceptions import MCPError

        asked = served.asked
        if asked.answer.done():
            return True
        self._ended = self._taken = False
        limit = asyncio.timeout(asked.seconds)
        try:
            async with limit:
                value = await asked.work(client)
        except TimeoutError:
            if not limit.expired():
                raise
            late = NodeFailed(
                f"“{self.name}” did not answer within {asked.seconds:g} seconds.", code=JobErrorCode.TIMEOUT
            )
            _fail(asked, late)
            return False
        except MCPError as error:
            if self._ended and not self._taken and not asked.repeated:
                asked.repeated, served.again = True, asked
                return False
            _fail(asked, self._fault(error))
            return outbound_fault(error) is None and not self._ended
        if not asked.answer.done():
            asked.answer.set_result(value)
        return True

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[Client]:
        from mcp import Client
        from mcp.client.streamable_http import streamable_http_client
        from mcp.types import Implementation

        from engine.core.version import VERSION

        async def note_status(response: Any) -> None:
            if response.request.method != "POST":
                return  # listening to the server and ending the session, which it need not take
            self._status = response.status_code
            if self._status == 404 and SESSION in response.request.headers:
                self._ended = True
            elif self._status != 202:  # which it answers when it was only told something
                self._taken = True

        self._status = 200
        self._ended = self._taken = False
        # the session keeps limits of its own
        async with self._outbound.client(headers=self._address.headers(), silence_seconds=None) as http:
            bound = bounded_reply(f"“{self.name}”", MAX_BYTES)
            http.event_hooks = {"request": [], "response": [note_status, bound]}
            transport = streamable_http_client(self._address.url, http_client=http)
            info = Implementation(name="flowport", version=VERSION)
            async with Client(transport, client_info=info, cache=None) as client:
                client.session.validate_tool_result = _not_validated
                yield client

    def _fault(self, error: BaseException) -> NodeFailed:
        """Returns what happened in words. Refusals of the outbound client are inside groups of exceptions."""
        for one in _inside(error):
            if isinstance(one, OutboundRefused):
                return NodeFailed(one.message, code=one.code, why=getattr(one, "why", ""))
            if isinstance(one, OutboundFailed):
                return NodeFailed(
                    f"“{self.name}” could not be reached.",
                    why=one.message,
                    remedy="Look whether the server runs, and try it under Settings, Tools.",
                )
            if isinstance(one, NodeFailed):
                return one
        if self._status in {401, 403}:
            said = "refused the key" if self._address.key else "wants a key"
            return NodeFailed(
                f"“{self.name}” {said}.",
                why=f"It answered with status {self._status}.",
                remedy="The owner can enter the key that the service gives under Settings, Tools.",
            )
        if self._status == 404 and self._ended:
            return NodeFailed(
                f"“{self.name}” ended the session.",
                why="It answered with status 404.",
                remedy="Try again later, or ask whoever runs the service.",
            )
        if self._status >= 400:
            return NodeFailed(
                f"There is no MCP server at the address of “{self.name}”."
                if self._status in {404, 405}
                else f"“{self.name}” cannot answer now.",
                why=f"It answered with status {self._status}.",
                remedy="Compare the address under Settings, Tools with the one that the service gives, or try again later.",
            )
        said = next((text for one in _inside(error) if (text := " ".join(str(one).split()))), type(error).__name__)
        hidden = said.replace(self._address.key, "••••") if self._address.key else said
        return NodeFailed(f"“{self.name}” answered with an error: {cut(hidden, 500)}")


@dataclass
class _Served:
    """The call that is served now."""

    asked: _Asked
    #: The call, when it is to be made once more in another session.
    again: _Asked | None = None

    def fail(self, failure: NodeFailed) -> None:
        """Fails the call, unless it has its answer."""
        _fail(self.asked, failure)


@contextlib.asynccontextmanager
async def opened(
    outbound: OutboundClient, address: ServerAddress, settled: Callable[[], Awaitable[Any]] | None = None
) -> AsyncIterator[ServerSession]:
    """Opens a server for the calls of one run; it is connected at the first call."""
    session = ServerSession(outbound, address, settled)
    try:
        yield session
    finally:
        await session.close()


def _fail(asked: _Asked, failure: NodeFailed) -> None:
    if not asked.answer.done():
        asked.answer.set_exception(failure)


async def _not_validated(name: str, result: CallToolResult) -> None:
    """Takes the place of the library's check of a result against the server's own output schema: it would run the patterns
    of the server on the event loop.
    """


async def _all_tools(client: Client) -> list[Tool]:
    found: list[Tool] = []
    cursor = None
    for _ in range(_MAX_PAGES):
        page = await client.list_tools(cursor=cursor)
        found += page.tools
        cursor = page.next_cursor
        if not cursor or len(found) >= MAX_TOOLS:
            break
    return found[:MAX_TOOLS]


def _tool(tool: Tool) -> ServerTool:
    schema = dict(tool.input_schema)
    if len(json.dumps(schema)) > LARGEST_SCHEMA:
        schema = {"type": "object"}
    description = (tool.description or tool.title or "").strip()[:LONGEST_DESCRIPTION]
    return ServerTool(tool.name[:200], description, schema, bool(tool.annotations and tool.annotations.read_only_hint))


def _block_text(block: Any) -> str:
    """Returns the text of a part of an answer; what is no text is only named."""
    if block.type == "text":
        return block.text
    if block.type == "resource" and (text := getattr(block.resource, "text", None)):
        return text
    return f"[{block.type}]"


def _inside(error: BaseException) -> list[BaseException]:
    """Returns the exceptions in a group and what caused each, depth first."""
    found: list[BaseException] = []
    todo: list[BaseException] = [error]
    while todo and len(found) < 100:
        one = todo.pop(0)
        if isinstance(one, BaseExceptionGroup):
            todo = [*one.exceptions, *todo]
            continue
        found.append(one)
        cause = one.__cause__ or one.__context__
        if cause is not None and cause not in found:
            todo.append(cause)
    return found
