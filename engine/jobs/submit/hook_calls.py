"""Starts the job of an incoming webhook. Its message is stored in the transaction that accepts the job, so a repeated
delivery gets the same job.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jsonpointer
from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy.orm import Session

from engine.core.errors import FieldError, HookPaused, NotFound, PayloadInvalid, Refusal, WrongFields
from engine.core.json_text import json_text
from engine.jobs.submit.accept import Caller, choose_version, find_live_flow
from engine.jobs.submit.bodies import CheckedBody, SubmitOptions, read_version
from engine.jobs.submit.scheduled import ENVIRONMENT, start_one, trouble_of
from engine.secrets.opening import open_readable
from engine.secrets.sealing import Vault
from engine.triggers.body_mapping import kept_headers, path_words, payload_of
from storage.database import now
from storage.hooks import (
    DeliveryLine,
    HookRow,
    add_delivery_line,
    add_message,
    find_called_hook,
    find_message,
    no_such_hook,
    note_call,
    valid_hook_secrets,
)
from storage.jobs import find_job

#: The longest body that is kept to choose values from, in characters of its JSON text.
KEPT_BODY = 256 * 1_024


class HookCall(Struct, frozen=True):
    """A genuine call of a hook. `message`: the identity of what it delivers, or empty (`engine.triggers.signatures`);
    `former_message`: the one under which an earlier release stored it.
    """

    body: Any
    headers: Mapping[str, str]
    message: str
    event: str
    size: int
    request_id: str = ""
    former_message: str = ""


class HookAnswer(Struct, frozen=True):
    """The job of a call. `repeated`: an earlier delivery of the same message started it."""

    job_id: str
    repeated: bool


def trigger_of_hook(hook_id: str) -> str:
    """Returns what is stored as `trigger` with the jobs of a hook."""
    return f"hook:{hook_id}"


def open_hook(session: Session, vault: Vault, hook_id: str) -> tuple[HookRow, list[str]] | None:
    """Returns a hook with its valid secrets, without those that were sealed with another key; None when no hook has this
    id.
    """
    hook = find_called_hook(session, hook_id)
    if hook is None:
        return None
    sealed = valid_hook_secrets(session, hook_id)
    return hook, open_readable(vault, ((hook.workspace_id, secret_id, text) for secret_id, text in sealed))


class HookPayload(Struct, frozen=True):
    """The payload that a call becomes, for the live version of the hook's flow."""

    caller: Caller
    flow_id: str
    payload: Mapping[str, Any]
    options: SubmitOptions


def payload_to_check(session: Session, hook_id: str, call: HookCall) -> HookPayload | None:
    """Returns the payload that a genuine call becomes. None when `receive` will refuse the call, or answers it with the
    job of an earlier one. Raises TooLarge.
    """
    hook = find_called_hook(session, hook_id)
    if hook is None or hook.paused or _earlier_job(session, hook, call) is not None:
        return None
    try:
        return _payload_of(session, hook, call)
    except NotFound:
        return None


def _earlier_job(session: Session, hook: HookRow, call: HookCall) -> str | None:
    """Returns the job that an earlier delivery of the same message started."""
    found = (find_message(session, hook.id, message) for message in (call.message, call.former_message) if message)
    return next((job_id for job_id in found if job_id is not None), None)


def _payload_of(session: Session, hook: HookRow, call: HookCall) -> HookPayload:
    """Raises NotFound, NotDeployed and TooLarge."""
    # Whoever sends the message may name files of this flow only.
    caller = Caller(hook.workspace_id, None, ENVIRONMENT, label=hook.title, flow_ids=frozenset({hook.flow_id}))
    flow = find_live_flow(session, caller, hook.flow_id)
    fields = read_version(session, flow.id, choose_version(session, flow, None)).fields
    payload = payload_of(fields, hook.mapping, call.body, call.headers)
    options = SubmitOptions(trigger=trigger_of_hook(hook.id), route=f"/hooks/{hook.id}", request_id=call.request_id)
    return HookPayload(caller, hook.flow_id, payload, options)


