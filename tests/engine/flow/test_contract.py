"""Validation of callers' payloads: all wrong fields are reported at once, and nothing is converted."""

import time
import tracemalloc
from typing import Any

import pytest

from engine.core.errors import MAX_ERRORS
from engine.flow.arguments import wrong_arguments
from engine.flow.contract import made_up_names, payload_schema, sample_payload
from engine.flow.document import Document
from engine.flow.payload_check import PayloadCheck, check_payload, fits_format

FIELDS = [
    {"name": "url", "type": "string", "format": "uri", "required": True},
    {"name": "max_pages", "type": "integer", "minimum": 1, "maximum": 10, "default": 3},
    {"name": "lang", "type": "string", "enum": ["en", "de"]},
    {"name": "tags", "type": "array", "items": {"type": "string", "max_length": 3}, "max_items": 2},
    {
        "name": "who",
        "type": "object",
        "fields": [{"name": "mail", "type": "string", "format": "email", "required": True}],
    },
    {"name": "code", "type": "string", "pattern": "^[A-Z]{2}$"},
    {"name": "on", "type": "boolean"},
    {"name": "share", "type": "number"},
]
URL = {"url": "https://example.com"}

WRONG = [
    ({}, "/url", "required"),
    ({"url": None}, "/url", "type_error"),
    ({"url": "nonsense"}, "/url", "format"),
    ({**URL, "max_pages": "5"}, "/max_pages", "type_error"),
    ({**URL, "max_pages": 5.0}, "/max_pages", "type_error"),
    ({**URL, "max_pages": True}, "/max_pages", "type_error"),
    ({**URL, "max_pages": 0}, "/max_pages", "minimum"),
    ({**URL, "max_pages": 11}, "/max_pages", "maximum"),
    ({**URL, "lang": "fr"}, "/lang", "enum"),
    ({**URL, "tags": ["abcd"]}, "/tags/0", "max_length"),
    ({**URL, "tags": ["a", "b", "c"]}, "/tags", "max_items"),
    ({**URL, "tags": "a"}, "/tags", "type_error"),
    ({**URL, "who": {}}, "/who/mail", "required"),
    ({**URL, "who": {"mail": "x"}}, "/who/mail", "format"),
    ({**URL, "who": {"mail": "a@b.de", "x/y": 1}}, "/who/x~1y", "unknown_field"),
    ({**URL, "code": "abc"}, "/code", "pattern"),
    ({**URL, "on": 1}, "/on", "type_error"),
    ({**URL, "share": "1"}, "/share", "type_error"),
    ({**URL, "extra": 1}, "/extra", "unknown_field"),
]

RIGHT = [{"max_pages": 1}, {"max_pages": 10}, {"share": 1000.5}, {"tags": ["abc", "d"]}]


@pytest.mark.parametrize(("payload", "pointer", "code"), WRONG)
def test_a_wrong_field_is_named(payload, pointer, code):
    _, errors = check_payload(FIELDS, payload)
    assert [(error.pointer, error.code) for error in errors] == [(pointer, code)]


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({**URL, "extra": 1}, "the flow has no field of this name; it has `url`, "),
        ({**URL, "who": {"mail": "a@b.de", "age": 1}}, "the object has no field of this name; it has `mail`"),
        ({**URL, "max_pages": 5.0}, "expected a whole number, got a number with a point or an exponent"),
        ({**URL, "max_pages": "5"}, "expected a whole number, got a string"),
        ({**URL, "lang": 5.0}, "expected text, got a number"),
    ],
)
def test_what_is_wrong_is_said_of_the_thing_that_it_is(payload, said):
    (error,) = check_payload(FIELDS, payload)[1]
    assert error.detail.startswith(said)


def test_counts_have_separators_and_bounds_are_as_they_are_written():
    counted = {"name": "a", "type": "string", "max_length": 1_000}
    fields = [counted, {"name": "b", "type": "number", "minimum": 1_234_567, "maximum": 1e9}]
    errors = [*check_payload(fields, {"a": "x" * 1_001, "b": 5})[1], *check_payload(fields, {"b": 2e9})[1]]
    assert [error.detail for error in errors] == [
        "must have at most 1,000 characters, has 1,001",
        "must be at least 1234567",
        "must be at most 1000000000",
    ]


