r"""Regular expressions written by people, run in RE2, whose time grows only linearly with the text.

RE2 has no look-around and no back-references, so no pattern makes it backtrack (S8). The remaining cost, text times
pattern, is limited too: a pattern has at most 1,000 characters and compiles to at most 10,000 instructions, and one
search takes at most `STEPS` steps of a few nanoseconds. To compile a pattern takes up to 0.1 s, with the interpreter lock
held: what all patterns of a flow may take together is counted by a `PatternBudget`. RE2 is pure, since it reads only the
pattern and the text, so engine.flow may use it.

`\d`, `\w` and `\s` match ASCII letters, digits and blanks only, as in RE2's default; `\p{L}` matches a letter of any
script.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar, Token
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final, Self

import re2
from cachetools import LRUCache
from msgspec import Struct

from engine.core.lone_surrogates import without_lone_surrogates

MAX_PATTERN: Final = 1_000
MAX_GROUPS: Final = 50
MAX_SIZE: Final = 10_000
#: The steps of one search in the calling thread: less than a second at worst.
STEPS: Final = 100_000_000
#: What a step takes at most, in nanoseconds of the processor, and what a search takes beside its steps: to call RE2.
STEP_NS: Final = 6
_CALL_NS: Final = 5_000
#: The steps that compiling all patterns of a flow may take together, each different text counted once: at most about a
#: fifth of a second. Enough for some hundred usual patterns, or for five of the largest ones.
FLOW_STEPS: Final = 30_000_000
#: The steps that may be taken where others wait: on the event loop and in a transaction. A few milliseconds.
STEPS_AT_ONCE: Final = 1_500_000
#: The memory of one compiled pattern in bytes; with those that are kept, at most 64 MiB in all.
_MEMORY: Final = 1 << 20
_KEPT: Final = 64
#: Of how many patterns is known whether they can be used, and what they cost.
_KEPT_FACTS: Final = 4_096

_UNICODE = re.compile(r"(\\\\)|\\u(?:\{([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{4}))")
_CLASS = re.compile(r"\\[pP]")
#: What stands in a class that matches characters outside ASCII.
_OF_MANY = re.compile(r"^\.$|^\[\^|\\[pPxuDWSC]|\[:\^")
#: The parts of a pattern: an escaped sign, a named class in a class, a repetition, or one character.
_TOKEN = re.compile(
    r"\\[pPx]\{[^{}]{0,40}\}|\\.|\[:\^?[a-z]{1,10}:\]|\{(?P<least>\d{1,4})(?:,(?P<most>\d{0,4}))?\}|.", re.DOTALL
)
_NAME = re.compile(r"\?P?<(\w+)>")
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

    @cached_property
    def tester(self) -> re2.Pattern[str]:
        """The same expression without groups, four times as fast when only a yes or no is needed."""
        return _compile(self.text, without_groups=True) if self.groups else self.engine

    @property
    def longest_text(self) -> int:
        """The number of characters that `found_in` searches at most."""
        return STEPS // self.size

    def found_in(self, text: str) -> bool:
        """True when the pattern matches anywhere in the text (in its first `longest_text` characters)."""
        return self.tester.search(without_lone_surrogates(text[: self.longest_text])) is not None

    def counted_search(self, text: str) -> tuple[bool, int]:
        """Returns whether the pattern matches anywhere in the text, and the steps of the search: by the time of the
        processor that this thread spent on it, and at most the characters times `size`. That many are rare: most searches
        take a few microseconds whatever the size is. A thread that waits on a busy machine spends no such time.
        """
        tester, text = self.tester, without_lone_surrogates(text)
        begun = time.thread_time_ns()
        found = tester.search(text) is not None
        spent = time.thread_time_ns() - begun - _CALL_NS
        return found, min(len(text) * self.size, max(0, spent) // STEP_NS)


class _PatternFacts(Struct, frozen=True):
    """What is known of a pattern: why it cannot be used, as the end of a sentence, and the steps of compiling it."""

    why_not: str
    cost: int


class PatternBudget:
    """What the patterns of a flow, or of one check, may cost to compile. Each text counts once, whether it was compiled
    before or not, so the result depends on the patterns only. It keeps what it compiled.

    As a context manager it counts for all checks that begin inside, in the same thread.
    """

    def __init__(self, steps: int = FLOW_STEPS, *, at_once: int | None = None, searches: int | None = None) -> None:
        """`at_once`: the steps of compiling and searching that may be taken now, not counting what is known already.
        `searches`: the steps that all searches may take. None does not limit them.
        """
        #: Whether the patterns cost more than they may; those that come then are not compiled.
        self.over = False
        #: Whether something was left out that may not be done now: the result is not whole.
        self.short = False
        self._left = steps
        self._at_once = at_once
        self._searches = searches
        self._facts: dict[str, _PatternFacts] = {}
        #: What was compiled when it was looked at, so that it is not counted twice among what may be done now.
        self._fresh: set[str] = set()
        self._compiled: dict[str, Pattern] = {}
        self._token: Token[PatternBudget | None] | None = None

    def __enter__(self) -> Self:
        self._token = _BUDGET.set(self)
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._token is not None
        _BUDGET.reset(self._token)

    def why_not(self, text: str) -> str:
        """Returns why a pattern cannot be used, as the end of a sentence; "" when it can, and when a limit keeps it from
        being looked at.
        """
        facts = self._look_at(text)
        return "" if facts is None else facts.why_not

    def compiled(self, text: str) -> Pattern | None:
        """Returns the pattern; None when a limit keeps it from being compiled. Raises BadPattern."""
        if (known := self._compiled.get(text)) is not None:
            return known
        facts = self._look_at(text)
        if facts is None:
            return None
        if facts.why_not:
            raise BadPattern(facts.why_not)
        if text not in self._fresh and not self._may_now(facts.cost):
            return None
        pattern = self._compiled[text] = read_pattern(text)
        return pattern

    def may_search(self, steps: int) -> bool:
        """Counts a search; False when a limit forbids it."""
        if self._searches is not None:
            if steps > self._searches:
                return False
            self._searches -= steps
        return self._may_now(steps)

    def _look_at(self, text: str) -> _PatternFacts | None:
        if (facts := self._facts.get(text)) is not None:
            return facts
        if len(text) > MAX_PATTERN:
            return _FACTS.of(text)
        if self.over or _cost_of(text) > self._left:
            self.over = True
            return None
        if self._at_once is None or _FACTS.knows(text):
            facts = _FACTS.of(text)
        else:
            most = _cost_of(text, largest_size(text))
            if not self._may_now(most):
                return None
            facts = _FACTS.of(text)
            self._at_once += most - facts.cost
            self._fresh.add(text)
        if facts.cost > self._left:
            self.over = True
            return None
        self._left -= facts.cost
        self._facts[text] = facts
        return facts

    def _may_now(self, steps: int) -> bool:
        if self._at_once is None:
            return True
        if steps > self._at_once:
            self.short = True
            return False
        self._at_once -= steps
        return True


_BUDGET: ContextVar[PatternBudget | None] = ContextVar("_BUDGET", default=None)


def current_budget() -> PatternBudget | None:
    """Returns the budget inside which the calling code runs."""
    return _BUDGET.get()


def read_pattern(text: str) -> Pattern:
    """Compiles a pattern. Raises BadPattern."""
    if why := _FACTS.of(text).why_not:
        raise BadPattern(why)
    return _compiled(text)


def why_not(text: str) -> str:
    """Returns why a pattern cannot be used, as the end of a sentence; "" when it can. Inside a `PatternBudget` it counts
    there.
    """
    budget = _BUDGET.get()
    return _FACTS.of(text).why_not if budget is None else budget.why_not(text)


class _KnownPatterns:
    """The facts of the patterns that were looked at last, also of bad ones, by their texts. Threads share it."""

    def __init__(self) -> None:
        self._kept: LRUCache[str, _PatternFacts] = LRUCache(_KEPT_FACTS)
        self._lock = threading.Lock()

    def knows(self, text: str) -> bool:
        return len(text) > MAX_PATTERN or text in self._kept

    def of(self, text: str) -> _PatternFacts:
        if len(text) > MAX_PATTERN:
            return _PatternFacts(f"it has {len(text):,} characters; {MAX_PATTERN:,} are allowed", 0)
        with self._lock:
            facts = self._kept.get(text)
        if facts is None:
            facts = _facts_of(text)
            with self._lock:
                self._kept[text] = facts
        return facts


_FACTS: Final = _KnownPatterns()


def _facts_of(text: str) -> _PatternFacts:
    try:
        return _PatternFacts("", _cost_of(text, _compiled(text).size))
    except BadPattern as bad:
        return _PatternFacts(str(bad), _cost_of(text, largest_size(text)))


@lru_cache(maxsize=_KEPT)
def _compiled(text: str) -> Pattern:
    engine = _compile(text)
    if engine.groups > MAX_GROUPS:
        raise BadPattern(f"it has {engine.groups} groups in brackets; {MAX_GROUPS} are allowed")
    if engine.programsize > MAX_SIZE:
        raise BadPattern("it is too large; shorten its repetitions")
    names = tuple(name for name, _ in sorted(engine.groupindex.items(), key=lambda one: one[1]))
    return Pattern(text, max(1, engine.programsize), engine.groups, names, engine)


def _compile(text: str, *, without_groups: bool = False) -> re2.Pattern[str]:
    options = re2.Options()
    options.max_mem = _MEMORY
    options.log_errors = False
    options.never_capture = without_groups
    try:
        return re2.compile(_UNICODE.sub(_as_re2, text), options)
    except UnicodeEncodeError:
        raise BadPattern("it holds half a character, which matches nothing") from None
    except re2.error as error:
        raise BadPattern(_why(error)) from None
    finally:
        re2.purge()  # RE2's own cache would keep 128 more patterns


def _cost_of(text: str, size: int = 0) -> int:
    """Returns the steps of compiling a pattern: an upper bound of what was measured. Classes of Unicode cost most, and
    of a large pattern the square of its size.
    """
    size = min(size, 2 * MAX_SIZE)
    return 30_000 + 300 * len(text) + 40_000 * len(_CLASS.findall(text)) + 50 * size + size * size // 16


def groups_in(text: str) -> tuple[tuple[str, ...], int]:
    """Returns the names of a pattern's groups in their order, and how many groups it has, without compiling it."""
    names: list[str] = []
    count = 0
    for part in _parts(text):
        if not isinstance(part, str) and part[0] == "(":
            named = _NAME.match(text, part.end())
            if named:
                names.append(named[1])
            count += named is not None or not text.startswith("?", part.end())
    return tuple(names), count


