"""Politeness towards other sites: robots.txt rules (RFC 9309) and limits on the rate of requests to one host.

The state is shared by all steps and jobs of an engine process: a thousand items of a Splitter node request robots.txt
once, and a delay between requests to a host applies to all of them. Workers that share a PostgreSQL share the delays and
the limits (`SharedTurns`).
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx2
import msgspec
from cachetools import LRUCache
from protego import Protego

from engine.flow.node_context import NodeFailed
from engine.outbound.addresses import port_of, read_url
from engine.outbound.allow_list import Reach
from engine.outbound.practice_site import PRACTICE_HOST

#: The product token that robots.txt files use for Flowport.
ROBOTS_NAME = "Flowport"

#: Seconds that robots.txt is cached. A failure is cached for a shorter time, so that a retry can succeed.
_KEPT = 3_600.0
_FAULT_KEPT = 5.0
_SECONDS = 15.0
_LONGEST = 500 * 1024
_MAX_SITES = 1_000
_MAX_SITEMAPS = 20
#: The longest line that is read, and the most rules of a group with `*`: a URL is searched with each of them.
_LONGEST_LINE = 2_048
_MAX_WILDCARDS = 1_000
#: Seconds after which other processes are asked again for room at a host.
_ASK_AGAIN = 0.1


def read_robots(text: str) -> Protego:
    """Parses the first 512,000 characters of a robots.txt in time linear to its length. Lines of more than 2,048
    characters are left out, and of the rules of a group with `*` only the 1,000 longest count as they are written.

    Protego copies each rule to every user agent of its group: 15,000 names with 30,000 rules would need gigabytes.
    Flowport only matches names that are part of its own, so all other names are replaced by one placeholder.
    """
    ours = ROBOTS_NAME.lower()
    lines = []
    for line in text[:_LONGEST].splitlines():
        words = line.partition("#")[0].strip().lower()
        if len(words) > _LONGEST_LINE:
            continue
        field = next((one for one in ("user-agent", "useragent", "user agent") if words.startswith(one)), "")
        rest = words[len(field) :]
        name = rest.strip(" \t:")
        if not field or not name or rest[0] not in " \t:":
            lines.append(line)
        else:
            part = name.replace("*", "")
            lines.append(f"User-agent: {name if name == '*' or (part and part in ours) else 'other'}")
    rules: Any = Protego.parse("\n".join(lines))
    for group in rules._user_agents.values():  # noqa: SLF001 - which lines make a group only the parser tells
        group._rules = _with_few_wildcards(group._rules)  # noqa: SLF001
    return rules


def _with_few_wildcards(rules: list[Any]) -> list[Any]:
    """Returns the rules of a group, which are in the order of their length. Of those with `*` that are too many, one that
    forbids ends before its first `*` and keeps its place, so that it forbids no less, and one that allows is left out.
    """
    kept, wildcards = [], 0
    for rule in rules:
        before, star, _ = rule.value._pattern.partition("*")  # noqa: SLF001
        wildcards += len(star)
        if not star or wildcards <= _MAX_WILDCARDS:
            kept.append(rule)
        elif rule.field == "disallow":
            kept.append(rule._replace(value=type(rule.value)(before)))
    return kept


class _Answer(Protocol):
    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> dict[str, str]: ...
    @property
    def listed(self) -> bool: ...
    def text(self) -> str: ...


#: Sends a GET request: (URL, time limit in seconds, allow-list to apply).
FetchRobots = Callable[[str, float, Reach], Awaitable[_Answer]]


class SiteRules(msgspec.Struct, frozen=True):
    """The rules in a site's robots.txt.

    `failed_status`: it could not be fetched now, so it is unknown what may be read.

    `answer_headers` are the headers of the failed response (they may contain Retry-After). `listed`: the allow-list in
    use covers the host that answered.
    """

    rules: Protego | None = None
    failed_status: int | None = None
    answer_headers: dict[str, str] = msgspec.field(default_factory=dict)
    listed: bool = False

    def may_read(self, url: str) -> bool:
        """Tells whether crawlers may read a URL. A site without a readable robots.txt allows everything. Call it in a
        thread: a robots.txt that is made for it lets it take tens of milliseconds.
        """
        if self.failed_status is not None:
            return False
        return self.rules is None or self.rules.can_fetch(url, ROBOTS_NAME)

    @property
    def crawl_delay(self) -> float:
        """Seconds that the site asks crawlers to wait between requests; 0 when it asks for no delay."""
        return max(0.0, (self.rules and self.rules.crawl_delay(ROBOTS_NAME)) or 0.0)

    @property
    def sitemaps(self) -> tuple[str, ...]:
        """The URLs of the site's sitemaps, at most 20."""
        return tuple(self.rules.sitemaps)[:_MAX_SITEMAPS] if self.rules else ()


@dataclass
class _Site:
    """Cached robots.txt rules of one origin; `until` is the event loop time at which they expire."""

    asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    until: float = 0.0
    rules: SiteRules = field(default_factory=SiteRules)
    failure: NodeFailed | None = None


@dataclass
class _Host:
    """Requests in progress and waiting at one host.

    `entrance` admits waiting requests one at a time, in order of arrival.
    """

    entrance: asyncio.Lock = field(default_factory=asyncio.Lock)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    users: int = 0
    inside: int = 0
    began: float = float("-inf")
    #: The event loop time at which the delay after the latest request has passed.
    due: float = float("-inf")


