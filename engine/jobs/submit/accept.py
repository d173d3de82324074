"""Accepts a job: limit, quota, job row, payload, event and queue message in one transaction.

The transaction reads again whether the key is revoked and which version is live. Caches elsewhere only save parsing, so
none of them has to be updated when a key is revoked or another version goes live.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cachetools import LRUCache, cached
from sqlalchemy.orm import Session

from engine.core.clock import SECOND
from engine.core.errors import (
    FieldError,
    IdempotencyKeyReused,
    NotAllowed,
    NotDeployed,
    NotFound,
    PayloadInvalid,
    Unauthorized,
)
from engine.core.ids import JobId, new_id
from engine.flow.contract import check_payload, input_fields, result_schema
from engine.flow.document import Document, load_document
from engine.flow.node_type import JsonSchema
from engine.flow.validation import without_parked
from engine.jobs.huey_queue import send
from engine.jobs.job_values import encoded
from engine.jobs.notifier import job_changed
from engine.jobs.submit.limits import LimitsView, limits_now, take_slots
from engine.nodes import CATALOG
from storage.database import now
from storage.flows import CalledFlow, find_called_flow, find_document, was_ever_deployed
from storage.idempotency import find_answer, insert_answer
from storage.job_changes import insert_job
from storage.jobs import KeyScope, find_status
from storage.keys import find_caller, read_caller
from storage.usage import Caps

#: The time limit of a job whose flow sets none, and the range of `limit_seconds` in a flow's settings; in seconds.
USUAL_LIMIT_SECONDS = 1_800
LIMIT_SECONDS = (10, 86_400)
#: The name of the flow setting with the webhook address, for each environment.
WEBHOOK_SETTINGS = {"live": "webhook_url", "test": "webhook_url_test", "dev": "webhook_url_dev"}


@dataclass(frozen=True)
class Caller:
    """Who calls. `key_id` None: a person on the server's own pages. The key's row is read again when the job is
    accepted.
    """

    workspace_id: str
    key_id: str | None
    environment: str
    label: str = ""
    prefix: str = ""
    flow_ids: frozenset[str] | None = None
    concurrency: int | None = None
    monthly: int | None = None
    #: Requests per second; None: no limit.
    requests: int | None = None
    #: The hash of the secret that was sent; after a rotation a key has two valid ones.
    key_hash: str = ""

    @property
    def scope(self) -> KeyScope:
        """Which jobs and batches this caller sees."""
        return KeyScope(self.environment, self.flow_ids)


@dataclass(frozen=True)
class SubmitOptions:
    """What a request asks for beside its payload. `route` is part of the scope of the Idempotency-Key."""

    version: int | None = None
    cancel_after_seconds: float | None = None
    webhook_url: str | None = None
    idempotency_key: str | None = None
    request_id: str = ""
    #: The caller's trace, as `engine.core.trace_context.TraceContext.dumps` writes it.
    trace: str | None = None
    route: str = ""


@dataclass(frozen=True)
class Accepted:
    """A job that is stored and will run.

    `replayed`: an earlier request with this Idempotency-Key created it, and `status` is its present one.
    """

    job_id: JobId
    status: str
    flow_id: str
    created_at: int
    replayed: bool
    limits: LimitsView


@dataclass(frozen=True)
class _Version:
    """The data of a version that accepting a job needs."""

    fields: tuple[Mapping[str, Any], ...]
    steps: int
    #: The JSON Schema of a job's result.
    result: JsonSchema


#: Applies the defaults of a version's fields to a body; returns the body and the errors found in it.
WithDefaults = Callable[[Sequence[Mapping[str, Any]], Mapping[str, Any]], tuple[Any, Sequence[FieldError]]]


@dataclass(frozen=True)
class CheckedBody:
    """A body with the defaults of a version, or the errors in it. `fingerprint` is empty when the request has no
    Idempotency-Key.
    """

    flow_version: int
    clean: Any
    errors: Sequence[FieldError]
    fingerprint: str


def check_body(
    session: Session,
    caller: Caller,
    flow_id: str,
    body: Mapping[str, Any],
    options: SubmitOptions,
    with_defaults: WithDefaults = check_payload,
) -> CheckedBody | None:
    """Validates a large body before the transaction of `accept`, which blocks other writers and would take 0.1 s
    longer.

    Returns None when the transaction will refuse the request or has to choose the version itself.
    """
    number = options.version
    if options.idempotency_key is not None:
        scope = idempotency_scope(caller, options.route or f"/flows/execute/{flow_id}", options.idempotency_key)
        earlier = find_answer(session, scope)
        number = number if earlier is None else earlier.flow_version or number
    flow = find_called_flow(session, caller.workspace_id, flow_id)
    if flow is None or (number is None and flow.live_version is None):
        return None
    try:
        number = choose_version(session, flow, number)
    except NotFound:
        return None
    return body_for(session, flow_id, number, body, options, with_defaults)


def body_for(
    session: Session,
    flow_id: str,
    number: int,
    body: Mapping[str, Any],
    options: SubmitOptions,
    with_defaults: WithDefaults,
    checked: CheckedBody | None = None,
) -> CheckedBody:
    """Returns the body with the defaults of this version: `checked` when it was made for the same version."""
    if checked is not None and checked.flow_version == number:
        return checked
    clean, errors = with_defaults(read_version(session, flow_id, number).fields, body)
    needed = options.idempotency_key is not None and not errors
    return CheckedBody(number, clean, errors, fingerprint_of(clean, options) if needed else "")


def accept(
    session: Session,
    caller: Caller,
    flow_id: str,
    payload: Mapping[str, Any],
    options: SubmitOptions,
    checked: CheckedBody | None = None,
) -> Accepted:
    """Stores a job for the live version. `checked` is the result of `check_body` for the payload.

    Raises Unauthorized, NotFound, NotDeployed, NotAllowed, PayloadInvalid, IdempotencyKeyReused, MonthlyQuotaExceeded,
    ConcurrencyLimitExceeded.
    """
    caller = read_key_again(session, caller)
    check_flow_allowed(session, caller, flow_id)  # before a replay, which reveals a job of this flow
    scope = ""
    if options.idempotency_key is not None:
        scope = idempotency_scope(caller, options.route or f"/flows/execute/{flow_id}", options.idempotency_key)
        earlier = find_earlier(session, scope, flow_id, payload, options, check_payload, checked)
        if earlier is not None:
            key_caps = Caps(caller.concurrency, caller.monthly)
            limits = limits_now(session, caller.workspace_id, caller.environment, caller.key_id, key_caps)
            status = find_status(session, caller.workspace_id, earlier["job_id"]) or earlier["status"]
            return Accepted(**{**earlier, "status": status}, replayed=True, limits=limits)
    flow = find_live_flow(session, caller, flow_id)
    number = choose_version(session, flow, options.version)
    version = read_version(session, flow.id, number)
    body = body_for(session, flow.id, number, payload, options, check_payload, checked)
    if body.errors:
        count = "1 field is wrong" if len(body.errors) == 1 else f"{len(body.errors)} fields are wrong"
        raise PayloadInvalid(count, errors=tuple(body.errors))
    limits = take_slots(
        session,
        caller.workspace_id,
        caller.environment,
        caller.key_id,
        Caps(caller.concurrency, caller.monthly),
        caller.label,
        flow.id,
    )
    job_id = JobId(new_id("job"))
    insert_job(
        session,
        {
            "id": job_id,
            "workspace_id": caller.workspace_id,
            "flow_id": flow.id,
            "flow_version": number,
            "environment": caller.environment,
            "key_id": caller.key_id,
            "counted": True,
            "limit_ms": limit_ms(flow.settings, options.cancel_after_seconds),
            "steps_total": version.steps,
            "request_id": options.request_id,
            "traceparent": options.trace,
            "webhook_url": options.webhook_url or flow_webhook(flow.settings, caller.environment),
            "webhook_by_caller": options.webhook_url is not None,
        },
        encoded(body.clean),
    )
    send(session, job_id)
    job_changed(session, job_id)
    accepted = {"job_id": job_id, "status": "queued", "flow_id": flow.id, "created_at": now(session)}
    if scope:
        remember(session, scope, body.fingerprint, number, accepted)
    return Accepted(**accepted, replayed=False, limits=limits)


def flow_limit_ms(settings: Mapping[str, Any]) -> int:
    """Returns how long a job of a flow may run, in milliseconds, from the flow's settings."""
    seconds = settings.get("limit_seconds", USUAL_LIMIT_SECONDS)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        seconds = USUAL_LIMIT_SECONDS
    return round(min(max(seconds, LIMIT_SECONDS[0]), LIMIT_SECONDS[1]) * SECOND)


