from __future__ import annotations

from typing import Any

import pytest

from engine.core.json_types import json_type


@pytest.mark.parametrize(
    ("value", "kind"),
    [(True, "boolean"), (1, "integer"), (1.0, "number"), ("1", "string"), ([], "array"), ({}, "object")],
)
def test_each_value_has_its_type(value: Any, kind: str) -> None:
    assert json_type(value) == kind
