"""Finds the regular expressions in the source code, and generates texts for which a badly written one is slow.

A pattern is bad when its time grows faster than linearly with the length of the text. The texts are generated from the
pattern: each repeatable part is repeated, after a prefix that leads to it and before a suffix that does not match. In
addition, one character of each kind that the pattern distinguishes is repeated alone, in pairs and after each prefix.
"""

from __future__ import annotations

import ast
import functools
import importlib
import itertools
import re
import re._parser as parser  # type: ignore[import-not-found]  # the parse tree is available only there
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.sources import ROOT, nodes_of, source_files

_FUNCTIONS = {"compile", "match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer"}
_ANCHORED = {"match", "fullmatch"}

#: Candidates for characters that a pattern distinguishes; the characters of the pattern itself are added.
_ALPHABET = " \t\n\ra1_AzZ9.-+:/@\"'`<>={}[]()|\\%&#,;!?*~^$é\u2028\x00"
#: Maximum length of a text; a quadratic pattern takes some tens of milliseconds for it, a linear one less than one.
_LONGEST = 4_096
#: CPU seconds below which a measurement is too imprecise.
_FLOOR = 0.004
#: Repetitions with a lower maximum are not tested.
_MANY = 50


@dataclass(frozen=True)
class Found:
    """One pattern: its place in the code, and the method with which it is applied."""

    where: str
    pattern: re.Pattern[Any]
    method: str = "finditer"


@functools.cache
def patterns_of_the_code() -> tuple[list[Found], list[str]]:
    """Returns every pattern, and the places of patterns that are built at run time."""
    found: dict[tuple[Any, int, str], Found] = {}
    unknown: list[str] = []
    everywhere = methods_of(source_files())
    for path in source_files():
        if "migrations" in path.parts or not _uses_patterns(path):
            continue
        module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
        names = {
            id(part.value): _name(part.targets[0] if isinstance(part, ast.Assign) else part.target)
            for part in nodes_of(path)
            if isinstance(part, ast.Assign | ast.AnnAssign)
        }
        for call in nodes_of(path):
            if not (isinstance(call, ast.Call) and _is_of_re(call.func)):
                continue
            assert isinstance(call.func, ast.Attribute)
            where = f"{path.relative_to(ROOT)}:{call.lineno}"
            try:
                pattern = _evaluated(call, module)
            except (NameError, re.error):
                unknown.append(where)
                continue
            name = names.get(id(call), "")
            methods = methods_of([path]) if name.startswith("_") else everywhere
            used = methods.get(name, {"search"}) if call.func.attr == "compile" else {call.func.attr}
            for method in methods_to_try(used):
                found.setdefault((pattern.pattern, pattern.flags, method), Found(where, pattern, method))
        for name, pattern in _held_by(module):  # finds patterns that helper functions and tables compile, too
            if not any(known[:2] == (pattern.pattern, pattern.flags) for known in found):
                where = f"{path.relative_to(ROOT)}:{name}"
                for method in methods_to_try(_handed_on_in(path)):
                    found[pattern.pattern, pattern.flags, method] = Found(where, pattern, method)
    return list(found.values()), unknown


def methods_to_try(used: set[str]) -> Iterator[str]:
    """Yields the methods to test for those that are used. A full match fails for more texts than a match does."""
    if used - _ANCHORED:
        yield "finditer"
    if used & _ANCHORED:
        yield "fullmatch" if "fullmatch" in used else "match"


def grows_faster_than_its_text(found: Found) -> str | None:
    """Returns a description of the text for which the pattern is slow; None when it was linear for every text."""
    for pump in pumps(found.pattern):
        if (size := _too_fast(found, pump)) is not None:
            return f"{pump[0][:40]!r} + {size} characters of {pump[1][:40]!r} + {pump[2]!r}"
    return None


Pump = tuple[str, str, str]


