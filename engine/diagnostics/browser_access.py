"""Checks how a browser reaches this server: WebSocket origin, proxy headers and https, judged from one page request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from engine.core.settings import LOOPBACK, Settings
from engine.core.web_addresses import split_url
from engine.diagnostics.findings import Line

#: What the ASGI scope has of a request with X-Forwarded-For from somebody who is no trusted proxy.
FROM_UNTRUSTED = "flowport.forwarded_by_untrusted"


class Opened(Struct, frozen=True):
    """How a page was opened.

    `scheme`, `host` and `client` (address) are what the server sees, after it applied the headers of trusted proxies.
    """

    scheme: str
    host: str
    client: str
    headers: Mapping[str, str]
    #: Whether `X-Forwarded-For`, where there is one, came from a trusted proxy.
    trusted: bool = True
    #: The origin that the browser reports, like `https://flows.example.com`; "" when it is unknown.
    origin: str = ""


def check_way_in(settings: Settings, opened: Opened) -> Iterator[Line]:
    """Yields one line about the address and one about the reverse proxy."""
    yield _address(settings, opened)
    yield _proxy(settings, opened)


def _address(settings: Settings, opened: Opened) -> Line:
    here = f"{opened.scheme}://{opened.host}"
    if opened.origin and split_url(opened.origin).netloc != split_url(here).netloc:
        return Line(
            "Socket origin",
            "warn",
            f"The browser shows {opened.origin}, the server sees {here}.",
            "Let the proxy hand the `Host` header on unchanged, or name the browser's address in FLOWPORT_ALLOWED_ORIGINS.",
        )
    if (
        settings.public_url
        and split_url(settings.public_url).netloc != opened.host
        and opened.host.split(":")[0] not in LOOPBACK
    ):
        return Line(
            "Socket origin",
            "note",
            f"This page was opened at {here}, the public address is {settings.public_url}. Both work.",
        )
    return Line("Socket origin", "ok", f"This page was opened at {here}, and its connection was accepted.")


def _proxy(settings: Settings, opened: Opened) -> Line:
    forwarded = opened.headers.get("x-forwarded-for", "")
    proto = opened.headers.get("x-forwarded-proto", "")
    behind = bool(forwarded or proto or "forwarded" in opened.headers or "via" in opened.headers)
    secure = opened.origin.startswith("https://") or settings.public_url.startswith("https://")
    if secure and opened.scheme != "https" and (behind or opened.origin.startswith("https://")):
        if proto:
            fix = f"Name the proxy in FLOWPORT_TRUSTED_PROXIES (it called from {opened.client}) and start again."
            return Line(
                "Proxy headers",
                "bad",
                "The proxy says https, but it is not trusted, so cookies and links are made for http.",
                fix,
            )
        return Line(
            "Proxy headers",
            "bad",
            "The browser uses https, but the proxy does not say so.",
            "Let it send `X-Forwarded-Proto: https` (Caddy and Traefik do; in nginx: `proxy_set_header X-Forwarded-Proto $scheme;`).",
        )
    if not behind:
        return Line("Proxy headers", "ok", f"No proxy is in between; you come from {opened.client}.")
    if forwarded and not opened.trusted:
        return Line(
            "Proxy headers",
            "warn",
            f"A proxy at {opened.client} says whom it speaks for, but it is not trusted, so every person seems to come from it.",
            f"Put {opened.client} (or `private`) into FLOWPORT_TRUSTED_PROXIES and start again.",
        )
    return Line("Proxy headers", "ok", f"The proxy is trusted; you come from {opened.client}.")
