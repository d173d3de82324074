"""The ASGI app in front of everything: calls of the public API go straight to it, all else to the pages.

Pages get their security headers here (S28) and sockets of foreign pages are refused (S23). Plain ASGI: the API never pays for
what pages need.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.create_api import is_public
from api.origins import Origins

#: NiceGUI's socket, both as a web socket and as plain requests.
_SOCKET = "/_nicegui_ws/"

_PAGE_HEADERS = [
    (
        b"content-security-policy",
        (
            b"frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'; "
            b"img-src 'self' data:; connect-src 'self'"
        ),
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
]
_HTTPS_HEADERS = [*_PAGE_HEADERS, (b"strict-transport-security", b"max-age=31536000")]


class Front:
    """`app` is the app of the pages; its name matters, NiceGUI looks for its server along `app` attributes.

    `known_hosts` gives the hosts the owner opened this server by; it is asked only before a socket is refused.
    """

    def __init__(
        self,
        app: ASGIApp,
        public_api: ASGIApp,
        origins: Origins,
        known_hosts: Callable[[], Awaitable[Iterable[str]]],
    ) -> None:
        self.app = app
        self._public_api = public_api
        self._origins = origins
        self._known_hosts = known_hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif is_public(scope["path"]):
            await self._public_api(scope, receive, send)
        elif scope["path"].startswith(_SOCKET) and not await self._may_open(scope):
            await _refuse(scope, receive, send)
        else:
            await self.app(scope, receive, _with_headers(scope, send))

    async def _may_open(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if origin is None:
            return scope["type"] == "http"  # a browser names the origin of every web socket
        scheme = "https" if scope["scheme"] in {"https", "wss"} else "http"
        called = (origin, scheme, headers.get("host", ""))
        return self._origins.accepts(*called) or self._origins.accepts(*called, await self._known_hosts())


class Assets(StaticFiles):
    """Our own files. With their hash in the address (`?v=...`) browsers keep them for ever, without it they ask again."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        answer = await super().get_response(path, scope)
        named = b"v=" in scope.get("query_string", b"")
        answer.headers["cache-control"] = "public, max-age=31536000, immutable" if named else "no-cache"
        return answer


def _with_headers(scope: Scope, send: Send) -> Send:
    added = _HTTPS_HEADERS if scope.get("scheme") in {"https", "wss"} else _PAGE_HEADERS

    async def answer(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", []), *added]}
        await send(message)

    return answer


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": "foreign origin"})
        return
    text = (
        "This page was not sent by this server, so its connection is refused. "
        "Open Flowport at its known address, or set FLOWPORT_PUBLIC_URL (or FLOWPORT_ALLOWED_ORIGINS) and start again."
    )
    await PlainTextResponse(text, 403)(scope, receive, send)
