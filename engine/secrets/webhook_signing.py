"""How a webhook proves where it comes from: the signatures of Standard Webhooks (https://www.standardwebhooks.com).

webhook-id         the same at every try of one delivery
webhook-timestamp  seconds since 1970 of this try
webhook-signature  `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`, one per valid secret, with spaces between
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence

_FRONT = "whsec_"


def new_signing_secret() -> str:
    """`whsec_` and the base64 of 24 random bytes."""
    return _FRONT + base64.b64encode(secrets.token_bytes(24)).decode()


def signed_headers(signing_secrets: Sequence[str], delivery_id: str, at_seconds: int, body: bytes) -> dict[str, str]:
    """The three headers for a body."""
    said = f"{delivery_id}.{at_seconds}.".encode() + body
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": str(at_seconds),
        "webhook-signature": " ".join(f"v1,{_signature(secret, said)}" for secret in signing_secrets),
    }


def _signature(secret: str, said: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(_FRONT))
    return base64.b64encode(hmac.new(key, said, hashlib.sha256).digest()).decode()