def largest_size(text: str) -> int:
    """Estimates from above how many instructions a pattern compiles to, without compiling it."""
    total, last = 0, 0
    open_groups: list[int] = []
    for part in _parts(text):
        found = part if isinstance(part, str) else part[0]
        if found == "(":
            open_groups.append(total)
            total, last = total + 2, 0
        elif found == ")" and open_groups:
            last = total - open_groups.pop()
        elif not isinstance(part, str) and part["least"] is not None:
            count = int(part["most"] or 0) or int(part["least"]) + 1
            total += last * (count - 1) + count
            last = last * count + count
        else:
            last = 1 if found in "*+?|" else _size_of(found)
            total += last
        if total > 2 * MAX_SIZE:
            return 2 * MAX_SIZE
    return total


def _parts(text: str) -> Iterator[re.Match[str] | str]:
    """Yields the parts of a pattern; a class in brackets, `[a-z]`, as a text."""
    inside: list[str] = []
    for token in _TOKEN.finditer(text):
        found = token[0]
        if inside:
            inside.append(found)
            if found == "]" and inside[1:-1] not in ([], ["^"]):
                yield "".join(inside)
                inside = []
        elif found == "[" or found.startswith("[:"):
            inside = [found]
        else:
            yield token


def _size_of(item: str) -> int:
    """Estimates the instructions of one character or class. A class of Unicode has up to 1,300, and `.` ten."""
    if len(item) == 1:
        return 10 if item == "." else 4
    if item.isascii() and not _OF_MANY.search(item):
        return 4 + len(item) // 3
    return 1_300 * len(_CLASS.findall(item)) + 10 + 4 * len(item)


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