def flow_webhook(settings: Mapping[str, Any], environment: str) -> str | None:
    """Returns the webhook address that a flow's settings name for an environment, or None."""
    return settings.get(WEBHOOK_SETTINGS[environment]) or None


def limit_ms(settings: Mapping[str, Any], cancel_after_seconds: float | None) -> int:
    """Returns how long a job may run in milliseconds: the flow's limit, or less when the caller asks for less."""
    limit = flow_limit_ms(settings)
    return limit if cancel_after_seconds is None else max(1, min(limit, round(cancel_after_seconds * SECOND)))


def read_key_again(session: Session, caller: Caller) -> Caller:
    """Reads the key in this transaction.

    Raises Unauthorized when the key, or the secret that was sent, is not valid any more.
    """
    if caller.key_id is None:
        return caller
    if caller.key_hash:
        row = find_caller(session, caller.key_hash)
    else:
        row = read_caller(session, caller.workspace_id, caller.key_id)
    if row is None:
        raise Unauthorized
    return Caller(
        workspace_id=caller.workspace_id,
        key_id=caller.key_id,
        environment=row.environment,
        label=row.label,
        prefix=caller.prefix,
        flow_ids=row.flow_ids,
        concurrency=row.concurrency,
        monthly=row.monthly,
        requests=row.requests,
        key_hash=caller.key_hash,
    )


