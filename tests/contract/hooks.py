"""What JSON Schema cannot say, told to schemathesis: it loads this file by `schemathesis.toml`."""

from __future__ import annotations

from typing import Any

import schemathesis

UNKNOWN = "x-schemathesis-unknown-property"
LARGEST = 2**63 - 1


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Requests that are meant to be right keep the rules that no schema can express."""
    if "Authorization" in (case.headers or {}):
        case.headers.pop("X-API-Key", None)  # one way or the other: two keys that differ are refused
    if UNKNOWN in (case.headers or {}):
        # Nobody refuses an unknown header; schemathesis knows that, unless a header with a number stands beside it.
        case.headers = {name: case.headers[name] for name in ("Authorization", UNKNOWN) if name in case.headers}
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if case.query:
        case.query.pop("cursor", None)  # only what a list gave is a cursor; `tests/api` follows real ones
    if isinstance(case.body, dict | list):
        case.body = _as_written(case.body)


def _as_written(value: Any) -> Any:
    """JSON Schema takes 5.0 for a whole number and any size of one; the API takes 5, and what fits in 64 bit."""
    match value:
        case dict():
            return {name: _as_written(inner) for name, inner in value.items()}
        case list():
            return [_as_written(inner) for inner in value]
        case bool():
            return value
        case float() if value.is_integer():
            return _as_written(int(value))
        case int():
            return max(-LARGEST, min(value, LARGEST))
    return value
