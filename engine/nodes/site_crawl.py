"""The search of the Website Mapper: level by level from the start page, with concurrent requests, in a reproducible
order.

The pages of a level are requested in the order of their links, and processed in that order, whichever answers first. A
level is read in batches as large as the remaining number of pages, so that the limit always cuts at the same page.

An address that a public site names is requested on the public web only, as a redirect of that site would be. The
owner's allow-list applies to addresses that flows name, and to those that hosts on the list name.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import Literal, NamedTuple

from msgspec import Struct

from engine.core.charsets import decode_body
from engine.core.counted import counted
from engine.core.error_codes import JobErrorCode
from engine.core.web_addresses import join_url
from engine.flow.node_context import NodeContext, NodeFailed
from engine.flow.node_http import HttpAnswer, Reach
from engine.nodes.page_reading import read_with
from engine.nodes.site_addresses import Picker, canonical, is_file, page_key, site_of
from engine.nodes.sitemaps import read_sitemap
from engine.nodes.web_answers import ask_robots, media_type_shown, retry_after, shown, status_failure
from engine.pages.parsing_limits import PageUnreadable

_HTML = {"text/html", "application/xhtml+xml"}
_ACCEPT = {"accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.1"}
_PAGE_SECONDS = 30.0
_MAX_SITEMAPS = 10
_SITEMAP_SECONDS = 30.0
#: The `Limits.sitemap_tries` after `/sitemap.xml` listed pages.
_SITEMAP_TRIES = 3
#: The most lines of the step's log about addresses that are not listed.
_MAX_LINES = 200
#: The statuses by which a site says that nothing is there.
_NOT_THERE = frozenset({404, 410})
#: The code of a request that redirects led on and on.
_IN_CIRCLES = "too_many_redirects"
_ROBOTS_FAILED = "the site's robots.txt failed"
#: The longest pause in seconds that a site may ask for; longer ones are shortened to it.
_LONGEST_DELAY = 30.0

#: `listed`: the page is in the result. `broken`: it is in the result, but could not be read now. All others are left
#: out.
Fate = Literal["listed", "broken", "gone", "closed", "elsewhere", "file"]
_SUMMARY: dict[Fate, tuple[str, str]] = {
    "broken": (
        "1 page is listed although it could not be read",
        "{n} pages are listed although they could not be read",
    ),
    "gone": ("1 link leads to a page that is not there", "{n} links lead to pages that are not there"),
    "closed": ("1 page was left out", "{n} pages were left out"),
}


class Limits(Struct, frozen=True):
    """The limits and options of a search."""

    depth: int
    pages: int
    same_site: bool
    picker: Picker
    use_sitemap: bool
    respect_robots: bool
    delay_seconds: float
    at_once: int
    #: In how many searches `/sitemap.xml`, which nothing names, may list nothing before it counts as gone.
    sitemap_tries: int = 0


class _Link(NamedTuple):
    """An address, and what a request for it may reach, which depends on who named it."""

    url: str
    reach: Reach


class _Visit(Struct, frozen=True):
    """The result for one address.

    `url`: the address of the page, which for a listed one is where redirects led. `led_to`: where redirects led when the
    answer has an error status. `refused`: the searched site gave this answer, and its status says neither that nothing is
    there nor that it will pass.
    """

    fate: Fate
    url: str
    links: tuple[_Link, ...] = ()
    why: str = ""
    led_to: str = ""
    refused: bool = False


class Crawl:
    """One search; an instance is used once."""

    def __init__(self, limits: Limits, context: NodeContext) -> None:
        self.limits = limits
        self.context = context
        self.found: dict[str, int] = {}
        #: Why pages may be missing that another search would find; empty when all was looked at. Pages beyond the limits
        #: of the search do not count.
        self.missed = ""
        #: The addresses that answered that nothing is there.
        self.gone: set[str] = set()
        #: `page_key` -> why, of the pages that the site refused (403, say); they may exist. They are not in the result, and
        #: `missed` says nothing of what they link to: many sites have pages that are never shown.
        self.refused: dict[str, str] = {}
        #: Those of `refused` whose links would have been followed.
        self.not_followed: set[str] = set()
        #: The `sitemap_tries` of the next search.
        self.sitemap_tries = limits.sitemap_tries
        self._site = ""
        self._listed_start = ""
        self._delay = limits.delay_seconds
        self._seen: set[str] = set()
        self._listed: set[str] = set()
        self._fates: Counter[Fate] = Counter()
        self._first: dict[Fate, _Visit] = {}
        self._lines = 0
        self._requests_left = limits.pages + max(20, limits.pages // 2)
        self._slots = asyncio.Semaphore(limits.at_once)
        self._clock = asyncio.get_running_loop().time
        seconds = context.timeout_seconds
        self._deadline = self._clock() + seconds - min(5.0, seconds / 10)
        self._out_of_time = False
        self._limit_reached = False  #: addresses were left over when the number of pages or requests was used up

    async def go(self, start: str) -> dict[str, int]:
        """Returns the pages with their distance from the start page, in order.

        Raises NodeFailed when the start page cannot be read.
        """
        links = await self._read_start(start)
        for level in range(1, self.limits.depth + 1):
            if not links:
                break
            links = await self._read_level(links, level)
        if self._out_of_time:
            self._miss("The time for the search was over.")
        self._add_warnings()
        return self.found

    async def _read_start(self, start: str) -> list[_Link]:
        if self.limits.respect_robots:
            rules = await ask_robots(start, self.context)
            self._delay = max(self._delay, min(rules.crawl_delay, _LONGEST_DELAY))
        answer = await self._ask(_Link(start, "flows"), self._delay)
        if answer.status in _NOT_THERE:
            raise status_failure(
                answer, start, code=JobErrorCode.PAGE_NOT_FOUND, remedy="Check the address of the start page."
            )
        if answer.status >= 400:
            raise status_failure(answer, start)
        if self.limits.respect_robots and answer.url != start:
            await ask_robots(answer.url, self.context, led_from=start)
        url = canonical(answer.url)
        if url is None or not _is_page(answer):
            kind = media_type_shown(answer) or "no type"
            raise NodeFailed(
                f"`{shown(start)}` is not a web page but a file of the type {kind}.",
                why="The search follows the links of web pages.",
                remedy="Use the address of the site's first page.",
            )
        self._site = site_of(url)
        self._listed_start = _origin(url) if answer.listed else ""
        self._seen |= {page_key(url), page_key(canonical(start) or url)}
        if self.limits.picker.takes(url):
            self._take(url, 0)
        links = await self._links_of(answer, 0)
        if not links and await self._is_drawn_by_script(answer):
            self.context.warn(f"`{shown(start)}` has no links of its own: scripts draw it in the browser.")
        return [*links, *await self._sitemap_links(self._link(url, named_by_listed=answer.listed))]

    async def _read_level(self, links: list[_Link], level: int) -> list[_Link]:
        """Lists the pages of this level and returns their links."""
        waiting = await self.context.in_thread(self._new_ones, links)
        below: list[_Link] = []
        while waiting:
            left = min(self.limits.pages - len(self.found), self._requests_left)
            if left <= 0 or self._out_of_time:
                self._limit_reached = True
                break
            batch, waiting = waiting[:left], waiting[left:]
            self._requests_left -= len(batch)
            for visit in await self._visit_all(batch, level):
                below += self._settle(visit, level)
        return below

    def _link(self, url: str, *, named_by_listed: bool) -> _Link:
        """Returns the link for an address that an answer named.

        The origin of the start page stays reachable, whoever names it.
        """
        back = bool(self._listed_start) and _origin(canonical(url) or "") == self._listed_start
        return _Link(url, "flows" if named_by_listed or back else "public")

    def _links_to(self, urls: Iterable[str], answer: HttpAnswer) -> list[_Link]:
        return [self._link(url, named_by_listed=answer.listed) for url in urls]

    def _new_ones(self, links: Iterable[_Link]) -> list[_Link]:
        new: list[_Link] = []
        for link in links:
            url = canonical(link.url)
            if url is None or is_file(url) or (self.limits.same_site and site_of(url) != self._site):
                continue
            if (key := page_key(url)) not in self._seen and self.limits.picker.takes(url):
                self._seen.add(key)
                new.append(link._replace(url=url))
        return new

    async def _visit_all(self, links: list[_Link], level: int) -> list[_Visit]:
        """Returns the results in the order of the links, without those for which there was no time."""
        visits: list[_Visit | None] = [None] * len(links)

        async def visit(position: int, link: _Link) -> None:
            async with self._slots:
                visits[position] = await self._visit(link, level)

        limit = asyncio.timeout_at(self._deadline)
        try:
            async with limit, asyncio.TaskGroup() as group:
                for position, link in enumerate(links):
                    group.create_task(visit(position, link))
        except TimeoutError:
            if not limit.expired():
                raise
            self._out_of_time = True
        return [visit for visit in visits if visit is not None]

    async def _visit(self, link: _Link, level: int) -> _Visit:
        http, delay = self.context.http, self.limits.delay_seconds
        url = link.url
        try:
            if self.limits.respect_robots:
                rules = await http.site_rules(url, timeout_seconds=_PAGE_SECONDS, reach=link.reach)
                if not await self.context.in_thread(rules.may_read, url):
                    failed = rules.failed_status is not None
                    why = _ROBOTS_FAILED if failed else "robots.txt closes it to programs"
                    return _Visit("closed", url, why=why)
                delay = max(delay, min(rules.crawl_delay, _LONGEST_DELAY))
            answer = await self._ask(link, delay)
            pause = retry_after(answer.headers) if answer.status in {429, 503} else None
            if pause is not None and pause <= _LONGEST_DELAY:
                await asyncio.sleep(pause)
                answer = await self._ask(link, delay)
        except NodeFailed as failure:
            # a login may send in circles; that is an answer of the site, and does not say that nothing is there
            fate: Fate = "broken" if failure.passing else "closed"
            return _Visit(fate, url, why=failure.message, refused=failure.code == _IN_CIRCLES)
        if answer.status >= 400:
            failure = status_failure(answer, url)
            gone, led_to = answer.status in _NOT_THERE, canonical(answer.url) or url
            fate = "gone" if gone else "broken" if failure.passing else "closed"
            refused = fate == "closed" and (not self.limits.same_site or site_of(led_to) == self._site)
            return _Visit(fate, url, why=failure.message, led_to=led_to, refused=refused)
        led_to = canonical(answer.url)
        if led_to is None or not _is_page(answer):
            return _Visit("file", url, why=f"it is a file of the type {media_type_shown(answer) or 'unknown'}")
        if led_to != url:
            if self.limits.same_site and site_of(led_to) != self._site:
                return _Visit("elsewhere", url, why="it leads to another site")
            if not self.limits.picker.takes(led_to):
                return _Visit("elsewhere", url, why="it leads to an address that the patterns leave out")
            reach = self._link(led_to, named_by_listed=answer.listed).reach
            if self.limits.respect_robots:
                rules = await http.site_rules(led_to, reach=reach)
                if not await self.context.in_thread(rules.may_read, led_to):
                    return _Visit("closed", url, why="it leads to an address that robots.txt closes to programs")
        return _Visit("listed", led_to, tuple(await self._links_of(answer, level)))

    def _miss(self, why: str, level: int = 0) -> None:
        """Notes that what a page of this level, or a sitemap, links to was not seen."""
        if level < self.limits.depth:
            self.missed = self.missed or why

    async def _ask(self, link: _Link, delay: float) -> HttpAnswer:
        http = self.context.http
        async with http.turn(link.url, delay_seconds=delay, at_once=self.limits.at_once):
            return await http.request("GET", link.url, headers=_ACCEPT, timeout_seconds=_PAGE_SECONDS, reach=link.reach)

    async def _links_of(self, answer: HttpAnswer, level: int) -> list[_Link]:
        if level >= self.limits.depth:
            return []
        try:
            found = await read_with(self.context, "links", await self._text(answer), url=answer.url)
            return await self.context.in_thread(self._links_to, found, answer)
        except PageUnreadable as error:
            self.context.log(f"{shown(answer.url)}: its links were not read. {error}")
            return []

    async def _is_drawn_by_script(self, answer: HttpAnswer) -> bool:
        try:
            return await read_with(self.context, "needs_browser", await self._text(answer))
        except PageUnreadable:
            return False

    async def _text(self, answer: HttpAnswer) -> str:
        return await self.context.in_thread(decode_body, answer.body, answer.headers.get("content-type", ""))

    def _settle(self, visit: _Visit, level: int) -> tuple[_Link, ...]:
        """Adds a page to the result, or logs why not. Returns the links to follow."""
        if visit.fate in {"listed", "broken"}:
            if page_key(visit.url) in self._listed:
                return ()  # another address led to the same page
            self._seen.add(page_key(visit.url))
            self._take(visit.url, level)
        if visit.fate == "gone":
            self.gone |= {visit.url, visit.led_to}
        elif visit.refused:
            keys = {page_key(visit.url), page_key(visit.led_to or visit.url)}
            self.refused |= dict.fromkeys(keys, _sentence(visit.why, visit.url))
            self.not_followed |= keys if level < self.limits.depth else set()
        elif visit.fate == "broken" or visit.why == _ROBOTS_FAILED:
            self._miss(_sentence(visit.why, visit.url), level)
        if visit.fate != "listed":
            self._fates[visit.fate] += 1
            self._first.setdefault(visit.fate, visit)
            self._lines += 1
            if self._lines <= _MAX_LINES:
                self.context.log(f"{shown(visit.url)}: {visit.why}")
        return visit.links

    def _take(self, url: str, level: int) -> None:
        self.found[url] = level
        self._listed.add(page_key(url))

    async def _sitemap_links(self, start: _Link) -> list[_Link]:
        """Returns the pages that the site's sitemaps list, in their order."""
        if not self.limits.use_sitemap or self.limits.depth == 0 or self.limits.pages == 1:
            return []
        http = self.context.http
        try:
            rules = await http.site_rules(start.url, timeout_seconds=_PAGE_SECONDS, reach=start.reach)
            waiting = [self._link(_joined(start.url, one), named_by_listed=rules.listed) for one in rules.sitemaps]
        except NodeFailed as failure:
            if failure.passing:
                self._miss(failure.message)
            waiting = []
        # robots.txt does not name this one: it may not exist, for which many sites answer 403
        guessed = "" if waiting else join_url(start.url, "/sitemap.xml")
        waiting = waiting or [start._replace(url=guessed)]
        asked: set[str] = set()
        pages: list[_Link] = []
        limit = asyncio.timeout(_SITEMAP_SECONDS)
        try:
            async with limit:
                while waiting and len(asked) < _MAX_SITEMAPS and len(pages) < 20 * self.limits.pages:
                    if (sitemap := waiting.pop(0)).url not in asked:
                        asked.add(sitemap.url)
                        more, found = await self._read_sitemap(sitemap, is_guessed=sitemap.url == guessed)
                        waiting += more
                        pages += found
        except TimeoutError:
            if not limit.expired():
                raise
            self._miss(f"The sitemap was not read in full within {_SITEMAP_SECONDS:g} seconds.")
            self.context.log(f"Sitemap: it was not read in full within {_SITEMAP_SECONDS:g} seconds.")
        return pages

    async def _read_sitemap(self, link: _Link, *, is_guessed: bool) -> tuple[list[_Link], list[_Link]]:
        """Returns the further sitemaps and the pages that a sitemap lists. `is_guessed`: neither robots.txt nor another
        sitemap names it.
        """
        http, status = self.context.http, 0
        try:
            async with http.turn(link.url, delay_seconds=self._delay, at_once=self.limits.at_once):
                answer = await http.request("GET", link.url, timeout_seconds=_PAGE_SECONDS, reach=link.reach)
            if answer.status != 200:
                status = answer.status
                raise status_failure(answer, link.url)
        except NodeFailed as failure:
            not_there = status in _NOT_THERE
            if is_guessed and not failure.passing:
                self._miss_guessed(failure.message, not_there=not_there)
            elif failure.passing or failure.code == _IN_CIRCLES or (status >= 400 and not not_there):
                self._miss(failure.message)
            self.context.log(f"Sitemap: {failure.message}")
            return [], []
        sitemap = await self.context.in_thread(read_sitemap, answer.body)
        if is_guessed and sitemap.addresses:
            self.sitemap_tries = _SITEMAP_TRIES
        elif is_guessed:
            self._miss_guessed(f"`{shown(link.url)}` lists no pages.")
        addresses = sitemap.addresses[:_MAX_SITEMAPS] if sitemap.is_index else sitemap.addresses
        links = await self.context.in_thread(self._links_to, addresses, answer)
        return (links, []) if sitemap.is_index else ([], links)

    def _miss_guessed(self, why: str, *, not_there: bool = False) -> None:
        """Notes that `/sitemap.xml`, which nothing names, lists nothing: its pages are missed when it did before."""
        if self.sitemap_tries and not not_there:
            self._miss(why)
        self.sitemap_tries = 0 if not_there else max(self.sitemap_tries - 1, 0)

    def _add_warnings(self) -> None:
        for fate, (one, many) in _SUMMARY.items():
            if count := self._fates[fate]:
                first = self._first[fate]
                text = one if count == 1 else many.format(n=count)
                self.context.warn(
                    f"{text}: {_sentence(first.why, first.url)}{'' if count == 1 else ' The log names all.'}"
                )
        if self._out_of_time:
            self.context.warn(
                f"The time limit ended the search after {counted(len(self.found), 'page')}. Raise it, or ask for fewer pages."
            )
        elif self._limit_reached:
            self.context.warn(
                f"The search ended with {counted(len(self.found), 'page')}. The site has more: raise Most pages to list them."
            )
        if not self.found:
            self.context.warn("No page is listed: none matches the patterns under Only and Leave out.")


def _origin(url: str) -> str:
    """Returns scheme, host and port of a canonical address."""
    return "/".join(url.split("/", 3)[:3])


def _joined(base: str, url: str) -> str:
    """Returns the absolute address; one that cannot be read stays as it is, and the request for it says so."""
    try:
        return join_url(base, url)
    except ValueError:
        return url


def _sentence(why: str, url: str) -> str:
    """Returns the reason as a sentence that names the page; a failure's message names it already."""
    return why if "`" in why else f"`{shown(url)}`, {why}."


def _is_page(answer: HttpAnswer) -> bool:
    return answer.content_type in _HTML or (not answer.content_type and b"<" in answer.body[:1_000])
