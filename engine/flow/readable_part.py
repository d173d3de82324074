"""What can still be read of a flow file whose shape is wrong, so that an import names its other problems in the same breath."""

from __future__ import annotations

import json
from typing import Any

from pydantic import ValidationError

from engine.flow.document import MAX_BYTES, MAX_DEPTH, Document, deeper_than

_FILE_ONLY = ("title", "description")


def readable_part(data: bytes) -> Document | None:
    """The document without the values that do not belong, or None when something indispensable is wrong."""
    if len(data) > MAX_BYTES:
        return None
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or deeper_than(value, MAX_DEPTH):
        return None
    body = {key: item for key, item in value.items() if key not in _FILE_ONLY}
    try:
        return Document.model_validate(body)
    except ValidationError as error:
        # From the back, so that taking one item of a list out does not move the others.
        for item in sorted(
            error.errors(), key=lambda found: [str(part).zfill(6) for part in found["loc"]], reverse=True
        ):
            if item["type"] != "missing":
                _take_out(body, item["loc"])
    try:
        return Document.model_validate(body)
    except ValidationError:
        return None


def _take_out(body: Any, location: tuple[int | str, ...]) -> None:
    here = body
    for part in location[:-1]:
        if not isinstance(here, dict | list):
            return
        try:
            here = here[part]  # type: ignore[index] - a wrong kind of index is caught
        except (KeyError, IndexError, TypeError):
            return
    if isinstance(here, dict) and location:
        here.pop(location[-1], None)
