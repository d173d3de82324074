"""The contract of a flow: the API Input's fields as JSON Schema, samples and made-up payloads, and the schema of the
result. `engine.flow.payload_check` checks payloads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict
from pydantic import JsonValue

from engine.core.body_limits import MAX_BODY_BYTES, MAX_VALUES
from engine.core.errors import Problem, WrongFields
from engine.flow.document import MAX_NAME, Document, Node
from engine.flow.file_values import (
    FILE_SCHEMA,
    SENT_AS_TEXT,
    SENT_ID,
    kinds_in_words,
    largest_bytes,
    size_in_words,
    takes_files,
)
from engine.flow.graph import Graph
from engine.flow.made_up_values import (
    EXAMPLE_FILE_ID,
    example_check,
    fits_as_known,
    given_value,
    is_shown,
    made_up_values,
    value_fits_as_known,
)
from engine.flow.node_context import JsonSchema
from engine.flow.node_type import Catalog
from engine.flow.output_schemas import ANYTHING, returned_schema, returned_schemas
from engine.flow.patterns import why_not
from engine.flow.payload_check import PATTERN_STEPS, FieldDict, PayloadCheck
from engine.flow.references import Json
from engine.flow.well_formed_fields import well_formed_fields

#: The code of the problem that a field asks for more than any body can have. Versions that went live with it still run.
OUT_OF_REACH = "out_of_reach"
_OUT_OF_REACH = (
    ("min_length", MAX_BODY_BYTES, f"a text may have {MAX_BODY_BYTES:,} characters (10 MiB) at most"),
    ("min_items", MAX_VALUES, f"a list may have {MAX_VALUES:,} items at most"),
)
MAX_FIELDS = 100
MAX_LEVELS = 3
_KEYWORDS = {
    "minimum": "minimum",
    "maximum": "maximum",
    "min_length": "minLength",
    "max_length": "maxLength",
    "min_items": "minItems",
    "max_items": "maxItems",
    "pattern": "pattern",
    "format": "format",
}
#: An object without named fields accepts any.
_FREE: JsonSchema = {"type": "object", "additionalProperties": True}


def api_input(document: Document) -> Node | None:
    """Returns the flow's API Input, or None."""
    return next((node for node in document.nodes if node.type == "api_input"), None)


def input_fields(document: Document) -> list[dict[str, Any]]:
    """Returns the fields of the API Input; empty when there is none."""
    node = api_input(document)
    return well_formed_fields(node.config.get("fields")) if node else []


def samples_of(document: Document) -> list[dict[str, Any]]:
    """Returns the saved samples of the API Input, each as `{title, payload}`."""
    node = api_input(document)
    samples: JsonValue = node.config.get("samples") if node else None
    return [sample for sample in samples if isinstance(sample, dict)] if isinstance(samples, list | tuple) else []


def payload_schema(
    fields: Iterable[Mapping[str, JsonValue] | JsonValue],
    *,
    for_output: bool = False,
    with_null: bool = False,
    as_sent: bool = False,
) -> dict[str, Any]:
    """Returns the request body as JSON Schema (2020-12).

    `for_output`: the schema of the API Input's `out`, in which every field is present. `with_null`: an optional field
    may be null, as callers are told; forms need a single type per field. `as_sent`: a file in each form in which it may
    be sent; otherwise it is the value that flows and forms have.
    """
    wanted = [field for field in fields if isinstance(field, Mapping) and field.get("name")]
    ways = _Ways(for_output, with_null, as_sent or with_null)
    properties = {str(field["name"]): _field_schema(field, ways) for field in wanted}
    required = [str(field["name"]) for field in wanted if for_output or field.get("required")]
    schema: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**schema, "required": required} if required else schema


class _Ways(Struct, frozen=True):
    """The keyword arguments of `payload_schema`."""

    for_output: bool
    with_null: bool
    as_sent: bool


