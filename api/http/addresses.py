"""Decides which URL paths the public API answers. Near misses of its own paths are included, so that a program that
expects JSON does not get an HTML page.
"""

from __future__ import annotations

import re

MCP_PATH = "/mcp"

_WHOLE = frozenset({"/public", "/v1", "/healthz", "/readyz", "/metrics", MCP_PATH})
_SLASHES = re.compile(r"/{2,}")


def is_public(path: str) -> bool:
    """Tells whether a path belongs to the public API and not to the pages."""
    if path.startswith("//"):
        path = "/" + path.lstrip("/")
    return path.startswith(("/public/", "/v1/")) or path in _WHOLE


def meant_by(path: str) -> str | None:
    """Returns the path that was meant when slashes are doubled or `/public` is missing; None for any other path."""
    meant = _SLASHES.sub("/", path)
    if meant == "/v1" or meant.startswith("/v1/"):
        meant = f"/public{meant}"
    return None if meant == path else meant
