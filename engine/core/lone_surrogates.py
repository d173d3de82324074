"""Halves of characters: JSON may name one of the two surrogates of UTF-16 alone, which UTF-8 cannot write."""

from __future__ import annotations


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
