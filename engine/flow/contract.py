"""The contract of a flow: the API Input's fields as JSON Schema, samples and made-up payloads, and the schema of the
result. `engine.flow.payload_check` checks payloads.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

from engine.core.errors import Problem
from engine.flow.document import MAX_NAME, Document, Node
from engine.flow.example_texts import texts_like
from engine.flow.file_values import (
    FILE_SCHEMA,
    SENT_AS_TEXT,
    kinds_in_words,
    largest_bytes,
    size_in_words,
    takes_files,
)
from engine.flow.graph import Graph
from engine.flow.node_context import JsonSchema
from engine.flow.node_type import Catalog
from engine.flow.output_schemas import ANYTHING, returned_schema
from engine.flow.patterns import why_not
from engine.flow.payload_check import FieldDict, check_payload, wrong_with
from engine.flow.references import Json

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
#: Format -> starts and ends of texts in this format; the part between them may be made longer.
_SAMPLES = {
    "uri": (("https://practice.flowport.example/", ""), ("https://a.example", ""), ("http://a", "")),
    "email": (("ann", "@example.com"), ("a" * 64 + "@", ".com"), ("a", "@b.co")),
    "date-time": (),
}
#: How many candidates are checked to find one example value.
_MOST_CANDIDATES = 300


def api_input(document: Document) -> Node | None:
    """Returns the flow's API Input, or None."""
    return next((node for node in document.nodes if node.type == "api_input"), None)


def input_fields(document: Document) -> list[dict[str, Any]]:
    """Returns the fields of the API Input; empty when there is none."""
    node = api_input(document)
    fields: JsonValue = node.config.get("fields") if node else None
    return [field for field in fields if isinstance(field, dict)] if isinstance(fields, list | tuple) else []


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


@dataclass(frozen=True)
class _Ways:
    """The keyword arguments of `payload_schema`."""

    for_output: bool
    with_null: bool
    as_sent: bool


def sample_payload(document: Document, *tried: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a payload that fits: one of `tried`, the first sample, or else one in which each field has the first
    value of those that it takes, or else its example, its default or a generated value. Files are not made up: without
    a known one they are left out.
    """
    fields = input_fields(document)
    samples: list[JsonValue] = [one.get("payload") for one in samples_of(document)[:1]]
    known = [*(one for one in tried if one), *(one for one in samples if isinstance(one, Mapping))]
    for payload in known:
        if not check_payload(fields, payload)[1]:
            return dict(payload)
    return {
        name: value
        for field in fields
        if (name := field.get("name")) and (value := _first_fit(field, known)) is not None
    }


def _first_fit(field: FieldDict, payloads: Iterable[Mapping[str, Any]]) -> Json:
    """The first of the values in these payloads that a field takes; None for an optional field without one."""
    name = field["name"]
    for payload in payloads:
        value = payload.get(name)
        if value is not None and not check_payload([field], {name: value})[1]:
            return value
    if takes_files([field]):
        return None
    return _made_up(field) if field.get("required") or field.get("example") is not None else None


def example_payload(document: Document) -> dict[str, Any] | None:
    """Returns the sample payload for callers; None when it does not fit, because some patterns cannot be satisfied by
    generated text.
    """
    payload = sample_payload(document)
    for field in input_fields(document):
        name = field.get("name")
        if name and name not in payload and field.get("required") and takes_files([field]):
            payload[name] = _made_up(field)
    return None if check_payload(input_fields(document), payload)[1] else payload


def result_schema(document: Document, catalog: Catalog) -> JsonSchema:
    """Returns the schema of a job's `result`: the fields of API Output, or `{"output": ...}` of the only final node."""
    output = next((node for node in document.nodes if node.type == "api_output"), None)
    if output is not None:
        properties = {name: returned_schema(output, name, document, catalog) for name in output.inputs}
    else:
        final = [document.node(node_id) for node_id in final_nodes(document)]
        last = final[0] if len(final) == 1 else None
        properties = {"output": returned_schema(last, None, document, catalog) if last else ANYTHING}
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
    return _fields_problems(node, fields, "/config/fields", 1) if isinstance(fields, list | tuple) else []


def output_field_problems(node: Node) -> list[Problem]:
    """Returns the same problems for the output fields of a Prompt."""
    fields: JsonValue = node.config.get("output_fields")
    return _fields_problems(node, fields, "/config/output_fields", 1) if isinstance(fields, list | tuple) else []


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
        schema |= payload_schema(fields, **vars(ways)) if fields else _FREE
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
    "title": "File as text",
    "description": "The `file_id` of an upload, an https address that the job fetches, or a base64 data URL",
}
FILE_AS_OBJECT: JsonSchema = {
    "type": "object",
    "title": "Uploaded file",
    "description": "What `POST /public/v1/files` answered; its `file_id` counts",
    "properties": {"file_id": {"type": "string"}},
    "required": ["file_id"],
}
#: An id for examples, which no upload has.
EXAMPLE_FILE_ID = "file_1A2b3C4d5E6f7G8h9I0jKl"


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