def find_live_flow(session: Session, caller: Caller, flow_id: str) -> CalledFlow:
    """Returns id, live version and settings of a flow that this caller may call.

    Raises NotFound, NotAllowed, NotDeployed.
    """
    check_flow_allowed(session, caller, flow_id)
    flow = find_called_flow(session, caller.workspace_id, flow_id)
    if flow is None:
        raise _no_such_flow(flow_id)
    if flow.live_version is None:
        raise NotDeployed
    return flow


def check_flow_allowed(session: Session, caller: Caller, flow_id: str) -> None:
    """Raises NotAllowed when this key is limited to other flows, or NotFound when the flow does not exist."""
    if caller.flow_ids is None or flow_id in caller.flow_ids:
        return
    if find_called_flow(session, caller.workspace_id, flow_id) is None:
        raise _no_such_flow(flow_id)
    raise NotAllowed(
        f"The key “{caller.label}” may not call this flow",
        remedy="Use another key, or let the owner allow this flow for it under Settings, API Keys.",
    )


def _no_such_flow(flow_id: str) -> NotFound:
    return NotFound(
        f"No flow has the id {flow_id[:100]!r}", remedy="GET /public/v1/flows lists the flows that this key may call."
    )


def choose_version(session: Session, flow: CalledFlow, wanted: int | None) -> int:
    """Returns the number of the live version, or the wanted one when it was ever deployed. Raises NotFound."""
    if wanted is None or wanted == flow.live_version:
        assert flow.live_version is not None
        return flow.live_version
    if not was_ever_deployed(session, flow.id, wanted):
        raise NotFound(f"Version {wanted} of this flow was never deployed")
    return wanted


#: Cached data of versions. A version never changes, so an entry stays valid.
_KEPT_VERSIONS = 512


@cached(LRUCache(_KEPT_VERSIONS), key=lambda *arguments: arguments[1:], lock=threading.Lock())
def read_version(session: Session, flow_id: str, number: int) -> _Version:
    """Returns the fields, the number of steps and the schema of the result of a version. Raises NotFound."""
    text = find_document(session, flow_id, number)
    if text is None:
        raise NotFound(f"Version {number} of this flow does not exist")
    document = load_document(text)
    return _Version(tuple(input_fields(document)), steps_of(document), result_schema(document, CATALOG))


def steps_of(document: Document) -> int:
    """Returns how many steps a run has when no node runs per item."""
    return len(without_parked(document).nodes)


def idempotency_scope(caller: Caller, route: str, key: str) -> str:
    """Returns the SHA-256 of workspace, environment, route and Idempotency-Key, in hexadecimal."""
    return hashlib.sha256(f"{caller.workspace_id}\n{caller.environment}\n{route}\n{key}".encode()).hexdigest()


def fingerprint_of(body: Any, options: SubmitOptions | None) -> str:
    """Returns a SHA-256 that is equal for equal bodies (in any order of keys) and options; without `options`, of the
    body alone.
    """
    asked = None if options is None else [options.version, options.cancel_after_seconds, options.webhook_url]
    said = body if options is None else [_comparable(body), asked]
    return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _comparable(value: Any) -> Any:
    """Returns the value with equal numbers in the same form: `1.0` becomes `1`."""
    match value:
        case float():
            return int(value) if value.is_integer() else value
        case dict():
            return {name: _comparable(inner) for name, inner in value.items()}
        case list() | tuple():
            return [_comparable(inner) for inner in value]
    return value


def find_earlier(
    session: Session,
    scope: str,
    flow_id: str,
    body: Mapping[str, Any],
    options: SubmitOptions,
    with_defaults: WithDefaults,
    checked: CheckedBody | None = None,
) -> dict[str, Any] | None:
    """Returns the answer to an earlier request with this Idempotency-Key within 24 hours, or None. Raises
    IdempotencyKeyReused.

    Two requests are the same when their bodies, with the defaults of the version that the first one used, and their
    options are equal. The version that is live now does not matter.
    """
    row = find_answer(session, scope)
    if row is None:
        return None
    if not row.fingerprint:
        raise IdempotencyKeyReused(
            "The data of the job it made were erased, so nobody can tell if the body is the same"
        )
    if row.flow_version is None:  # an earlier release compared bodies without defaults
        same = row.fingerprint == fingerprint_of(body, None)
    else:
        as_then = body_for(session, flow_id, row.flow_version, body, options, with_defaults, checked)
        same = not as_then.errors and row.fingerprint == as_then.fingerprint
    if not same:
        raise IdempotencyKeyReused(
            "The body, `X-Flow-Version`, `Cancel-After` or `X-Webhook-Url` differs from that of the first request"
        )
    return json.loads(row.body)


def remember(session: Session, scope: str, fingerprint: str, flow_version: int, accepted: Mapping[str, Any]) -> None:
    """Stores the answer under the Idempotency-Key, in the transaction that stores the job."""
    insert_answer(session, scope, fingerprint, flow_version, accepted, created_at=accepted["created_at"])
