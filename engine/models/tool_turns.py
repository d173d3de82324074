"""One reply of a model in a conversation in which it may call tools.

The conversation is kept as JSON between the replies, so that it survives a crash: a model's reply is kept whole, as
some providers sign parts of it and want them back unchanged. A call's arguments are checked by the caller.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

from msgspec import structs

from engine.core.lone_surrogates import with_whole_texts, without_lone_surrogates
from engine.flow.json_values import read_strictly
from engine.flow.node_context import Json, JsonSchema
from engine.flow.node_models import ModelTurn, ToolCall
from engine.models import simulated_agent
from engine.models.attachments import Attached
from engine.models.conversation import Conversation
from engine.models.simulated import tokens_of
from engine.models.structured_output import wire_schema
from engine.models.usage import CallTotals, ModelAnswer, ModelCall, ModelRequest

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage, ModelResponse, ToolCallPart
    from pydantic_ai.models import Model, ModelRequestParameters
    from pydantic_ai.settings import ModelSettings


@dataclass(frozen=True)
class Reply(CallTotals):
    """Implements `engine.flow.node_models.TurnReply`. `calls`: the calls of the model that it took."""

    text: str
    asked: tuple[ToolCall, ...]
    message: Json
    calls: tuple[ModelCall, ...]
    simulated: bool = False
    warnings: tuple[str, ...] = ()


async def simulated_reply(turn: ModelTurn, request: ModelRequest, attached: Attached) -> Reply:
    """Returns the reply of the Simulated model (`engine.models.simulated_agent`)."""
    if attached.texts:
        turn = structs.replace(turn, message=f"{turn.message}\n\n{attached.texts}")
    if simulated_agent.takes_long(turn):
        text, asked = await request.checks.run(lambda check: simulated_agent.reply(turn, check))
    else:
        text, asked = simulated_agent.reply(turn)
    said = "".join(str(call.arguments) for call in asked) + text
    call = ModelCall(
        model="simulated",
        connection="",
        attempt=1,
        input_tokens=simulated_agent.input_tokens(turn),
        output_tokens=tokens_of(said),
        cost_nanos=0,
        simulated=True,
    )
    if request.on_delta and text:
        request.on_delta(text)
    if request.on_call:
        request.on_call(call)
    return Reply(
        text, asked, simulated_agent.message_of(text, asked), (call,), simulated=True, warnings=attached.warnings
    )


@dataclass
class ToolConversation(Conversation):
    """The next reply to a conversation with tools."""

    remedy_for_length: ClassVar[str] = "Ask for a shorter answer, or choose another model."
    turn: ModelTurn = field(kw_only=True)
    response: ModelResponse | None = field(default=None, init=False)

    async def reply(self) -> Reply:
        """Asks the model. Raises ModelFailed, which carries the calls that were made."""
        answer = await self.answer()
        response = self.response
        assert response is not None
        asked = tuple(_asked(part) for part in _tool_calls(response))
        return Reply(answer.text, asked, _as_json(response), answer.calls, warnings=answer.warnings)

    async def _text(self, model: Model) -> ModelAnswer:
        response = await self._call(model, self._messages(), 1)
        text = response.text or ""
        if not text.strip() and not _tool_calls(response):
            raise self._no_text(response)
        if self.request.on_delta and text and not self._streamed:
            self._stream_text(text)
        # an object that was cut off does not fit its schema, and is asked for again
        if response.finish_reason == "length" and not _tool_calls(response) and self.turn.output_schema is None:
            self._warn_of_length()
        self._report()
        self.response = response
        return self._answered(text, text)

    def _messages(self) -> list[ModelMessage]:
        from pydantic_ai.messages import (
            ModelMessagesTypeAdapter,
            SystemPromptPart,
            ToolReturnPart,
            UserPromptPart,
        )
        from pydantic_ai.messages import ModelRequest as Asked

        turn = self.turn
        opening: list[Any] = [SystemPromptPart(turn.system)] if turn.system.strip() else []
        opening.append(UserPromptPart(self.attached.content(turn.message)))
        messages: list[ModelMessage] = [Asked(parts=opening)]
        for entry in turn.history:
            if "message" in entry:
                messages += ModelMessagesTypeAdapter.validate_python([entry["message"]])
                continue
            parts: list[Any] = [
                ToolReturnPart(tool_name=result["name"], content=result["text"], tool_call_id=result["id"])
                for result in entry.get("results", ())
            ]
            if "text" in entry:
                parts.append(UserPromptPart(entry["text"]))
            messages.append(Asked(parts=parts))
        return messages

    def _parameters(self, schema: JsonSchema | None) -> ModelRequestParameters:
        from pydantic_ai.models import ModelRequestParameters
        from pydantic_ai.tools import ToolDefinition

        tools = [
            ToolDefinition(
                name=tool.name,
                description=without_lone_surrogates(tool.description),
                parameters_json_schema=with_whole_texts(_tool_schema(tool.schema)),
            )
            for tool in self.turn.tools
        ]
        return ModelRequestParameters(function_tools=tools)

    def _settings(self, model: Model) -> ModelSettings:
        settings = super()._settings(model)
        if self.turn.tools and not self.turn.may_call:
            settings["tool_choice"] = "none"  # without the tools, some providers refuse a history with calls
        return settings


def _tool_calls(response: ModelResponse) -> list[ToolCallPart]:
    from pydantic_ai.messages import ToolCallPart

    return [part for part in response.parts if isinstance(part, ToolCallPart)]


def _asked(part: ToolCallPart) -> ToolCall:
    return ToolCall(part.tool_call_id, part.tool_name, _arguments(part.args))


def _arguments(args: Any) -> Json:
    """Returns the arguments as an object where they are one, else as the model wrote them."""
    if isinstance(args, str):
        try:
            return read_strictly(args) if args.strip() else {}
        except ValueError:
            return args
    return {} if args is None else dict(args)


def _as_json(response: ModelResponse) -> Json:
    """Returns the reply as JSON. Arguments that are no object become an empty one: no provider takes them back. Nor does
    one take halves of characters.
    """
    from pydantic_ai.messages import ModelMessagesTypeAdapter, ToolCallPart

    parts = [_as_taken_back(part) if isinstance(part, ToolCallPart) else part for part in response.parts]
    return ModelMessagesTypeAdapter.dump_python([replace(response, parts=parts)], mode="json")[0]


def _as_taken_back(part: ToolCallPart) -> ToolCallPart:
    arguments = _arguments(part.args)
    if not isinstance(arguments, dict):
        return replace(part, args={})
    whole = with_whole_texts(arguments)
    return part if whole == arguments else replace(part, args=whole)


def _tool_schema(schema: JsonSchema) -> JsonSchema:
    """Returns the schema of a tool for a provider: an object, also when the tool has no parameters."""
    return {"type": "object", "properties": {}, **wire_schema(schema)}