def test_a_whole_bound_is_told_with_all_its_digits():
    large = 9_007_199_254_740_993
    fields = [{"name": "a", "type": "integer", "minimum": large, "maximum": large}]
    details = [check_payload(fields, {"a": one})[1][0].detail for one in (1, 10**17)]
    assert details == [f"must be at least {large}", f"must be at most {large}"]
    schema = {"properties": {"a": {"minimum": large}, "b": {"maximum": 0.25}, "c": {"minLength": 1_000}}}
    assert wrong_arguments(schema, {"a": 1, "b": 2, "c": "x"}) == [
        f"/a: must be at least {large}",
        "/b: must be at most 0.25",
        "/c: must have at least 1,000 characters",
    ]


@pytest.mark.parametrize("payload", RIGHT)
def test_what_is_just_within_a_rule_is_taken(payload):
    assert check_payload(FIELDS, {**URL, **payload})[1] == []


@pytest.mark.parametrize(
    ("address", "fits"),
    [
        ("https://example.com", True),
        ("HTTP://Example.com:8080/a?b#c", True),
        ("http://ann:secret@example.com/", True),
        ("https://bücher.example/ä?ü=ö", True),
        ("http://[::1]:8080/", True),
        ("http://localhost", True),
        ("http://localhost:65535", True),
        ("http://ann:x@a.example:080?b", True),
        ("http://a.example:/", True),
        ("http://a.example:abc/", False),
        ("http://a.example:80:80/", False),
        ("http://a.example:65536/", False),
        ("http://a.example:0/", False),
        ("http://[::1]:99999/", False),
        ("http://ann:x@a.example:99999/", False),
        ("http://a?b", True),
        ("ftp://a.example/", False),
        ("//a.example/", False),
        ("https://", False),
        ("http://:80/", False),
        ("http://ann@", False),
        ("http:///a", False),
        ("http://[::1/", False),
        ("http://a b.example/", False),
        ("http://a.example/\u2003", False),
        ("http://a.example/\ufeff", False),
        ("http://a.example/\n", False),
        ("\x01http://a.example/", False),
    ],
)
def test_a_web_address_has_http_and_a_host_and_no_blanks(address: str, fits: bool):
    assert fits_format("uri", address) == fits


@pytest.mark.parametrize(
    ("address", "fits"),
    [
        ("a@b.de", True),
        ("a.b+c@b.co.uk", True),
        ("ä@bücher.example", True),
        ("mailto:a@b.de", True),
        (f"{'a' * 64}@b.de", True),
        (f"{'a' * 65}@b.de", False),
        (f"a@{'b' * 249}.de", True),
        (f"a@{'b' * 250}.de", False),
        ("a@b", False),
        ("a@.b.de", False),
        ("a@b..de", False),
        ("a@b.de.", False),
        ("a b@c.de", False),
        (" a@b.de", False),
        ("a@b@c.de", False),
        ("@b.de", False),
        ("", False),
    ],
)
def test_the_form_of_an_e_mail_address_is_what_the_page_of_api_input_says(address: str, fits: bool) -> None:
    assert fits_format("email", address) == fits


def test_a_time_of_a_caller_is_one_of_rfc_3339_and_one_that_is_stored_stays():
    field = {"name": "at", "type": "string", "format": "date-time"}
    for fits in ("2026-01-31T12:00:00Z", "2026-01-31t12:00:00.5z", "2026-01-31T12:00:00-00:00"):
        assert not check_payload([field], {"at": fits})[1], fits
    for other in ("2026-01-31T12:00Z", "20260131T120000Z", "2026-W05-6T12:00:00+01"):
        (error,) = check_payload([field], {"at": other})[1]
        assert (error.pointer, error.code) == ("/at", "format")
        assert "2026-01-31T12:00:00Z" in error.detail
        assert not check_payload([field], {"at": other}, kept=True)[1], "the input of a schedule"
        assert check_payload([{**field, "default": other}], {}) == ({"at": other}, []), "a default of a live version"
    for unread in ("2026-01-31T12:00:00", "2026-01-31 12:00:00Z", "today"):
        assert check_payload([field], {"at": unread}, kept=True)[1], unread
    (error,) = check_payload([field], {"at": "2016-12-31T23:59:60Z"})[1]
    assert "leap second" in error.detail


def test_a_made_up_payload_has_as_many_items_as_are_wanted():
    fields = [
        {"name": "tags", "type": "array", "items": {"type": "string"}, "min_items": 3, "required": True},
        {"name": "free", "type": "array", "required": True},
        {"name": "one", "type": "array", "items": {"type": "integer", "minimum": 7}, "required": True},
    ]
    document = Document.model_validate(
        {"format": 1, "nodes": [{"id": "api_input", "type": "api_input", "config": {"fields": fields}}], "edges": []}
    )
    assert sample_payload(document) == {"tags": ["your text"] * 3, "free": [], "one": [7]}


