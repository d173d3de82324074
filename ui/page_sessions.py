"""A page belongs to the session that opened it: nobody else opens its socket, sends its events or posts to its uploads.

NiceGUI takes a client's id, which stands in the page, for all that is needed (security.md S18, S22, S29). Who is signed in as somebody
else, on another computer or after signing in anew, is told what they would be told of a page that is not there.
"""

from __future__ import annotations

import functools
import hmac
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from nicegui import Client, core
from socketio.exceptions import ConnectionRefusedError as Refused
from starlette.requests import cookie_parser

from ui.page_session import COOKIE

#: A browser that opens all of its tabs again comes to some dozens, and connects each within seconds.
MOST_WAITING = 40
#: NiceGUI's events that name the page they are for. `connect` and `handshake` make a socket one of a page.
_OF_A_PAGE = ("event", "javascript_response", "ack", "log")
#: A page's script takes this for "the page is gone" and opens it anew.
_GONE = "Implicit handshake failed"


def page_of(client_id: Any, cookie: str) -> Client | None:
    """The open page with this id, when this session opened it."""
    client = Client.instances.get(client_id) if isinstance(client_id, str) else None
    return client if client is not None and _opened_by(client, cookie) else None


def asks_for_too_much(cookie: str) -> bool:
    """Whether this session has opened as many pages as it may without a browser that shows them.

    Each is 3 MB of memory until NiceGUI gives it up after a minute.
    """
    waiting = [client for client in Client.instances.values() if not client.has_socket_connection]
    return len(waiting) >= MOST_WAITING and sum(_opened_by(client, cookie) for client in waiting) >= MOST_WAITING


def tie_sockets() -> None:
    """Puts these checks in front of NiceGUI's own handlers of a socket, once a process."""
    handlers: dict[str, Callable[..., Any]] = core.sio.handlers["/"]
    connect, handshake = handlers["connect"], handlers["handshake"]
    if hasattr(connect, "__wrapped__"):
        return

    @functools.wraps(connect)
    async def on_connect(sid: str, environ: dict[str, Any], auth: Any = None) -> None:
        named = parse_qs(environ.get("QUERY_STRING", "")).get("client_id", [""])[0]
        if page_of(named, _session_of(environ)) is None:
            raise Refused(_GONE)
        await connect(sid, environ, auth)

    @functools.wraps(handshake)
    async def on_handshake(sid: str, data: Any) -> bool:
        named = data.get("client_id") if isinstance(data, dict) else None
        if page_of(named, _session_of(core.sio.get_environ(sid) or {})) is None:
            return False
        return await handshake(sid, data)

    core.sio.on("connect", on_connect)
    core.sio.on("handshake", on_handshake)
    for name in _OF_A_PAGE:
        core.sio.on(name, _only_from_its_page(handlers[name]))


def _only_from_its_page(handler: Callable[[str, Any], None]) -> Callable[[str, Any], None]:
    """NiceGUI puts a socket into a room named after its page; it does not ask whether an event comes from there."""

    @functools.wraps(handler)
    def handle(sid: str, message: Any) -> None:
        if isinstance(message, dict) and message.get("client_id") in core.sio.rooms(sid):
            handler(sid, message)

    return handle


def _opened_by(client: Client, cookie: str) -> bool:
    if not cookie:
        return False
    try:
        request = client.request
    except RuntimeError:  # a page that no request opened
        return False
    return hmac.compare_digest(request.cookies.get(COOKIE, "").encode(), cookie.encode())


def _session_of(environ: dict[str, Any]) -> str:
    """Read as the page's own request is read: another parser stops at odd cookies of other sites on the same host."""
    return cookie_parser(environ.get("HTTP_COOKIE", "")).get(COOKIE, "")
