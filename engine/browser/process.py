"""The browser's thread: one Chromium, started when needed, closed when idle, and killed when it does not close."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Coroutine
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from engine.browser.page import BrowserPage, Drawn, Fetch, OutboundAnswer, closed
from engine.core.error_codes import JobErrorCode
from engine.core.shared_places import CURRENT_WORKSPACE, SharedPlaces, Waited
from engine.flow.node_context import NodeFailed
from engine.outbound.addresses import shown_url
from engine.outbound.errors import ResponseTooLarge, TimedOut
from engine.outbound.user_agent import USER_AGENT

if TYPE_CHECKING:
    from playwright.async_api import Browser as Chromium
    from playwright.async_api import BrowserContext, CDPSession, Playwright

T = TypeVar("T")

#: Pages rendered at once; the seconds after which an idle browser is closed; the pages after which it is replaced.
_AT_ONCE = 2
_IDLE_SECONDS = 60.0
_PAGES_EACH = 100
#: The memory of the whole browser in bytes; above it, the process of its largest page is killed.
MAX_MEMORY = 1_000 * 1024 * 1024
_CLOSE_SECONDS = 5.0

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
_ARGUMENTS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--dns-prefetch-disable",
    "--no-pings",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--renderer-process-limit=4",
    "--js-flags=--max-old-space-size=512",
)


def machines_chromium() -> str | None:
    """Returns the path of this machine's Chromium; None lets Playwright use the one it installed."""
    return next((found for name in _NAMES if (found := shutil.which(name))), None)


def has_browser() -> bool:
    """True when this server has Playwright."""
    return importlib.util.find_spec("playwright") is not None


def no_browser(what: str) -> NodeFailed:
    """Returns the failure for a server that cannot render pages, with what its owner can do."""
    return NodeFailed(
        "The page was not opened in a browser: this server has none.",
        code=JobErrorCode.PAGE_NEEDS_BROWSER,
        why=f"Drawing pages needs Playwright and a Chromium, and {what}.",
        remedy="The owner of the server can add both: in a container, build the image with `--build-arg WITH=browser`; elsewhere "
        "`uv pip install --python .venv/bin/python --require-hashes -r requirements-browser.lock`, then the system's package "
        "`chromium` (or `.venv/bin/python -m playwright install chromium`), then restart. Or switch off “Open in a browser”.",
    )


