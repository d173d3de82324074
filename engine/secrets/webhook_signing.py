"""Signs webhook requests according to Standard Webhooks (https://www.standardwebhooks.com).

webhook-id         identifier of the delivery; all attempts send the same one
webhook-timestamp  Unix time of this attempt, in seconds
webhook-signature  one entry per valid secret, separated by spaces: `v1,` and the base64 of the
                   HMAC-SHA256 of `id.timestamp.body`
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence

_PREFIX = "whsec_"


def new_signing_secret() -> str:
    """Creates a signing secret: `whsec_` and the base64 of 24 random bytes."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(24)).decode()


def signed_headers(signing_secrets: Sequence[str], delivery_id: str, at_seconds: int, body: bytes) -> dict[str, str]:
    """Returns the three signature headers for a request body."""
    signed = f"{delivery_id}.{at_seconds}.".encode() + body
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": str(at_seconds),
        "webhook-signature": " ".join(f"v1,{_signature(secret, signed)}" for secret in signing_secrets),
    }


def _signature(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
