"""Keeps the roll-up of ended jobs, which Monitoring reads: in small writes with pauses, so that calls go on.

`storage/monitoring/rollup_writes.py` says what the roll-up holds and why figures are exact while it is behind.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field

from engine.core.clock import DAY, HOUR
from engine.core.errors import StorageUnavailable
from storage.database import Database
from storage.monitoring.rollup_writes import (
    REACH,
    Span,
    begin,
    clear_carried,
    clear_hour,
    find_span,
    first_step,
    list_workspaces,
    next_step,
    oldest_sums,
    prepare,
    start_later,
    store,
    withdraw,
)

log = logging.getLogger(__name__)

#: The pause after a step, as a multiple of the time that it took, in which others use the database and the processor.
REST = 3.0


@dataclass
class Rollup:
    """Adds up what has ended since the last pass. `stop` ends a pass between two writes; `rest`: as REST."""

    database: Database
    stop: threading.Event = field(default_factory=threading.Event)
    rest: float = REST
    #: Workspace -> the start of its span before which no sums are left.
    _cleared: dict[str, int] = field(default_factory=dict)

    def run(self, seconds: float = 5.0) -> bool:
        """Works until nothing is left to add, or for about `seconds`. Returns True when more is left.

        Raises StorageUnavailable.
        """
        until = time.monotonic() + seconds
        for workspace_id in self.database.read_now(list_workspaces):
            while self._step_guarded(workspace_id):
                if self.stop.is_set() or time.monotonic() >= until:
                    return True
        return False

    def _step_guarded(self, workspace_id: str) -> bool:
        """Does `_step`. A fault in what one workspace has stored is logged, and the others go on."""
        try:
            return self._step(workspace_id)
        except StorageUnavailable:
            raise
        except Exception:
            log.exception("The jobs of workspace %s were not added up; its figures are read from them", workspace_id)
            return False

    def _step(self, workspace_id: str) -> bool:
        """Does the next small piece of work for a workspace. Returns False when nothing is left to do now."""
        begun = time.perf_counter()
        span = self.database.read_now(find_span, workspace_id)
        at = self.database.clock.now()
        if span is not None and span.until > at:  # the clock was set back: jobs are accepted within the span
            self.database.write_now(withdraw, workspace_id)
            span = None
        more = self._clear(workspace_id, span, at) or self._fold(workspace_id, span)
        if more:
            self.stop.wait((time.perf_counter() - begun) * self.rest)
        return more

    def _clear(self, workspace_id: str, span: Span | None, at: int) -> bool:
        """Removes an hour that no period reaches any more, or a part of a roll-up that was withdrawn."""
        if span is not None and span.since < at - REACH - HOUR:
            self.database.write_now(start_later, workspace_id, at - REACH)
            return True
        if span is not None and self._cleared.get(workspace_id) == span.since:
            return False
        oldest = self.database.read_now(oldest_sums, workspace_id)
        if oldest is None or (span is not None and oldest >= span.since // DAY * DAY):
            if span is not None:
                self._cleared[workspace_id] = span.since
            return False
        self.database.write_now(clear_hour, workspace_id, oldest)
        return True

    def _fold(self, workspace_id: str, span: Span | None) -> bool:
        if span is None:
            self.database.write_now(clear_carried, workspace_id)
            self.database.write_now(begin, self.database.read_now(first_step, workspace_id))
            return True
        step = self.database.read_now(next_step, workspace_id, span)
        return step.changes and self.database.write_now(store, prepare(step)) and step.more
