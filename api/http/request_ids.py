"""The id of a request: the caller's own X-Request-Id if it is valid, else a new one. Every response and log line
contains it.
"""

from __future__ import annotations

import re

from engine.core.ids import new_id

_HARMLESS = re.compile(r"[A-Za-z0-9._-]{1,64}")


def request_id_from(sent: str | None) -> str:
    """Returns `sent` when it matches `^[A-Za-z0-9._-]{1,64}$`, else a new `req_...`."""
    return sent if sent and _HARMLESS.fullmatch(sent) else new_id("req")
