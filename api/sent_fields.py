"""Remembers which fields each key sends to a flow, off the accept path: an update can then say whom it will break.

Names of fields only, never values, and only names the flow's API Input had: a call with any other was refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from api.later import Later
from engine.clock import DAY
from engine.jobs.accept import Caller
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
        names = Counter(name for payload in payloads for name, value in payload.items() if value is not None)
        names[CALLS] = len(payloads)
        day = self._clock.now() // DAY
        self._later.add(
            Counter(
                {Sent(day, caller.workspace_id, flow_id, caller.key_id, name): count for name, count in names.items()}
            )
        )

    async def flush(self) -> None:
        """Writes what is waiting now."""
        await self._later.flush()


def _write(session: Session, noted: list[Counter[Sent]]) -> None:
    counts: Counter[Sent] = Counter()
    for one in noted:
        counts.update(one)
    add_sent_fields(session, counts)
