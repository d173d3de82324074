"""What a node asks a language model, and what the model answers: a question alone, or a turn of a conversation with tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from msgspec import Struct, field

from engine.flow.file_values import FileContent
from engine.flow.references import Json, JsonSchema


class ModelQuestion(Struct, frozen=True):
    """A Prompt's request to a model.

    `model` is `CONNECTION:model-name` or `simulated`; `output_schema` asks for an object; `files` are sent with it.
    """

    model: str
    prompt: str
    system: str = ""
    temperature: float | None = None
    max_tokens: int | None = None
    output_schema: JsonSchema | None = None
    max_attempts: int = 3
    timeout_seconds: float = 180.0
    files: tuple[FileContent, ...] = ()


class ModelReply(Protocol):
    """A model's answer: `value` is text, or an object that fits the schema.

    `warnings` and `notes` are for the step: what the model did not get, and which files went to it.
    """

    @property
    def value(self) -> Json: ...
    @property
    def simulated(self) -> bool: ...
    @property
    def warnings(self) -> Sequence[str]: ...
    @property
    def notes(self) -> Sequence[str]: ...


class ToolSpec(Struct, frozen=True):
    """A tool that a model may call. `schema`: the JSON Schema of its arguments, an object.

    `changes`: a call may change something outside Flowport, so the Simulated model leaves it alone.
    """

    name: str
    description: str
    schema: JsonSchema
    changes: bool = False


class ToolCall(Struct, frozen=True):
    """A call that a model asks for. `arguments` is what the model wrote: an object, or text that is no JSON object."""

    id: str
    name: str
    arguments: Json


@dataclass
class TurnFiles:
    """The files of a conversation's first message.

    `prepared`: what the model gets of them, kept for the next turns: a document is read once, not with each turn.
    """

    files: tuple[FileContent, ...] = ()
    prepared: Any = None


class ModelTurn(Struct, frozen=True):
    """One request of a conversation in which a model may call tools.

    `history` holds the conversation after the first message, as JSON: `{"message": ...}` is a `TurnReply.message`,
    `{"results": [{"id", "name", "text"}]}` answers its calls, and `{"text": ...}` is something more that it is told.
    `may_call` false: the model is told of the tools, but must answer without a call.
    """

    model: str
    message: str
    system: str = ""
    history: tuple[Mapping[str, Json], ...] = ()
    tools: tuple[ToolSpec, ...] = ()
    may_call: bool = True
    files: TurnFiles = field(default_factory=TurnFiles)
    #: The schema of the final answer, for the Simulated model; other models read it in `system`.
    output_schema: JsonSchema | None = None
    timeout_seconds: float = 180.0


class TurnReply(Protocol):
    """A model's reply: its text and the calls it asks for. `message` is the whole reply as JSON, for `history`.

    `cost_nanos` None: unknown.
    """

    @property
    def text(self) -> str: ...
    @property
    def asked(self) -> Sequence[ToolCall]: ...
    @property
    def message(self) -> Json: ...
    @property
    def simulated(self) -> bool: ...
    @property
    def input_tokens(self) -> int: ...
    @property
    def output_tokens(self) -> int: ...
    @property
    def cost_nanos(self) -> int | None: ...
    @property
    def warnings(self) -> Sequence[str]: ...
