"""Hiding packages from modules that do without them."""

from __future__ import annotations

import sys

import pytest

from engine.core.hidden_modules import hidden


def test_a_hidden_module_looks_absent_inside_and_is_imported_afterwards() -> None:
    sys.modules.pop("this", None)
    with hidden("this"), pytest.raises(ImportError):
        import this  # noqa: F401
    assert "this" not in sys.modules


def test_a_module_that_is_imported_already_stays_visible() -> None:
    import json

    with hidden("json"):
        import json as again
    assert again is json
    assert sys.modules["json"] is json
