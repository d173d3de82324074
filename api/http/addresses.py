"""Decides which URL paths the public API answers. Near misses of its own paths are included, so that a program that
expects JSON does not get an HTML page.
"""

from __future__ import annotations

import re

MCP_PATH = "/mcp"

_WHOLE = frozenset({"/public", "/v1", "/healthz", "/readyz", "/metrics", MCP_PATH})
#: The fixed parts of the API's paths, in lower case.
_WORDS = frozenset(
    {"batch", "batches", "cancel", "data", "events", "execute", "flows", "healthz", "hooks", "jobs", "mcp", "metrics"}
    | {"openapi"}
    | {"openapi.json", "public", "readyz", "results", "v1"}
)
_PLURAL = {"batch": "batches", "flow": "flows", "job": "jobs"}
_SLASHES = re.compile(r"/{2,}")


def is_public(path: str) -> bool:
    """Tells whether a path belongs to the public API and not to the pages; `*` is the target of `OPTIONS *`."""
    near = _SLASHES.sub("/", path).rstrip("/").lower()
    return near.startswith(("/public/", "/v1/")) or near in _WHOLE or path == "*"


def meant_by(path: str) -> str | None:
    """Returns the path that was meant by one with doubled or trailing slashes, capital letters, without `/public`, or
    with a singular; None for any other path.
    """
    parts = [part.lower() if part.lower() in _WORDS else part for part in path.split("/") if part]
    if parts[:1] == ["v1"]:
        parts.insert(0, "public")
    if parts[:2] == ["public", "v1"] and len(parts) > 2:
        parts[2] = _PLURAL.get(parts[2].lower(), parts[2])
    meant = "/" + "/".join(parts)
    return None if meant == path else meant
