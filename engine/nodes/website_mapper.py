"""List the pages of a website.

Give it the address of a start page. It reads that page, then the pages it links to, then the pages those link to, until
**Depth** or **Most pages** is reached. Put **For each item** on `urls` and a Page Scraper after it to read every page.

| Field | Holds |
|---|---|
| `urls` | the addresses of the pages, the start page first: page by page in the order of their links, nearest pages first |
| `total_pages` | how many there are |
| `crawl_depth` | how many links away from the start page the farthest of them is |

**Depth** 0 is the start page alone, 1 adds what it links to, 2 what those pages link to. What the site lists in its
sitemap.xml counts as linked from the start page. **Same site** keeps to the host of the start page; `www.` and http or https
make no difference, a subdomain is another site.

**Only** and **Leave out** take patterns: `*` stands for any characters. `/blog/*` or `/blog/` is everything below `/blog/`,
`*/print` ends in `/print`, `https://example.com/docs/*` is a whole address, and a plain word may stand anywhere after the host.
The start page is read whatever the patterns say, and listed when they allow it.

Pictures, PDFs and other files are not listed, and neither are links that lead nowhere (404). A page that could not be read just
now is listed with a warning: it may be there when you need it. When the start page itself cannot be
read, the step fails, as the table below says. Each page is listed once, without visitor counters such as `utm_source`. With **Respect robots.txt** the node reads only pages that it allows. It waits **Delay** seconds between two
requests to a host (with Respect robots.txt longer when the site asks for it, up to 30 seconds), and with its usual time limit of
Most pages times Delay plus 60 seconds, at most a day, ends with what it has found.

| Why the start page cannot be read | The step fails with |
|---|---|
| 404 or 410 | `page_not_found` |
| any other answer of 400 or more | `http_status` |
| robots.txt closes it, or fails itself (429 or 5xx), with Respect robots.txt | `page_blocked_by_robots` |
| an address inside a private network, or a port that is not open | `address_not_allowed` |
| no answer within 30 seconds | `timeout` |
| an answer that is too large | `response_too_large` |
| a file that is no web page, a name that is not known, no connection, an address that is none | `node_failed` |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, JsonValue

from engine.core.errors import Problem
from engine.flow.document import Document, Node
from engine.flow.node_context import Json, NodeContext
from engine.flow.node_type import NodeConfig, NodeInputs, NodeType, Text
from engine.nodes.site_addresses import Picker
from engine.nodes.site_crawl import Crawl, Limits


class Config(NodeConfig):
    max_depth: int = Field(
        2,
        ge=0,
        le=10,
        title="Depth",
        description="How many links away from the start page to go. 0 is that page alone.",
    )
    max_pages: int = Field(100, ge=1, le=5_000, title="Most pages", description="The search ends with so many pages.")
    same_site: bool = Field(
        True, title="Same site", description="Follow only links that stay on the website of the start page."
    )
    include: tuple[str, ...] = Field(
        (),
        max_length=50,
        title="Only",
        description="List only pages whose address matches one of these, like /blog/*. Empty: all.",
        json_schema_extra={"item": "pattern"},
    )
    exclude: tuple[str, ...] = Field(
        (),
        max_length=50,
        title="Leave out",
        description="Do not read pages whose address matches one of these, like /login or *?page=*.",
        json_schema_extra={"item": "pattern"},
    )
    use_sitemap: bool = Field(True, title="Use sitemap.xml", description="Also list what the site's sitemap names.")
    respect_robots: bool = Field(
        True, title="Respect robots.txt", description="Do not read pages that the site closes to programs."
    )
    delay_seconds: float = Field(
        1.0, ge=0, le=60, title="Delay", description="Seconds between two requests to the same host."
    )
    max_concurrency: int = Field(
        4, ge=1, le=16, title="At once", description="How many pages are read at the same time."
    )


class Inputs(NodeInputs):
    url: Text = Field(title="Web address", description="The full address of the start page, like https://example.com/.")


async def run(config: Config, inputs: Inputs, context: NodeContext) -> Json:
    """Reads the start page, then level by level the pages that are linked."""
    limits = Limits(
        depth=config.max_depth,
        pages=config.max_pages,
        same_site=config.same_site,
        picker=Picker.of(config.include, config.exclude),
        use_sitemap=config.use_sitemap,
        respect_robots=config.respect_robots,
        delay_seconds=config.delay_seconds,
        at_once=config.max_concurrency,
    )
    found = await Crawl(limits, context).go(inputs.url.strip())
    return {"urls": list(found), "total_pages": len(found), "crawl_depth": max(found.values(), default=0)}


def _time_limit(config: Mapping[str, Any]) -> float:
    """Returns the time limit in seconds: the delay for every page, and a minute more; at most a day."""
    values = (config.get("max_pages", 100), config.get("delay_seconds", 1.0))
    pages, delay = (value if isinstance(value, int | float) and value >= 0 else 0 for value in values)
    return min(pages * delay + 60.0, 86_400.0)


def _check(node: Node, document: Document) -> list[Problem]:
    found: list[Problem] = []
    for name in ("include", "exclude"):
        patterns: JsonValue = node.config.get(name)
        for position, pattern in enumerate(patterns if isinstance(patterns, list | tuple) else ()):
            if isinstance(pattern, str) and len(pattern) > 500:
                message = "This pattern is too long: at most 500 characters."
                found.append(
                    Problem("bad_pattern", message, node.id, f"/config/{name}/{position}", blocks_import=False)
                )
    return found


def _out(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    fields = {
        "urls": {"type": "array", "title": "Pages", "items": {"type": "string", "format": "uri"}},
        "total_pages": {"type": "integer", "title": "Number of pages"},
        "crawl_depth": {"type": "integer", "title": "Depth reached"},
    }
    return {"type": "object", "properties": fields, "required": list(fields)}


def _summary(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    pages, depth = config.get("max_pages", 100), config.get("max_depth", 2)
    return f"up to {pages} {'page' if pages == 1 else 'pages'}, depth {depth}"


NODE = NodeType(
    type="website_mapper",
    title="Website Mapper",
    group="web",
    icon="travel_explore",
    synonyms="crawl, crawler, sitemap, site, all pages, spider, links, whole website",
    config=Config,
    inputs=Inputs,
    run=run,
    out_schema=_out,
    summary=_summary,
    time_limit=_time_limit,
    check=_check,
    example=({"max_depth": 2}, {"url": "https://practice.flowport.example/"}),
)
