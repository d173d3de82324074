"""The website analyzer template through the public API: maps a site, and reads and describes its pages in parallel, in
order.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.live import flows
from tests.live.caller import ENDED, Caller, Terminal
from tests.stand_ins.local_server import Places
from tests.stand_ins.openai_server import OpenAIServer, Said
from tests.stand_ins.thirty_pages import page, thirty_pages
from tests.stand_ins.web_site import Page, WebSite

TEMPLATE = Path(__file__).parents[2] / "assets" / "templates" / "website-analyzer.json"
#: Text that looks like template code, to test that it is treated as data.
ODD = "{{ 7*7 }} {% for x in [1, 2] %}{{ api_input.out.url }}{% endfor %}"


def described(body: dict[str, Any]) -> Said:
    """The model's answer for a page: its title, with a delay that depends on the title."""
    title = re.findall(r'Page "([^"]*)":', json.dumps(body["messages"]).replace('\\"', '"'))[-1]
    return Said(json.dumps({"about": f"It is {title}", "findings": [ODD]}), delay=len(title) % 3 * 0.03)


@pytest.fixture(scope="module")
def model(places: Places) -> Iterator[OpenAIServer]:
    with OpenAIServer().at_place(places) as running:
        running.answer_with = described
        yield running


@pytest.fixture(scope="module", autouse=True)
def _connection(terminal: Terminal, model: OpenAIServer) -> None:
    add = ("--provider", "openai_compatible", "--base-url", model.url)
    assert terminal.value("models", "add", "box", *add) == "box"


def analyzer(depth: int, *, delay: float = 0.0, model: str = "simulated") -> dict[str, Any]:
    """The template with short delays."""
    file = json.loads(TEMPLATE.read_text())
    settings = {node["id"]: node["config"] for node in file["nodes"] if "config" in node}
    settings["website_mapper"] |= {"max_depth": depth, "delay_seconds": delay, "use_sitemap": False}
    settings["array_splitter"]["max_concurrency"] = 10
    settings["prompt"]["model"] = model
    return file


@contextmanager
def site_of_thirty(places: Places, *links: str) -> Iterator[tuple[WebSite, list[str]]]:
    """The site and the paths of its pages in order.

    Each page is named by its path and has its own delay; `links` are on each page.
    """
    pages, order = thirty_pages()
    drawn: dict[str, str | bytes | Page] = {}
    for number, path in enumerate(order):
        text = pages[path].replace("<title>T", f"<title>{path}") + f"<p>This is the page {path}. {ODD}</p>"
        text += "".join(f'<a href="{link}">Our friends</a>' for link in links)
        drawn[path] = Page(text, delay=0.03 * (number % 3))
    drawn["/robots.txt"] = Page("", 404)
    with WebSite(drawn).at_place(places) as site:
        yield site, order


def paths_of(site: WebSite, job: dict[str, Any]) -> list[str]:
    """Returns the paths of the pages in the result."""
    assert job["status"] == "completed", job
    return [one["url"].removeprefix(site.origin) for one in job["result"]["pages"]]


def test_every_page_is_described_in_order_and_a_broken_one_is_told(terminal, caller, model, places):
    broken, closed = "/s3/t2/leaf11", ("/s0/t0/leaf0", "/s0/t0/leaf12")
    elsewhere = WebSite({"/": page()}).at_place(places)
    with elsewhere, site_of_thirty(places, elsewhere.at("/")) as (site, order):
        site.pages |= {
            broken: Page("busy", 500),
            "/robots.txt": Page("User-agent: *\nDisallow: /s0/t0/", content_type="text/plain"),
        }
        job = caller.run(terminal.flow(analyzer(3, model="box:small-model")), {"url": site.at("/")})

        listed = [path for path in order if path not in closed]
        read = [path for path in listed if path != broken]
        assert paths_of(site, job) == read
        result = job["result"]
        assert (result["pages_found"], result["pages_read"]) == (28, 27)
        assert [one["title"] for one in result["pages"]] == read
        assert [one["about"] for one in result["pages"]] == [f"It is {path}" for path in read], "each its own answer"
        assert [one["index"] for one in result["not_read"]] == [listed.index(broken)]
        assert "answered 500" in result["not_read"][0]["message"]
        assert job["progress"] == {"steps_total": 7, "steps_done": 7, "items_failed": 1}
        assert job["usage"]["model_calls"] == 27
        assert [site.hits(path) for path in closed] == [0, 0]
        assert site.hits("/robots.txt") == 1
        assert elsewhere.requests == []


