"""Opens connections for outbound requests: resolves a host name once, checks every address and connects to a checked
address.

The checks are implemented as a network backend of httpcore2, so redirects, pooled connections and model SDKs all pass
through them. TLS is still verified against the host name.
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
from typing import Any

import httpcore2
import httpx2

from engine.core.shared_places import SharedPlaces
from engine.outbound.addresses import Destination, Forbidden, Guard, is_localhost, is_public, literal_address
from engine.outbound.allow_list import Address, Allowed, OutboundRules, Reach
from engine.outbound.http_connection import HttpConnection, OriginConnection, Response
from engine.outbound.network_stream import Connector

CONNECT_SECONDS = 10.0
#: Time limit of one connection attempt, in seconds, while there are other addresses to try.
_FIRST_SECONDS = 3.0
_MAX_ADDRESSES = 4
#: A workspace has at most half of them and at most 1,024 to one origin; when others have some, less.
_MAX_CONNECTIONS = 3_072
#: An idle connection is closed after this time, and before it when there are more.
_IDLE_SECONDS = 15.0
_MAX_IDLE = 256
#: A look-up that hangs keeps its thread for half a minute. A workspace has at most half of the threads, and for one domain
#: at most a third.
_LOOK_UPS_AT_ONCE = 64
#: In proportion to what is free (`SharedPlaces`): the half of all are as many as the rest, a third is half of the rest.
_OF_WORKSPACE, _OF_ONE = 1.0, 0.5

#: Maps a host name and port to IP addresses as text. Raises OSError (socket.gaierror) when the name is unknown.
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]


class NameNotFound(httpcore2.ConnectError):
    """The host name resolves to no address. `passing` is False when DNS states that the name does not exist."""

    def __init__(self, *, passing: bool) -> None:
        super().__init__("name not found")
        self.passing = passing


class LookUpTimeout(httpcore2.ConnectTimeout):
    """The host name was not looked up in time."""


class SystemResolver:
    """Resolves names with the operating system's resolver, in a thread pool of its own: a slow query blocks no other
    work.

    Who asks for a name that is looked up already waits for the same answer. A look-up that nobody waits for any more keeps
    its thread until it ends, so the threads are shared by workspaces, and by the domains that they ask for.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_LOOK_UPS_AT_ONCE, thread_name_prefix="look-up")
        self._places = SharedPlaces(_LOOK_UPS_AT_ONCE, _OF_WORKSPACE, _OF_ONE)
        self._under_way: dict[tuple[str, int], asyncio.Future[list[tuple[Any, ...]]]] = {}

    async def __call__(self, host: str, port: int) -> list[str]:
        name = host, port
        if name not in self._under_way:
            domain = ".".join(host.split(".")[-2:])
            workspace = await self._places.take(domain)
            if name in self._under_way:  # somebody else had a place before
                self._places.give_back(workspace, domain)
            else:
                self._begin(name, workspace, domain)
        rows = await asyncio.shield(self._under_way[name])
        return list(dict.fromkeys(str(row[4][0]) for row in rows))

    def close(self) -> None:
        """Ends the idle threads without waiting for a query in progress."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _begin(self, name: tuple[str, int], workspace: str, domain: str) -> None:
        try:
            look_up = asyncio.get_running_loop().run_in_executor(self._threads, self._look_up, *name)
        except BaseException:
            self._places.give_back(workspace, domain)
            raise
        self._under_way[name] = look_up

        def ended(done: asyncio.Future[list[tuple[Any, ...]]]) -> None:
            done.cancelled() or done.exception()  # marks the exception as retrieved
            del self._under_way[name]
            self._places.give_back(workspace, domain)

        look_up.add_done_callback(ended)

    @staticmethod
    def _look_up(host: str, port: int) -> list[tuple[Any, ...]]:
        return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))


class GuardedBackend(httpcore2.AsyncNetworkBackend):
    """An httpcore2 network backend that connects only to addresses that `guard` permits.

    Raises Forbidden, which the HTTP library does not catch or convert.
    """

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
        """Connects to one of the checked addresses within `timeout` seconds, at most 10.

        Raises Forbidden, NameNotFound and LookUpTimeout.
        """
        seconds = min(timeout or CONNECT_SECONDS, CONNECT_SECONDS)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        addresses = await self.addresses_until(deadline, self._guard.destination(host, port))
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

    async def addresses_until(self, deadline: float, destination: Destination) -> list[Address]:
        """Returns what `addresses` returns. Raises what it raises, and LookUpTimeout when it has not returned at `deadline`, a
        time of the event loop.
        """
        try:
            async with asyncio.timeout_at(deadline):
                return await self.addresses(destination)
        except TimeoutError as error:
            raise LookUpTimeout("the look-up took too long") from error

    async def addresses(self, destination: Destination) -> list[Address]:
        """Resolves the host once and returns the addresses after checking all of them.

        Raises Forbidden and NameNotFound.
        """
        if destination.address is not None:
            return [destination.address]
        if is_localhost(destination.host):
            return self._guard.loopback(destination)
        try:
            answers = await self._resolver(destination.host, destination.port)
            addresses = [ip_address(answer) for answer in answers]
        except (OSError, UnicodeError) as error:  # UnicodeError: a label that DNS cannot represent
            if destination.reachable == "allowed":
                # for an internal name that is not allowed, the error must not reveal whether the name exists
                raise Forbidden(destination.rule) from error
            unsure = isinstance(error, OSError) and error.errno != socket.EAI_NONAME
            raise NameNotFound(passing=unsure) from error
        if not addresses:
            raise NameNotFound(passing=False)
        self._guard.check(destination, addresses)
        return addresses

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Always raises Forbidden: outbound requests never use Unix sockets."""
        raise Forbidden("it leads to a socket of this machine")

    async def sleep(self, seconds: float) -> None:
        """Waits between the library's connection attempts."""
        await asyncio.sleep(seconds)