def no_sandbox(error: Exception) -> NodeFailed:
    """Returns the failure for a Chromium that cannot start its sandbox, with what the server's owner can do."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    return NodeFailed(
        "The page was not opened in a browser: the Chromium of this server cannot start its sandbox.",
        code=JobErrorCode.PAGE_NEEDS_BROWSER,
        why="The server runs as root, and for root Chromium has no sandbox."
        if root
        else f"The system does not let Chromium make one: {_first_line(error)}",
        remedy="The owner of the server can run it as another user, and allow user namespaces to it (the hosting guide says "
        "how). Where a container is wall enough, FLOWPORT_BROWSER_SANDBOX=off starts Chromium without a sandbox. "
        "Or switch off “Open in a browser”.",
    )


class BrowserThread:
    """A thread with an event loop for Playwright. Every method except `call` and `end` runs in this thread."""

    def __init__(self, outside: asyncio.AbstractEventLoop, fetch: Fetch, *, sandbox: bool) -> None:
        self._sandbox = sandbox
        self._outside = outside
        self._fetch = fetch
        self._loop = asyncio.SelectorEventLoop()
        self._thread = threading.Thread(target=self._run, name="browser", daemon=True)
        self._places = SharedPlaces(_AT_ONCE)
        self._starting = asyncio.Lock()
        self._playwright: Playwright | None = None
        self._chromium: Chromium | None = None
        self._watch: CDPSession | None = None
        self._main_pid = 0
        self._closed_port = socket.socket()
        self._closed_port.bind(("127.0.0.1", 0))  # never listens, so that connections to this port are refused
        self._pages = self._open = 0
        self._memory_taken = False
        self._idle: asyncio.TimerHandle | None = None
        self._thread.start()

    async def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine in the browser's thread, for the caller's loop."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    async def end(self) -> None:
        """Closes everything; a browser that does not close is killed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(3 * _CLOSE_SECONDS):
                await self.call(self._shut_down())
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.to_thread(self._thread.join, _CLOSE_SECONDS)
        self._closed_port.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    async def draw(self, answer: OutboundAnswer, seconds: float) -> Drawn:
        until = self._loop.time() + seconds
        limit = asyncio.timeout_at(until)
        try:
            async with limit:
                workspace = await self._places.take()
                try:
                    return await self._draw(answer, until)
                finally:
                    self._places.give_back(workspace)
        except TimeoutError as error:
            if not limit.expired():
                raise
            waited = Waited.of(error)
            why = f" {waited.why}" if waited else ""
            raise TimedOut(
                f"`{shown_url(answer.url)}` was not drawn within {seconds:g} seconds.{why} Try again, or raise the node's time limit."
            ) from error

    async def try_out(self) -> str:
        """Starts the browser and returns its version. Raises NodeFailed."""
        return (await self._started()).version

    async def _started(self) -> Chromium:
        from playwright.async_api import Error

        try:
            return await self._opened()
        except Error as error:
            if "Executable doesn't exist" in str(error):
                raise no_browser("no Chromium was found") from error
            if self._sandbox and "sandbox" in str(error).lower():
                raise no_sandbox(error) from error
            raise NodeFailed(
                "The page was not opened in a browser: the Chromium of this server did not start.",
                code=JobErrorCode.PAGE_NEEDS_BROWSER,
                why=_first_line(error),
                remedy="The owner of the server can look at its log. Or switch off “Open in a browser”.",
            ) from error

    async def _draw(self, answer: OutboundAnswer, until: float) -> Drawn:
        from playwright.async_api import Error

        chromium = await self._started()
        self._open += 1
        self._pages += 1
        watcher: asyncio.Task[None] | None = None
        # Playwright calls handlers in the context of whoever started the browser, and not of whose page it is
        fetch = partial(self._fetch_on_worker_loop, CURRENT_WORKSPACE.get())
        visit = BrowserPage(fetch, answer, until)
        try:
            context = await chromium.new_context(
                accept_downloads=False,
                service_workers="block",
                user_agent=_user_agent(chromium.version),
                viewport={"width": 1280, "height": 1600},
            )
            watcher = asyncio.create_task(self._watch_memory())
            try:
                return await visit.go(context)
            finally:
                await self._close_context(context, visit)
        except Error as error:
            if visit.crashed and self._memory_taken:
                raise ResponseTooLarge(
                    f"`{shown_url(answer.url)}` needs more memory than a page may use here. Use another page of the site."
                ) from error
            raise NodeFailed(
                f"`{shown_url(answer.url)}` could not be drawn.",
                why=_first_line(error),
                remedy="Try again, or read the page without a browser.",
                passing=True,
            ) from error
        finally:
            self._open -= 1
            if not self._open:
                self._memory_taken = False
            if watcher is not None:
                watcher.cancel()
            self._close_later_when_idle()

    async def _fetch_on_worker_loop(self, workspace: str, *request: Any) -> OutboundAnswer:
        """Sends a request of a workspace's page through the outbound client, on the worker's event loop."""
        CURRENT_WORKSPACE.set(workspace)
        sent: Any = self._fetch(*request)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(sent, self._outside))

    async def _opened(self) -> Chromium:
        async with self._starting:
            if self._idle is not None:
                self._idle.cancel()
                self._idle = None
            used_up = self._pages >= _PAGES_EACH and not self._open
            if self._chromium is not None and self._chromium.is_connected() and not used_up:
                return self._chromium
            await self._close()
            from playwright.async_api import async_playwright

            self._playwright = await async_playwright().start()
            try:
                self._chromium = await self._launch()
                self._watch = await self._chromium.new_browser_cdp_session()
                self._main_pid = next((pid for kind, pid in await self._processes() if kind == "browser"), 0)
            except BaseException:
                await self._close()
                raise
            self._pages = 0
            return self._chromium

    async def _launch(self) -> Chromium:
        assert self._playwright is not None
        return await self._playwright.chromium.launch(
            executable_path=machines_chromium(),
            args=_ARGUMENTS,
            chromium_sandbox=self._sandbox,
            proxy={"server": f"http://127.0.0.1:{self._closed_port.getsockname()[1]}"},
            env={"PATH": os.defpath, "HOME": tempfile.gettempdir(), "LANG": "C.UTF-8"},
            handle_sigint=False,
            handle_sigterm=False,
            handle_sighup=False,
            timeout=20_000,
        )

    async def _processes(self) -> list[tuple[str, int]]:
        assert self._watch is not None
        info = await self._watch.send("SystemInfo.getProcessInfo")
        return [(str(one["type"]), int(one["id"])) for one in info["processInfo"]]

    async def _watch_memory(self) -> None:
        """Kills the process of the largest page while the browser uses more than MAX_MEMORY."""
        from playwright.async_api import Error

        with contextlib.suppress(Error):  # the browser was closed
            while True:
                await asyncio.sleep(0.25)
                sizes = {pid: (_own_memory(pid), kind) for kind, pid in await self._processes()}
                if sum(size for size, _ in sizes.values()) <= MAX_MEMORY:
                    continue
                pages = [pid for pid, (_, kind) in sizes.items() if kind == "renderer"] or [self._main_pid]
                self._memory_taken = True
                _kill(max(pages, key=lambda pid: sizes.get(pid, (0, ""))[0]))

    async def _close_context(self, context: BrowserContext, visit: BrowserPage) -> None:
        visit.end()
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await asyncio.shield(asyncio.ensure_future(closed(context)))
        except (TimeoutError, asyncio.CancelledError):
            _kill(self._main_pid)
            raise

    def _close_later_when_idle(self) -> None:
        if not self._open and self._idle is None:
            self._idle = self._loop.call_later(_IDLE_SECONDS, lambda: self._loop.create_task(self._close_idle()))

    async def _close_idle(self) -> None:
        async with self._starting:
            self._idle = None
            if not self._open:
                await self._close()

    async def _shut_down(self) -> None:
        async with self._starting:
            if self._idle is not None:
                self._idle.cancel()
            await self._close()

    async def _close(self) -> None:
        chromium, playwright, self._chromium, self._playwright = self._chromium, self._playwright, None, None
        if chromium is not None:
            try:
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await chromium.close()
            except Exception:  # noqa: BLE001 - whatever keeps it from closing, it is killed
                _kill(self._main_pid)
        if playwright is not None:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await playwright.stop()


def _user_agent(version: str) -> str:
    major = version.split(".", maxsplit=1)[0]
    chrome = f"AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{major}.0.0.0 Safari/537.36"
    return f"Mozilla/5.0 (X11; Linux x86_64) {chrome} {USER_AGENT}"


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__


def _own_memory(pid: int) -> int:
    """Returns the bytes of memory that a process does not share with others; 0 where the system does not say."""
    try:
        _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_text().split()
        return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0


def _kill(pid: int) -> None:
    if pid > 1:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
