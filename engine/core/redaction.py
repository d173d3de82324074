"""Removes secrets from text: values that a process or a run was given, and strings that look like keys (S26)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

HIDDEN = "••••"
#: Strings that look like keys: Flowport's API keys and webhook secrets, and keys of model providers.
_KEYS = re.compile(r"\b(?:fp_(?:live|test|dev)_[0-9A-Za-z]{20,}|whsec_[0-9A-Za-z+/=]{20,}|sk-[0-9A-Za-z_-]{20,})")
#: How each of them begins: most texts hold none of these, and need no search.
_BEGINS = ("fp_", "whsec_", "sk-")


class Redaction:
    """Removes known secrets from everything that is stored or logged about a run (S26)."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()

    def add(self, secret: str) -> None:
        """Hides this value from now on. Values below 6 characters are not hidden: they occur in ordinary text."""
        if len(secret) >= 6:
            self._secrets |= {form for form in _written(secret) if len(form) >= 6}

    def text(self, text: str) -> str:
        """Returns the text (plain or JSON) without known secrets and without strings that look like keys."""
        return without_keys(self.known(text))

    def known(self, text: str) -> str:
        """Returns the text without known secrets; for results and for outputs with which a job goes on, in which a string
        may look like a key without being one.
        """
        if not self._secrets:
            return text
        for secret in sorted(self._secrets, key=len, reverse=True):
            if secret in text:
                text = text.replace(secret, HIDDEN)
        return text

    def begun(self, text: str) -> int:
        """Returns how many characters at the end of the text may be the beginning of a secret."""
        return max((_overlap(text, secret) for secret in self._secrets), default=0)


def without_keys(text: str) -> str:
    """Returns the text (plain or JSON) without strings that look like keys."""
    return _KEYS.sub(HIDDEN, text) if any(begin in text for begin in _BEGINS) else text


def _overlap(text: str, secret: str) -> int:
    longest = min(len(secret) - 1, len(text))
    return next((size for size in range(longest, 0, -1) if text.endswith(secret[:size])), 0)


def _written(secret: str) -> Iterable[str]:
    """Returns the secret as it is, and as it is written inside a JSON string."""
    return {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
