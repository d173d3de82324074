"""ASGI middleware around NiceGUI's app: only signed-in people get pages, each so many at a time (S18, S19, S29).

A request without a session is redirected to `/sign-in` (303) before NiceGUI sees it, so it creates no client and stores
nothing. While there is no owner, pages redirect to `/`, which says where the set-up link is, and a request prints a new
link, at most one a minute.

NiceGUI's own scripts and styles need a session too: the pages for people without one use none of them, and compressing
them costs time.
"""

from __future__ import annotations

import contextlib
import sys
from urllib.parse import quote

from nicegui import __version__ as nicegui_version
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from engine.actions.one_time_links import link_path, renew_setup_token
from engine.core.clock import MINUTE, Millis
from engine.core.errors import Unavailable
from engine.core.web_addresses import split_url
from storage.members import Person, has_owner
from storage.sessions import find_signed_in, hash_token, note_seen
from storage.workspaces import find_first_workspace
from ui.kit.frame import THEME_COOKIE
from ui.kit.plain_pages import error_page, open_link_page
from ui.kit.text import _
from ui.page_session import COOKIE, App
from ui.page_sockets import MAX_OF_PERSON, MAX_OF_WORKSPACE, PERSON, asks_for_too_much, open_pages
from ui.uploads import PREFIX as UPLOADS
from ui.uploads import take_upload

FREE = "/favicon.ico"
#: NiceGUI's own scripts, styles and components. Loading them does not count as activity of a session.
_SCRIPTS = f"/_nicegui/{nicegui_version}/"
SOCKET = "/_nicegui_ws"
NO_STORE = {"cache-control": "no-store"}
_SIGNED_OUT = ("/sign-in", "/sign-out", "/setup", "/invite", "/public")


class AccessGuard:
    """Passes the requests of signed-in people to `inner` and answers all others."""

    def __init__(self, inner: ASGIApp, app: App) -> None:
        self.app = inner  # NiceGUI finds its server by following `app` attributes
        self._flowport = app
        self._noted: dict[str, Millis] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"} or scope["path"] == FREE:
            await self.app(scope, receive, send)
            return
        cookie = HTTPConnection(scope).cookies.get(COOKIE, "")
        try:
            person = await self._flowport.database.read_briefly(find_signed_in, cookie) if cookie else None
        except Unavailable as refusal:
            await _not_now(scope, receive, send, refusal)
            return
        if person is not None:
            scope[PERSON] = person
            if scope["type"] == "http" and not scope["path"].startswith((SOCKET, _SCRIPTS)):
                with contextlib.suppress(Unavailable):  # it is noted again in a minute
                    await self._note(cookie)
            is_page = scope["type"] == "http" and not scope["path"].startswith("/_nicegui")
            if is_page and asks_for_too_much(cookie):
                await _too_many_pages(HTTPConnection(scope))(scope, receive, send)
            elif is_page and (too_many := _too_many_open(HTTPConnection(scope), person)) is not None:
                await too_many(scope, receive, send)
            elif scope["type"] == "http" and scope["path"].startswith(UPLOADS):
                await (await take_upload(scope, receive, cookie))(scope, receive, send)
            else:
                await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "signed out"})
        else:
            try:
                answer = await stranger_answer(self._flowport, HTTPConnection(scope))
            except Unavailable as refusal:
                answer = unavailable_answer(HTTPConnection(scope), refusal)
            await answer(scope, receive, send)

    async def _note(self, cookie: str) -> None:
        """Records that the session is in use, so that it does not expire as idle. Writes at most once a minute."""
        at = self._flowport.database.clock.now()
        token = hash_token(cookie)
        if at - self._noted.get(token, 0) < MINUTE:
            return
        if len(self._noted) > 10_000:
            self._noted.clear()
        self._noted[token] = at
        await self._flowport.database.write(note_seen, cookie)