def pumps(pattern: re.Pattern[Any]) -> list[Pump]:
    """Yields texts as (prefix, repeated part, suffix)."""
    source = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    flags = pattern.flags
    tree = parser.parse(source, flags) if isinstance(pattern.pattern, str) else parser.parse(source, flags | re.ASCII)
    letters = _kinds(tree, source, flags)
    made: dict[Pump, None] = {}
    wrong = _wrong(tree, letters, flags)
    beginnings = dict.fromkeys([""])
    for before, body in _repeats(tree, letters, flags):
        beginnings.setdefault(before)
        for unit in body:
            for end in ("", *wrong):
                made.setdefault((before, unit, end))
            made.setdefault(("", before + unit, ""))
        made.setdefault(("", before or " ", ""))
    # a repeated part that holds what a match begins with is searched from each place of it
    for one in dict.fromkeys(_openings(tree, letters, flags)):
        for before, body in _repeats(tree, letters, flags, first=(one,)):
            for unit in body:
                made.setdefault((before, unit, ""))
    for one in letters:
        for end in ("", wrong[0]):
            made.setdefault(("", one, end))
    if len(letters) <= 12:
        for one, other in itertools.permutations(letters, 2):
            made.setdefault(("", one + other, wrong[0]))
    for before in list(beginnings)[:8]:
        for one in letters[:12]:
            made.setdefault((before, one, wrong[0]))
    whole = _example(tree, letters, flags)
    if whole:
        made.setdefault(("", whole, ""))
        for cut in range(1, min(len(whole), 12)):
            made.setdefault(("", whole[:cut], ""))
    return [pump for pump in made if pump[1]]


def _too_fast(found: Found, pump: Pump) -> int | None:
    """Returns the size from which the time grew more than twice as fast as the text; None when it did not."""
    before: tuple[int, float] | None = None
    for size in (*(len(pump[1]) * units for units in (8, 12, 16, 20, 24, 28, 32)), 128, 512, _LONGEST):
        if before is not None and size <= before[0]:
            continue
        taken = _cpu_seconds(found, _text(found, pump, size))
        if before is not None and taken > _FLOOR:
            again = min(taken, *(_cpu_seconds(found, _text(found, pump, size)) for _ in range(2)))
            earlier = min(_cpu_seconds(found, _text(found, pump, before[0])) for _ in range(3))
            if again > _FLOOR and again > 2 * earlier * size / before[0]:
                return size
        before = size, taken
    return None


