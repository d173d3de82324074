"""Web pages, sitemaps and texts that try to block a worker: their jobs end, and other jobs are not delayed."""

from __future__ import annotations

import gzip

import pytest

from tests.live import flows
from tests.security.beside import beside
from tests.stand_ins.web_site import Page

pytestmark = pytest.mark.process

SIZE = 479 * 1024
#: One tag with 80,000 attributes. A parser that compares each with all earlier ones takes 90 s.
ATTRIBUTES = ("<html><body><p " + " ".join(f"a{number}" for number in range(80_000)))[: SIZE - 2] + ">x"
#: Passes every limit of check_shape, and takes the parser minutes.
CHOICES = "<html><body><select>" + "<option>x" * 150_000
SITEMAP = gzip.compress(b"\n" * 170_000)


@pytest.fixture(scope="module", autouse=True)
def sitemaps(site):
    """Sitemaps that robots.txt lists from the start, because it is cached for an hour, with rules that take long."""
    names = [f"/sitemap{number}.gz" for number in range(3)]
    site.pages |= {name: Page(SITEMAP, content_type="application/gzip") for name in names}
    lines = [f"Sitemap: {site.at(name)}" for name in names]
    lines += ["User-agent: *", *["Allow: /*aaaaabaaaaa"] * 20_000]
    site.pages["/robots.txt"] = Page("\n".join(lines), content_type="text/plain")
    return names


def test_pages_that_a_parser_takes_minutes_for_hold_nobody_up(server, terminal, caller, site):
    """The parser may use ten seconds of CPU time in a separate process, which is then killed."""
    reads_a_page = flows.one_node(flows.read_page(), flows.URL)
    scrape = terminal.flow(reads_a_page)
    site.pages |= {f"/attributes{number}": ATTRIBUTES for number in range(4)}
    site.pages["/choices"] = CHOICES
    site.pages["/story"] = "<html><body><main>The keeper lights the lamp at dusk.</main></body></html>"
    page_of_the_neighbour = {"url": site.at("/story")}
    with beside(server, terminal, flow=reads_a_page, payload=page_of_the_neighbour) as watch:
        jobs = [caller.accepted(scrape, {"url": site.at(f"/attributes{number}")}) for number in range(4)]
        refused = [caller.ended(job) for job in jobs]
        stopped = caller.run(scrape, {"url": site.at("/choices")})
    watch.check()
    for job in (*refused, stopped):
        assert (job["status"], job["error"]["code"]) == ("failed", "node_failed"), job
    for job in refused:
        assert "cannot be read: its HTML is broken in a way that is not safe to read." in job["error"]["message"]
    assert "could not be read to its end." in stopped["error"]["message"]


def test_a_sitemap_of_blank_lines_holds_nobody_up(server, terminal, caller, site, sitemaps):
    mapper = {"id": "mapper", "type": "website_mapper", "inputs": {"url": "{{ api_input.out.url }}"}}
    find = terminal.flow(flows.one_node(mapper, flows.URL, title="Find the pages"))
    site.pages["/"] = "<html><body><a href=/one>One</a></body></html>"
    site.pages["/one"] = "<html><body>One</body></html>"
    with beside(server, terminal) as watch:
        job = caller.run(find, {"url": site.at("/")})
    watch.check()
    assert job["status"] == "completed", job
    assert all(site.hits(name) for name in sitemaps)


def test_links_and_rules_of_a_site_hold_nobody_up(server, terminal, caller, site):
    """Each link to a foreign host once took ten seconds, and the rules of robots.txt more than a second for each page."""
    config = {"delay_seconds": 0, "use_sitemap": False}
    mapper = {"id": "mapper", "type": "website_mapper", "config": config, "inputs": {"url": "{{ api_input.out.url }}"}}
    find = terminal.flow(flows.one_node(mapper, flows.URL, title="Follow the links"))
    host = "".join(map(chr, range(0x4E00, 0x4E00 + 3_900)))
    links = [f"<a href=http://{number}{host}/>x</a><a href=/{number}{'a' * 3_900}>y</a>" for number in range(20)]
    site.pages["/links"] = f"<meta charset=utf-8>{''.join(links)}"
    with beside(server, terminal) as watch:
        job = caller.run(find, {"url": site.at("/links")})
    watch.check()
    assert job["status"] == "completed", job
    assert site.hits(f"/19{'a' * 3_900}")


def test_a_prompt_of_one_letter_holds_nobody_up(server, terminal, caller, site):
    asked = flows.prompt("simulated", {"name": "mail", "type": "string", "format": "email"})
    ask = terminal.flow(flows.one_node(asked, {"name": "topic", "type": "string"}, title="Ask"))
    with beside(server, terminal) as watch:
        job = caller.run(ask, {"topic": "a" * 40_000})
    watch.check()
    assert job["status"] == "completed", job