async def _not_now(scope: Scope, receive: Receive, send: Send, refusal: Unavailable) -> None:
    """Answers a request whose person cannot be looked up. A socket is closed as one that may try again."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1013, "reason": "try again later"})
    else:
        await unavailable_answer(HTTPConnection(scope), refusal)(scope, receive, send)


def unavailable_answer(connection: HTTPConnection, refusal: Unavailable) -> Response:
    """The answer when the database, or the server, cannot do it now."""
    page = error_page(
        _("This page cannot be shown right now"),
        happened=f"{refusal.title}.",
        why=f"{refusal.detail}." if refusal.detail else "",
        todo=refusal.remedy or _("Open the page again in a few seconds."),
        link=False,
        theme=theme_of(connection),
    )
    return HTMLResponse(page, 503, headers={**NO_STORE, "retry-after": str(refusal.retry_after or 5)})


def _too_many_pages(connection: HTTPConnection) -> Response:
    page = error_page(
        _("Too many pages are being opened"),
        happened=_("More pages were asked for from this browser than were shown."),
        why=_("Each takes memory of the server until it is shown or given up, which takes a minute."),
        todo=_("Wait a minute, then open the page again."),
        link=False,  # which is a page, too
        theme=theme_of(connection),
    )
    return HTMLResponse(page, 429, headers={**NO_STORE, "retry-after": "60"})


def _too_many_open(connection: HTTPConnection, person: Person) -> Response | None:
    """The answer when this person, or the workspace, has as many pages open as it may; None when it has fewer."""
    own, of_all = open_pages(person)
    if own >= MAX_OF_PERSON:
        happened = _("You have {count} pages of this server open, in all your browsers together.").format(count=own)
        todo = _("Close tabs that you do not need, wait a minute, then open the page again.")
    elif of_all >= MAX_OF_WORKSPACE:
        happened = _("The people of your workspace have {count} pages of this server open.").format(count=of_all)
        todo = _(
            "Close tabs that you do not need and ask the others to do so, wait a minute, then open the page again."
        )
    else:
        return None
    page = error_page(
        _("Too many pages are open"),
        happened=happened,
        why=_("Each takes memory of the server as long as it is open."),
        todo=todo,
        link=False,  # which is a page, too
        theme=theme_of(connection),
    )
    return HTMLResponse(page, 429, headers={**NO_STORE, "retry-after": "60"})


async def stranger_answer(app: App, connection: HTTPConnection) -> Response:
    """The response to a request for a page without a valid session."""
    if (page := await ownerless_page(app, connection)) is not None:
        return _without_owner(connection, page)
    if connection.scope["method"] not in {"GET", "HEAD"} or connection.scope["path"].startswith("/_nicegui"):
        return PlainTextResponse("You are signed out. Open the page again to sign in.", 401, headers=NO_STORE)
    wanted = connection.url.path + (f"?{connection.url.query}" if connection.url.query else "")
    there = local_path(wanted)
    return RedirectResponse(f"/sign-in?next={quote(there)}" if there else "/sign-in", 303, headers=NO_STORE)


def _without_owner(connection: HTTPConnection, page: Response) -> Response:
    """Answers a request to a server without an owner: with `page` at `/`, with a redirect to `/` at other paths.

    Other methods than GET get 405, so that a program does not mistake the page for a successful response.
    """
    if connection.scope["method"] not in {"GET", "HEAD"}:
        told = "This server has no owner yet. Open its address in a browser: the page says how to begin."
        return PlainTextResponse(told, 405, headers={**NO_STORE, "allow": "GET, HEAD"})
    return page if connection.scope["path"] == "/" else RedirectResponse("/", 303, headers=NO_STORE)


async def ownerless_page(app: App, connection: HTTPConnection) -> Response | None:
    """The page that says where the set-up link is, or None when the server has an owner."""
    workspace = await app.database.read(find_first_workspace)
    if workspace is None or await app.database.read(has_owner, workspace.id):
        return None
    token = await app.database.write(renew_setup_token, workspace.id)
    if token is not None:
        sys.stdout.write(f"Set-up link: {app.settings.base_url}{link_path(token)}\n")
        sys.stdout.flush()
    return HTMLResponse(open_link_page(theme=theme_of(connection)), headers=NO_STORE)


def theme_of(connection: HTTPConnection) -> str:
    """The theme that this browser's cookie names; "" means the system's theme."""
    return connection.cookies.get(THEME_COOKIE, "")


def local_path(wanted: str) -> str:
    """Returns the path of a redirect after sign-in, or "" unless it leads to a page of this server.

    Other hosts and the sign-in page itself are not accepted.
    """
    try:
        parts = split_url(wanted)
    except ValueError:  # an opening bracket without its closing one
        return ""
    local = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and not parts.scheme and not parts.netloc
    if not local or any(ord(letter) < 0x20 or letter == "\\" for letter in wanted):
        return ""
    return "" if parts.path == "/" or parts.path.startswith(_SIGNED_OUT) else wanted
