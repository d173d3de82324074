"""What the scripts of a drawn page may ask for: the public web, and their own origin inside when the page is from there.

The owner's list opens addresses inside a network to flows. A page of the public web must not make use of that, neither
directly nor by a redirect of its own server, nor by a name of its own that leads elsewhere a moment later.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urljoin

from engine.browser.page import OutboundAnswer
from engine.outbound.addresses import read_url
from engine.outbound.redirects import origin_of

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 5
_STAY_HOME = frozenset({"authorization", "cookie"})


class PageRequests:
    """A `browser_page.Fetch`. `request` is the door's."""

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
        """An answer for a page that the door brought. Raises NodeFailed."""
        home = origin_of(read_url(page.url))
        reach = "flows" if page.listed else "public"
        options: dict[str, Any] = {"timeout_seconds": seconds, "max_bytes": most}
        for _ in range(_MOST_REDIRECTS):
            if origin_of(read_url(url)) != home:
                break
            answer = await self._request(
                method, url, headers=headers, content=content, follow_redirects=False, reach=reach, **options
            )
            location = answer.headers.get("location", "").strip()
            if answer.status not in _REDIRECTS or not location:
                return answer
            url = urljoin(url, location)
            if answer.status not in {307, 308}:
                method, content = "HEAD" if method == "HEAD" else "GET", None
            if origin_of(read_url(url)) != home:
                headers = {name: value for name, value in headers.items() if name not in _STAY_HOME}
        return await self._request(method, url, headers=headers, content=content, reach="public", **options)
