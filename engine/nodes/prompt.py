"""Ask an AI model to write, sort or pick out facts.

Write what the model should do and put data from earlier steps into it as chips. **System text** says who the model is and what
always holds; it is optional.

Without output fields the answer is the model's text. With **output fields** the answer has these fields: each has a name, a
type and, best of all, a description that tells the model what belongs there. The answer is checked, and a model whose answer
does not fit is told what is wrong and asked again, up to **Attempts** times. A field that is not required may be empty.
When all text fields hold the same text, the step has a warning: the model may not have understood the task.

**Files** shows the model pictures, PDFs, sound or documents: choose a field of the type File of API Input, or a list of files. What
models take differs:

| Models of | Pictures | PDF | Sound | Video |
|---|---|---|---|---|
| OpenAI, OpenRouter | PNG, JPEG, WebP, GIF | yes | WAV, MP3 | no |
| Anthropic | PNG, JPEG, WebP, GIF | yes | no | no |
| Google | PNG, JPEG, WebP, HEIC | yes | yes | yes |
| Mistral | PNG, JPEG, WebP, GIF | yes | no | no |
| Azure OpenAI | PNG, JPEG, WebP, GIF | as text | WAV, MP3 | no |
| Ollama | PNG, JPEG, WebP | as text | no | no |
| vLLM, others | PNG, JPEG, WebP, GIF | as text | no | no |

Not every model of a provider takes all of it: many see pictures, few hear sound. A PDF goes *as text* where it is not taken, or as pictures of
its pages when it was scanned. Word, Excel, PowerPoint, web pages, e-mails and plain text always go as their text. The step's log says
which files went to the model and how.

Models come from connections that the owner sets up under Settings, Models and secrets. The **Simulated model** needs no
connection: it copies words and numbers out of the prompt and the texts of files, and only says how many pictures it got, so that a flow can be tried before a real model is connected. Where it
must choose, it takes what the text plainly says and guesses otherwise, always the same for the same text. What has its
answers is marked as simulated: the steps and jobs on the pages, and for callers of the API `simulated` of the job, of its line in
the results of a batch, and of the MCP tool `get_job`.

Tokens, time and cost of every call are kept with the step. A model's answer is data: it is never run, and links in it are not
opened unless a web node is given them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from engine.core.error_codes import JobErrorCode
from engine.core.errors import Problem
from engine.flow import contract
from engine.flow.document import Document, Node
from engine.flow.node_context import Json, NodeContext, NodeFailed
from engine.flow.node_models import ModelQuestion
from engine.flow.node_type import NodeConfig, NodeInputs, NodeType, Text
from engine.nodes.given_files import FILES, files_of
from engine.nodes.model_answers import (
    OUTPUT_FIELDS,
    AnswerField,
    answer_schema,
    is_model,
    model_problems,
    model_words,
    object_schema,
    same_texts_warning,
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
        description="0 answers nearly the same way each time, higher values vary more. Empty: the model's own.",
    )
    max_tokens: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        title="Longest answer",
        description="In tokens; 100 tokens are about 75 words. Empty: the model's own limit.",
    )
    output_fields: tuple[AnswerField, ...] = OUTPUT_FIELDS
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
            code=JobErrorCode.INPUT_MISSING,
            why="There was no text in it, and the data in it was empty in this run.",
            remedy="Write what the model should do.",
        )
    async with files_of(inputs.files, context) as files:
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
    if config.output_fields and (said := same_texts_warning(reply.value, config.output_fields, config.model)):
        context.warn(said)
    return reply.value


def _check(node: Node, document: Document) -> list[Problem]:
    return [*contract.output_field_problems(node), *model_problems(node)]


def _summary(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    return model_words(config)


NODE = NodeType(
    type="prompt",
    title="Prompt",
    group="ai",
    icon="auto_awesome",
    synonyms=(
        "ai, gpt, chatgpt, claude, gemini, llm, model, ask, question, summary, summarise, summarize, translate, "
        "translation, classify, generate, write, rewrite, chat, agent, openai, sentiment, extract, facts, "
        "artificial intelligence, picture, image, photo, describe a picture, vision, ocr, scan, audio, sound, "
        "transcribe, speech, video, draft, draft an answer, draft a reply, write an answer, write a reply, "
        "write an e-mail, answer an e-mail, correct, spelling, proofread, improve a text, shorten, which kind, "
        "categorise, tone"
    ),
    config=Config,
    inputs=Inputs,
    run=run,
    out_schema=answer_schema,
    summary=_summary,
    timeout_seconds=180.0,
    check=_check,
    example=(
        {
            "model": "simulated",
            "output_fields": [
                {"name": "summary", "type": "string", "required": True, "description": "The page in two sentences"}
            ],
        },
        {"prompt": "Summarise this page.\n\n{{ page_scraper.out.text }}"},
    ),
)
