"""Derives the fields of a form from a JSON Schema or a Pydantic model. Pure functions without NiceGUI.

    specs_of_model(Config)                  the fields of a node's settings, in their order
    specs_of_schema(payload_schema(...))    the fields of an API Input's sample payload
    fields_for(spec, item)                  the fields of one item; for the API Input they depend on the item's type

A model field may say how it is drawn: `Field(json_schema_extra={"widget": "textarea", "item": "rule", "words": {"main":
"Main content"}})`. `widget` is one of `Kind`, the name of a widget that the page draws (`Form(widgets=...)`), or
`hidden`; `item` is the word on the add button; `words` are the labels of the choices; `example` is the placeholder;
`inverted` is the label of a switch that is on when the value is false, and `inverted_help` its help, as the description
tells the value; `new` is the value in an entry that is added. `named` marks an input of a node that takes named values or
a text. `HINTS` are all of them.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, Literal, cast, get_args

from msgspec import Struct, field
from msgspec.structs import replace
from pydantic import BaseModel

from engine.flow.agent_kinds import OF_KIND
from engine.flow.file_values import KIND_WORDS, largest_bytes
from engine.flow.rules import ALONE, LETTERS
from ui.kit.text import _, type_word

Json = Any
Kind = Literal[
    "text",
    "textarea",
    "code",
    "number",
    "integer",
    "switch",
    "select",
    "list",
    "objects",
    "pairs",
    "group",
    "json",
    "any",
    "file",
]
_KINDS: Final = frozenset(get_args(Kind))
#: What `json_schema_extra` of a field may say.
HINTS: Final = frozenset({"widget", "item", "words", "example", "inverted", "inverted_help", "named", "new"})
#: Depth at which a form offers JSON in place of fields, because a schema may refer to itself.
_DEEPEST = 5


class Absent:
    """Type of ABSENT, the value of a field that is missing: it is left out or takes its default."""

    def __repr__(self) -> str:
        return "ABSENT"

    def __bool__(self) -> bool:
        return False


ABSENT: Final = Absent()


class FieldSpec(Struct, frozen=True):
    """One field of a form.

    `name` is its key. `fields` belong to an object or to each object of a list, `item` to each plain item of a list.
    """

    name: str
    title: str
    kind: Kind
    type_word: str
    widget: str = ""
    help: str = ""
    required: bool = False
    default: Json = ABSENT
    example: str = ""
    choices: tuple[tuple[Json, str], ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    min_items: int | None = None
    max_items: int | None = None
    nullable: bool = False
    secret: bool = False
    is_address: bool = False
    #: The JSON type that a value of kind `any` or `json` must have: `array`, `object`, or "" for every type.
    only: str = ""
    #: Of a file: the kinds that are taken (empty: any), and the most bytes; 0: no limit of its own.
    file_kinds: tuple[str, ...] = ()
    max_file_bytes: int = 0
    item_word: str = ""
    inverted: str = ""
    #: Its first value is a generated example.
    made_up: bool = False
    new: Json = ABSENT
    item: FieldSpec | None = None
    fields: tuple[FieldSpec, ...] = field(default=())


def tell_made_up(specs: Sequence[FieldSpec], names: Collection[str]) -> tuple[FieldSpec, ...]:
    """Returns the fields with a word at those that a generated value fills at first."""
    said = _("An example fills it in at first: put in your own.")
    return tuple(
        replace(one, help=f"{_ended(one.help)} {said}".strip(), made_up=True) if one.name in names else one
        for one in specs
    )


def _ended(text: str) -> str:
    """Returns a text that another sentence may follow."""
    return f"{text}." if text.strip()[-1:].isalnum() else text


@functools.cache  # making a schema takes a third of the time in which a node's settings are drawn
def specs_of_model(model: type[BaseModel]) -> tuple[FieldSpec, ...]:
    """The fields of a Pydantic model, in the order of their definition."""
    return specs_of_schema(model.model_json_schema())


def specs_of_schema(schema: Mapping[str, Any]) -> tuple[FieldSpec, ...]:
    """The fields of a JSON Schema that describes an object."""
    return _fields(_Schemas(schema.get("$defs") or {}), schema, 0)


class _Schemas(Struct, frozen=True):
    """The named definitions of a schema."""

    defs: Mapping[str, Any]

    def resolve(self, schema: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
        """Resolves `$ref`, `allOf` and a union with null. Returns the schema, and whether null is allowed."""
        whole = dict(schema)
        nullable = False
        for _step in range(10):
            if ref := whole.pop("$ref", None):
                whole = {**self.defs.get(str(ref).rsplit("/", 1)[-1], {}), **whole}
            elif (parts := whole.get("allOf")) and len(parts) == 1:
                del whole["allOf"]
                whole = {**parts[0], **whole}
            elif options := whole.get("anyOf") or whole.get("oneOf"):
                kept = [one for one in options if one.get("type") != "null"]
                nullable = nullable or len(kept) < len(options)
                whole.pop("anyOf", None)
                whole.pop("oneOf", None)
                if len(kept) != 1:
                    break
                whole = {**kept[0], **whole}
            else:
                break
        if isinstance(kinds := whole.get("type"), list):
            nullable = nullable or "null" in kinds
            rest = [one for one in kinds if one != "null"]
            whole["type"] = rest[0] if len(rest) == 1 else None
        return whole, nullable


def _fields(schemas: _Schemas, schema: Mapping[str, Any], depth: int) -> tuple[FieldSpec, ...]:
    required = set(schema.get("required") or ())
    made = (
        _spec(schemas, name, part, required=name in required, depth=depth)
        for name, part in (schema.get("properties") or {}).items()
    )
    return tuple(one for one in made if one.widget != "hidden")


def _spec(schemas: _Schemas, name: str, schema: Mapping[str, Any], *, required: bool, depth: int) -> FieldSpec:
    whole, nullable = schemas.resolve(schema)
    kind = _kind(schemas, whole, depth)
    own_title = schema.get("title")
    spec = FieldSpec(
        name=name,
        title=str(own_title or name),
        kind=kind,
        type_word=type_word(whole),
        is_address=whole.get("format") == "uri",
        widget=str(whole.get("widget") or ""),
        help=str(whole.get("inverted_help") or schema.get("description") or whole.get("description") or ""),
        required=required,
        default=whole.get("default", ABSENT),
        example=_example(whole),
        choices=_choices(whole),
        minimum=whole.get("minimum", whole.get("exclusiveMinimum")),
        maximum=whole.get("maximum", whole.get("exclusiveMaximum")),
        min_length=whole.get("minLength"),
        max_length=whole.get("maxLength"),
        min_items=whole.get("minItems"),
        max_items=whole.get("maxItems"),
        nullable=nullable,
        secret=whole.get("format") == "password",
        only=str(whole.get("type")) if kind in {"any", "json"} and whole.get("type") in {"array", "object"} else "",
        file_kinds=tuple(whole.get("file_kinds") or ()),
        max_file_bytes=largest_bytes(whole) if kind == "file" else 0,
        item_word=str(whole.get("item") or ""),
        inverted=str(whole.get("inverted") or ""),
        new=whole.get("new", ABSENT),
    )
    if kind == "group":
        return replace(spec, fields=_fields(schemas, whole, depth + 1))
    if kind in {"list", "objects"}:
        part = whole.get("items") or {}
        item, _null = schemas.resolve(part)
        if kind == "objects":
            return replace(spec, fields=_fields(schemas, item, depth + 1))
        made = _spec(schemas, "", part, required=True, depth=depth + 1)
        if made.kind == "file":
            return replace(spec, item=made, item_word=_("file"))
        return replace(spec, item=replace(made, kind="select", choices=YES_NO) if made.kind == "switch" else made)
    if kind == "pairs":
        return replace(spec, item=FieldSpec(name="", title="", kind="text", type_word=type_word("string")))
    return spec


def _kind(schemas: _Schemas, schema: Mapping[str, Any], depth: int) -> Kind:  # noqa: PLR0911 - one case per kind
    if (wanted := schema.get("widget")) in _KINDS:
        return cast("Kind", wanted)
    if "enum" in schema or schema.get("format") == "file":
        return "select" if "enum" in schema else "file"
    kind = schema.get("type")
    if kind == "string":
        return "textarea" if (schema.get("maxLength") or 0) > 500 and schema.get("widget") != "line" else "text"
    if kind in {"number", "integer"}:
        return cast("Kind", kind)
    if kind == "boolean":
        return "switch"
    if depth >= _DEEPEST:
        return "json"
    if kind == "array":
        item, _null = schemas.resolve(schema.get("items") or {})
        if item.get("format") == "file":
            return "list"
        if item.get("type") == "object":
            return "objects" if item.get("properties") else "any"
        return "list" if item.get("type") in {"string", "number", "integer", "boolean", "array"} else "any"
    if kind == "object":
        if schema.get("properties"):
            return "group"
        values = schema.get("additionalProperties")
        return "pairs" if isinstance(values, Mapping) and values.get("type") == "string" else "any"
    return "any"


def _example(schema: Mapping[str, Any]) -> str:
    example = schema.get("example")
    if example is None and (examples := schema.get("examples")):
        example = examples[0]
    if example is None:
        return {"uri": "https://example.com", "email": "name@example.com", "date-time": "2026-01-31T09:30:00Z"}.get(
            str(schema.get("format")), ""
        )
    return example if isinstance(example, str) else json.dumps(example, ensure_ascii=False)


def _choices(schema: Mapping[str, Any]) -> tuple[tuple[Json, str], ...]:
    own = schema.get("words") or {}
    return tuple((value, str(own.get(str(value)) or _choice_word(value))) for value in schema.get("enum") or ())


def _choice_word(value: Json) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


# --- The fields that describe a field of the API Input ------------------------------------------------------------

#: The type of a text that is one of given words. It is stored as a text with its allowed values.
ONE_OF = "one_of"
#: The types of a text with a format. It is stored as a text with this format.
FORMATS = ("uri", "email", "date-time")
_WORD = _("word")
_ALWAYS = frozenset({"name", "type", "required", "description"})
_BY_TYPE: Mapping[str, frozenset[str]] = {
    "string": frozenset({"default", "example", "format", "min_length", "max_length", "pattern"}),
    **dict.fromkeys(FORMATS, frozenset({"default", "example", "min_length", "max_length", "pattern"})),
    ONE_OF: frozenset({"default", "example", "enum"}),
    "number": frozenset({"default", "example", "enum", "minimum", "maximum"}),
    "integer": frozenset({"default", "example", "enum", "minimum", "maximum"}),
    "boolean": frozenset({"default", "example"}),
    "array": frozenset({"items", "default", "example", "min_items", "max_items"}),
    "object": frozenset({"fields", "default", "example"}),
    "file": frozenset({"file_kinds", "max_file_mb"}),
}
_KIND_OF_TYPE: Mapping[str, Kind] = {
    **dict.fromkeys((ONE_OF, "string", *FORMATS), "text"), "number": "number", "integer": "integer", "boolean": "select", "array": "any", "object": "any",
}  # fmt: skip
_SELDOM_OF_TOOLS = frozenset({"method", "parameters", "secret_headers", "name", "timeout_seconds"})
YES_NO = ((True, _("Yes")), (False, _("No")))


def fields_for(spec: FieldSpec, item: Json) -> tuple[FieldSpec, ...]:
    """The fields shown for one object.

    They depend on its `type` when it describes a field, on its `operator` in a rule.
    """
    names = {one.name for one in spec.fields}
    if {"operator", "value"} <= names:
        operator = item.get("operator", "equals") if isinstance(item, Mapping) else "equals"
        hidden = {"value"} if operator in ALONE else set()
        hidden |= set() if operator in LETTERS else {"ignore_case"}
        return tuple(one for one in spec.fields if one.name not in hidden)
    if describes_tool(spec):
        return _fields_of_tool(spec, item if isinstance(item, Mapping) else {})
    if not describes_type(spec):
        return spec.fields
    item = item if isinstance(item, Mapping) else {}
    kind = as_shown(spec, item).get("type", "string")
    wanted = _ALWAYS | _BY_TYPE.get(kind, frozenset()) | ({"format"} if kind in FORMATS and "format" in item else set())
    if "name" not in names:  # the object describes the items of a list, which are never optional and have no default
        wanted -= {"required", "default", "example"}
    shown = []
    for one in spec.fields:
        if one.name not in wanted or (one.name == "default" and item.get("required")):
            continue
        shown.append(_retyped(one, kind))
    first = (
        "name",
        "type",
        *(["enum"] if kind == ONE_OF else []),
        "required",
        "description",
        "items",
        "fields",
        "file_kinds",
    )
    order = {name: at for at, name in enumerate(first)}
    return tuple(sorted(shown, key=lambda one: order.get(one.name, len(order))))


def _fields_of_tool(spec: FieldSpec, tool: Mapping[str, Json]) -> tuple[FieldSpec, ...]:
    """The fields of an agent's tool of this kind. The tools of an MCP server have names of their own."""
    kind = tool.get("kind") or "flow"
    hidden = {name for one, names in OF_KIND.items() if one != kind for name in names}
    hidden |= {"name"} if kind == "mcp" else set()
    hidden |= set() if tool.get("ask_first") else {"editable"}
    return tuple(one for one in spec.fields if one.name not in hidden)


