"""The Website Mapper on local sites: which pages it finds, in which order, to which depth, and how it limits its
requests.
"""

from __future__ import annotations

import asyncio
import gzip

import pytest

from engine.flow.validation import problems
from engine.nodes import CATALOG
from engine.outbound.client import OutboundClient, OutboundRules, parse_allow_list
from tests.engine.nodes.node_in_flow import Services, flow, run_node
from tests.stand_ins.network import Names, RecordedNetwork
from tests.stand_ins.thirty_pages import page, thirty_pages
from tests.stand_ins.web_site import Page, WebSite

QUICK = {"delay_seconds": 0, "use_sitemap": False}


@pytest.fixture
async def services():
    made = Services()
    yield made
    await made.http.aclose()


async def mapped(services, site, config=None, start="/", **more):
    """Returns the found paths, the output and the step."""
    out, step = await run_node(services, "website_mapper", {**QUICK, **(config or {})}, {"url": site.at(start)}, **more)
    paths = [url.removeprefix(site.origin) for url in out["urls"]] if isinstance(out, dict) else []
    return paths, out, step


@pytest.mark.parametrize(("depth", "count"), [(0, 1), (1, 5), (2, 17), (3, 30), (4, 30)])
@pytest.mark.process
async def test_depth_counts_links_from_the_start_page(services, depth, count):
    pages, order = thirty_pages()
    with WebSite(pages) as site:
        paths, out, _ = await mapped(services, site, {"max_depth": depth})
    assert paths == order[:count]
    assert (out["total_pages"], out["crawl_depth"]) == (count, min(depth, 3))


@pytest.mark.process
async def test_the_order_is_that_of_the_links_whoever_answers_first(services):
    pages = {
        "/": page("/a", "/b", "/c"),
        "/a": Page(page("/a1"), delay=0.15),
        "/b": page("/b1", "/a1"),
        "/c": page("/c1"),
    }
    pages |= {"/a1": Page(page(), delay=0.05), "/b1": page(), "/c1": page()}
    with WebSite(pages) as site:
        paths, _, _ = await mapped(services, site)
    assert paths == ["/", "/a", "/b", "/c", "/a1", "/b1", "/c1"]


@pytest.mark.process
async def test_it_ends_at_the_most_pages_and_says_that_there_are_more(services):
    pages, order = thirty_pages()
    with WebSite(pages) as site:
        paths, out, step = await mapped(services, site, {"max_depth": 3, "max_pages": 7})
    assert paths == order[:7]
    assert (out["total_pages"], out["crawl_depth"]) == (7, 2)
    assert step.warnings == ("The search ended with 7 pages. The site has more: raise Most pages to list them.",)
    assert len(site.requests) == 8  # 7 pages and robots.txt


@pytest.mark.process
async def test_each_page_is_listed_once_in_one_form_of_its_address(services):
    links = ["/a", "/a#part", "/a?utm_source=x", "/b/../a", "./a", "/%61", "/A", "/a/", "/a?b=2", "/old", "/same", "?"]
    pages = {
        "/": page(*links),
        "/a": page(),
        "/A": page(),
        "/a/": page(),
        "/old": Page.redirect("/a"),
        "/same": Page.redirect("/new"),
        "/new": page(),
    }
    with WebSite(pages) as site:
        paths, _, _ = await mapped(services, site)
    assert paths == ["/", "/a", "/A", "/a/", "/a?b=2", "/new"]
    assert site.hits("/a") == 3  # once for itself, once without its query, once behind the redirect of /old


@pytest.mark.process
async def test_what_is_no_page_of_the_site_is_left_out(services):
    links = [
        "mailto:a@b.c",
        "javascript:1",
        "/pic.PNG",
        "/doc.pdf",
        "/data",
        "http://example.com/",
        "ftp://x/",
        "//example.com/x",
        "http://[",
        "/away",
        "/ok",
    ]
    pages = {
        "/": page(*links),
        "/data": Page("{}", content_type="application/json"),
        "/ok": page(),
        "/away": Page.redirect("http://10.0.0.1/"),
    }
    with WebSite(pages) as site:
        paths, _, step = await mapped(services, site)
        assert site.hits("/pic.PNG") == site.hits("/doc.pdf") == 0
    assert paths == ["/", "/ok"]
    assert any("file of the type application/json" in line for line in step.log)
    assert "10.0.0.1" not in " ".join([*step.log, *step.warnings])


