"""Rules of the API that JSON Schema cannot express, for schemathesis. `schemathesis.toml` loads this file."""

from __future__ import annotations

from typing import Any

import schemathesis

UNKNOWN = "x-schemathesis-unknown-property"
LARGEST = 2**63 - 1


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Changes requests that are meant to be valid so that they follow the rules that no schema can express."""
    if "Authorization" in (case.headers or {}):
        case.headers.pop("X-API-Key", None)  # only one header: two different keys are refused
    if UNKNOWN in (case.headers or {}):
        # The API ignores unknown headers. Schemathesis reports that as an error when the case has a numeric header too.
        case.headers = {name: case.headers[name] for name in ("Authorization", UNKNOWN) if name in case.headers}
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if case.query:
        case.query.pop("cursor", None)  # only values from a list are valid cursors; `tests/api` follows real ones
    if isinstance(case.body, dict | list):
        case.body = _as_written(case.body)


def _as_written(value: Any) -> Any:
    """Converts integers: JSON Schema accepts 5.0 and any size, the API accepts 5 within 64 bits."""
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