def after_type_change(
    spec: FieldSpec, item: Mapping[str, Json], before: Mapping[str, Json] | None = None
) -> dict[str, Json]:
    """The object after its type changed: without the rules of its former type, and a list with items of text.

    `before`: the object with its former type. A file that becomes a list is a list of such files, and the reverse.
    """
    if not describes_type(spec):
        return dict(item)
    names = {one.name for one in spec.fields}
    lost = {"default", "example", "enum", *(["format"] if item.get("type") in FORMATS else [])}
    kept = {one.name for one in fields_for(spec, item)} - lost
    changed = {name: value for name, value in item.items() if name in kept or name not in names}
    if item.get("type") == ONE_OF:
        return {**changed, "enum": list(item.get("enum") or [])}
    former = before or {}
    files = _BY_TYPE["file"]
    if item.get("type") == "array" and former.get("type") == "file":
        rules = {name: value for name, value in former.items() if name in files}
        return {**changed, "items": {"type": "file", **rules}}
    items = former.get("items")
    if item.get("type") == "file" and isinstance(items, Mapping) and items.get("type") == "file":
        return {**changed, **{name: value for name, value in items.items() if name in files}}
    return {**changed, "items": {"type": "string"}} if item.get("type") == "array" else changed


def as_shown(spec: FieldSpec, item: Mapping[str, Json]) -> dict[str, Json]:
    """The object as its form shows it: a text with allowed values has the type "one of these words", one with a format
    the type of this format.
    """
    if not describes_type(spec) or item.get("type", "string") != "string":
        return dict(item)
    if item.get("enum") is not None:
        return {**item, "type": ONE_OF}
    if (kind := item.get("format")) in FORMATS:
        return {name: value for name, value in item.items() if name != "format"} | {"type": kind}
    return dict(item)


