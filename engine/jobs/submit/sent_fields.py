"""Records which fields each key sends to a flow, in deferred writes. A deployment can then warn which callers it would
break.

Only names of fields are stored, never values, and only names of the flow's API Input, because calls with other fields
are refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from engine.core.clock import DAY
from engine.jobs.submit.accept import Caller
from storage.database import Database
from storage.deferred_writes import Later
from storage.sent_fields import CALLS, Sent, add_sent_fields


class SentFieldRecorder(Later[Counter[Sent]]):
    """Counts the fields of accepted calls and writes the counts to the database within a second."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, _write)
        self._clock = database.clock

    def note(self, caller: Caller, flow_id: str, payloads: Sequence[Mapping[str, Any]]) -> None:
        """Counts the fields of the accepted payloads of one call. A field with null counts as not sent."""
        if caller.key_id is None:
            return
        if not self.items:
            self.add(Counter())
        counts = self.items[-1]
        where = self._clock.now() // DAY, caller.workspace_id, flow_id, caller.key_id
        for payload in payloads:
            for name, value in payload.items():
                if value is not None:
                    counts[Sent(*where, name)] += 1
        counts[Sent(*where, CALLS)] += len(payloads)


def _write(session: Session, counts: list[Counter[Sent]]) -> None:
    for one in counts:
        add_sent_fields(session, one)
