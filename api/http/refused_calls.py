"""Remembers what the public API refused, off the accept path: counts for charts and the last calls for the owner to read."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from sqlalchemy.orm import Session

from api.http.parameters import is_id
from api.http.problem_json import status_of
from engine.core.clock import MINUTE
from engine.core.errors import FieldError, NotDeployed, NotFound, Refusal
from engine.jobs.submit.accept import Caller
from storage.database import Database
from storage.deferred_writes import Later
from storage.flows import which_flows_exist
from storage.keys import find_owner_of_secret
from storage.refusals import Counted, RefusedRow, add_refusals

_MOST_FIELDS = 20


#: A refused call, and the hash of its key while it is not known whose that is.
_Heard = tuple[RefusedRow, str | None]


class RefusalRecorder(Later[_Heard]):
    """Takes note of refusals; they are in the database within a second."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, _write)
        self._clock = database.clock

    def record(
        self, refusal: Refusal, request_id: str, caller: Caller | None, flow_id: str, key_hash: str | None = None
    ) -> None:
        """One refused call. With a revoked or expired key it belongs to that key; with an unknown one it is only counted.

        Whose key it was is looked up when this is written, so that every 401 takes the same time; so is whether the owner has
        the flow. `flow_id` is what the address says: what is no id is dropped here, whatever its length.
        """
        unknown_flow = (isinstance(refusal, NotFound) and not isinstance(refusal, NotDeployed)) or not is_id(flow_id)
        call = RefusedRow(
            workspace_id=caller.workspace_id if caller else "",
            at=self._clock.now(),
            request_id=request_id,
            key_id=(caller.key_id or "") if caller else "",
            key_prefix=caller.prefix if caller else "",
            flow_id="" if unknown_flow else flow_id,
            status=status_of(refusal),
            code=refusal.code,
            fields=tuple(_field(error) for error in refusal.errors[:_MOST_FIELDS]),
        )
        self.add((call, key_hash))


def _field(error: FieldError) -> dict[str, str]:
    """What may be kept of a wrong field: where and which rule; of a wrong type the words for both types, of an unknown field its type."""
    detail = error.detail if error.code in {"type_error", "required"} else ""
    kept = {"pointer": error.pointer[:200], "code": error.code, "detail": detail}
    return {**kept, "sent": error.sent} if error.sent else kept


def _write(session: Session, heard: list[_Heard]) -> None:
    calls = _with_own_flows(session, [_owned(session, *one) for one in heard])
    counts = Counter(
        Counted(call.at // MINUTE, call.workspace_id, call.flow_id, call.key_id, call.code) for call in calls
    )
    add_refusals(session, counts, [call for call in calls if call.workspace_id][-1_000:])


def _owned(session: Session, call: RefusedRow, key_hash: str | None) -> RefusedRow:
    """The call with the owner of its key."""
    owner = None if call.workspace_id or key_hash is None else find_owner_of_secret(session, key_hash)
    if owner is None:
        return call
    workspace_id, key_id, prefix = owner
    return replace(call, workspace_id=workspace_id, key_id=key_id, key_prefix=prefix)


def _with_own_flows(session: Session, calls: list[RefusedRow]) -> list[RefusedRow]:
    """Names a flow only when it is the same owner's: a made-up id would be one more row of the counts, for good."""
    named: dict[str, set[str]] = {}
    for call in calls:
        if call.workspace_id and call.flow_id:
            named.setdefault(call.workspace_id, set()).add(call.flow_id)
    own = {workspace_id: which_flows_exist(session, workspace_id, ids) for workspace_id, ids in named.items()}
    return [call if call.flow_id in own.get(call.workspace_id, set()) else replace(call, flow_id="") for call in calls]
