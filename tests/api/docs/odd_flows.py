"""Flows with unusual contracts that tools reading OpenAPI fail on, each with a payload that is valid in addition to its
sample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Field = Mapping[str, Any]


def odd_flow(
    title: str, fields: Sequence[Field], results: Mapping[str, Any] | None = None, description: str = ""
) -> dict[str, Any]:
    """Returns a flow file that returns its input as `sent`, and these results."""
    nodes = [
        {"id": "api_input", "type": "api_input", "label": "API Input", "config": {"fields": list(fields)}},
        {"id": "text", "type": "text_template", "inputs": {"template": "done"}},
        {"id": "api_output", "type": "api_output", "inputs": {"sent": "{{ api_input.out }}", **(results or {})}},
    ]
    edges = [
        {"id": "e1", "source": "api_input", "target": "text"},
        {"id": "e2", "source": "text", "target": "api_output"},
    ]
    return {"format": 1, "title": title, "description": description, "nodes": nodes, "edges": edges}


def group(name: str, *fields: Field, **more: Any) -> Field:
    return {"name": name, "type": "object", "fields": list(fields), **more}


def listed(name: str, items: Field, **more: Any) -> Field:
    return {"name": name, "type": "array", "items": items, **more}


def field(name: str, kind: str = "string", **more: Any) -> Field:
    return {"name": name, "type": kind, **more}


FILE = "file_1A2b3C4d5E6f7G8h9I0jKl"
#: Name -> the flow file, and a valid payload.
ODD_FLOWS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "groups": (
        odd_flow(
            "Nested groups",
            [
                group(
                    "person", field("name", required=True), group("home", field("street"), field("zip", required=True))
                ),
                group("always", field("x", "integer", required=True), required=True),
                group("usual", field("mode", default="fast"), default={"mode": "slow"}),
            ],
            {"person": "{{ api_input.out.person }}", "street": "{{ api_input.out.person.home.street }}"},
        ),
        {"always": {"x": 1}, "person": None},
    ),
    "nulls": (
        odd_flow(
            "Everything may be null",
            [field(kind, kind) for kind in ("string", "number", "integer", "boolean", "object", "array")],
            {"text": "{{ api_input.out.string }}", "nothing": None, "list": [], "mixed": [1, "a"]},
        ),
        dict.fromkeys(("string", "number", "integer", "boolean", "object", "array")),
    ),
    "free": (
        odd_flow(
            "Free objects",
            [
                field("anything", "object", required=True),
                field("maybe", "object", example={"a": [1, None]}),
                field("usual", "object", default={"a": [1, None, {"b": "ü"}]}),
                listed("rows", {"type": "object"}, required=True),
                field("list", "array", required=True),
            ],
            {
                "anything": "{{ api_input.out.anything }}",
                "first": "{{ api_input.out.rows[0] }}",
                "made": {"a": {"b": 1}},
            },
        ),
        {"anything": {"a": {"b": [None, 1.5]}}, "rows": [{}, {"ü": None}], "list": [1, "a", None, {}], "maybe": None},
    ),
    "files": (
        odd_flow(
            "Several files",
            [
                field("old", "file", required=True),
                field("new", "file", required=True, description="What came after it"),
                field("cover", "file", file_kinds=["image"]),
                listed("more", {"type": "file"}, max_items=3),
                group("letter", field("scan", "file"), field("back", "file")),
            ],
            {"old": "{{ api_input.out.old }}", "more": "{{ api_input.out.more }}"},
        ),
        {
            "old": "https://example.com/old.pdf",
            "new": {"file_id": FILE, "name": "new.pdf"},
            "cover": None,
            "more": [FILE, "data:text/plain;base64,aGk="],
            "letter": {"scan": FILE},
        },
    ),
    "lists": (
        odd_flow(
            "Lists of lists",
            [
                listed("matrix", {"type": "array", "items": {"type": "number"}, "min_items": 2}, required=True),
                listed("deep", {"type": "array", "items": {"type": "array", "items": {"type": "string"}}}),
                listed(
                    "groups", {"type": "object", "fields": [listed("tags", {"type": "string"}), field("n", "integer")]}
                ),
                listed("modes", {"type": "string", "enum": ["a", "b"]}, default=["a"], min_items=1, max_items=3),
                listed("open", {"type": "array"}),
            ],
            {"matrix": "{{ api_input.out.matrix }}", "modes": "{{ api_input.out.modes }}"},
        ),
        {"matrix": [[1, 2.5]], "deep": [[["x"], []]], "groups": [{"tags": None, "n": 1}, {}], "open": [[1, None]]},
    ),
    "choices": (
        odd_flow(
            "Allowed values",
            [
                field("tone", enum=["warm", "plain"], required=True),
                field("size", "integer", enum=[1, 2, 3]),
                field("share", "number", enum=[0.5, 1, 2.25], default=0.5),
                field("sure", "boolean", enum=[True]),
                field("odd", enum=["", " ", "a b", "A-B", "a_b", "1st", "class", "größe", "日本", "+", "-", "None"]),
                field("one", enum=["only"], required=True),
                listed("grades", {"type": "integer", "enum": [1, -1]}),
            ],
            {"tone": "{{ api_input.out.tone }}", "odd": "{{ api_input.out.odd }}"},
        ),
        {"tone": "warm", "one": "only", "odd": "größe", "size": None, "sure": True, "grades": [1, -1]},
    ),
    "numbers": (
        odd_flow(
            "Numbers with limits",
            [
                field("whole", "integer", minimum=1, maximum=50, default=3),
                field("large", "integer", minimum=-(2**53), maximum=2**53),
                field("half", "integer", minimum=0.5, maximum=7.5, required=True),
                field("share", "number", minimum=0, maximum=1, example=0.25),
                field("same", "number", minimum=2, maximum=2),
                field("small", "number", minimum=-1e-9, maximum=1e300),
            ],
            {"whole": "{{ api_input.out.whole }}", "share": "{{ api_input.out.share }}", "five": 5, "half": 0.5},
        ),
        {"half": 3, "large": 2**53, "share": 1, "small": 1e299},
    ),
    "texts": (
        odd_flow(
            "Formats and patterns",
            [
                field("url", format="uri", required=True),
                field("reply_to", format="email", default="ann@example.com"),
                field("since", format="date-time", example="2026-01-31T12:00:00+02:00"),
                field(
                    "code",
                    pattern="^[A-Z]{2}-[0-9]{3}$",
                    required=True,
                    description='Said "so": `AB-123` \\ {{ x }} <b>\n- and on',
                ),
                field("part", pattern="[a-z]+", min_length=2, max_length=8),
                field("letters", pattern=r"^\p{L}+$", example="größe"),
                field("digits", pattern=r"\d\w\s?", default="1a"),
                field("quoted", pattern="^['\"\\\\/]*$"),
                field("any_case", pattern="(?i)^abc$", example="ABC"),
                field("short", max_length=0),
                field("page", format="uri", default="https://example.com"),
                field("until", format="date-time", default="2026-01-31T12:00:00Z"),
                listed("links", {"type": "string", "format": "uri"}, default=["https://example.com"]),
            ],
            {"since": "{{ api_input.out.since }}", "url": "{{ api_input.out.url }}"},
            "Line one.\n\nLine *two* with <b>HTML</b>, \"quotes\", 'more', \\ and {{ braces }} … ünïcode */ end.",
        ),
        {
            "url": "https://example.com/ü?a=b",
            "code": "AB-123",
            "letters": "größe",
            "since": "2026-01-31T12:00:00Z",
            "any_case": "aBc",
        },
    ),
    "names": (
        odd_flow(
            "N" * 200,
            [field("a" * 200, required=True), field("b" * 199 + "1"), group("g" * 200, field("h" * 200))],
            {"r" * 200: "{{ api_input.out }}"},
            "d" * 2_000,
        ),
        {"a" * 200: "x", "g" * 200: {"h" * 200: None}},
    ),
    "unicode": (
        odd_flow(
            "Größen & 日本語 – «Test»",
            [
                field("größe", required=True),
                field("日本語", "integer"),
                field("emoji 🙂", "boolean"),
                group("страна", field("имя", required=True), field("名前")),
                listed("žluťoučký", {"type": "object", "fields": [field("ķ", required=True)]}),
            ],
            {"größe": "{{ api_input.out }}", "結果": "text", "é": None},
            "Beschreibung mit Ümläuten und 日本語.",
        ),
        {"größe": "L", "страна": {"имя": "x", "名前": None}, "žluťoučký": [{"ķ": "y"}], "emoji 🙂": True},
    ),
    "clashes": (
        odd_flow(
            "Job",
            [
                field("class"),
                field("self"),
                field("None"),
                field("items"),
                field("type"),
                field("from"),
                field("a-b"),
                field("A_B"),
                field("1st"),
                field("_private"),
                field("$ref"),
                field("json"),
                field("model_config"),
                field("copy"),
                field("schema"),
                field("c.d"),
                field("e/f"),
                field("g~h"),
                field("x y"),
                field("UNSET"),
                field("str"),
                field("list"),
                field("dict"),
                group("job", field("status")),
                group("Payload", field("x")),
                group("result", field("error")),
                group("Problem Details", field("code")),
                listed("Payload_item", {"type": "object", "fields": [field("x")]}),
            ],
            {
                "status": "text",
                "error": None,
                "class": 1,
                "a b": True,
                "$ref": "x",
                "properties": {"type": "x"},
                "required": [1],
            },
        ),
        {
            "class": "c",
            "x y": "1",
            "a-b": "2",
            "A_B": "4",
            "$ref": "r",
            "job": {"status": "s"},
            "from": None,
            "result": {"error": "x"},
        },
    ),
    "references": (
        odd_flow(
            "#/components/schemas/Pet",
            [
                field("example", example="#/components/schemas/Pet", description="Like '#/components/schemas/Pet'"),
                field("default", default="#/components/schemas/Pet"),
                field("enum", enum=["#/components/schemas/Pet", "'#/components/schemas/Pet'"]),
                field("#/components/schemas/Pet", example="'#/components/schemas/Pet'"),
                field("$ref", example="#/components/schemas/Pet"),
                field("const", "object", example={"$ref": "#/components/schemas/Pet"}),
                field("usual", "object", default={"$ref": "#/components/schemas/Pet"}),
                group("properties", field("properties"), group("examples", field("old", "file"))),
            ],
            {"$ref": "#/components/schemas/Pet", "examples": {"$ref": "#/components/schemas/Pet"}},
            "Resolves '#/components/schemas/Pet' and {'$ref': '#/components/schemas/Pet'}.",
        ),
        {"$ref": "#/components/schemas/Pet", "const": {"$ref": "#/components/schemas/Pet"}},
    ),
    "empty": (odd_flow("", [], {"text": "fixed"}), {}),
    "no output": (
        {
            "format": 1,
            "title": "123 go!",
            "description": "",
            "nodes": [
                {"id": "api_input", "type": "api_input", "config": {"fields": [field("words", required=True)]}},
                {"id": "text", "type": "text_template", "inputs": {"template": "{{ api_input.out.words }}"}},
            ],
            "edges": [{"id": "e1", "source": "api_input", "target": "text"}],
        },
        {"words": "x"},
    ),
}
