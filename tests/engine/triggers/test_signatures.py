"""Signatures of incoming webhooks: the examples that the providers publish, and what is refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from engine.core.errors import SignatureInvalid
from engine.triggers.signatures import event_of, message_of, new_secret, verify

#: docs.github.com, "Validating webhook deliveries", Testing the webhook payload validation.
GITHUB_SECRET = "It's a Secret to Everybody"
GITHUB_BODY = b"Hello, World!"
GITHUB = {"x-hub-signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"}
#: The reference test of the Standard Webhooks libraries.
STANDARD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
STANDARD_BODY = b'{"test": 2432232314}'
STANDARD_AT = 1614265330
STANDARD = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": str(STANDARD_AT),
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
#: The event, time, secret and signature of the tests of Stripe's own libraries.
STRIPE_SECRET, STRIPE_AT = "webhook_secret", 1533204620
STRIPE = {
    "stripe-signature": f"t={STRIPE_AT},v1=f0bdba6d4eacbd8ad8a3bbadd7248e633ec1477f7899c124c51b39405fa36613,"
    "v0=63f3a72374a733066c4be69ed7f8e5ac85c22c9f0a6a612ab9a025a9e4ee7eef"
}
STRIPE_EVENT: dict[str, Any] = {
    "id": "evt_123",
    "object": "event",
    "account": "acct_123",
    "api_version": "2017-05-25",
    "created": STRIPE_AT,
    "data": {
        "object": {
            "id": "ii_123",
            "object": "invoiceitem",
            "amount": 1000,
            "currency": "usd",
            "customer": "cus_123",
            "date": STRIPE_AT,
            "description": "Test Invoice Item",
            "discountable": False,
            "invoice": "in_123",
            "livemode": False,
            "metadata": {},
            "period": {"start": STRIPE_AT, "end": STRIPE_AT},
            "plan": None,
            "proration": False,
            "quantity": None,
            "subscription": None,
        }
    },
    "livemode": False,
    "pending_webhooks": 1,
    "request": {"id": "req_123", "idempotency_key": "idempotency-key-123"},
    "type": "invoiceitem.created",
}
STRIPE_BODY = json.dumps(STRIPE_EVENT, indent=2).encode() + b"\n"

PUBLISHED = {
    "github": (GITHUB_SECRET, GITHUB, GITHUB_BODY, 0),
    "standard": (STANDARD_SECRET, STANDARD, STANDARD_BODY, STANDARD_AT),
    "stripe": (STRIPE_SECRET, STRIPE, STRIPE_BODY, STRIPE_AT),
}


@pytest.mark.parametrize("preset", PUBLISHED)
def test_the_example_that_the_provider_publishes_is_genuine(preset: str) -> None:
    secret, headers, body, at = PUBLISHED[preset]
    assert verify(preset, [secret], headers, body, "", at).message
    assert verify(preset, ["another", secret], headers, body, "", at + 299).message, "while a secret is rotated"


@pytest.mark.parametrize("preset", PUBLISHED)
def test_another_body_secret_or_preset_is_refused(preset: str) -> None:
    secret, headers, body, at = PUBLISHED[preset]
    for known, sent, told in (
        ([secret], body + b" ", headers),
        ([secret], b"", headers),
        ([secret + "x"], body, headers),
        ([], body, headers),
        ([secret], body, {}),
        ([secret], body, {name: value.replace("3", "4") for name, value in headers.items()}),
        ([secret], body, {name: value[: len(value) // 2] for name, value in headers.items()}),
        ([secret], body, dict.fromkeys(headers, "")),
        ([secret], body, dict.fromkeys(headers, "=,v1," * 5000)),
        ([secret], body, dict.fromkeys(headers, "é\ud7ff")),
    ):
        with pytest.raises(SignatureInvalid):
            verify(preset, known, told, sent, "", at)
    for other in PUBLISHED.keys() - {preset}:
        with pytest.raises(SignatureInvalid):
            verify(other, [secret], headers, body, "", at)


@pytest.mark.parametrize("preset", ["standard", "stripe"])
@pytest.mark.parametrize("away", [-301, 301, 86_400, -10_000_000])
def test_a_signature_that_is_too_old_or_from_the_future_is_refused(preset: str, away: int) -> None:
    secret, headers, body, at = PUBLISHED[preset]
    with pytest.raises(SignatureInvalid, match=r"seconds (old|in the future); at most 300"):
        verify(preset, [secret], headers, body, "", at + away)


@pytest.mark.parametrize("time", ["", "soon", "-1", "1e9", "161426533.0", "\u0661\u0662", "9" * 30])
def test_a_time_that_is_no_number_of_seconds_is_refused(time: str) -> None:
    with pytest.raises(SignatureInvalid):
        verify("standard", [STANDARD_SECRET], {**STANDARD, "webhook-timestamp": time}, STANDARD_BODY, "", STANDARD_AT)
    signed = {"stripe-signature": STRIPE["stripe-signature"].replace(str(STRIPE_AT), time)}
    with pytest.raises(SignatureInvalid):
        verify("stripe", [STRIPE_SECRET], signed, STRIPE_BODY, "", STRIPE_AT)


def test_standard_webhooks_may_have_several_signatures_the_names_of_svix_and_a_plain_secret() -> None:
    several = {**STANDARD, "webhook-signature": f"v1a,abc v1,bm9wZQ== {STANDARD['webhook-signature']}"}
    assert verify("standard", [STANDARD_SECRET], several, STANDARD_BODY, "", STANDARD_AT)
    svix = {name.replace("webhook-", "svix-"): value for name, value in STANDARD.items()}
    assert verify("standard", [STANDARD_SECRET.removeprefix("whsec_")], svix, STANDARD_BODY, "", STANDARD_AT)
    plain = "not base64 at all!"
    signature = hmac.new(plain.encode(), b"m.1.{}", hashlib.sha256).digest()
    headers = {
        "webhook-id": "m",
        "webhook-timestamp": "1",
        "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
    }
    assert verify("standard", [plain], headers, b"{}", "", 1)


def test_a_link_is_genuine_with_its_secret_only() -> None:
    secret = new_secret("link")
    assert len(secret) == 40
    assert verify("link", [secret], {}, b"", secret, 0).message == ""
    assert verify("link", [secret], {"idempotency-key": "a"}, b"", secret, 0).message
    for wrong in ("", secret[:-1], secret + "x", secret.swapcase(), "\u00e9"):
        with pytest.raises(SignatureInvalid, match="last part of the address"):
            verify("link", [secret], {}, b"", wrong, 0)


def test_a_repeated_message_is_recognised_by_what_the_signature_covers() -> None:
    """GitHub does not sign the id of a delivery, so another id makes no new message; Stripe signs each try anew."""

    def github(delivery: str) -> str:
        proof = verify("github", [GITHUB_SECRET], {**GITHUB, "x-github-delivery": delivery}, GITHUB_BODY, "", 0)
        return message_of("github", proof, {})

    assert github("a") == github("b") != ""
    first = verify("stripe", [STRIPE_SECRET], STRIPE, STRIPE_BODY, "", STRIPE_AT)
    later = hmac.new(STRIPE_SECRET.encode(), f"{STRIPE_AT + 60}.".encode() + STRIPE_BODY, hashlib.sha256).hexdigest()
    again = {"stripe-signature": f"t={STRIPE_AT + 60},v1={later}"}
    second = verify("stripe", [STRIPE_SECRET], again, STRIPE_BODY, "", STRIPE_AT + 60)
    assert message_of("stripe", first, STRIPE_EVENT) == message_of("stripe", second, STRIPE_EVENT)
    assert message_of("stripe", first, {}) != message_of("stripe", second, {})


def test_the_event_is_named_by_a_header_or_in_the_body() -> None:
    ping = verify("github", [GITHUB_SECRET], {**GITHUB, "x-github-event": "ping"}, GITHUB_BODY, "", 0)
    assert (ping.event, ping.is_ping) == ("ping", True)
    stripe = verify("stripe", [STRIPE_SECRET], STRIPE, STRIPE_BODY, "", STRIPE_AT)
    assert event_of(stripe, STRIPE_EVENT) == "invoiceitem.created"
    assert event_of(stripe, {"type": 7, "event": ["x"]}) == ""
    assert event_of(stripe, [1]) == ""


def test_new_secrets_have_the_form_of_the_service() -> None:
    assert len(base64.b64decode(new_secret("standard").removeprefix("whsec_"))) == 24
    assert new_secret("github") != new_secret("github")
