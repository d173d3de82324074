"""Good manners towards other people's sites: what robots.txt allows, asked once, and requests to a host one after another.

Both are kept for one engine process, so all steps and jobs of it share them: a thousand items of a Splitter ask for one
robots.txt, and a delay between requests to a host holds for all that ask it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx2
from protego import Protego

from engine.flow.node_type import NodeFailed
from engine.outbound.addresses import port_of, read_url
from engine.outbound.allow_list import Reach
from engine.outbound.practice_site import PRACTICE_HOST

#: The name that robots.txt files know us by.
ROBOTS_NAME = "Flowport"

#: Seconds an answer is kept; a fault is asked about again soon, so that another try can help.
_KEPT = 3_600.0
_FAULT_KEPT = 5.0
_SECONDS = 15.0
_LONGEST = 500 * 1024
_MOST_SITES = 1_000
_MOST_SITEMAPS = 20


def read_robots(text: str) -> Protego:
    """The rules of a robots.txt, of which so many characters are read. Takes time in proportion to its length.

    The parser gives every rule to each program that is named before it: 15,000 names and 30,000 rules would be gigabytes. We
    go by one name and the parts of it, so all other names become one.
    """
    ours = ROBOTS_NAME.lower()
    lines = []
    for line in text[:_LONGEST].splitlines():
        words = line.partition("#")[0].strip().lower()
        field = next((one for one in ("user-agent", "useragent", "user agent") if words.startswith(one)), "")
        rest = words[len(field) :]
        name = rest.strip(" \t:")
        if not field or not name or rest[0] not in " \t:":
            lines.append(line)
        else:
            part = name.replace("*", "")
            lines.append(f"User-agent: {name if name == '*' or (part and part in ours) else 'other'}")
    rules: Any = Protego.parse("\n".join(lines))
    return rules


class _Answer(Protocol):
    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> dict[str, str]: ...
    @property
    def listed(self) -> bool: ...
    def text(self) -> str: ...


#: Asks for an address: (url, seconds it may take, whose list counts).
Ask = Callable[[str, float, Reach], Awaitable[_Answer]]


@dataclass(frozen=True)
class SiteRules:
    """What a site's robots.txt says. `failed_status`: it could not be had now, so nobody knows what may be read.

    `answer_headers` are those of the failed answer (they may name a Retry-After). `listed`: the host that answered is one that
    the list in use allows.
    """

    rules: Protego | None = None
    failed_status: int | None = None
    answer_headers: dict[str, str] = field(default_factory=dict)
    listed: bool = False

    def may_read(self, url: str) -> bool:
        """Whether programs may read a page. A site without a readable robots.txt allows everything."""
        if self.failed_status is not None:
            return False
        return self.rules is None or self.rules.can_fetch(url, ROBOTS_NAME)

    @property
    def crawl_delay(self) -> float:
        """Seconds that the site asks programs to leave between requests, 0 when it asks for none."""
        return max(0.0, (self.rules and self.rules.crawl_delay(ROBOTS_NAME)) or 0.0)

    @property
    def sitemaps(self) -> tuple[str, ...]:
        """The addresses of its sitemaps."""
        return tuple(self.rules.sitemaps)[:_MOST_SITEMAPS] if self.rules else ()


@dataclass
class _Site:
    """One origin's rules, as long as they are kept."""

    asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    until: float = 0.0
    rules: SiteRules = SiteRules()
    failure: NodeFailed | None = None


@dataclass
class _Host:
    """Who is at a host and who waits. `entrance` lets one through after another, in the order they came."""

    entrance: asyncio.Lock = field(default_factory=asyncio.Lock)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    users: int = 0
    inside: int = 0
    began: float = float("-inf")


class Manners:
    """Robots rules and turns of one process, used from one event loop."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._sites: dict[tuple[str, str, int, Reach], _Site] = {}
        self._hosts: dict[tuple[str, int], _Host] = {}

    def forget(self) -> None:
        """The owner changed what may be reached: sites are asked anew."""
        self._sites = {}

    async def site_rules(self, url: str, seconds: float, reach: Reach = "flows") -> SiteRules:
        """The rules of the site of a page. Raises NodeFailed (passing) when its server cannot be reached just now."""
        origin = read_url(url)
        clock = asyncio.get_running_loop().time
        key = (origin.scheme, origin.host, port_of(origin), reach)
        kept = (*key[:3], "flows")
        if kept in self._sites and clock() < self._sites[kept].until:
            key = kept  # nothing is sent, so whose list counts makes no difference
        site = self._sites.pop(key, None) or _Site()
        self._sites[key] = site  # the least lately used one is the first
        if len(self._sites) > _MOST_SITES:
            del self._sites[next(iter(self._sites))]
        async with site.asking:
            if clock() >= site.until:
                await self._look(site, origin, min(seconds, _SECONDS), key[3])
                failed = site.failure is not None or site.rules.failed_status is not None
                site.until = clock() + (_FAULT_KEPT if failed else _KEPT)
        if site.failure is not None:
            raise site.failure
        return site.rules

    @contextlib.asynccontextmanager
    async def turn(self, url: str, *, delay_seconds: float, at_once: int) -> AsyncIterator[None]:
        """Waits for a turn at a page's host: `delay_seconds` after the request before, with fewer than `at_once` others."""
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
                host.began = clock()
                host.inside += 1
            try:
                yield
            finally:
                host.inside -= 1
                host.left.set()
        finally:
            host.users -= 1

    def _host(self, name: str, port: int) -> _Host:
        if len(self._hosts) > _MOST_SITES:
            self._hosts = {key: host for key, host in self._hosts.items() if host.users}
        return self._hosts.setdefault((name, port), _Host())

    async def _look(self, site: _Site, origin: httpx2.URL, seconds: float, reach: Reach) -> None:
        site.failure, site.rules = None, SiteRules()
        robots = str(origin.copy_with(raw_path=b"/robots.txt"))
        try:
            answer = await self._ask(robots, seconds, reach)
        except NodeFailed as failure:
            # What is closed to flows, or no address at all, is said by the request for the page itself.
            site.failure = failure if failure.passing else None
            return
        if answer.status == 429 or answer.status >= 500:
            site.rules = SiteRules(failed_status=answer.status, answer_headers=dict(answer.headers))
        elif answer.status == 200:
            rules = await asyncio.to_thread(lambda: read_robots(answer.text()))
            site.rules = SiteRules(rules, listed=answer.listed)
