"""A flow that analyses a whole site: it maps it, splits the list, reads the pages in parallel and flattens them in
order.
"""

from __future__ import annotations

from itertools import pairwise

import pytest

from engine.flow.document import Document
from engine.nodes import CATALOG
from engine.run.plan import compile_plan
from engine.run.runner import run_flow
from tests.engine.nodes.node_in_flow import Notebook, Services
from tests.stand_ins.thirty_pages import thirty_pages
from tests.stand_ins.web_site import Page, WebSite

pytestmark = pytest.mark.process

NODES = [
    ("api_input", "api_input", {"fields": [{"name": "url", "type": "string"}]}, {}),
    ("map", "website_mapper", {"max_depth": 3, "delay_seconds": 0}, {"url": "{{ api_input.out.url }}"}),
    ("split", "array_splitter", {"mode": "parallel", "max_concurrency": 10}, {"items": "{{ map.out.urls }}"}),
    ("read", "page_scraper", {"content": "page"}, {"url": "{{ split.out }}"}),
    ("join", "array_flatten", {}, {"value": "{{ read.out.text }}"}),
    ("api_output", "api_output", {}, {"pages": "{{ join.out }}", "total": "{{ map.out.total_pages }}"}),
]


def analyzer():
    nodes = [{"id": one, "type": kind, "config": config, "inputs": inputs} for one, kind, config, inputs in NODES]
    edges = [
        {"id": f"e{number}", "source": left[0], "target": right[0]}
        for number, (left, right) in enumerate(pairwise(NODES))
    ]
    return compile_plan(Document.model_validate({"format": 1, "nodes": nodes, "edges": edges}), CATALOG)


class Recorder(Notebook):
    def ended(self, step):
        self.steps[step.key] = step


@pytest.mark.parametrize("broken", ["/s1", "/s3/t2"])
async def test_pages_come_in_order_and_a_broken_one_is_told_with_its_place(broken):
    pages, order = thirty_pages()
    for number, path in enumerate(order):
        pages[path] = Page(pages[path] + f"<p>Page {path}", delay=0.03 * (number % 3))
    pages[broken] = Page("busy", 500)
    pages["/robots.txt"] = Page("User-agent: *\nDisallow: /s0/t0/", content_type="text/plain")
    services = Services()
    with WebSite(pages) as site:
        payload = {"url": site.at("/")}
        outcome = await run_flow(analyzer(), payload, system={}, services=services, recorder=Recorder())
        assert site.hits("/robots.txt") == 1
    await services.http.aclose()
    assert outcome.error is None
    found = outcome.result["pages"]
    below = [path for path in order if path.startswith((f"{broken}/", "/s0/t0/"))]
    listed = [path for path in order if path not in below]
    assert outcome.result["total"] == found["total_count"] == len(listed)
    assert [text.rsplit("Page ", 1)[1] for text in found["items"]] == [path for path in listed if path != broken]
    assert (found["count"], found["failed_count"]) == (len(listed) - 1, 1)
    assert [error["index"] for error in found["errors"]] == [listed.index(broken)]
    assert "answered 500" in found["errors"][0]["message"]
