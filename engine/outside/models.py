"""Asking a language model: one question, bounded attempts, every call with its tokens, price and time.

`Models.ask` answers with text, or with an object that fits a schema: the provider's own JSON mode where there is one, plus
instructions for servers that have none, plus our own check. An answer that does not fit is shown to the model with what is
wrong, a few times. The SDK's own retries are off; what fails in passing is tried again by the runner, visibly.
All traffic goes through the outbound door. With no connection the Simulated model answers, and says so.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from engine.clock import Clock, SystemClock
from engine.flow.node_type import Json, JsonSchema, ModelQuestion
from engine.outside import simulated
from engine.outside.answers import instructions_for, read_object, repair_for, wire_schema
from engine.outside.connection_check import TestResult, check_connection
from engine.outside.connections import ModelConnection, split_model
from engine.outside.http import Door
from engine.outside.model_faults import (
    ModelFailed,
    empty_answer,
    key_missing,
    model_fault,
    too_slow,
    turned_down,
    unusable,
)
from engine.outside.prices import Price, Tokens, cost_of
from engine.outside.providers import allowed_for, build_model, prepare

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage, ModelResponse
    from pydantic_ai.models import Model

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


@dataclass(frozen=True)
class ModelCall:
    """One call of a model. `cost_nanos` None: unknown; `error` is a code when the call or its answer was no use."""

    model: str
    connection: str
    attempt: int
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nanos: int | None = None
    price: Price | None = None
    seconds: float = 0.0
    simulated: bool = False
    error: str | None = None

    @property
    def duration_ms(self) -> int:
        """`seconds` as stored."""
        return round(self.seconds * 1000)


@dataclass(frozen=True)
class ModelRequest:
    """What is asked. `timeout_seconds` bounds all attempts together; `max_attempts` counts only with `output_schema`.

    `on_delta` gets text as it arrives (answers without a schema only); `on_call` gets each call the moment it is over.
    """

    prompt: str
    system: str = ""
    model_name: str = "simulated"
    temperature: float | None = None
    max_tokens: int | None = None
    output_schema: JsonSchema | None = None
    max_attempts: int = 3
    timeout_seconds: float = 180.0
    on_delta: Callable[[str], None] | None = None
    on_call: Callable[[ModelCall], None] | None = None

    @classmethod
    def of(
        cls,
        question: ModelQuestion,
        *,
        on_delta: Callable[[str], None] | None = None,
        on_call: Callable[[ModelCall], None] | None = None,
    ) -> ModelRequest:
        """The request for a node's question."""
        return cls(
            prompt=question.prompt,
            system=question.system,
            model_name=split_model(question.model)[1],
            temperature=question.temperature,
            max_tokens=question.max_tokens,
            output_schema=question.output_schema,
            max_attempts=question.max_attempts,
            timeout_seconds=question.timeout_seconds,
            on_delta=on_delta,
            on_call=on_call,
        )


@dataclass(frozen=True)
class ModelAnswer:
    """`value` is text or an object, `text` what the model wrote; tokens and cost are those of all calls together."""

    value: Json
    text: str
    model: str
    connection: str
    calls: tuple[ModelCall, ...]
    simulated: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def input_tokens(self) -> int:
        """Tokens sent, all calls."""
        return sum(call.input_tokens for call in self.calls)

    @property
    def output_tokens(self) -> int:
        """Tokens written, all calls."""
        return sum(call.output_tokens for call in self.calls)

    @property
    def cost_nanos(self) -> int | None:
        """Nano-dollars of all calls; None as soon as one is unknown."""
        costs = [call.cost_nanos for call in self.calls]
        return None if None in costs else sum(cost for cost in costs if cost is not None)