def started_with(*fields: dict[str, Any]) -> Document:
    start = {"id": "api_input", "type": "api_input", "config": {"fields": fields}}
    return Document.model_validate({"format": 1, "nodes": [start], "edges": []})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("guest_e-mail_address", "name@example.com"),
        ("Email", "name@example.com"),
        ("website", "https://www.example.com"),
        ("phone number", "+1 555 0100"),
        ("invoice_date", "2026-01-31"),
        ("candidate", "your candidate"),
        ("guest_name", "your guest name"),
    ],
)
def test_a_made_up_text_fits_the_name_of_its_field_or_is_seen_to_be_none(name: str, text: str):
    assert sample_payload(started_with({"name": name, "type": "string", "required": True})) == {name: text}


def test_the_fields_that_are_made_up_are_known():
    inner = [{"name": "city", "type": "string", "required": True, "example": "Paris"}]
    document = started_with(
        {"name": "to", "type": "string", "required": True},
        {"name": "count", "type": "integer", "required": True},
        {"name": "lang", "type": "string", "required": True, "example": "German"},
        {"name": "short", "type": "string", "max_length": 2, "required": True, "example": "too long"},
        {"name": "urgent", "type": "boolean", "required": True},
        {"name": "where", "type": "object", "fields": inner, "required": True},
        {"name": "whom", "type": "object", "fields": [{"name": "name", "type": "string", "required": True}]},
        {"name": "optional", "type": "string"},
    )
    begun = sample_payload(document)
    assert made_up_names(document, begun) == {"to", "count", "short"}
    assert made_up_names(document, {**begun, "to": "ann@a.example", "gone": 1}) == {"count", "short"}


def test_every_wrong_field_is_named_at_once():
    _, errors = check_payload(FIELDS, {"max_pages": "x", "nope": 1})
    assert {error.code for error in errors} == {"required", "type_error", "unknown_field"}


def rows(**item: Any) -> list[dict[str, Any]]:
    return [{"name": "rows", "type": "array", "items": item}]


def group(count: int, **rules: Any) -> dict[str, Any]:
    return {"type": "object", "fields": [{"name": f"field_{number}", **rules} for number in range(count)]}


def test_of_many_errors_the_first_are_kept_and_all_are_counted():
    fields = [
        {"name": "a", "type": "integer", "required": True, "maximum": 9},
        {"name": "b", "type": "string", "required": True, "enum": ["x", "y"], "min_length": 2},
        {"name": "c", "type": "array", "items": {"type": "boolean"}, "max_items": 1},
        {"name": "d", "type": "string", "format": "email", "pattern": "^a"},
        {"name": "e", "type": "file"},
    ]
    one = {"a": 10, "b": None, "c": [1, True], "d": "b", "e": 5, "f": 1, "g": 2}
    each = ["/a", "/b", "/c", "/c/0", "/d", "/d", "/e", "/f", "/g"]
    two = {"b": "x", "c": None, "d": "ab@c.de", "e": None}

    _, errors = check_payload(rows(type="object", fields=fields), {"rows": [one, two] * 100})

    in_full = MAX_ERRORS // (len(each) + 2)
    assert errors.total == 100 * (len(each) + 2 - 1) + in_full, "no pattern is run once the errors are full"
    assert len(errors) == MAX_ERRORS
    pointers = [*(f"/rows/0{at}" for at in each), "/rows/1/a", "/rows/1/b", "/rows/2/a"]
    assert [error.pointer for error in errors[:12]] == pointers


