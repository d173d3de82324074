"""Fixtures for tests in Chromium against the shared server.

A console error or an uncaught page error fails the test.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Page

from tests.live.caller import Terminal
from tests.live_server import EMAIL, PASSWORD, LiveServer

SIZE = {"width": 1440, "height": 900}
#: A page of the server without scripts, on which the browser's local storage can be cleared.
BLANK = "/healthz"


@pytest.fixture(scope="module")
def server(shared_server: LiveServer) -> LiveServer:
    """The shared server. A module that changes or stops its server overrides this fixture with a server of its own."""
    return shared_server


@pytest.fixture(scope="module")
def terminal(server: LiveServer, shared_server: LiveServer) -> Terminal:
    """The workspace of the module, with its own flows, keys and jobs."""
    return Terminal.new(server) if server is shared_server else Terminal(server)


@pytest.fixture(scope="session")
def window(browser: Browser, shared_server: LiveServer) -> Iterator[BrowserContext]:
    """One browser context for all modules, so that the browser loads the scripts of the pages once."""
    made = new_window(browser, shared_server)
    made.new_page()  # the first tab stays open: see `page`
    yield made
    made.close()


@pytest.fixture(scope="module")
def signed_in(terminal: Terminal) -> str:
    """The cookie of the owner of the module's workspace."""
    return terminal.sign_in()


@pytest.fixture
def context(window: BrowserContext, server: LiveServer, signed_in: str) -> Iterator[BrowserContext]:
    """The shared context, signed in as the owner of the module's workspace, without anything left by the previous
    test.
    """
    let_in(window, server, signed_in)
    yield window
    for left in window.pages[1:]:
        left.close()
    if not window.pages[0].url.endswith(BLANK):
        window.pages[0].goto(BLANK)
    window.pages[0].evaluate("localStorage.clear()")
    window.clear_cookies()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """The first tab of the shared context. It is reused, because a new tab takes longer than opening a page."""
    kept = context.pages[0]
    kept.set_viewport_size(SIZE)
    kept.emulate_media(color_scheme=None, reduced_motion=None)
    wrong: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        if message.type == "error":
            wrong.append(message.text)

    def on_error(error: Error) -> None:
        wrong.append(str(error))

    kept.on("console", on_console)
    kept.on("pageerror", on_error)
    yield kept
    kept.goto(BLANK)
    kept.remove_listener("console", on_console)
    kept.remove_listener("pageerror", on_error)
    assert wrong == [], "the browser's console must stay clean"


def new_window(browser: Browser, server: LiveServer, **options: object) -> BrowserContext:
    """Creates a browser context without a signed-in person."""
    made = browser.new_context(viewport=SIZE, base_url=server.url, **options)  # type: ignore[arg-type]
    made.set_default_timeout(30_000)
    return made


def let_in(window: BrowserContext, server: LiveServer, cookie: str) -> None:
    """Signs this browser context in with a cookie."""
    window.clear_cookies()
    window.add_cookies([{"name": "flowport_session", "value": cookie, "url": server.url}])


def sign_in(page: Page, email: str = EMAIL) -> Page:
    """Signs in with the form."""
    page.goto("/sign-in")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/sign-in" not in url)
    return page
