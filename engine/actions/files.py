"""Actions on files: uploads of callers and people, and looking a file up for its download."""

from __future__ import annotations

import hashlib
import json

from msgspec import Struct
from sqlalchemy.orm import Session

from engine.actions.principal import Principal, require_may
from engine.core.errors import IdempotencyKeyReused, NotFound
from engine.files.intake import Incoming, check_space, store_file
from engine.jobs.submit.accept import Caller, read_key_again
from engine.jobs.submit.idempotency import idempotency_scope
from storage.database import now
from storage.files import UNUSED_MS, FileRow, find_file, find_visible
from storage.idempotency import find_answer, insert_answer

#: The environment of files that people upload on the pages.
PLAYGROUND = "playground"
_ROUTE = "/files"


class Uploaded(Struct, frozen=True):
    """A stored upload. `replayed`: an earlier call with this Idempotency-Key made it."""

    file: FileRow
    replayed: bool = False

    @property
    def kept_until(self) -> int:
        """When it is removed unless something names it by then, in milliseconds since 1970."""
        return self.file.created_at + UNUSED_MS


def check_room(session: Session, caller: Caller, announced: int) -> None:
    """Refuses a file that the workspace has no space for before it is received. Raises Unauthorized, FileSpaceFull."""
    caller = read_key_again(session, caller)
    check_space(session, caller.workspace_id, announced)


def upload(session: Session, caller: Caller, incoming: Incoming, idempotency_key: str | None) -> Uploaded:
    """Stores a file for a caller. Raises Unauthorized, FileSpaceFull, IdempotencyKeyReused and StorageUnavailable."""
    caller = read_key_again(session, caller)
    scope = fingerprint = ""
    if idempotency_key is not None:
        scope = idempotency_scope(caller.workspace_id, caller.environment, _ROUTE, idempotency_key)
        fingerprint = hashlib.sha256(f"{incoming.draft.sha256}\n{incoming.name}".encode()).hexdigest()
        earlier = find_answer(session, scope)
        if earlier is not None:
            row = _find_callers_file(session, caller, json.loads(earlier.body).get("file_id", ""))
            if earlier.fingerprint != fingerprint:
                raise IdempotencyKeyReused("The file or its name differs from that of the first request")
            if row is None:
                raise IdempotencyKeyReused(
                    "The file that it stored was removed meanwhile, or is one of another API key that yours does not see",
                    remedy="Upload the file with a new `Idempotency-Key`.",
                )
            if row.media_type != incoming.media_type:
                raise IdempotencyKeyReused(
                    f"The type of the file differs from that of the first request: this one is {incoming.media_type} by the "
                    f"type that the form says, the first one was {row.media_type}"
                )
            return Uploaded(row, replayed=True)
    row = store_file(
        session,
        incoming,
        workspace_id=caller.workspace_id,
        environment=caller.environment,
        key_id=caller.key_id,
        created_by=None if caller.key_id is None else f"key {caller.label}",
    )
    if scope:
        insert_answer(session, scope, fingerprint, 0, {"file_id": row.id}, created_at=now(session))
    return Uploaded(row)


def upload_by_person(
    session: Session, principal: Principal, incoming: Incoming, environment: str = PLAYGROUND
) -> FileRow:
    """Stores a file that a person chose on a page. Keys of `environment` may use it, too. Raises NotAllowed, FileSpaceFull and StorageUnavailable."""
    require_may(principal, "run flows")
    return store_file(
        session,
        incoming,
        workspace_id=principal.workspace_id,
        environment=environment,
        created_by=principal.actor,
    )


def get_callers_file(session: Session, caller: Caller, file_id: str) -> FileRow:
    """Returns a file that the caller sees; a query. Raises NotFound."""
    found = _find_callers_file(session, caller, file_id)
    if found is None:
        raise NotFound(f"No file has the id {file_id[:100]!r}")
    return found


def _find_callers_file(session: Session, caller: Caller, file_id: str) -> FileRow | None:
    scope = caller.files_scope
    if scope is None:
        return find_file(session, caller.workspace_id, file_id)
    return find_visible(session, caller.workspace_id, [file_id], scope, caller.key_id).get(file_id)
