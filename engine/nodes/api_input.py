"""What callers send: you choose the fields.

Every flow that becomes an API starts here. Add a field for each value callers send, choose its type and whether it must be
there. Requests that do not match are refused with the names of the wrong fields, so later steps can rely on the values.

A field of the type **File** takes a file: an upload by its `file_id`, an https address, or a base64 data URL. You may name the kinds of files and the
largest size. Later steps get its name, kind and size, and can read it. What is at an address is fetched before any other step runs, one file after the
other: a file may take 120 seconds, and all files of a call 300.

Of a field with the format e-mail only the form is checked: up to 64 characters, an `@`, and a name with a dot in it, but none at its ends and no
two together; no blanks, no second `@`, at most 254 characters in all. That may be no address (`mailto:a@b.com`), and one that is may not exist.
A web address may have a user or a password in it (`https://user:password@host/`), and the step that opens it fails then.

A field that is not required may have a default; without one it is empty (`null`). Later steps use the values as `API Input › name`.
Samples are ready-made requests for the Run panel and the code examples.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from engine.core.errors import Problem
from engine.flow import contract
from engine.flow.document import Document, Node
from engine.flow.file_values import MAX_FILE_BYTES, MIB, FileKind, takes_files
from engine.flow.node_context import Json, NodeContext
from engine.flow.node_type import NodeConfig, NodeInputs, NodeType
from engine.flow.well_formed_fields import well_formed_fields
from engine.nodes.sent_files import with_files

FieldType = Literal["string", "number", "integer", "boolean", "object", "array"]
InputType = Literal[FieldType, "file"]
Format = Literal["uri", "email", "date-time"]
_FORMATS = "Web address, e-mail, or date and time with its time zone, like `2026-01-31T12:00:00Z` (RFC 3339)."


class FieldRules(NodeConfig):
    """A field without its name: its type and what its values must fulfil."""

    type: FieldType = Field(default="string", title="Type", description="What kind of value callers send.")
    required: bool = Field(default=False, title="Required", description="Refuse requests without this field.")
    description: str = Field(default="", max_length=1_000, title="Description", description="Shown in the API docs.")
    default: Any = Field(default=None, title="Default", description="Used when the field is not sent.")
    example: Any = Field(default=None, title="Example", description="Shown in the docs and the code examples.")
    format: Format | None = Field(default=None, title="Format", description=_FORMATS)
    enum: tuple[Any, ...] | None = Field(
        default=None, title="Allowed values", description="Only these values are taken."
    )
    minimum: float | None = Field(default=None, title="Smallest", description="The smallest number taken.")
    maximum: float | None = Field(default=None, title="Largest", description="The largest number taken.")
    min_length: int | None = Field(default=None, ge=0, title="Shortest", description="At least so many characters.")
    max_length: int | None = Field(default=None, ge=0, title="Longest", description="At most so many characters.")
    min_items: int | None = Field(default=None, ge=0, title="Fewest items", description="At least so many items.")
    max_items: int | None = Field(default=None, ge=0, title="Most items", description="At most so many items.")
    pattern: str | None = Field(
        default=None, max_length=200, title="Pattern", description="A pattern the text must match."
    )
    items: FieldRules | None = Field(default=None, title="Items", description="What each item of the list is.")
    fields: tuple[InputField, ...] | None = Field(default=None, title="Fields", description="The fields of the group.")


class InputRules(FieldRules):
    """The same for a field of the request, which may be a file."""

    # the models are frozen, which a type checker does not see: another type is safe
    type: InputType = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default="string", title="Type", description="What kind of value callers send."
    )
    file_kinds: tuple[FileKind, ...] | None = Field(
        default=None, title="Kinds of files", description="Only files of these kinds are taken. None chosen: any file."
    )
    max_file_mb: float | None = Field(
        default=None,
        gt=0,
        le=MAX_FILE_BYTES // MIB,
        title="Largest file (MiB)",
        description=f"At most so many MiB (1,048,576 bytes each); never more than {MAX_FILE_BYTES // MIB}.",
    )
    items: InputRules | None = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default=None, title="Items", description="What each item of the list is."
    )


class InputField(InputRules):
    """One field of the request body."""

    name: str = Field(max_length=200, title="Name", description="The name under which callers send it, like `url`.")


class Sample(NodeConfig):
    """A ready-made request."""

    title: str = Field(default="Sample", max_length=200, title="Title")
    payload: dict[str, Any] = Field(default_factory=dict, title="What is sent")


class Config(NodeConfig):
    fields: tuple[InputField, ...] = Field(
        default=(),
        title="Fields",
        description="What callers send.",
        max_length=contract.MAX_FIELDS,
        json_schema_extra={"item": "field"},
    )
    samples: tuple[Sample, ...] = Field(
        default=(),
        title="Samples",
        description="Ready-made requests for the Run panel.",
        json_schema_extra={"item": "sample"},
    )


class Inputs(NodeInputs):
    """None: it is where the data comes from."""


async def run(config: Config, inputs: Inputs, context: NodeContext) -> Json:
    """Returns the job's payload, which already has its defaults applied, with the files that were sent."""
    payload = dict(context.payload)
    fields = [field.model_dump() for field in config.fields]
    return await with_files(fields, payload, context) if takes_files(fields) else payload


def _check(node: Node, document: Document) -> list[Problem]:
    return contract.field_problems(node)


def _out(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    return contract.payload_schema(well_formed_fields(config.get("fields")), for_output=True)


def _summary(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    names = [field.get("name", "") for field in well_formed_fields(config.get("fields"))]
    return ", ".join(name for name in names if name) or "no fields yet"


NODE = NodeType(
    type="api_input",
    title="API Input",
    group="io",
    icon="input",
    synonyms=(
        "input, inputs, begin, start, request, form, parameter, parameters, receive, callers send, question, "
        "what comes in, incoming, fields to fill in"
    ),
    config=Config,
    inputs=Inputs,
    run=run,
    out_schema=_out,
    is_repeatable=True,
    summary=_summary,
    accepts_input=False,
    timeout_seconds=300.0,
    check=_check,
    example=({"fields": [{"name": "url", "type": "string", "format": "uri", "required": True}]}, {}),
)
