"""Records refused calls of the public API in deferred writes: counts for charts, and the latest calls for the owner to
read.
"""

from __future__ import annotations

from collections import Counter

from msgspec.structs import replace
from sqlalchemy.orm import Session

from api.http.parameters import is_id
from api.http.problem_json import status_of
from engine.core.clock import MINUTE
from engine.core.errors import FieldError, NotDeployed, NotFound, PayloadInvalid, Refusal
from engine.jobs.submit.accept import Caller
from storage.database import Database
from storage.deferred_writes import Later
from storage.flows import which_flows_exist
from storage.keys import find_owner_of_secret
from storage.refusals import MAX_STORED_FIELDS, Counted, RefusedRow, add_refusals

#: Codes of wrong fields whose details name what the flow asks for, and nothing that was sent.
_ASKED = frozenset({"type_error", "required", "unknown_field", "enum", "format", "minimum", "maximum"})
_LONGEST_DETAIL = 500

#: A refused call, and the hash of its key when the caller is not known.
_Heard = tuple[RefusedRow, str | None]


class RefusalRecorder(Later[_Heard]):
    """Buffers refused calls and writes them to the database within a second."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, _write)
        self._clock = database.clock

    def record(
        self, refusal: Refusal, request_id: str, caller: Caller | None, flow_id: str, key_hash: str | None = None
    ) -> None:
        """Records one refused call. A call with a revoked or expired key is assigned to that key; one with an unknown
        key is only counted.

        The owner of the key, and whether the flow is theirs, are looked up when the record is written, so that every
        401 takes the same time. `flow_id` comes from the URL; text that does not have the form of an id is not stored.
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
            fields=tuple(_field(error, refusal) for error in refusal.errors[:MAX_STORED_FIELDS]),
        )
        self.add((call, key_hash))


def _field(error: FieldError, refusal: Refusal) -> dict[str, str]:
    """Returns what is stored of a wrong field: its pointer, the violated rule, what the flow asks for instead, and for
    an unknown field its type. Never its value.
    """
    asked = _ASKED if isinstance(refusal, PayloadInvalid) else {"type_error", "required"}
    detail = error.detail[:_LONGEST_DETAIL] if error.code in asked else ""
    kept = {"pointer": error.pointer[:200], "code": error.code, "detail": detail}
    return {**kept, "sent": error.sent} if error.sent else kept


def _write(session: Session, heard: list[_Heard]) -> None:
    calls = _with_own_flows(session, [_owned(session, *one) for one in heard])
    counts = Counter(
        Counted(call.at // MINUTE, call.workspace_id, call.flow_id, call.key_id, call.code) for call in calls
    )
    add_refusals(session, counts, [call for call in calls if call.workspace_id][-1_000:])


def _owned(session: Session, call: RefusedRow, key_hash: str | None) -> RefusedRow:
    """Returns the call with the owner of its key, if the key is known."""
    owner = None if call.workspace_id or key_hash is None else find_owner_of_secret(session, key_hash)
    if owner is None:
        return call
    workspace_id, key_id, prefix = owner
    return replace(call, workspace_id=workspace_id, key_id=key_id, key_prefix=prefix)


def _with_own_flows(session: Session, calls: list[RefusedRow]) -> list[RefusedRow]:
    """Removes flow ids that do not belong to the owner of the key: each invented id would create a row in the counts
    that is never deleted.
    """
    named: dict[str, set[str]] = {}
    for call in calls:
        if call.workspace_id and call.flow_id:
            named.setdefault(call.workspace_id, set()).add(call.flow_id)
    own = {workspace_id: which_flows_exist(session, workspace_id, ids) for workspace_id, ids in named.items()}
    return [call if call.flow_id in own.get(call.workspace_id, set()) else replace(call, flow_id="") for call in calls]
