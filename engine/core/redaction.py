"""Takes secrets out of text: the values that a process or a run was given, and strings that look like keys (security.md S26)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

HIDDEN = "••••"
#: Strings that look like keys: ours and the model providers'.
_KEYS = re.compile(r"\b(?:fp_(?:live|test|dev)_[0-9A-Za-z]{20,}|whsec_[0-9A-Za-z+/=]{20,}|sk-[0-9A-Za-z_-]{20,})")


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
