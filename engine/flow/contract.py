"""The contract of a flow: the API Input's fields as JSON Schema and as a check of payloads, and the schema of the
result.

The check never converts: `"5"` is not a number, and `5.0` is not a whole number. Patterns run in an engine with linear
time (S8).
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import datetime
from typing import Any, Literal

import jsonpointer
from pydantic import JsonValue

from engine.core.errors import MOST_ERRORS, FieldError, Problem, WrongFields
from engine.core.json_text import json_bytes
from engine.flow.document import MAX_NAME, Document, Node
from engine.flow.example_texts import texts_like
from engine.flow.file_values import (
    FILE_SCHEMA,
    SENT_AS_TEXT,
    check_sent_file,
    kinds_in_words,
    largest_bytes,
    looks_like_file,
    size_in_words,
    takes_files,
)
from engine.flow.graph import Graph
from engine.flow.node_context import JsonSchema
from engine.flow.node_type import Catalog
from engine.flow.patterns import BadPattern, Pattern, read_pattern, searchable, why_not
from engine.flow.ports import ANYTHING, returned_schema
from engine.flow.references import Json

MAX_FIELDS = 100
MAX_LEVELS = 3
#: The steps that all patterns of one payload may take together (`engine.flow.patterns`): at most a fifth of a second.
PATTERN_STEPS = 30_000_000
#: What the defaults of left out fields may take as JSON, in one payload and in all of a batch. `{}` in a list may stand
#: for a hundred fields, so without a limit the largest body becomes gigabytes.
MOST_DEFAULTS = 10 * 1024 * 1024
MOST_DEFAULTS_OF_BATCH = 64 * 1024 * 1024

FieldDict = Mapping[str, Any]

#: The name of each type in error messages.
TYPE_WORDS = {
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "object": "an object",
    "array": "a list",
    "file": "a file",
}
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
#: The web addresses that a field takes: http or https, a host, and no blanks or control characters. Published with the
#: field, so it means the same to all common engines; what lies behind an address is checked by the step that opens it.
WEB_ADDRESS = (
    r"^[Hh][Tt][Tt][Pp][Ss]?://([^\s\x00-\x20\x7f-\xa0/?#\[\]]*@)?"
    r"(\[[0-9A-Fa-f:.]+\](:[0-9]*)?|[^\s\x00-\x20\x7f-\xa0/?#@:\[\]][^\s\x00-\x20\x7f-\xa0/?#@\[\]]*)"
    r"([/?#][^\s\x00-\x20\x7f-\xa0]*)?$"
)
_WEB_ADDRESS = re.compile(WEB_ADDRESS)
#: How many candidates are checked to find one example value.
_MOST_CANDIDATES = 300
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)+")


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


def check_payload(fields: Sequence[FieldDict], payload: Mapping[str, Any]) -> tuple[dict[str, Any], WrongFields]:
    """Returns the payload with defaults applied, and every error at once, each with its JSON pointer (RFC 6901). With
    errors the payload is not whole.
    """
    check = PayloadCheck()
    return check.payload(fields, payload), check.errors


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


class PayloadCheck:
    """Checks payloads against the fields of an API Input, and collects what is wrong with them in `errors`.

    What is known of the fields is worked out once, and an error that `errors` does not keep is not put into words: each
    entry of a list may be a group that lacks a hundred fields, so one body may have ten million errors.
    """

    def __init__(self) -> None:
        self.errors = WrongFields()
        self._steps_left = PATTERN_STEPS
        #: The bytes of defaults so far, in this payload and in all.
        self._defaults = 0
        self._all_defaults = 0
        self._groups: dict[int, _Group] = {}
        self._allowed: dict[int, frozenset[Hashable]] = {}
        self._patterns: dict[str, Pattern | None] = {}

    def payload(self, fields: Sequence[FieldDict], payload: Mapping[str, Any], at: str = "") -> dict[str, Any]:
        """Returns the payload with defaults applied; it is not whole when there are errors. `at`: where the payload is
        in the body, as a JSON pointer.
        """
        self._steps_left, self._defaults = PATTERN_STEPS, 0
        try:
            return self._object(fields, payload, at)
        except _TooManyDefaults as too_many:
            self.errors.append(FieldError(at, "max_length", str(too_many)))
            return {}

    def value(self, field: FieldDict, value: Json) -> Json:
        """Does the same for the value of one field."""
        try:
            return self._value(field, value, "")
        except _TooManyDefaults as too_many:
            self.errors.append(FieldError("", "max_length", str(too_many)))
            return value

    def _value(self, field: FieldDict, value: Json, at: str) -> Json:
        kind = str(field.get("type") or "string")
        if kind == "file":
            if (wrong := check_sent_file(field, value)) is not None:
                self._add(at, wrong[0], lambda: wrong[1])
            return value
        if not _is_type(kind, value):
            self._add(at, "type_error", lambda: f"expected {TYPE_WORDS.get(kind, kind)}, got {_type_word(value)}")
            return value
        enum = field.get("enum")
        if enum and not self._is_allowed(enum, value):
            self._add(at, "enum", lambda: f"must be one of: {', '.join(str(one) for one in list(enum)[:20])}")
            return value
        if kind == "string":
            self._check_text(field, value, at)
        elif kind in {"number", "integer"}:
            self._check_number(field, value, at)
        elif kind == "array":
            self._check_size(field, "items", len(value), at)
            if items := field.get("items"):
                return [self._value(items, item, f"{at}/{position}") for position, item in enumerate(value)]
        elif field.get("fields"):
            return self._object(field["fields"], value, at)
        return value

    def _add(self, at: str, code: str, words: Callable[[], str]) -> None:
        if self.errors.full:
            self.errors.total += 1
        else:
            self.errors.append(FieldError(at, code, words()))

    def _object(self, fields: Sequence[FieldDict], value: Mapping[str, Any], at: str) -> dict[str, Any]:
        group = self._groups.get(id(fields))
        if group is None:
            group = self._groups[id(fields)] = _Group.of(fields)
        known = [name for name in value if name in group.fields]
        self._count_defaults(group, known, value)
        if self.errors.full:
            self.errors.total += len(group.required) - sum(name in group.required for name in known)
            self.errors.total += len(value) - len(known)
            for name in (*known, *group.odd_defaults.difference(known)):
                self._field(group, name, value, at)
            return {}
        clean = group.left_out.copy()
        for name in sorted(group.always.union(known), key=group.places.__getitem__):
            if name in group.required and name not in value:
                self._add(f"{at}/{jsonpointer.escape(name)}", "required", lambda: "missing")
                del clean[name]
            else:
                clean[name] = self._field(group, name, value, at)
        if len(known) < len(value):
            self._add_unknown(group, value, at)
        return clean

    def _count_defaults(self, group: _Group, known: Sequence[str], value: Mapping[str, Any]) -> None:
        """Counts the defaults of an object, unless it is the first of its group. Raises _TooManyDefaults."""
        if not group.used:
            group.used = True
            return
        if not group.sizes:
            group.sizes = {name: len(name) + 4 + len(json_bytes(default)) for name, default in group.left_out.items()}
            group.sizes |= dict.fromkeys(group.required, 0)
            group.size = sum(group.sizes.values())
        size = group.size - sum(group.sizes[name] for name in known if value[name] is not None)
        self._defaults += size
        self._all_defaults += size
        if self._defaults > MOST_DEFAULTS:
            raise _TooManyDefaults(
                "leaves so much out in the entries of its lists that the defaults take more than "
                f"{size_in_words(MOST_DEFAULTS)}; send shorter lists"
            )
        if self._all_defaults > MOST_DEFAULTS_OF_BATCH:
            raise _TooManyDefaults(
                "leaves so much out, with the items before it, that the defaults take more than "
                f"{size_in_words(MOST_DEFAULTS_OF_BATCH)}; send fewer items in one batch"
            )

    def _field(self, group: _Group, name: str, value: Mapping[str, Any], at: str) -> Json:
        """Returns the value of one field of a group, or its default."""
        field, sent = group.fields[name], value.get(name)
        if sent is not None or name in group.required:
            return self._value(field, sent, f"{at}/{jsonpointer.escape(name)}")
        if name in group.odd_defaults:
            return self._value(field, field["default"], f"{at}/{jsonpointer.escape(name)}")
        return group.left_out[name]

    def _add_unknown(self, group: _Group, value: Mapping[str, Any], at: str) -> None:
        unknown = [name for name in value if name not in group.fields]
        why = _unknown(group.fields)
        kept = unknown[: max(0, MOST_ERRORS - len(self.errors))]
        for name in kept:
            pointer = f"{at}/{jsonpointer.escape(name)}"
            self.errors.append(FieldError(pointer, "unknown_field", why, json_type(value[name])))
        self.errors.total += len(unknown) - len(kept)

    def _is_allowed(self, enum: Sequence[Json], value: Json) -> bool:
        allowed = self._allowed.get(id(enum))
        if allowed is None:
            allowed = self._allowed[id(enum)] = frozenset(_comparable(one) for one in enum)
        return _comparable(value) in allowed

    def _check_text(self, field: FieldDict, value: str, at: str) -> None:
        self._check_size(field, "length", len(value), at)
        form = field.get("format")
        if form and not fits_format(str(form), value):
            word = {"uri": "a web address like https://example.com", "email": "an e-mail address"}.get(str(form))
            self._add(at, "format", lambda: f"must be {word or 'a date and time like 2026-01-31T12:00:00Z'}")
        if wanted := field.get("pattern"):
            self._check_pattern(str(wanted), value, at)

    def _check_pattern(self, wanted: str, value: str, at: str) -> None:
        if wanted not in self._patterns:
            self._patterns[wanted] = _pattern_or_none(wanted)
        pattern = self._patterns[wanted]
        if pattern is None:
            return  # a problem of the flow, which its designer sees
        if len(value) * pattern.size > self._steps_left:
            most = self._steps_left // pattern.size
            why = "is too long to be checked against its pattern"
            self._add(at, "pattern", lambda: f"{why}; {most:,} characters are left")
            return
        self._steps_left -= len(value) * pattern.size
        if pattern.tester.search(searchable(value)) is None:
            self._add(at, "pattern", lambda: f"must match the pattern {wanted}")

    def _check_number(self, field: FieldDict, value: float, at: str) -> None:
        lowest, highest = field.get("minimum"), field.get("maximum")
        if lowest is not None and value < lowest:
            self._add(at, "minimum", lambda: f"must be at least {lowest:g}")
        elif highest is not None and value > highest:
            self._add(at, "maximum", lambda: f"must be at most {highest:g}")

    def _check_size(self, field: FieldDict, what: Literal["items", "length"], size: int, at: str) -> None:
        fewest, most = field.get(f"min_{what}"), field.get(f"max_{what}")
        word = "items" if what == "items" else "characters"
        if fewest is not None and size < fewest:
            self._add(at, f"min_{what}", lambda: f"must have at least {_counted(fewest, word)}, has {size}")
        elif most is not None and size > most:
            self._add(at, f"max_{what}", lambda: f"must have at most {_counted(most, word)}, has {size}")


class _TooManyDefaults(Exception):
    """The defaults of a payload take more than they may. The text is the detail of the error."""


@dataclass(slots=True)
class _Group:
    """The named fields of an object, prepared for the check of many objects."""

    fields: dict[str, FieldDict]
    required: set[str]
    #: The place of each field among the others.
    places: dict[str, int]
    #: The object in which no field was sent: each has its default.
    left_out: dict[str, Json]
    #: Fields with a default that does not fit, which is told for each object.
    odd_defaults: set[str]
    #: The fields that are looked at in each object, sent or not.
    always: set[str]
    #: Whether an object was seen; then what each default takes as JSON with its name, and all together.
    used: bool = False
    sizes: dict[str, int] = dataclass_field(default_factory=dict[str, int])
    size: int = 0

    @classmethod
    def of(cls, fields: Sequence[FieldDict]) -> _Group:
        named = {str(field.get("name")): field for field in fields}
        required = {name for name, field in named.items() if field.get("required")}
        left_out: dict[str, Json] = dict.fromkeys(named)
        odd: set[str] = set()
        for name, field in named.items():
            if (default := field.get("default")) is not None and name not in required:
                check = PayloadCheck()
                left_out[name] = check.value(field, default)
                if check.errors:
                    odd.add(name)
        places = dict(zip(named, range(len(named)), strict=True))
        return cls(named, required, places, left_out, odd, required | odd)


def _wrong_with(field: FieldDict, value: Json) -> WrongFields:
    """Returns what is wrong with a value for a field."""
    check = PayloadCheck()
    check.value(field, value)
    return check.errors


def _unknown(known: Mapping[str, FieldDict]) -> str:
    names = ", ".join(f"`{other}`" for other in list(known)[:10])
    return f"the flow has no field of this name; it has {names}" if names else "the flow takes no fields"


def _pattern_or_none(text: str) -> Pattern | None:
    try:
        return read_pattern(text)
    except BadPattern:
        return None


def _comparable(value: JsonValue) -> tuple[bool, Hashable]:
    """Returns what is equal for equal values, and can be looked up in a set. True is not 1."""
    return isinstance(value, bool), _hashable(value)


def _hashable(value: JsonValue) -> Hashable:
    if isinstance(value, dict):
        return frozenset((name, _hashable(inner)) for name, inner in value.items())
    return tuple(_hashable(inner) for inner in value) if isinstance(value, list) else value


def _is_type(kind: str, value: Json) -> bool:
    match kind:
        case "string":
            return isinstance(value, str)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "boolean":
            return isinstance(value, bool)
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case _:
            return False


def json_type(value: Json) -> str:
    """Returns the type that an API Input field needs for this value; empty for null, which fits any type."""
    if looks_like_file(value):
        return "file"
    match value:
        case None:
            return ""
        case bool():
            return "boolean"
        case str():
            return "string"
        case int():
            return "integer"
        case float():
            return "number"
        case list():
            return "array"
        case _:
            return "object"


def _type_word(value: Json) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case str():
            return "a string"
        case int() | float():
            return "a number"
        case list():
            return "a list"
        case _:
            return "an object"


def _counted(count: int, word: str) -> str:
    return f"{count} {word.removesuffix('s') if count == 1 else word}"


def fits_format(form: str, value: str) -> bool:
    """True when the text is a web address (`uri`), an `email`, or a `date-time` with a time zone."""
    if form == "uri":
        return _WEB_ADDRESS.fullmatch(value) is not None
    if form == "email":
        return len(value) <= 254 and _EMAIL.fullmatch(value) is not None
    try:
        return datetime.fromisoformat(value).tzinfo is not None and "T" in value.upper()
    except ValueError:
        return False


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
    return not _wrong_with(field, value)


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
            if field.get(key) is not None and (errors := _wrong_with(field, field[key])):
                found.append(
                    Problem(
                        f"bad_{key}", f"`{name}`: the {key} does not fit: {errors[0].detail}.", node.id, f"{here}/{key}"
                    )
                )
    return found
