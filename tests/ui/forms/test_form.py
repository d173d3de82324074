"""Forms without a page: from schemas to fields, and from input to values."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from engine.flow.contract import payload_schema
from engine.nodes.api_input import Config as ApiInputConfig
from engine.nodes.prompt import Config as PromptConfig
from ui.forms.specs import (
    ABSENT,
    FieldSpec,
    after_type_change,
    as_shown,
    as_stored,
    fields_for,
    folded_fields,
    is_rule,
    specs_of_model,
    specs_of_schema,
    tell_made_up,
)
from ui.forms.values import (
    completed_address,
    get_at,
    parse,
    pointer_to,
    problem_of,
    problems_of,
    read_count,
    with_value,
)


class Rule(BaseModel):
    field: str = Field(default="", title="Field")
    operator: Literal["equals", "contains"] = Field(
        default="equals", title="Is", json_schema_extra={"words": {"equals": "is exactly"}}
    )


class Settings(BaseModel):
    url: str = Field(title="Address", description="Like `https://example.com`.", json_schema_extra={"format": "uri"})
    prompt: str = Field(default="", title="Prompt", json_schema_extra={"widget": "code"})
    content: Literal["main", "page"] = Field(default="main", title="Content")
    limit: int | None = Field(default=None, ge=1, le=100, title="Limit")
    heat: float = Field(default=0.5, title="Temperature")
    follow: bool = Field(default=True, title="Follow links")
    tags: tuple[str, ...] = Field(default=(), title="Tags")
    rules: list[Rule] = Field(default=[], title="Rules", json_schema_extra={"widget": "rules", "item": "rule"})
    headers: dict[str, str] = Field(default={}, title="Headers")
    body: dict[str, Any] = Field(default={}, title="Body")
    one: Rule = Field(default=Rule(), title="One rule")
    seen: str = Field(default="", json_schema_extra={"widget": "hidden"})


def _named(specs: tuple[FieldSpec, ...], name: str) -> FieldSpec:
    return next(spec for spec in specs if spec.name == name)


def test_a_model_becomes_fields_in_its_order_with_its_words() -> None:
    specs = specs_of_model(Settings)

    assert [(spec.name, spec.title, spec.kind) for spec in specs] == [
        ("url", "Address", "text"),
        ("prompt", "Prompt", "code"),
        ("content", "Content", "select"),
        ("limit", "Limit", "integer"),
        ("heat", "Temperature", "number"),
        ("follow", "Follow links", "switch"),
        ("tags", "Tags", "list"),
        ("rules", "Rules", "objects"),
        ("headers", "Headers", "pairs"),
        ("body", "Body", "any"),
        ("one", "One rule", "group"),
    ]


def test_types_are_shown_as_words() -> None:
    specs = specs_of_model(Settings)

    words = {spec.name: spec.type_word for spec in specs}

    assert words["url"] == "Web address"
    assert words["limit"] == "Whole number"
    assert words["heat"] == "Number"
    assert words["follow"] == "Yes or no"
    assert words["tags"] == "List of texts"
    assert words["one"] == "Group"


def test_limits_help_and_an_example_come_from_the_schema() -> None:
    specs = specs_of_model(Settings)

    limit, url = _named(specs, "limit"), _named(specs, "url")

    assert (limit.minimum, limit.maximum, limit.nullable, limit.required) == (1, 100, True, False)
    assert (url.required, url.help, url.example) == (True, "Like `https://example.com`.", "https://example.com")


def test_choices_have_words_of_their_own() -> None:
    rules = _named(specs_of_model(Settings), "rules")

    assert rules.item_word == "rule"
    assert _named(rules.fields, "operator").choices == (("equals", "is exactly"), ("contains", "contains"))


def test_a_schema_that_contains_itself_ends_in_a_json_field() -> None:
    spec = _named(specs_of_model(ApiInputConfig), "fields")
    for _level in range(10):
        inner = next((one for one in spec.fields if one.name == "fields"), None)
        if inner is None:
            break
        spec = inner

    assert spec.kind == "json"


def test_the_form_of_a_sample_payload_follows_the_api_input() -> None:
    schema = payload_schema(
        [
            {"name": "url", "type": "string", "format": "uri", "required": True, "description": "Page to read"},
            {"name": "lang", "type": "string", "enum": ["en", "de"]},
            {"name": "rows", "type": "array", "items": {"type": "object", "fields": [{"name": "a", "type": "number"}]}},
        ]
    )

    url, lang, rows = specs_of_schema(schema)

    assert (url.title, url.type_word, url.required, url.help) == ("url", "Web address", True, "Page to read")
    assert [word for _value, word in lang.choices] == ["en", "de"]
    assert (rows.kind, rows.fields[0].name, rows.fields[0].kind) == ("objects", "a", "number")


@pytest.mark.parametrize(
    ("kind", "shown", "not_shown"),
    [
        ("string", {"format", "pattern", "max_length"}, {"minimum", "items", "fields", "enum"}),
        ("one_of", {"enum"}, {"minimum", "items", "format", "pattern"}),
        ("integer", {"minimum", "maximum", "enum"}, {"format", "pattern", "items"}),
        ("array", {"items", "min_items"}, {"minimum", "fields", "enum"}),
        ("object", {"fields"}, {"items", "minimum", "pattern"}),
    ],
)
def test_an_api_input_field_shows_the_rules_of_its_type(kind: str, shown: set[str], not_shown: set[str]) -> None:
    fields = _named(specs_of_model(ApiInputConfig), "fields")

    names = {one.name for one in fields_for(fields, {"name": "x", "type": kind})}

    assert names >= shown | {"name", "type", "required", "description", "default"}
    assert not names & not_shown


def test_a_required_api_input_field_has_no_default() -> None:
    fields = _named(specs_of_model(ApiInputConfig), "fields")

    names = {one.name for one in fields_for(fields, {"name": "x", "type": "string", "required": True})}

    assert "default" not in names


def test_the_default_of_an_api_input_field_has_the_fields_type() -> None:
    fields = _named(specs_of_model(ApiInputConfig), "fields")

    whole = _named(fields_for(fields, {"name": "x", "type": "integer"}), "default")
    yes_no = _named(fields_for(fields, {"name": "x", "type": "boolean"}), "default")

    assert (whole.kind, yes_no.kind, yes_no.choices) == ("integer", "select", ((True, "Yes"), (False, "No")))


def test_a_new_type_takes_the_rules_of_the_old_one_away() -> None:
    fields = _named(specs_of_model(ApiInputConfig), "fields")

    left = after_type_change(fields, {"name": "x", "type": "array", "description": "d", "default": 12, "minimum": 1})

    assert left == {"name": "x", "type": "array", "description": "d", "items": {"type": "string"}}


def test_a_file_becomes_a_list_of_such_files_and_back() -> None:
    fields = _named(specs_of_model(ApiInputConfig), "fields")
    file = {"name": "x", "type": "file", "required": True, "file_kinds": ["image"], "max_file_mb": 5}

    listed = after_type_change(fields, {**file, "type": "array"}, file)
    back = after_type_change(fields, {**listed, "max_items": 9, "type": "file"}, listed)

    items = {"type": "file", "file_kinds": ["image"], "max_file_mb": 5}
    assert listed == {"name": "x", "type": "array", "required": True, "items": items}
    assert back == file


def test_name_and_type_come_first_and_finer_rules_are_folded() -> None:
    fields = _named(specs_of_model(ApiInputConfig), "fields")

    shown = fields_for(fields, {"name": "x", "type": "string"})

    assert [one.name for one in shown[:4]] == ["name", "type", "required", "description"]
    assert [one.name for one in shown if not is_rule(one)] == ["name", "type", "required", "description"]


@pytest.mark.parametrize(
    ("typed", "count"),
    [
        (" 12 ", 12),
        ("0", 0),
        ("2147483647", 2_147_483_647),
        ("2147483648", None),
        ("9" * 5_000, None),
        ("²", None),
        ("1²", None),
        ("-1", None),
        ("1.5", None),
        ("", None),
    ],
)
def test_a_count_is_digits_that_make_a_number(typed: str, count: int | None) -> None:
    assert read_count(typed) == count


def _spec(kind: str, **more: Any) -> FieldSpec:
    return FieldSpec(name="x", title="x", kind=kind, type_word=more.pop("type_word", "Text"), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("spec", "typed", "value"),
    [
        (_spec("integer"), " 12 ", 12),
        (_spec("integer"), "-3", -3),
        (_spec("number"), "0.5", 0.5),
        (_spec("number"), "12", 12),
        (_spec("text"), " as typed ", " as typed "),
        (_spec("text"), "", ABSENT),
        (_spec("text", default="abc"), "", ""),
        (_spec("integer"), "", ABSENT),
        (_spec("json"), '{"a": [1]}', {"a": [1]}),
        (_spec("json"), "", ABSENT),
    ],
)
def test_what_is_typed_becomes_a_value(spec: FieldSpec, typed: str, value: Any) -> None:
    assert parse(spec, typed) == (value, "")


@pytest.mark.parametrize(
    ("spec", "typed", "sentence"),
    [
        (_spec("integer"), "twelve", "Write a whole number, like 12"),
        (_spec("integer"), "1.5", "Write a whole number, like 12"),
        (_spec("number"), "1,236", "A number is written without a comma here. Did you mean 1236 or 1.236?"),
        (_spec("number"), "49,90", "A number is written without a comma here. Did you mean 49.90?"),
        (_spec("number"), "-1.234.567,5", "A number is written without a comma here. Did you mean -1234567.5?"),
        (_spec("number"), "1,234.50", "A number is written without a comma here. Did you mean 1234.50?"),
        (_spec("number"), ",5", "A number is written without a comma here. Did you mean 0.5?"),
        (_spec("number"), "1,2,3", "Write a number, like 0.5"),
        (_spec("integer"), "1,000", "A number is written without a comma here. Did you mean 1000?"),
        (_spec("integer"), "49,90", "Write a whole number, like 12"),
        (_spec("number"), "nan", "Write a number, like 0.5"),
        (_spec("number"), "inf", "Write a number, like 0.5"),
        (_spec("json"), "{a: 1}", "This is not JSON"),
        (_spec("json"), "NaN", "This is not JSON"),
        (_spec("json"), "[1e400]", "This is not JSON"),
        (_spec("json"), "[" * 500 + "]" * 500, "This is not JSON"),
    ],
)
def test_what_cannot_be_read_is_told_with_an_example(spec: FieldSpec, typed: str, sentence: str) -> None:
    value, said = parse(spec, typed)

    assert value is ABSENT
    assert said.startswith(sentence)


@pytest.mark.parametrize(
    ("spec", "value", "sentence"),
    [
        (_spec("text", required=True), ABSENT, "This is required"),
        (_spec("text", required=True, default="a"), ABSENT, ""),
        (_spec("text"), None, ""),
        (_spec("integer", maximum=100), 101, "At most 100"),
        (_spec("integer", minimum=1), 0, "At least 1"),
        (_spec("text", max_length=3), "abcd", "At most 3 characters"),
        (_spec("select", choices=(("a", "A"), ("b", "B"))), "c", "Choose one of A, B"),
        (_spec("text", type_word="Web address"), "example.com", "Write a web address, like https://example.com"),
        (_spec("text", type_word="Web address"), "{{ api_input.out.url }}", ""),
        (_spec("list", min_items=1), [], "At least 1 item"),
    ],
)
def test_a_wrong_value_is_told(spec: FieldSpec, value: Any, sentence: str) -> None:
    assert problem_of(spec, value) == sentence


def test_every_wrong_field_is_found_with_its_pointer() -> None:
    specs = specs_of_schema(
        payload_schema(
            [
                {"name": "url", "type": "string", "required": True},
                {"name": "who", "type": "object", "fields": [{"name": "age", "type": "integer", "minimum": 0}]},
                {"name": "tags", "type": "array", "items": {"type": "string", "max_length": 2}},
                {
                    "name": "rows",
                    "type": "array",
                    "items": {"type": "object", "fields": [{"name": "a", "type": "string", "required": True}]},
                },
            ]
        )
    )

    found = problems_of(specs, {"who": {"age": -1}, "tags": ["ok", "long"], "rows": [{}]})

    assert set(found) == {"/url", "/who/age", "/tags/1", "/rows/0/a"}


def test_changing_by_pointer_leaves_the_old_value_as_it_was() -> None:
    old = {"fields": [{"name": "a"}, {"name": "b"}], "other": 1}

    new = with_value(old, "/fields/1/name", "c")

    assert new == {"fields": [{"name": "a"}, {"name": "c"}], "other": 1}
    assert old["fields"] == [{"name": "a"}, {"name": "b"}]


def test_an_absent_value_takes_the_key_away() -> None:
    assert with_value({"a": 1, "b": {"c": 2}}, "/b/c", ABSENT) == {"a": 1, "b": {}}


def test_groups_on_the_way_are_made() -> None:
    assert with_value({}, "/who/name", "Mara") == {"who": {"name": "Mara"}}


def test_keys_with_slashes_and_tildes_have_pointers() -> None:
    pointer = pointer_to("", "a/b~c")

    assert get_at(with_value({}, pointer, 1), pointer) == 1
    assert get_at({"a": [1]}, "/a/7") is ABSENT


def test_help_texts_belong_to_their_node() -> None:
    asked = {one.name: one.help for one in _named(specs_of_model(ApiInputConfig), "fields").fields}
    answered = {one.name: one.help for one in _named(specs_of_model(PromptConfig), "output_fields").fields}

    assert [name for name in asked if name not in {"file_kinds", "max_file_mb"}] == list(answered)
    assert [name for name, help_text in answered.items() if help_text == asked[name]] == []
    assert not [
        text for text in answered.values() if "call" in text.replace("callers know", "") or "sent" in text.split()
    ]


@pytest.mark.parametrize(
    ("typed", "whole"),
    [
        ("www.wikipedia.org", "https://www.wikipedia.org"),
        (" example.com:8080/a?b=c ", "https://example.com:8080/a?b=c"),
        (" https://example.com ", "https://example.com"),
        ("http://example.com", "http://example.com"),
        ("{{ api_input.out.url }}", "{{ api_input.out.url }}"),
        ("example.com/{{ api_input.out.page }}", "example.com/{{ api_input.out.page }}"),
        ("ada@example.com", "ada@example.com"),
        ("ftp://example.com", "ftp://example.com"),
        ("the bakery. In town", "the bakery. In town"),
        ("bakery", "bakery"),
        ("www.", "www."),
        ("", ""),
    ],
)
def test_an_address_without_https_is_completed_and_every_other_text_stays(typed: str, whole: str) -> None:
    assert completed_address(typed) == whole


def test_a_text_with_allowed_values_is_one_of_these_words() -> None:
    fields = _named(specs_of_model(ApiInputConfig), "fields")
    stored = {"name": "mood", "type": "string", "enum": ["good", "bad"]}
    shown = as_shown(fields, stored)

    offered = fields_for(fields, shown)
    words = _named(offered, "enum")

    assert shown["type"] == "one_of"
    assert ("one_of", "One of these words") in _named(offered, "type").choices
    assert (words.title, [one.name for one in offered][:3]) == ("Words", ["name", "type", "enum"])
    assert "enum" not in folded_fields(fields, offered), "the words are not hidden among the rules"
    assert as_stored(fields, shown) == stored
    assert as_stored(fields, {"name": "mood", "type": "one_of"}) == {"name": "mood", "type": "string", "enum": []}


def test_a_text_with_a_format_has_a_type_of_its_own() -> None:
    fields = _named(specs_of_model(ApiInputConfig), "fields")
    stored = {"name": "page", "type": "string", "format": "uri", "max_length": 200}
    shown = as_shown(fields, stored)

    offered = fields_for(fields, shown)

    assert shown == {"name": "page", "type": "uri", "max_length": 200}
    assert [word for _value, word in _named(offered, "type").choices][:5] == [
        "Text",
        "One of these words",
        "Web address",
        "E-mail address",
        "Date and time",
    ]
    assert "format" not in [one.name for one in offered], "the type says it"
    assert as_stored(fields, shown) == stored
    as_text = after_type_change(fields, {**shown, "type": "string"}, shown)
    assert as_stored(fields, as_text) == {"name": "page", "type": "string", "max_length": 200}
    as_mail = after_type_change(fields, {**stored, "type": "email"}, stored)
    assert as_stored(fields, as_mail) == {**stored, "format": "email"}


def test_what_is_said_of_an_example_follows_a_whole_sentence() -> None:
    fields = {
        "from": {"type": "string", "description": "E-mail address"},
        "to": {"type": "string", "description": "Who?"},
    }
    said = "An example fills it in at first: put in your own."

    specs = tell_made_up(specs_of_schema({"type": "object", "properties": fields}), {"from", "to"})

    assert [(one.help, one.made_up) for one in specs] == [(f"E-mail address. {said}", True), (f"Who? {said}", True)]
