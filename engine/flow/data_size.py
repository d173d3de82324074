"""How large values are, counted without a copy of them: a list that stands in another one a hundred times takes no memory
a hundred times, but as text, as JSON or as a copy it does.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from types import NoneType
from typing import Any, Final, cast

from engine.flow.json_values import is_small
from engine.flow.node_context import Json, NodeFailed
from engine.flow.references import Reference, Scope

#: The most data that a step takes, and gives, in bytes. A web page comes as 10 MiB of text and as much of Markdown and HTML.
MAX_DATA: Final = 64 << 20
#: Bytes of an entry of a list, and of a list or an object.
_ENTRY, _CONTAINER = 8, 64
_DEEPEST = 200
_FEW, _TOGETHER = 100, 10_000
_FIXED: Final = frozenset[type]({float, bool, NoneType})


class _TooMuch(Exception):
    """More than was asked about."""


def data_size(value: Json, most: int = sys.maxsize, known: dict[int, int] | None = None) -> int:
    """Returns about how many bytes a copy of a value takes, in memory and as JSON; parts that stand in it several times count
    as often, and are looked at once. Returns a number above `most` as soon as it is more. `known`: identity of lists and
    objects -> their sizes, to which those of the value are added; they must not have been freed meanwhile.
    """
    try:
        return _size(value, most, {} if known is None else known, 0)
    except _TooMuch:
        return most + 1


def texts_are_short(references: Mapping[Reference, int], scope: Scope) -> bool:
    """True when it takes no time to write the values of references into texts. `references`: how often each is written."""
    return not references or (
        len(references) <= _FEW
        and all(times <= _FEW and is_small(scope.find(one)) for one, times in references.items())
    )


def require_moderate_texts(references: Mapping[Reference, int], scope: Scope) -> None:
    """Raises NodeFailed when the texts with these values would have more than MAX_DATA."""
    if sum(times * data_size(scope.find(one), MAX_DATA) for one, times in references.items()) > MAX_DATA:
        raise too_much_data()


def too_much_data() -> NodeFailed:
    """Returns the failure of a step with more than MAX_DATA."""
    return NodeFailed(
        f"This step has to do with more than {MAX_DATA >> 20} MB of data.",
        why="A text or a list that stands in it several times counts each time.",
        remedy="Put less together here: only the parts that later steps need, each once.",
    )


def _size(value: Any, most: int, known: dict[int, int], depth: int) -> int:  # noqa: ANN401 - any JSON value
    if isinstance(value, str):
        return _ENTRY + len(value)
    if not isinstance(value, dict | list):
        return _ENTRY + (value.bit_length() // 3 if isinstance(value, int) else 0)
    place = id(cast("object", value))
    if place in known:
        return known[place]
    if depth > _DEEPEST:
        return _CONTAINER
    size = _CONTAINER + _ENTRY * len(cast("Collection[Any]", value))
    if size > most:
        raise _TooMuch
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        entries = list(fields.values())
        size += sum(map(len, map(str, fields)))
    else:
        entries = cast("list[Any]", value)
    for start in range(0, len(entries), _TOGETHER):  # other threads get the interpreter in between
        part = entries[start : start + _TOGETHER] if len(entries) > _TOGETHER else entries
        size += _size_of_entries(part, most - size, known, depth + 1)
        if size > most:
            raise _TooMuch
    known[place] = size
    return size


def _size_of_entries(entries: list[Any], most: int, known: dict[int, int], depth: int) -> int:
    if len(entries) > _FEW:  # what entries of one kind take is added up without a loop
        kinds = set(map(type, entries))
        if kinds <= _FIXED:
            return 0
        if kinds == {str}:
            return sum(map(len, entries))
        if kinds == {int}:
            return sum(map(int.bit_length, entries)) // 3
    size = 0
    for entry in entries:
        if isinstance(entry, str):
            size += len(entry)
        elif isinstance(entry, dict | list):
            size += _size(entry, most, known, depth)
            if size > most:
                raise _TooMuch
        elif isinstance(entry, int):
            size += entry.bit_length() // 3
    return size
