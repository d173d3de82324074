"""The web nodes in a flow: the practice site with a real outbound client, and local servers for everything else."""

from __future__ import annotations

import asyncio
import json

import pytest

from engine.flow.validation import problems
from engine.nodes import CATALOG
from engine.nodes.web_answers import retry_after
from tests.engine.nodes.node_in_flow import Services, flow, run_node
from tests.stand_ins.web_server import answer, serve

SITE = "https://practice.flowport.example"


@pytest.fixture
async def run():
    """Runs one node after an API Input; returns its output or its error, and the step."""
    services = Services()

    async def go(kind, config, inputs, payload=None, policy=None):
        return await run_node(services, kind, config, inputs, payload, policy)

    yield go
    await services.http.aclose()


def serving(pages):
    """A handler that serves pages by path; other paths get 404."""

    async def handler(asked, write):
        found = pages.get(asked.target.split("?")[0])
        await write(answer(404, b"no") if found is None else found)

    return handler


def html(text, status=200, **headers):
    return answer(status, text.encode(), content_type="text/html; charset=utf-8", **headers)


class TestPageScraper:
    async def test_it_reads_a_page_of_the_practice_site(self, run):
        out, step = await run("page_scraper", {}, {"url": f"{SITE}/visit"})
        assert out["title"] == "Visit us: opening hours and how to get here | Hearth & Rye"
        assert (out["url"], out["final_url"], out["status"], out["language"]) == (
            f"{SITE}/visit",
            f"{SITE}/visit",
            200,
            "en",
        )
        assert out["text"].startswith("Visit us\n\nOpening hours\n\nMonday | Closed")
        assert out["markdown"].startswith("# Visit us")
        assert {"url": f"{SITE}/bread", "text": "Bread"} in out["links"]
        assert out["html"].startswith("<main>")
        assert out["matches"] == []
        assert step.warnings == ()

    async def test_its_output_is_what_its_schema_says(self, run):
        out, _ = await run("page_scraper", {}, {"url": SITE})
        assert set(CATALOG["page_scraper"].out_schema({}, {})["properties"]) == set(out)

    async def test_a_selector_fills_matches_and_says_when_there_are_none(self, run):
        config = {"content": "selector", "selector": "main li"}
        out, step = await run("page_scraper", config, {"url": f"{SITE}/pastries"})
        assert out["matches"][0] == "Cardamom bun, twisted by hand: £2.80"
        assert step.warnings == ()
        out, step = await run("page_scraper", {**config, "selector": ".none"}, {"url": SITE})
        assert out["matches"] == []
        assert step.warnings == ("Nothing on the page matches `.none`.",)

    async def test_text_of_a_page_is_never_a_template(self, run):
        out, _ = await run("page_scraper", {}, {"url": f"{SITE}/guestbook"})
        assert "{{ 7*7 }}" in out["text"]

    async def test_a_page_that_is_not_there_has_its_own_code(self, run):
        error, _ = await run("page_scraper", {}, {"url": f"{SITE}/news/market-map"})
        assert error.code == "page_not_found"
        assert error.message == f"`{SITE}/news/market-map` answered 404 (Not Found)."
        assert "“Skip this step”" in error.remedy

    async def test_a_page_that_robots_txt_closes_is_not_asked_for(self, run):
        error, _ = await run("page_scraper", {}, {"url": f"{SITE}/private"})
        assert error.code == "page_blocked_by_robots"
        out, _ = await run("page_scraper", {"respect_robots": False}, {"url": f"{SITE}/private"})
        assert out["title"] == "Staff rota | Hearth & Rye"

    @pytest.mark.parametrize(
        ("robots", "code"),
        [
            (answer(200, b"User-agent: *\nDisallow: /"), "page_blocked_by_robots"),
            (answer(200, b"User-agent: Flowport\nDisallow: /page"), "page_blocked_by_robots"),
            (answer(200, b"User-agent: Other\nDisallow: /"), None),
            (answer(200, b"User-agent: *\nDisallow: /\n\nUser-agent: flowport\nAllow: /"), None),
            (answer(200, b"\x00\xff rubbish \xfe"), None),
            (answer(404, b""), None),
            (answer(403, b""), None),
            (answer(302, b"", location="/robots.txt"), None),
            (answer(503, b""), "page_blocked_by_robots"),
            (answer(429, b""), "page_blocked_by_robots"),
        ],
    )
    @pytest.mark.process
    async def test_robots_txt_is_obeyed_as_its_standard_says(self, run, robots, code):
        async with serve(serving({"/robots.txt": robots, "/page": html("<main>Words</main>")})) as web:
            out, _ = await run("page_scraper", {}, {"url": web.url("/page")})
        assert (out.code if code else out["text"]) == (code or "Words")
        assert ("/page" in [asked.target for asked in web.asked]) == (code is None)

    @pytest.mark.parametrize(("respected", "least"), [(True, 0.15), (False, 0.0)])
    @pytest.mark.process
    async def test_the_pause_a_site_asks_for_is_left_between_its_pages(self, run, respected, least):
        robots = answer(200, b"User-agent: *\nCrawl-delay: 0.1", content_type="text/plain")
        pages = serving({"/robots.txt": robots, **{f"/{number}": html("<main>Words</main>") for number in range(4)}})
        began = []

        async def timed(asked, write):
            if asked.target != "/robots.txt":
                began.append(asyncio.get_running_loop().time())
            await pages(asked, write)

        async with serve(timed) as web:
            reads = (run("page_scraper", {"respect_robots": respected}, {"url": web.url(f"/{n}")}) for n in range(4))
            await asyncio.gather(*reads)
        assert len(began) == 4
        assert began[-1] - began[0] >= least, "each pause exactly: tests/engine/outbound/test_robots.py"
        assert ("/robots.txt" in [asked.target for asked in web.asked]) is respected

    @pytest.mark.process
    async def test_an_error_of_the_server_is_tried_again_and_then_told(self, run):
        async with serve(serving({"/page": html("busy", 503, retry_after="0")})) as web:
            error, step = await run("page_scraper", {}, {"url": web.url("/page")}, policy={"retries": 2})
        assert (error.code, error.attempts, len(step.tries)) == ("http_status", 3, 3)
        assert error.message == f"`{web.url('/page')}` answered 503 (Service Unavailable)."

    @pytest.mark.process
    async def test_the_last_address_is_told_and_links_follow_it(self, run):
        pages = {"/old": html("", 301, location="/new/page"), "/new/page": html('<main><a href="x">l</a></main>')}
        async with serve(serving(pages)) as web:
            out, _ = await run("page_scraper", {}, {"url": web.url("/old")})
        assert out["final_url"] == web.url("/new/page")
        assert out["links"] == [{"url": web.url("/new/x"), "text": "l"}]

    @pytest.mark.process
    async def test_a_page_drawn_by_scripts_says_so(self, run):
        page = html('<body><div id="root"></div><script src="/app.js"></script></body>')
        async with serve(serving({"/page": page})) as web:
            error, _ = await run("page_scraper", {}, {"url": web.url("/page")})
        assert error.code == "page_needs_browser"
        assert "“Open in a browser”" in error.remedy

    @pytest.mark.process
    async def test_a_short_page_with_a_selector_is_no_page_drawn_by_scripts(self, run):
        page = html(f'<body><div id="root"><b class="price">5</b> {"Words. " * 60}</div><script>1</script></body>')
        async with serve(serving({"/page": page})) as web:
            out, _ = await run("page_scraper", {"content": "selector", "selector": ".price"}, {"url": web.url("/page")})
        assert out["matches"] == ["5"]

    @pytest.mark.parametrize(
        ("kind", "body", "text"),
        [
            ("text/plain", b"just text", "just text"),
            ("application/json", b'{"a": 1}', '{"a": 1}'),
            ("application/atom+xml", b"<feed/>", "<feed/>"),
        ],
    )
    @pytest.mark.process
    async def test_plain_documents_come_out_as_they_are(self, run, kind, body, text):
        async with serve(serving({"/file": answer(200, body, content_type=kind)})) as web:
            out, _ = await run("page_scraper", {}, {"url": web.url("/file")})
        assert (out["text"], out["html"]) == (text, "")

    @pytest.mark.process
    async def test_a_file_that_is_no_page_is_said_so(self, run):
        async with serve(serving({"/file": answer(200, b"%PDF-1.7", content_type="application/pdf")})) as web:
            error, _ = await run("page_scraper", {}, {"url": web.url("/file")})
        assert "not a web page but a file of the type application/pdf" in error.message

    @pytest.mark.process
    async def test_a_page_without_a_type_is_still_read(self, run):
        async with serve(serving({"/page": answer(200, "<main>Größe</main>".encode("cp1252"))})) as web:
            out, _ = await run("page_scraper", {}, {"url": web.url("/page")})
        assert out["text"] == "Größe"

    @pytest.mark.process
    async def test_a_page_made_to_hurt_is_refused(self, run):
        async with serve(serving({"/page": html("<div>" * 50_000)})) as web:
            error, _ = await run("page_scraper", {}, {"url": web.url("/page")})
        assert "not safe to read" in error.message

    @pytest.mark.parametrize(
        ("url", "code"),
        [
            ("http://10.0.0.1/", "address_not_allowed"),
            ("http://nas.lan/", "address_not_allowed"),
            ("example.com", "bad_url"),
            ("ftp://example.com/", "bad_url"),
        ],
    )
    async def test_closed_addresses_and_wrong_ones_have_the_doors_codes(self, run, url, code):
        error, _ = await run("page_scraper", {}, {"url": url})
        assert error.code == code

    @pytest.mark.process
    async def test_many_steps_share_robots_txt_and_connections(self, run):
        pages = {"/robots.txt": answer(200, b"User-agent: *\nDisallow: /no"), "/page": html("<main>Words</main>")}
        async with serve(serving(pages)) as web:
            for _ in range(3):
                found = await asyncio.gather(*(run("page_scraper", {}, {"url": web.url("/page")}) for _ in range(30)))
                assert all(out["text"] == "Words" for out, _ in found)
            assert [asked.target for asked in web.asked].count("/robots.txt") == 1
            assert web.connections <= 10, "no more than ten at once, and kept for the next"

    @pytest.mark.parametrize(
        ("config", "code"),
        [
            ({"content": "selector"}, "no_selector"),
            ({"content": "selector", "selector": "["}, "bad_selector"),
            ({"content": "main", "selector": "["}, None),
        ],
    )
    def test_a_selector_is_checked_before_a_deploy(self, config, code):
        found = list(problems(flow("page_scraper", config, {"url": SITE}), CATALOG))
        assert [problem.code for problem in found] == ([code] if code else [])
        assert all(not problem.blocks_import for problem in found)


