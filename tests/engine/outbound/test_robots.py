"""robots.txt is requested once, and the limits of requests to a host apply to everything that runs in a process."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise

import pytest

from engine.flow.node_context import NodeFailed
from engine.outbound import robots as room
from engine.outbound.client import OutboundClient, OutboundRules, parse_allow_list
from engine.outbound.robots import ROBOTS_NAME, CrawlPoliteness, SiteRules, read_robots
from tests.stand_ins.network import Names, RecordedNetwork
from tests.stand_ins.web_site import Page, WebSite

RULES = Page(
    "User-agent: *\nDisallow: /no\nCrawl-delay: 2.5\nSitemap: /map.xml\n\nUser-agent: Flowport\nDisallow: /never\nCrawl-delay: 4",
    content_type="text/plain",
)


@pytest.fixture
async def outbound():
    made = OutboundClient(OutboundRules(parse_allow_list("127.0.0.1")), Names())
    yield made
    await made.aclose()


@pytest.mark.process
async def test_many_askers_share_one_robots_txt(outbound):
    with WebSite({"/robots.txt": RULES}) as site:
        found = await asyncio.gather(*(outbound.site_rules(site.at(f"/{number}")) for number in range(50)))
        assert site.hits("/robots.txt") == 1
        rules = found[0]
        assert (rules.may_read(site.at("/no")), rules.may_read(site.at("/never/x"))) == (True, False)
        assert (rules.crawl_delay, rules.sitemaps) == (4.0, ("/map.xml",))
        outbound.replace_rules(OutboundRules(parse_allow_list("127.0.0.1")))
        await outbound.site_rules(site.at("/"))
        assert site.hits("/robots.txt") == 1, "the rules are the same"
        outbound.replace_rules(OutboundRules(parse_allow_list("127.0.0.1,10.0.0.1")))
        await outbound.site_rules(site.at("/"))
        assert site.hits("/robots.txt") == 2


@pytest.mark.process
async def test_one_that_gives_up_takes_nobody_with_it(outbound):
    with WebSite({"/robots.txt": Page("User-agent: *\nDisallow: /", delay=0.2)}) as site:
        first = asyncio.create_task(outbound.site_rules(site.at("/")))
        await asyncio.sleep(0)
        second = asyncio.create_task(outbound.site_rules(site.at("/")))
        while not site.hits("/robots.txt"):
            await asyncio.sleep(0.001)
        first.cancel()
        assert not (await second).may_read(site.at("/"))


@pytest.mark.parametrize("answer", [Page("busy", 503, headers={"retry-after": "7"}), Page("busy", 429)])
@pytest.mark.process
async def test_a_failed_robots_txt_closes_the_site_for_a_short_while(outbound, monkeypatch, answer):
    with WebSite({"/robots.txt": answer}) as site:
        for _ in range(3):
            rules = await outbound.site_rules(site.at("/"))
            assert (rules.failed_status, rules.may_read(site.at("/"))) == (answer.status, False)
        assert site.hits("/robots.txt") == 1
        assert rules.answer_headers.get("retry-after") == answer.headers.get("retry-after")
        monkeypatch.setattr(room, "_FAULT_KEPT", 0)
        outbound.replace_rules(OutboundRules(parse_allow_list("127.0.0.1,10.0.0.1")))
        await outbound.site_rules(site.at("/"))
        site.pages["/robots.txt"] = Page("no", 404)
        assert (await outbound.site_rules(site.at("/"))).may_read(site.at("/"))


@pytest.mark.process
async def test_a_server_that_is_not_there_is_a_passing_fault_for_all_that_wait(outbound):
    with WebSite({"/robots.txt": Page(drop=True)}) as site:
        found = await asyncio.gather(*(outbound.site_rules(site.at("/")) for _ in range(5)), return_exceptions=True)
        assert all(isinstance(failure, NodeFailed) and failure.passing for failure in found)
        assert site.hits("/robots.txt") == 1


async def test_an_address_that_is_closed_says_so_itself(outbound):
    assert (await outbound.site_rules("http://10.0.0.1/")).may_read("http://10.0.0.1/")


async def test_turns_are_taken_in_order_and_given_back():
    manners = CrawlPoliteness(lambda url, seconds: asyncio.sleep(0))  # type: ignore[arg-type]
    entered, now, most = [], 0, 0

    async def visit(number):
        nonlocal now, most
        async with manners.turn("http://example.com/", delay_seconds=0, at_once=2):
            now += 1
            most = max(most, now)
            entered.append(number)
            await asyncio.sleep(0.001)
            now -= 1
            if number == 3:
                raise ValueError

    tasks = [asyncio.create_task(visit(number)) for number in range(12)]
    await asyncio.sleep(0)
    tasks[5].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert entered == [number for number in range(12) if number != 5]
    assert (now, most) == (0, 2)


async def test_the_pause_is_left_between_all_that_begin_at_a_host():
    manners = CrawlPoliteness(lambda url, seconds: asyncio.sleep(0))  # type: ignore[arg-type]
    clock, began = asyncio.get_running_loop().time, []

    async def visit():
        async with manners.turn("http://example.com/", delay_seconds=0.05, at_once=3):
            began.append(clock())
            await asyncio.sleep(0.1)

    await asyncio.gather(*(visit() for _ in range(6)))
    assert [after - before for before, after in pairwise(began)] == [pytest.approx(0.05)] * 5


async def test_other_hosts_and_the_practice_site_wait_for_nobody():
    manners = CrawlPoliteness(lambda url, seconds: asyncio.sleep(0))  # type: ignore[arg-type]
    async with (
        manners.turn("http://example.com/", delay_seconds=60, at_once=1),
        manners.turn("http://example.org/", delay_seconds=60, at_once=1),
        manners.turn("http://example.com:8080/", delay_seconds=60, at_once=1),
        manners.turn("https://practice.flowport.example/", delay_seconds=60, at_once=1),
        manners.turn("https://practice.flowport.example/", delay_seconds=60, at_once=1),
    ):
        pass


async def test_who_may_not_reach_a_site_sends_it_nothing_and_changes_nothing_for_others():
    robots = b"HTTP/1.1 200 OK\r\nContent-Length: 25\r\n\r\nUser-agent: *\nDisallow: /"
    network = RecordedNetwork({"10.0.0.5": robots})
    outbound = OutboundClient(OutboundRules(parse_allow_list("10.0.0.0/8")), Names(), network)
    site = "http://10.0.0.5/"
    await outbound.site_rules(site, reach="public")
    assert network.dialled == []
    rules = await outbound.site_rules(site)
    assert (rules.may_read(site), rules.listed) == (False, True)
    await outbound.site_rules(site, reach="public")
    assert network.dialled == [("10.0.0.5", 80)]
    await outbound.aclose()


async def test_only_so_many_sites_are_remembered(monkeypatch):
    monkeypatch.setattr(room, "_MAX_SITES", 3)
    asked = []

    async def ask(url, seconds, reach):
        asked.append(url)
        raise NodeFailed("no")

    manners = CrawlPoliteness(ask)
    for number in [1, 2, 3, 1, 4, 1, 2]:
        await manners.site_rules(f"http://{number}.example/", 5)
        async with manners.turn(f"http://{number}.example/", delay_seconds=0, at_once=1):
            pass
    assert [url[7] for url in asked] == ["1", "2", "3", "4", "2"]
    assert len(manners._hosts) <= 4


async def test_a_delay_is_kept_when_many_hosts_are_remembered(monkeypatch):
    monkeypatch.setattr(room, "_MAX_SITES", 3)
    manners = CrawlPoliteness(lambda url, seconds, reach: asyncio.sleep(0))  # type: ignore[arg-type]
    clock = asyncio.get_running_loop().time
    async with manners.turn("http://slow.example/", delay_seconds=0.4, at_once=1):
        began = clock()
    for number in range(5):
        async with manners.turn(f"http://{number}.example/", delay_seconds=0, at_once=1):
            pass
    async with manners.turn("http://slow.example/", delay_seconds=0.4, at_once=1):
        assert clock() - began >= 0.39


@pytest.mark.parametrize(
    ("text", "page", "may"),
    [
        ("User-agent: *\nDisallow: /a", "/a", False),
        ("User-agent: Googlebot\nDisallow: /a", "/a", True),
        ("User-agent: Flowport\nDisallow: /a\n\nUser-agent: *\nDisallow: /b", "/b", True),
        ("User-agent: flow*port # ours\nDisallow: /a", "/a", False),
        ("user agent Flowport\nDisallow: /a", "/a", False),
        ("User-agent: Googlebot\nUser-agent: Flowport\nDisallow: /a", "/a", False),
        ("User-agent: Flowport\nDisallow: /a\nUser-agent: Googlebot\nAllow: /a", "/a", False),
        ("User-agent: Flowport\nDisallow: /b\nUser-agent:\nDisallow: /a", "/a", True),
        ("User-agents: Flowport\nDisallow: /a", "/a", True),
        ("User-agent: other\nDisallow: /a", "/a", True),
    ],
)
def test_rules_for_other_programs_are_not_ours(text, page, may):
    assert read_robots(text).can_fetch(f"https://example.com{page}", ROBOTS_NAME) is may


@pytest.mark.parametrize("rule", ["/*aaaaabaaaaa", "/*" + "a" * 1_000 + "b", "/a$"])
def test_rules_with_wildcards_are_few(rule: str):
    """30,000 of them took more than a second for each page."""
    rules = SiteRules(read_robots("User-agent: *\n" + f"Disallow: {rule}\n" * (500_000 // (len(rule) + 11))))
    begun = time.thread_time()
    rules.may_read("https://example.com/" + "a" * 3_900)
    assert time.thread_time() - begun < 0.1


@pytest.mark.parametrize(
    ("more", "page", "may"),
    [
        ("Disallow: /b", "/b", False),
        ("Disallow: /*-longer", "/a-longer", False),
        ("", "/shop/0999/x", True),
        ("Disallow: /*", "/private", False),
        ("Disallow: /*", "/shop/0500/x", True),
        ("Disallow: /p*x", "/private", False),
        ("Disallow: /p*x", "/a", True),
        ("Disallow: /p$*x", "/p$", False),
        ("Disallow: /p\nAllow: /p*x", "/px", False),
        ("Disallow: /pa$", "/pa", False),
        ("Disallow: /pa$", "/pab", True),
    ],
)
def test_of_too_many_rules_with_wildcards_the_shortest_forbid_more(more: str, page: str, may: bool):
    """The shortest are those that close the most."""
    text = "User-agent: *\n" + "".join(f"Allow: /shop/{number:04}/*\n" for number in range(1_000)) + more
    assert SiteRules(read_robots(text)).may_read(f"https://example.com{page}") is may


def test_as_many_rules_with_wildcards_as_may_be_count_as_they_are_written():
    text = "User-agent: *\n" + "".join(f"Allow: /shop/{number:03}/*\n" for number in range(999))
    rules = SiteRules(read_robots(f"{text}Disallow: /p*x"))
    assert [rules.may_read(f"https://example.com/{page}") for page in ("private", "px")] == [True, False]


def test_a_line_that_is_too_long_is_left_out():
    rules = read_robots(f"User-agent: *\nDisallow: /{'a' * 3_000}\nSitemap: /{'a' * 500_000}")
    assert rules.can_fetch(f"https://example.com/{'a' * 3_000}", ROBOTS_NAME)
    assert list(rules.sitemaps) == []
