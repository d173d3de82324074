"""The grammar that headers share (RFC 9110, section 5.6): lists and parameters, whose values may be quoted."""

from __future__ import annotations

import re


def split_unquoted(value: str, separator: str) -> list[str] | None:
    """Splits a header at each separator that stands outside of quoted texts. None when a quoted text has no end."""
    if '"' not in value:
        return value.split(separator)
    parts: list[str] = []
    begin = at = 0
    is_quoted = False
    while at < len(value):
        sign = value[at]
        if sign == '"':
            is_quoted = not is_quoted
        elif sign == "\\" and is_quoted:
            at += 1
        elif sign == separator and not is_quoted:
            parts.append(value[begin:at])
            begin = at + 1
        at += 1
    return None if is_quoted else [*parts, value[begin:]]


def unquoted(value: str) -> str:
    """Returns the text of a value that may be quoted, without the blanks around it."""
    value = value.strip()
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value
    return re.sub(r"\\(.)", r"\1", value[1:-1], flags=re.DOTALL)
