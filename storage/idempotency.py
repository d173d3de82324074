"""Queries for answers to requests with an Idempotency-Key. `scope`: a hash of workspace, environment, route and key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from sqlalchemy import delete
from sqlalchemy.orm import Session

from engine.core.clock import DAY
from storage.database import now
from storage.statements import Statement, insert_into
from storage.tables import Idempotency

#: How long an Idempotency-Key is remembered, in milliseconds.
KEPT_MS = DAY

_FIND = Statement("select fingerprint, flow_version, body, created_at from idempotency where scope = :scope")
_COLUMNS = ("scope", "fingerprint", "flow_version", "status", "body", "created_at")
_INSERT = insert_into("idempotency", _COLUMNS, or_update=("scope",))


class EarlierAnswer(Struct, frozen=True):
    """A stored answer, and the fingerprint of its request, which is empty when the job's data was erased.

    `flow_version` None: an earlier release wrote it, with the fingerprint of the body alone.
    """

    fingerprint: str
    flow_version: int | None
    body: str
    created_at: int


def find_answer(session: Session, scope: str) -> EarlierAnswer | None:
    """Returns the answer that was stored within the last 24 hours, or None."""
    row = _FIND.row(session, {"scope": scope})
    if row is None:
        return None
    earlier = EarlierAnswer(*row)
    return earlier if earlier.created_at > now(session) - KEPT_MS else None


def insert_answer(
    session: Session, scope: str, fingerprint: str, flow_version: int, answer: Mapping[str, Any], *, created_at: int
) -> None:
    """Stores an answer, in the transaction that stores the job and in which `find_answer` found none. It replaces one that
    is older than 24 hours.
    """
    row = {"scope": scope, "fingerprint": fingerprint, "flow_version": flow_version, "status": 202}
    _INSERT.run(session, {**row, "body": json.dumps(answer), "created_at": created_at})


def remove_old_answers(session: Session) -> None:
    """Removes all answers that are older than 24 hours."""
    session.execute(delete(Idempotency).where(Idempotency.created_at < now(session) - KEPT_MS))
