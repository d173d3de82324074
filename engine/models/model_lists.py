"""Reads model names from a provider's list of models."""

from __future__ import annotations

from typing import Any


def names_in(body: Any) -> tuple[str, ...] | None:
    """Returns the model names sorted, or None when the body is no list of models.

    OpenAI and Anthropic use `data[].id`, Google `models[].name`; some servers return a bare list.
    """
    rows = body if isinstance(body, list) else body.get("data", body.get("models")) if isinstance(body, dict) else None
    if not isinstance(rows, list):
        return None
    found = [row.get("id") or row.get("name") for row in rows if isinstance(row, dict)]
    return tuple(sorted({name.removeprefix("models/") for name in found if isinstance(name, str) and name}))
