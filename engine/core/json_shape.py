"""Counts what is in a JSON text without building it: a parsed value needs up to fifty times the memory of its text (`[],`
has 3 bytes, the empty list 64).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

#: An unterminated string matches to the end of the text. Without this the search would start again at each of its
#: quotes, which takes minutes for a large text.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+\\?+"?+', re.DOTALL)
#: A text up to this size, in bytes, is counted as a whole.
_AT_ONCE = 1 << 20
#: At most 1,024 strings, with 4 MiB between them. No string is cut in two.
_PORTION = re.compile(rb"(?:[^\"]{1,4096}+|" + _STRING.pattern + rb"){1,1024}+", re.DOTALL)
#: An empty list has 64 bytes; an object with one key 184, and each further key about 100 beside its text.
_BYTES_OF_VALUE, _BYTES_OF_KEY = 64, 128
_AS_SQUARE = bytes.maketrans(b"{}", b"[]")
_SPACE = b" \t\r\n"
_NO_BRACKET = bytes(set(range(256)) - set(b"[]{}"))


class TooManyValues(ValueError):
    """The text has more values than it may have, counting each list and object within the outermost."""


class TooManyKeys(Exception):
    """The text has `keys` keys, more than it may have."""

    def __init__(self, keys: int) -> None:
        super().__init__(keys)
        self.keys = keys


class TooDeep(Exception):
    """The text nests lists and objects deeper than it may."""


def check_shape(body: bytes, *, most_values: int, most_keys: int | None = None, max_depth: int | None = None) -> int:
    """Counts values, keys and nesting by the characters outside strings. The text need not be valid. Needs a few MiB,
    however large the text is. Returns about how many bytes the parsed value needs beside its texts. Raises TooManyValues,
    TooManyKeys and TooDeep.
    """
    most_strings = 2 * most_values  # a value may be one, and its key is another
    strings = keys = values = 0
    nesting: list[bytes] = []
    last = b""  # the opening bracket with which the portion before has ended
    for portion in _portions(body):
        bare, found = _STRING.subn(b'"', portion, count=most_strings - strings + 1)
        strings += found
        if strings > most_strings:
            raise TooManyValues
        keys += bare.count(b":")
        brackets = bare.translate(_AS_SQUARE, _NO_BRACKET)
        # Each value follows a comma, or an opening bracket of a list or an object that is not empty.
        values += bare.count(b",") + brackets.count(b"[")
        if last or b"[]" in brackets or brackets.endswith(b"["):
            bare = last + bare.translate(_AS_SQUARE, _SPACE)
            values -= bare.count(b"[]")
            last = b"[" if bare.endswith(b"[") else b""
        if max_depth is not None:
            nesting.append(brackets)
    if most_keys is not None and keys > most_keys:
        raise TooManyKeys(keys)
    if values > most_values:
        raise TooManyValues
    if max_depth is not None:
        _check_depth(b"".join(nesting), max_depth)
    return values * _BYTES_OF_VALUE + keys * _BYTES_OF_KEY


def _portions(body: bytes) -> Iterator[bytes | memoryview]:
    """Yields the text in portions that end outside its strings. What is counted of all at once needs several times the
    memory of the text.
    """
    if len(body) <= _AT_ONCE:
        yield body
        return
    view, at = memoryview(body), 0
    while (found := _PORTION.match(body, at)) is not None:
        yield view[at : found.end()]
        at = found.end()


def _check_depth(brackets: bytes, max_depth: int) -> None:
    for _ in range(max_depth):
        if b"[]" not in brackets:
            return
        brackets = brackets.replace(b"[]", b"")  # removes the innermost level
    if b"[]" in brackets:
        raise TooDeep
