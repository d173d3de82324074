"""Resources shared by all tests of a process: a running Flowport and a browser.

Each module (or test) has its own workspace on the server, so that it sees only its own data. A test starts another
server only when it kills, restarts or configures it. Modules that use the browser run in a separate pytest process:
while Playwright's synchronous API is active, no asyncio test can run in the same process.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.live_server import LiveServer, live_server
from tests.stand_ins.local_server import Places

if TYPE_CHECKING:
    from playwright.sync_api import Browser

METRICS_TOKEN = "canary-metrics-6a1c8e2f4b90"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-software-rasterizer",  # nor a process that draws in place of a graphics card
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # One renderer process for all pages: starting one per page costs more than most tests do.
    "--renderer-process-limit=1",
    "--process-per-site",
]
#: Of the tests alone, as benchmarks measure the browser as people have it: scripts that the one renderer has compiled stay
#: compiled for the next page.
COMPILED_ONCE = "--js-flags=--no-flush-bytecode"


@pytest.fixture(scope="session")
def places() -> Iterator[Places]:
    """Reserved ports for the stand-in servers that flows of the shared server may reach."""
    kept = Places()
    yield kept
    kept.close()


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory, places: Places) -> Iterator[LiveServer]:
    """The shared server, with an owner of its first workspace. Tests must not stop or reconfigure it."""
    folder = tmp_path_factory.mktemp("shared")
    (folder / "metrics-token").write_text(METRICS_TOKEN)
    env = {
        "FLOWPORT_OUTBOUND_ALLOW": places.allow,
        "FLOWPORT_WEBHOOK_ALLOW": places.allow,
        "FLOWPORT_METRICS_TOKEN_FILE": str(folder / "metrics-token"),
    }
    with live_server(folder / "data", env=env) as running:
        yield running
        assert "Traceback" not in running.log(), running.log()


#: The first is Chromium without windows, as Playwright's own is: it opens a page with two thirds of the others' CPU time.
CHROMIUMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium() -> str | None:
    """Returns the path of an installed Chromium; None makes Playwright use its own."""
    named = os.environ.get("FLOWPORT_TEST_BROWSER")
    return named or next((path for name in CHROMIUMS if (path := shutil.which(name))), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The browser that all tests share."""
    from playwright.sync_api import expect, sync_playwright

    # Long, because tests run on shared machines; speed is measured by other tests.
    expect.set_options(timeout=30_000)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium(), headless=True, args=[*FLAGS, COMPILED_ONCE])
        yield launched
        launched.close()
