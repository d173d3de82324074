"""Model text on its way to the events of a job: gathered for a moment, and never with a piece of a secret in it.

What arrives piece by piece could spell a secret over several events, each of them innocent. So the end of a text waits while it
could be the beginning of one; it goes out with what comes next, or when its step ends (security.md S26).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from engine.core.redaction import Redaction
from engine.run.steps import StepKey

#: Pieces of text are gathered for so many seconds.
GATHER_SECONDS = 0.1
#: When many steps write at once each of them is heard less often: every event is a row.
MANY = 8
GATHER_MANY_SECONDS = 0.5
#: The last word of a text waits for its end, when it is no longer than this.
LONGEST_WORD = 300
_LAST_WORD = re.compile(rf"(?<![0-9A-Za-z_+/=.-])[0-9A-Za-z_+/=.-]{{1,{LONGEST_WORD}}}\Z")


@dataclass(frozen=True)
class Piece:
    """Text of a step's model call; `call` counts the calls of the step from 1, the text of another call begins anew."""

    key: StepKey
    call: int
    text: str


class Streamed:
    """The texts of one attempt at a job."""

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction
        #: How many calls of a step are over.
        self._calls: dict[StepKey, int] = {}
        self._waiting: dict[tuple[StepKey, int], str] = {}
        self._fresh: set[tuple[StepKey, int]] = set()

    @property
    def due_in(self) -> float:
        """How long to gather before the next events."""
        return GATHER_SECONDS if len(self._waiting) <= MANY else GATHER_MANY_SECONDS

    def add(self, key: StepKey, text: str) -> bool:
        """More text; True when it is the first since the last `take`."""
        first = not self._fresh
        place = key, self._calls.get(key, 0) + 1
        self._waiting[place] = self._waiting.get(place, "") + text
        self._fresh.add(place)
        return first

    def called(self, key: StepKey) -> None:
        """A call of the step is over; text from now on is that of the next one."""
        self._calls[key] = self._calls.get(key, 0) + 1

    def take(self) -> Iterator[Piece]:
        """What may go out by now."""
        for place in list(self._waiting):
            if place not in self._fresh:
                continue
            text = self._redaction.known(self._waiting[place])
            waits = max(self._redaction.begun(text), _last_word(text))
            self._waiting[place] = text[len(text) - waits :]
            yield from self._piece(place, text[: len(text) - waits])
        self._fresh.clear()

    def end(self, key: StepKey) -> Iterator[Piece]:
        """The rest of a step that is over."""
        self._calls.pop(key, None)
        for place in [place for place in self._waiting if place[0] == key]:
            self._fresh.discard(place)
            yield from self._piece(place, self._waiting.pop(place))

    def _piece(self, place: tuple[StepKey, int], text: str) -> Iterator[Piece]:
        if text:
            yield Piece(*place, self._redaction.text(text))


def _last_word(text: str) -> int:
    found = _LAST_WORD.search(text[-LONGEST_WORD - 1 :])
    return len(found.group()) if found else 0
