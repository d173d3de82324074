"""Cuts texts that may hold a secret."""

from __future__ import annotations

import string

#: The characters of most secrets.
_OF_WORDS = frozenset(f"{string.ascii_letters}{string.digits}_+/=.-")
#: A word with more characters than this is cut in two.
LONGEST_WORD = 300


def beginning(text: str, most: int) -> str:
    """Returns the first `most` characters, without a last word that this would cut in two: it may be a secret that another
    program has given back, and a secret is recognised only when it is whole (`Redaction`).
    """
    if len(text) <= most:
        return text
    if text[most] not in _OF_WORDS:
        return text[:most]
    end = most
    while end and text[end - 1] in _OF_WORDS:
        end -= 1
        if most - end > LONGEST_WORD:
            return text[:most]
    return text[:end]
