"""What Prompt and Agent have in common: which model they ask, and the fields of its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field, JsonValue

from engine.core.errors import Problem
from engine.flow import contract
from engine.flow.document import Node
from engine.flow.well_formed_fields import well_formed_fields
from engine.nodes.api_input import FieldRules, FieldType, Format

SIMULATED = "simulated"
SAME_TEXTS = (
    "All fields of the answer are the same text: look whether the model understood the task, or choose a stronger one."
)
#: The fewest fields that are compared, and the characters from which on so few that agree are told.
_FEWEST, _LONG = 2, 20


class AnswerRules(FieldRules):
    """A part of the answer without its name: its type and what the model must keep to."""

    type: FieldType = Field(default="string", title="Type", description="What kind of value the model gives.")
    required: bool = Field(
        default=False, title="Required", description="The model must give it. Otherwise it may leave it empty."
    )
    description: str = Field(
        default="",
        max_length=1_000,
        title="Description",
        description="Tells the model what belongs here, like `The page in two sentences`.",
    )
    default: Any = Field(default=None, title="Default", description="What the model gives when it finds nothing.")
    example: Any = Field(default=None, title="Example", description="Shows the model what you expect.")
    format: Format | None = Field(
        default=None, title="Format", description="The text is a web address, an e-mail address or a date and time."
    )
    enum: tuple[Any, ...] | None = Field(
        default=None, title="Allowed values", description="The model chooses one of these, like `good` or `bad`."
    )
    minimum: float | None = Field(default=None, title="Smallest", description="The smallest number it may give.")
    maximum: float | None = Field(default=None, title="Largest", description="The largest number it may give.")
    min_length: int | None = Field(
        default=None, ge=0, title="Shortest", description="The answer has at least so many characters."
    )
    max_length: int | None = Field(
        default=None, ge=0, title="Longest", description="The answer has at most so many characters."
    )
    min_items: int | None = Field(
        default=None, ge=0, title="Fewest items", description="The model lists at least so many."
    )
    max_items: int | None = Field(
        default=None, ge=0, title="Most items", description="The model lists at most so many."
    )
    pattern: str | None = Field(
        default=None, max_length=200, title="Pattern", description="A pattern that the answer must match."
    )
    # the models are frozen, which a type checker does not see: a narrower type is safe
    items: AnswerRules | None = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default=None, title="Items", description="What each item is that the model lists."
    )
    fields: tuple[AnswerField, ...] | None = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default=None, title="Fields", description="What the model gives for each part of the group."
    )


class AnswerField(AnswerRules):
    """One field of the answer."""

    name: str = Field(
        max_length=200, title="Name", description="What later steps and callers know the value by, like `summary`."
    )


#: The setting `output_fields`.
OUTPUT_FIELDS: Any = Field(
    default=(),
    title="Output fields",
    description="The fields of the answer. Without any, the answer is text.",
    max_length=contract.MAX_FIELDS,
    json_schema_extra={"widget": "fields"},
)


def object_schema(fields: Any) -> dict[str, Any] | None:
    """Returns the schema of an answer with these output fields; None without any."""
    return contract.payload_schema(fields, for_output=True) if fields else None


def same_texts_warning(value: JsonValue, fields: Sequence[AnswerField], model: str) -> str:
    """Returns the warning that all text fields of an answer are the same text; "" when they are not.

    A short word counts from three fields on: two may well agree. A choice among words, a default, and what the Simulated
    model copies do not count.
    """
    if not isinstance(value, dict) or model == SIMULATED:
        return ""
    texts = [
        text.strip()
        for one in fields
        if one.type == "string"
        and not one.enum
        and isinstance(text := value.get(one.name), str)
        and text != one.default
    ]
    if not texts or not texts[0] or any(text != texts[0] for text in texts):
        return ""
    return SAME_TEXTS if is_repeated(texts[0], len(texts)) else ""


def is_repeated(text: str, count: int) -> bool:
    """Whether so many fields with this text are more than a coincidence."""
    return count > _FEWEST or (count == _FEWEST and len(text) >= _LONG)


def is_model(model: Any) -> bool:
    """True for `CONNECTION:model-name` and `simulated`."""
    if not isinstance(model, str):
        return False
    connection, colon, name = model.partition(":")
    return model == SIMULATED or bool(connection.strip() and colon and name.strip())


def answer_schema(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the schema of the node's `out`: a text, or the object with the output fields."""
    return object_schema(well_formed_fields(config.get("output_fields"))) or {"type": "string", "title": "Text"}


def model_problems(node: Node) -> list[Problem]:
    """Returns the problem of a node whose setting `model` names no model."""
    model = node.config.get("model")
    if not model:
        message = "Choose a model, or the Simulated model to try the flow without one."
        return [Problem("no_model", message, node.id, "/config/model", blocks_import=False)]
    if not is_model(model):
        message = "A model is written as `CONNECTION:model-name`, or `simulated`."
        return [Problem("bad_model", message, node.id, "/config/model", blocks_import=False)]
    return []


def model_words(config: Mapping[str, Any]) -> str:
    """Returns the model of the settings in words."""
    model = config.get("model")
    if not is_model(model):
        return "no model yet"
    if model == SIMULATED:
        return "Simulated model"
    connection, _, name = str(model).partition(":")
    return f"{name} ({connection})"
