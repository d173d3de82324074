"""Which requests the scripts of a rendered page may make: to the public web, and to the page's own origin inside the
network.

The owner's allow-list opens private addresses to flows. A page of the public web must not use it: neither directly, nor
through a redirect of its server, nor through a host name of its own that resolves to a private address a moment later.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from engine.browser.page import OutboundAnswer
from engine.core.web_addresses import join_url
from engine.outbound.addresses import read_url
from engine.outbound.redirects import origin_of

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 5
_SAME_ORIGIN_ONLY = frozenset({"authorization", "cookie"})


class PageRequests:
    """Implements `engine.browser.page.Fetch`. `request` is the method of the outbound client."""

    def __init__(self, request: Callable[..., Awaitable[Any]]) -> None:
        self._request = request

    async def __call__(
        self,
        page: OutboundAnswer,
        method: str,
        url: str,
        headers: dict[str, str],
        content: bytes | None,
        seconds: float,
        most: int,
    ) -> OutboundAnswer:
        """Returns the answer for a request of `page`. Raises NodeFailed."""
        page_origin = origin_of(read_url(page.url))
        reach = "flows" if page.listed else "public"
        options: dict[str, Any] = {"timeout_seconds": seconds, "max_bytes": most}
        for _ in range(_MAX_REDIRECTS):
            if origin_of(read_url(url)) != page_origin:
                break
            answer = await self._request(
                method, url, headers=headers, content=content, follow_redirects=False, reach=reach, **options
            )
            location = answer.headers.get("location", "").strip()
            if answer.status not in _REDIRECTS or not location:
                return answer
            try:
                url = join_url(url, location)
            except ValueError:
                url = location  # which `read_url` refuses
            if answer.status not in {307, 308}:
                method, content = "HEAD" if method == "HEAD" else "GET", None
            if origin_of(read_url(url)) != page_origin:
                headers = {name: value for name, value in headers.items() if name not in _SAME_ORIGIN_ONLY}
        return await self._request(method, url, headers=headers, content=content, reach="public", **options)