def _text(found: Found, pump: Pump, size: int) -> Any:
    before, unit, end = pump
    text = before + unit * max(1, size // len(unit)) + end
    return text if isinstance(found.pattern.pattern, str) else text.encode("latin-1", "replace")


def _cpu_seconds(found: Found, text: Any) -> float:
    begun = time.thread_time()
    if found.method == "finditer":
        for _ in found.pattern.finditer(text):
            pass
    else:
        getattr(found.pattern, found.method)(text)
    return time.thread_time() - begun


# Functions that walk the parse tree of a pattern.

_REPEATS = {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}


def _repeats(
    tree: Any, letters: list[str], flags: int, before: str = "", first: Sequence[str] = ()
) -> Iterator[tuple[str, list[str]]]:
    """Yields for each repeatable part a prefix that leads to it, and texts that it matches once, if possible with `first`
    in them.
    """
    for operation, value in tree:
        name = str(operation)
        if name in _REPEATS:
            _, most, body = value
            if most >= _MANY:
                yield before, _units(body, letters, flags, first)
            yield from _repeats(body, letters, flags, before, first)
        elif name == "SUBPATTERN":
            yield from _repeats(value[3], letters, flags, before, first)
        elif name == "ATOMIC_GROUP":
            yield from _repeats(value, letters, flags, before, first)
        elif name == "BRANCH":
            for branch in value[1]:
                yield from _repeats(branch, letters, flags, before, first)
        elif name in {"ASSERT", "ASSERT_NOT"}:
            yield from _repeats(value[1], letters, flags, before, first)
        before += _example([(operation, value)], letters, flags)


def _units(body: Any, letters: list[str], flags: int, first: Sequence[str] = ()) -> list[str]:
    """Returns texts for one repetition: each kind of character that it accepts, each alternative, and the whole."""
    if len(body) == 1:
        operation, value = body[0]
        if str(operation) == "BRANCH":
            return [unit for branch in value[1] for unit in _units(branch, letters, flags, first)]
        if str(operation) == "SUBPATTERN":
            return _units(value[3], letters, flags, first)
        if _takes(operation, value, "a", flags) is not None:
            return [letter for letter in letters if _takes(operation, value, letter, flags)][:12] or ["a"]
    whole = _example(body, letters, flags, first)
    inner = [unit for _, units in _repeats(body, letters, flags, first=first) for unit in units]
    return [unit for unit in dict.fromkeys([whole, *inner, *(whole + one for one in inner)]) if unit][:12]


def _example(tree: Any, letters: list[str], flags: int, first: Sequence[str] = ()) -> str:
    """Returns a short text that the tree probably matches."""
    text = ""
    for operation, value in tree:
        name = str(operation)
        if name in _REPEATS:
            text += _example(value[2], letters, flags, first) * min(value[0], 64)
        elif name == "SUBPATTERN":
            text += _example(value[3], letters, flags, first)
        elif name == "ATOMIC_GROUP":
            text += _example(value, letters, flags, first)
        elif name == "BRANCH":
            text += _example(value[1][0], letters, flags, first)
        elif name == "LITERAL":
            text += chr(value)
        elif _takes(operation, value, "a", flags) is not None:
            preferred = [*first, "a", "1", *letters]
            text += next((letter for letter in preferred if _takes(operation, value, letter, flags)), "a")
    return text


def _kinds(tree: Any, source: str, flags: int) -> list[str]:
    """Returns one character of every kind that the pattern distinguishes."""
    # a class that stands in the pattern again distinguishes nothing more
    classes = list({f"{operation} {value}": (operation, value) for operation, value in _classes(tree)}.values())
    kinds: dict[tuple[Any, ...], str] = {}
    literals = [chr(value) for operation, value in classes if str(operation) == "LITERAL"]
    for letter in dict.fromkeys((*_ALPHABET, *literals)):
        # properties that anchors and word boundaries depend on
        of = (letter == "\n", re.match(r"\w", letter) is not None)
        kinds.setdefault((*of, *(_takes(operation, value, letter, flags) for operation, value in classes)), letter)
    return list(kinds.values())


def _wrong(tree: Any, letters: list[str], flags: int) -> list[str]:
    """Returns the two characters that the fewest parts of the pattern accept: what probably ends a match in vain."""
    classes = list(_classes(tree))
    return sorted(letters, key=lambda one: sum(_takes(*part, one, flags) is True for part in classes))[:2]


def _openings(tree: Any, letters: list[str], flags: int) -> list[str]:
    """Returns characters with which a match may begin, for each alternative one."""
    for operation, value in tree:
        match str(operation):
            case "BRANCH":
                return [one for branch in value[1] for one in _openings(branch, letters, flags)]
            case "SUBPATTERN":
                return _openings(value[3], letters, flags)
            case "ATOMIC_GROUP":
                return _openings(value, letters, flags)
            case _:
                if text := _example([(operation, value)], letters, flags):
                    return [text[0]]
    return []


def _classes(tree: Any) -> Iterator[tuple[Any, Any]]:
    for operation, value in tree:
        if _takes(operation, value, "a", 0) is not None:
            yield operation, value
        elif isinstance(value, (tuple, list, parser.SubPattern)):
            yield from _inside(value)


def _inside(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, parser.SubPattern):
        yield from _classes(value)
    elif isinstance(value, (tuple, list)):
        for one in value:
            yield from _inside(one)


def _takes(operation: Any, value: Any, letter: str, flags: int) -> bool | None:
    """Tells whether an operation that matches one character accepts this one; None for other operations."""
    name = str(operation)
    code = ord(letter)
    if name == "LITERAL":
        return code == value or (bool(flags & re.IGNORECASE) and letter.lower() == chr(value).lower())
    if name == "NOT_LITERAL":
        return code != value
    if name == "ANY":
        return bool(flags & re.DOTALL) or letter != "\n"
    if name != "IN":
        return None
    negated, taken = False, False
    for inner, what in value:
        match str(inner):
            case "NEGATE":
                negated = True
            case "LITERAL":
                taken |= code == what or (bool(flags & re.IGNORECASE) and letter.lower() == chr(what).lower())
            case "RANGE":
                taken |= what[0] <= code <= what[1]
                if flags & re.IGNORECASE:
                    taken |= any(what[0] <= ord(one) <= what[1] for one in letter.lower() + letter.upper())
            case "CATEGORY":
                taken |= re.match(_CATEGORIES[str(what)], letter, flags & re.ASCII) is not None
    return taken != negated


_CATEGORIES = {
    "CATEGORY_DIGIT": r"\d",
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_SPACE": r"\s",
    "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_WORD": r"\w",
    "CATEGORY_NOT_WORD": r"\W",
}


# Functions that search the source code.


def _uses_patterns(path: Path) -> bool:
    return any(isinstance(part, ast.Name) and part.id == "re" for part in nodes_of(path))


def _is_of_re(function: ast.expr) -> bool:
    return (
        isinstance(function, ast.Attribute)
        and isinstance(function.value, ast.Name)
        and function.value.id == "re"
        and function.attr in _FUNCTIONS
    )


def _evaluated(call: ast.Call, module: Any) -> re.Pattern[Any]:
    """Evaluates the arguments of a call of `re`. Raises NameError for values that exist only at run time."""
    assert isinstance(call.func, ast.Attribute)
    place = {"sub": 4, "subn": 4, "split": 3, "compile": 1}.get(call.func.attr, 2)
    flags = [one.value for one in call.keywords if one.arg == "flags"] + call.args[place : place + 1]
    return re.compile(_value(call.args[0], module), _value(flags[0], module) if flags else 0)


def _value(expression: ast.expr, module: Any) -> Any:
    code = compile(ast.Expression(expression), "<pattern>", "eval")
    return eval(code, dict(vars(module)))


def methods_of(files: Iterable[Path]) -> dict[str, set[str]]:
    """Maps the name of a pattern to the methods called on it; a pattern that is handed on has those of `_handed_on_in`."""
    used: dict[str, set[str]] = {}
    for file in files:
        called = set()
        for part, name in _calls(file):
            used.setdefault(name, set()).add(part.attr)
            called.add(id(part.value))
        handed_on = _handed_on_in(file)
        for part in nodes_of(file):
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load) and id(part) not in called:
                used.setdefault(part.id, set()).update(handed_on)
    return used


def _handed_on_in(file: Path) -> set[str]:
    """Returns the methods that may be called on a pattern that a variable of a file holds: a search, and what the file
    calls on its variables.
    """
    return {"search"} | {part.attr for part, name in _calls(file) if name.islower() and name != "re"}


def _calls(file: Path) -> Iterator[tuple[ast.Attribute, str]]:
    for part in nodes_of(file):
        if isinstance(part, ast.Attribute) and part.attr in _FUNCTIONS and (name := _name(part.value)):
            yield part, name


def _name(part: ast.expr) -> str:
    return part.id if isinstance(part, ast.Name) else part.attr if isinstance(part, ast.Attribute) else ""


def _held_by(module: Any) -> Iterator[tuple[str, re.Pattern[Any]]]:
    """Yields the patterns in a module's variables, in its tables and on its classes."""
    for name, value in vars(module).items():
        values = value.values() if isinstance(value, dict) else value if isinstance(value, (tuple, list)) else [value]
        if isinstance(value, type) and value.__module__ == module.__name__:
            values = vars(value).values()
        yield from ((name, one) for one in values if isinstance(one, re.Pattern))
