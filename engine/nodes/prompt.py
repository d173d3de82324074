"""Ask an AI model to write, sort or pick out facts.

Write what the model should do and put data from earlier steps into it as chips. **System text** says who the model is and what
always holds; it is optional.

Without output fields the answer is the model's text. With **output fields** the answer has these fields: each has a name, a
type and, best of all, a description that tells the model what belongs there. The answer is checked, and a model whose answer
does not fit is told what is wrong and asked again, up to **Attempts** times. A field that is not required may be empty.

**Files** shows the model pictures, PDFs, sound or documents: choose a field of the type File of API Input, or a list of files. What
models take differs:

| Models of | Pictures | PDF | Sound | Video |
|---|---|---|---|---|
| OpenAI, OpenRouter | PNG, JPEG, WebP, GIF | yes | WAV, MP3 | no |
| Anthropic | PNG, JPEG, WebP, GIF | yes | no | no |
| Google | PNG, JPEG, WebP, HEIC | yes | yes | yes |
| Mistral | PNG, JPEG, WebP, GIF | yes | no | no |
| Azure OpenAI | PNG, JPEG, WebP, GIF | as text | WAV, MP3 | no |
| Ollama, vLLM, others | PNG, JPEG, WebP | as text | no | no |

Not every model of a provider takes all of it: many see pictures, few hear sound. A PDF goes *as text* where it is not taken, or as pictures of
its pages when it was scanned. Word, Excel, PowerPoint, web pages, e-mails and plain text always go as their text. The step's log says
which files went to the model and how.

Models come from connections that the owner sets up under Settings, Models and secrets. The **Simulated model** needs no
connection: it copies words and numbers out of the prompt and the texts of files, and only says how many pictures it got, so that a flow can be tried before a real model is connected. Where it
must choose, it takes what the text plainly says and guesses otherwise, always the same for the same text. Its answers are marked as
simulated everywhere.

Tokens, time and cost of every call are kept with the step. A model's answer is data: it is never run, and links in it are not
opened unless a web node is given them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from engine.core.errors import Problem
from engine.flow import contract
from engine.flow.document import Document, Node
from engine.flow.node_context import Json, ModelQuestion, NodeContext, NodeFailed
from engine.flow.node_type import NodeConfig, NodeInputs, NodeType, Text
from engine.nodes.api_input import FieldRules, FieldType, Format
from engine.nodes.given_files import FILES, files_of

SIMULATED = "simulated"


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


class Config(NodeConfig):
    model: str = Field(
        default="",
        max_length=300,
        title="Model",
        description="A connection and one of its models, or the Simulated model.",
        json_schema_extra={"widget": "model"},
    )
    temperature: float | None = Field(
        default=None,
        ge=0,
        le=2,
        title="Temperature",
        description="0 answers the same way each time, higher values vary more. Empty: the model's own.",
    )
    max_tokens: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        title="Longest answer",
        description="In tokens; 100 tokens are about 75 words. Empty: the model's own limit.",
    )
    output_fields: tuple[AnswerField, ...] = Field(
        default=(),
        title="Output fields",
        description="The fields of the answer. Without any, the answer is text.",
        max_length=contract.MAX_FIELDS,
        json_schema_extra={"widget": "fields"},
    )
    max_attempts: int = Field(
        default=3,
        ge=1,
        le=10,
        title="Attempts",
        description="How often the model is asked until its answer fits the output fields.",
    )


class Inputs(NodeInputs):
    prompt: Text = Field(
        title="Prompt",
        description="What the model should do, with data from earlier steps as chips.",
        json_schema_extra={"widget": "textarea"},
    )
    system: Text = Field(
        default="",
        title="System text",
        description="Who the model is and what always holds. Optional.",
        json_schema_extra={"widget": "textarea"},
    )
    files: Any = FILES


async def run(config: Config, inputs: Inputs, context: NodeContext) -> Json:
    """Returns the model's text, or the object with the output fields."""
    if not is_model(config.model):
        raise NodeFailed("No model is chosen.", remedy="Choose one in the Prompt's settings.")
    if not inputs.prompt.strip():
        raise NodeFailed(
            "The prompt is empty.",
            code="input_missing",
            why="There was no text in it, and the data in it was empty in this run.",
            remedy="Write what the model should do.",
        )
    files = await files_of(inputs.files, context)
    reply = await context.ask_model(
        ModelQuestion(
            model=config.model,
            prompt=inputs.prompt,
            system=inputs.system,
            temperature=config.temperature,
            max_tokens=config.max_tokens,
            output_schema=object_schema(config.model_dump()["output_fields"]),
            max_attempts=config.max_attempts,
            timeout_seconds=context.timeout_seconds,
            files=files,
        )
    )
    for note in reply.notes:
        context.log(note)
    for warning in reply.warnings:
        context.warn(warning)
    return reply.value


def object_schema(fields: Any) -> dict[str, Any] | None:
    """Returns the schema of an answer with these output fields; None without any."""
    return contract.payload_schema(fields, for_output=True) if fields else None


def is_model(model: Any) -> bool:
    """True for `CONNECTION:model-name` and `simulated`."""
    if not isinstance(model, str):
        return False
    connection, colon, name = model.partition(":")
    return model == SIMULATED or bool(connection.strip() and colon and name.strip())


def _check(node: Node, document: Document) -> list[Problem]:
    return [*contract.output_field_problems(node), *model_problems(node)]


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


def _out(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    return object_schema(config.get("output_fields")) or {"type": "string", "title": "Text"}


def _summary(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    return model_words(config)


def model_words(config: Mapping[str, Any]) -> str:
    """Returns the model of the settings in words."""
    model = config.get("model")
    if not is_model(model):
        return "no model yet"
    if model == SIMULATED:
        return "Simulated model"
    connection, _, name = str(model).partition(":")
    return f"{name} ({connection})"


NODE = NodeType(
    type="prompt",
    title="Prompt",
    group="ai",
    icon="auto_awesome",
    synonyms=(
        "ai, gpt, chatgpt, claude, gemini, llm, model, ask, question, summary, summarise, summarize, translate, "
        "translation, classify, generate, write, rewrite, chat, agent, openai, sentiment, extract, "
        "artificial intelligence, picture, image, photo, describe a picture, vision, ocr, scan, audio, sound, "
        "transcribe, speech, video"
    ),
    config=Config,
    inputs=Inputs,
    run=run,
    out_schema=_out,
    summary=_summary,
    timeout_seconds=180.0,
    check=_check,
    example=(
        {
            "model": SIMULATED,
            "output_fields": [
                {"name": "summary", "type": "string", "required": True, "description": "The page in two sentences"}
            ],
        },
        {"prompt": "Summarise this page.\n\n{{ page_scraper.out.text }}"},
    ),
)