def _made_up(field: FieldDict) -> Json:
    """Returns a value that fits the field; when none is found, one of its type."""
    candidates = list(itertools.islice(_candidates(field), _MOST_CANDIDATES))
    return next((value for value in candidates if _fits(field, value)), candidates[-1])


def _fits(field: FieldDict, value: Json) -> bool:
    return not wrong_with(field, value)


def _candidates(field: FieldDict) -> Iterator[Json]:
    """Yields values that may fit, the most likely ones first."""
    yield from (field[key] for key in ("example", "default") if field.get(key) is not None)
    yield from field.get("enum") or ()
    match field.get("type") or "string":
        case "integer":
            lowest, highest = field.get("minimum"), field.get("maximum")
            yield _within(
                1, None if lowest is None else math.ceil(lowest), None if highest is None else math.floor(highest)
            )
        case "number":
            yield _within(1.5, field.get("minimum"), field.get("maximum"))
        case "boolean":
            yield True
        case "file":
            yield EXAMPLE_FILE_ID
        case "array":
            items: JsonValue = field.get("items")
            least = field.get("min_items") or 0
            most = field.get("max_items")
            if isinstance(items, Mapping):
                yield [_made_up(items)] * (max(1, least) if most is None else min(max(1, least), most))
            else:
                yield ["some text"] * least
        case "object":
            inner = [one for one in field.get("fields") or () if one.get("name")]
            made = {one["name"]: _made_up(one) for one in inner}
            yield {
                one["name"]: made[one["name"]] for one in inner if one.get("required") or _fits(one, made[one["name"]])
            }
        case _:
            yield from _texts(field)


def _within(wanted: float, lowest: float | None, highest: float | None) -> float:
    """Returns the wanted number, moved into the limits."""
    if lowest is not None and wanted < lowest:
        return lowest
    return highest if highest is not None and wanted > highest else wanted


def _texts(field: FieldDict) -> Iterator[str]:
    """Yields texts for a field: first of its format, then of its pattern, then plain ones."""
    least, most = field.get("min_length") or 0, field.get("max_length")
    plain = [(start, end) for start, end in _SAMPLES.get(str(field.get("format")), (("some text", ""), ("a", "")))]
    made = [start + "x" * (least - len(start) - len(end)) + end for start, end in plain]
    if field.get("format") == "date-time":
        made = ["2026-01-31T12:00:00Z", f"2026-01-31T12:00:00.{'0' * max(1, least - 21)}Z"]
    if field.get("pattern"):
        yield from made
        yield from texts_like(str(field["pattern"]), least)
    elif not field.get("format"):
        made = [text[:most] for text in made]
    yield from made


def _fields_problems(node: Node, fields: Sequence[JsonValue], pointer: str, level: int) -> list[Problem]:
    found: list[Problem] = []
    if level > MAX_LEVELS:
        return [Problem("too_deep", f"Groups may be nested {MAX_LEVELS} levels deep.", node.id, pointer)]
    if len(fields) > MAX_FIELDS:
        found.append(Problem("too_many_fields", f"{len(fields)} fields; {MAX_FIELDS} are allowed.", node.id, pointer))
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
        found += _rules_problems(node, field, here, level)
    return found


def _rules_problems(node: Node, field: FieldDict, here: str, level: int) -> list[Problem]:
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
        found += _fields_problems(node, field["fields"], f"{here}/fields", level + 1)
    if isinstance(field.get("items"), Mapping):
        found += _rules_problems(node, field["items"], f"{here}/items", level + 1)
    if not found:
        for key in ("default", "example"):
            if field.get(key) is not None and (errors := wrong_with(field, field[key])):
                found.append(
                    Problem(
                        f"bad_{key}", f"`{name}`: the {key} does not fit: {errors[0].detail}.", node.id, f"{here}/{key}"
                    )
                )
    return found
