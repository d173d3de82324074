"""Which proxies the server trusts about client address and HTTPS, and the headers of the guide's nginx recipe.

These tests use the server's own configuration, without nginx.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from api.connection_limits import limits_for
from api.http_server import http_server
from engine.core.settings import Settings
from engine.diagnostics.browser_access import FROM_UNTRUSTED
from tests.hosting.nginx import recipe

CALLER, PROXY, SECOND = "203.0.113.9", "10.0.0.7", "127.0.0.1"
SPOOFED = ["1.2.3.4", "127.0.0.1", "::1, 10.0.0.1", "unknown", "a" * 300]


async def told(settings: Settings, peer: str, **headers: str) -> tuple[str, str]:
    """Returns the client's scheme and address as the server's apps see them for a connection from `peer`."""
    seen: dict[str, Any] = {}

    async def front(scope: Any, receive: Any, send: Any) -> None:
        seen.update(scope)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    config = http_server(settings, front, limits_for(1024), ready=lambda: None).config
    config.load()
    transport = httpx.ASGITransport(config.loaded_app, client=(peer, 4711))
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx.AsyncClient(transport=transport, base_url="http://flows.example.test") as client:
        await client.get("/", headers=named)
    return seen["scheme"], seen["client"][0]


def test_a_connection_is_kept_for_longer_than_a_proxy_or_a_caller_that_polls_leaves_it_idle():
    """nginx and load balancers keep theirs for 60 s, and the guide tells callers to ask every 2 to 5 seconds."""
    config = http_server(Settings(), lambda *_: None, limits_for(1024), ready=lambda: None).config  # type: ignore[arg-type]
    assert config.timeout_keep_alive == 75
    assert "An idle connection is kept for 75 seconds" in Path("assets/help/jobs-and-polling.md").read_text("utf-8")


@pytest.mark.parametrize("said", SPOOFED)
async def test_a_spoofed_forwarded_header_changes_nothing(said: str):
    headers = {"X_Forwarded_For": said, "X_Real_IP": said, "Forwarded": f"for={said}", "X_Forwarded_Proto": "https"}
    assert await told(Settings(), CALLER, **headers) == ("http", CALLER)


@pytest.mark.parametrize("said", ["1.2.3.4", "::1", "unknown"])
async def test_behind_a_proxy_the_last_address_that_is_no_proxy_of_ours_counts(said: str):
    """nginx appends the address it sees to the header that the caller sent."""
    one = await told(Settings(), SECOND, X_Forwarded_For=f"{said}, {CALLER}", X_Forwarded_Proto="https")
    assert one == ("https", CALLER)
    private = Settings(trusted_proxies=("private",))
    two = await told(private, PROXY, X_Forwarded_For=f"{said}, {CALLER}, {SECOND}", X_Forwarded_Proto="https")
    assert two == ("https", CALLER)


@pytest.mark.parametrize("said", ["10.1.2.3", "192.168.0.1, 10.1.2.3", "127.0.0.1"])
async def test_somebody_inside_a_trusted_network_is_who_the_proxy_saw(said: str):
    settings = Settings(trusted_proxies=("private",))
    assert await told(settings, PROXY, X_Forwarded_For=f"{said}, 10.0.0.50") == ("http", "10.0.0.50")
    assert await told(settings, PROXY, X_Forwarded_For="10.0.0.50") == ("http", "10.0.0.50")


@pytest.mark.parametrize(
    ("trusted", "peer"),
    [
        (Settings().trusted_proxies, "::ffff:127.0.0.1"),
        (("private",), "::ffff:10.0.0.7"),
        (("192.0.2.0/24",), "::ffff:192.0.2.9"),
    ],
)
async def test_on_an_ipv6_socket_a_proxy_with_an_ipv4_address_is_known(trusted: tuple[str, ...], peer: str):
    settings = Settings(host="::", trusted_proxies=trusted)
    assert await told(settings, peer, X_Forwarded_For=CALLER, X_Forwarded_Proto="https") == ("https", CALLER)
    stranger = "::ffff:198.51.100.1"
    assert await told(settings, stranger, X_Forwarded_For=CALLER, X_Forwarded_Proto="https") == ("http", stranger)


async def test_a_proxy_that_nobody_named_is_not_believed():
    assert await told(Settings(), PROXY, X_Forwarded_For=CALLER, X_Forwarded_Proto="https") == ("http", PROXY)


async def test_a_proxy_that_nobody_named_is_logged_once(caplog: pytest.LogCaptureFixture):
    seen: list[bool] = []

    async def front(scope: Any, receive: Any, send: Any) -> None:
        seen.append(FROM_UNTRUSTED in scope)

    server = http_server(Settings(trusted_proxies=("10.0.0.5",)), front, limits_for(1024), ready=lambda: None)
    app: Any = server.config.app
    headers = [(b"x-forwarded-for", b"127.0.0.1")]
    for peer, sent in (("10.0.0.5", headers), (SECOND, []), (SECOND, headers), (SECOND, headers)):
        await app({"type": "http", "client": (peer, 1), "headers": sent}, None, None)
    assert seen == [False, False, True, True]
    (line,) = (record.getMessage() for record in caplog.records)
    assert line.startswith("127.0.0.1 sends X-Forwarded-For")
    assert "FLOWPORT_TRUSTED_PROXIES" in line


def test_the_recipe_tells_the_server_what_it_reads():
    lines = [" ".join(line.split()) for line in recipe().splitlines()]
    for header in (
        "Host $http_host",
        "X-Forwarded-For $proxy_add_x_forwarded_for",
        "X-Forwarded-Proto $scheme",
        "Upgrade $http_upgrade",
        "Connection $connection_upgrade",
    ):
        assert f"proxy_set_header {header};" in lines
    assert "proxy_buffering off;" in lines, "events are passed on as they come"
    (wait,) = (line for line in lines if line.startswith("proxy_read_timeout"))
    assert int(wait.split()[1].rstrip("s;")) > 60, "longer than a call may wait for its job"
