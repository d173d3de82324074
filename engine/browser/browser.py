"""Renders pages that are built by scripts, in a Chromium without network access of its own.

Every request of a page is intercepted and sent by the outbound client with its checks; a request that the client
refuses fails inside the page. Traffic that cannot be intercepted (preconnects, WebRTC, redirects inside the browser)
fails, because no host name resolves and the only proxy is a port on which nothing listens. Service workers, web
sockets, downloads and popups are blocked. Time, memory and the size of answers are limited for each page. Chromium's
own sandbox is on, unless the owner switches it off (FLOWPORT_BROWSER_SANDBOX=off).

Playwright is the optional extra `browser`. It runs in a thread of its own (`engine.browser.process`), so that it never
blocks the worker's event loop.
"""

from __future__ import annotations

import asyncio
import importlib.util

from engine.browser.page import Drawn, Fetch, OutboundAnswer
from engine.browser.page_requests import PageRequests
from engine.browser.process import BrowserThread, has_browser, no_browser
from engine.outbound.client import OutboundClient

__all__ = ["Browser", "Drawn", "browser_of", "has_browser"]


class Browser:
    """The browser of one worker process. Used from the worker's event loop; started when it is first needed."""

    def __init__(self, fetch: Fetch, *, sandbox: bool = True) -> None:
        self._fetch = fetch
        self._sandbox = sandbox
        self._thread: BrowserThread | None = None

    async def draw(self, answer: OutboundAnswer, seconds: float) -> Drawn:
        """Renders the page of an answer from the outbound client, within `seconds`. Raises NodeFailed."""
        thread = self._started_thread()
        return await thread.call(thread.draw(answer, seconds))

    async def try_out(self) -> str:
        """Starts the browser and returns its version. Raises NodeFailed."""
        thread = self._started_thread()
        return await thread.call(thread.try_out())

    def _started_thread(self) -> BrowserThread:
        if importlib.util.find_spec("playwright") is None:
            raise no_browser("the extra `browser` is not installed")
        if self._thread is None:
            self._thread = BrowserThread(asyncio.get_running_loop(), self._fetch, sandbox=self._sandbox)
        return self._thread

    async def aclose(self) -> None:
        """Ends the browser and its thread."""
        thread, self._thread = self._thread, None
        if thread is not None:
            await thread.end()


def browser_of(outbound: OutboundClient) -> Browser:
    """Returns the browser for an outbound client, which gets this function as its `renderer`."""
    return Browser(PageRequests(outbound.request), sandbox=outbound.rules.browser_sandbox)
