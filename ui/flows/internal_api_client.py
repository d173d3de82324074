"""Calls the public API from a page: the same ASGI app with an API key, but without a network connection."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from starlette.types import ASGIApp, Message

from engine.core.json_text import json_bytes
from engine.core.web_addresses import split_url


class OwnAnswer(Struct, frozen=True):
    """The response. `body` is parsed JSON, or text when it is no JSON; `seconds` is the duration of the call."""

    status: int
    headers: Mapping[str, str]
    body: Any
    seconds: float


async def call_public(
    public_api: ASGIApp, method: str, path: str, *, key: str, host: str, payload: Any = None
) -> OwnAnswer:
    """Sends one request to `path` (with its query) and waits for the response without a time limit."""
    begun = time.monotonic()
    parts = split_url(path)
    sent = b"" if payload is None else json_bytes(payload)
    status, headers, pieces = 0, {}, []
    asked = False

    async def receive() -> Message:
        nonlocal asked
        if asked:
            await asyncio.Event().wait()  # blocks for ever: the caller never disconnects
        asked = True
        return {"type": "http.request", "body": sent, "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status = message["status"]
            headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
        elif message["type"] == "http.response.body":
            pieces.append(message.get("body", b""))

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "root_path": "",
        "headers": [
            (b"host", host.encode()),
            (b"authorization", f"Bearer {key}".encode()),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(sent)).encode()),
            (b"user-agent", b"Flowport, Try it now"),
        ],
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 80),
    }
    await public_api(scope, receive, send)
    return OwnAnswer(status, headers, _read(b"".join(pieces)), time.monotonic() - begun)


def _read(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace")
