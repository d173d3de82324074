"""How much of a value a form draws: each box takes some milliseconds of the server and some kilobytes. Pure functions.

What is not drawn stays in the value, and JSON shows all of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

#: Values that a form draws at first, with those in lists and groups inside, and the items of one list among them.
MAX_VALUES: Final = 300
MAX_ITEMS: Final = 100
#: Values that a list has at least, however many others stand beside it.
_LEAST: Final = 20


def count_values(value: Any, most: int = MAX_VALUES) -> int:
    """The values in a list or group, each empty one counted too; 1 for all else. Counts to `most` + 1 at most."""
    count, waiting = 0, [value]
    while waiting and count <= most:
        one = waiting.pop()
        inside = one.values() if isinstance(one, Mapping) else one if isinstance(one, list | tuple) else ()
        if inside:
            waiting.extend(_first(inside, most + 1 - count))
        else:
            count += 1
    return count


def _first(values: Iterable[Any], most: int) -> list[Any]:
    return [value for value, _at in zip(values, range(most), strict=False)]


def room_in(value: Mapping[str, Any], most: int = MAX_VALUES) -> int:
    """How many values each list of a form may draw, so that those of all its large lists have a limit together."""
    large = sum(count_values(one, _LEAST) > _LEAST for one in value.values())
    return max(_LEAST, most // max(1, large))


def drawn_first(items: Sequence[Any], room: int, pages: int, *, folded: bool = False) -> int:
    """How many items are drawn. `folded`: what is inside an item is drawn later. The first one always is."""
    items = items[: MAX_ITEMS * pages]
    if folded:
        return len(items)
    used = 0
    for at, item in enumerate(items):
        if used >= room * pages:
            return at
        used += count_values(item, room)
    return len(items)
