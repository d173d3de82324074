r"""Regular expressions written by people, run in RE2, whose time grows only linearly with the text.

RE2 has no look-around and no back-references, so no pattern makes it backtrack (S8). The remaining cost, text times
pattern, is limited too: a pattern has at most 1,000 characters and compiles to at most 10 KB, and one search takes at
most `STEPS` steps of a few nanoseconds. RE2 is pure, since it reads only the pattern and the text, so engine.flow may
use it.

`\d`, `\w` and `\s` match ASCII letters, digits and blanks only, as in RE2's default; `\p{L}` matches a letter of any
script.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import re2

MAX_PATTERN: Final = 1_000
MAX_GROUPS: Final = 50
MAX_SIZE: Final = 10_000
#: The steps of one search in the calling thread: less than a second at worst.
STEPS: Final = 100_000_000
#: The memory of one compiled pattern in bytes; with those that `read_pattern` caches, at most 64 MiB in all.
_MEMORY: Final = 1 << 20

_UNICODE = re.compile(r"(\\\\)|\\u(?:\{([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{4}))")
_SURROGATE = re.compile("[\ud800-\udfff]")
_WHY: Final = (
    ("invalid perl operator: (?=", "looking ahead, `(?=...)`, is not available"),
    ("invalid perl operator: (?!", "looking ahead, `(?!...)`, is not available"),
    ("invalid perl operator: (?<", "looking behind, `(?<=...)` or `(?<!...)`, is not available"),
    ("invalid named capture group", "a name in `(?P<name>...)` stands twice or has other signs than letters, digits and _"),
    ("duplicate capture group name", "two groups have the same name"),
    ("missing ]", "a `[` is never closed by `]`"),
    ("missing )", "a `(` is never closed by `)`"),
    ("unexpected )", "a `)` has no `(` before it"),
    ("trailing \\", "it ends in a lone `\\`"),
    ("no argument for repetition operator", "a `*`, `+`, `?` or `{...}` has nothing before it to repeat"),
    ("bad repetition operator", "two repetitions stand side by side, like `**`"),
    ("invalid repetition size", "a repetition in `{...}` is too large; at most 1,000 in all"),
    ("invalid character class range", "a range in `[...]` is not one"),
    ("pattern too large", "it is too large; shorten its repetitions"),
    ("nesting", "its groups are nested too deep"),
)  # fmt: skip


class BadPattern(ValueError):
    """A pattern that cannot be used; the text says why, as the end of a sentence."""


@dataclass(frozen=True)
class Pattern:
    """A compiled pattern. `size`: how many steps one character of text can take at worst; `names`: its named groups."""

    text: str
    size: int
    groups: int
    names: tuple[str, ...]
    #: The compiled `re2` expression. A search releases the interpreter lock.
    engine: re2.Pattern[str]
    #: The same expression without groups, four times as fast when only a yes or no is needed.
    tester: re2.Pattern[str]

    @property
    def longest_text(self) -> int:
        """The number of characters that `found_in` searches at most."""
        return STEPS // self.size

    def found_in(self, text: str) -> bool:
        """True when the pattern matches anywhere in the text (in its first `longest_text` characters)."""
        return self.tester.search(searchable(text[: self.longest_text])) is not None


@lru_cache(maxsize=32)
def read_pattern(text: str) -> Pattern:
    """Compiles a pattern. Raises BadPattern."""
    if len(text) > MAX_PATTERN:
        raise BadPattern(f"it has {len(text):,} characters; {MAX_PATTERN:,} are allowed")
    options = re2.Options()
    options.max_mem = _MEMORY
    options.log_errors = False
    try:
        translated = _UNICODE.sub(_as_re2, text)
        engine = re2.compile(translated, options)
        options.never_capture = True
        tester = re2.compile(translated, options)
    except UnicodeEncodeError:
        raise BadPattern("it holds half a character, which matches nothing") from None
    except re2.error as error:
        raise BadPattern(_why(error)) from None
    finally:
        re2.purge()  # RE2's own cache would keep 128 more patterns
    if engine.groups > MAX_GROUPS:
        raise BadPattern(f"it has {engine.groups} groups in brackets; {MAX_GROUPS} are allowed")
    if engine.programsize > MAX_SIZE:
        raise BadPattern("it is too large; shorten its repetitions")
    names = tuple(name for name, _ in sorted(engine.groupindex.items(), key=lambda one: one[1]))
    return Pattern(text, max(1, engine.programsize), engine.groups, names, engine, tester)


def why_not(text: str) -> str:
    """Returns why a pattern cannot be used, as the end of a sentence; "" when it can."""
    try:
        read_pattern(text)
    except BadPattern as bad:
        return str(bad)
    return ""


def searchable(text: str) -> str:
    """Returns the text with lone surrogates replaced, which JSON may contain but UTF-8 cannot encode. Keeps its
    length.
    """
    return _SURROGATE.sub("\ufffd", text)


def _as_re2(match: re.Match[str]) -> str:
    return match[1] or f"\\x{{{match[2] or match[3]}}}"


def _why(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    if re.match(r"invalid escape sequence: \\[1-9k]", text):
        return "pointing back to an earlier group, like `\\1`, is not available"
    if text.startswith("invalid escape sequence: "):
        return f"`{text.rpartition(' ')[2]}` is not known here"
    return next((why for start, why in _WHY if text.startswith(start)), text or "it cannot be read")
