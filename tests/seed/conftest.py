"""Fixtures that request the docs pages over HTTP as a signed-in person.

They are plain HTML, so no browser is needed.
"""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.live.caller import Terminal
from tests.live_server import LiveServer


@pytest.fixture(scope="module")
def terminal(shared_server: LiveServer) -> Terminal:
    """The owner of a workspace that belongs to the test module."""
    return Terminal.new(shared_server)


@pytest.fixture(scope="module")
def reader(terminal: Terminal) -> Iterator[httpx.Client]:
    """A signed-in person in that workspace."""
    cookies = {"flowport_session": terminal.sign_in()}
    with httpx.Client(base_url=terminal.server.url, cookies=cookies, timeout=60) as client:
        yield client
