"""Values in words where there is no room for a picture of them: previews, lists of runs, comparisons. No NiceGUI."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, Literal

from msgspec import Struct
from pydantic_core import from_json

from engine.core.lone_surrogates import whole_utf8
from engine.flow.references import as_text
from ui.kit.text import _

#: Characters around a difference that are shown in a long text.
AROUND = 60
#: The keys by which the entries of a list are told apart.
_NAMES = ("name", "id", "title")
#: Values inside each other down to this level are told apart; deeper ones stand as JSON.
_DEEPEST = 12
#: A text of this many words is short: it is shown as a whole.
_FEW_WORDS = 8
#: Steps that a comparison of two texts takes at most: with this many it takes less than a tenth of a second.
_MAX_COMPARED = 3_000_000
#: Differences that are shown of one text.
_MAX_SHOWN = 15
_WORDS = re.compile(r"\S+|\s+")
#: Words with the blanks behind them: blanks by themselves are alike everywhere, and would pair what does not belong.
_WITH_BLANKS = re.compile(r"\S+\s*|\s+")
#: What is compared in place of words where these are too many.
_SENTENCES = re.compile(r".+?(?:[.!?]\s+|\n\s*|\Z)", re.DOTALL)


class Changed(Struct, frozen=True):
    """One part of a value that differs; `path` are the names that lead to it. None: it is not there."""

    path: tuple[str, ...]
    before: Any
    after: Any


class TextPart(Struct, frozen=True):
    """A part of two texts: `kept` is in both, `was` in the older one, `is` in the newer one."""

    kind: Literal["kept", "was", "is"]
    text: str


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
    """Returns a value whose JSON text may be cut, on one line of at most this length; "" for no text."""
    if not text:
        return ""
    try:
        cut, value = "", json.loads(text)
    except ValueError:
        cut, value = "…", _beginning(text)
    shown = " ".join(in_short(value).split()) + cut
    return shown if len(shown) <= longest else shown[: longest - 1].rstrip() + "…"


def _beginning(text: str) -> Any:
    """Reads JSON text that was cut; the text itself when half of a character stands in it."""
    try:
        return from_json(whole_utf8(text), allow_partial="trailing-strings")
    except ValueError:
        return text


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


def changed_words(before: str, after: str, longest: int) -> list[TextPart]:
    """Returns the words that differ between two texts, with what is around them, in parts of at most this length.

    Empty for short texts, for those that have less than half in common, and for very long ones that differ everywhere.
    """
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    if min(len(old), len(new)) < 2 * _FEW_WORDS:
        return []
    begin, end = _same_ends(old, new)
    middles = "".join(old[begin : len(old) - end]), "".join(new[begin : len(new) - end])
    paired = next(filter(None, (_paired(*map(unit.findall, middles)) for unit in (_WITH_BLANKS, _SENTENCES))), None)
    if paired is None:
        return []
    parts: list[TextPart] = []
    kept = "".join(old[:begin])
    for texts in paired:
        one, other = map(_WORDS.findall, texts)
        first, last = _same_ends(one, other)
        was, now = one[first : len(one) - last], other[first : len(other) - last]
        kept += "".join(one[:first])
        if was or now:
            parts += [TextPart("kept", kept), TextPart("was", "".join(was)), TextPart("is", "".join(now))]
            kept = ""
        kept += "".join(one[len(one) - last :])
    parts.append(TextPart("kept", kept + "".join(old[len(old) - end :])))
    if 2 * sum(len(part.text) for part in parts if part.kind == "kept") < max(len(before), len(after)):
        return []
    if len(parts) > 3 * _MAX_SHOWN + 1:  # each has what is kept before it, what was and what is
        parts = [*parts[: 3 * _MAX_SHOWN], TextPart("kept", "…")]
    last = len(parts) - 1
    shown = [
        TextPart(part.kind, _near(part.text, first=at == 0, last=at == last))
        if part.kind == "kept"
        else TextPart(part.kind, _seen(part.text, longest))
        for at, part in enumerate(parts)
    ]
    return [part for part in shown if part.text]


def _paired(was: Sequence[str], now: Sequence[str]) -> list[tuple[str, str]] | None:
    """The parts of two texts that stand for each other, in their order. None when finding them takes too many steps."""
    often = Counter(now)
    if (len(was) + sum(often[one] for one in was)) * min(len(was), len(now)) > _MAX_COMPARED:
        return None
    found = SequenceMatcher(None, was, now, autojunk=False).get_opcodes()
    return [("".join(was[a:b]), "".join(now[c:d])) for _tag, a, b, c, d in found]


def _same_ends(old: Sequence[str], new: Sequence[str]) -> tuple[int, int]:
    """How many words are the same at the beginning, and behind these at the end."""
    begin = _same_words(old, new)
    return begin, _same_words(old[begin:][::-1], new[begin:][::-1])


def _same_words(old: Sequence[str], new: Sequence[str]) -> int:
    """How many words are the same at the beginning."""
    least = min(len(old), len(new))
    return next((at for at in range(least) if old[at] != new[at]), least)


def _near(text: str, *, first: bool, last: bool) -> str:
    """The words of a kept part that are beside a difference."""
    if len(text) <= 2 * AROUND:
        return text
    head, tail = "" if first else text[:AROUND], "" if last else text[-AROUND:]
    whole = "".join(_WORDS.findall(head)[:-1])  # the last word may be cut
    blank = next((at for at, sign in enumerate(tail) if sign.isspace()), len(tail))
    return f"{whole}…{tail[blank:]}"


def _seen(text: str, longest: int) -> str:
    """A part that differs; the line breaks at its ends are signs."""
    rest = text.lstrip()
    said = rest.rstrip()
    before, behind = text[: len(text) - len(rest)], rest[len(said) :]
    said = before.replace("\n", "↵") + said + behind.replace("\n", "↵")
    return said if len(said) <= longest else f"{said[:longest]}…"
