"""Values in words where there is no room for a picture of them: previews, lists of runs, comparisons. No NiceGUI."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from engine.flow.references import as_text
from ui.kit.text import _

#: Characters around a difference that are shown in a long text.
AROUND = 60
#: The keys by which the entries of a list are told apart.
_NAMES = ("name", "id", "title")
#: Values inside each other down to this level are told apart; deeper ones stand as JSON.
_DEEPEST = 12


class Changed(Struct, frozen=True):
    """One part of a value that differs; `path` are the names that lead to it. None: it is not there."""

    path: tuple[str, ...]
    before: Any
    after: Any


def in_short(value: Any, *, depth: int = 0) -> str:
    """Returns a value on one line: `name: Ann, tags: red, blue`."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if depth > _DEEPEST:
        return as_text(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_inside(one, depth)}" for name, one in value.items() if one is not None)
    if isinstance(value, list | tuple):
        grouped = any(isinstance(one, Mapping | list | tuple) for one in value)
        return ("; " if grouped else ", ").join(_inside(one, depth) for one in value)
    return as_text(value)


def _inside(value: Any, depth: int) -> str:
    said = in_short(value, depth=depth + 1)
    return f"({said})" if isinstance(value, Mapping) else said or _("(empty)")


def in_short_of_json(text: str, longest: int) -> str:
    """Returns a value whose JSON text may be cut, on one line of at most this length."""
    try:
        shown = in_short(json.loads(text))
    except ValueError:  # it is cut
        shown = text.strip("{[").replace('"', "").replace(":", ": ").replace(",", ", ") + "…"
    return shown if len(shown) <= longest else shown[: longest - 1].rstrip() + "…"


def shortened(text: str, longest: int) -> str:
    """Returns a text on one line of at most this length, cut at the end of a word, with a mark where it was cut."""
    line = " ".join(text.split())
    if len(line) <= longest:
        return line
    cut = line[: longest - 1]
    whole, blank, rest = cut.rpartition(" ")
    if blank and line[longest - 1] != " " and len(rest) < longest // 2:
        cut = whole
    return cut.rstrip(" ,.;:") + "…"


def as_lines(value: Any) -> list[str]:
    """Returns a value with a name or an item on each line, like an outline; a text with its own lines."""
    return list(_lines(value))


def _lines(value: Any, depth: int = 0) -> Iterator[str]:
    entries: list[tuple[str, Any]]
    if depth > _DEEPEST:
        yield as_text(value)
        return
    if isinstance(value, Mapping):
        entries = [(f"{name}:", one) for name, one in value.items()]
    elif isinstance(value, list | tuple):
        entries = [("•", one) for one in value]
    else:
        yield from (in_short(value) or _("(empty)")).splitlines()
        return
    if not entries:
        yield _("(empty)")
    for head, one in entries:
        inner = list(_lines(one, depth + 1))
        if len(inner) == 1 and not (isinstance(one, Mapping | list | tuple) and one):
            yield f"{head} {inner[0]}"
        else:
            yield head
            yield from (f"   {line}" for line in inner)


def changed_parts(before: Any, after: Any, path: tuple[str, ...] = ()) -> Iterator[Changed]:
    """Yields the innermost parts of two values that differ. Entries of lists are paired by name, else by place."""
    if before == after:
        return
    if len(path) > _DEEPEST:
        yield Changed(path, before, after)
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in dict.fromkeys([*before, *after]):
            yield from changed_parts(before.get(name), after.get(name), (*path, str(name)))
        return
    if isinstance(before, list | tuple) and isinstance(after, list | tuple):
        old, new = _by_name(before), _by_name(after)
        if old is not None and new is not None:
            if list(old) != list(new) and set(old) == set(new):
                yield Changed((*path, _("order")), list(old), list(new))
            yield from changed_parts(old, new, path)
            return
    yield Changed(path, before, after)


def _by_name(entries: Any) -> dict[str, Any] | None:
    """The groups of a list by what they are called, else by their place; None for a list of anything else."""
    if not all(isinstance(one, Mapping) for one in entries):
        return None
    for key in _NAMES:
        names = [one.get(key) for one in entries]
        if all(isinstance(name, str) and name for name in names) and len(set(names)) == len(names):
            return dict(zip(names, entries, strict=True))
    return {str(at + 1): one for at, one in enumerate(entries)}


def around_difference(before: str, after: str, longest: int) -> tuple[str, str]:
    """Returns both texts cut to what is around their difference; whole texts that are short."""
    if max(len(before), len(after)) <= longest:
        return before, after
    same = next(
        (at for at, (one, other) in enumerate(zip(before, after, strict=False)) if one != other),
        min(len(before), len(after)),
    )
    end = next(
        (
            at
            for at, (one, other) in enumerate(zip(reversed(before[same:]), reversed(after[same:]), strict=False))
            if one != other
        ),
        min(len(before), len(after)) - same,
    )
    begin = max(0, same - AROUND)
    return _cut(before, begin, len(before) - end + AROUND, longest), _cut(
        after, begin, len(after) - end + AROUND, longest
    )


def _cut(text: str, begin: int, end: int, longest: int) -> str:
    end = min(end, begin + longest)
    return ("…" if begin else "") + text[begin:end] + ("…" if end < len(text) else "")
