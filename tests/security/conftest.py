"""Fixtures: a real server for each module, a web site that its flows may reach, and the owner of its workspace."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.live.caller import Caller, Terminal
from tests.live.holding_site import HoldingSite
from tests.live_server import LiveServer, live_server


@pytest.fixture(scope="module")
def site() -> Iterator[HoldingSite]:
    with HoldingSite() as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, site: HoldingSite) -> Iterator[LiveServer]:
    """The server. Flows may reach the site and no other private address."""
    data = tmp_path_factory.mktemp("attacked") / "data"
    env = {"FLOWPORT_OUTBOUND_ALLOW": site.origin.removeprefix("http://")}
    with live_server(data, owner=False, env=env) as running:
        yield running
        assert "Traceback" not in running.log(), running.log()


@pytest.fixture(scope="module")
def terminal(server: LiveServer) -> Iterator[Terminal]:
    made = Terminal(server)
    yield made
    made.close()


@pytest.fixture(scope="module")
def caller(terminal: Terminal) -> Caller:
    """A caller with a Production key, on the Free plan."""
    return terminal.caller()
