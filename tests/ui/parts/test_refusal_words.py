"""The words of a refused call for people."""

from __future__ import annotations

import pytest

from ui.parts.refusal_words import field_reason


@pytest.mark.parametrize(
    ("pointer", "detail", "said"),
    [
        ("/age", "the flow has no field of this name; it has `who`", "the flow has no field of this name"),
        ("/who/age", "the object has no field of this name; it has `mail`", "the group has no field of this name"),
        ("/age", "", "the flow has no field of this name"),
    ],
)
def test_an_unknown_field_is_missed_where_it_was_sent(pointer: str, detail: str, said: str) -> None:
    assert field_reason({"pointer": pointer, "code": "unknown_field", "detail": detail}, {}) == said


def test_a_number_with_a_point_is_told_from_a_whole_one() -> None:
    detail = "expected a whole number, got a number with a point or an exponent"
    field = {"pointer": "/pages", "code": "type_error", "detail": detail}
    assert field_reason(field, {}) == "must be a whole number, and a number with a point or an exponent was sent"
