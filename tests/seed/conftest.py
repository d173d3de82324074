"""The pages as a signed-in person's browser gets them, without a browser: they are plain pages of text."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.live.caller import Terminal
from tests.live_server import LiveServer


@pytest.fixture(scope="module")
def terminal(shared_server: LiveServer) -> Terminal:
    """The owner of a workspace of the module's own."""
    return Terminal.new(shared_server)


@pytest.fixture(scope="module")
def reader(terminal: Terminal) -> Iterator[httpx.Client]:
    """Somebody who is signed in there."""
    cookies = {"flowport_session": terminal.sign_in()}
    with httpx.Client(base_url=terminal.server.url, cookies=cookies, timeout=60) as client:
        yield client