class TestHtmlTextExtractor:
    async def test_it_takes_the_text_out_of_html(self, run):
        config = {"selector": "main", "drop": [".ad"], "keep_links": True, "max_chars": 18}
        source = (
            '<title>T</title><nav>no</nav><main>One <a href="/x">link</a><p class="ad">buy</p><p>Two words</p></main>'
        )
        out, step = await run("html_text_extractor", config, {"html": source})
        assert out == {"text": "One [link](/x)\n\nTw", "title": "T", "length": 25}
        assert step.warnings == ()

    async def test_no_match_is_a_warning(self, run):
        out, step = await run("html_text_extractor", {"selector": ".none"}, {"html": "<p>a"})
        assert out == {"text": "", "title": "", "length": 0}
        assert step.warnings == ("Nothing in the HTML matches `.none`.",)

    async def test_tangled_html_is_told(self, run):
        error, _ = await run("html_text_extractor", {}, {"html": "<div>" * 50_000})
        assert "not safe to read" in error.message

    def test_selectors_are_checked_before_a_deploy(self):
        config = {"selector": "[", "drop": ["nav", "", "p >"]}
        found = problems(flow("html_text_extractor", config, {"html": "x"}), CATALOG)
        assert [problem.pointer for problem in found] == ["/config/selector", "/config/drop/1", "/config/drop/2"]


