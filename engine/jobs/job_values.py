"""Prepares values for storage: valid JSON text, with long values cut."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any, cast

from engine.core.json_text import json_bytes

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str)

Json = Any


def encoded(value: Json) -> tuple[str, int]:
    """Returns a value as compact JSON text, and its size in UTF-8 bytes.

    What JSON cannot express (NaN, lone surrogates) is replaced.
    """
    try:
        data = json_bytes(value)
        return data.decode(), len(data)
    except (ValueError, TypeError, RecursionError):
        text = json.dumps(_mended(value, 0), ensure_ascii=True, separators=(",", ":"), allow_nan=False)
        return text, len(text)


def beginning(value: Json, length: int) -> str:
    """Returns the first characters of a value as compact JSON text, at least `length`, without writing the rest."""
    pieces: list[str] = []
    try:
        for piece in _ENCODER.iterencode(value):
            pieces.append(piece)
            length -= len(piece)
            if length <= 0:
                break
    except (ValueError, TypeError, RecursionError):
        pieces.append("(nested too deep)")
    return "".join(pieces)


def _mended(value: Json, depth: int) -> Json:
    if depth > 200:
        return "(nested too deep)"
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): _mended(item, depth + 1) for key, item in cast("dict[Any, Any]", value).items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_mended(item, depth + 1) for item in cast("Iterable[Any]", value)]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)