class ProxyTunnels(httpcore2.AsyncNetworkBackend):
    """A network backend that connects through CONNECT tunnels of the company proxy.

    Flowport resolves and checks the host itself and gives the proxy the checked IP address; TLS inside the tunnel is
    verified against the host name.
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
        """Opens a tunnel to the first checked address that the proxy can reach, within `timeout` seconds, at most
        10.
        """
        last: Exception = httpcore2.ConnectTimeout("no time left")
        deadline = asyncio.get_running_loop().time() + min(timeout or CONNECT_SECONDS, CONNECT_SECONDS)
        addresses = await self._checked.addresses_until(deadline, self._guard.destination(host, port))
        try:
            async with asyncio.timeout_at(deadline):
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
        """Waits between the library's connection attempts."""
        await asyncio.sleep(seconds)


class OriginConnections:
    """Up to _MAX_CONNECTIONS connections, each for one request at a time. Requests above that wait, and those of one workspace
    or to one origin before (`SharedPlaces`): services that do not answer hold up no others.

    `connect` returns a new connection to an origin. httpcore2's own pool is not used: it looks at all of its connections
    and requests whenever a request begins or ends.
    """

    def __init__(self, connect: Callable[[httpcore2.Origin], Awaitable[OriginConnection]]) -> None:
        self._connect = connect
        self._places = SharedPlaces(_MAX_CONNECTIONS, _OF_WORKSPACE, _OF_ONE)
        self._idle_of: dict[bytes, list[OriginConnection]] = {}
        #: The origin of each idle connection, and since when it is idle (time of the event loop), in that order.
        self._idle: dict[OriginConnection, tuple[bytes, float]] = {}
        #: The connections in use, each with the workspace that has its place.
        self._taken: dict[OriginConnection, str] = {}
        #: Closes the connections that have been idle for too long.
        self._closing: asyncio.Task[None] | None = None

    async def take(self, origin: httpcore2.Origin) -> OriginConnection:
        """Returns the connection to `origin` that was used last, or a new one. `give_back` ends its use."""
        key = _origin_key(origin)
        workspace = await self._places.take(key)
        try:
            connection = await self._kept(key) or await self._connect(origin)
        except BaseException:
            self._places.give_back(workspace, key)
            raise
        self._taken[connection] = workspace
        return connection

    async def give_back(self, connection: OriginConnection, origin: httpcore2.Origin) -> None:
        """Keeps a connection whose response was read to its end, and closes any other."""
        key = _origin_key(origin)
        self._places.give_back(self._taken.pop(connection), key)
        if connection.is_idle():
            now = asyncio.get_running_loop().time()
            self._idle_of.setdefault(key, []).append(connection)
            self._idle[connection] = key, now
            if len(self._idle) > _MAX_IDLE:
                await self._close_oldest()
            if self._closing is None:
                self._closing = asyncio.create_task(self._close_expired(), name="idle-connections")
        else:
            await connection.aclose()

    async def aclose(self) -> None:
        """Closes all connections; requests that are under way fail."""
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None
        connections = [*self._idle, *self._taken]
        self._idle, self._idle_of = {}, {}
        for connection in connections:
            await connection.aclose()

    async def _kept(self, key: bytes) -> OriginConnection | None:
        while (kept := self._idle_of.get(key)) is not None:
            connection = kept[-1]
            self._forget(connection)
            if not connection.has_expired():
                return connection
            await connection.aclose()
        return None

    async def _close_expired(self) -> None:
        """Runs while there are idle connections."""
        try:
            while self._idle:
                since = next(iter(self._idle.values()))[1]
                if (left := since + _IDLE_SECONDS - asyncio.get_running_loop().time()) > 0:
                    await asyncio.sleep(left)
                else:
                    await self._close_oldest()
        finally:
            self._closing = None

    async def _close_oldest(self) -> None:
        oldest = next(iter(self._idle))
        self._forget(oldest)
        await oldest.aclose()

    def _forget(self, connection: OriginConnection) -> None:
        key, _ = self._idle.pop(connection)
        kept = self._idle_of[key]
        kept.remove(connection)
        if not kept:
            del self._idle_of[key]


