"""Removes secrets from text: values that a process or a run was given, and strings that look like keys (S26)."""

from __future__ import annotations

import heapq
import json
import re
import string
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

from engine.core.json_text import json_text

HIDDEN = "••••"
#: Strings that look like keys: Flowport's API keys and webhook secrets, and keys of model providers. In
#: JSON text, `\n` and its like may stand before one, or `\u2022` and its like.
_KEYS = re.compile(
    r"(?:\b|(?<=\\[bfnrt])|(?<=\\u[0-9a-fA-F]{4}))(?:fp_(?:live|test|dev)_[0-9A-Za-z]{20,}|whsec_[0-9A-Za-z+/=]{20,}|sk-[0-9A-Za-z_-]{20,})"
)
#: How each of them begins: most texts hold none of these, and need no search.
_BEGINS = ("fp_", "whsec_", "sk-")
_DECODER = json.JSONDecoder()
#: How characters are escaped in the texts of JSON: without these, each quote begins or ends a text.
_ESCAPED = re.compile(r"\\.")
_OF_NUMBERS = frozenset("0123456789+-.eE")
#: Stands for each character of a secret until a text is cut: a noncharacter of Unicode.
_MASK = "\uffff"
_MASKED = re.compile(f"{_MASK}+")
#: More characters than most strings that look like keys have, and most secrets that are one word.
KEY_LENGTH = 300
#: The characters of most secrets.
_OF_WORDS = f"{string.ascii_letters}{string.digits}_+/=.-"


