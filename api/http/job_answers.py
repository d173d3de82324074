"""How answers about jobs are written: their address, compact JSON, and ETags."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def job_path(job_id: str) -> str:
    """Where a job is asked for."""
    return f"/public/v1/jobs/{job_id}"


def dump(body: Any) -> bytes:
    """Compact JSON in UTF-8."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def with_result(view: bytes, result: bytes) -> bytes:
    """A job's JSON whose `result` is null, with the stored JSON of the result in its place: a large one is not parsed.

    Inside a string every quote is escaped, so the first `"result":null` is the member.
    """
    return view.replace(b'"result":null', b'"result":' + result, 1)


def etag_of(content: bytes) -> str:
    """A strong ETag: equal exactly when the bytes are."""
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def etag_matches(etag: str, if_none_match: str) -> bool:
    """True when the caller has this already (weak comparison, RFC 9110)."""
    known = [part.strip().removeprefix("W/") for part in if_none_match.split(",")]
    return etag in known or "*" in known
