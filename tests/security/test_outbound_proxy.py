"""With a company proxy, https goes to the IP address that Flowport checked; the proxy does not resolve checked names
again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from engine.core.settings import BadSetting, from_environment
from engine.outbound.client import AddressNotAllowed, ConnectFailed, OutboundClient, OutboundRules
from tests.engine.outbound.test_client import certificate
from tests.stand_ins.network import Names
from tests.stand_ins.web_server import answer, serve

PUBLIC, OTHER = "93.184.216.34", "93.184.216.35"


@dataclass
class Proxy:
    """A proxy whose tunnels all lead to one local port. `refuses`: targets that it rejects."""

    port: int = 0
    heads: list[str] = field(default_factory=list)
    refuses: frozenset[str] = frozenset()

    @property
    def targets(self) -> list[str]:
        return [head.split(" ")[1] for head in self.heads]


@contextlib.asynccontextmanager
async def proxy_to(port: int, refuses: frozenset[str] = frozenset()) -> AsyncIterator[Proxy]:
    told = Proxy(refuses=refuses)

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            told.heads.append(head)
            if not head.startswith("CONNECT "):
                writer.write(answer(200, b"by name", connection="close"))
            elif told.targets[-1] in told.refuses:
                writer.write(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            else:
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await asyncio.gather(carry(reader, far_writer), carry(far_reader, writer))
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    told.port = server.sockets[0].getsockname()[1]
    try:
        yield told
    finally:
        server.close()


async def hello(asked: Any, write: Any) -> None:
    await write(answer(200, b"hello"))


def rules(proxy: Proxy, *, proxy_looks_up: bool = False) -> OutboundRules:
    return OutboundRules(proxy=f"http://ann:pass@127.0.0.1:{proxy.port}", proxy_looks_up=proxy_looks_up)


@pytest.mark.process
async def test_https_goes_to_the_checked_address_and_is_verified_against_the_name(tmp_path: Path) -> None:
    server, trusting = certificate(tmp_path, "shop.example.com")
    names = Names({"shop.example.com": [[PUBLIC]], "evil.example.com": [[PUBLIC]]})
    async with serve(hello, server) as web, proxy_to(web.port) as proxy:
        outbound = OutboundClient(rules(proxy), names, tls=trusting)
        got = await outbound.request("GET", "https://shop.example.com/page")
        with pytest.raises(ConnectFailed, match="could not prove who it is"):
            await outbound.request("GET", "https://evil.example.com/")
        await outbound.aclose()
    assert got.body == b"hello"
    assert web.asked[0].headers["host"] == "shop.example.com"
    assert proxy.targets == [f"{PUBLIC}:443"] * 2
    assert "proxy-authorization: basic " in proxy.heads[0].lower()
    assert "proxy-authorization" not in web.asked[0].headers


@pytest.mark.process
async def test_a_name_that_leads_elsewhere_by_then_is_refused(tmp_path: Path) -> None:
    """The first DNS answer selects the proxy; the second one is checked before its address is sent to the proxy."""
    server, trusting = certificate(tmp_path, "shop.example.com")
    names = Names({"shop.example.com": [[PUBLIC], ["10.0.0.1"]]})
    async with serve(hello, server) as web, proxy_to(web.port) as proxy:
        outbound = OutboundClient(rules(proxy), names, tls=trusting)
        with pytest.raises(AddressNotAllowed):
            await outbound.request("GET", "https://shop.example.com/")
        await outbound.aclose()
    assert proxy.heads == []


@pytest.mark.process
async def test_the_next_checked_address_is_tried_and_a_proxy_that_refuses_says_what_to_set(tmp_path: Path) -> None:
    server, trusting = certificate(tmp_path, "shop.example.com")
    names = Names({"shop.example.com": [[PUBLIC, OTHER]]})
    async with serve(hello, server) as web:
        async with proxy_to(web.port, frozenset({f"{PUBLIC}:443"})) as proxy:
            outbound = OutboundClient(rules(proxy), names, tls=trusting)
            assert (await outbound.request("GET", "https://shop.example.com/")).body == b"hello"
            await outbound.aclose()
        assert proxy.targets == [f"{PUBLIC}:443", f"{OTHER}:443"]
        async with proxy_to(web.port, frozenset({f"{PUBLIC}:443", f"{OTHER}:443"})) as proxy:
            outbound = OutboundClient(rules(proxy), names, tls=trusting)
            with pytest.raises(ConnectFailed, match="FLOWPORT_OUTBOUND_PROXY_NAMES=proxy"):
                await outbound.request("GET", "https://shop.example.com/")
            await outbound.aclose()


@pytest.mark.process
async def test_the_setting_leaves_names_to_the_proxy(tmp_path: Path) -> None:
    server, trusting = certificate(tmp_path, "shop.example.com")
    names = Names({"shop.example.com": [[PUBLIC]]})
    async with serve(hello, server) as web, proxy_to(web.port) as proxy:
        settings = from_environment({"FLOWPORT_OUTBOUND_PROXY_NAMES": "proxy"})
        outbound = OutboundClient(
            rules(proxy, proxy_looks_up=settings.outbound_proxy_names == "proxy"), names, tls=trusting
        )
        await outbound.request("GET", "https://shop.example.com/")
        await outbound.aclose()
    assert proxy.targets == ["shop.example.com:443"]
    with pytest.raises(BadSetting, match=r"(?s)here .*or to proxy"):
        from_environment({"FLOWPORT_OUTBOUND_PROXY_NAMES": "both"})
