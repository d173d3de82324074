"""Names that are not looked up and services that do not answer hold up nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Any

import httpcore2
import pytest

from engine.core.shared_places import CURRENT_WORKSPACE
from engine.outbound import connection_pools
from engine.outbound.client import OutboundClient, TimedOut
from engine.outbound.connection_pools import OriginConnections, SystemResolver
from tests.stand_ins.network import RecordedNetwork

PUBLIC = "93.184.216.34"


class NameServer:
    """Stands in for the system's look-up: names that begin with `slow` hang until `open` is set."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.asked: Counter[str] = Counter()

    def look_up(self, host: str, port: int, *_args: Any, **_options: Any) -> list[tuple[Any, ...]]:
        self.asked[host] += 1
        if host.startswith("slow"):
            self.open.wait()
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (PUBLIC, port))]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    server = NameServer()
    monkeypatch.setattr(socket, "getaddrinfo", server.look_up)
    yield server
    server.open.set()


@contextlib.asynccontextmanager
async def under_way(*work: Awaitable[object]) -> AsyncIterator[None]:
    """Begins all of the work, and cancels it at the end."""
    tasks = [asyncio.ensure_future(one) for one in work]
    for _ in range(5):
        await asyncio.sleep(0)
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def of_workspace(workspace: str, work: Awaitable[Any]) -> Any:
    CURRENT_WORKSPACE.set(workspace)
    return await work


async def test_a_domain_whose_names_hang_holds_up_no_other(names: NameServer) -> None:
    resolver = SystemResolver()
    async with under_way(*(resolver(f"slow{number}.example.com", 80) for number in range(200))):
        assert await resolver("good.example.org", 80) == [PUBLIC]
        assert len(names.asked) < 30
    resolver.close()


async def test_a_workspace_whose_names_hang_holds_up_no_other(names: NameServer) -> None:
    resolver = SystemResolver()
    slow = (of_workspace("a", resolver(f"slow.domain{number}.example", 80)) for number in range(200))
    async with under_way(*slow):
        assert await of_workspace("b", resolver("good.example.org", 80)) == [PUBLIC]
        assert len(names.asked) < 40
    resolver.close()


async def test_a_name_is_looked_up_once_for_all_who_wait(names: NameServer) -> None:
    resolver = SystemResolver()
    asked = [asyncio.create_task(resolver("slow.example.com", 80)) for _ in range(20)]
    async with under_way(*(resolver("slow.example.com", 80) for _ in range(20))):
        pass  # they gave up
    names.open.set()
    assert await asyncio.gather(*asked) == [[PUBLIC]] * 20
    assert names.asked == {"slow.example.com": 1}
    await resolver("slow.example.com", 80)
    assert names.asked == {"slow.example.com": 2}, "what was found is not kept"
    resolver.close()


async def test_a_name_that_is_not_looked_up_in_time_is_told() -> None:
    async def hang(_host: str, _port: int) -> list[str]:
        await asyncio.sleep(60)
        return [PUBLIC]

    outbound = OutboundClient(resolver=hang, connector=RecordedNetwork())
    with pytest.raises(TimedOut, match=r"the name slow.example.com was not looked up within 10 seconds"):
        await outbound.request("GET", "http://slow.example.com/")
    await outbound.aclose()


class Open:
    """An open connection."""

    def is_idle(self) -> bool:
        return True

    def has_expired(self) -> bool:
        return False

    async def aclose(self) -> None: ...


SILENT, GOOD = (httpcore2.URL(f"http://{host}.example/").origin for host in ("silent", "good"))


@pytest.mark.parametrize("workspace", ["a", "b"])
async def test_a_service_that_does_not_answer_holds_up_no_other(workspace: str) -> None:
    """Neither for the workspace that asks it nor for others, which may ask it themselves."""
    opened = Counter[bytes]()

    async def connect(origin: httpcore2.Origin) -> Any:
        opened[origin.host] += 1
        return Open()

    connections = OriginConnections(connect)
    async with under_way(*(of_workspace("a", connections.take(SILENT)) for _ in range(4_000))):
        assert opened[b"silent.example"] == 1_024
        for origin in (GOOD, SILENT)[: 1 if workspace == "a" else 2]:
            taken = await of_workspace(workspace, connections.take(origin))
            await connections.give_back(taken, origin)
    await connections.aclose()


async def test_many_services_that_do_not_answer_hold_up_no_other_workspace() -> None:
    async def connect(_origin: httpcore2.Origin) -> Any:
        return Open()

    connections = OriginConnections(connect)
    many = (httpcore2.URL(f"http://silent{number}.example/").origin for number in range(4_000))
    async with under_way(*(of_workspace("a", connections.take(origin)) for origin in many)):
        taken = await of_workspace("b", connections.take(GOOD))
        await connections.give_back(taken, GOOD)
    await connections.aclose()


async def test_a_request_that_waits_its_turn_until_its_limit_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_pools, "_MAX_CONNECTIONS", 0)
    outbound = OutboundClient(connector=RecordedNetwork())
    with pytest.raises(TimedOut, match=r"did not end within 0.05 seconds\. It waited its turn for the last 1 second"):
        await outbound.request("GET", f"http://{PUBLIC}/", timeout_seconds=0.05)
    await outbound.aclose()
