"""Turns streamed model text into events of a job: gathers it for a moment, and lets no part of a secret through.

Text that arrives in pieces could spell out a secret over several events, none of which contains it. So the end of a
text is held back. It is sent with the next piece, or when its step ends (S26).
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from engine.core.redaction import Redaction
from engine.run.steps import StepKey

#: The seconds for which pieces of text are gathered into one event.
GATHER_SECONDS = 0.1
#: When more texts than this are streamed at once, each has fewer events, because every event is a row.
MANY = 8
GATHER_MANY_SECONDS = 0.5


class Piece(Struct, frozen=True):
    """A piece of the text of a step's model call.

    `call` counts the step's calls from 1; each call has a text of its own.
    """

    key: StepKey
    call: int
    text: str


class Streamed:
    """The model texts of one attempt at a job."""

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction
        #: The number of calls of a step that have ended.
        self._calls: dict[StepKey, int] = {}
        self._waiting: dict[tuple[StepKey, int], str] = {}
        self._fresh: set[tuple[StepKey, int]] = set()

    @property
    def due_in(self) -> float:
        """The seconds to gather text before the next events."""
        return GATHER_SECONDS if len(self._waiting) <= MANY else GATHER_MANY_SECONDS

    def add(self, key: StepKey, text: str) -> bool:
        """Adds text. Returns True when it is the first since the last `take`."""
        first = not self._fresh
        place = key, self._calls.get(key, 0) + 1
        self._waiting[place] = self._waiting.get(place, "") + text
        self._fresh.add(place)
        return first

    def called(self, key: StepKey) -> None:
        """Records that a call of the step has ended; later text belongs to the next call."""
        self._calls[key] = self._calls.get(key, 0) + 1

    def take(self) -> Iterator[Piece]:
        """Yields the pieces that may be sent now."""
        for place in list(self._waiting):
            if place not in self._fresh:
                continue
            text = self._redaction.known(self._waiting[place])
            waits = self._redaction.held_back(text)
            self._waiting[place] = text[len(text) - waits :]
            yield from self._piece(place, text[: len(text) - waits])
        self._fresh.clear()

    def end(self, key: StepKey) -> Iterator[Piece]:
        """Yields the rest of the text of a step that has ended."""
        self._calls.pop(key, None)
        for place in [place for place in self._waiting if place[0] == key]:
            self._fresh.discard(place)
            yield from self._piece(place, self._waiting.pop(place))

    def _piece(self, place: tuple[StepKey, int], text: str) -> Iterator[Piece]:
        if text:
            yield Piece(*place, self._redaction.text(text))