class Redaction:
    """Removes known secrets from everything that is stored or logged about a run (S26)."""

    def __init__(self) -> None:
        #: Replaced and never changed, as threads read it meanwhile.
        self._secrets: frozenset[str] = frozenset()
        #: The same as a JSON text holds them, also one that stands in a JSON text as a text.
        self._sought: frozenset[str] = frozenset()
        #: What the caller knows.
        self._known_outside: frozenset[str] = frozenset()
        #: The length of the longest secret that is no word, in whole hundreds of characters.
        self._longest_other = 0

    def add(self, secret: str) -> None:
        """Hides this value from now on. Values below 6 characters are not hidden: they occur in ordinary text."""
        if len(secret) >= 6 and secret not in self._known_outside:
            secrets = self._secrets.union(form for form in _written(secret) if len(form) >= 6)
            self._sought = self._sought.union(*map(_written, secrets - self._secrets))
            self._secrets = secrets
            others = max((len(form) for form in secrets if len(form) > KEY_LENGTH or form.strip(_OF_WORDS)), default=0)
            self._longest_other = -(-others // 100) * 100

    def add_unless_in(self, payload: Any, secrets: Collection[str]) -> None:
        """Hides these values from now on, but for those that stand in what the caller sent, also when they are added later:
        the caller knows them, and of a list of guesses the one that is hidden would be the right one.
        """
        sent = json_text(payload)
        self._known_outside = frozenset(
            one for one in secrets if any(form in sent for inner in _written(one) for form in _written(inner))
        )
        for secret in secrets:
            self.add(secret)

    def text(self, text: str) -> str:
        """Returns the text without known secrets and without strings that look like keys. JSON may be no JSON afterwards:
        use `in_json`.
        """
        return without_keys(self.known(text))

    def known(self, text: str) -> str:
        """Returns the text without known secrets; for results and for outputs with which a job goes on, in which a string
        may look like a key without being one.
        """
        return _without(self._secrets, text)

    def in_json(self, text: str) -> str:
        """Returns a JSON text without known secrets and without strings that look like keys."""
        text = self.known_in_json(text)
        if not any(begin in text for begin in _BEGINS):
            return text
        return _with_texts(text, (found.start() for found in _KEYS.finditer(text)), without_keys)

    def known_in_json(self, text: str) -> str:
        """Returns a JSON text without known secrets. A number that holds one becomes a string, as does a list or an object
        that is one.
        """
        if not any(secret in text for secret in self._sought):
            return text
        nested = [secret for secret in self._secrets if _is_nested(secret)]
        return _with_texts(text, _places(text, self._sought), self.known, self._is_in, nested)

    def part(self, text: str, begin: int, end: int, *, keys: bool) -> str:
        """Returns `text[begin:end]` of a text (plain or JSON) of any length, without known secrets, and without strings that
        look like keys when `keys` says so: also without the part of one that lies across `begin` or `end`.

        Only a secret that stands whole in the text is hidden: were its beginning hidden, too, whoever gives the text could
        guess the secret character by character.
        """
        more = max(map(len, self._sought), default=0) + (KEY_LENGTH if keys else 0)
        first = max(0, begin - more)
        near = text[first : end + more]
        for secret in sorted(self._sought, key=len, reverse=True):
            near = near.replace(secret, _MASK * len(secret))
        if keys and any(begins in near for begins in _BEGINS):
            near = _KEYS.sub(lambda key: _MASK * len(key.group()), near)
        return _MASKED.sub(HIDDEN, near[begin - first : end - first])

    def held_back(self, text: str) -> int:
        """Returns how many characters at the end of a text wait for what follows, as a secret may begin among them: its last
        word, and as many characters as the longest secret has that is no word of at most KEY_LENGTH characters.

        What waits depends on no comparison with a secret, which would tell a reader how much of a guess is right.
        """
        end = text[-KEY_LENGTH:]
        return min(len(text), max(self._longest_other, len(end) - len(end.rstrip(_OF_WORDS))))

    def _is_in(self, text: str) -> bool:
        return any(secret in text for secret in self._secrets)


_NO_SECRETS = Redaction()
#: The redaction of the running job.
CURRENT_REDACTION: ContextVar[Redaction] = ContextVar("redaction", default=_NO_SECRETS)


def cut(text: str, most: int, *, mark: str = "", keys: bool = True) -> str:
    """Returns the text, or when it has more than `most` characters, its first ones and `mark`, `most` in all.

    Secrets of the running job are hidden before the text is cut, since a part of one is not recognised afterwards.
    """
    return text if len(text) <= most else CURRENT_REDACTION.get().part(text, 0, most - len(mark), keys=keys) + mark


def without_keys(text: str) -> str:
    """Returns the text (plain or JSON) without strings that look like keys."""
    return _KEYS.sub(HIDDEN, text) if any(begin in text for begin in _BEGINS) else text


def _without(secrets: Iterable[str], text: str) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        if secret in text:
            text = text.replace(secret, HIDDEN)
    return text


def _with_texts(
    text: str,
    places: Iterable[int],
    hide: Callable[[str], str],
    is_hidden: Callable[[str], bool] = lambda _: False,
    nested: Sequence[str] = (),
) -> str:
    """Returns a JSON text with the texts and keys at `places`, in their order, as `hide` returns them, and HIDDEN for a
    number there that `is_hidden` and for the lists and objects `nested`. It looks only there, since a value may have
    millions of others, and needs no more of Python's stack for a value that is nested deeply.
    """
    plain: str | None = None
    pieces: list[str] = []
    copied = done = counted = quotes = 0
    for place in places:
        if place < done:
            continue
        if plain is None:  # of the same length; each quote in it begins or ends a text
            plain = _ESCAPED.sub("__", text) if "\\" in text else text
        quotes += plain.count('"', counted, place)
        counted = place
        if quotes % 2 or text[place] == '"':
            begin = plain.rindex('"', 0, place) if quotes % 2 else place
            done = plain.index('"', begin + 1) + 1
            value: str = _DECODER.raw_decode(text, begin)[0]
            clean = hide(value)
        elif text[place] in "{[":
            begin = place
            done = place + max((len(secret) for secret in nested if text.startswith(secret, place)), default=0)
            value, clean = text[begin:done], HIDDEN if done > begin else ""
        elif text[place] not in _OF_NUMBERS:
            continue
        else:
            begin, done = _number_around(text, place)
            value = text[begin:done]
            clean = HIDDEN if is_hidden(value) else value
        if clean != value:
            pieces += text[copied:begin], json_text(clean)
            copied = done
    return "".join([*pieces, text[copied:]])


def _places(text: str, sought: Iterable[str]) -> Iterator[int]:
    """Yields where one of `sought` begins in a text, in order."""
    coming = [(text.find(one), one) for one in sought]
    coming = [place for place in coming if place[0] >= 0]
    heapq.heapify(coming)
    while coming:
        begin, one = coming[0]
        yield begin
        after = text.find(one, begin + 1)
        if after < 0:
            heapq.heappop(coming)
        else:
            heapq.heapreplace(coming, (after, one))


def _number_around(text: str, at: int) -> tuple[int, int]:
    begin = end = at
    while begin and text[begin - 1] in _OF_NUMBERS:
        begin -= 1
    while end < len(text) and text[end] in _OF_NUMBERS:
        end += 1
    return begin, end


def _is_nested(secret: str) -> bool:
    """True for a secret that is a list or an object in JSON."""
    try:
        return secret[0] in "{[" and bool(json.loads(secret))
    except (ValueError, RecursionError):
        return False


def _written(secret: str) -> Iterable[str]:
    """Returns the secret as it is, and as it is written inside a JSON string."""
    return {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
