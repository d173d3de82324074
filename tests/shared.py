"""What all tests of one process share: a running Flowport, and a browser.

Each module (or test) has a workspace of its own on that server, so that it sees only what it made itself. Only a test that
kills, restarts or configures a server starts one. A module whose fixtures ask for the browser is run in a pytest of its own
kind: while Playwright's synchronous interface is open, no asyncio test can run in the same process.
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
    # One process draws all pages: starting one for each page costs more than most tests do with theirs.
    "--renderer-process-limit=1",
    "--process-per-site",
]


@pytest.fixture(scope="session")
def places() -> Iterator[Places]:
    """Where stand-ins may listen that flows of the shared server are to reach."""
    kept = Places()
    yield kept
    kept.close()


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory, places: Places) -> Iterator[LiveServer]:
    """With an owner of its first workspace. It is never stopped and its settings stay as they are."""
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
    """A Chromium of this machine; None lets Playwright take its own."""
    named = os.environ.get("FLOWPORT_TEST_BROWSER")
    return named or next((path for name in CHROMIUMS if (path := shutil.which(name))), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The one Chromium."""
    from playwright.sync_api import expect, sync_playwright

    # Generous: what is looked for must come, how fast is measured elsewhere, and machines that run tests are shared.
    expect.set_options(timeout=30_000)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium(), headless=True, args=FLAGS)
        yield launched
        launched.close()
