"""Halves of characters: JSON may name one of the two surrogates of UTF-16 alone, which UTF-8 cannot write."""

from __future__ import annotations

import re
from typing import Any, cast

_SURROGATE = re.compile("[\ud800-\udfff]")


def has_lone_surrogates(text: str) -> bool:
    """True when the text cannot be written in UTF-8."""
    return not text.isascii() and _SURROGATE.search(text) is not None


def without_lone_surrogates(text: str) -> str:
    """Returns the text as it can be encoded: the replacement character stands for each half of a character. The same
    object when there is none.
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def whole_utf8(text: str) -> bytes:
    """Returns the text in UTF-8, with the replacement character for each half of a character."""
    return without_lone_surrogates(text).encode()


def with_whole_texts(value: Any) -> Any:
    """Returns a JSON value with each of its texts and keys as `without_lone_surrogates` returns it."""
    if isinstance(value, str):
        return without_lone_surrogates(value)
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return {without_lone_surrogates(key): with_whole_texts(item) for key, item in items}
    if isinstance(value, list):
        return [with_whole_texts(item) for item in cast("list[Any]", value)]
    return value
