"""Accepting a batch: every item is checked and the month's quota covers them all, or nothing is accepted (api.md, Batch)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from engine.clock import next_month
from engine.errors import FieldError, MonthlyQuotaExceeded, PayloadInvalid
from engine.flow.contract import check_payload
from engine.ids import new_id
from engine.jobs.accept import (
    Caller,
    SubmitOptions,
    check_flow_allowed,
    choose_version,
    find_earlier,
    find_live_flow,
    fingerprint_of,
    idempotency_scope,
    limit_ms,
    read_key_again,
    read_version,
    remember,
)
from engine.jobs.limits import WHERE_TO_RAISE, WHERE_TO_RAISE_KEY, LimitsView, limits_now
from engine.jobs.values import encoded
from engine.jobs.waiting import admit_waiting
from storage.batches import add_batch
from storage.database import now
from storage.job_changes import insert_job
from storage.usage import Caps, count_requests, read_usage
from storage.workspaces import get_limits

MAX_ITEMS = 1_000
_TYPE_WORDS = {str: "a string", bool: "true or false", list: "a list", type(None): "null"}


@dataclass(frozen=True)
class AcceptedBatch:
    """A batch that is stored and will run; `job_ids` in the order of its items."""

    batch_id: str
    total: int
    job_ids: tuple[str, ...]
    replayed: bool
    limits: LimitsView


def accept_batch(
    session: Session, caller: Caller, flow_id: str, body: Mapping[str, Any], options: SubmitOptions
) -> AcceptedBatch:
    """Stores a job per item of `{"items": [...]}`; the items wait for slots. Raises as `accept`, except that concurrency
    never refuses a batch.
    """
    caller = read_key_again(session, caller)
    check_flow_allowed(session, caller, flow_id)  # before a replay: it tells of jobs of this flow
    caps = Caps(caller.concurrency, caller.monthly)
    scope, fingerprint = "", ""
    if options.idempotency_key is not None:
        scope = idempotency_scope(caller, options.route, options.idempotency_key)
        fingerprint = fingerprint_of(body)
        earlier = find_earlier(session, scope, fingerprint)
        if earlier is not None:
            limits = limits_now(session, caller.workspace_id, caller.key_id, caps)
            ids = tuple(earlier["job_ids"])
            return AcceptedBatch(earlier["batch_id"], len(ids), ids, replayed=True, limits=limits)
    flow = find_live_flow(session, caller, flow_id)
    number = choose_version(session, flow, options.version)
    version = read_version(session, flow.id, number)
    payloads = _check_items(version.fields, body)
    _count(session, caller, caps, len(payloads))
    batch_id = new_id("batch")
    add_batch(session, batch_id, caller.workspace_id, flow.id, caller.environment, len(payloads))
    job_ids = tuple(new_id("job") for _ in payloads)
    row = {
        "workspace_id": caller.workspace_id,
        "flow_id": flow.id,
        "flow_version": number,
        "environment": caller.environment,
        "key_id": caller.key_id,
        "batch_id": batch_id,
        "counted": False,
        "limit_ms": limit_ms(flow.settings, options.cancel_after_seconds),
        "steps_total": version.steps,
        "request_id": options.request_id,
        "traceparent": options.traceparent,
        "webhook_url": options.webhook_url or flow.settings.get("webhook_url") or None,
        "webhook_by_caller": options.webhook_url is not None,
    }
    for job_id, payload in zip(job_ids, payloads, strict=True):
        insert_job(session, {**row, "id": job_id}, encoded(payload))
    admit_waiting(session, caller.workspace_id)
    if scope:
        kept = {"batch_id": batch_id, "job_ids": job_ids, "created_at": now(session)}
        remember(session, scope, fingerprint, kept)
    limits = limits_now(session, caller.workspace_id, caller.key_id, caps)
    return AcceptedBatch(batch_id, len(job_ids), job_ids, replayed=False, limits=limits)


def _check_items(fields: Sequence[Mapping[str, Any]], body: Mapping[str, Any]) -> list[dict[str, Any]]:
    errors = [FieldError(f"/{name}", "unknown_field", "a batch has only `items`") for name in body if name != "items"]
    items = body.get("items")
    if "items" not in body:
        errors.append(FieldError("/items", "required", "missing"))
    elif not isinstance(items, list):
        errors.append(FieldError("/items", "type_error", f"expected a list, got {_type_word(items)}"))
    elif not items:
        errors.append(FieldError("/items", "min_items", "must have at least 1 items, has 0"))
    elif len(items) > MAX_ITEMS:
        errors.append(FieldError("/items", "max_items", f"must have at most {MAX_ITEMS} items, has {len(items)}"))
    if errors:
        raise _wrong(errors)
    clean: list[dict[str, Any]] = []
    for position, item in enumerate(items or ()):
        at = f"/items/{position}"
        if not isinstance(item, dict):
            errors.append(FieldError(at, "type_error", f"expected an object, got {_type_word(item)}"))
            continue
        payload, found = check_payload(fields, item)
        errors += [FieldError(at + error.pointer, error.code, error.detail, error.sent) for error in found]
        clean.append(payload)
    if errors:
        raise _wrong(errors)
    return clean


def _count(session: Session, caller: Caller, caps: Caps, count: int) -> None:
    """Counts all items in the month of the workspace and of the key, or raises MonthlyQuotaExceeded."""
    counters = [(caller.workspace_id, get_limits(session, caller.workspace_id).monthly, WHERE_TO_RAISE)]
    if caller.key_id is not None:
        counters.append((caller.key_id, caps.monthly, WHERE_TO_RAISE_KEY))
    for subject, monthly, remedy in counters:
        if not count_requests(session, subject, count, monthly):
            left = max(0, (monthly or 0) - read_usage(session, subject).month_count)
            at = now(session)
            raise MonthlyQuotaExceeded(
                f"The batch has {count:,} items; {left:,} of this month's {monthly:,} requests are left. "
                "The month begins again on the 1st at 00:00 UTC",
                remedy=remedy,
                retry_after=math.ceil((next_month(at) - at) / 1000),
            )


def _wrong(errors: list[FieldError]) -> PayloadInvalid:
    count = "1 field is wrong" if len(errors) == 1 else f"{len(errors)} fields are wrong"
    return PayloadInvalid(count, errors=tuple(errors))


def _type_word(value: Any) -> str:
    return _TYPE_WORDS.get(type(value), "an object" if isinstance(value, dict) else "a number")