@pytest.mark.process
async def test_a_broken_page_is_listed_with_a_warning_and_a_dead_link_is_not(services):
    pages = {
        "/": page("/broken", "/gone", "/closed", "/ok"),
        "/broken": Page("x", 500),
        "/closed": Page("x", 403),
        "/ok": page(),
    }
    pages["/dropped"] = Page(drop=True)
    pages["/ok"] = page("/dropped")
    with WebSite(pages) as site:
        paths, _, step = await mapped(services, site)
    assert paths == ["/", "/broken", "/ok", "/dropped"]
    assert [warning.split(":")[0] for warning in step.warnings] == [
        "2 pages are listed although they could not be read",
        "1 link leads to a page that is not there",
        "1 page was left out",
    ]
    assert len(step.log) == 4


@pytest.mark.parametrize(("status", "asked"), [(429, 2), (503, 2), (500, 1)])
@pytest.mark.process
async def test_a_server_that_asks_to_wait_is_asked_once_more(services, status, asked):
    pages = {"/": page("/busy"), "/busy": Page("busy", status, headers={"retry-after": "0"})}
    with WebSite(pages) as site:
        paths, _, _ = await mapped(services, site)
        assert site.hits("/busy") == asked
    assert paths == ["/", "/busy"]


@pytest.mark.parametrize(
    ("start", "code", "says"),
    [
        (Page("x", 404), "page_not_found", "answered 404"),
        (Page("x", 503), "http_status", "answered 503"),
        (Page("%PDF", content_type="application/pdf"), "node_failed", "a file of the type application/pdf"),
        (Page.redirect("http://10.0.0.1/"), "address_not_allowed", "not opened"),
        (Page(drop=True), "connect_failed", "broke off"),
    ],
)
@pytest.mark.process
async def test_a_start_page_that_cannot_be_read_is_an_error(services, start, code, says):
    with WebSite({"/": start}) as site:
        _, error, _ = await mapped(services, site)
    assert error.code == code
    assert says in error.message


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1/", "http://nas.lan/", "example.com", "https://u:p@example.com/", "file:///etc/passwd"]
)
async def test_closed_and_wrong_addresses_are_refused(services, url):
    error, _ = await run_node(services, "website_mapper", QUICK, {"url": url})
    assert error.code in {"address_not_allowed", "bad_url"}


@pytest.mark.process
async def test_a_start_page_that_redirects_begins_where_it_leads(services):
    with WebSite({"/": Page.redirect("/en/"), "/en/": page("/", "x"), "/en/x": page()}) as site:
        paths, _, _ = await mapped(services, site)
    assert paths == ["/en/", "/en/x"]


class TestRobots:
    @pytest.mark.parametrize("node", ["website_mapper", "page_scraper"])
    @pytest.mark.process
    async def test_an_address_that_leads_to_a_page_that_it_closes_is_not_read(self, services, node):
        robots = Page("User-agent: *\nDisallow: /private", content_type="text/plain")
        pages = {"/robots.txt": robots, "/via": Page.redirect("/private/a"), "/private/a": page()}
        with WebSite(pages) as site:
            closed, via = site.at("/private/a"), site.at("/via")
            out, _ = await run_node(services, node, {}, {"url": via})
            assert out.code == "page_blocked_by_robots"
            assert out.message.startswith(
                f"`{closed}`, where `{via}` leads, was not read: the site's robots.txt closes"
            )
            out, _ = await run_node(services, node, {"respect_robots": False}, {"url": via})
            assert out["urls"] == [closed] if node == "website_mapper" else out["final_url"] == closed

    @pytest.mark.process
    async def test_pages_that_it_closes_are_not_asked_for(self, services):
        robots = "User-agent: *\nDisallow: /private\nDisallow: /*?sort="
        pages = {
            "/": page("/private/a", "/list?sort=1", "/via", "/ok"),
            "/ok": page(),
            "/list": page(),
            "/private/a": page(),
        }
        pages |= {"/robots.txt": Page(robots, content_type="text/plain"), "/via": Page.redirect("/private/a")}
        with WebSite(pages) as site:
            paths, _, step = await mapped(services, site)
            assert site.hits("/list") == 0
            assert site.hits("/robots.txt") == 1
            all_paths, _, _ = await mapped(services, site, {"respect_robots": False})
        assert paths == ["/", "/ok"]
        assert step.warnings[-1].startswith("3 pages were left out: ")
        assert all_paths == ["/", "/private/a", "/list?sort=1", "/ok"]

    @pytest.mark.parametrize(
        ("robots", "code"),
        [
            (Page("User-agent: *\nDisallow: /", content_type="text/plain"), "page_blocked_by_robots"),
            (Page("busy", 503), "page_blocked_by_robots"),
            (Page("no", 404), None),
            (Page("<h1>Hello</h1>"), None),
        ],
    )
    @pytest.mark.process
    async def test_the_start_page_must_be_open(self, services, robots, code):
        with WebSite({"/": page("/a"), "/a": page(), "/robots.txt": robots}) as site:
            paths, out, _ = await mapped(services, site)
        assert (out.code if code else paths) == (code or ["/", "/a"])

    @pytest.mark.process
    async def test_a_page_that_asks_not_to_follow_its_links_is_obeyed(self, services):
        quiet = page("/b", more='<meta name="robots" content="noindex, NoFollow">')
        with WebSite({"/": page("/a"), "/a": quiet, "/b": page()}) as site:
            paths, _, _ = await mapped(services, site)
        assert paths == ["/", "/a"]


