"""Proves that a call of a webhook comes from the service that it is for.

The presets:

* `link`: a secret in the address, for services that cannot sign
* `github`: `X-Hub-Signature-256`, the HMAC-SHA256 of the body in hexadecimal
* `stripe`: `Stripe-Signature: t=...,v1=...`, the HMAC-SHA256 of `t.body` in hexadecimal
* `standard`: Standard Webhooks, also with the header names of Svix: the HMAC-SHA256 of `id.timestamp.body` in base64

A signature with a time is refused when the time is more than TOLERANCE_SECONDS away. Each message has an identity that
the signature covers, so that a repeated delivery is recognised: GitHub's delivery id is not signed, so for GitHub it is
the body. The signature itself is none, since another secret makes another one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

from engine.core.errors import SignatureInvalid
from engine.core.ids import random_base62

Preset = Literal["link", "github", "stripe", "standard"]
PRESETS: tuple[Preset, ...] = ("link", "github", "stripe", "standard")
#: How far the time of a signature may be from now, as Stripe and Standard Webhooks recommend.
TOLERANCE_SECONDS = 300
MAX_SECRET = 500
_PREFIX = "whsec_"
_MAX_SIGNATURES = 20
_LONGEST = 4_096


class Proof(Struct, frozen=True):
    """A genuine call. `message`: text that is the same when the same message is delivered again; empty when the
    service names none. `event`: what the service calls it. `former`: the text that 0.2.0 stored for the message, if that
    was another.
    """

    message: str
    event: str
    is_ping: bool = False
    former: str = ""


def new_secret(preset: str) -> str:
    """Returns a new secret in the form that the service expects."""
    if preset == "standard":
        return _PREFIX + base64.b64encode(secrets.token_bytes(24)).decode()
    return random_base62(40)


def verify(
    preset: str, known: Sequence[str], headers: Mapping[str, str], body: bytes, in_address: str, at_seconds: float
) -> Proof:
    """Returns the proof of a genuine call. `known`: the valid secrets; `headers`: with lower-case names; `in_address`:
    the secret at the end of the address, or empty. Raises SignatureInvalid with the reason.
    """
    match preset:
        case "link":
            return _by_link(known, headers, in_address)
        case "github":
            return _by_github(known, headers, body)
        case "stripe":
            return _by_stripe(known, headers, body, at_seconds)
        case "standard":
            return _by_standard(known, headers, body, at_seconds)
    raise SignatureInvalid("This webhook checks calls in a way that this server does not know")


def message_of(preset: str, proof: Proof, body: Any) -> str:
    """Returns the identity of a message as 64 hexadecimal characters; empty when it has none. Stripe names it in the
    body.
    """
    named = proof.message
    if preset == "stripe" and isinstance(body, Mapping) and isinstance(body.get("id"), str) and body["id"]:
        named = f"event {body['id']}"
    return _hash(named)


def former_message_of(proof: Proof) -> str:
    """Returns the identity under which 0.2.0 stored the same message; empty when it was no other."""
    return _hash(proof.former)


def _hash(named: str) -> str:
    return hashlib.sha256(named.encode()).hexdigest() if named else ""


def event_of(proof: Proof, body: Any) -> str:
    """Returns what the service calls the event: by a header, or by `type` or `event` in the body."""
    if proof.event:
        return proof.event
    if isinstance(body, Mapping):
        for name in ("type", "event"):
            if isinstance(body.get(name), str):
                return body[name][:100]
    return ""


def _by_link(known: Sequence[str], headers: Mapping[str, str], in_address: str) -> Proof:
    if not _any_equal([in_address], known):
        raise SignatureInvalid(
            "The last part of the address is missing or is not the secret of this webhook",
            remedy="Copy the whole address again. A new one is made on the flow's page.",
        )
    named = headers.get("idempotency-key") or headers.get("webhook-id") or ""
    return Proof(f"link {named}" if named else "", "")


def _by_github(known: Sequence[str], headers: Mapping[str, str], body: bytes) -> Proof:
    sent = headers.get("x-hub-signature-256", "")
    if not sent:
        raise SignatureInvalid(
            "The header X-Hub-Signature-256 is missing",
            remedy="Enter the secret in the settings of the webhook at GitHub, under Secret.",
        )
    expected = [f"sha256={_hex(secret.encode(), body)}" for secret in known]
    if not _any_equal([sent[:_LONGEST]], expected):
        raise _not_ours("GitHub")
    event = headers.get("x-github-event", "")[:100]
    message = f"github {hashlib.sha256(body).hexdigest()}"
    return Proof(message, event, is_ping=event == "ping", former=f"github {sent}")


def _by_stripe(known: Sequence[str], headers: Mapping[str, str], body: bytes, at_seconds: float) -> Proof:
    sent = headers.get("stripe-signature", "")[:_LONGEST]
    if not sent:
        raise SignatureInvalid("The header Stripe-Signature is missing", remedy="Only Stripe can call this address.")
    pairs = [part.strip().partition("=") for part in sent.split(",")]
    times = [value for name, _, value in pairs if name == "t"]
    signatures = [value for name, _, value in pairs if name == "v1"][:_MAX_SIGNATURES]
    if len(times) != 1 or not signatures:
        raise SignatureInvalid("The header Stripe-Signature has no `t` or no `v1`")
    _check_time(times[0], at_seconds)
    signed = times[0].encode() + b"." + body
    if not _any_equal(signatures, [_hex(secret.encode(), signed) for secret in known]):
        raise _not_ours("Stripe")
    return Proof(f"stripe {hashlib.sha256(signed).hexdigest()}", "")


def _by_standard(known: Sequence[str], headers: Mapping[str, str], body: bytes, at_seconds: float) -> Proof:
    message, time, sent = (
        headers.get(f"webhook-{name}") or headers.get(f"svix-{name}") or "" for name in ("id", "timestamp", "signature")
    )
    if not (message and time and sent):
        missing = ", ".join(
            f"webhook-{name}"
            for name, value in (("id", message), ("timestamp", time), ("signature", sent))
            if not value
        )
        raise SignatureInvalid(
            f"A header is missing: {missing}", remedy="The service must sign as Standard Webhooks says."
        )
    _check_time(time, at_seconds)
    entries = [entry.partition(",") for entry in sent[:_LONGEST].split()]
    signatures = [value for version, _, value in entries if version == "v1"][:_MAX_SIGNATURES]
    signed = f"{message}.{time}.".encode() + body
    expected = [base64.b64encode(_hmac(_standard_key(secret), signed)).decode() for secret in known]
    if not _any_equal(signatures, expected):
        raise _not_ours("the service")
    return Proof(f"standard {message}", "")


def _check_time(text: str, at_seconds: float) -> None:
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise SignatureInvalid("The time of the signature is not a number of seconds")
    away = int(text) - at_seconds
    if abs(away) > TOLERANCE_SECONDS:
        said = "in the future" if away > 0 else "old"
        raise SignatureInvalid(
            f"The signature is {abs(away):,.0f} seconds {said}; at most {TOLERANCE_SECONDS} are taken",
            remedy="It may be an old call that somebody sends again. If every call is refused, compare the server's clock.",
        )


def _standard_key(secret: str) -> bytes:
    """Returns the key of a Standard Webhooks secret: base64 after `whsec_`, or the text itself when it is no base64."""
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return secret.encode()


def _not_ours(service: str) -> SignatureInvalid:
    return SignatureInvalid(
        "The signature does not fit the secret of this webhook and the body",
        remedy=f"Enter the same secret here and at {service}. If it is the same, something between changes the body.",
    )


def _any_equal(sent: Iterable[str], expected: Sequence[str]) -> bool:
    """Compares every text with every other in constant time."""
    found = False
    for one in sent:
        for other in expected:
            found |= hmac.compare_digest(one.encode(), other.encode())
    return found


def _hmac(key: bytes, signed: bytes) -> bytes:
    return hmac.new(key, signed, hashlib.sha256).digest()


def _hex(key: bytes, signed: bytes) -> str:
    return _hmac(key, signed).hex()
