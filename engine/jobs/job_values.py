"""Values on their way into the store: JSON text that every reader can parse, secrets taken out, long ones cut."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import Any

from storage.tables import VALUE_CAP

Json = Any

#: Of a step's value above the cap so many characters are kept.
BEGINNING = 20_000
HIDDEN = "••••"
#: Strings that look like keys: ours and the model providers'.
_KEYS = re.compile(r"\b(?:fp_(?:live|test|dev)_[0-9A-Za-z]{20,}|whsec_[0-9A-Za-z+/=]{20,}|sk-[0-9A-Za-z_-]{20,})")


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


class Redaction:
    """Takes the secrets that a run was given out of everything that is stored about it (security.md S26)."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()

    def add(self, secret: str) -> None:
        """From now on this value is hidden. Very short ones would hide half the text and are left."""
        if len(secret) >= 6:
            self._secrets |= {form for form in _written(secret) if len(form) >= 6}

    def text(self, text: str) -> str:
        """The text (plain or JSON) without secrets and without what looks like a key."""
        return _KEYS.sub(HIDDEN, self.known(text))

    def known(self, text: str) -> str:
        """The text without the secrets of this run: for results, which may hold anything that only looks like a key."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            if secret in text:
                text = text.replace(secret, HIDDEN)
        return text

    def begun(self, text: str) -> int:
        """How many characters at the end of a text may be the beginning of a secret."""
        return max((_overlap(text, secret) for secret in self._secrets), default=0)


def _overlap(text: str, secret: str) -> int:
    longest = min(len(secret) - 1, len(text))
    return next((size for size in range(longest, 0, -1) if text.endswith(secret[:size])), 0)


def _written(secret: str) -> Iterable[str]:
    """A secret as itself and as it stands inside a JSON string."""
    return {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}


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
