"""The session of a socket is found even when other programs on the same host have set cookies. People open so many pages."""

from __future__ import annotations

import pytest
from nicegui.testing import User
from starlette.requests import HTTPConnection

from ui import access_guard
from ui.page_session import COOKIE
from ui.page_sockets import _session_of


@pytest.mark.parametrize(
    "cookies",
    [
        f"{COOKIE}=mine",
        f"{{odd}}=1; {COOKIE}=mine",
        f"odd; {COOKIE}=mine; other=2",
        f'prefs={{"a": 1, "b": [2]}}; {COOKIE}=mine',
        f"naïve=é; {COOKIE}=mine",
        "other=1",
        "",
    ],
)
def test_a_socket_reads_the_cookie_that_its_page_reads(cookies: str) -> None:
    page = HTTPConnection({"type": "http", "headers": [(b"cookie", cookies.encode("latin-1"))]})
    assert _session_of({"HTTP_COOKIE": cookies}) == page.cookies.get(COOKIE, "")
    assert _session_of({"HTTP_COOKIE": cookies}) == ("mine" if COOKIE in cookies else "")


@pytest.mark.parametrize(
    ("limit", "told"),
    [
        ("MAX_OF_PERSON", "You have 2 pages of this server open"),
        ("MAX_OF_WORKSPACE", "The people of your workspace have 2 pages of this server open"),
    ],
)
async def test_a_person_and_a_workspace_have_only_so_many_pages_open(
    user: User, monkeypatch: pytest.MonkeyPatch, limit: str, told: str
) -> None:
    monkeypatch.setattr(access_guard, limit, 2)
    await user.open("/flows")
    first = user.client
    await user.open("/jobs")

    refused = await user.http_client.get("/flows")

    assert refused.status_code == 429
    assert told in refused.text
    assert "Close tabs that you do not need" in refused.text
    assert first is not None
    first.delete()
    assert (await user.http_client.get("/flows")).status_code == 200
