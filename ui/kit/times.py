"""Moments in the words of the person at the page: stored milliseconds in, `4 min ago` out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from engine.core.clock import Clock
from ui.kit import text
from ui.kit.text import Reader


@dataclass(frozen=True)
class Times:
    """How this page tells time: the server's clock and the reader's zone. All moments are milliseconds since 1970."""

    clock: Clock
    reader: Reader

    def ago(self, at: int) -> str:
        """`10 s ago`, `yesterday`."""
        return text.ago(when(at), when(self.clock.now()), self.reader)

    def moment(self, at: int) -> str:
        """`today 09:52:07`, `12 Nov 09:52`."""
        return text.moment(when(at), when(self.clock.now()), self.reader)

    def day(self, at: int) -> str:
        """`today`, `31 Dec`."""
        return text.day(when(at), when(self.clock.now()), self.reader)

    def clock_time(self, at: int) -> str:
        """`09:41:52`."""
        return text.clock_time(when(at), self.reader)

    def spent(self, begun: int | None, ended: int | None) -> str:
        """How long something took or has taken so far; empty before it began."""
        if begun is None:
            return ""
        return text.duration(max(0, (ended if ended is not None else self.clock.now()) - begun) / 1000, self.reader)

    def cost(self, nanos: int | None) -> str:
        """Stored nano-dollars as `$0.0014`; None is `unknown`."""
        return text.cost(None if nanos is None else nanos / 1_000_000_000, self.reader)


def when(at: int) -> datetime:
    """A stored moment as an aware datetime."""
    return datetime.fromtimestamp(at / 1000, UTC)