class Models:
    """Asks models through one door, from one event loop."""

    def __init__(self, door: Door, clock: Clock | None = None) -> None:
        self._door = door
        self._clock = clock or SystemClock()
        #: (address, model) that refused the provider's JSON mode: they get instructions only.
        self._without_json_mode: set[tuple[str, str]] = set()

    async def ask(self, connection: ModelConnection | None, request: ModelRequest) -> ModelAnswer:
        """The answer. `connection` None asks the Simulated model. Raises ModelFailed, with the calls that were made."""
        if connection is None:
            return _simulate(request)
        talk = _Talk(self._door, self._clock, self._without_json_mode, connection, request)
        limit = asyncio.timeout(request.timeout_seconds)
        try:
            async with limit:
                return await talk.answer()
        except TimeoutError as error:
            if not limit.expired():
                raise
            failed = too_slow(connection, request.model_name, request.timeout_seconds)
            failed.calls = tuple(talk.calls)
            raise failed from error
        except ModelFailed as failed:
            failed.calls = tuple(talk.calls)
            raise

    async def test(self, connection: ModelConnection) -> TestResult:
        """Whether the connection works: for the Test button. Never raises."""
        return await check_connection(self._door, connection)


@dataclass
class _Talk:
    """One question with its attempts."""

    door: Door
    clock: Clock
    without_json_mode: set[tuple[str, str]]
    connection: ModelConnection
    request: ModelRequest
    calls: list[ModelCall] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    async def answer(self) -> ModelAnswer:
        if self.connection.needs_key and not self.connection.key:
            raise key_missing(self.connection)
        async with self.door.client(allow_extra=allowed_for(self.connection)) as client:
            await prepare(self.connection.provider, client)
            model = build_model(self.connection, self.request.model_name, client)
            if self.request.output_schema is None:
                return await self._text(model)
            return await self._object(model, self.request.output_schema)

    async def _text(self, model: Model) -> ModelAnswer:
        response = await self._call(model, self._opening(None), 1)
        text = response.text or ""
        if not text.strip():
            failed = _empty(self.request.model_name, response)
            self._blame(failed.code)
            raise failed
        self._report()
        return self._answered(text, text)

    async def _object(self, model: Model, schema: JsonSchema) -> ModelAnswer:
        from pydantic_ai.messages import ModelRequest as Asked
        from pydantic_ai.messages import ModelResponse as Said
        from pydantic_ai.messages import TextPart, UserPromptPart

        messages = self._opening(schema)
        complaints: list[str] = []
        cut_off = False
        attempts = max(1, self.request.max_attempts)
        for attempt in range(1, attempts + 1):
            response = await self._call(model, messages, attempt, schema)
            text = response.text or ""
            value, complaints = read_object(text, schema)
            if value is not None:
                self._report()
                return self._answered(value, text)
            self._blame("output_invalid")
            if not text.strip() and response.finish_reason == "content_filter":
                raise _empty(self.request.model_name, response)
            cut_off = response.finish_reason == "length"
            messages = [
                *messages,
                Said(parts=[TextPart(text or "(no answer)")]),
                Asked(parts=[UserPromptPart(repair_for(complaints))]),
            ]
        raise unusable(self.request.model_name, attempts, complaints, cut_off=cut_off)

    def _opening(self, schema: JsonSchema | None) -> list[ModelMessage]:
        from pydantic_ai.messages import ModelRequest as Asked
        from pydantic_ai.messages import SystemPromptPart, UserPromptPart

        told = [self.request.system.strip()]
        if schema is not None:
            told.append(instructions_for(schema))
        system = "\n\n".join(text for text in told if text)
        parts = [SystemPromptPart(system)] if system else []
        return [Asked(parts=[*parts, UserPromptPart(self.request.prompt)])]

    async def _call(
        self, model: Model, messages: list[ModelMessage], attempt: int, schema: JsonSchema | None = None
    ) -> ModelResponse:
        """One call. Its ModelCall is the last of `calls`; it is reported by `_report` or `_blame`."""
        place = (self.connection.address, self.request.model_name)
        json_mode = (
            schema is not None
            and place not in self.without_json_mode
            and bool(model.profile.get("supports_json_schema_output"))
        )
        begun = time.monotonic()
        self.calls.append(ModelCall(self.request.model_name, self.connection.name, attempt))
        try:
            response = await self._send(model, messages, schema if json_mode else None)
        except asyncio.CancelledError:
            self._measure(begun, None, maybe_billed=True)
            self._blame("cut_off")
            raise
        except Exception as error:  # SDKs raise of all kinds; `model_fault` sorts them
            fault = model_fault(error, self.connection, self.request.model_name)
            self._measure(begun, None, maybe_billed=fault.maybe_billed)
            self._blame(fault.code)
            if not (json_mode and turned_down(error)):
                raise fault from error
        else:
            self._measure(begun, response, maybe_billed=True)
            return response
        self.without_json_mode.add(place)
        return await self._call(model, messages, attempt, schema)

    async def _send(self, model: Model, messages: list[ModelMessage], schema: JsonSchema | None) -> ModelResponse:
        from pydantic_ai.direct import model_request, model_request_stream
        from pydantic_ai.messages import PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta
        from pydantic_ai.models import ModelRequestParameters
        from pydantic_ai.output import OutputObjectDefinition
        from pydantic_ai.settings import ModelSettings

        settings = ModelSettings(timeout=self.request.timeout_seconds)
        if self.request.max_tokens is not None:
            settings["max_tokens"] = self.request.max_tokens
        if self.request.temperature is not None and self._takes_temperature(model):
            settings["temperature"] = self.request.temperature
        parameters = ModelRequestParameters()
        if schema is not None:
            wanted = OutputObjectDefinition(name="answer", json_schema=wire_schema(schema))
            parameters = ModelRequestParameters(output_mode="native", output_object=wanted, allow_text_output=False)
        told = self.request.on_delta
        if told is None or self.request.output_schema is not None:
            return await model_request(
                model, messages, model_settings=settings, model_request_parameters=parameters, instrument=False
            )
        async with model_request_stream(model, messages, model_settings=settings, instrument=False) as stream:
            async for event in stream:
                match event:
                    case (
                        PartStartEvent(part=TextPart(content=text))
                        | PartDeltaEvent(delta=TextPartDelta(content_delta=text))
                    ):
                        if text:
                            told(text)
            return stream.get()

    def _takes_temperature(self, model: Model) -> bool:
        profile: Any = model.profile
        if not (profile.get("openai_supports_reasoning") and profile.get("thinking_enabled_by_default")):
            return True
        note = f"{self.request.model_name} takes no temperature, so it was left out."
        if note not in self.warnings:
            self.warnings.append(note)
        return False

    def _measure(self, begun: float, response: ModelResponse | None, *, maybe_billed: bool) -> None:
        """Puts time, tokens and cost to the last call. Without token counts, what may have been billed costs unknown."""
        usage = response.usage if response else None
        tokens = Tokens()
        if usage is not None:
            tokens = Tokens(usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.cache_write_tokens)
        price, cost = cost_of(self.connection, self.request.model_name, tokens, at=self.clock.now())
        counted = bool(tokens.input or tokens.output)
        if not counted and not self.connection.local:
            cost = None if maybe_billed else 0
        self.calls[-1] = replace(
            self.calls[-1],
            input_tokens=tokens.input,
            output_tokens=tokens.output,
            price=price,
            cost_nanos=cost,
            seconds=time.monotonic() - begun,
        )

    def _blame(self, code: str) -> None:
        self.calls[-1] = replace(self.calls[-1], error=code)
        self._report()

    def _report(self) -> None:
        if self.request.on_call:
            self.request.on_call(self.calls[-1])

    def _answered(self, value: Json, text: str) -> ModelAnswer:
        return ModelAnswer(
            value,
            text,
            self.request.model_name,
            self.connection.name,
            tuple(self.calls),
            warnings=tuple(self.warnings),
        )


def _empty(model: str, response: ModelResponse) -> ModelFailed:
    return empty_answer(
        model, cut_off=response.finish_reason == "length", refused=response.finish_reason == "content_filter"
    )


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
