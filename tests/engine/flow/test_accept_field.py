"""Accepting a field that callers sent is an edit of the API Input that can be undone."""

from __future__ import annotations

import pytest

from engine.core.errors import Invalid
from engine.flow.accept_field import accept_field_ops, has_field, make_optional_ops, take_back_ops
from engine.flow.contract import input_fields
from engine.flow.document import Document
from engine.flow.edits import apply_ops
from engine.flow.payload_check import check_payload
from engine.flow.validation import deploy_problems
from engine.nodes import CATALOG
from tests.factories import document


@pytest.mark.parametrize(
    ("sent", "value"),
    [
        ("string", "de"),
        ("integer", 3),
        ("number", 0.5),
        ("boolean", True),
        ("object", {"a": 1}),
        ("array", [1, "x"]),
        ("", "de"),
    ],
)
def test_an_accepted_field_takes_what_was_sent_and_may_be_left_out(sent: str, value: object) -> None:
    before = document()

    after = apply_ops(before, accept_field_ops(before, "lang", sent))

    assert check_payload(input_fields(after), {"name": "Ada", "lang": value}) == ({"name": "Ada", "lang": value}, [])
    assert check_payload(input_fields(after), {"name": "Ada"})[1] == []
    assert deploy_problems(after, CATALOG) == []
    assert apply_ops(after, take_back_ops(after, "lang")) == before


def test_accepting_twice_changes_nothing_and_undo_keeps_what_was_edited_since() -> None:
    once = apply_ops(document(), accept_field_ops(document(), "lang"))
    assert accept_field_ops(once, "lang") == []
    twice = apply_ops(once, accept_field_ops(once, "deep", "integer"))

    back = apply_ops(twice, take_back_ops(twice, "lang"))

    assert not has_field(back, "lang")
    assert has_field(back, "deep")
    assert take_back_ops(back, "lang") == []


def test_a_draft_without_an_api_input_has_no_place_for_it() -> None:
    with pytest.raises(Invalid, match="no API Input"):
        accept_field_ops(Document(), "lang")


def test_a_required_field_is_made_optional_once() -> None:
    after = apply_ops(document(), make_optional_ops(document(), "name"))

    assert check_payload(input_fields(after), {})[1] == []
    assert make_optional_ops(after, "name") == []
    assert make_optional_ops(after, "nobody") == []
