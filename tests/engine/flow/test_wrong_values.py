"""Messages for values that do not fit a field."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, Field, ValidationError

from engine.flow.flow_file import parse_flow_file
from engine.flow.wrong_values import wrong_value


class Part(BaseModel):
    n: int = 0


class Form(BaseModel):
    name: str = Field("abc", title="Name", min_length=2, max_length=5)
    share: float = Field(0.5, title="Share", gt=0, lt=1, allow_inf_nan=False)
    on: bool = Field(True, title="On")
    parts: list[Part] = Field([], title="Parts", max_length=2)
    plain: dict[str, int] = {}
    odd: bytes = b""


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("name", 5, "“Name” must be text, but is 5"),
        ("name", "", "“Name” must have at least 2 characters, but has 0"),
        ("name", "x" * 2_000, "“Name” may have at most 5 characters, but has 2,000"),
        ("share", 0, "“Share” must be more than 0, but is 0"),
        ("share", 1.5, "“Share” must be less than 1, but is 1.5"),
        ("share", "half", "“Share” must be a number, but is the text `half`"),
        ("share", float("nan"), "“Share” must be a number with an end, but is nan"),
        ("share", [1], "“Share” must be a number, but is a list"),
        ("on", "perhaps " * 9, "“On” must be yes or no, but is a text of 72 characters"),
        ("on", None, "“On” must be yes or no, but is nothing"),
        ("parts", {}, "“Parts” must be a list, but is a group of values"),
        ("parts", [{}] * 3, "“Parts” may have at most 2 entries, but has 3"),
        ("parts", [{}, {"n": 1.5}], "“Parts”, entry 2, `n` must be a whole number, but is 1.5"),
        ("parts", [True], "“Parts”, entry 1 must be a group of values, but is true"),
        ("plain", {"a b": ""}, "`plain`, `a b` must be a whole number, but is empty"),
        ("odd", 5, "`odd` cannot be used (Input should be a valid bytes), but is 5"),
    ],
)
def test_place_and_rule_and_value_are_told(field, value, words):
    with pytest.raises(ValidationError) as wrong:
        Form.model_validate({field: value})
    assert [wrong_value(Form, error) for error in wrong.value.errors()] == [words]


def test_a_file_of_another_shape_is_told_in_the_same_words():
    _, problems = parse_flow_file(b'{"format": 1, "nodes": [{"id": "a", "type": "prompt", "position": {"x": "left"}}]}')
    assert [problem.message for problem in problems] == ["`x` must be a number."]