def _origin_key(origin: httpcore2.Origin) -> bytes:
    return b"%b://%b:%d" % (origin.scheme, origin.host, origin.port)


@dataclass
class ConnectionPool:
    """Open connections that share one set of address rules.

    A connection is used only under the rules it was opened with: what one allow-list permitted, requests with another
    list do not reuse.
    """

    guard: Guard
    backend: GuardedBackend
    direct: OriginConnections
    #: Requests through the company proxy: `through_proxy` sends it host names, `tunnelled` sends it IP addresses that
    #: were checked here.
    through_proxy: OriginConnections | None
    tunnelled: OriginConnections | None
    active: int = field(default=0)

    async def pool_for(self, scheme: str, host: str, port: int) -> OriginConnections:
        """Chooses how to reach a host: through the company proxy for public addresses, directly for private ones.

        Raises Forbidden.

        Without a proxy the host is resolved later, by the connection. With a proxy, https goes to the IP address that
        was checked here. Plain http goes to the proxy by name, because proxies open tunnels only for https; so does a
        name that does not resolve here. For these two the proxy decides which address they lead to.
        """
        destination = self.guard.destination(host, port)
        if self.through_proxy is None:
            return self.direct
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                addresses = await self.backend.addresses(destination)
        except (NameNotFound, TimeoutError):
            if destination.reachable == "allowed":
                raise Forbidden(destination.rule) from None
            return self.through_proxy  # inside company networks public names often resolve only at the proxy
        if any(not is_public(address) for address in addresses):
            return self.direct
        return self.tunnelled if self.tunnelled is not None and scheme == "https" else self.through_proxy

    def lists(self, pool: OriginConnections, answer: Response, host: str, port: int) -> bool:
        """Tells whether the allow-list covers the host that answered.

        The IP address is unknown for responses through the proxy.
        """
        if not self.guard.allow:
            return False
        peer = None
        if pool is self.direct and (stream := answer.extensions.get("network_stream")) is not None:
            peer = stream.get_extra_info("server_addr")
        return self.guard.lists(host, port, literal_address(str(peer[0])) if peer else None)

    async def aclose(self) -> None:
        """Closes all connections."""
        await self.direct.aclose()
        for pool in (self.through_proxy, self.tunnelled):
            if pool is not None:
                await pool.aclose()


