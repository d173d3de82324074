"""Decides which requests the public API answers. Near misses of its own paths are included, what clients of MCP
ask about OAuth (`/.well-known/`), and what carries an API key and asks for a page, so that a program that expects JSON
does not get an HTML page.
"""

from __future__ import annotations

import re

from starlette.types import Scope

MCP_PATH = "/mcp"

_WHOLE = frozenset({"/public", "/v1", "/healthz", "/readyz", "/metrics", MCP_PATH})
#: The fixed parts of the API's paths, in lower case.
_WORDS = frozenset(
    {"answer", "api", "batch", "batches", "cancel", "data", "events", "execute", "files", "flows", "healthz", "hooks"}
    | {"jobs", "mcp", "metrics", "openapi", "openapi.json", "public", "questions", "readyz", "results", "v1"}
)
_PLURAL = {"batch": "batches", "file": "files", "flow": "flows", "job": "jobs"}
_BASE = ("public", "v1")
#: What stands behind the base in the paths of the API.
_NOUNS = frozenset({"batches", "files", "flows", "jobs", "openapi", "openapi.json", "openapi.yaml", "openapi.yml"})
#: Addresses that other APIs have for what this one has elsewhere, and the right ones.
_SLIPS = (
    (re.compile(r"^/public/v1/flows/(?!execute(?:/|$))([^/]+)(?:/(?:execute|run))?$"), r"/public/v1/flows/execute/\1"),
    (re.compile(r"^/public/v1/flows/(?!execute/)([^/]+)/batch$"), r"/public/v1/flows/execute/\1/batch"),
    (re.compile(r"^/public/v1/jobs/([^/]+)/results?$"), r"/public/v1/jobs/\1"),
    (re.compile(r"^/public/v1/openapi\.ya?ml$"), "/public/v1/openapi.json"),
    (re.compile(r"^/public/v1/openapi/flows/([^/]+?)(?:\.ya?ml)?(?<!\.json)$"), r"/public/v1/openapi/flows/\1.json"),
    (re.compile(r"^/public/v1/mcp$"), MCP_PATH),
)
#: Paths that a program may read with or without a key, which is not looked at there.
_OPEN = re.compile(
    r"/docs(\.md|/.*)?|/llms\.txt|/openapi\.json|/assets/.*|/answer/[^/]+(/files/[^/]+)?|/favicon\.ico", re.DOTALL
)
_API_KEY = re.compile(rb"(?i:bearer) +fp_|fp_")
_SLASHES = re.compile(r"/{2,}")


def is_public(path: str) -> bool:
    """Tells whether a path belongs to the public API and not to the pages; `*` is the target of `OPTIONS *`."""
    near = _SLASHES.sub("/", path).rstrip("/").lower()
    return near.startswith(("/public/", "/v1/", "/.well-known/")) or near in _WHOLE or path == "*"


def is_for_api(scope: Scope) -> bool:
    """Tells whether a request belongs to the public API: by its path, or because it carries an API key, which pages
    never do.
    """
    path: str = scope["path"]
    if is_public(path):
        return True
    return scope["type"] == "http" and not _OPEN.fullmatch(path) and any(map(_is_key, scope["headers"]))


def _is_key(header: tuple[bytes, bytes]) -> bool:
    name, said = header
    return name in (b"authorization", b"x-api-key") and _API_KEY.match(said) is not None


def meant_by(path: str) -> str | None:
    """Returns the path that was meant by one with doubled or trailing slashes, capital letters, without `/public/v1` or
    a part of it, with `/api`, with a singular, or as other APIs have it; None for any other path.
    """
    parts = [part.lower() if part.lower() in _WORDS else part for part in path.split("/") if part]
    begins = next((at for at, part in enumerate(parts) if part not in ("api", *_BASE)), len(parts))
    nouns = [_PLURAL.get(part.lower(), part) for part in parts[begins : begins + 1]]
    if nouns and nouns[0] in _NOUNS:
        parts[: begins + 1] = [*_BASE, *nouns]
    elif parts[:1] == ["v1"]:
        parts.insert(0, "public")
    meant = "/" + "/".join(parts)
    for slip, right in _SLIPS:
        meant = slip.sub(right, meant)
    return None if meant == path else meant
