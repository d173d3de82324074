"""Websites as sources: which pages stay and which are removed when a site is read again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from engine.actions.knowledge import add_site, read_again
from engine.actions.principal import Principal
from engine.core.errors import Invalid
from engine.knowledge import reading
from engine.knowledge.indexer import Indexer
from engine.knowledge.reading import Tools
from engine.outbound.allow_list import OutboundRules, parse_allow_list
from engine.outbound.client import OutboundClient
from engine.sandbox.pool import Sandbox
from tests.engine.jobs.world import World
from tests.engine.knowledge.conftest import Model
from tests.engine.knowledge.indexing import PRACTICE, check_index, read_all, sources, texts
from tests.stand_ins.web_site import Page, WebSite

MakeIndexer = Callable[..., Indexer]


@pytest.fixture(autouse=True)
def no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pages of a site are read without a pause between them."""
    monkeypatch.setattr(reading, "DELAY_SECONDS", 0.0)


@pytest.fixture
async def indexer_for(world: World, model: Model) -> AsyncIterator[MakeIndexer]:
    """Makes an indexer that may reach these origins on this machine."""
    opened: list[Tools] = []

    def make(*origins: str) -> Indexer:
        hosts = "\n".join(one.removeprefix("http://").rstrip("/") for one in origins)
        rules = OutboundRules(allow=tuple(parse_allow_list(hosts)))
        opened.append(Tools(world.database, OutboundClient(rules), Sandbox(1)))
        return Indexer(opened[-1], model, "boot_here")  # type: ignore[arg-type]

    yield make
    for tools in opened:
        await tools.sandbox.close()
        await tools.outbound.aclose()


async def test_a_site_that_is_not_there_is_told_in_words(
    world: World, ada: Principal, made: str, indexer: Indexer
) -> None:
    world.write(add_site, ada, made, f"{PRACTICE}gone")
    world.write(add_site, ada, made, "http://10.0.0.1/")
    await read_all(indexer)
    gone, inside = sources(world, made)
    assert gone.state == inside.state == "failed"
    assert "answered 404" in gone.message
    assert "private or reserved network" in inside.message
    for bad in ("", "ftp://a.example/", "http://", "mailto:a@b.example"):
        with pytest.raises(Invalid):
            world.write(add_site, ada, made, bad)


def a_page(text_: str, *links: str) -> str:
    made = "".join(f"<a href='{one}'>{one}</a>" for one in links)
    return f"<html><title>{text_}</title><body><p>{text_} of the shop.</p>{made}</body></html>"


@pytest.mark.process
async def test_pages_that_could_not_be_looked_for_stay(
    world: World, ada: Principal, made: str, indexer_for: MakeIndexer
) -> None:
    pages = {"/": a_page("Start", "/help"), "/help": a_page("Help", "/help/returns"), "/old": a_page("Old")}
    with WebSite({**pages, "/help/returns": a_page("Returns"), "/new": a_page("New")}) as site:
        listed = "".join(f"<url><loc>{site.at(one)}</loc></url>" for one in ("/old", "/new"))
        sitemap = Page(f"<urlset>{listed}</urlset>", content_type="application/xml")
        site.pages["/sitemap.xml"] = sitemap
        indexer = indexer_for(site.origin)
        source_id = world.write(add_site, ada, made, site.at("/"))

        async def read() -> tuple[int, list[str]]:
            await read_all(indexer)
            (source,) = sources(world, made)
            assert source.state == "ready"
            world.write(read_again, ada, source_id)
            return source.documents, [one["message"] for one in source.problems]

        stays = "Pages that were found before stay as they were."
        assert await read() == (5, [])
        for status in (503, 403, 401):
            site.pages["/sitemap.xml"] = Page("", status)
            documents, told = await read()
            assert (documents, told[0].endswith(stays)) == (5, True)
            assert f"/sitemap.xml` answered {status}" in told[0]
        site.pages["/sitemap.xml"], site.pages["/help"], site.pages["/old"] = sitemap, Page("", 503), Page("", 410)
        documents, told = await read()
        assert (documents, told[0].endswith(stays)) == (4, True), "a page that says that it is gone is removed"
        assert "/help` answered 503" in told[0]
        site.pages["/help"], site.pages["/sitemap.xml"] = pages["/help"], Page("", 404)
        documents, told = await read()
        assert (documents, told) == (3, []), "no sitemap is no trouble; what no page names is removed"
        site.pages["/sitemap.xml"] = Page("", 403)
        assert await read() == (3, []), "it was not there before"
    check_index(world)


@pytest.mark.process
async def test_a_sitemap_that_nothing_names_is_waited_for_in_three_readings(
    world: World, ada: Principal, made: str, indexer_for: MakeIndexer
) -> None:
    with WebSite({"/": a_page("Start"), "/old": a_page("Old")}) as site:
        listed = f"<urlset><url><loc>{site.at('/old')}</loc></url></urlset>"
        indexer = indexer_for(site.origin)
        source_id = world.write(add_site, ada, made, site.at("/"))

        async def read(sitemap: Page) -> tuple[int, str]:
            site.pages["/sitemap.xml"] = sitemap
            await read_all(indexer)
            (source,) = sources(world, made)
            world.write(read_again, ada, source_id)
            return source.documents, " ".join(one["message"] for one in source.problems)

        there, refused = Page(listed, content_type="application/xml"), Page("", 403)
        circle, no_map = Page.redirect(site.at("/sitemap.xml")), Page("<html>Just a moment...</html>")
        whys = {"answered 403": refused, "was sent on more than 5 times": circle, "lists no pages": no_map}
        for _ in range(2):
            assert await read(there) == (2, ""), "a sitemap that comes back is waited for anew"
            for why, sitemap in whys.items():
                documents, told = await read(sitemap)
                assert (documents, f"/sitemap.xml` {why}" in told) == (2, True)
        assert await read(refused) == (1, "")
    check_index(world)