class SharedTurns(Protocol):
    """Locks among several processes (`storage.postgres.process_link`): a site's delay and its places are locks.

    `hold` waits for an answer and returns False when the lock is held; `connected_for` is 0 while nobody answers.
    """

    @property
    def connected_for(self) -> float: ...
    def hold(self, name: str) -> bool: ...
    def let_go(self, name: str) -> None: ...


async def _hold(turns: SharedTurns, place: str) -> bool:
    """Takes a lock, and gives it back when the step was cancelled while its thread waited for the answer."""
    taking = asyncio.ensure_future(asyncio.to_thread(turns.hold, place))
    try:
        return await asyncio.shield(taking)
    except asyncio.CancelledError:
        taking.add_done_callback(lambda taken: _give_back(turns, place, taken))
        raise


def _give_back(turns: SharedTurns, place: str, taken: asyncio.Future[bool]) -> None:
    # only a lock that this call took: another request of the process may hold the place
    if not taken.cancelled() and taken.exception() is None and taken.result():
        turns.let_go(place)


class CrawlPoliteness:
    """The robots.txt rules and request limits of one process, used from one event loop."""

    def __init__(self, fetch: FetchRobots) -> None:
        self._fetch = fetch
        self._sites: LRUCache[tuple[str, str, int, Reach], _Site] = LRUCache(_MAX_SITES)
        self._hosts: dict[tuple[str, int], _Host] = {}
        self._shared: SharedTurns | None = None

    def share(self, turns: SharedTurns) -> None:
        """Keeps delays and limits together with other processes."""
        self._shared = turns

    def forget(self) -> None:
        """Drops all cached rules, after the owner changed which addresses may be reached."""
        self._sites.clear()

    async def site_rules(self, url: str, seconds: float, reach: Reach = "flows") -> SiteRules:
        """Returns the robots.txt rules of a page's site. `seconds` limits the request.

        Raises NodeFailed (passing) when the site's server cannot be reached at the moment.
        """
        origin = read_url(url)
        clock = asyncio.get_running_loop().time
        key = (origin.scheme, origin.host, port_of(origin), reach)
        kept = (*key[:3], "flows")
        if kept in self._sites and clock() < self._sites[kept].until:
            key = kept  # cached rules cause no request, so they serve every allow-list
        site = self._sites.setdefault(key, _Site())
        async with site.asking:
            if clock() >= site.until:
                await self._fetch_rules(site, origin, min(seconds, _SECONDS), key[3])
                failed = site.failure is not None or site.rules.failed_status is not None
                site.until = clock() + (_FAULT_KEPT if failed else _KEPT)
        if site.failure is not None:
            raise site.failure
        return site.rules

    @contextlib.asynccontextmanager
    async def turn(self, url: str, *, delay_seconds: float, at_once: int) -> AsyncIterator[None]:
        """Context manager around a request: waits until at least `delay_seconds` have passed since the previous request
        to the page's host began and fewer than `at_once` requests to it are in progress.
        """
        where = read_url(url)
        if where.host == PRACTICE_HOST:
            yield
            return
        host = self._host(where.host, port_of(where))
        host.users += 1
        try:
            async with host.entrance:
                while host.inside >= at_once:
                    host.left.clear()
                    await host.left.wait()
                clock = asyncio.get_running_loop().time
                if delay_seconds > 0:
                    await asyncio.sleep(max(0.0, host.began + delay_seconds - clock()))
                place = await self._enter(f"{where.host}:{port_of(where)}", delay_seconds, at_once)
                host.began = clock()
                host.due = host.began + delay_seconds
                host.inside += 1
            try:
                yield
            finally:
                host.inside -= 1
                host.left.set()
                if place is not None and self._shared is not None:
                    self._shared.let_go(place)
        finally:
            host.users -= 1

    async def _enter(self, host: str, delay_seconds: float, at_once: int) -> str | None:
        """Waits until other processes leave room at a host. Returns the lock to give back after the request, if any. While
        the others cannot be asked, this process goes by itself.
        """
        if self._shared is None:
            return None
        places = [f"site {host}"] if delay_seconds > 0 else [f"site {host} {number}" for number in range(at_once)]
        while self._shared.connected_for > 0:
            random.shuffle(places)
            for place in places:
                if not await _hold(self._shared, place):
                    continue
                if delay_seconds <= 0:
                    return place
                asyncio.get_running_loop().call_later(delay_seconds, self._shared.let_go, place)
                return None
            await asyncio.sleep(_ASK_AGAIN)
        return None

    def _host(self, name: str, port: int) -> _Host:
        if len(self._hosts) > _MAX_SITES:
            now = asyncio.get_running_loop().time()
            self._hosts = {key: host for key, host in self._hosts.items() if host.users or host.due > now}
        return self._hosts.setdefault((name, port), _Host())

    async def _fetch_rules(self, site: _Site, origin: httpx2.URL, seconds: float, reach: Reach) -> None:
        site.failure, site.rules = None, SiteRules()
        robots = str(origin.copy_with(raw_path=b"/robots.txt"))
        try:
            answer = await self._fetch(robots, seconds, reach)
        except NodeFailed as failure:
            # Permanent refusals (a forbidden address, an invalid URL) are reported by the request for the page itself.
            site.failure = failure if failure.passing else None
            return
        if answer.status == 429 or answer.status >= 500:
            site.rules = SiteRules(failed_status=answer.status, answer_headers=dict(answer.headers))
        elif answer.status == 200:
            rules = await asyncio.to_thread(lambda: read_robots(answer.text()))
            site.rules = SiteRules(rules, listed=answer.listed)
