"""What the guard lets through comes back as it was, except for browsers that have gone."""

from __future__ import annotations

import pytest
from starlette.types import Message, Receive, Scope, Send

from tests.ui.conftest import Site
from ui.guard import FREE, Guard
from ui.visit import App

SCRIPT = {"type": "http", "path": f"{FREE[0]}a.js", "headers": []}


async def unanswered(_scope: Scope, receive: Receive, _send: Send) -> None:
    """As Starlette's middlewares end when there is no answer."""
    await receive()
    raise RuntimeError("No response returned.")


async def send(_message: Message) -> None:
    raise AssertionError("nothing is sent")


async def called(site: Site, heard: str) -> None:
    async def receive() -> Message:
        return {"type": heard}

    app = App(site.database, None, site.settings, None, None)  # type: ignore[arg-type] - scripts are free for everybody
    await Guard(unanswered, app)(SCRIPT, receive, send)


async def test_a_browser_that_hung_up_is_no_error(site: Site) -> None:
    await called(site, "http.disconnect")


async def test_a_page_without_an_answer_is_one(site: Site) -> None:
    with pytest.raises(RuntimeError, match="No response"):
        await called(site, "http.request")