@pytest.mark.process
async def test_a_site_that_answers_403_for_what_is_not_there_loses_its_deleted_pages(
    world: World, ada: Principal, made: str, indexer_for: MakeIndexer
) -> None:
    denied = Page("<Error><Code>AccessDenied</Code></Error>", 403, "application/xml")
    pages = {"/": a_page("Start", "/a", "/b"), "/a": a_page("A"), "/b": a_page("B")}
    with WebSite({**pages, "/robots.txt": denied, "/sitemap.xml": denied}) as site:
        indexer = indexer_for(site.origin)
        source_id = world.write(add_site, ada, made, site.at("/"))
        await read_all(indexer)
        (source,) = sources(world, made)
        assert (source.state, source.documents, source.problems) == ("ready", 3, ())
        site.pages |= {"/b": denied, "/": a_page("Start", "/a")}
        world.write(read_again, ada, source_id)
        await read_all(indexer)
        (source,) = sources(world, made)
        assert (source.state, source.documents, source.problems) == ("ready", 2, ())
    check_index(world)


@pytest.mark.process
async def test_pages_that_are_refused_for_a_time_stay(
    world: World, ada: Principal, made: str, indexer_for: MakeIndexer
) -> None:
    pages = {"/": a_page("Start", "/help", "/staff", "/news"), "/help": a_page("Help", "/help/a", "/help/b")}
    pages |= {"/help/a": a_page("A", "/help/a/deep"), "/help/b": a_page("B"), "/news": a_page("News")}
    with WebSite({**pages, "/staff": Page("", 401), "/maps.xml": Page("", 404)}) as site:
        site.pages["/robots.txt"] = f"Sitemap: {site.at('/maps.xml')}"
        indexer = indexer_for(site.origin)
        source_id = world.write(add_site, ada, made, site.at("/"))

        async def read() -> tuple[int, list[str]]:
            await read_all(indexer)
            (source,) = sources(world, made)
            world.write(read_again, ada, source_id)
            told = [one["message"] for one in source.problems]
            return source.documents, [one for one in told if "page was left out" not in one and "links lead" not in one]

        stays = "Pages that were found before stay as they were."
        assert (await read())[0] == 5
        for status in (403, 401, 400):
            site.pages["/help"] = Page("<html>Just a moment...</html>", status)
            documents, told = await read()
            assert (documents, told[0].endswith(stays)) == (5, True)
            assert f"/help` answered {status}" in told[0]
        site.pages["/help"] = Page.redirect(site.at("/help"))
        documents, told = await read()
        assert (documents, told[0].endswith(stays)) == (5, True)
        assert "/help` was sent on more than 5 times" in told[0]
        site.pages["/help"], site.pages["/maps.xml"] = pages["/help"], Page("", 403)
        documents, told = await read()
        assert (documents, told[0].endswith(stays)) == (5, True)
        assert "/maps.xml` answered 403" in told[0]
        site.pages["/maps.xml"], site.pages["/help/b"] = Page("", 404), Page("", 403)
        site.pages["/"] = a_page("Start", "/help", "/staff")
        documents, told = await read()
        assert documents == 4, "what is linked no more is removed: no page is known from those that were never shown"
        assert "/help/b` answered 403" in told[0]
        site.pages["/help"] = Page("", 410)
        assert (await read())[0] == 1
    check_index(world)


@pytest.mark.process
async def test_pages_that_lead_elsewhere_or_became_files_are_not_refused(
    world: World, ada: Principal, made: str, indexer_for: MakeIndexer
) -> None:
    moved = ["/careers", "/intranet", "/manual"]
    pages = {one: a_page(one[1:], f"{one}/deep") for one in moved} | {"/news": a_page("News")}
    with WebSite({"/": Page("No programs", 403)}) as other, WebSite({**pages, "/": a_page("/", *pages)}) as site:
        elsewhere = other.at("/").replace("127.0.0.1", "localhost")
        indexer = indexer_for(site.origin, elsewhere)
        source_id = world.write(add_site, ada, made, site.at("/"))

        async def read() -> tuple[int, list[str]]:
            await read_all(indexer)
            (source,) = sources(world, made)
            world.write(read_again, ada, source_id)
            return source.documents, [one["message"] for one in source.problems if one["name"] != site.at("/")]

        assert (await read())[0] == 5
        site.pages["/"] = a_page("Start", *moved)
        site.pages["/careers"] = Page.redirect(elsewhere)
        site.pages["/intranet"] = Page.redirect("http://10.1.2.3/")
        site.pages["/manual"] = Page(b"%PDF" + b"x" * (11 << 20), content_type="application/pdf")
        assert await read() == (1, [])
        assert texts(world, source_id)[0].startswith("Start")
    check_index(world)
