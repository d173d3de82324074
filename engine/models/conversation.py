"""One question to a language model: builds the messages, makes the calls and asks again when an answer does not fit the
schema.

An object is requested with the provider's JSON Schema mode if it has one, and with written instructions in any case.
The answer is validated here. The retries of the SDKs are disabled: the job runner retries transient failures, where
users can see them.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from msgspec.structs import replace

from engine.core.clock import Clock
from engine.core.error_codes import JobErrorCode
from engine.core.lone_surrogates import with_whole_texts
from engine.core.trace_context import CURRENT_TRACE
from engine.flow.node_context import Json, JsonSchema
from engine.models.attachments import Attached
from engine.models.connections import ModelConnection
from engine.models.errors import (
    MAX_PARTS,
    ModelFailed,
    asked_to_wait,
    empty_answer,
    key_missing,
    model_fault,
    no_turn,
    too_many_parts,
    too_slow,
    turned_down,
    unreadable,
    unusable,
)
from engine.models.price import is_token_count
from engine.models.price_lookup import Tokens, cost_of
from engine.models.providers import allowed_for, build_model, prepare
from engine.models.rate_limits import CallLimiter, PauseTooLong
from engine.models.request_modes import ModesNotTaken, Way
from engine.models.structured_output import instructions_for, read_object_beside, repair_for, wire_schema
from engine.models.usage import ModelAnswer, ModelCall, ModelRequest
from engine.outbound.client import OutboundClient
from engine.outbound.errors import ResponseTooLarge
from engine.outbound.reply_size import MAX_BYTES, bounded_reply

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage, ModelResponse
    from pydantic_ai.models import Model, ModelRequestParameters
    from pydantic_ai.settings import ModelSettings

#: How often a call is repeated after the provider said how long to wait, in addition to the retries of the node.
WAITS = 3
#: Seconds. For a longer wait the call fails, and the node's retries apply.
LONGEST_WAIT = 60.0


@dataclass
class Conversation:
    """One question with all its attempts.

    `modes` and `limiter` are shared with other questions: request modes that servers turned out not to support, and the
    limit of concurrent calls of this connection.
    """

    outbound: OutboundClient
    clock: Clock
    connection: ModelConnection
    request: ModelRequest
    modes: ModesNotTaken
    limiter: CallLimiter = field(default_factory=CallLimiter)
    attached: Attached = field(default_factory=Attached)
    #: What to do about an answer that reached its longest length.
    remedy_for_length: ClassVar[str] = "Raise the longest answer (max tokens), or leave it empty."
    calls: list[ModelCall] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    _not_taken: set[Way] = field(default_factory=set)
    _streamed: bool = False
    _waits: int = 0
    _queued: bool = False
    _deadline: float = 0.0

    async def answer(self) -> ModelAnswer:
        """Asks the model and returns its answer. Raises ModelFailed, which carries the calls that were made."""
        try:
            return await self._answer()
        except ModelFailed as failed:
            failed.calls = tuple(self.calls)
            raise

    async def _answer(self) -> ModelAnswer:
        if self.connection.needs_key and not self.connection.key:
            raise key_missing(self.connection)
        trace = CURRENT_TRACE.get().headers()
        async with self.outbound.client(allow_extra=allowed_for(self.connection), headers=trace) as client:
            client.event_hooks = {"request": [], "response": [bounded_reply("the model", MAX_BYTES)]}
            await prepare(self.connection, client)
            model = build_model(self.connection, self.request.model_name, client)
            limit = asyncio.timeout(self.request.timeout_seconds)
            self._deadline = asyncio.get_running_loop().time() + self.request.timeout_seconds
            try:
                async with limit:
                    if self.request.output_schema is None:
                        return await self._text(model)
                    return await self._object(model, self.request.output_schema)
            except TimeoutError as error:
                if not limit.expired():
                    raise
                late = no_turn if self._queued else too_slow
                raise late(self.connection, self.request.model_name, self.request.timeout_seconds) from error

    async def _text(self, model: Model) -> ModelAnswer:
        response = await self._call(model, self._opening(None), 1)
        text = (response.text or "").lstrip("\n")  # blank lines stand between what a model thinks and says
        if not text.strip():
            raise self._no_text(response)
        if self.request.on_delta and not self._streamed:
            self._stream_text(text)
        if response.finish_reason == "length":
            self._warn_of_length()
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
            value, complaints = await read_object_beside(self.request.checks, text, schema)
            if value is not None:
                self._report()
                return self._answered(value, text)
            self._report_failure(JobErrorCode.OUTPUT_INVALID)
            if not text.strip() and response.finish_reason == "content_filter":
                raise self._empty(response)
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

        instructions = [self.request.system.strip()]
        if schema is not None:
            instructions.append(instructions_for(schema))
        system = "\n\n".join(text for text in instructions if text)
        parts = [SystemPromptPart(system)] if system else []
        return [Asked(parts=[*parts, UserPromptPart(self.attached.content(self.request.prompt))])]

    async def _call(
        self, model: Model, messages: list[ModelMessage], attempt: int, schema: JsonSchema | None = None
    ) -> ModelResponse:
        """Makes one call when the connection's concurrency limit permits it, and repeats it when necessary.

        It is repeated in plain mode when the server does not support the request mode, and after a wait that the
        provider asked for. The last of `calls` is the ModelCall of the returned response; the caller passes it to
        `on_call` with `_report` or `_report_failure`.
        """
        self._queued = True
        try:
            async with self.limiter.turn(self.connection.at_once, self._deadline, self.request.model_name):
                self._queued = False
                return await self._call_now(model, messages, attempt, schema)
        except PauseTooLong as pause:
            raise asked_to_wait(self.connection, self.request.model_name, pause.seconds) from pause
        except _AgainError:
            return await self._call(model, messages, attempt, schema)

    async def _call_now(
        self, model: Model, messages: list[ModelMessage], attempt: int, schema: JsonSchema | None
    ) -> ModelResponse:
        """Makes the call. Raises _AgainError when it must be repeated."""
        way = self._way(model, schema)
        begun = time.monotonic()
        self.calls.append(ModelCall(self.request.model_name, self.connection.name, attempt, self.connection.provider))
        try:
            response = await self._send(model, messages, schema, way)
        except asyncio.CancelledError:
            self._measure(begun, None, maybe_billed=True)
            self._report_failure("cut_off")
            raise
        except Exception as error:  # SDKs raise exceptions of many types; `model_fault` classifies them
            fault = model_fault(error, self.connection, self.request.model_name, files=self.attached.names)
            self._measure(begun, None, maybe_billed=fault.maybe_billed)
            self._report_failure(fault.code)
            if way is None or self._streamed or not (turned_down(error) or (way == "stream" and unreadable(error))):
                self._wait_or_fail(fault)
                raise _AgainError from error
        else:
            self._measure(begun, response, maybe_billed=True)
            if way is not None:
                self.modes.worked(self.connection.identity, self.request.model_name, way, schema)
            for mode in self._not_taken:  # only now is it known that the mode was at fault, and not what was asked
                self.modes.failed(self.connection.identity, self.request.model_name, mode, schema)
            return response
        self._not_taken.add(way)
        raise _AgainError

    def _wait_or_fail(self, fault: ModelFailed) -> None:
        """Pauses the model for every question when the provider said how long to wait: LONGEST_WAIT at most, since a limit
        may be lifted before.

        Raises the fault when it is no rate limit or when this question cannot wait that long.
        """
        seconds = fault.retry_after
        if fault.code != JobErrorCode.MODEL_RATE_LIMITED or not fault.passing or seconds is None:
            raise fault
        self.limiter.pause(min(seconds, LONGEST_WAIT), self.request.model_name)
        left = self._deadline - asyncio.get_running_loop().time()
        if self._streamed or self._waits >= WAITS or seconds > LONGEST_WAIT or seconds >= left:
            raise fault
        self._waits += 1

    def _way(self, model: Model, schema: JsonSchema | None) -> Way | None:
        """Chooses the request mode: JSON Schema mode, streaming, or None for the plain mode."""
        way: Way | None = None
        if schema is not None:
            way = "json schema" if model.profile.get("supports_json_schema_output") else None
        elif self.request.on_delta is not None:
            way = "stream"
        if way is None or way in self._not_taken:
            return None
        left_out = self.modes.leaves_out(self.connection.identity, self.request.model_name, way, schema)
        return None if left_out else way

    async def _send(
        self, model: Model, messages: list[ModelMessage], schema: JsonSchema | None, way: Way | None
    ) -> ModelResponse:
        from pydantic_ai.direct import model_request, model_request_stream
        from pydantic_ai.messages import PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta

        messages = [_encodable(message) for message in messages]
        settings = self._settings(model)
        parameters = self._parameters(schema if way == "json schema" else None)
        if way != "stream":
            response = await model_request(
                model, messages, model_settings=settings, model_request_parameters=parameters, instrument=False
            )
            if len(response.parts) > MAX_PARTS:
                raise too_many_parts(self.request.model_name)
            return response
        parts = length = 0
        async with model_request_stream(
            model, messages, model_settings=settings, model_request_parameters=parameters, instrument=False
        ) as stream:
            async for event in stream:
                parts += isinstance(event, PartStartEvent)
                if parts > MAX_PARTS:  # the library looks at all parts again at the end of each
                    raise too_many_parts(self.request.model_name)
                match event:
                    case (
                        PartStartEvent(part=TextPart(content=text))
                        | PartDeltaEvent(delta=TextPartDelta(content_delta=text))
                    ) if text:
                        length += len(text)
                        if length > MAX_BYTES:  # the library looks through the whole text again at the end
                            raise ResponseTooLarge(
                                f"The reply of the model has more than {MAX_BYTES:,} characters. Ask for less at once."
                            )
                        self._stream_text(text)
            return stream.get()

    def _parameters(self, schema: JsonSchema | None) -> ModelRequestParameters:
        """`schema`: that of the provider's JSON Schema mode, when it is used."""
        from pydantic_ai.models import ModelRequestParameters
        from pydantic_ai.output import OutputObjectDefinition

        if schema is None:
            return ModelRequestParameters()
        wanted = OutputObjectDefinition(name="answer", json_schema=wire_schema(schema))
        return ModelRequestParameters(output_mode="native", output_object=wanted, allow_text_output=False)

    def _settings(self, model: Model) -> ModelSettings:
        from pydantic_ai.settings import ModelSettings

        settings = ModelSettings(timeout=self.request.timeout_seconds)
        if self.request.max_tokens is not None:
            settings["max_tokens"] = self.request.max_tokens
        if self.request.temperature is not None and self._takes_temperature(model):
            settings["temperature"] = self.request.temperature
        return settings

    def _warn_of_length(self) -> None:
        self.warnings.append(f"The answer is not complete: it reached its longest length. {self.remedy_for_length}")

    def _stream_text(self, text: str) -> None:
        self._streamed = True
        if self.request.on_delta:
            self.request.on_delta(text)

    def _takes_temperature(self, model: Model) -> bool:
        profile: Any = model.profile
        if not (profile.get("openai_supports_reasoning") and profile.get("thinking_enabled_by_default")):
            return True
        note = f"{self.request.model_name} takes no temperature, so it was left out."
        if note not in self.warnings:
            self.warnings.append(note)
        return False

    def _measure(self, begun: float, response: ModelResponse | None, *, maybe_billed: bool) -> None:
        """Adds duration, tokens and cost to the last call.

        When the response has no token counts, or some that no call has, and the call may have been billed, its cost is
        None (unknown).
        """
        said = _tokens_of(response) if response else Tokens()
        tokens = said or Tokens()
        price, cost = cost_of(self.connection, self.request.model_name, tokens, at=self.clock.now())
        counted = bool(tokens.input or tokens.output)
        if not counted and not self.connection.local:
            cost = None if maybe_billed else 0
        elif said is None and (price is None or price.source != "local"):
            cost = None
        self.calls[-1] = replace(
            self.calls[-1],
            input_tokens=tokens.input,
            output_tokens=tokens.output,
            price=price,
            cost_nanos=cost,
            seconds=time.monotonic() - begun,
        )

    def _no_text(self, response: ModelResponse) -> ModelFailed:
        """Reports the call as failed, and returns why it gave no text."""
        failed = self._empty(response)
        self._report_failure(failed.code)
        return failed

    def _empty(self, response: ModelResponse) -> ModelFailed:
        return empty_answer(
            self.request.model_name,
            cut_off=self.remedy_for_length if response.finish_reason == "length" else "",
            refused=response.finish_reason == "content_filter",
            said=str((response.provider_details or {}).get("refusal") or ""),
            tool=next((part.tool_name for part in response.tool_calls), None),
        )

    def _report_failure(self, code: str) -> None:
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
            warnings=(*self.attached.warnings, *self.warnings),
            notes=self.attached.notes,
        )


def _encodable(message: ModelMessage) -> ModelMessage:
    """Returns the message without halves of characters, which results of tools and answers may hold: no SDK sends them."""
    parts: list[Any] = [_encodable_part(part) for part in message.parts]
    return message if parts == message.parts else dataclasses.replace(message, parts=parts)


def _tokens_of(response: ModelResponse) -> Tokens | None:
    """Returns what the server says that a call took; None when one of the counts is none that a call has."""
    usage = response.usage
    counts = (
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_tokens,
        usage.cache_write_tokens,
        usage.input_audio_tokens,
        usage.output_audio_tokens,
    )
    return Tokens(*counts) if all(map(is_token_count, counts)) else None


def _encodable_part(part: Any) -> Any:
    content = getattr(part, "content", None)
    whole = with_whole_texts(content)
    return part if whole == content else dataclasses.replace(part, content=whole)


class _AgainError(Exception):
    """The call must be repeated, under the concurrency limit again."""
