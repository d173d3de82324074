"""Generates texts that match a pattern, for example payloads: the shortest and simplest first.

The parse tree of a pattern comes from `re._parser`, which is private to Python. No public module offers one, and the
libraries that generate texts (rstr, exrex, hypothesis) import the same module; their texts are random, while these are
the same in every document. RE2 gives no parse tree to Python.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from engine.flow.patterns import MAX_PATTERN

if TYPE_CHECKING:
    import sre_constants as _constants
    import sre_parse as _parser
else:
    from re import _constants, _parser

#: How many variants of one pattern are tried. Each one repeats more often and takes another alternative.
_FORMS: Final = 80
#: The characters and repetitions of all variants of one pattern: about a hundredth of a second.
MAX_TEXT_STEPS: Final = 30_000
_PLAIN: Final = "a0A-_ .,:/@+#x1B" + "".join(map(chr, range(33, 127))) + "é\n\t"
_CLASSES: Final = {
    "\\p{L}": "a-zA-Zé",
    "\\pL": "a-zA-Zé",
    "\\p{N}": "0-9",
    "\\pN": "0-9",
    "\\p{Lu}": "A-Z",
    "\\p{Ll}": "a-z",
}
#: Finds escapes, classes like `\p{L}`, and the brackets of a character class.
_PARTS = re.compile(r"\\p\{L[ul]?\}|\\p\{N\}|\\p[LN]|\\.|[\[\]]", re.DOTALL)


class UsedUp(Exception):
    """A budget is used up."""


@dataclass
class Budget:
    """What may still be done; one budget bounds all that shares it."""

    left: int

    def take(self, count: int = 1) -> None:
        """Raises UsedUp."""
        self.left -= count
        if self.left < 0:
            raise UsedUp


def texts_like(pattern: str, shortest: int, longest: int, budget: Budget) -> Iterator[str]:
    """Yields texts that probably match the pattern, with at least `shortest` characters where possible and at most
    `longest`, until the budget of characters and repetitions is used up.

    The caller checks them.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # warnings about syntax that Python will change later
            tree = _parser.parse(_translated(pattern[:MAX_PATTERN]))
        for more in [*range(_FORMS), shortest]:
            text = _text_of(tree.data, more, longest, budget)
            if text is None:
                continue
            missing = max(0, shortest - len(text))
            budget.take(2 * missing)
            yield from (text, text + "x" * missing, "x" * missing + text) if missing else (text,)
    except (re.error, OverflowError, RecursionError, UsedUp):
        return


def _text_of(tree: Iterable[tuple[Any, Any]], more: int, longest: int, budget: Budget) -> str | None:
    """Returns a text of the pattern; None when it would be longer than `longest`."""
    pieces: list[str] = []
    for piece in _written(tree, more, budget):
        pieces.append(piece)
        if len(pieces) > longest:
            return None
    return "".join(pieces)


def _translated(pattern: str) -> str:
    r"""Replaces classes such as `\p{L}`, which Python's patterns do not have, with plain letters and digits."""
    inside = False

    def plain(match: re.Match[str]) -> str:
        nonlocal inside
        part = match[0]
        if part in {"[", "]"}:
            inside = part == "["
        members = _CLASSES.get(part)
        return part if members is None else members if inside else f"[{members}]"

    return _PARTS.sub(plain, pattern)


def _written(tree: Iterable[tuple[Any, Any]], more: int, budget: Budget) -> Iterator[str]:
    """Yields one text of a pattern, by its characters: every repetition `more` times above its minimum, and alternatives
    in turn. Each part and each repetition takes from the budget. Raises UsedUp.
    """
    for kind, value in tree:
        budget.take()
        match kind:
            case _constants.LITERAL:
                yield chr(value)
            case _constants.NOT_LITERAL:
                yield next(sign for sign in _PLAIN if ord(sign) != value)
            case _constants.ANY:
                yield "a"
            case _constants.IN:
                if sign := next((sign for sign in _PLAIN if _is_in(ord(sign), value)), ""):
                    yield sign
            case _constants.BRANCH:
                yield from _written(value[1][more % len(value[1])], more // len(value[1]), budget)
            case _constants.SUBPATTERN:
                yield from _written(value[3], more, budget)
            case _constants.MAX_REPEAT | _constants.MIN_REPEAT:
                least, most, inner = value
                for _ in range(min(least + more, int(most))):
                    budget.take()
                    yield from _written(inner, more if least + more < _FORMS else 0, budget)
            case _:
                pass  # a position, such as the end of the text


def _is_in(code: int, members: list[tuple[Any, Any]]) -> bool:
    """True when a character belongs to a class such as `[a-z0-9_]`."""
    found = False
    for kind, value in members:
        match kind:
            case _constants.LITERAL:
                found |= code == value
            case _constants.RANGE:
                found |= value[0] <= code <= value[1]
            case _constants.CATEGORY:
                found |= _PATTERNS[value].fullmatch(chr(code)) is not None
            case _:
                pass
    return found != (members[0][0] is _constants.NEGATE)


_PATTERNS: Final = {
    _constants.CATEGORY_DIGIT: re.compile("[0-9]"),
    _constants.CATEGORY_NOT_DIGIT: re.compile("[^0-9]"),
    _constants.CATEGORY_SPACE: re.compile("[ \t\n]"),
    _constants.CATEGORY_NOT_SPACE: re.compile("[^ \t\n]"),
    _constants.CATEGORY_WORD: re.compile("[A-Za-z0-9_]"),
    _constants.CATEGORY_NOT_WORD: re.compile("[^A-Za-z0-9_]"),
}
