"""Opens connections for the door: look a name up once, check every answer, dial the address that was checked.

It sits below the HTTP library as its network backend, so redirects, pooled connections and model SDKs all pass here, and TLS
above it is still verified against the name.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, cast

import httpcore2
import httpx2

from engine.outbound.addresses import Ask, Forbidden, Guard, is_localhost, is_public
from engine.outbound.allow_list import Address, Allowed, OutboundRules, Reach

CONNECT_SECONDS = 10.0
#: While there is another address to try, one that does not answer gets only so long.
_FIRST_SECONDS = 3.0
_MAX_ADDRESSES = 4
_MAX_CONNECTIONS = 256
_LOOK_UPS_AT_ONCE = 32

#: Name and port -> addresses as text. Raises OSError (socket.gaierror) when the name is unknown.
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]


class NameNotFound(httpcore2.ConnectError):
    """No address is known for this name. `passing` is False when the name certainly does not exist."""

    def __init__(self, *, passing: bool) -> None:
        super().__init__("name not found")
        self.passing = passing


class SystemResolver:
    """The operating system's look-up, in threads of its own: a stalled one holds up nobody else's work."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_LOOK_UPS_AT_ONCE, thread_name_prefix="look-up")

    async def __call__(self, host: str, port: int) -> list[str]:
        loop = asyncio.get_running_loop()
        rows = await loop.run_in_executor(self._threads, self._look_up, host, port)
        return list(dict.fromkeys(str(row[4][0]) for row in rows))

    def close(self) -> None:
        """Ends the threads that are idle; a stalled look-up ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    @staticmethod
    def _look_up(host: str, port: int) -> list[tuple[Any, ...]]:
        return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))


class GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Dials only addresses that `guard` lets through. Raises Forbidden, which no layer above turns into something else."""

    def __init__(self, guard: Guard, resolver: Resolver, connector: httpcore2.AsyncNetworkBackend) -> None:
        self._guard = guard
        self._resolver = resolver
        self._connector = connector

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature of the library
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """A connection to one of the checked addresses, within `timeout` and never more than 10 s."""
        seconds = min(timeout or CONNECT_SECONDS, CONNECT_SECONDS)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        try:
            async with asyncio.timeout_at(deadline):
                addresses = await self.addresses(self._guard.ask(host, port))
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout("the look-up took too long") from error
        last: Exception = httpcore2.ConnectTimeout("no time left")
        for position, address in enumerate(addresses[:_MAX_ADDRESSES], start=1):
            left = deadline - loop.time()
            if left <= 0:
                break
            patience = left if position == len(addresses) else min(left, _FIRST_SECONDS)
            try:
                return await self._connector.connect_tcp(str(address), port, patience, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                last = error
        raise last

    async def addresses(self, ask: Ask) -> list[Address]:
        """The addresses that may be dialled: one look-up, every answer checked. Raises Forbidden and NameNotFound."""
        if ask.address is not None:
            return [ask.address]
        if is_localhost(ask.host):
            return self._guard.loopback(ask)
        try:
            answers = await self._resolver(ask.host, ask.port)
            addresses = [ip_address(answer) for answer in answers]
        except (OSError, UnicodeError) as error:  # UnicodeError: a label that DNS cannot carry
            if ask.reachable == "allowed":
                raise Forbidden(ask.rule) from error  # an inside name that nobody allowed: not even whether it exists
            unsure = isinstance(error, OSError) and error.errno != socket.EAI_NONAME
            raise NameNotFound(passing=unsure) from error
        if not addresses:
            raise NameNotFound(passing=False)
        self._guard.check(ask, addresses)
        return addresses

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Never: a flow has no business with sockets in the file system."""
        raise Forbidden("it leads to a socket of this machine")

    async def sleep(self, seconds: float) -> None:
        """The library's pause."""
        await asyncio.sleep(seconds)


class ProxyTunnels(httpcore2.AsyncNetworkBackend):
    """Connections through the company proxy, each to an address that was looked up and checked here: the proxy is told that
    address, and TLS above it is verified against the name.
    """

    def __init__(
        self,
        checked: GuardedBackend,
        guard: Guard,
        connector: httpcore2.AsyncNetworkBackend,
        proxy: httpcore2.Proxy,
        tls: ssl.SSLContext,
    ) -> None:
        self._checked = checked
        self._guard = guard
        self._connector = connector
        self._proxy = proxy
        self._tls = tls

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature of the library
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """A tunnel to the first checked address that the proxy reaches, within `timeout` and never more than 10 s."""
        last: Exception = httpcore2.ConnectTimeout("no time left")
        try:
            async with asyncio.timeout(min(timeout or CONNECT_SECONDS, CONNECT_SECONDS)):
                addresses = await self._checked.addresses(self._guard.ask(host, port))
                for address in addresses[:_MAX_ADDRESSES]:
                    try:
                        return await self._tunnel(address, port)
                    except (httpcore2.ProxyError, httpcore2.ConnectError) as error:
                        last = error
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout("the proxy took too long") from error
        raise last

    async def _tunnel(self, address: Address, port: int) -> httpcore2.AsyncNetworkStream:
        connection = httpcore2.AsyncHTTPConnection(
            self._proxy.url.origin, ssl_context=self._tls, network_backend=self._connector
        )
        target = f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
        place = self._proxy.url
        request = httpcore2.Request(
            "CONNECT",
            httpcore2.URL(scheme=place.scheme, host=place.host, port=place.port, target=target),
            headers=[(b"Host", target.encode()), (b"Accept", b"*/*"), *self._proxy.headers],
        )
        try:
            answer = await connection.handle_async_request(request)
        except BaseException:
            await connection.aclose()
            raise
        if not 200 <= answer.status < 300:
            await connection.aclose()
            raise httpcore2.ProxyError(f"the proxy answers {answer.status}")
        return answer.extensions["network_stream"]

    async def sleep(self, seconds: float) -> None:
        """The library's pause."""
        await asyncio.sleep(seconds)


@dataclass
class ConnectionPool:
    """Connections opened under the same rules. Connections never change lanes: what one list opened, another does not use."""

    guard: Guard
    backend: GuardedBackend
    direct: httpcore2.AsyncConnectionPool
    #: By the company proxy: it is told names, or addresses that were checked here.
    through_proxy: httpcore2.AsyncConnectionPool | None
    tunnelled: httpcore2.AsyncConnectionPool | None
    active: int = field(default=0)

    async def pool_for(self, scheme: str, host: str, port: int) -> httpcore2.AsyncConnectionPool:
        """The pool for a host: the company proxy for the public web, direct for what only the inside can reach.

        Raises Forbidden. Without a proxy nothing is looked up here; the connection does that. With one, https goes to the
        address that was checked. Plain http goes to the proxy by name, as proxies tunnel for https only, and so does a name
        that is not known here: for these the proxy decides where they lead.
        """
        ask = self.guard.ask(host, port)
        if self.through_proxy is None:
            return self.direct
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                addresses = await self.backend.addresses(ask)
        except (NameNotFound, TimeoutError):
            if ask.reachable == "allowed":
                raise Forbidden(ask.rule) from None
            return self.through_proxy  # inside a company, names of the web are often known to the proxy only
        if any(not is_public(address) for address in addresses):
            return self.direct
        return self.tunnelled if self.tunnelled is not None and scheme == "https" else self.through_proxy

    def lists(self, pool: httpcore2.AsyncConnectionPool, answer: httpcore2.Response, host: str, port: int) -> bool:
        """Whether the host that gave an answer stands on the list. What came by the proxy has no address here."""
        peer = None
        if pool is self.direct and (stream := answer.extensions.get("network_stream")) is not None:
            peer = stream.get_extra_info("server_addr")
        return self.guard.lists(host, port, ip_address(str(peer[0])) if peer else None)

    async def aclose(self) -> None:
        """Closes all connections."""
        await self.direct.aclose()
        for pool in (self.through_proxy, self.tunnelled):
            if pool is not None:
                await pool.aclose()


@functools.cache
def _usual_tls() -> ssl.SSLContext:
    """The certificates that are trusted, read once a process: that takes 10 ms for each door otherwise."""
    return httpx2.create_ssl_context(trust_env=False)


class ConnectionPools:
    """One lane for every list of entries in use, made when first needed; old rules' lanes close when their work is done.

    Lanes of different lists share nothing but the look-ups.
    """

    _MOST = 64

    def __init__(
        self,
        rules: OutboundRules,
        resolver: Resolver | None,
        connector: httpcore2.AsyncNetworkBackend | None,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._rules = rules
        self._own_resolver: SystemResolver | None = None
        if resolver is None:
            resolver = self._own_resolver = SystemResolver()
        self._resolver: Resolver = resolver
        self._connector = connector or cast(httpcore2.AsyncNetworkBackend, httpcore2.AnyIOBackend())
        self._tls = tls
        self._pools: dict[tuple[Reach, tuple[Allowed, ...]], ConnectionPool] = {}
        self._retired: list[ConnectionPool] = []

    def replace_rules(self, rules: OutboundRules) -> None:
        """From the next request or redirect on, only `rules` count; pooled connections are not taken over."""
        self._rules = rules
        self._retired += self._pools.values()
        self._pools = {}

    @contextlib.asynccontextmanager
    async def pool(self, reach: Reach, allow_extra: tuple[Allowed, ...]) -> AsyncIterator[ConnectionPool]:
        """The lane for the owner's entries and `allow_extra`, held open while it is used."""
        await self._close_retired()
        key = (reach, allow_extra)
        pool = self._pools.get(key)
        if pool is None:
            if len(self._pools) >= self._MOST:
                self._retired.append(self._pools.pop(next(iter(self._pools))))
            pool = self._pools[key] = self._open((*self._rules.entries(reach), *allow_extra))
        pool.active += 1
        try:
            yield pool
        finally:
            pool.active -= 1

    async def aclose(self) -> None:
        """Closes every connection and ends the look-up threads."""
        pools, self._pools, self._retired = [*self._pools.values(), *self._retired], {}, []
        for pool in pools:
            await pool.aclose()
        if self._own_resolver is not None:
            self._own_resolver.close()

    def _open(self, allow: tuple[Allowed, ...]) -> ConnectionPool:
        if self._tls is None:
            self._tls = _usual_tls()
        guard = Guard(allow, self._rules.ports)
        backend = GuardedBackend(guard, self._resolver, self._connector)
        named = tunnelled = None
        if self._rules.proxy:
            proxy = _proxy(self._rules.proxy)  # the proxy itself is the owner's word
            named = self._pool(self._connector, proxy)
            if not self._rules.proxy_looks_up:
                tunnelled = self._pool(ProxyTunnels(backend, guard, self._connector, proxy, self._tls), None)
        return ConnectionPool(guard, backend, self._pool(backend, None), named, tunnelled)

    def _pool(
        self, backend: httpcore2.AsyncNetworkBackend, proxy: httpcore2.Proxy | None
    ) -> httpcore2.AsyncConnectionPool:
        return httpcore2.AsyncConnectionPool(
            ssl_context=self._tls,
            proxy=proxy,
            max_connections=_MAX_CONNECTIONS,
            max_keepalive_connections=64,
            keepalive_expiry=15.0,
            network_backend=backend,
        )

    async def _close_retired(self) -> None:
        idle = [pool for pool in self._retired if pool.active == 0]
        self._retired = [pool for pool in self._retired if pool.active > 0]
        for pool in idle:
            await pool.aclose()


def _proxy(text: str) -> httpcore2.Proxy:
    url = httpx2.URL(text)
    auth = (url.username, url.password) if url.username or url.password else None
    return httpcore2.Proxy(url=str(url.copy_with(userinfo=b"")), auth=auth)