def sample_payload(document: Document, *tried: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a payload that fits: one of `tried`, the first sample, or else one in which each field has the first
    value of those that it takes, or else its example, its default or a generated value. Files are not made up: without
    a known one they are left out, as are fields whose values would be too long to be made up.
    """
    fields = input_fields(document)
    known = [*(one for one in tried if one), *_first_sample(document)]
    check = example_check()
    for payload in known:
        if fits_as_known(check, fields, payload):
            return dict(payload)
    made: dict[str, Json] | None = None
    found: dict[str, Any] = {}
    for field in fields:
        if not (name := field.get("name")):
            continue
        value = _first_fit(check, field, known)
        if value is None and is_shown(field) and not takes_files([field]):
            made = made_up_values(fields) if made is None else made
            value = made.get(name)
        if value is not None:
            found[name] = value
    return found


def _first_sample(document: Document) -> list[Mapping[str, Any]]:
    samples: list[JsonValue] = [one.get("payload") for one in samples_of(document)[:1]]
    return [one for one in samples if isinstance(one, Mapping)]


def made_up_names(document: Document, payload: Mapping[str, Any]) -> frozenset[str]:
    """Returns the fields of a payload whose values `sample_payload` has generated, so that a form can tell them."""
    fields, check = input_fields(document), example_check()
    shown = {name: field for field in fields if (name := field.get("name")) and name in payload and is_shown(field)}
    without = [name for name, field in shown.items() if given_value(check, field) is None and not takes_files([field])]
    made = made_up_values(fields) if without else {}
    return frozenset(name for name in without if name in made and payload[name] == made[name])


def _first_fit(check: PayloadCheck, field: FieldDict, payloads: Iterable[Mapping[str, Any]]) -> Json:
    """The first of the values in these payloads that a field takes."""
    name = field["name"]
    for payload in payloads:
        value = payload.get(name)
        if value is not None and value_fits_as_known(check, field, value):
            return value
    return None


def example_payload(document: Document) -> dict[str, Any] | None:
    """Returns the sample payload for callers; None when it does not fit, because some patterns cannot be satisfied by
    generated text, or because it would be too long to be made up.
    """
    payload, fits = shown_payload(document)
    return payload if fits else None


def shown_payload(document: Document) -> tuple[dict[str, Any], bool]:
    """Returns the sample payload for callers, with files, and whether it fits. Where no field needs a value and none has one,
    each has one of its type: an empty call shows nobody what to send.
    """
    fields = input_fields(document)
    payload = sample_payload(document) or made_up_values([{**field, "required": True} for field in fields])
    for field in fields:
        name = field.get("name")
        if name and name not in payload and field.get("required") and takes_files([field]):
            made = made_up_values(fields).get(name)
            if made is not None:
                payload[name] = made
    return payload, fits_as_known(example_check(), fields, payload)


def result_schema(document: Document, catalog: Catalog) -> JsonSchema:
    """Returns the schema of a job's `result`: the fields of API Output, or `{"output": ...}` of the only final node."""
    output = next((node for node in document.nodes if node.type == "api_output"), None)
    if output is not None:
        properties = returned_schemas(output, document, catalog)
    else:
        final = [document.node(node_id) for node_id in final_nodes(document)]
        last = final[0] if len(final) == 1 else None
        properties = {"output": returned_schema(last, document, catalog) if last else ANYTHING}
    return {"type": "object", "properties": properties, "required": list(properties)}


def final_nodes(document: Document) -> list[str]:
    """Returns the nodes without an outgoing edge; in place of a `dataset_sink`, the nodes before it."""
    graph = Graph(document)
    kinds = {node.id: node.type for node in document.nodes}
    last = [node_id for node_id in graph.ids if not graph.children[node_id] and node_id not in graph.parked]
    found: list[str] = []
    for node_id in last:
        found += graph.parents[node_id] if kinds[node_id] == "dataset_sink" else [node_id]
    return list(dict.fromkeys(found))


def field_problems(node: Node) -> list[Problem]:
    """Returns the problems of an API Input's fields: names, nesting, contradicting limits, patterns, defaults."""
    fields: JsonValue = node.config.get("fields")
    return (
        _fields_problems(node, fields, "/config/fields", 1, _check_of_defaults())
        if isinstance(fields, list | tuple)
        else []
    )


def output_field_problems(node: Node) -> list[Problem]:
    """Returns the same problems for the output fields of a Prompt."""
    fields: JsonValue = node.config.get("output_fields")
    if not isinstance(fields, list | tuple):
        return []
    return _fields_problems(node, fields, "/config/output_fields", 1, _check_of_defaults())


def _check_of_defaults() -> PayloadCheck:
    """Returns the check for all defaults and examples of a node. What takes too many steps counts as fitting."""
    check = PayloadCheck(steps=PATTERN_STEPS, by_size=True)
    check.unchecked_fits = True
    return check


def _field_schema(field: FieldDict, ways: _Ways, *, is_item: bool = False) -> dict[str, Any]:
    kind = str(field.get("type") or "string")
    if kind == "file":
        return _file_schema(field, ways, is_item=is_item)
    schema: dict[str, Any] = {"type": kind}
    if field.get("description"):
        schema["description"] = field["description"]
    for ours, theirs in _KEYWORDS.items():
        if field.get(ours) is not None:
            schema[theirs] = field[ours]
    if field.get("enum"):
        schema["enum"] = list(field["enum"])
    if field.get("default") is not None:
        schema["default"] = field["default"]
    if field.get("example") is not None:
        schema["examples"] = [field["example"]]
    if kind == "array" and isinstance(field.get("items"), Mapping):
        schema["items"] = _field_schema(field["items"], ways, is_item=True)
    if kind == "object":
        fields = field.get("fields")
        schema |= payload_schema(fields, **asdict(ways)) if fields else _FREE
    left_out = ways.with_null or (ways.for_output and field.get("default") is None)
    if left_out and not is_item and not field.get("required"):
        schema["type"] = [kind, "null"]  # null means "not sent", in requests and in `out`
        if "enum" in schema:
            schema["enum"].append(None)
    return schema


#: What callers send for a file: text, or the object that an upload answered with.
_FILE_AS_TEXT: JsonSchema = {
    "type": "string",
    "pattern": SENT_AS_TEXT,
    "maxLength": MAX_BODY_BYTES,
    "title": "File as text",
    "description": "The `file_id` of an upload, an https address that the job fetches, or a base64 data URL. The pattern tells only a part \
of the rules, which stand in the guide Files: an address has at most 8,192 characters, for example",
}
FILE_AS_OBJECT: JsonSchema = {
    "type": "object",
    "title": "Uploaded file",
    "description": "What `POST /public/v1/files` answered; its `file_id` counts",
    "properties": {"file_id": {"type": "string", "pattern": SENT_ID}},
    "required": ["file_id"],
}


def _file_schema(field: FieldDict, ways: _Ways, *, is_item: bool) -> dict[str, Any]:
    """Returns the schema of a file: for `out` and forms the file value, for callers everything that they may send."""
    optional = not is_item and not field.get("required")
    said = [str(field["description"])] if field.get("description") else []
    if field.get("file_kinds"):
        said.append(f"Taken are: {kinds_in_words(field['file_kinds'])}")
    said.append(f"At most {size_in_words(largest_bytes(field))}")
    if ways.for_output:
        schema = {**FILE_SCHEMA, **({"type": ["object", "null"]} if optional else {})}
        return {**schema, **({"description": field["description"]} if field.get("description") else {})}
    if not ways.as_sent:
        rules = {name: field[name] for name in ("file_kinds", "max_file_mb") if field.get(name) is not None}
        return {**FILE_SCHEMA, **rules, "description": field.get("description") or ""}
    forms = [_FILE_AS_TEXT, FILE_AS_OBJECT, *([{"type": "null"}] if optional and ways.with_null else [])]
    return {"anyOf": forms, "format": "file", "description": ". ".join(said), "examples": [EXAMPLE_FILE_ID]}


def _fields_problems(
    node: Node, fields: Sequence[JsonValue], pointer: str, level: int, check: PayloadCheck
) -> list[Problem]:
    found: list[Problem] = []
    if level > MAX_LEVELS:
        return [Problem("too_deep", f"Groups may be nested {MAX_LEVELS} levels deep.", node.id, pointer)]
    if len(fields) > MAX_FIELDS:
        found.append(
            Problem("too_many_fields", f"{len(fields):,} fields; {MAX_FIELDS:,} are allowed.", node.id, pointer)
        )
    seen: set[str] = set()
    for position, field in enumerate(fields):
        if not isinstance(field, Mapping):
            continue  # reported by the check of the document's shape
        here = f"{pointer}/{position}"
        name = field.get("name")
        if not isinstance(name, str) or not name.strip():
            found.append(Problem("field_name", "A field needs a name.", node.id, f"{here}/name", blocks_import=False))
        elif len(name) > MAX_NAME:
            found.append(
                Problem("field_name", f"The field name may have {MAX_NAME} characters.", node.id, f"{here}/name")
            )
        elif name in seen:
            found.append(Problem("field_name", f"Two fields are named `{name}`.", node.id, f"{here}/name"))
        else:
            seen.add(name)
        found += _rules_problems(node, field, here, level, check)
    return found


def _limit_problems(node: Node, field: FieldDict, here: str) -> list[Problem]:
    found: list[Problem] = []
    name = field.get("name") or "items"
    for low, high in (("minimum", "maximum"), ("min_length", "max_length"), ("min_items", "max_items")):
        least, most = field.get(low), field.get(high)
        if isinstance(least, int | float) and isinstance(most, int | float) and least > most:
            found.append(
                Problem(
                    "contradiction",
                    f"`{name}`: {low} is larger than {high}, so no value would fit.",
                    node.id,
                    f"{here}/{low}",
                )
            )
    for key, most, said in _OUT_OF_REACH:
        if isinstance(least := field.get(key), int | float) and least > most:
            message = f"`{name}`: {key} is {least:,}, but {said}, so no value would fit. Write a smaller number."
            found.append(Problem(OUT_OF_REACH, message, node.id, f"{here}/{key}"))
    return found


def _rules_problems(node: Node, field: FieldDict, here: str, level: int, check: PayloadCheck) -> list[Problem]:
    (read,) = well_formed_fields([dict(field)])
    found = _limit_problems(node, read, here)
    name = field.get("name") or "items"
    words: JsonValue = field.get("enum") if field.get("type", "string") == "string" else None
    if isinstance(words, list | tuple) and not any(isinstance(word, str) and word.strip() for word in words):
        message = f"`{name}` is one of these words, but there are none yet. Write them, or choose the type Text."
        found.append(Problem("no_words", message, node.id, f"{here}/enum", blocks_import=False))
    pattern = field.get("pattern")
    if isinstance(pattern, str) and (why := why_not(pattern)):
        found.append(
            Problem("bad_pattern", f"`{name}`: this pattern cannot be used: {why}.", node.id, f"{here}/pattern")
        )
    if field.get("type") == "file" and field.get("default") is not None:
        message = f"`{name}` is a file, and a file has no default. Later steps see whether it was sent."
        return [*found, Problem("bad_default", message, node.id, f"{here}/default")]
    if isinstance(field.get("fields"), list | tuple):
        found += _fields_problems(node, field["fields"], f"{here}/fields", level + 1, check)
    if isinstance(field.get("items"), Mapping):
        found += _rules_problems(node, field["items"], f"{here}/items", level + 1, check)
    if not found:
        for key in ("default", "example"):
            if read.get(key) is None:
                continue
            check.errors = errors = WrongFields()
            check.value(read, read[key])
            if errors:
                found.append(
                    Problem(
                        f"bad_{key}", f"`{name}`: the {key} does not fit: {errors[0].detail}.", node.id, f"{here}/{key}"
                    )
                )
    return found
