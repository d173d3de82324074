"""Language models as the rest of Flowport sees them: `Models.ask` one question, `Models.test` one connection.

The answer is text, or an object that fits a schema, with every call's tokens, price and time. All traffic goes through the
outbound door. With no connection the Simulated model answers, and says so.
"""

from __future__ import annotations

from engine.core.clock import Clock, SystemClock
from engine.models import simulated
from engine.models.connection_test import TestResult, check_connection
from engine.models.connections import ModelConnection, split_model
from engine.models.conversation import Conversation, Way
from engine.models.errors import ModelFailed
from engine.models.price import Price
from engine.models.rate_limits import AllTurns
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
    """Asks models through one door, from one event loop."""

    def __init__(self, outbound: OutboundClient, clock: Clock | None = None) -> None:
        self._door = outbound
        self._clock = clock or SystemClock()
        #: (address, model, way) that a server turned out not to know; asked the plain way from then on.
        self._given_up: set[tuple[str, str, Way]] = set()
        self._turns = AllTurns()

    async def ask(self, connection: ModelConnection | None, request: ModelRequest) -> ModelAnswer:
        """The answer. `connection` None asks the Simulated model. Raises ModelFailed, with the calls that were made."""
        if connection is None:
            return _simulate(request)
        turns = self._turns.of((connection.name, connection.address, connection.key))
        return await Conversation(self._door, self._clock, connection, request, self._given_up, turns).answer()

    async def test(self, connection: ModelConnection) -> TestResult:
        """Whether the connection works: for the Test button. Never raises."""
        return await check_connection(self._door, connection)


def _simulate(request: ModelRequest) -> ModelAnswer:
    text, value = simulated.answer(request.prompt, request.system, request.output_schema, request.max_tokens)
    call = ModelCall(
        model="simulated",
        connection="",
        attempt=1,
        input_tokens=simulated.tokens_of(request.system + request.prompt),
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
            "output_invalid",
            "The Simulated model cannot make values for these output fields.",
            why="It only copies words and numbers out of the prompt, and a pattern or limit of a field fits none of them.",
            remedy="Loosen the field's rules, or choose a real model in the node.",
        )
        failed.calls = (call,)
        raise failed
    return ModelAnswer(value, text, "simulated", "", (call,), simulated=True)
