"""The interface to language models: `Models.ask` answers one question, `Models.test` tests one connection.

An answer is text, or an object that fits a JSON Schema, together with the tokens, price and duration of every call. All
requests are sent by `OutboundClient`. Without a connection the Simulated model answers, and the answer is marked as
simulated.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.core.clock import Clock, SystemClock
from engine.core.error_codes import JobErrorCode
from engine.documents.reading import Apart
from engine.flow.job_checks import JobChecks
from engine.flow.node_models import ModelTurn
from engine.models import simulated
from engine.models.attachments import Attached, attach
from engine.models.connection_test import TestResult, check_connection
from engine.models.connections import ModelConnection, split_model
from engine.models.conversation import Conversation
from engine.models.errors import ModelFailed
from engine.models.price import Price
from engine.models.rate_limits import CallLimiters
from engine.models.request_modes import ModesNotTaken
from engine.models.structured_output import takes_long
from engine.models.tool_turns import Reply, ToolConversation, simulated_reply
from engine.models.usage import ModelAnswer, ModelCall, ModelRequest
from engine.outbound.client import OutboundClient

__all__ = [
    "ModelAnswer",
    "ModelCall",
    "ModelConnection",
    "ModelFailed",
    "ModelRequest",
    "Models",
    "Price",
    "TestResult",
    "split_model",
]


class Models:
    """Sends questions to language models through one OutboundClient, from one event loop.

    `apart` reads documents in an evaluator process (`Sandbox.read_file`): files that a provider does not take as they
    are.
    """

    def __init__(self, outbound: OutboundClient, clock: Clock | None = None, apart: Apart | None = None) -> None:
        self._outbound = outbound
        self._apart = apart
        self._clock = clock or SystemClock()
        self._modes = ModesNotTaken(self._clock)
        self._limiters = CallLimiters()

    async def ask(self, connection: ModelConnection | None, request: ModelRequest) -> ModelAnswer:
        """Returns the answer to one question. `connection` None asks the Simulated model.

        Raises ModelFailed, which carries the calls that were made; for a file that the model does not take, before any.
        """
        attached = await attach(request.files, connection, request.model_name, self._apart)
        if connection is None:
            return await _simulate(request, attached)
        limiter = self._limiters.of(connection.identity)
        conversation = Conversation(
            self._outbound, self._clock, connection, request, self._modes, limiter, attached=attached
        )
        return await conversation.answer()

    async def turn(
        self,
        connection: ModelConnection | None,
        turn: ModelTurn,
        *,
        on_delta: Callable[[str], None] | None = None,
        on_call: Callable[[ModelCall], None] | None = None,
        checks: JobChecks | None = None,
    ) -> Reply:
        """Returns the next reply of a conversation with tools. `connection` None asks the Simulated model. `checks`: those
        of the job that asks.

        Raises ModelFailed, which carries the calls that were made.
        """
        request = ModelRequest(
            prompt=turn.message,
            system=turn.system,
            model_name=split_model(turn.model)[1],
            timeout_seconds=turn.timeout_seconds,
            on_delta=on_delta,
            on_call=on_call,
            checks=checks or JobChecks(),
        )
        if turn.files.prepared is None:
            turn.files.prepared = await attach(turn.files.files, connection, request.model_name, self._apart)
        attached: Attached = turn.files.prepared
        if connection is None:
            return await simulated_reply(turn, request, attached)
        limiter = self._limiters.of(connection.identity)
        return await ToolConversation(
            self._outbound, self._clock, connection, request, self._modes, limiter, attached=attached, turn=turn
        ).reply()

    async def test(self, connection: ModelConnection) -> TestResult:
        """Tests whether the connection works. Failures are part of the result; no exception is raised."""
        return await check_connection(self._outbound, connection)


async def _simulate(request: ModelRequest, attached: Attached) -> ModelAnswer:
    prompt = "\n\n".join(part for part in (request.prompt, attached.texts) if part)
    seen = tuple((file.name, file.media_type) for file in attached.files)
    schema = request.output_schema
    asked = prompt, request.system, schema, request.max_tokens, seen
    if schema is None or not takes_long(schema):
        text, value = simulated.answer(*asked)
    else:
        text, value = await request.checks.run(lambda check: simulated.answer(*asked, check))
    call = ModelCall(
        model="simulated",
        connection="",
        attempt=1,
        input_tokens=simulated.tokens_of(request.system + prompt),
        output_tokens=simulated.tokens_of(text),
        cost_nanos=0,
        simulated=True,
    )
    if request.on_delta and request.output_schema is None:
        request.on_delta(text)
    if request.on_call:
        request.on_call(call)
    if value is None:
        failed = ModelFailed(
            JobErrorCode.OUTPUT_INVALID,
            "The Simulated model cannot make values for these output fields.",
            why="It only copies words and numbers out of the prompt, and a pattern or limit of a field fits none of them.",
            remedy="Loosen the field's rules, or choose a real model in the node.",
        )
        failed.calls = (call,)
        raise failed
    return ModelAnswer(
        value, text, "simulated", "", (call,), simulated=True, warnings=attached.warnings, notes=attached.notes
    )