class TestSitemap:
    @pytest.mark.process
    async def test_its_pages_come_after_the_start_pages_links(self, services):
        with WebSite({"/": page("/a"), "/a": page(), "/b": page(), "/c": page()}) as site:
            locs = "".join(f"<url><loc> {site.at(path)} </loc></url>" for path in ("/c", "/a", "/b", "/gone"))
            locs += (
                "<image:image><image:loc>http://x/i</image:loc></image:image><url><loc>http://example.com/x</loc></url>"
            )
            site.pages["/sitemap.xml"] = Page(f"<urlset>{locs}</urlset>", content_type="application/xml")
            paths, out, _ = await mapped(services, site, {"use_sitemap": True, "max_depth": 1})
            without, _, _ = await mapped(services, site)
            alone, _, _ = await mapped(services, site, {"use_sitemap": True, "max_depth": 0})
        assert (paths, out["crawl_depth"]) == (["/", "/a", "/c", "/b"], 1)
        assert without == ["/", "/a"]
        assert alone == ["/"]

    @pytest.mark.process
    async def test_an_index_packed_files_and_text_are_read_where_robots_txt_names_them(self, services):
        with WebSite({"/": page(), "/a": page(), "/b": page(), "/c&d": page()}) as site:
            parts = "".join(
                f"<sitemap><loc>{site.at(f'/maps/{name}')}</loc></sitemap>" for name in ("1.xml.gz", "2.txt", "none")
            )
            packed = gzip.compress(f"<urlset><url><loc><![CDATA[{site.at('/a')}]]></loc></url></urlset>".encode())
            site.pages |= {
                "/robots.txt": Page(f"Sitemap: {site.at('/maps/all.xml')}", content_type="text/plain"),
                "/maps/all.xml": Page(f"<sitemapindex>{parts}</sitemapindex>", content_type="text/xml"),
                "/maps/1.xml.gz": Page(packed, content_type="application/gzip"),
                "/maps/2.txt": Page(f"{site.at('/b')}\n{site.at('/c&d')}\n", content_type="text/plain"),
            }
            paths, _, step = await mapped(services, site, {"use_sitemap": True})
        assert paths == ["/", "/a", "/b", "/c&d"]
        assert [line for line in step.log if "Sitemap" in line] == [
            f"Sitemap: `{site.at('/maps/none')}` answered 404 (Not Found)."
        ]

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"<urlset><url><loc>",
            b"\x1f\x8bnot gzip",
            gzip.compress(b"<loc>http://x/</loc> " * 1_000_000),
            b"\xff\xfe\x00",
        ],
    )
    @pytest.mark.process
    async def test_a_bad_one_does_no_harm(self, services, body):
        with WebSite({"/": page(), "/sitemap.xml": Page(body)}) as site:
            paths, _, _ = await mapped(services, site, {"use_sitemap": True})
        assert paths == ["/"]

    @pytest.mark.process
    async def test_an_unreadable_address_of_one_does_no_harm(self, services):
        with WebSite({"/": page(), "/robots.txt": Page("Sitemap: http://[", content_type="text/plain")}) as site:
            paths, _, step = await mapped(services, site, {"use_sitemap": True})
        assert paths == ["/"]
        assert any(line.startswith("Sitemap: `http://[` is not opened") for line in step.log)

    @pytest.mark.process
    async def test_sitemaps_that_name_each_other_end(self, services):
        with WebSite({"/": page()}) as site:
            for number in range(30):
                index = "".join(f"<sitemap><loc>{site.at(f'/m{to}')}</loc></sitemap>" for to in (number, number + 1))
                site.pages[f"/m{number}"] = Page(f"<sitemapindex>{index}</sitemapindex>", content_type="text/xml")
            site.pages["/sitemap.xml"] = site.pages["/m0"]
            await mapped(services, site, {"use_sitemap": True})
            assert sum("/m" in seen.path for seen in site.requests) < 12