def as_stored(spec: FieldSpec, item: Mapping[str, Json]) -> dict[str, Json]:
    """The object as the document has it: the reverse of `as_shown`."""
    kind = item.get("type") if describes_type(spec) else None
    if kind in FORMATS:
        return {**item, "type": "string", "format": kind}
    return {**item, "type": "string", "enum": item.get("enum") or []} if kind == ONE_OF else dict(item)


def describes_type(spec: FieldSpec) -> bool:
    """True for an object that describes a field or the items of a list: it has a type and its rules."""
    return {"type", "format", "pattern"} <= {one.name for one in spec.fields}


def describes_field(spec: FieldSpec) -> bool:
    """True when each object describes a field of an API Input or of an answer: it has a name, a type and rules."""
    return {"name", "type", "format"} <= {one.name for one in spec.fields}


def describes_tool(spec: FieldSpec) -> bool:
    """True when the object is a tool of an agent."""
    return {"kind", "ask_first"} <= {one.name for one in spec.fields}


def folded_fields(spec: FieldSpec, shown: Sequence[FieldSpec]) -> frozenset[str]:
    """The names of the less common rules of a field, and of the seldom settings of a tool: they are folded at first."""
    if describes_tool(spec):
        return frozenset(one.name for one in shown if one.name in _SELDOM_OF_TOOLS)
    return frozenset(one.name for one in shown if is_rule(one)) if describes_type(spec) else frozenset()


