"""Builds the HTTP server of the settings: uvicorn with the limits of `api/uvicorn_server.py` and the proxies that are trusted."""

from __future__ import annotations

import functools
from collections.abc import Callable
from ipaddress import IPv4Network
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp

from api.connection_limits import ConnectionLimits, Connections
from api.uvicorn_server import MAX_SOCKET_MESSAGE, BoundedHttp, BoundedSocket, ProxyHeaders, Server
from engine.core.settings import Settings

#: Seconds that requests in progress may take when the server stops. Workers have a time limit of their own.
DRAIN_SECONDS = 10
#: Seconds for which a connection without a request is kept: longer than callers pause between two questions about a job,
#: and than proxies keep theirs. When connections are few, the longest idle one makes room.
KEEP_ALIVE_SECONDS = 75


def http_server(settings: Settings, front: ASGIApp, limits: ConnectionLimits, ready: Callable[[], None]) -> Server:
    """Builds the HTTP server, which calls `ready` once it answers."""
    trusted = _trusted(settings)
    connections = Connections(limits, trusted)
    config = uvicorn.Config(
        cast("Any", ProxyHeaders(front, trusted)),
        http=cast("Any", functools.partial(BoundedHttp, connections)),
        ws=cast("Any", functools.partial(BoundedSocket, connections)),
        ws_max_size=MAX_SOCKET_MESSAGE,
        backlog=limits.backlog,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # ProxyHeaders handles them instead
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    return Server(config, ready=ready)


def _trusted(settings: Settings) -> list[str]:
    """Returns the proxies whose X-Forwarded headers are trusted; `private` stands for every private network.

    An IPv6 socket reports an IPv4 client in mapped form (`::ffff:127.0.0.1`), so every IPv4 entry is added in both
    forms.
    """
    private = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "127.0.0.0/8", "::1")
    named = [entry for one in settings.trusted_proxies for entry in (private if one == "private" else (one,))]
    return [*named, *(mapped for entry in named if (mapped := _mapped(entry)) is not None)]


def _mapped(entry: str) -> str | None:
    """Converts an IPv4 address or network to its IPv4-mapped IPv6 form (RFC 4291, section 2.5.5.2); None for other
    text.
    """
    try:
        network = IPv4Network(entry)
    except ValueError:
        return None
    return f"::ffff:{network.network_address}/{network.prefixlen + 96}"
