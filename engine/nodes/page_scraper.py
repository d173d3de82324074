"""Read one web page: its text, title and links.

Give it a full web address. **Main content** leaves out menus, footers and notices and is what you want for most pages;
**Whole page** keeps everything that can be read; **Selector** takes the parts you name with a CSS selector, like `.price` or
`article h2`, and puts the text of each into `matches`.

| Field | Holds |
|---|---|
| `text` | the content as plain text |
| `markdown` | the content with headings, lists, tables and links: good for prompts |
| `title`, `description`, `language` | what the page says about itself |
| `links` | the addresses that the page links to, each once and at most 2,000: `url` and `text` |
| `matches` | with a selector: one text for each match |
| `html` | the content as HTML |
| `url`, `final_url`, `status` | the address asked for, the one it led to, and the status of the answer |

Of a page, the first 3 MiB are read; one with more than 200,000 elements is refused.

A page that is not there fails with `page_not_found`, so you can decide under **If it fails** to skip it. The node does not read
pages that the site's robots.txt closes to programs (`page_blocked_by_robots`), and leaves the pause between pages that it asks for
(`Crawl-delay`, at most 5 seconds). It runs no scripts: a page that draws itself in the browser has no text to read, and the node says
so (`page_needs_browser`). **Open in a browser** draws such a page first. That takes seconds instead of milliseconds and needs a
Chromium on the server. Scripts of a page reach only the page's own host and the public web. Public addresses are open at the
ports 80, 443, 8080 and 8443; other ports, and addresses inside private networks, fail with `address_not_allowed` until the owner
opens them. Any other answer of 400 or more fails with `http_status`, no answer in time with `timeout`, one that is too large with
`response_too_large`, and a picture or another file that is no text, a name that is not known and a broken connection with `node_failed`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from engine.core.error_codes import JobErrorCode
from engine.core.errors import Problem
from engine.flow.document import Document, Node
from engine.flow.node_context import Json, NodeContext, NodeFailed
from engine.flow.node_http import DrawnPage, HttpAnswer
from engine.flow.node_type import NodeConfig, NodeInputs, NodeType, Text
from engine.nodes.page_reading import read_with
from engine.nodes.web_answers import ask_robots, media_type_shown, shown, status_failure
from engine.pages.main_content import (
    HOW_TO_SELECT,
    Page,
    SelectorUnreadable,
    check_selector,
    decode_body,
)
from engine.pages.parsing_limits import LONGEST_PAGE, PageTooTangled, PageUnreadable

_HTML = {"text/html", "application/xhtml+xml"}
#: How many pages of one host all steps of a worker process read at the same time.
_AT_ONCE = 10
#: The longest Crawl-delay in seconds that is respected; with a longer one, the pages of a list would time out while
#: they wait.
_LONGEST_PAUSE = 5.0


class Config(NodeConfig):
    content: Literal["main", "page", "selector"] = Field(
        "main",
        title="Content",
        description="Which part of the page to read.",
        json_schema_extra={"words": {"main": "Main content", "page": "Whole page", "selector": "Selector"}},
    )
    selector: str = Field(
        "",
        max_length=500,
        title="Selector",
        description="Which part of the page, by its name in the HTML, like `.price` (a CSS selector). Used when Content is Selector.",
    )
    respect_robots: bool = Field(
        True,
        title="Respect robots.txt",
        description="Do not read pages that the site closes to programs, and leave the pause it asks for, of 5 seconds at most.",
    )
    use_browser: bool = Field(
        False,
        title="Open in a browser",
        description="For pages that stay empty otherwise: open them as a browser does. Slower; the server needs Chromium.",
    )


class Inputs(NodeInputs):
    url: Text = Field(title="Web address", description="The full address of the page, like https://example.com/page.")


async def run(config: Config, inputs: Inputs, context: NodeContext) -> Json:
    """Requests the page and reads it off the event loop."""
    url = inputs.url.strip()
    pause = 0.0
    if config.respect_robots:
        pause = min((await ask_robots(url, context)).crawl_delay, _LONGEST_PAUSE)
    began = asyncio.get_running_loop().time()
    async with context.http.turn(url, delay_seconds=pause, at_once=_AT_ONCE):
        answer = await context.http.request(
            "GET",
            url,
            headers={"accept": "text/html,application/xhtml+xml,text/plain;q=0.8,*/*;q=0.5"},
            timeout_seconds=context.timeout_seconds,
        )
    if answer.status in {404, 410}:
        remedy = "Check the address. To go on without such pages, choose a default value or “Skip this step” under “If it fails”."
        raise status_failure(answer, url, code=JobErrorCode.PAGE_NOT_FOUND, remedy=remedy)
    if answer.status >= 400:
        raise status_failure(answer, url)
    if config.respect_robots and answer.url != url:
        await ask_robots(answer.url, context, led_from=url)
    drawn: DrawnPage | None = None
    if config.use_browser and _is_page(answer):
        left = context.timeout_seconds - (asyncio.get_running_loop().time() - began)
        drawn = await context.http.draw(answer, timeout_seconds=max(1.0, left - 2.0))
        if drawn.refused:
            context.log(f"The page asked for {drawn.refused} more things that were not loaded, like pictures.")
        if config.respect_robots and drawn.url != answer.url:
            await ask_robots(drawn.url, context, led_from=url)
    page = await _read(answer, config, drawn, context)
    if len(drawn.html if drawn else answer.body) > LONGEST_PAGE:
        context.warn(f"The page is very long: only its first {LONGEST_PAGE // 1024 // 1024} MiB were read.")
    if config.content == "selector" and not page.matches:
        context.warn(f"Nothing on the page matches `{config.selector}`.")
    return {
        "url": url,
        "final_url": drawn.url if drawn else answer.url,
        "status": answer.status,
        "title": page.title,
        "description": page.description,
        "language": page.language,
        "text": page.text,
        "markdown": page.markdown,
        "html": page.html,
        "links": page.links,
        "matches": page.matches,
    }


def _is_page(answer: HttpAnswer) -> bool:
    return answer.content_type in _HTML or (not answer.content_type and b"<" in answer.body[:1_000])


async def _read(answer: HttpAnswer, config: Config, drawn: DrawnPage | None, context: NodeContext) -> Page:
    """Reads an answer, or the page that a browser rendered from it. Raises NodeFailed when it is no page."""
    kind, header = answer.content_type, answer.headers.get("content-type", "")
    written = drawn.html if drawn else await context.in_thread(decode_body, answer.body, header)
    if not drawn and not _is_page(answer):
        if kind and not kind.startswith("text/") and not kind.endswith(("json", "xml", "javascript")):
            raise NodeFailed(
                f"`{shown(answer.url)}` is not a web page but a file of the type {media_type_shown(answer)}.",
                why="This node reads HTML and other text.",
                remedy="Use the address of a page. A flow takes a file in a field of the type File.",
            )
        return Page(text=written, markdown=written)
    url = drawn.url if drawn else answer.url
    selector = config.selector if config.content == "selector" else None
    try:
        page = Page(**await read_with(context, "page", written, url=url, content=config.content, selector=selector))
        drawn_by_script = not drawn and len(page.text) < 200 and await read_with(context, "needs_browser", written)
    except SelectorUnreadable as error:
        raise NodeFailed(str(error), remedy=HOW_TO_SELECT) from error
    except PageUnreadable as error:
        broken = isinstance(error, PageTooTangled)
        raise NodeFailed(
            f"`{shown(answer.url)}` cannot be read: its HTML is broken in a way that is not safe to read."
            if broken
            else f"`{shown(answer.url)}` could not be read to its end.",
            why=str(error),
            remedy="Use another page of the site.",
        ) from error
    if drawn_by_script:
        raise NodeFailed(
            f"`{shown(answer.url)}` has no text of its own: scripts draw it in the browser.",
            code=JobErrorCode.PAGE_NEEDS_BROWSER,
            why="Without a browser, Flowport reads what the server sends and runs no scripts.",
            remedy="Switch on “Open in a browser” in this node, or ask the site's API with an HTTP Request node.",
        )
    return page


def _check(node: Node, document: Document) -> list[Problem]:
    if node.config.get("content") != "selector":
        return []
    selector = node.config.get("selector")
    if not isinstance(selector, str) or not selector.strip():
        message = "Write the selector of what to read, or choose Main content."
        return [Problem("no_selector", message, node.id, "/config/selector", blocks_import=False)]
    try:
        check_selector(selector)
    except SelectorUnreadable as error:
        return [Problem("bad_selector", f"{error} {HOW_TO_SELECT}", node.id, "/config/selector", blocks_import=False)]
    return []


def _out(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    text = {"type": "string"}
    link = {"type": "object", "properties": {"url": {"type": "string", "format": "uri"}, "text": text}}
    fields = {
        "text": {**text, "title": "Text"},
        "markdown": {**text, "title": "Markdown"},
        "title": {**text, "title": "Title"},
        "description": {**text, "title": "Description"},
        "language": {**text, "title": "Language"},
        "links": {"type": "array", "title": "Links", "items": link},
        "matches": {"type": "array", "title": "Matches", "items": text},
        "html": {**text, "title": "HTML"},
        "url": {**text, "title": "Web address", "format": "uri"},
        "final_url": {**text, "title": "Address it led to", "format": "uri"},
        "status": {"type": "integer", "title": "Status"},
    }
    return {"type": "object", "properties": fields, "required": list(fields)}


def _summary(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    content = config.get("content", "main")
    if content == "selector":
        return str(config.get("selector") or "no selector yet")[:60]
    return "whole page" if content == "page" else "main content"


NODE = NodeType(
    type="page_scraper",
    title="Page Scraper",
    group="web",
    icon="article",
    synonyms=(
        "page, web page, website, url, link, browse, visit, scrape, article, download a page, read a page, "
        "open a page, homepage, internet, text of a page"
    ),
    config=Config,
    inputs=Inputs,
    run=run,
    out_schema=_out,
    summary=_summary,
    timeout_seconds=30.0,
    time_limit=lambda config: 60.0 if config.get("use_browser") is True else 30.0,
    check=_check,
    example=({"content": "main"}, {"url": "https://practice.flowport.example/"}),
)
