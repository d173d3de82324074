"""Remembers what the public API refused, off the accept path: counts for charts and the last calls for the owner to read."""

from __future__ import annotations

from collections import Counter

from sqlalchemy.orm import Session

from api.errors import status_of
from api.later import Later
from engine.clock import MINUTE
from engine.errors import FieldError, NotDeployed, NotFound, Refusal
from engine.jobs.accept import Caller
from storage.database import Database
from storage.refusals import Counted, RefusedRow, add_refusals

_MOST_FIELDS = 20


class RefusalRecorder:
    """Takes note of refusals; they are in the database within a second."""

    def __init__(self, database: Database) -> None:
        self._clock = database.clock
        self._later = Later(database, _write)

    def record(self, refusal: Refusal, request_id: str, caller: Caller | None, flow_id: str) -> None:
        """One refused call. Without a valid key it is only counted."""
        unknown_flow = isinstance(refusal, NotFound) and not isinstance(refusal, NotDeployed)
        self._later.add(
            RefusedRow(
                workspace_id=caller.workspace_id if caller else "",
                at=self._clock.now(),
                request_id=request_id,
                key_id=(caller.key_id or "") if caller else "",
                key_prefix=caller.prefix if caller else "",
                flow_id="" if caller is None or unknown_flow else flow_id,
                status=status_of(refusal),
                code=refusal.code,
                fields=tuple(_field(error) for error in refusal.errors[:_MOST_FIELDS]),
            )
        )

    async def flush(self) -> None:
        """Writes what is waiting now."""
        await self._later.flush()


def _field(error: FieldError) -> dict[str, str]:
    """What may be kept of a wrong field: where and which rule; of a wrong type, the words for both types."""
    detail = error.detail if error.code in {"type_error", "required"} else ""
    return {"pointer": error.pointer[:200], "code": error.code, "detail": detail}


def _write(session: Session, calls: list[RefusedRow]) -> None:
    counts = Counter(
        Counted(call.at // MINUTE, call.workspace_id, call.flow_id, call.key_id, call.code) for call in calls
    )
    add_refusals(session, counts, [call for call in calls if call.workspace_id][-1_000:])
