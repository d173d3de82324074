"""`/mcp`: flows as tools for AI assistants (Model Context Protocol, streamable HTTP, no sessions).

One tool per deployed flow that its owner offers and the key may call. A call is a job like any other: it counts toward the limits,
waits up to 50 s, and else answers with the job's id and where to ask again. The keys are those of the public API.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.context import Context
from api.job_view import job_path
from api.json_body import parse_object
from api.openapi import slug_of
from api.routes import RawRoute
from engine.actions.jobs import SubmitOptions, submit
from engine.errors import Refusal
from engine.flow.contract import payload_schema
from engine.jobs.accept import Caller, read_version
from engine.jobs.published import job_view
from storage.flows import list_flows
from storage.jobs import get_job, read_value

if TYPE_CHECKING:
    import mcp_types as types
    from mcp.server.lowlevel import Server
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

PATH = "/mcp"
#: The setting of a flow that is offered.
OFFERED = "mcp"
WAIT_SECONDS = 50
MAX_NAME = 60


@dataclass(frozen=True)
class FlowTool:
    """A flow as a tool. `schema` is the JSON Schema of its payload."""

    name: str
    flow_id: str
    title: str
    description: str
    schema: dict[str, Any]


def list_flow_tools(session: Session, caller: Caller) -> list[FlowTool]:
    """The tools this key may call, oldest flow first; two flows of one title have different names."""
    tools: list[FlowTool] = []
    taken: set[str] = set()
    for flow in sorted(list_flows(session, caller.workspace_id), key=lambda flow: flow.created_at):
        if flow.live_version is None or not flow.settings.get(OFFERED):
            continue
        name = slug_of(flow.title, flow.id)[:MAX_NAME]
        name = f"{name[: MAX_NAME - 9]}_{flow.id[-8:].lower()}" if name in taken else name
        taken.add(name)
        if caller.flow_ids is not None and flow.id not in caller.flow_ids:
            continue
        fields = read_version(session, flow.id, flow.live_version).fields
        said = flow.description or f"Runs the flow “{flow.title}”."
        tools.append(FlowTool(name, flow.id, flow.title, said, payload_schema(fields)))
    return tools


router = APIRouter(route_class=RawRoute, include_in_schema=False)


#: POST alone: without sessions a GET is a stream that nothing is ever sent on, and that no key ends.
@router.post(PATH, response_class=Response)
async def call_mcp(request: Request) -> ASGIApp:
    """What answers is the library, and the forms it answers in are its own."""
    return request.app.state.mcp


ROUTES = router.routes


class Mcp:
    """The ASGI app of `/mcp`. Its libraries load with the first call."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._manager: StreamableHTTPSessionManager | None = None
        self._running: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._over = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises Unauthorized, and what `Bodies.checked` raises: the library reads a body without a limit of time or values."""
        request = Request(scope, receive)
        self._context.caller(request)  # kept in the request's state, where the handlers find it
        self._context.refuse_when_stopping()
        async with self._context.bodies.checked(request) as body:
            if self._running is None:
                self._running = asyncio.create_task(self._run(), name="mcp")
            await self._ready.wait()
            if self._manager is None:
                raise RuntimeError("MCP could not be started") from self._running.exception()
            await self._manager.handle_request(scope, _again(body, receive), send)

    async def close(self) -> None:
        """Ends what is open."""
        self._over.set()
        if self._running is not None:
            await self._running

    async def _run(self) -> None:
        """Enters and leaves the session manager in one task of its own, as it wants."""
        try:
            server = await asyncio.to_thread(self._build)
            from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

            manager = StreamableHTTPSessionManager(
                server, json_response=True, stateless=True, max_request_body_size=self._context.bodies.limits.max_bytes
            )
            async with manager.run():
                self._manager = manager
                self._ready.set()
                await self._over.wait()
        finally:
            self._manager = None
            self._ready.set()

    def _build(self) -> Server[Any]:
        import mcp_types as types
        from mcp.server.lowlevel import Server

        async def on_list_tools(ctx: Any, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
            tools = await self._context.database.read(list_flow_tools, _caller(ctx))
            return types.ListToolsResult(
                tools=[
                    types.Tool(name=tool.name, title=tool.title, description=tool.description, input_schema=tool.schema)
                    for tool in tools
                ]
            )

        async def on_call_tool(ctx: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
            try:
                return await self._call(ctx.request, _caller(ctx), params.name, params.arguments or {})
            except Refusal as refusal:
                return _as_result(_in_words(refusal), failed=True)

        return Server("Flowport", on_list_tools=on_list_tools, on_call_tool=on_call_tool)

    async def _call(
        self, request: Request, caller: Caller, name: str, arguments: Mapping[str, Any]
    ) -> types.CallToolResult:
        tools = await self._context.database.read(list_flow_tools, caller)
        tool = next((tool for tool in tools if tool.name == name), None)
        if tool is None:
            return _as_result(f"There is no tool “{name[:100]}” for this key. List the tools again.", failed=True)
        self._context.refuse_when_stopping()
        payload = await asyncio.to_thread(_payload, arguments)
        options = SubmitOptions(request_id=request.state.request_id, route=f"{PATH}/{tool.flow_id}")
        accepted = await self._context.database.write(submit, caller, tool.flow_id, payload, options)
        request.state.job_id = accepted.job_id
        self._context.sent_fields.note(caller, tool.flow_id, [payload])
        caller = await self._context.until_ended(caller, accepted.job_id, WAIT_SECONDS)
        view = await self._context.database.read(_read_view, caller, accepted.job_id)
        match view["status"]:
            case "completed":
                result = view["result"]
                text = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)
                return _as_result(text, structured=result if isinstance(result, dict) else {"result": result})
            case "failed" | "cancelled":
                error = view["error"] or {"message": "The job was cancelled."}
                return _as_result(f"{error['message']} (job {accepted.job_id})", failed=True)
        return _as_result(
            f"The job {accepted.job_id} is still {view['status']}. Ask again with "
            f"GET {self._context.base_url(request)}{job_path(accepted.job_id)} and the same key.",
            structured={"job_id": accepted.job_id, "status": view["status"], "url": job_path(accepted.job_id)},
        )


def _again(body: bytes, receive: Receive) -> Receive:
    """Gives a body that was received already, and then what else comes."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return waiting.pop() if waiting else await receive()

    return receive_again


def _payload(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments within the limits of a body of the API. Raises InvalidJson."""
    return parse_object(json.dumps(dict(arguments)).encode())


def _caller(ctx: Any) -> Caller:
    return ctx.request.state.caller


def _read_view(session: Session, caller: Caller, job_id: str) -> dict[str, Any]:
    job = get_job(session, caller.workspace_id, job_id, caller.scope)
    return job_view(job, read_value(session, job_id, "result") if job.has_result else None)


def _in_words(refusal: Refusal) -> str:
    fields = "".join(f"\n{error.pointer or '/'}: {error.detail}" for error in refusal.errors)
    return f"{refusal}. {refusal.remedy}{fields}".strip()


def _as_result(text: str, *, failed: bool = False, structured: dict[str, Any] | None = None) -> types.CallToolResult:
    import mcp_types as types

    content = [types.TextContent(type="text", text=text)]
    return types.CallToolResult(content=list(content), structured_content=structured, is_error=failed)
