"""`/mcp`: offers flows as tools to AI assistants (Model Context Protocol, streamable HTTP, no sessions).

A call of a flow's tool creates a job, which counts towards the limits. The call waits up to 50 s for the end of the
job, or until it waits for a person; otherwise it returns the job, and the assistant calls the tool `get_job` to wait
again. Responses are JSON; only a call that requests progress gets an event stream. The keys are those of the public API.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http import parameters
from api.http.addresses import MCP_PATH
from api.http.context import Context
from api.http.held_calls import Peer, peer_of
from api.http.job_answers import in_lines, job_path
from api.http.json_body import LARGE, check_media_type, weighed_json
from api.http.large_bodies import in_time
from api.http.route_classes import RawRoute
from api.routes.mcp_messages import not_json, refused_message, too_large
from api.routes.mcp_tools import (
    CANCEL_JOB,
    GET_JOB,
    JOB_INPUT,
    JOB_OUTPUT,
    FlowTool,
    fits,
    job_content,
    list_flow_tools,
)
from engine.actions.jobs import SubmitOptions, cancel, submit
from engine.core.errors import Expired, InvalidJson, RateLimited, Refusal, TooManyConnections
from engine.core.job_status import ENDED
from engine.core.lone_surrogates import with_whole_texts, without_lone_surrogates
from engine.core.trace_context import TraceContext
from engine.core.version import VERSION
from engine.jobs.job_views import job_view
from engine.jobs.server.job_waiters import Look
from engine.jobs.submit.accept import Caller
from engine.jobs.transitions import require_cancelled
from storage.job_results import LIST_CAP, result_sizes
from storage.jobs import find_status, find_status_or_waiting, get_job, read_value

if TYPE_CHECKING:
    import mcp_types as types
    from mcp.server.lowlevel import Server
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
    from pydantic import BaseModel

WAIT_SECONDS = 50
CANCEL_WAIT_SECONDS = 3
#: What a message that calls a tool may have beside its arguments, in bytes.
MAX_BESIDE_ARGUMENTS = 64 * 1024
#: The progress of a job is read again after this many seconds, also without a notice of a change.
LOOK_SECONDS = 5
INSTRUCTIONS = (
    "Each tool named after a flow runs that flow. A run that takes longer than 50 seconds answers with a job_id: call "
    f"{GET_JOB} with it, again until the job has ended or waits for a person: then tell the user, and call it again when "
    f"they have answered. {CANCEL_JOB} stops a job. When there is no tool beside these two, "
    "this key may call no flow as a tool: ask the flow's owner to deploy it, to switch “Offer this flow as a tool” on in its "
    "Settings, and to allow the flow for the key under Settings, API Keys; then list the tools again."
)


router = APIRouter(route_class=RawRoute, include_in_schema=False)


#: Only POST: without sessions, the stream of a GET would carry no events, and revoking the key would not end it.
@router.post(MCP_PATH, response_class=JSONResponse)
async def call_mcp(request: Request) -> ASGIApp:
    """Passes the request to the MCP library, which builds the responses."""
    return request.app.state.mcp


class Mcp:
    """The ASGI application of `/mcp`. It imports the MCP library at the first call, because that takes long."""

    def __init__(self, context: Context) -> None:
        self._context = context
        #: Whether progress was requested -> the session manager, which answers with a stream or with JSON.
        self._managers: dict[bool, StreamableHTTPSessionManager] = {}
        self._server: Server[Any] | None = None
        self._running: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._over = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Checks the request and passes it to the library, which has no limits on the time or the number of values of a
        body and takes JSON that other readers refuse. Raises Unauthorized, ParameterInvalid, UnsupportedMediaType, and what
        `Bodies.received` raises.
        """
        request = Request(scope, receive)
        caller = await self._context.caller(request)  # also sets `request.state.caller`, which the handlers read
        self._context.refuse_when_stopping()
        parameters.query(request)
        content_type = parameters.single_header(request, "Content-Type")
        check_media_type(content_type, request.headers.getlist("content-encoding"))
        if self._running is None:
            self._running = asyncio.create_task(self._run(), name="mcp")
        await self._ready.wait()
        if not self._managers:
            raise RuntimeError("MCP could not be started") from self._running.exception()
        answer = await self._read(request, caller.workspace_id)
        if isinstance(answer, Response):
            await answer(scope, receive, send)
        else:
            manager = self._managers[request.state.tells_progress]
            await manager.handle_request(
                _accepting_json(scope), _again(answer, receive), self._counted(request, _with_own_headers(send))
            )

    def _counted(self, request: Request, send: Send) -> Send:
        """Returns a `send` that counts large bodies while they are sent. When there is no room for one it is too late for a
        refusal, so the connection ends.
        """
        workspace_id, peer = request.state.caller.workspace_id, peer_of(request.scope)

        async def counted(message: Message) -> None:
            size = len(message.get("body", b""))
            if size <= LARGE:
                await send(message)
                return
            try:
                with self._context.large.body(workspace_id, size, peer), in_time(peer, size):
                    await send(message)
            except (RateLimited, TooManyConnections):
                peer.cut_off()

        return counted

    async def _read(self, request: Request, workspace_id: str) -> Response | bytes:
        """Reads a message. Returns it without the arguments of a tool, which go to `request.state.arguments`: the library
        would keep them, and its own copy of the body, until the job has ended. Returns the answer to a message that is not
        valid.
        """
        async with self._context.bodies.received(request, workspace_id) as body:
            try:
                message, weight = await body.read(weighed_json)
            except InvalidJson as refusal:
                return not_json(refusal)
            if (refused := refused_message(request, message, self._params_of)) is not None:
                return refused
            request.state.tells_progress = _asks_for_progress(request, message)
            if message.get("method") != "tools/call" or not isinstance(message.get("params"), dict):
                return body.data
            request.state.arguments = [(message["params"].pop("arguments", None) or {}, weight)]
            rest = json.dumps(message).encode()
            return rest if len(rest) <= MAX_BESIDE_ARGUMENTS else too_large(message, MAX_BESIDE_ARGUMENTS)

    def _params_of(self, method: str) -> type[BaseModel] | None:
        """Returns the type of a method's params; None for one that is not there."""
        import mcp_types as types

        if method == "initialize":
            return types.InitializeRequestParams  # the library handles it by itself
        handler = self._server.get_request_handler(method) if self._server is not None else None
        return handler.params_type if handler is not None else None

    async def close(self) -> None:
        """Ends all open calls."""
        self._over.set()
        if self._running is not None:
            await self._running

    async def _run(self) -> None:
        """Enters and exits the session managers in one task, which their cancel scopes require."""
        try:
            self._server = server = await asyncio.to_thread(self._build)
            from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

            most = self._context.bodies.limits.max_bytes
            managers = {
                streams: StreamableHTTPSessionManager(
                    server, json_response=not streams, stateless=True, max_request_body_size=most
                )
                for streams in (False, True)
            }
            async with managers[False].run(), managers[True].run():
                self._managers = managers
                self._ready.set()
                await self._over.wait()
        finally:
            self._managers = {}
            self._ready.set()

    def _build(self) -> Server[Any]:
        import mcp_types as types
        from mcp.server.lowlevel import Server

        job_tools = [
            types.Tool(
                name=GET_JOB,
                title="Get a job",
                description=(
                    "The result of a run that took longer than its first call. Waits up to 50 seconds for its end, or until "
                    "it waits for a person: then tell the user, and call it again when they have answered."
                ),
                input_schema=JOB_INPUT,
                output_schema=JOB_OUTPUT,
                annotations=types.ToolAnnotations(read_only_hint=True),
            ),
            types.Tool(
                name=CANCEL_JOB,
                title="Cancel a job",
                description="Stops a run that has not ended. What it has done outside already stays done.",
                input_schema=JOB_INPUT,
                output_schema=JOB_OUTPUT,
                annotations=types.ToolAnnotations(destructive_hint=True, idempotent_hint=True),
            ),
        ]

        async def on_list_tools(ctx: Any, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
            tools = await self._context.database.read(list_flow_tools, _caller(ctx))
            return types.ListToolsResult(
                tools=[
                    types.Tool(
                        name=tool.name,
                        title=tool.title,
                        description=tool.description,
                        input_schema=tool.schema,
                        output_schema=tool.output,
                    )
                    for tool in tools
                ]
                + job_tools
            )

        async def on_call_tool(ctx: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
            try:
                if params.name in {GET_JOB, CANCEL_JOB}:
                    return await self._job(ctx, params.name)
                return await self._run_flow(ctx, params.name)
            except Refusal as refusal:
                return _as_result(_in_words(refusal), failed=True)

        return Server(
            "Flowport",
            version=VERSION,
            instructions=INSTRUCTIONS,
            on_list_tools=on_list_tools,
            on_call_tool=on_call_tool,
        )

    async def _run_flow(self, ctx: Any, name: str) -> types.CallToolResult:
        request, caller = ctx.request, _caller(ctx)
        tools = await self._context.database.read(list_flow_tools, caller)
        tool = next((tool for tool in tools if tool.name == name), None)
        if tool is None:
            return _as_result(f"There is no tool “{name[:100]}” for this key. List the tools again.", failed=True)
        self._context.refuse_when_stopping()
        with self._context.held.place(caller, request) as peer:  # before a job is stored
            request.state.job_id = job_id = await self._submit(ctx, caller, tool.flow_id)
            view = await self._view_at_end(ctx, caller, job_id, WAIT_SECONDS, peer=peer)
        if view["status"] in {"failed", "cancelled"}:
            return _as_result(_outcome(view), failed=True)
        return await asyncio.to_thread(_as_answer, tool, view)

    async def _submit(self, ctx: Any, caller: Caller, flow_id: str) -> str:
        """Stores a job and returns its id. Whoever waits for its end keeps nothing of the arguments."""
        payload, weight = ctx.request.state.arguments.pop()
        options = SubmitOptions(
            request_id=ctx.request.state.request_id, trace=_trace_of(ctx).dumps(), route=f"{MCP_PATH}/{flow_id}"
        )
        checks, database = self._context.checks, self._context.database
        large = weight > LARGE
        accepted = await checks.accepted(
            flow_id,
            lambda: checks.check(caller, flow_id, payload, options, weight),
            lambda checked: database.write(submit, caller, flow_id, payload, options, checked),
            await checks.check(caller, flow_id, payload, options, weight) if large else None,
        )
        self._context.sent_fields.note(caller, flow_id, [payload])
        return accepted.job_id

    async def _job(self, ctx: Any, name: str) -> types.CallToolResult:
        caller, arguments = _caller(ctx), ctx.request.state.arguments.pop()[0]
        job_id = arguments.get("job_id")
        if not isinstance(job_id, str) or len(arguments) > 1:
            return _as_result(
                f"{name} takes a job_id, the one that a flow's tool answered with, and no more.", failed=True
            )
        if name == CANCEL_JOB:
            await self._context.database.write(cancel, caller, job_id)
        view = await self._context.database.read(_read_view, caller, job_id)
        if view["status"] not in ENDED:
            seconds = CANCEL_WAIT_SECONDS if name == CANCEL_JOB else WAIT_SECONDS
            # an assistant that asks again and again for a job that waits for a person is answered every 50 seconds
            look = find_status if view["waiting_for"] == "person" else find_status_or_waiting
            # a call that cancels waits for a few seconds, and is never refused
            held = contextlib.nullcontext() if name == CANCEL_JOB else self._context.held.place(caller, ctx.request)
            with held as peer:
                view = await self._view_at_end(ctx, caller, job_id, seconds, look, peer=peer)
            if name == CANCEL_JOB:
                require_cancelled(view["status"])  # its work may have ended meanwhile
        return _as_result(_told(view), structured=job_content(view))

    async def _view_at_end(
        self,
        ctx: Any,
        caller: Caller,
        job_id: str,
        seconds: float,
        look: Look = find_status_or_waiting,
        *,
        peer: Peer | None,
    ) -> dict[str, Any]:
        """Returns the job when it has ended or, as `look` says, waits for a person, or its state after `seconds`. Sends
        progress notifications when the client requested them.
        """
        wants = ctx.request.state.tells_progress
        telling = asyncio.create_task(self._tell_progress(ctx, caller, job_id)) if wants else None
        try:
            caller = await self._context.until_ended(caller, job_id, seconds, look, peer=peer)
        finally:
            if telling is not None:
                telling.cancel()
        return await self._context.database.read(_read_view, caller, job_id)

    async def _tell_progress(self, ctx: Any, caller: Caller, job_id: str) -> None:
        """Sends a progress notification whenever more steps are done, until the job cannot be read. MCP requires that the
        progress increases.
        """
        told = -1
        with contextlib.suppress(Refusal):  # the call itself reports the refusal
            async with self._context.waiters.subscribe(job_id) as changes:
                while True:
                    job = await self._context.database.read(get_job, caller.workspace_id, job_id, caller.scope)
                    if job.steps_done > told:
                        told = job.steps_done
                        said = f"{told} of {job.steps_total} steps done"
                        await ctx.session.report_progress(told, job.steps_total, said)
                    await changes.wait(LOOK_SECONDS)


def _asks_for_progress(request: Request, message: Mapping[str, Any]) -> bool:
    """Tells whether a message calls a tool with a progress token, from a client that accepts streams."""
    if message.get("method") != "tools/call":
        return False
    from mcp.server.streamable_http import check_accept_headers
    from mcp.shared.jsonrpc_dispatcher import progress_token_from_params

    if progress_token_from_params(message.get("params")) is None:
        return False
    return check_accept_headers(request)[1] and parameters.accepts(request, "text/event-stream")


def _accepting_json(scope: Scope) -> Scope:
    """Returns the scope with JSON in its Accept header. The route has found that the client takes JSON; the library
    refuses a client that sends no Accept header, or several.
    """
    sent = [value for name, value in scope["headers"] if name == b"accept"]
    others = [(name, value) for name, value in scope["headers"] if name != b"accept"]
    return {**scope, "headers": [*others, (b"accept", b", ".join([*sent, b"application/json"]))]}


def _with_own_headers(send: Send) -> Send:
    """Returns a `send` that forbids caches to keep the answer, and leaves out the media type of one without a body: that
    of the library to a notification says that it is JSON. The events of a stream are one line for every reader.
    """
    streams = False

    async def answer(message: Message) -> None:
        nonlocal streams
        if message["type"] == "http.response.start":
            left_out = {b"cache-control"} | (
                {b"content-type"} if (b"content-length", b"0") in message["headers"] else set()
            )
            kept = [one for one in message["headers"] if one[0] not in left_out]
            message = {**message, "headers": [*kept, (b"cache-control", b"no-store")]}
            streams = all(name != b"content-length" for name, _ in kept)
        elif streams:
            message = {**message, "body": in_lines(message.get("body", b""))}
        await send(message)

    return answer


def _again(body: bytes, receive: Receive) -> Receive:
    """Returns a `receive` that first returns a body that was already received."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return waiting.pop() if waiting else await receive()

    return receive_again


def _caller(ctx: Any) -> Caller:
    return ctx.request.state.caller


def _trace_of(ctx: Any) -> TraceContext:
    """Returns the trace context of the caller, from the headers or from the `_meta` of the call, where MCP puts it."""
    said = ctx.meta or {}

    def values(name: str) -> list[str]:
        return ctx.request.headers.getlist(name) or [value for value in (said.get(name),) if isinstance(value, str)]

    return TraceContext.of(values)


def _read_view(session: Session, caller: Caller, job_id: str) -> dict[str, Any]:
    """Returns the published job, as lists have it: without a result above LIST_CAP, of which the library would hold up the
    event loop for seconds. Raises NotFound, and Expired when its result is not stored any more, though nobody erased it.
    """
    job = get_job(session, caller.workspace_id, job_id, caller.scope)
    if job.data_erased_at is not None:
        return job_view(job, None)
    if job.status == "completed" and not job.has_result:
        raise Expired("Results are kept for a limited time, and this one's is over")
    if result_sizes(session, [job_id]).get(job_id, 0) > LIST_CAP:
        return job_view(job, None) | {"result_truncated": True}
    return job_view(job, read_value(session, job_id, "result") if job.has_result else None)


def _outcome(view: Mapping[str, Any]) -> str:
    """Describes the state of a job in words; for a completed job returns its result as JSON."""
    job_id, steps = view["job_id"], view["progress"]
    match view["status"]:
        case "completed" if view["data_erased_at"]:
            return f"The job {job_id} is completed.{_erased(view)}"
        case "completed" if view.get("result_truncated"):
            return f"The job {job_id} is completed{_lost(view)}.{_made_up(view)}{_left_out(job_id)}"
        case "completed":
            return json.dumps(view["result"], ensure_ascii=False)
        case "failed":
            return f"{view['error']['message']} (job {job_id})"
        case "cancelled":
            return f"The job {job_id} was cancelled.{_erased(view)}"
    if view["waiting_for"] == "person":
        return (
            f"The job {job_id} is {view['status']} and waits for the answer of a person, which may take days. Tell the user "
            f"so, and call the tool {GET_JOB} with this job_id when they have answered."
        )
    return (
        f"The job {job_id} is still {view['status']}, {steps['steps_done']} of {steps['steps_total']} steps done. "
        f"Call the tool {GET_JOB} with this job_id for its result; it waits up to {WAIT_SECONDS} seconds."
    )


def _told(view: Mapping[str, Any]) -> str:
    """Describes a job in words with its status: some clients show the model only this text, so it must tell a failure
    from a result.
    """
    match view["status"]:
        case "completed" if view["data_erased_at"]:
            return f"The job {view['job_id']} is completed{_lost(view)}.{_erased(view)}"
        case "completed" if not view.get("result_truncated"):
            return f"The job {view['job_id']} is completed{_lost(view)}.{_made_up(view)} Its result:\n{_outcome(view)}"
        case "failed":
            return f"The job {view['job_id']} failed: {view['error']['message']}{_erased(view)}"
    return _outcome(view)


def _lost(view: Mapping[str, Any]) -> str:
    """Returns the addition that tells a completed job with failed steps from a whole one."""
    count = view["steps_failed"]
    return f", but {count} of its steps failed and it went on without them" if count else ""


def _made_up(view: Mapping[str, Any]) -> str:
    """Returns the sentence that tells a job with made-up answers; an empty string for any other."""
    return " Answers in it came from the Simulated model, so they are made up." if view["simulated"] else ""


def _erased(view: Mapping[str, Any]) -> str:
    """Returns the sentence that tells a job whose data were erased; an empty string for any other."""
    at = view["data_erased_at"]
    return f" Its data were erased at {at}: its result and its input are not kept." if at else ""


def _left_out(job_id: str) -> str:
    """Returns the sentences about a result that is too large for an answer."""
    return (
        " Its result has more than 256 KiB, too much for a tool's answer. Whoever has the key reads it with "
        f"GET {job_path(job_id)}, and the flow's owner can let the flow return less."
    )


def _as_answer(tool: FlowTool, view: Mapping[str, Any]) -> types.CallToolResult:
    """Returns the result of a job, or the job when it has not ended or its result does not match the schema of the
    flow.
    """
    result = view["result"]
    plain = view["status"] == "completed" and isinstance(result, dict) and fits(tool.result, result)
    return _as_result(_outcome(view), structured=result if plain else job_content(view))


def _in_words(refusal: Refusal) -> str:
    fields = "".join(f"\n{error.pointer or '/'}: {error.detail}" for error in refusal.errors)
    first = f"\nThe first {len(refusal.errors)} are listed." if refusal.error_count > len(refusal.errors) else ""
    return f"{refusal}{fields}{first}"


def _as_result(text: str, *, failed: bool = False, structured: dict[str, Any] | None = None) -> types.CallToolResult:
    import mcp_types as types

    whole = without_lone_surrogates(text)  # pydantic writes no half of a character, which data of jobs may hold
    if whole is not text:
        structured = with_whole_texts(structured)
    content = [types.TextContent(type="text", text=whole)]
    return types.CallToolResult(content=list(content), structured_content=structured, is_error=failed)
