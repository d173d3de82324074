"""Functions for responses about jobs: their URL path, compact JSON, lines of streams and ETags."""

from __future__ import annotations

import hashlib
from typing import Any

from engine.core.json_text import json_bytes


def job_path(job_id: str) -> str:
    """Returns the URL path of a job."""
    return f"/public/v1/jobs/{job_id}"


def dump(body: Any) -> bytes:
    """Returns compact JSON in UTF-8."""
    return json_bytes(body)


def with_result(view: bytes, result: bytes) -> bytes:
    """Inserts the stored JSON of the result into a job's JSON whose `result` is null, so that a large result is not
    parsed.
    """
    before, after = around_result(view)
    return b"".join((before, result, after))


def around_result(view: bytes) -> tuple[bytes, bytes]:
    """Returns what stands before and after the stored JSON of the result in a job's JSON whose `result` is null.

    Quotes within JSON strings are escaped, so the first `"result":null` is the member of the job.
    """
    before, after = view.split(b'"result":null', 1)
    return before + b'"result":', after


def in_lines(stream: bytes) -> bytes:
    """Returns JSON in UTF-8, in lines that end with LF, in which no reader of lines finds other ends: U+2028, U+2029 and
    U+0085, which JSON holds within strings only, are escaped.
    """
    # the search for one byte takes 1 % of the time of the others, and few texts have these
    if b"\xe2" in stream:
        stream = stream.replace(b"\xe2\x80\xa8", rb"\u2028").replace(b"\xe2\x80\xa9", rb"\u2029")
    return stream.replace(b"\xc2\x85", rb"\u0085") if b"\xc2" in stream else stream


def etag_of(content: bytes) -> str:
    """Returns a strong ETag, which is a hash of the bytes."""
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def etag_matches(etag: str, if_none_match: str) -> bool:
    """Tells whether the If-None-Match header contains this ETag (weak comparison, RFC 9110)."""
    known = [part.strip().removeprefix("W/") for part in if_none_match.split(",")]
    return etag in known or "*" in known