@pytest.mark.parametrize(
    ("config", "paths"),
    [
        ({"include": ["/blog/*"]}, ["/blog/1", "/blog/2"]),
        ({"include": ["/blog/", ""]}, ["/blog/1", "/blog/2"]),
        ({"exclude": ["/blog/"]}, ["/", "/shop/1"]),
        ({"include": ["/blog/*", "/shop/*"], "exclude": ["*2"]}, ["/blog/1", "/shop/1"]),
        ({"include": ["http://127.0.0.1*/shop/1"]}, ["/shop/1"]),
        ({"include": ["shop"]}, ["/shop/1"]),
        ({"exclude": ["*"]}, []),
    ],
)
@pytest.mark.process
async def test_patterns_choose_pages(services, config, paths):
    pages = {"/": page("/blog/1", "/shop/1", "/blog/2"), "/blog/1": page(), "/blog/2": page(), "/shop/1": page("/")}
    with WebSite(pages) as site:
        found, out, step = await mapped(services, site, config)
    assert found == paths
    assert out["total_pages"] == len(paths)
    assert bool(step.warnings) == (not paths)


@pytest.mark.process
async def test_other_sites_are_followed_only_when_asked(services):
    with WebSite({"/": page()}) as other, WebSite({"/": page(other.at("/")), "/robots.txt": Page("", 404)}) as site:
        here, _, _ = await mapped(services, site)
        _, both, _ = await mapped(services, site, {"same_site": False})
    assert here == ["/"]
    assert both["urls"] == [site.at("/"), other.at("/")]
    assert other.hits("/robots.txt") == 1


def host(*links, before=""):
    """A response that is a page and a valid robots.txt at the same time, for all requests of a host."""
    body = f"{before}\n{page(*links)}"
    return f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


class TestTheOwnersList:
    """The allow-list contains 10.0.0.0/8; of two public host names, one resolves to a private address."""

    async def mapped(self, hosts, start):
        network = RecordedNetwork(hosts)
        names = Names({"shop.example.com": [["93.184.216.34"]], "in.example.com": [["10.0.0.8"]]})
        outbound = OutboundClient(OutboundRules(parse_allow_list("10.0.0.0/8")), names, network)
        config = {"delay_seconds": 0, "use_sitemap": True, "same_site": False, "max_depth": 2}
        out, step = await run_node(Services(outbound), "website_mapper", config, {"url": start})
        await outbound.aclose()
        return out["urls"], {address for address, _ in network.dialled}, step

    async def test_a_public_site_does_not_lead_inside(self):
        shop = host("http://10.0.0.5/pay", "http://in.example.com/", before="Sitemap: http://10.0.0.6/map.xml")
        found, dialled, step = await self.mapped({"93.184.216.34": shop}, "http://shop.example.com/")
        assert (found, dialled) == (["http://shop.example.com/"], {"93.184.216.34"})
        assert step.warnings[0].startswith("2 pages were left out: `http://10.0.0.5/pay` is not opened: ")
        assert "A public page never sends a request into a private network" in step.warnings[0]

    async def test_nor_does_its_sitemap(self):
        shop = host(before="Sitemap: /map.xml\n<urlset><loc>http://10.0.0.5/pay</loc></urlset>")
        found, dialled, step = await self.mapped({"93.184.216.34": shop}, "http://shop.example.com/")
        assert (found, dialled) == (["http://shop.example.com/"], {"93.184.216.34"})
        assert "http://10.0.0.5/pay" in step.warnings[0]

    async def test_an_allowed_host_leads_to_others_and_a_public_page_back_to_the_start_only(self):
        hosts = {
            "10.0.0.5": host("http://10.0.0.6/", "http://shop.example.com/"),
            "10.0.0.6": host(),
            "93.184.216.34": host("http://10.0.0.7/", "http://10.0.0.5/back"),
        }
        found, dialled, _ = await self.mapped(hosts, "http://10.0.0.5/")
        assert found == ["http://10.0.0.5/", "http://10.0.0.6/", "http://shop.example.com/", "http://10.0.0.5/back"]
        assert dialled == set(hosts)


