"""Prepares the app of the pages: who may come in, the plain files, and the pages for unknown addresses and for errors.

The pages themselves are registered when they are first opened (`ui/pages_on_demand.py`).
"""

from __future__ import annotations

import logging
from time import gmtime, strftime

from fastapi import FastAPI
from nicegui import app as nicegui_app
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from engine.core.errors import Refusal, Unavailable
from storage.flows import list_flows
from ui import second_factor, sign_in
from ui.access_guard import NO_STORE, AccessGuard, theme_of, unavailable_answer
from ui.datasets import files
from ui.jobs import jobs_csv, stored_file
from ui.kit.halves_of_characters import show_halves_of_characters
from ui.kit.plain_pages import error_page
from ui.kit.search import Hit
from ui.kit.signatures import remember_signatures
from ui.kit.text import _
from ui.kit.value_words import shortened
from ui.page_memory import give_back_memory
from ui.page_session import App, Offered, SignedOut, open_page_session, page_at
from ui.page_shell import nothing_here
from ui.page_sockets import tie_sockets
from ui.pages_on_demand import PagesOnDemand
from ui.playground.run import batch_csv
from ui.script_marks import mark_scripts
from ui.settings import audit_csv, backup_file

#: How much of the path of a page that failed is shown.
_LONGEST_PATH = 100


class _OtherMethod:
    """The ASGI application that answers a method which an address does not take. Without it the guard of the pages would
    ask for a session.
    """

    def __init__(self, allowed: str) -> None:
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _method_refused(self._allowed, scope["method"])(scope, receive, send)


def _add_answer_page(root: FastAPI, app: App) -> None:
    """Adds the page behind the link of a question. Its module is imported when it is first asked for."""

    async def show(request: Request) -> Response:
        from ui.answer_page import AnswerPages

        return await AnswerPages(app).show(request)

    async def answer(request: Request) -> Response:
        from ui.answer_page import AnswerPages

        return await AnswerPages(app).answer(request)

    async def file(request: Request) -> Response:
        from ui.answer_page import AnswerPages

        return await AnswerPages(app).file(request)

    root.add_route("/answer/{token}", show, methods=["GET"])
    root.add_route("/answer/{token}/files/{file_id}", file, methods=["GET"])
    root.add_route("/answer/{token}", answer, methods=["POST"])
    for path, allowed in (("/answer/{token}", "GET, HEAD, POST"), ("/answer/{token}/files/{file_id}", "GET, HEAD")):
        root.routes.append(Route(path, _OtherMethod(allowed)))  # last, as it takes every method


def register(app: App, root: FastAPI) -> None:
    """Adds the plain pages to `root`, and to NiceGUI's app the guard and what registers every page.

    Call it before `ui.run_with(root)`.
    """
    remember_signatures()
    show_halves_of_characters()
    give_back_memory()
    nicegui_app.config.quasar_config["loadingBar"]["skipHijack"] = (
        True  # Quasar's loading bar has no accessible name and is not needed
    )
    sign_in.add_routes(root, app)
    second_factor.add_routes(root, app)
    _add_answer_page(root, app)
    jobs_csv.add_routes(root, app)
    stored_file.add_routes(root, app)
    batch_csv.add_routes(root, app)
    audit_csv.add_routes(root, app)
    backup_file.add_routes(root, app)
    files.add_routes(root, app)
    tie_sockets()
    mark_scripts()
    app.shared(Offered).find = _templates_to_find
    nicegui_app.on_shutdown(app.sandbox.close)
    nicegui_app.add_middleware(PagesOnDemand, app=app)
    nicegui_app.add_middleware(AccessGuard, app=app)  # the outer one: strangers have no page registered
    nicegui_app.add_exception_handler(404, _not_found)
    nicegui_app.add_exception_handler(405, _other_method)
    nicegui_app.add_exception_handler(SignedOut, _signed_out)
    for one in (nicegui_app, root):
        one.add_exception_handler(Unavailable, _not_now)
    logging.getLogger("nicegui").addFilter(_is_news)
    nicegui_app.add_exception_handler(Exception, _broken)

    @page_at("/")
    async def open_first(request: Request) -> RedirectResponse:
        page_session = await open_page_session(app, request)
        return RedirectResponse("/flows" if await page_session.query(list_flows, 1) else "/start", 303)

    @page_at("/settings")
    def open_settings() -> RedirectResponse:
        return RedirectResponse("/settings/keys", 303)


def _templates_to_find() -> tuple[Hit, ...]:
    from ui.flows.templates import as_hits

    return as_hits()


async def _not_found(request: Request, _error: Exception) -> Response:
    return nothing_here(request)


async def _other_method(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    allowed = (error.headers or {}).get("Allow", "GET, HEAD").split(", ")
    return _method_refused(", ".join(sorted(allowed)), request.method)


def _method_refused(allowed: str, method: str) -> Response:
    told = f"This address takes {allowed}, and not {method[:20]}.\n"
    return PlainTextResponse(told, 405, headers={**NO_STORE, "allow": allowed})


async def _not_now(request: Request, error: Exception) -> Response:
    assert isinstance(error, Unavailable)
    return unavailable_answer(request, error)


async def _signed_out(_request: Request, _error: Exception) -> Response:
    return RedirectResponse("/sign-in", 303)


def _is_news(record: logging.LogRecord) -> bool:
    """Log filter: drops the error of an event in a tab whose session has just ended, since the tab goes to sign-in, and
    refusals, which the page tells. A refusal because the server cannot do it now stays: whoever runs it has to know.
    """
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, (SignedOut, Refusal)) or isinstance(error, Unavailable)


async def _broken(request: Request, _error: Exception) -> Response:
    """The page for an internal error. The log has the details (`ui/request_router.py`); the page says what to do."""
    todo = _(
        "Try it again. If it stays so, tell whoever runs Flowport: “{path} did not open at {time} (UTC)”. The server's log "
        "says why."
    )
    page = error_page(
        _("This page did not open"),
        happened=_("Something in Flowport failed while it made the page."),
        why=_("It is a fault of Flowport; nothing you did is lost."),
        todo=todo.format(path=shortened(request.url.path, _LONGEST_PATH), time=strftime("%Y-%m-%d %H:%M:%S", gmtime())),
        again=True,
        theme=theme_of(request),
    )
    return HTMLResponse(page, 500, headers=NO_STORE)
