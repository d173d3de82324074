"""What values a flow may hold: how deep they may be nested, and which numbers and texts can be stored and read again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isfinite

from pydantic import JsonValue

from engine.core.lone_surrogates import has_lone_surrogates

#: The levels of lists and objects in a document or a flow file.
MAX_DEPTH = 64
#: Characters of a name out of a file that a problem shows.
SHOWN = 100


def unfit(value: JsonValue) -> Iterator[tuple[tuple[int | str, ...], str]]:
    """Yields the place of each number and text that no flow may hold, and a sentence about it: what cannot be stored, or
    cannot be read by most programs. Iterative.
    """
    waiting: list[tuple[tuple[int | str, ...], JsonValue]] = [((), value)]
    while waiting:
        here, one = waiting.pop()
        if isinstance(one, str):
            if has_lone_surrogates(one):
                yield here, f"{_named(here)} has {_HALF_OF_A_CHARACTER}"
        elif isinstance(one, dict):
            if any(map(has_lone_surrogates, one)):
                yield here, f"A key has {_HALF_OF_A_CHARACTER}"
            waiting += [((*here, key), inside) for key, inside in reversed(one.items())]
        elif isinstance(one, list | tuple):
            waiting += [((*here, at), inside) for at, inside in reversed([*enumerate(one)])]
        elif isinstance(one, int) and not fits_64_bits(one):
            yield here, f"{_named(here)} is a whole number of more than 64 bits. Put it in quotes, as a text."
        elif isinstance(one, float) and not isfinite(one):
            yield here, f"{_named(here)} is a number beyond all that a program can hold. Write a smaller one."


_HALF_OF_A_CHARACTER = (
    "half of a character, which cannot be stored: a text was cut in the middle of a sign such as an emoji. Write the whole "
    "sign, or remove the half."
)


def fits_64_bits(number: int) -> bool:
    """True for a whole number that every JSON writer can write."""
    return -(1 << 63) <= number < 1 << 63


def _named(location: Sequence[int | str]) -> str:
    name = next((part for part in reversed(location) if isinstance(part, str)), "")
    return f"`{shown_name(name)}`" if name else "A value"


def shown_name(name: str) -> str:
    """Returns the beginning of a name, with a replacement for each half of a character."""
    return name[:SHOWN].encode(errors="replace").decode()


def deeper_than(value: JsonValue, limit: int) -> bool:
    """True when lists and objects are nested more than `limit` levels deep.

    Iterative, so that no input overflows the stack.
    """
    level = [value]
    for _ in range(limit):
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return False
    return any(isinstance(item, dict | list) for item in level)
