"""Which addresses the public API answers, those that are nearly one of its own included: a program that reads JSON gets no page."""

from __future__ import annotations

import re

MCP_PATH = "/mcp"

_WHOLE = frozenset({"/public", "/v1", "/healthz", "/readyz", "/metrics", MCP_PATH})
_SLASHES = re.compile(r"/{2,}")


def is_public(path: str) -> bool:
    """True for the addresses that belong to the public API and not to the pages."""
    if path.startswith("//"):
        path = "/" + path.lstrip("/")
    return path.startswith(("/public/", "/v1/")) or path in _WHOLE


def meant_by(path: str) -> str | None:
    """The address that a path with doubled slashes or a forgotten `/public` was meant to be; None for any other path."""
    meant = _SLASHES.sub("/", path)
    if meant == "/v1" or meant.startswith("/v1/"):
        meant = f"/public{meant}"
    return None if meant == path else meant