@pytest.mark.parametrize(
    ("item", "sent", "total"),
    [
        (group(100, required=True), [{}] * 95_000, 9_500_000),
        (group(20, required=True), [{"x": 1} for _ in range(60_000)], 21 * 60_000),
        ({"type": "string", "enum": [f"word {number}" for number in range(2_000)]}, ["x"] * 190_000, 190_000),
    ],
    ids=["missing fields", "unknown fields", "no word of a long list"],
)
def test_a_body_full_of_errors_costs_little_time_and_memory(item: dict[str, Any], sent: list[Any], total: int):
    """Each body is within the limits of a request. The first one cost 15 seconds and 1.7 GiB when each error was kept."""
    begin = time.thread_time()
    _, errors = check_payload(rows(**item), {"rows": sent})
    seconds = time.thread_time() - begin
    tracemalloc.start()
    try:
        check_payload(rows(**item), {"rows": sent[: len(sent) // 10]})
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert (errors.total, len(errors)) == (total, MAX_ERRORS)
    assert seconds < 1, "it takes about 0.2 s"
    assert most < 2 * 1024 * 1024, "for a tenth of the body, which is slow while memory is traced"


def test_an_allowed_value_is_of_the_same_kind_and_may_be_a_list_or_a_group():
    fields = [
        *rows(type="number", enum=[1, 2.5]),
        {"name": "flag", "type": "boolean", "enum": [True]},
        {"name": "list", "type": "array", "enum": [["a", {"b": [1]}], []]},
        {"name": "group", "type": "object", "enum": [{"a": 1, "b": None}]},
    ]
    right = {"rows": [1.0, 2.5], "flag": True, "list": ["a", {"b": [1]}], "group": {"b": None, "a": 1}}
    assert check_payload(fields, right)[1] == []
    wrong = {"rows": [2], "flag": False, "list": ["a", {"b": [2]}], "group": {"a": 1}}
    _, errors = check_payload(fields, wrong)
    assert [(error.pointer, error.code) for error in errors] == [
        ("/rows/0", "enum"),
        ("/flag", "enum"),
        ("/list", "enum"),
        ("/group", "enum"),
    ]


def test_a_default_that_does_not_fit_is_told_wherever_it_is_used():
    fields = rows(type="object", fields=[{"name": "a", "type": "integer", "default": "x"}])
    _, errors = check_payload(fields, {"rows": [{}, {"a": 1}, {"a": None}] * 80})
    assert errors.total == 160
    assert [error.pointer for error in errors[:3]] == ["/rows/0/a", "/rows/2/a", "/rows/3/a"]


def test_defaults_of_left_out_fields_may_take_ten_mebibytes():
    """The lists of one body may have 190,000 empty groups, and each is filled with the defaults of its fields."""
    fields = rows(type="object", fields=[{"name": "a", "default": "x" * 984}, {"name": "b"}])  # 1,000 bytes
    assert check_payload(fields, {"rows": [{}] * 10_480})[1] == []
    assert check_payload(fields, {"rows": [{"a": "sent", "b": "sent"}] * 50_000})[1] == []
    assert check_payload(fields, {"rows": [{"a": None, "b": None}] * 10_490})[1].total == 1

    _, errors = check_payload(fields, {"rows": [{"a": 1}] + [{}] * 95_000})

    assert [(error.pointer, error.code) for error in errors] == [("/rows/0/a", "type_error"), ("", "max_length")]
    assert "defaults take more than 10 MiB" in errors[1].detail
    assert errors.in_words == "At least 2 fields are wrong"


def test_the_items_of_a_batch_share_a_limit_of_defaults():
    fields = [{"name": "a", "default": "x" * 1024 * 1024}]
    check = PayloadCheck()
    for number in range(200):
        check.payload(fields, {}, f"/items/{number}")
    assert [error.pointer for error in check.errors[:2]] == ["/items/64", "/items/65"]
    assert (check.errors.total, len(check.errors)) == (136, 100)


def test_defaults_are_applied_and_null_counts_as_not_sent():
    value, errors = check_payload(FIELDS, {**URL, "max_pages": None})
    assert errors == []
    assert value["max_pages"] == 3 and value["lang"] is None


def test_a_slow_pattern_cannot_hang_the_server():
    fields = [{"name": "a", "type": "string", "pattern": "^(a+)+$"}]
    _, errors = check_payload(fields, {"a": "a" * 5_000 + "!"})
    assert errors[0].code == "pattern"


def test_the_schema_says_the_same():
    schema = payload_schema(FIELDS)
    assert schema["required"] == ["url"] and schema["additionalProperties"] is False
    assert schema["properties"]["max_pages"] == {"type": "integer", "minimum": 1, "maximum": 10, "default": 3}


@pytest.mark.parametrize("name", ["max_pages", "lang", "tags", "who", "code", "on", "share"])
def test_what_may_be_left_out_may_be_null_and_callers_are_told_so(name):
    told = payload_schema(FIELDS, with_null=True)["properties"]
    assert check_payload(FIELDS, {**URL, name: None})[1] == []
    assert "null" in told[name]["type"]
    assert None in told[name].get("enum", [None])
    assert told["url"]["type"] == "string"
    assert told["tags"]["items"]["type"] == "string"
    assert told["who"]["properties"]["mail"]["type"] == "string"
