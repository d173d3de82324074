"""What a server without pages (`serve --no-pages`) answers at the address of a page: where the pages are."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from ui.kit.plain_pages import error_page
from ui.kit.text import _

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_NO_STORE = {"cache-control": "no-store"}


def register(root: FastAPI, public_url: str) -> None:
    """Adds the answer for every address that `root` does not know. Call it after all other routes.

    `public_url` is the address of the pages; "" when nobody told this server.
    """

    async def say(request: Request) -> Response:
        title, happened, todo = _told(f"{request.url.scheme}://{request.url.netloc}", public_url)
        if "text/html" in request.headers.get("accept", ""):
            page = error_page(
                title, happened=happened, todo=todo, link=False, theme=request.cookies.get("fp_theme", "")
            )
            return HTMLResponse(page, 404, headers=_NO_STORE)
        return PlainTextResponse(f"{title}. {happened} {todo}\n", 404, headers=_NO_STORE)

    root.add_route("/{rest:path}", say, methods=_METHODS)


def _told(called: str, public_url: str) -> tuple[str, str, str]:
    """Returns the title, what happened and what to do. `called` is the origin at which the address was opened."""
    title = _("There are no pages on this server")
    happened = _("This server answers the API and its documentation (/docs) only: it was started with --no-pages.")
    if not public_url:
        todo = _(
            "Open a server that was started without --no-pages. With FLOWPORT_PUBLIC_URL set here, this sentence names its address."
        )
    elif called == public_url:
        todo = _(
            "The proxy in front of this server sent the address of a page here. Let it send everything but the API to the servers with pages, as the files in the folder deploy do."
        )
    else:
        todo = _("Open the pages at {public_url}.").format(public_url=public_url)
    return title, happened, todo
