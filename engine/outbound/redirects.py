"""The requests of a redirect chain: what one request sends, and which parts the next request may send."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlencode

import httpcore2
import httpx2
from msgspec import Struct

from engine.flow.node_http import SecretValue
from engine.outbound.addresses import port_of, read_url, shown_url
from engine.outbound.connection_pools import CONNECT_SECONDS
from engine.outbound.decompression import ACCEPTED_ENCODINGS
from engine.outbound.errors import AddressNotAllowed, BadHeader, BadUrl
from engine.outbound.secret_hosts import check_send
from engine.outbound.user_agent import USER_AGENT

#: Headers that the client or the HTTP library sets; values from the flow (for example from a pasted curl command) are
#: dropped.
_OWN_HEADERS = frozenset(
    [
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "accept-encoding",
        "proxy-authorization",
        "proxy-connection",
    ]
)
_DROPPED_ON_NEW_ORIGIN = frozenset({"authorization", "cookie", "baggage"})
#: Methods whose requests tell the length of their body also when they have none (RFC 9110, section 8.6).
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_HEADER_NAME = re.compile(r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}\Z")
_HEADER_BREAK = re.compile(r"[\r\n\x00]")


class Hop(Struct, frozen=True):
    """One request of a redirect chain."""

    method: str
    url: httpx2.URL
    headers: dict[str, str]
    secret_headers: dict[str, str]
    content: bytes | None
    #: The secrets whose values are in `secret_headers`.
    secrets: tuple[SecretValue, ...] = ()

    def request(self) -> httpcore2.Request:
        """Builds the HTTP request. Raises SecretNotForHost when a secret may not be sent to this host."""
        for secret in self.secrets:
            check_send(secret, self.url)
        defaults = {"user-agent": USER_AGENT, "accept": "*/*"}
        headers = {**defaults, **self.headers, **self.secret_headers, "accept-encoding": ACCEPTED_ENCODINGS}
        raw = [(b"Host", self.url.netloc), *((name.encode(), _header_bytes(value)) for name, value in headers.items())]
        if self.content or self.method in _WITH_BODY:
            raw.append((b"Content-Length", str(len(self.content or b"")).encode()))
        return httpcore2.Request(
            self.method,
            core_url(self.url),
            headers=raw,
            content=self.content,
            extensions={"timeout": {"connect": CONNECT_SECONDS}},
        )

    def redirected(self, status: int, location: str) -> Hop:
        """Returns the request that follows a redirect response.

        The new URL is validated. 303, and 301 or 302 after POST, change the method to GET and drop the body as browsers
        do (Fetch standard, HTTP-redirect fetch). When the origin changes, secrets and credentials headers are dropped.
        Raises AddressNotAllowed.
        """
        try:
            url = read_url(str(self.url.join(location)))
        except (BadUrl, httpx2.InvalidURL, ValueError) as error:
            raise AddressNotAllowed(
                f"`{shown_url(self.url)}` sent the request on to something that is not opened: only plain http:// and "
                "https:// addresses without a user name are. Use the address of the page itself."
            ) from error
        method, headers, content = self.method, self.headers, self.content
        if (status == 303 and method != "HEAD") or (status in {301, 302} and method == "POST"):
            method, content = "GET", None
            headers = {name: value for name, value in headers.items() if not name.startswith("content-")}
        secret_headers, secrets = self.secret_headers, self.secrets
        if origin_of(url) != origin_of(self.url):
            headers = {name: value for name, value in headers.items() if name not in _DROPPED_ON_NEW_ORIGIN}
            secret_headers, secrets = {}, ()
        return Hop(method, url, headers, secret_headers, content, secrets)


def core_url(url: httpx2.URL) -> httpcore2.URL:
    """Converts a URL for the connection."""
    return httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)


def origin_of(url: httpx2.URL) -> tuple[str, str, int]:
    return url.scheme, url.host, port_of(url)


def with_query(url: httpx2.URL, query: Mapping[str, str] | None) -> httpx2.URL:
    if not query:
        return url
    return url.copy_with(query=b"&".join(part for part in (url.query, urlencode(query).encode()) if part))


def sendable(headers: Mapping[str, str]) -> dict[str, str]:
    """Validates headers and returns them by lower-case name, without those that the client sets itself.

    Raises BadHeader.
    """
    sendable: dict[str, str] = {}
    for name, value in headers.items():
        if not _HEADER_NAME.match(name):
            raise BadHeader(f"`{name[:60]}` cannot be the name of a header. Use letters, digits and hyphens.")
        if _HEADER_BREAK.search(value):
            raise BadHeader(
                f"The header `{name}` cannot be sent: its value holds a line break or a zero character. "
                "Take it out of the value."
            )
        if name.lower() not in _OWN_HEADERS:
            sendable[name.lower()] = value.strip()
    return sendable


def _header_bytes(value: str) -> bytes:
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode()
