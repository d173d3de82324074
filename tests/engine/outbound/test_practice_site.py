"""The practice site: twelve linked pages that the outbound client serves itself, without a network."""

from __future__ import annotations

import json
from urllib.parse import urljoin, urlsplit

import pytest
from selectolax.lexbor import LexborHTMLParser

from engine.outbound.client import PRACTICE_HOST, AddressNotAllowed, OutboundClient
from tests.stand_ins.network import Names, RecordedNetwork

HOME = f"https://{PRACTICE_HOST}/"


@pytest.fixture
async def outbound():
    network, names = RecordedNetwork(), Names()
    opened = OutboundClient(None, names, network)
    yield opened
    await opened.aclose()
    assert network.dialled == []
    assert names.looked_up == []


async def crawl(outbound: OutboundClient) -> dict[str, int]:
    found: dict[str, int] = {}
    waiting = [HOME]
    while waiting:
        url = waiting.pop()
        if url in found:
            continue
        answer = await outbound.request("GET", url)
        found[url] = answer.status
        if answer.content_type == "text/html" and answer.status == 200:
            links = [node.attributes.get("href") or "" for node in LexborHTMLParser(answer.text()).css("a[href]")]
            waiting += [urljoin(url, link) for link in links if urlsplit(urljoin(url, link)).netloc == PRACTICE_HOST]
    return found


async def test_twelve_pages_are_reached_by_links_and_one_link_leads_nowhere(outbound):
    found = await crawl(outbound)
    documents = {"/sitemap.xml", "/prices.json"}
    pages = [url for url, status in found.items() if status == 200 and urlsplit(url).path not in documents]
    assert len(pages) == 12
    assert [urlsplit(url).path for url, status in found.items() if status == 404] == ["/news/market-map"]


async def test_the_sitemap_lists_exactly_the_linked_pages(outbound):
    found = await crawl(outbound)
    sitemap = (await outbound.request("GET", f"{HOME}sitemap.xml")).text()
    listed = [piece.split("</loc>")[0] for piece in sitemap.split("<loc>")[1:]]
    linked = [url for url, status in found.items() if status == 200 and not url.endswith((".xml", ".json"))]
    assert sorted(listed) == sorted(linked)


async def test_every_page_has_what_a_reader_of_pages_looks_for(outbound):
    titles = set()
    for url in [
        url for url, status in (await crawl(outbound)).items() if status == 200 and not url.endswith((".xml", ".json"))
    ]:
        page = LexborHTMLParser((await outbound.request("GET", url)).text())
        description = page.css_first("meta[name=description]")
        assert description is not None and len(description.attributes["content"] or "") > 40, url
        assert page.css_first("html").attributes["lang"] == "en"
        assert len(page.css("h1")) == 1, url
        assert page.css_first("nav") and page.css_first("footer") and page.css_first("main")
        titles.add(page.css_first("title").text())
    assert len(titles) == 12


@pytest.mark.parametrize(
    "url", [HOME, f"http://{PRACTICE_HOST}/", f"https://{PRACTICE_HOST.upper()}/", f"https://{PRACTICE_HOST}"]
)
async def test_it_answers_over_http_and_https(outbound, url):
    answer = await outbound.request("GET", url)
    assert (answer.status, answer.content_type) == (200, "text/html")


async def test_it_is_closed_at_other_ports_as_every_public_host(outbound):
    assert (await outbound.request("GET", f"https://{PRACTICE_HOST}:8443/")).status == 200
    with pytest.raises(AddressNotAllowed, match="port 9000 is not among the open ports"):
        await outbound.request("GET", f"https://{PRACTICE_HOST}:9000/")


async def test_it_has_robots_and_a_page_they_close(outbound):
    robots = await outbound.request("GET", f"{HOME}robots.txt")
    assert robots.content_type == "text/plain"
    assert "Disallow: /private" in robots.text()
    assert (await outbound.request("GET", f"{HOME}private")).status == 200


async def test_it_has_prices_as_json_and_they_are_the_ones_on_the_page(outbound):
    prices = json.loads((await outbound.request("GET", f"{HOME}prices.json")).body)
    page = (await outbound.request("GET", f"{HOME}prices")).text()
    assert len(prices["items"]) == 11
    for item in prices["items"]:
        assert f"<td>{item['name']}</td><td>{item['price']:.2f}</td>" in page


async def test_a_page_that_is_not_there_is_404_and_nothing_can_be_sent(outbound):
    assert (await outbound.request("GET", f"{HOME}cakes")).status == 404
    assert (await outbound.request("GET", f"{HOME}../pyproject.toml")).status == 404
    assert (await outbound.request("GET", f"{HOME}404")).status == 404
    assert (await outbound.request("POST", HOME, content=b"x")).status == 405
    head = await outbound.request("HEAD", HOME)
    assert (head.status, head.body) == (200, b"")


async def test_the_guestbook_holds_text_that_looks_like_code(outbound):
    page = (await outbound.request("GET", f"{HOME}guestbook")).text()
    assert "{{ 7*7 }}" in page
    assert "&lt;b&gt;" in page