@functools.cache
def _default_tls() -> ssl.SSLContext:
    """The default trusted certificates, loaded once per process because loading them takes 10 ms."""
    return httpx2.create_ssl_context(trust_env=False)


class ConnectionPools:
    """The connection pools of a client: one for each allow-list in use, opened on first use.

    Pools share the resolver but no connections. After `replace_rules`, pools with the old rules close when their last
    request ends.
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
        self._connector = connector or Connector()
        self._tls = tls
        self._pools: dict[tuple[Reach, tuple[Allowed, ...]], ConnectionPool] = {}
        self._retired: list[ConnectionPool] = []

    def replace_rules(self, rules: OutboundRules) -> None:
        """Applies new rules from the next request or redirect on; open connections are not reused."""
        self._rules = rules
        self._retired += self._pools.values()
        self._pools = {}

    @contextlib.asynccontextmanager
    async def pool(self, reach: Reach, allow_extra: tuple[Allowed, ...]) -> AsyncIterator[ConnectionPool]:
        """Provides the pool for the list that `reach` selects plus `allow_extra`, and keeps it open during the
        request.
        """
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
        """Closes every connection and the resolver's threads."""
        pools, self._pools, self._retired = [*self._pools.values(), *self._retired], {}, []
        for pool in pools:
            await pool.aclose()
        if self._own_resolver is not None:
            self._own_resolver.close()

    def _open(self, allow: tuple[Allowed, ...]) -> ConnectionPool:
        if self._tls is None:
            self._tls = _default_tls()
        self._tls.set_alpn_protocols(["http/1.1"])
        guard = Guard(allow, self._rules.ports)
        backend = GuardedBackend(guard, self._resolver, self._connector)
        named = tunnelled = None
        if self._rules.proxy:
            proxy = read_proxy(self._rules.proxy)  # the proxy's own address is not checked: the operator configured it
            named = OriginConnections(self._through(proxy))
            if not self._rules.proxy_looks_up:
                tunnelled = self._connections(ProxyTunnels(backend, guard, self._connector, proxy, self._tls))
        return ConnectionPool(guard, backend, self._connections(backend), named, tunnelled)

    def _connections(self, backend: httpcore2.AsyncNetworkBackend) -> OriginConnections:
        """Connections to hosts themselves, with what `backend` opens."""
        tls = self._tls
        assert tls is not None

        async def connect(origin: httpcore2.Origin) -> OriginConnection:
            host = origin.host.decode("ascii")
            stream = await backend.connect_tcp(host, origin.port, CONNECT_SECONDS)
            if origin.scheme == b"https":
                stream = await stream.start_tls(tls, host, CONNECT_SECONDS)
            return HttpConnection(stream)

        return OriginConnections(connect)

    def _through(self, proxy: httpcore2.Proxy) -> Callable[[httpcore2.Origin], Awaitable[OriginConnection]]:
        """Connections through the company proxy, which gets the names of hosts."""
        pool = httpcore2.AsyncConnectionPool(
            ssl_context=self._tls, proxy=proxy, keepalive_expiry=_IDLE_SECONDS, network_backend=self._connector
        )

        async def connect(origin: httpcore2.Origin) -> OriginConnection:
            return pool.create_connection(origin)

        return connect

    async def _close_retired(self) -> None:
        idle = [pool for pool in self._retired if pool.active == 0]
        self._retired = [pool for pool in self._retired if pool.active > 0]
        for pool in idle:
            await pool.aclose()


def read_proxy(text: str) -> httpcore2.Proxy:
    """Reads the address of a company proxy. Raises ValueError when it cannot be read or names no host."""
    try:
        url = httpx2.URL(text)
    except httpx2.InvalidURL as error:
        raise ValueError(str(error)) from None
    rest = f"{url.path}{url.query!r}{url.fragment}"  # a part of the password when it has a sign that ends a host
    if not url.host or not 0 < (url.port or 80) < 65_536 or "@" in rest:
        raise ValueError("it names no host, or a port that cannot be")
    auth = (url.username, url.password) if url.username or url.password else None
    return httpcore2.Proxy(url=str(url.copy_with(userinfo=b"")), auth=auth)
