"""Ties each page to the session that opened it: no other session opens its socket, sends its events or uploads to it.
It also limits how many pages of a session wait for their browser, and how many a person and a workspace have open, which
`ui.access_guard` asks for.

NiceGUI accepts a client's id, which is part of the page's HTML, as the only credential (S18, S22, S29). A different
session, on another computer or after a new sign-in, gets the response of a page that does not exist.
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

from storage.members import Person
from ui.page_session import COOKIE

#: Most pages of one session that wait for their browser. A browser that restores its tabs opens some dozens, and each
#: connects within seconds.
MAX_WAITING = 40
#: Most pages that a person has open, in all browsers, and those of a workspace together. Each takes 1 to 3 MB of memory.
MAX_OF_PERSON = 50
MAX_OF_WORKSPACE = 500
#: The key of the signed-in Person in the scope of the request for a page.
PERSON = "flowport.person"
#: NiceGUI's events that name the page they are for. `connect` and `handshake` bind a socket to a page.
_OF_A_PAGE = ("event", "javascript_response", "ack", "log")
#: NiceGUI's script reads this message as "the page no longer exists" and reloads it.
_GONE = "Implicit handshake failed"


def page_of(client_id: Any, cookie: str) -> Client | None:
    """The open page with this id if this session opened it, else None."""
    client = Client.instances.get(client_id) if isinstance(client_id, str) else None
    return client if client is not None and _opened_by(client, cookie) else None


def asks_for_too_much(cookie: str) -> bool:
    """Whether this session has opened as many pages as it may without a browser that connects to them.

    Each takes 3 MB of memory until NiceGUI removes it after a minute.
    """
    waiting = [client for client in Client.instances.values() if not client.has_socket_connection]
    return len(waiting) >= MAX_WAITING and sum(_opened_by(client, cookie) for client in waiting) >= MAX_WAITING


def open_pages(person: Person) -> tuple[int, int]:
    """Returns how many pages with a browser this person has open, and how many the people of the workspace have."""
    connected = (_person_of(client) for client in Client.instances.values() if client.has_socket_connection)
    people = [one for one in connected if one is not None]
    return sum(one.id == person.id for one in people), sum(one.workspace_id == person.workspace_id for one in people)


def tie_sockets() -> None:
    """Registers the checks in front of NiceGUI's socket handlers. Called once per process."""
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
    """Wraps a handler so that it accepts events only from sockets of the page that the event names.

    NiceGUI adds a socket to a group (`sio.rooms`) named after its page but does not check that an event comes from it.
    """

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
    except RuntimeError:  # a page that was not opened by a request
        return False
    return hmac.compare_digest(request.cookies.get(COOKIE, "").encode(), cookie.encode())


def _person_of(client: Client) -> Person | None:
    try:
        return client.request.scope.get(PERSON)
    except RuntimeError:  # a page that was not opened by a request
        return None


def _session_of(environ: dict[str, Any]) -> str:
    """Reads the session cookie with the parser that also reads it for the page's own request.

    Another parser stops at malformed cookies that other sites on the same host have set.
    """
    return cookie_parser(environ.get("HTTP_COOKIE", "")).get(COOKIE, "")
