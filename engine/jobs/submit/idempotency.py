"""Answers to requests that are sent again with the same Idempotency-Key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy.orm import Session

from engine.core.errors import IdempotencyKeyReused
from engine.jobs.submit.bodies import CheckedBody, fingerprint_of
from storage.erasing import find_erased_item
from storage.idempotency import find_answer, insert_answer


def idempotency_scope(workspace_id: str, environment: str, route: str, key: str) -> str:
    """Returns the SHA-256 of workspace, environment, route and Idempotency-Key, in hexadecimal."""
    return hashlib.sha256(f"{workspace_id}\n{environment}\n{route}\n{key}".encode()).hexdigest()


def find_earlier(
    session: Session, scope: str, body: Mapping[str, Any], body_as_of: Callable[[int], CheckedBody]
) -> dict[str, Any] | None:
    """Returns the answer to an earlier request with this Idempotency-Key within 24 hours, or None. Raises
    IdempotencyKeyReused.

    Two requests are the same when their bodies, with the defaults of the version that the first one used, and their
    options are equal. The version that is live now does not matter: `body_as_of` checks the body of this request against
    a version.
    """
    row = find_answer(session, scope)
    if row is None:
        return None
    if not row.fingerprint:
        raise IdempotencyKeyReused(
            f"The data of {_what_was_erased(session, json.loads(row.body))} were erased, so nobody can tell if the body "
            "is the same"
        )
    if row.flow_version is None:  # an earlier release compared bodies without defaults
        same = row.fingerprint == fingerprint_of(body, None)
    else:
        as_then = body_as_of(row.flow_version)
        same = not as_then.errors and row.fingerprint == as_then.fingerprint
    if not same:
        raise IdempotencyKeyReused(
            "The body, `X-Flow-Version`, `Cancel-After` or `X-Webhook-Url` differs from that of the first request"
        )
    return json.loads(row.body)


def _what_was_erased(session: Session, answer: Mapping[str, Any]) -> str:
    batch_id = answer.get("batch_id")
    if batch_id is None:
        return "the job it made"
    return f"{find_erased_item(session, batch_id) or 'an item'} of the batch it made, {batch_id},"


def remember(session: Session, scope: str, fingerprint: str, flow_version: int, accepted: Mapping[str, Any]) -> None:
    """Stores the answer under the Idempotency-Key, in the transaction that stores the job."""
    insert_answer(session, scope, fingerprint, flow_version, accepted, created_at=accepted["created_at"])