async def echo(asked, write):
    """Answers with the received request as JSON."""
    told = {"method": asked.method, "target": asked.target, "headers": asked.headers, "body": asked.body.decode()}
    await write(answer(200, json.dumps(told).encode(), content_type="application/json", x_more="1"))


class TestHttpRequest:
    async def test_it_reads_json_from_the_practice_site(self, run):
        out, _ = await run("http_request", {}, {"url": f"{SITE}/prices.json"})
        assert out["json"]["items"][0] == {"name": "Mill Lane Rye", "kind": "bread", "price": 5.4}
        assert out["status"] == 200
        assert out["headers"]["content-type"] == "application/json"
        assert json.loads(out["body"]) == out["json"]

    @pytest.mark.process
    async def test_json_with_too_many_values_is_not_built(self, run):
        body = f"[{'[],' * 1_000_000}1]".encode()
        async with serve(serving({"/": answer(200, body, content_type="application/json")})) as web:
            out, step = await run("http_request", {}, {"url": web.url("/")})
        assert (out["json"], out["body"]) == (None, body.decode())
        (warning,) = step.warnings
        assert warning.startswith("`json` is empty: the answer has more than 200,000 values")

    @pytest.mark.process
    async def test_headers_query_and_body_are_sent(self, run):
        inputs = {
            "headers": {"X-One": "1", "X-Number": 2, "X-None": None},
            "query": {"q": "a b", "n": 3, "none": None},
            "body": {"name": "Ann", "ok": True},
        }
        async with serve(echo) as web:
            out, _ = await run("http_request", {"method": "POST"}, {"url": web.url("/p?x=1"), **inputs})
        told = out["json"]
        assert (told["method"], told["target"]) == ("POST", "/p?x=1&q=a+b&n=3")
        assert (told["headers"]["x-one"], told["headers"]["x-number"]) == ("1", "2")
        assert "x-none" not in told["headers"]
        assert json.loads(told["body"]) == {"name": "Ann", "ok": True}
        assert told["headers"]["content-type"] == "application/json"
        assert told["headers"]["idempotency-key"] == "job_1:http_request:"
        assert out["headers"]["x-more"] == "1"

    @pytest.mark.parametrize(
        ("body", "sent", "kind"),
        [
            ("text", "text", "text/plain; charset=utf-8"),
            ([1, "x"], '[1,"x"]', "application/json"),
            (5, "5", "application/json"),
            (None, "", None),
            ("", "", None),
        ],
    )
    @pytest.mark.process
    async def test_a_body_is_text_or_json(self, run, body, sent, kind):
        async with serve(echo) as web:
            out, _ = await run("http_request", {"method": "PUT"}, {"url": web.url(), "body": body})
        assert (out["json"]["body"], out["json"]["headers"].get("content-type")) == (sent, kind)
        assert "idempotency-key" not in out["json"]["headers"]

    @pytest.mark.process
    async def test_what_the_designer_writes_wins(self, run):
        headers = {"content-type": "application/vnd.mine", "Idempotency-Key": "mine"}
        async with serve(echo) as web:
            out, _ = await run("http_request", {"method": "POST"}, {"url": web.url(), "headers": headers, "body": [1]})
        assert out["json"]["headers"]["content-type"] == "application/vnd.mine"
        assert out["json"]["headers"]["idempotency-key"] == "mine"

    @pytest.mark.process
    async def test_a_secret_header_is_sent_and_not_kept_in_the_inputs(self, run):
        async with serve(echo) as web:
            config = {"secret_headers": {"Authorization": "sec_1"}}
            out, step = await run("http_request", config, {"url": web.url()})
        assert out["json"]["headers"]["authorization"] == "swordfish"
        assert "swordfish" not in json.dumps(step.inputs)

    @pytest.mark.process
    async def test_a_secret_that_is_not_there_fails_before_anything_is_sent(self, run):
        async with serve(echo) as web:
            error, _ = await run("http_request", {"secret_headers": {"X-Key": "sec_2"}}, {"url": web.url()})
        assert error.message == "There is no such secret."
        assert web.asked == []

    @pytest.mark.parametrize(
        ("status", "passing"), [(400, False), (404, False), (408, True), (429, True), (500, True), (503, True)]
    )
    @pytest.mark.process
    async def test_an_error_status_fails_and_passing_ones_are_tried_again(self, run, status, passing):
        reply = answer(status, b'{"error": "what it said"}', content_type="application/json", retry_after="0")
        async with serve(serving({"/": reply})) as web:
            error, step = await run("http_request", {}, {"url": web.url("/?key=hidden")}, policy={"retries": 1})
        assert error.code == "http_status"
        assert len(step.tries) == (2 if passing else 1)
        assert f"answered {status}" in error.message
        assert "hidden" not in error.message
        assert "what it said" in error.why

    @pytest.mark.process
    async def test_an_error_status_can_be_data(self, run):
        async with serve(serving({})) as web:
            out, _ = await run("http_request", {"fail_on_status": False}, {"url": web.url()})
        assert (out["status"], out["body"], out["json"]) == (404, "no", None)

    @pytest.mark.parametrize("body", [b"", b"text", b"NaN", b'{"a": Infinity}', b"[" * 100_000, b"\xff\xfe\x00"])
    @pytest.mark.process
    async def test_what_is_no_json_has_no_data(self, run, body):
        async with serve(serving({"/": answer(200, body)})) as web:
            out, _ = await run("http_request", {}, {"url": web.url()})
        assert out["json"] is None

    async def test_a_closed_address_has_the_doors_code(self, run):
        error, _ = await run("http_request", {}, {"url": "http://169.254.169.254/latest/meta-data/"})
        assert error.code == "address_not_allowed"

    def test_a_header_without_its_secret_is_a_problem(self):
        found = problems(flow("http_request", {"secret_headers": {"X-Key": ""}}, {"url": SITE}), CATALOG)
        assert [problem.code for problem in found] == ["no_secret"]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 0 "}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:10 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 10.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry-after": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"}, None),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:10", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
    ],
)
def test_retry_after_is_read_as_seconds(headers, seconds):
    assert retry_after(headers) == seconds
