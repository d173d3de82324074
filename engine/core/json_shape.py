"""Counts what is in a JSON text without building it: a parsed value needs up to fifty times the memory of its text (`[],`
has 3 bytes, the empty list 64).
"""

from __future__ import annotations

import re

#: An unterminated string matches to the end of the text. Without this the search would start again at each of its
#: quotes, which takes minutes for a large text.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+\\?+"?+', re.DOTALL)
_AS_SQUARE = bytes.maketrans(b"{}", b"[]")
_NO_BRACKET = bytes(set(range(256)) - set(b"[]{}"))


class TooManyValues(Exception):
    """The text has more values than it may have, counting each list and object."""


class TooManyKeys(Exception):
    """The text has `keys` keys, more than it may have."""

    def __init__(self, keys: int) -> None:
        super().__init__(keys)
        self.keys = keys


class TooDeep(Exception):
    """The text nests lists and objects deeper than it may."""


def check_shape(body: bytes, *, most_values: int, most_keys: int | None = None, max_depth: int | None = None) -> None:
    """Counts values, keys and nesting by the characters outside strings. The text need not be valid. Raises TooManyValues,
    TooManyKeys and TooDeep.
    """
    most_strings = 2 * most_values  # a value may be one, and its key is another
    bare, strings = _STRING.subn(b"", body, count=most_strings + 1)
    if strings > most_strings:
        raise TooManyValues
    if most_keys is not None and (keys := bare.count(b":")) > most_keys:
        raise TooManyKeys(keys)
    brackets = bare.translate(_AS_SQUARE, _NO_BRACKET)
    if bare.count(b",") + brackets.count(b"[") > most_values:  # each value follows a comma or an opening bracket
        raise TooManyValues
    if max_depth is None:
        return
    for _ in range(max_depth):
        if b"[]" not in brackets:
            return
        brackets = brackets.replace(b"[]", b"")  # removes the innermost level
    if b"[]" in brackets:
        raise TooDeep
