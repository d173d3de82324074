"""The ASGI app in front of everything: it routes calls of the public API to that API, the rest to the pages.

It adds the security headers of pages (S28) and refuses sockets of foreign pages (S23). A page checks at
`/address-check` whether its socket would be refused, and then shows `/address-refused`; a signed-in person who opens a
page at a host that is not this server's own gets that page at once. It is plain ASGI so that API calls do not pay for
page features.
"""

from __future__ import annotations

import asyncio
import functools
import gzip
import logging
import os
import re
import secrets
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.allowed_origins import Origins

log = logging.getLogger(__name__)

#: NiceGUI's socket, for WebSocket and for HTTP long polling.
_SOCKET = "/_nicegui_ws/"
#: NiceGUI's route for uploads of a page.
_UPLOADS = "/_nicegui/client/"
#: The first path answers 204 or 403: whether this page may open a socket. The second is the page that explains a
#: refusal.
_CHECK, _REFUSED = "/address-check", "/address-refused"
#: Paths that are allowed at any host name, because these pages open no socket.
_PLAIN = (
    "/_nicegui/", "/assets/", "/docs", "/llms.txt", "/openapi.json", "/setup", "/invite", "/sign-in", "/sign-out", "/answer/", "/favicon.ico"
)  # fmt: skip

_POLICY = (
    "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'; "
    "img-src 'self' data:; connect-src 'self'; style-src 'self' 'unsafe-inline'; "
)
_PAGE_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
]
#: The header that marks responses as pages of NiceGUI. Only these have inline scripts.
_IS_PAGE = b"x-nicegui-content"
_HTTPS_HEADERS = [*_PAGE_HEADERS, (b"strict-transport-security", b"max-age=31536000")]


_ORIGIN = re.compile(r"https?://[\w.:\[\]-]{1,253}")
#: In bytes. Compression does not shrink smaller files.
_LEAST_PACKED = 500
_NO_STORE = {"cache-control": "no-store"}


