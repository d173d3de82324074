"""Ordinary pages are parsed in a thread; all others in a process that is killed after a time limit."""

from __future__ import annotations

import asyncio
import time

import pytest
from msgspec.structs import replace

from engine.nodes.page_reading import read_with
from engine.pages.main_content import SelectorUnreadable, read_page
from engine.pages.parsing_limits import PageTooTangled, ReadingStopped, check_shape
from engine.pages.readers import is_ordinary
from engine.sandbox.limits import LIMITS
from engine.sandbox.pool import Sandbox
from tests.engine.nodes.test_main_content import PAGES, SITE, practice

pytestmark = pytest.mark.process

#: A page that takes the parser more than ten seconds.
CHOICES = "<select>" + "<option>x" * 150_000
HURRY = 3.0
LONG = "<html><body><main><h1>Long</h1>" + "<p>The keeper lights the lamp.</p>" * 7_000 + "</main></body></html>"


class Context:
    """The services that a node needs to read a page."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.apart = 0

    async def in_thread(self, work, *args):
        return await asyncio.to_thread(work, *args)

    async def read_apart(self, reader, arguments):
        self.apart += 1
        return await self.sandbox.read(reader, arguments)


@pytest.fixture
def hurried(monkeypatch):
    """Shortens the time limit for pages, so that tests of endless pages are fast: the process runs until it is
    stopped.
    """
    monkeypatch.setitem(LIMITS, "pages", replace(LIMITS["pages"], seconds=HURRY))


@pytest.fixture
async def context():
    sandbox = Sandbox(1)
    yield Context(sandbox)
    await sandbox.close()


def test_usual_pages_are_ordinary():
    assert all(is_ordinary(practice(name), {}) for name in PAGES)


@pytest.mark.parametrize("selector", ["", "p", " h1, h2 ", ".price", "a.b#c", '[role=main], a[href^="/x.html"]', "*"])
def test_a_selector_of_one_element_is_ordinary(selector):
    assert is_ordinary("<p>x", {"selector": selector})
    assert is_ordinary("<p>x", {"drop": ["nav", selector]})


@pytest.mark.parametrize(
    "selector",
    [
        ".price div span b",
        "p\tb",
        "ul>li",
        "a+b",
        "a~b",
        "a||b",
        "a/**/b",
        "p:first-child",
        "h1, article h2",
        "[title='a b']",
        '[title="a>b"]',
        "p\\20 b",
        "p," * 501 + "p",
    ],
)
def test_a_selector_that_looks_at_other_elements_is_not_ordinary(selector):
    assert not is_ordinary("<p>x", {"selector": selector})
    assert not is_ordinary("<p>x", {"drop": ["nav", selector]})


@pytest.mark.parametrize(
    "html",
    [LONG, CHOICES, "<div>" * 300, "<p>" + "word " * 200_000, "<svg><style><p " + "a " * 600 + "></style></svg>"],
    ids=["tags", "choices", "deep", "long", "attributes in a drawing"],
)
def test_what_may_take_long_is_not_ordinary(html):
    assert not check_shape(html).ordinary


async def test_an_ordinary_page_is_read_here_and_a_selector_that_looks_everywhere_is_not(context):
    page = practice(PAGES[0])
    assert (await read_with(context, "page", page, url=SITE))["text"] == read_page(page, SITE).text
    assert context.apart == 0
    await read_with(context, "page", page, url=SITE, content="selector", selector="div:has(p)")
    assert context.apart == 1


async def test_what_an_ordinary_page_says_is_not_much_longer_than_the_page(context):
    words = "<a href=/{}><object>" * 100
    html = words.format(*range(100)) + "word " * 80_000
    assert is_ordinary(html, {})
    with pytest.raises(PageTooTangled, match="far longer than the page"):
        await read_with(context, "page", html, url=SITE, content="page")
    assert context.apart == 0


async def test_a_long_page_reads_the_same_in_the_other_process(context):
    unmarked = LONG.replace("main>", "div>")  # without <main>, the other process has to find the content
    for html in (LONG, unmarked):
        there = await read_with(context, "page", html, url=SITE)
        assert there["text"] == read_page(html, SITE).text
    text, title, length = await read_with(context, "text", LONG, selector="p", drop=["h1"])
    assert (title, length) == ("Long", len(text))
    assert context.apart == 3
    with pytest.raises(SelectorUnreadable, match="is not a CSS selector"):
        await read_with(context, "text", LONG, selector="[[")


async def test_a_page_that_takes_too_long_is_stopped_and_the_next_one_is_read(hurried, context):
    began = time.monotonic()
    with pytest.raises(ReadingStopped, match=f"longer than {HURRY:g} seconds"):
        await read_with(context, "links", CHOICES, url=SITE)
    print(f"stopped after {time.monotonic() - began:.1f} s")
    assert context.sandbox.pids == []
    assert await read_with(context, "links", LONG + "<a href=/x>x</a>", url=SITE) == [f"{SITE}/x"]