def receive(session: Session, hook_id: str, call: HookCall, checked: CheckedBody | None = None) -> HookAnswer:
    """Starts the job of a genuine call, and stores the call. `checked` is the result of `BodyChecks.check` for its
    payload; NotChecked is raised when a flow with patterns needs it.

    Raises NotFound, HookPaused, NotDeployed, TooLarge, PayloadInvalid and MonthlyQuotaExceeded; then `note_refused` stores it.
    """
    hook = find_called_hook(session, hook_id)
    if hook is None:
        raise no_such_hook()
    if hook.paused:
        raise HookPaused
    if (job_id := _earlier_job(session, hook, call)) is not None:
        job = find_job(session, hook.workspace_id, job_id)
        if job is None or job.data_erased_at is not None:
            call = replace(call, event="")  # it stands in the body, whose data were erased
        _note(session, hook.id, call, 202, "repeated", "This message was delivered before.", job_id)
        return HookAnswer(job_id, True)
    made = _payload_of(session, hook, call)
    try:
        job_id, _ = start_one(session, made.caller, made.flow_id, made.payload, made.options, checked)
    except PayloadInvalid as refusal:
        raise _explained(refusal, hook) from refusal
    if call.message:
        add_message(session, hook.id, call.message, job_id)
    note_call(session, hook.id, _kept(call.body), kept_headers(call.headers), job_id)
    _note(session, hook.id, call, 202, "accepted", "", job_id)
    return HookAnswer(job_id, False)


def note_refused(
    session: Session, hook_id: str, refusal: Refusal, status: int, size: int, call: HookCall | None
) -> None:
    """Stores a refused call; of a genuine one (`call`) also its body, from which people choose values."""
    if find_called_hook(session, hook_id) is None:
        return
    if call is not None:
        note_call(session, hook_id, _kept(call.body), kept_headers(call.headers), None)
    trouble = trouble_of(refusal)
    said = ". ".join(part.rstrip(".") for part in (refusal.title, trouble["detail"], refusal.remedy) if part)
    event = "" if call is None else call.event
    add_delivery_line(
        session, hook_id, DeliveryLine(now(session), status, refusal.code, f"{said}."[:2_000], event, size, None)
    )


def note_ping(session: Session, hook_id: str, call: HookCall) -> None:
    """Stores a genuine call that only asks whether somebody answers."""
    _note(session, hook_id, call, 200, "ping", "The service asked whether the address works. It does.", None)


def _note(
    session: Session, hook_id: str, call: HookCall, status: int, code: str, reason: str, job_id: str | None
) -> None:
    line = DeliveryLine(now(session), status, code, reason, call.event, call.size, job_id)
    add_delivery_line(session, hook_id, line)


def _kept(body: Any) -> str | None:
    text = json_text(body)
    return text if len(text) <= KEPT_BODY else None


def _explained(refusal: PayloadInvalid, hook: HookRow) -> PayloadInvalid:
    """Returns the refusal with where each wrong field should have come from."""
    explained = (
        FieldError(error.pointer, error.code, f"{error.detail} ({_source_words(hook, error.pointer)})", error.sent)
        for error in refusal.errors
    )
    errors = WrongFields(explained, refusal.error_count - len(refusal.errors))
    return PayloadInvalid(
        refusal.detail,
        remedy="Open the webhook on the flow's page and choose what fills these fields.",
        errors=errors,
    )


def _source_words(hook: HookRow, pointer: str) -> str:
    name = jsonpointer.unescape(pointer.strip("/").split("/")[0])
    source = hook.mapping.get(name) or {"from": "body", "path": [name]}
    match source["from"]:
        case "all":
            return "filled by the whole body"
        case "header":
            return f"filled by the header {source['name']}"
        case "text":
            return "filled by a fixed text"
        case "none":
            return "filled by nothing"
        case _:
            return f"filled by “{path_words(source['path'])}” of the body"
