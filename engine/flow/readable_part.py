"""Reads the valid parts of a flow file with an invalid shape, so that an import can report its other problems at the
same time.
"""

from __future__ import annotations

import json
from functools import reduce
from operator import getitem

from pydantic import JsonValue, ValidationError

from engine.core.json_shape import TooManyValues, check_shape
from engine.flow.document import MAX_BYTES, Document
from engine.flow.flow_file import MAX_FILE_BYTES, MAX_VALUES, too_many_parts
from engine.flow.references import Json
from engine.flow.storable_values import MAX_DEPTH, deeper_than, unfit

_FILE_ONLY = ("title", "description")


def readable_part(data: bytes) -> Document | None:
    """Returns the document without invalid values; None when an essential part is invalid."""
    if len(data) > MAX_FILE_BYTES:
        return None
    try:
        check_shape(data, most_values=MAX_VALUES)
        value: JsonValue = json.loads(data)
    except (TooManyValues, ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or deeper_than(value, MAX_DEPTH):
        return None
    body = {key: item for key, item in value.items() if key not in _FILE_ONLY}
    if too_many_parts(body) or next(unfit(body), None):
        return None
    try:
        document = Document.model_validate(body)
    except ValidationError as error:
        for item in error.errors(include_url=False):
            if item["type"] != "missing":
                _take_out(body, item["loc"])
        try:
            document = Document.model_validate(body)
        except ValidationError:
            return None
    return document if len(document.dumps().encode()) <= MAX_BYTES else None


def _take_out(body: Json, location: tuple[int | str, ...]) -> None:
    """Removes a key with an invalid value. An item of a list is kept, because the list cannot be read without it."""
    *way, last = location
    here: JsonValue = reduce(getitem, way, body)
    if isinstance(here, dict) and isinstance(last, str):
        here.pop(last, None)
