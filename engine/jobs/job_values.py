"""Values on their way into the store: JSON text that every reader can parse, long ones cut."""

from __future__ import annotations

import json
import math
from typing import Any

from storage.value_sizes import VALUE_CAP

Json = Any

#: Of a step's value above the cap so many characters are kept.
BEGINNING = 20_000


def encoded(value: Json) -> tuple[str, int]:
    """A value as compact JSON text and its bytes in UTF-8. What JSON has no word for (NaN, half characters) is mended."""
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return text, len(text.encode())
    except (ValueError, TypeError, RecursionError):
        text = json.dumps(_mended(value, 0), ensure_ascii=True, separators=(",", ":"), allow_nan=False)
        return text, len(text)


def cut(text: str, size: int) -> str:
    """JSON text as it is stored with a step: above the cap, its beginning as one JSON string."""
    return text if size <= VALUE_CAP else json.dumps(text[:BEGINNING])


def _mended(value: Json, depth: int) -> Json:
    if depth > 200:
        return "(nested too deep)"
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): _mended(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_mended(item, depth + 1) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)
