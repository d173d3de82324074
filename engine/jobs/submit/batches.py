"""Accepts a batch: every item is valid and the month's quota covers all of them, or nothing is accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jsonpointer
from msgspec import Struct
from pydantic import JsonValue
from sqlalchemy.orm import Session

from engine.core.errors import FieldError, NotFound, WrongFields, wrong_fields
from engine.core.ids import new_id, new_job_id
from engine.flow.payload_check import PayloadCheck
from engine.jobs.job_values import encoded
from engine.jobs.submit.accept import (
    Caller,
    check_flow_allowed,
    choose_version,
    find_live_flow,
    job_row,
    read_key_again,
)
from engine.jobs.submit.bodies import CheckedBody, SubmitOptions, body_for, read_version
from engine.jobs.submit.idempotency import find_earlier, idempotency_scope, remember
from engine.jobs.submit.job_files import look_up_files, name_files
from engine.jobs.submit.limits import LimitsView, count_batch, limits_now
from engine.jobs.waiting_items import admit_waiting
from storage.batches import BatchStatus, get_batch, insert_batch
from storage.database import now
from storage.job_changes import insert_jobs
from storage.usage import Caps

#: The most items of a batch. `run_batch` (`api/routes/submit.py`), batch.md and schedules.md say the number in words.
MAX_ITEMS = 1_000
_OF_BATCH_AND_JOB = ("workspace_id", "flow_id", "environment", "webhook_url", "webhook_by_caller")
_TYPE_WORDS: dict[type[object], str] = {str: "a string", bool: "true or false", list: "a list", type(None): "null"}


class AcceptedBatch(Struct, frozen=True):
    """A batch that is stored and will run. `job_ids` are in the order of its items; `replayed` is as in `Accepted`."""

    batch_id: str
    status: BatchStatus
    total: int
    job_ids: tuple[str, ...]
    created_at: int
    replayed: bool
    limits: LimitsView


def accept_batch(
    session: Session,
    caller: Caller,
    flow_id: str,
    body: Mapping[str, Any],
    options: SubmitOptions,
    checked: CheckedBody | None = None,
) -> AcceptedBatch:
    """Stores a job for each item of `{"items": [...]}`. `checked` is the result of `BodyChecks.check` with `check_items`.

    The items wait for slots. Raises what `accept` raises, but never ConcurrencyLimitExceeded. NotChecked: a flow with
    patterns needs the check.
    """
    caller = read_key_again(session, caller)
    check_flow_allowed(session, caller, flow_id)  # before a replay, which reveals jobs of this flow
    caps = Caps(caller.concurrency, caller.monthly)
    scope = ""
    if options.idempotency_key is not None:
        scope = idempotency_scope(caller.workspace_id, caller.environment, options.route, options.idempotency_key)

        def body_as_of(number: int) -> CheckedBody:
            return body_for(session, flow_id, number, body, options, check_items, checked)

        earlier = find_earlier(session, scope, body, body_as_of)
        if earlier is not None:
            limits = limits_now(session, caller.workspace_id, caller.environment, caller.key_id, caps)
            batch_id, ids = earlier["batch_id"], tuple(earlier["job_ids"])
            status = _status_now(session, caller.workspace_id, batch_id)
            at = earlier["created_at"]
            return AcceptedBatch(batch_id, status, len(ids), ids, created_at=at, replayed=True, limits=limits)
    flow = find_live_flow(session, caller, flow_id)
    number = choose_version(session, flow, options.version)
    version = read_version(session, flow.id, number)
    items = body_for(session, flow.id, number, body, options, check_items, checked)
    if items.errors:
        raise wrong_fields(items.errors)
    named = [
        look_up_files(
            session,
            caller.workspace_id,
            version.fields,
            item,
            scope=caller.files_scope,
            key_id=caller.key_id,
            at=f"/items/{position}",
        )
        for position, item in enumerate(items.clean)
    ]
    errors = WrongFields()
    for one in named:
        errors += one.errors
    if errors:
        raise wrong_fields(errors)
    payloads = [one.payload for one in named]
    count_batch(session, caller.workspace_id, caller.environment, caller.key_id, caps, caller.label, len(payloads))
    batch_id = new_id("batch")
    # Lists sort jobs with the same time by descending id, so descending ids keep the items in order.
    job_ids = tuple(sorted((new_job_id() for _ in payloads), reverse=True))
    row = job_row(caller, flow, number, version, options, counted=False)
    shared = {name: row[name] for name in _OF_BATCH_AND_JOB}
    insert_batch(session, {**shared, "id": batch_id, "total": len(payloads)})
    row["batch_id"] = batch_id
    insert_jobs(
        session,
        [
            ({**row, "id": job_id, "item_index": index}, encoded(payload))
            for index, (job_id, payload) in enumerate(zip(job_ids, payloads, strict=True))
        ],
    )
    for job_id, one in zip(job_ids, named, strict=True):
        name_files(session, job_id, one.file_ids)
    admit_waiting(session, caller.workspace_id, caller.environment)
    created_at = now(session)
    if scope:
        kept = {"batch_id": batch_id, "job_ids": job_ids, "created_at": created_at}
        remember(session, scope, items.fingerprint, number, kept)
    limits = limits_now(session, caller.workspace_id, caller.environment, caller.key_id, caps)
    return AcceptedBatch(
        batch_id, "queued", len(job_ids), job_ids, created_at=created_at, replayed=False, limits=limits
    )


def _status_now(session: Session, workspace_id: str, batch_id: str) -> BatchStatus:
    try:
        return get_batch(session, workspace_id, batch_id).status
    except NotFound:
        return "completed"  # only a batch that has ended is ever removed


def check_items(
    fields: Sequence[Mapping[str, Any]], body: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], WrongFields]:
    """Returns the items with defaults applied, and all errors at once, each with a JSON pointer (RFC 6901) to its
    field.
    """
    clean: list[dict[str, Any]] = []
    check = PayloadCheck()
    errors = check.errors
    errors.extend(
        FieldError(f"/{jsonpointer.escape(name)}", "unknown_field", "a batch has only `items`")
        for name in body
        if name != "items"
    )
    items: JsonValue = body.get("items")
    if "items" not in body:
        errors.append(FieldError("/items", "required", "missing"))
    elif not isinstance(items, list):
        errors.append(FieldError("/items", "type_error", f"expected a list, got {_type_word(items)}"))
    elif not items:
        errors.append(FieldError("/items", "min_items", "must have at least 1 item, has 0"))
    elif len(items) > MAX_ITEMS:
        errors.append(FieldError("/items", "max_items", f"must have at most {MAX_ITEMS:,} items, has {len(items):,}"))
    if errors:
        return clean, errors
    for position, item in enumerate(items if isinstance(items, list) else ()):
        at = f"/items/{position}"
        if not isinstance(item, dict):
            errors.append(FieldError(at, "type_error", f"expected an object, got {_type_word(item)}"))
            continue
        clean.append(check.payload(fields, item, at))
    return clean, errors


def _type_word(value: object) -> str:
    return _TYPE_WORDS.get(type(value), "an object" if isinstance(value, dict) else "a number")
