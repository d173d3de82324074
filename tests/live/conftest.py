"""Fixtures: the shared server, and for each module a workspace and a web site that its flows may reach."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.live.caller import Caller, Terminal
from tests.live.holding_site import HoldingSite
from tests.live_server import LiveServer
from tests.stand_ins.local_server import Places

STORY = (
    "<html lang=en><head><title>The lighthouse</title></head><body><nav>Home</nav><main><h1>The lighthouse</h1>"
    "<p>The keeper lights the lamp at dusk and writes the weather into a blue book.</p></main></body></html>"
)


@pytest.fixture(scope="module")
def site(places: Places) -> Iterator[HoldingSite]:
    with HoldingSite({"/story": STORY, "/first": "once"}).at_place(places) as running:
        yield running


@pytest.fixture(scope="module")
def server(shared_server: LiveServer) -> LiveServer:
    """The shared server. Flows may reach the module's web site and no other private address."""
    return shared_server


@pytest.fixture(scope="module")
def terminal(server: LiveServer, shared_server: LiveServer) -> Terminal:
    """The owner of the module's workspace, which is on the Free plan."""
    return Terminal.new(server) if server is shared_server else Terminal(server)


@pytest.fixture(scope="module")
def caller(terminal: Terminal) -> Caller:
    """A caller with a Production key."""
    return terminal.caller()