def is_rule(spec: FieldSpec) -> bool:
    """True for the less common rules of an API Input field."""
    return spec.name not in _ALWAYS | {"items", "fields", "file_kinds"} and spec.item_word != _WORD


def _retyped(spec: FieldSpec, kind: str) -> FieldSpec:
    if spec.name == "type":
        choices = [(value, type_word(str(value))) for value, _word in spec.choices]
        at = next((at for at, (value, _word) in enumerate(choices) if value == "string"), -1) + 1
        texts = ((ONE_OF, _("One of these words")), *((one, type_word({"format": one})) for one in FORMATS))
        return replace(spec, choices=(*choices[:at], *texts, *choices[at:]))
    if spec.name == "format":
        return replace(spec, choices=tuple((value, type_word({"format": value})) for value, _word in spec.choices))
    if spec.name in {"default", "example"}:
        choices = YES_NO if kind == "boolean" else ()
        only = kind if kind in {"array", "object"} else ""
        kind_of = _KIND_OF_TYPE.get(kind, "any")
        return replace(spec, kind=kind_of, type_word=type_word(kind), choices=choices, only=only)
    if spec.name == "file_kinds" and spec.item is not None:
        item = replace(spec.item, choices=tuple(KIND_WORDS.items()))
        return replace(spec, item=item, item_word=_("kind"))
    if spec.name == "enum":
        if kind == ONE_OF:
            item = FieldSpec(name="", title="", kind="text", type_word=type_word("string"), required=True)
            return replace(spec, title=_("Words"), kind="list", item=item, item_word=_WORD)
        part = "text" if kind == "string" else cast("Kind", kind)
        item = FieldSpec(name="", title="", kind=part, type_word=type_word(kind), required=True)
        return replace(spec, kind="list", item=item, item_word=_("value"))
    return spec