class RequestRouter:
    """Routes each request. `app` is the app of the pages; NiceGUI finds its server by following attributes named `app`.

    Requests for which `is_for_api` is true go to `public_api`, all others to the pages. `known_hosts` returns the hosts
    at which the owner opened this server; it is called only before a socket is refused. `refused_page` writes the page for
    (address in the browser, known address); `cookie` is the name of the session cookie.
    """

    def __init__(
        self,
        app: ASGIApp,
        public_api: ASGIApp,
        is_for_api: Callable[[Scope], bool],
        origins: Origins,
        known_hosts: Callable[[], Awaitable[Iterable[str]]],
        *,
        refused_page: Callable[[str, str], str],
        known_url: str,
        cookie: str,
    ) -> None:
        self.app = app
        self._public_api = public_api
        self._is_for_api = is_for_api
        self._origins = origins
        self._known_hosts = known_hosts
        self._refused_page = refused_page
        self._known_url = known_url
        self._cookie = cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif self._is_for_api(scope):
            await self._public_api(scope, receive, send)
        elif scope["path"].startswith((_SOCKET, _UPLOADS)) and not await self._may_open(scope):
            await _refuse(scope, receive, send)
        elif scope["path"] in {_CHECK, _REFUSED}:
            await (await self._about_the_address(scope))(scope, receive, _with_headers(scope, send))
        elif await self._stands_elsewhere(scope):
            answer = self._says_refused(_called(scope))
            await answer(scope, receive, _with_headers(scope, send))
        elif scope["type"] == "http":
            await self._answer_page(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _answer_page(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers with a page.

        Logs an error once, and only when the pages have already sent a response that reports it.
        """
        caller = _Caller(receive, _with_headers(scope, send))
        try:
            await self.app(scope, caller.receive, caller.send)
        except Exception as error:
            if caller.left and isinstance(error, (RuntimeError, ClientDisconnect)):
                log.debug("Nobody waited for %s any more", scope["path"])
            elif caller.answered:
                log.exception("The page %s failed", scope["path"])
            else:
                raise

    async def _may_open(self, scope: Scope) -> bool:
        origin = Headers(scope=scope).get("origin")
        if origin is None:
            return scope["type"] == "http"  # browsers send an Origin with every WebSocket
        return await self._accepts(scope, origin)

    async def _accepts(self, scope: Scope, origin: str) -> bool:
        scheme, _, host = _called(scope).partition("://")
        called = (origin, scheme, host)
        return self._origins.accepts(*called) or self._origins.accepts(*called, await self._known_hosts())

    async def _stands_elsewhere(self, scope: Scope) -> bool:
        """Whether a signed-in person opens a page at a host name whose socket would be refused."""
        if scope["type"] != "http" or scope["method"] != "GET" or scope["path"].startswith(_PLAIN):
            return False
        connection = HTTPConnection(scope)
        if self._cookie not in connection.cookies or "text/html" not in connection.headers.get("accept", ""):
            return False
        return not await self._accepts(scope, _called(scope))

    async def _about_the_address(self, scope: Scope) -> Response:
        if scope["path"] == _CHECK:
            return Response(status_code=204 if await self._may_open(scope) else 403, headers=_NO_STORE)
        said = HTTPConnection(scope).query_params.get("from", "")
        return self._says_refused(said if _ORIGIN.fullmatch(said) else _called(scope))

    def _says_refused(self, origin: str) -> Response:
        return HTMLResponse(self._refused_page(origin, self._known_url), 403, headers=_NO_STORE)


class _Caller:
    """The connection of the person who requested a page.

    `left`: the browser closed the connection before the response began, as browsers do when another page is opened;
    Starlette then fails with "No response returned".
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self.answered = False
        self.left = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect" and not self.answered:
            self.left = True
        return message

    async def send(self, message: Message) -> None:
        self.answered = True
        await self._send(message)


def _called(scope: Scope) -> str:
    """The origin to which a request was sent, as far as the server can know it."""
    scheme = "https" if scope["scheme"] in {"https", "wss"} else "http"
    return f"{scheme}://{Headers(scope=scope).get('host', '')}"


class Assets(StaticFiles):
    """Serves the files of `assets/`.

    A URL with the file's hash (`?v=...`) may be cached without a time limit; without the hash browsers revalidate.
    Files that compress well are compressed once and cached: the largest takes a twentieth of a second.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(directory=directory)
        self._packing = asyncio.Lock()

    async def get_response(self, path: str, scope: Scope) -> Response:
        try:
            answer = await super().get_response(path, scope)
        except HTTPException as error:  # an unknown file, or another method than GET and HEAD
            said = "There is no such file.\n" if error.status_code == 404 else "Files can only be read.\n"
            return PlainTextResponse(said, error.status_code, error.headers)
        named = b"v=" in scope.get("query_string", b"")
        answer.headers["cache-control"] = "public, max-age=31536000, immutable" if named else "no-cache"
        return await self._smaller(answer, scope) if isinstance(answer, FileResponse) else answer

    async def _smaller(self, answer: FileResponse, scope: Scope) -> Response:
        """Returns the response compressed if the caller accepts gzip."""
        asked, found = Headers(scope=scope), answer.stat_result
        kind = answer.headers["content-type"].partition(";")[0]
        if found is None or found.st_size < _LEAST_PACKED or kind in DEFAULT_EXCLUDED_CONTENT_TYPES:
            return answer
        answer.headers.add_vary_header("Accept-Encoding")
        if scope["method"] != "GET" or "range" in asked or "gzip" not in asked.get("accept-encoding", ""):
            return answer
        async with self._packing:  # concurrent requests wait for one compression
            packed = await run_in_threadpool(_packed, os.fspath(answer.path), found.st_mtime_ns, found.st_size)
        headers = dict(answer.headers) | {"content-encoding": "gzip", "content-length": str(len(packed))}
        del headers["accept-ranges"]
        return Response(packed, headers=headers)


@functools.lru_cache(maxsize=256)
def _packed(path: str, _changed: int, _size: int) -> bytes:
    """Compresses a file with gzip.

    The other arguments are part of the cache key, so that a changed file is read again.
    """
    return gzip.compress(Path(path).read_bytes(), mtime=0)


def _with_headers(scope: Scope, send: Send) -> Send:
    """Adds the security headers to a page. Scripts must be files of this server or carry the nonce of this response.

    'unsafe-eval' stays allowed: NiceGUI's client compiles Vue templates and handlers and runs the server's JavaScript
    with `eval`.
    """
    added = _HTTPS_HEADERS if scope.get("scheme") in {"https", "wss"} else _PAGE_HEADERS
    mark = scope.setdefault("state", {})["script_mark"] = secrets.token_urlsafe(16)

    async def answer(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = message.get("headers", [])
            is_page = any(name == _IS_PAGE for name, _ in headers)
            scripts = f"script-src 'self' 'nonce-{mark}' 'unsafe-eval'" if is_page else "script-src 'self'"
            policy = (b"content-security-policy", (_POLICY + scripts).encode())
            message = {**message, "headers": [*headers, *added, policy]}
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
