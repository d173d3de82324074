"""What of a webhook's body fills which field of a flow."""

from __future__ import annotations

from typing import Any

import pytest

from engine.core.errors import Invalid, InvalidJson
from engine.triggers.body_mapping import MAX_OFFERED, check_mapping, kept_headers, offers_of, parse_form, payload_of

BODY: dict[str, Any] = {
    "action": "opened",
    "issue": {"title": "It broke", "number": 7, "labels": [{"name": "bug"}, {"name": "new"}]},
    "count": "12",
    "none": None,
}
HEADERS = {"x-github-event": "issues"}


def field(name: str, kind: str = "string", **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, **more}


def at(*path: str | int) -> dict[str, Any]:
    return {"from": "body", "path": list(path)}


def test_each_source_fills_a_field_with_the_type_that_it_has() -> None:
    fields = [
        field("title"), field("number", "integer"), field("label"), field("everything", "object"), field("event"),
        field("fixed"), field("action"), field("count", "integer"), field("as_text"), field("labels", "array"),
    ]  # fmt: skip
    mapping = {
        "title": at("issue", "title"),
        "number": at("issue", "number"),
        "label": at("issue", "labels", 1, "name"),
        "everything": {"from": "all"},
        "event": {"from": "header", "name": "X-GitHub-Event"},
        "fixed": {"from": "text", "text": "{{ 7*7 }}"},
        "as_text": at("issue", "labels"),
        "labels": at("issue", "labels"),
    }
    assert payload_of(fields, mapping, BODY, HEADERS) == {
        "title": "It broke",
        "number": 7,
        "label": "new",
        "everything": BODY,
        "event": "issues",
        "fixed": "{{ 7*7 }}",
        "action": "opened",
        "count": 12,
        "as_text": '[{"name":"bug"},{"name":"new"}]',
        "labels": BODY["issue"]["labels"],
    }


@pytest.mark.parametrize(
    "source",
    [at("issue", "nothing"), at("issue", "title", "x"), at("issue", "labels", 9), at("issue", "labels", "0"),
     at("action", 0), at("none"), {"from": "none"}, {"from": "header", "name": "x-other"}],
)  # fmt: skip
def test_what_is_not_there_is_left_out(source: dict[str, Any]) -> None:
    assert payload_of([field("a")], {"a": source}, BODY, HEADERS) == {}
    assert payload_of([field("a")], {}, [1, 2], HEADERS) == {}


@pytest.mark.parametrize(
    ("more", "payload"),
    [
        ({"format": "date-time"}, {}), ({"format": "email"}, {}), ({"enum": ["high", "low"]}, {}),
        ({"enum": ["", "low"]}, {"due": ""}), ({}, {"due": ""}), ({"type": "number"}, {}),
        ({"format": "uri", "required": True}, {"due": ""}), ({"enum": ["low"], "required": True}, {"due": ""}),
        ({"type": "number", "required": True}, {"due": ""}),
    ],
)  # fmt: skip
def test_an_empty_text_is_nothing_where_an_optional_field_does_not_take_it(
    more: dict[str, Any], payload: dict[str, Any]
) -> None:
    assert payload_of([{**field("due"), **more}], {}, {"due": ""}, HEADERS) == payload


@pytest.mark.parametrize(
    "mapping",
    [
        [], {"a": None}, {"a": {}}, {"a": {"from": "eval"}}, {"a": at()}, {"a": at(*["x"] * 21)},
        {"a": {"from": "body", "path": "x"}}, {"a": at("x" * 201)}, {"a": {"from": "body", "path": [True]}},
        {"a": {"from": "body", "path": [{}]}}, {"a": {"from": "header", "name": ""}}, {"a": {"from": "text"}},
        {"a": {"from": "text", "text": "x" * 2_001}}, {str(n): {"from": "none"} for n in range(201)},
    ],
)  # fmt: skip
def test_a_mapping_that_cannot_be_used_is_refused(mapping: Any) -> None:
    with pytest.raises(Invalid):
        check_mapping(mapping)


def test_a_mapping_is_stored_without_what_it_does_not_need() -> None:
    assert check_mapping(
        {"a": {**at("x", 0), "more": 1}, "b": {"from": "header", "name": " X-Y "}, "c": {"from": "all"}}
    ) == {
        "a": at("x", 0),
        "b": {"from": "header", "name": "x-y"},
        "c": {"from": "all"},
    }


def test_the_values_of_a_body_are_offered_with_their_beginning() -> None:
    offers = {offer.label: offer.sample for offer in offers_of(BODY)}
    assert offers["issue › labels › item 1 › name"] == "bug"
    assert offers["issue › title"] == "It broke"
    assert "issue › labels › item 2 › name" not in offers
    deep: Any = "end"
    for _ in range(50):
        deep = {"a": deep}
    assert len(offers_of(deep)) == 6
    assert len(offers_of({str(n): n for n in range(1_000)})) == MAX_OFFERED
    assert len(offers_of({"long": "x" * 10_000})[0].sample) <= 81
    assert offers_of("text") == offers_of([]) == offers_of(None) == []


def test_a_form_becomes_texts() -> None:
    assert parse_form(b"From=%2B49&Body=a+b&Body=c&empty=") == {"From": "+49", "Body": "c", "empty": ""}
    assert parse_form(b"") == {}
    for wrong in (b"\xff=1", b"&".join(b"a=1" for _ in range(2_000)), b"a=%ff"):
        with pytest.raises(InvalidJson):
            parse_form(wrong)


def test_headers_that_may_hold_a_secret_are_not_kept() -> None:
    headers = {
        "x-github-event": "push", "authorization": "Bearer x", "cookie": "a=b", "x-hub-signature-256": "sha256=1",
        "x-api-key": "k", "x-forwarded-for": "1.2.3.4", "x-long": "G" * 1_000, "host": "a", "content-type": "b",
    }  # fmt: skip
    assert kept_headers(headers) == {"x-github-event": "push", "x-long": "G" * 300}
    assert len(kept_headers({f"x-{n}": "1" for n in range(500)})) == 50
