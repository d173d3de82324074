"""Removes secrets from text: values that a process or a run was given, and strings that look like keys (S26)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence

from engine.core.json_text import json_text

HIDDEN = "••••"
#: Strings that look like keys: Flowport's API keys and webhook secrets, and keys of model providers. In
#: JSON text, `\n` and its like stand before one that begins a line.
_KEYS = re.compile(
    r"(?:\b|(?<=\\[bfnrt]))(?:fp_(?:live|test|dev)_[0-9A-Za-z]{20,}|whsec_[0-9A-Za-z+/=]{20,}|sk-[0-9A-Za-z_-]{20,})"
)
#: How each of them begins: most texts hold none of these, and need no search.
_BEGINS = ("fp_", "whsec_", "sk-")
_DECODER = json.JSONDecoder()
#: How a text or a number begins in JSON, and how these, a list or an object do.
_OF_LEAF = re.compile(r'["0-9-]')
_OF_ANY = re.compile(r'["0-9\[{-]')


class Redaction:
    """Removes known secrets from everything that is stored or logged about a run (S26)."""

    def __init__(self) -> None:
        #: Replaced and never changed, as threads read it meanwhile.
        self._secrets: frozenset[str] = frozenset()

    def add(self, secret: str) -> None:
        """Hides this value from now on. Values below 6 characters are not hidden: they occur in ordinary text."""
        if len(secret) >= 6:
            self._secrets = self._secrets.union(form for form in _written(secret) if len(form) >= 6)

    def text(self, text: str) -> str:
        """Returns the text without known secrets and without strings that look like keys. JSON may be no JSON afterwards:
        use `in_json`.
        """
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

    def in_json(self, text: str) -> str:
        """Returns a JSON text without known secrets and without strings that look like keys."""
        text = self.known_in_json(text)
        return text if without_keys(text) == text else _with_texts(text, without_keys)

    def known_in_json(self, text: str) -> str:
        """Returns a JSON text without known secrets. A number that holds one becomes a string, as does a list or an object
        that is one.
        """
        if not self._secrets or not self._is_in(text):
            return text
        return _with_texts(text, self.known, self._is_in, [secret for secret in self._secrets if _is_nested(secret)])

    def _is_in(self, text: str) -> bool:
        return any(secret in text for secret in self._secrets)

    def begun(self, text: str) -> int:
        """Returns how many characters at the end of the text may be the beginning of a secret."""
        return max((_overlap(text, secret) for secret in self._secrets), default=0)


def without_keys(text: str) -> str:
    """Returns the text (plain or JSON) without strings that look like keys."""
    return _KEYS.sub(HIDDEN, text) if any(begin in text for begin in _BEGINS) else text


def _with_texts(
    text: str,
    hide: Callable[[str], str],
    is_hidden: Callable[[str], bool] = lambda _: False,
    nested: Sequence[str] = (),
) -> str:
    """Returns a JSON text with its texts and keys as `hide` returns them, and HIDDEN for each number that `is_hidden` and
    for the lists and objects `nested`. It reads one text or number after the other: a value that is nested deeply needs
    no more of Python's stack than another one.
    """
    beginning = _OF_ANY if nested else _OF_LEAF
    pieces: list[str] = []
    copied = at = 0
    while found := beginning.search(text, at):
        begin = found.start()
        if found[0] in "{[":
            whole = next((secret for secret in nested if text.startswith(secret, begin)), None)
            if whole is None:
                at = begin + 1
                continue
            at, clean = begin + len(whole), HIDDEN
        else:
            value, at = _DECODER.raw_decode(text, begin)
            clean = hide(value) if isinstance(value, str) else HIDDEN if is_hidden(text[begin:at]) else value
            if clean == value:
                continue
        pieces += text[copied:begin], json_text(clean)
        copied = at
    return "".join([*pieces, text[copied:]])


def _is_nested(secret: str) -> bool:
    """True for a secret that is a list or an object in JSON."""
    try:
        return secret[0] in "{[" and bool(json.loads(secret))
    except (ValueError, RecursionError):
        return False


def _overlap(text: str, secret: str) -> int:
    longest = min(len(secret) - 1, len(text))
    return next((size for size in range(longest, 0, -1) if text.endswith(secret[:size])), 0)


def _written(secret: str) -> Iterable[str]:
    """Returns the secret as it is, and as it is written inside a JSON string."""
    return {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