class Watched(OutboundClient):
    """An outbound client that records the time of each request and the maximum number at the same time."""

    def __init__(self):
        super().__init__(OutboundRules(parse_allow_list("127.0.0.1")), Names())
        self.began = []
        self.now = self.most = 0

    async def request(self, method, url, **options):
        self.now += 1
        self.most = max(self.most, self.now)
        if not url.endswith("/robots.txt"):
            self.began.append(asyncio.get_running_loop().time())
        try:
            return await super().request(method, url, **options)
        finally:
            self.now -= 1


@pytest.mark.parametrize(
    ("config", "robots", "delay"), [({"delay_seconds": 0.04}, "", 0.04), ({}, "Crawl-delay: 0.05", 0.05)]
)
@pytest.mark.process
async def test_the_delay_is_kept_between_all_requests_to_a_host(config, robots, delay):
    pages = {"/": page("/a", "/b", "/c", "/d"), **dict.fromkeys(("/a", "/b", "/c", "/d"), Page(page(), delay=0.5))}
    pages["/robots.txt"] = Page(f"User-agent: *\n{robots}", content_type="text/plain")
    watched = Watched()
    with WebSite(pages) as site:
        await asyncio.gather(*(mapped(Services(watched), site, config) for _ in range(2)))
    await watched.aclose()
    assert len(watched.began) == 10
    assert watched.began[-1] - watched.began[0] >= 9 * delay / 2, (
        "each pause exactly: tests/engine/outbound/test_robots.py"
    )
    assert watched.most > 1, "a slow page holds up no other one"


@pytest.mark.process
async def test_no_more_pages_are_read_at_once_than_asked_for():
    paths = [f"/{number}" for number in range(12)]
    watched = Watched()
    first = dict.fromkeys(paths[:3], Page(page(), delay=0.5))
    with WebSite({"/": page(*paths), **dict.fromkeys(paths, page()), **first}) as site:
        await mapped(Services(watched), site, {"max_concurrency": 3})
    await watched.aclose()
    assert watched.most == 3


@pytest.mark.process
async def test_the_time_limit_ends_it_with_what_was_found(services):
    pages = {"/": page("/a", "/slow", "/b"), "/a": page(), "/b": page(), "/slow": Page(page(), delay=30)}
    with WebSite(pages) as site:
        paths, out, step = await mapped(services, site, policy={"timeout_seconds": 6})
    assert (paths, out["total_pages"]) == (["/", "/a", "/b"], 3)
    assert step.warnings[-1].startswith("The time limit ended the search after 3 pages.")


@pytest.mark.parametrize(
    ("config", "seconds"),
    [
        ({}, 160),
        ({"max_pages": 10, "delay_seconds": 0.5}, 65),
        ({"max_pages": "many", "delay_seconds": None}, 60),
        ({"max_pages": 5_000, "delay_seconds": 60}, 86_400),
    ],
)
def test_its_usual_time_limit_has_room_for_every_page(config, seconds):
    assert CATALOG["website_mapper"].limit_for(config) == seconds


@pytest.mark.parametrize(
    ("config", "pointer"),
    [
        ({"max_depth": -1}, "/config/max_depth"),
        ({"max_pages": 0}, "/config/max_pages"),
        ({"include": ["x" * 501]}, "/config/include/0"),
        ({"delay_seconds": "1"}, ""),
    ],
)
def test_wrong_settings_are_named(config, pointer):
    found = problems(flow("website_mapper", config, {"url": "https://example.com/"}), CATALOG)
    assert [problem.pointer for problem in found] == ([pointer] if pointer else [])


async def test_the_practice_site_has_twelve_pages(services):
    out, step = await run_node(services, "website_mapper", {}, {"url": "https://practice.flowport.example/"})
    assert (out["total_pages"], out["crawl_depth"]) == (12, 1)
    assert set(CATALOG["website_mapper"].out_schema({}, {})["properties"]) == set(out)
    assert [warning.split(":")[0] for warning in step.warnings] == ["1 link leads to a page that is not there"]


@pytest.mark.slow
async def test_a_hundred_pages_with_all_settings_as_they_are_come_in_time(services):
    """Takes 100 seconds: one for each page."""
    paths = [f"/page/{number}" for number in range(120)]
    with WebSite({"/": page(*paths), **dict.fromkeys(paths, page("/"))}) as site:
        out, step = await run_node(services, "website_mapper", {}, {"url": site.at("/")})
    assert (out["total_pages"], out["crawl_depth"]) == (100, 1)
    assert out["urls"] == [site.at(path) for path in ["/", *paths[:99]]]
    assert len(step.warnings) == 1 and "The site has more" in step.warnings[0]
