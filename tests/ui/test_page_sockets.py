"""The session of a socket is found even when other programs on the same host have set cookies."""

from __future__ import annotations

import pytest
from starlette.requests import HTTPConnection

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
