"""A real Chromium against a real server. A console error or an uncaught page error fails the test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.live_server import EMAIL, PASSWORD, LiveServer, live_server

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

#: Generous: what is looked for must come, how fast is measured elsewhere, and machines that run tests are shared.
expect.set_options(timeout=30_000)


def chromium() -> str | None:
    """A Chromium of this machine; None lets Playwright take its own."""
    named = os.environ.get("FLOWPORT_TEST_BROWSER")
    found = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"))
    return named or next((path for path in found if path), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium a module: while Playwright runs, no asyncio test can, so it must be gone before the next folder begins."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium(), headless=True, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with live_server(tmp_path_factory.mktemp("flowport") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def window(browser: Browser, server: LiveServer) -> Iterator[BrowserContext]:
    """A signed-in window, 1440 x 900, for the whole module: signing in and reading all scripts anew costs seconds."""
    made = browser.new_context(viewport={"width": 1440, "height": 900}, base_url=server.url)
    made.set_default_timeout(30_000)
    sign_in(made.new_page()).goto(
        "/healthz"
    )  # stays open, at an address from which the browser's memory can be emptied
    yield made
    made.close()


@pytest.fixture
def context(window: BrowserContext) -> Iterator[BrowserContext]:
    """The window, with nothing left in it of the test before."""
    yield window
    home, *others = window.pages
    for left in others:
        left.close()
    home.evaluate("localStorage.clear()")


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    opened = context.new_page()
    wrong: list[str] = []
    opened.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    yield opened
    opened.close()
    assert wrong == [], "the browser's console must stay clean"


def sign_in(page: Page) -> Page:
    page.goto("/sign-in")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/sign-in" not in url)
    return page
