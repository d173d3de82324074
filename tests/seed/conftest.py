"""One server for the folder, one browser and one signed-in window a module, built on the fixtures of the other browser tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.browser.conftest import browser, page, sign_in
from tests.live_server import LiveServer, live_server
from tests.seed.person import Person
from tests.seed.world import World
from tests.stand_ins.web_site import Page as SitePage
from tests.stand_ins.web_site import WebSite

__all__ = ["browser", "page"]

STORY = (
    "<html lang=en><head><title>The lighthouse</title></head><body><main><h1>The lighthouse</h1>"
    "<p>The keeper lights the lamp at dusk and writes the weather into a blue book.</p></main></body></html>"
)


@pytest.fixture(scope="session")
def site() -> Iterator[WebSite]:
    """A site with a story, a page that takes its time and one that nobody waits for."""
    pages = {"/story": STORY, "/slow": SitePage(STORY, delay=3), "/hold": SitePage(STORY, delay=60)}
    with WebSite(pages) as running:
        yield running


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory, site: WebSite) -> Iterator[LiveServer]:
    """On the Free plan, with nothing in it at first."""
    data = tmp_path_factory.mktemp("seed") / "data"
    with live_server(data, env={"FLOWPORT_OUTBOUND_ALLOW": site.origin.removeprefix("http://")}) as running:
        yield running


@pytest.fixture(scope="module")
def server(shared_server: LiveServer) -> LiveServer:
    """The server of all modules that do not start their own."""
    return shared_server


@pytest.fixture(scope="module")
def context(browser: Browser, server: LiveServer) -> Iterator[BrowserContext]:
    """The owner's window for the whole module."""
    made = browser.new_context(viewport={"width": 1440, "height": 900}, base_url=server.url)
    made.set_default_timeout(30_000)
    sign_in(made.new_page()).close()
    yield made
    made.close()


@pytest.fixture
def person(page) -> Person:
    """The owner at a fresh page."""
    return Person(page)


@pytest.fixture(scope="session")
def worlds() -> dict[str, World]:
    """What is known of each server, by its address."""
    return {}


@pytest.fixture(scope="module")
def world(context: BrowserContext, server: LiveServer, site: WebSite, worlds: dict[str, World]) -> World:
    """Flows that are deployed by browser when a test first needs them, and a Production key."""
    known = worlds.setdefault(server.url, World(server, site))
    known.context = context
    return known
