"""Remembers which fields each key sends to a flow, off the accept path: an update can then say whom it will break.

Names of fields only, never values, and only names the flow's API Input had: a call with any other was refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from api.deferred_writes import Later
from engine.core.clock import DAY
from engine.jobs.submit.accept import Caller
from storage.database import Database
from storage.sent_fields import CALLS, Sent, add_sent_fields


class SentFieldRecorder:
    """Takes note of accepted calls; they are in the database within a second."""

    def __init__(self, database: Database) -> None:
        self._clock = database.clock
        self._later = Later(database, _write)

    def note(self, caller: Caller, flow_id: str, payloads: Sequence[Mapping[str, Any]]) -> None:
        """Accepted payloads of one call. Null counts as not sent."""
        if caller.key_id is None:
            return
        names = [name for payload in payloads for name, value in payload.items() if value is not None]
        self._later.add(
            _Noted(self._clock.now() // DAY, caller.workspace_id, flow_id, caller.key_id, len(payloads), names)
        )

    async def flush(self) -> None:
        """Writes what is waiting now."""
        await self._later.flush()


@dataclass(slots=True)
class _Noted:
    """One call; it is counted when it is written."""

    day: int
    workspace_id: str
    flow_id: str
    key_id: str
    payloads: int
    names: list[str]


def _write(session: Session, noted: list[_Noted]) -> None:
    counts: Counter[Sent] = Counter()
    for one in noted:
        where = (one.day, one.workspace_id, one.flow_id, one.key_id)
        counts[Sent(*where, CALLS)] += one.payloads
        counts.update(Sent(*where, name) for name in one.names)
    add_sent_fields(session, counts)
