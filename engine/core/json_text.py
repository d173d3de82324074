"""JSON text of values, quickly: orjson, with the standard library for what orjson refuses."""

from __future__ import annotations

import json
from typing import Any

import orjson

#: Nothing but JSON's own types: a date, a dataclass or a subclass is for the caller to turn into one of them.
_PLAIN = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS
_ASCII = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


def json_bytes(value: Any) -> bytes:
    """Returns compact JSON in UTF-8. Integers of more than 64 bits, lone surrogates and keys that are no texts are
    written as the standard library writes them, NaN and infinity as null. Raises TypeError or ValueError for what is no
    JSON.
    """
    try:
        return orjson.dumps(value, option=_PLAIN)
    except TypeError:
        return _ASCII.encode(value).encode()


def json_text(value: Any) -> str:
    """Returns the same as a text."""
    return json_bytes(value).decode()
