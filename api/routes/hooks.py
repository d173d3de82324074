"""The addresses that other services call to start a flow. They take no API key: `engine.triggers.signatures` says how a
call proves where it comes from.

They are not part of the OpenAPI document: each is made for one service, which decides what it sends.
"""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.connection_limits import network_of
from api.http.context import Context, context_of
from api.http.job_answers import dump
from api.http.json_body import JSON_BLANKS, may_be_large, refuse_compressed, weighed_json
from api.http.problem_json import UnsupportedMediaType, status_of
from api.http.request_rate import WITHOUT_A_KEY
from api.http.route_classes import BASE, RawRoute
from engine.core.errors import InvalidJson, RateLimited, Refusal, SecretUnreadable, Unavailable
from engine.jobs.submit.bodies import CheckedBody
from engine.jobs.submit.hook_calls import (
    HookAnswer,
    HookCall,
    note_ping,
    note_refused,
    open_hook,
    payload_to_check,
    receive,
)
from engine.triggers.body_mapping import parse_form
from engine.triggers.signatures import event_of, former_message_of, message_of, verify
from storage.hooks import HookRow, no_such_hook

router = APIRouter(prefix=BASE, route_class=RawRoute)
#: Seconds between two refused calls of one hook that are stored: a flood of forged calls must not fill the disk.
_NOTED_SECONDS = 1.0
#: A field of a form in memory, beside the characters of its name and value.
_BYTES_OF_FIELD = 256


@router.post("/hooks/{hook_id}", include_in_schema=False)
async def receive_signed(request: Request, hook_id: str) -> Response:
    """Takes a call that is signed."""
    return await _receive(request, hook_id, "")


@router.post("/hooks/{hook_id}/{secret}", include_in_schema=False)
async def receive_linked(request: Request, hook_id: str, secret: str) -> Response:
    """Takes a call with the secret in its address."""
    return await _receive(request, hook_id, secret)


async def _receive(request: Request, hook_id: str, in_address: str) -> Response:
    context = await context_of(request)
    context.refuse_when_stopping()
    # Calls that are not proven count for their network, and proven ones for the hook: strangers keep no service out, also
    # those who come from its own network. Therefore the proof is looked at first, which costs about a millisecond.
    network = network_of(request.client.host if request.client else "")
    unproven = f"hook {hook_id[:64]} from {network}"
    found = await context.database.read(open_hook, context.vault, hook_id)
    if found is None or (in_address and found[0].preset != "link"):
        raise no_such_hook()
    hook, known = found
    proof, call, size = None, None, 0
    try:
        if not known:
            raise _no_secret(hook)
        headers, encodings = _headers(request), request.headers.getlist("content-encoding")
        async with context.hook_bodies.received(request, network) as body:
            size, now = len(body.data), context.database.clock.now() / 1_000
            proof = await body.read(lambda sent: verify(hook.preset, known, headers, sent, in_address, now))
            _count(context, f"hook {hook.id}", "A webhook takes {most} calls a second")
            content, weight = await body.read(lambda sent: _parsed(hook, headers, encodings, sent))
        message = message_of(hook.preset, proof, content)
        former = former_message_of(proof)
        call = HookCall(content, headers, message, event_of(proof, content), size, request.state.request_id, former)
        if proof.is_ping:
            await context.database.write(note_ping, hook.id, call)
            return _answer(200, {"status": "ok"})
        answer = await _received(context, hook, call, weight, is_large=may_be_large(request))
    except (Unavailable, RateLimited):
        raise
    except Refusal as refusal:
        if proof is None:
            _count(context, unproven, "A webhook takes {most} calls without the right proof a second from one address")
        proven = proof is not None  # a flood of strangers' calls hides no refusal of the service's own
        if context.notes_refusal_of(f"{hook.id} {proven}", time.monotonic(), _NOTED_SECONDS) or call is not None:
            await context.database.write(note_refused, hook.id, refusal, status_of(refusal), size, call)
        raise
    request.state.job_id = answer.job_id
    repeated = {"Idempotent-Replayed": "true"} if answer.repeated else {}
    return _answer(202, {"job_id": answer.job_id, "status": "accepted"}, repeated)


def _count(context: Context, subject: str, said: str) -> None:
    """Counts a call. Raises RateLimited."""
    rate = context.rates.count(subject, WITHOUT_A_KEY)
    if rate is not None and rate.over:
        raise _too_many(said)


def _too_many(said: str) -> RateLimited:
    return RateLimited(said.format(most=WITHOUT_A_KEY), remedy="Send it again later", retry_after=1)


def _no_secret(hook: HookRow) -> SecretUnreadable:
    button = "New address" if hook.preset == "link" else "New secret"
    remedy = f"Press {button} at this webhook on the flow's page, and let the service have it."
    return SecretUnreadable("So no call of this webhook can be checked", remedy=remedy)


async def _received(context: Context, hook: HookRow, call: HookCall, weight: int, *, is_large: bool) -> HookAnswer:
    database, checks = context.database, context.checks

    async def check() -> CheckedBody | None:
        made = await database.read(payload_to_check, hook.id, call)
        if made is None:
            return None
        return await checks.check(made.caller, made.flow_id, made.payload, made.options, weight)

    return await checks.accepted(
        hook.flow_id,
        check,
        lambda checked: database.write(receive, hook.id, call, checked),
        await check() if is_large else None,
    )


def _headers(request: Request) -> dict[str, str]:
    """Returns the headers with lower-case names; of one that stands twice, the first."""
    found: dict[str, str] = {}
    for name, value in request.scope["headers"]:
        found.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
    return found


def _parsed(hook: HookRow, headers: dict[str, str], encodings: list[str], body: bytes) -> tuple[Any, int]:
    """Returns the content of a body as JSON, of JSON itself or the fields of a form, and about how many bytes of memory it
    needs. Raises UnsupportedMediaType and InvalidJson.
    """
    refuse_compressed(encodings)
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        fields = parse_form(body)
        if hook.preset != "github":
            return fields, len(body) * 2 + len(fields) * _BYTES_OF_FIELD
        if "payload" not in fields:
            raise InvalidJson(
                "The form has no field `payload`", remedy="Choose the content type application/json at GitHub."
            )
        return weighed_json(fields["payload"].encode())
    if kind == "application/json" or kind.endswith("+json") or not kind:
        return weighed_json(body if body.strip(JSON_BLANKS) else b"{}")
    raise UnsupportedMediaType(
        f"It came as {kind[:100]}", remedy="Let the service send JSON or a form (application/x-www-form-urlencoded)."
    )


def _answer(status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    return Response(dump(body), status, {"Cache-Control": "no-store", **(headers or {})}, media_type="application/json")
