"""Keeps what happens again and again from filling the log."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable


class LogThrottle:
    """Tells whether a line may be logged: about each subject once in so many seconds. May be called from any thread."""

    def __init__(self, seconds: float = 10.0, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._monotonic = monotonic
        self._said: dict[Hashable, float] = {}

    def may_say(self, subject: Hashable) -> bool:
        """Returns True the first time, and again when the last True is long enough ago."""
        at = self._monotonic()
        if at - self._said.get(subject, -self._seconds) < self._seconds:
            return False
        self._said[subject] = at
        return True