@pytest.mark.parametrize(("depth", "count"), [(1, 5), (2, 17), (3, 30)])
def test_depth_counts_links_from_the_start_page(terminal, caller, places, depth, count):
    with site_of_thirty(places) as (site, order):
        job = caller.run(terminal.flow(analyzer(depth)), {"url": site.at("/")})
        assert paths_of(site, job) == order[:count]
        assert job["result"]["pages_found"] == job["result"]["pages_read"] == count
        assert job["result"]["not_read"] == []
        assert job["simulated"] is True


def test_the_delay_is_kept_between_the_requests_of_the_search(terminal, caller, places):
    delay = 0.15
    with site_of_thirty(places) as (site, order):
        begun = time.time()
        job = caller.run(terminal.flow(analyzer(1, delay=delay)), {"url": site.at("/")})
        assert paths_of(site, job) == order[:5]
        asked = [seen.at - begun for seen in site.requests if seen.path != "/robots.txt"]
        assert [at >= number * delay for number, at in enumerate(asked[:5])] == [True] * 5, asked


def test_what_a_page_or_a_model_says_is_never_read_as_a_template(terminal, caller, model, places):
    """The text stays unchanged through a Prompt, a Text Template of either kind, and the result."""
    told = "{{ page_scraper.out.text }} | {{ prompt.out }}"
    nodes = [
        flows.read_page(),
        {
            "id": "prompt",
            "type": "prompt",
            "config": {"model": "box:small-model"},
            "inputs": {"prompt": "{{ page_scraper.out.text }} {{ api_input.out.word }}"},
        },
        {"id": "plain", "type": "text_template", "inputs": {"template": told}},
        {
            "id": "looped",
            "type": "text_template",
            "inputs": {"template": "{% if true %}{{ plain.out }} | {{ api_input.out.word }}{% endif %}"},
        },
    ]
    flow_id = terminal.flow(flows.in_a_row(nodes, flows.URL, {"name": "word", "type": "string"}))
    model.say(f"I say {ODD}")
    said = {"/": f"<!doctype html><title>T</title><main><p>A page says {ODD}</p></main>"}
    with WebSite(said).at_place(places) as site:
        job = caller.run(flow_id, {"url": site.at("/"), "word": f"A caller says {ODD}"})
    assert job["result"] == {"output": f"A page says {ODD} | I say {ODD} | A caller says {ODD}"}
    assert model.asked[-1]["messages"][-1]["content"] == f"A page says {ODD} A caller says {ODD}"


@pytest.mark.slow
@pytest.mark.timeout(500)
def test_a_hundred_pages_with_all_settings_as_they_are(terminal, caller: Caller, places: Places):
    """Takes about two minutes: the search waits a second between two pages, and the list is processed one item at a
    time.
    """
    nodes = [
        {"id": "map", "type": "website_mapper", "inputs": {"url": "{{ api_input.out.url }}"}},
        {"id": "each", "type": "array_splitter", "inputs": {"items": "{{ map.out.urls }}"}},
        {"id": "read", "type": "page_scraper", "inputs": {"url": "{{ each.out }}"}},
        {
            "id": "ask",
            "type": "prompt",
            "config": {"model": "simulated"},
            "inputs": {"prompt": "What is this page about?\n{{ read.out.text }}"},
        },
        {"id": "all", "type": "array_flatten"},
        {"id": "api_output", "type": "api_output", "inputs": {"answers": "{{ all.out }}", "found": "{{ map.out }}"}},
    ]
    paths = [f"/page/{number}" for number in range(99)]
    home = page(*paths, more="<h1>Home</h1>")
    pages = {"/": home, **{path: page("/", more=f"<h1>Page {path}</h1>") for path in paths}}
    with WebSite(pages).at_place(places) as site:
        begun = time.monotonic()
        job_id = caller.accepted(terminal.flow(flows.in_a_row(nodes, flows.URL)), {"url": site.at("/")})
        while (job := caller.job(job_id))["status"] not in ENDED:
            assert time.monotonic() - begun < 400, job
            time.sleep(1)
        print({"seconds": round(time.monotonic() - begun, 1), "requests": len(site.requests)})
    assert job["status"] == "completed", job
    assert job["result"]["found"]["total_pages"] == 100
    assert job["result"]["found"]["urls"] == [site.origin + path for path in ["/", *paths]]
    answers = job["result"]["answers"]
    assert (answers["count"], answers["total_count"], answers["errors"]) == (100, 100, [])
