"""Sees to it that no job is accepted at a time which the roll-up of Monitoring has passed, since it reads the jobs of a
time once (`storage/monitoring/rollup_writes.py`).

That happens when the clock is set back, if only for a moment between two passes of the roll-up. The roll-up stays behind
the clock, so a process whose writes follow each other in time need not look. Otherwise the transaction that accepts a job
takes the spans away that reach beyond it, and the roll-up begins anew.
"""

from __future__ import annotations

import functools
from typing import Final

from sqlalchemy.orm import Session

from engine.core.clock import MINUTE
from storage.statements import Statement

#: The key in `session.info` for the SpanGuard of a process, set by the database that opened the session.
SPAN_GUARD: Final = "span_guard"
#: Every span ends so long before the newest time that is noted: less than the roll-up stays behind.
MARGIN: Final = MINUTE

_WITHDRAW: Final = Statement("delete from rollup_spans where until > :at")


class SpanGuard:
    """The newest time of the writes of a process since it last looked at the spans; None: it has not looked yet."""

    def __init__(self) -> None:
        self.newest: int | None = None

    def note(self, at: int) -> None:
        """Takes the time of a write after which a span may end later."""
        if self.newest is not None and at > self.newest:
            self.newest = at

    def admits(self, at: int) -> bool:
        """Returns whether no span can reach beyond a job that is accepted at this time: it is about the newest one."""
        newest = self.newest
        if newest is None or not newest - MARGIN <= at <= newest + MARGIN:
            return False
        self.newest = max(newest, at)
        return True

    def looked(self, before: int | None, at: int) -> None:
        """Takes the time at which the spans were looked at, unless a later write was noted meanwhile."""
        if self.newest == before:
            self.newest = at


def keep_out_of_spans(session: Session, at: int) -> None:
    """Takes away the spans that reach beyond a job that is accepted at this time, if there can be any."""
    guard: SpanGuard | None = session.info.get(SPAN_GUARD)
    if guard is not None and guard.admits(at):
        return
    _WITHDRAW.run(session, {"at": at - MARGIN})
    if guard is not None:  # it counts once it is stored
        session.info["after_commit"].append((functools.partial(guard.looked, guard.newest, at), ()))
