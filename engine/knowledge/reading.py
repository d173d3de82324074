"""Reads the documents of a source: a text, a file, the pages of a site, the rows of a dataset.

Pages are found and read by the code of the nodes Website Mapper and Page Scraper, through the outbound client, and
only those that robots.txt allows. Foreign pages and files are parsed in evaluator processes. What cannot be read is told
in a sentence and does not end the rest.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from itertools import chain
from typing import Any, cast

from msgspec import Struct

from engine.core.charsets import decode_body
from engine.core.errors import NotFound
from engine.documents.reading import read_document
from engine.documents.table_reading import read_row_texts_apart
from engine.flow.file_values import FileContent
from engine.flow.node_context import Json, NodeContext, NodeFailed
from engine.flow.node_http import Reach
from engine.knowledge.documents import TABLES, TEXTS, USUAL_DEPTH, USUAL_PAGES, Found, Missed, NotRead, ending_of
from engine.nodes import page_scraper
from engine.nodes.site_addresses import Picker, canonical, page_key
from engine.nodes.site_crawl import Crawl, Limits
from engine.outbound.client import Answer, OutboundClient
from engine.sandbox.pool import Sandbox
from engine.table_files.row_words import as_words, row_text
from storage.database import Database
from storage.datasets import get_dataset, list_rows_on
from storage.file_bytes import BytesGone
from storage.files import find_file
from storage.knowledge import find_content, list_kept
from storage.knowledge_changes import Task, note_sitemap
from storage.knowledge_documents import known_documents

#: Seconds between two requests to a site, unless its robots.txt asks for more.
DELAY_SECONDS = 0.5
#: How many pages of a site are read at a time.
_AT_ONCE = 4
_PAGE_SECONDS = 30.0
_NAME_CHARS = 300
#: What the parts of a file are called; those of others are pages.
_PLACES = {"pptx": "slide", "xlsx": "sheet", "xls": "sheet", "ods": "sheet"}
#: Characters of a cell, on average, up to which the cells of a table are no prose.
_FACT_CHARS = 16
#: A link of Markdown: its address tells nothing about the text, but its words would be found.
_LINK = re.compile(r"\[([^\[\]]{0,500}+)\]\([^()\s]{0,2000}+\)")


class Tools(Struct, frozen=True):
    """What reading needs of its process."""

    database: Database
    outbound: OutboundClient
    sandbox: Sandbox


async def read_source(
    task: Task, tools: Tools, note: Callable[[str], Awaitable[None]]
) -> AsyncIterator[Found | NotRead | Missed]:
    """Yields the documents of a source. `note` is told what goes on. Raises NodeFailed and Refusal when it cannot begin,
    and RowsChanged when it has to begin anew.
    """
    source = task.source
    match source.kind:
        case "site":
            async for one in _read_site(task, tools, note):
                yield one
        case "dataset":
            async for one in _read_rows(task, tools):
                yield one
        case "flow":
            after = 0
            while kept := await tools.database.read(list_kept, task.workspace_id, source.id, after=after):
                after = kept[-1].id
                for text in kept:
                    yield Found(
                        text.key, text.name, (("", text.text),), text.address, source.documents, stored_hash=text.hash
                    )
        case "file":
            async for one in _read_file(await _stored(task, tools), tools):
                yield one
        case _:
            content = await tools.database.read(find_content, task.workspace_id, source.id)
            yield Found("file", source.name, (("", decode_body(content or b"", is_page=False)),), total=1)


async def _stored(task: Task, tools: Tools) -> FileContent:
    """Returns the file of a source. Raises NodeFailed when its bytes are gone."""
    row = await tools.database.read(find_file, task.workspace_id, str(task.source.settings.get("file_id")))
    try:
        if row is None:
            raise BytesGone
        content = await asyncio.to_thread(tools.database.file_bytes.read, row.sha256, row.size)
    except BytesGone as error:
        raise NodeFailed(
            f"The file “{task.source.name}” is not there any more.",
            why="Its content is missing where files are kept.",
            remedy="Add the file again.",
        ) from error
    return FileContent(task.source.name, row.media_type, row.size, content)


async def _read_file(file: FileContent, tools: Tools) -> AsyncIterator[Found | NotRead]:
    """Yields the document in a file, and what was left out of it. Raises NodeFailed, Refusal."""
    ending = ending_of(file.name)
    if ending in TABLES:
        yield Found(
            "file",
            file.name,
            await read_row_texts_apart(file.content, file.name, apart=tools.sandbox.read_file),
            total=1,
        )
        return
    if ending in TEXTS:
        text = await asyncio.to_thread(decode_body, file.content, is_page=False)
        yield Found("file", file.name, (("", text),), total=1)
        return
    read = await read_document(file, as_="markdown", apart=tools.sandbox.read_file)
    if len(read["pages"]) > 1:
        word = _PLACES.get(ending, "page")
        parts = tuple((f"{word} {one['number']}", one["text"]) for one in read["pages"] if one["text"].strip())
    elif read["media_type"] == "application/pdf":
        parts = (("page 1", _page_text(read["text"], read["markdown"])),)
    else:
        parts = (("", _LINK.sub(r"\1", read["markdown"] or read["text"])),)
    if not any(text.strip() for _, text in parts):
        why = "It may be a scan: pictures of pages hold no text." if ending == "pdf" else ""
        raise NodeFailed(f"“{file.name}” has no text that can be read.", why=why, remedy="Add it as text.")
    yield Found("file", file.name, parts, total=1)
    for told in read["notes"]:
        yield NotRead("", file.name, told, total=1)


def _page_text(text: str, markdown: str) -> str:
    """Returns a page of a PDF. Its layout is guessed, and its text has the words in the order of reading; that of a table
    may be drawn column by column, so that only its rows tell what belongs together.
    """
    blocks = markdown.split("\n\n")
    tables = {one: columns for one in blocks if (columns := _columns(one))}
    prose = {one: "\n".join(chain(*columns)) for one, columns in tables.items() if _is_prose(columns)}
    return text if len(prose) == len(tables) else "\n\n".join(prose.get(one, one) for one in blocks)


def _columns(block: str) -> list[list[str]]:
    """Returns the columns of a table in Markdown, without their empty cells; none for other text, which may show one."""
    lines = block.split("\n")
    rows = [line[2:-2].split(" | ") for line in lines if line.startswith("| ") and line.endswith(" |")]
    if len(rows) < len(lines) or len({*map(len, rows)}) > 1 or {*chain(*rows[1:2])} != {"---"}:
        return []
    return [[cell for cell in column if cell] for column in zip(rows[0], *rows[2:], strict=True)]


def _is_prose(columns: Sequence[Sequence[str]]) -> bool:
    """True when the cells are not short, and in every column of several cells a sentence goes on from one cell to the
    next: at least at a quarter of them, as other lines of prose begin with a new sentence, a name or a German noun.
    """
    cells = [*chain(*columns)]
    return sum(map(len, cells)) > _FACT_CHARS * len(cells) and all(
        4 * sum(map(_goes_on, column, column[1:])) >= len(column) - 1 for column in columns if len(column) > 1
    )


def _goes_on(above: str, below: str) -> bool:
    return " " in above and above[-1] not in ".!?" and below[0].islower()


# Rows of a dataset.


async def _read_rows(task: Task, tools: Tools) -> AsyncIterator[Found | NotRead]:
    """Yields the rows; of a dataset or of columns that are gone only that they are, so what was read of them goes too."""
    settings, name = task.source.settings, task.source.name
    try:
        dataset = await tools.database.read(get_dataset, task.workspace_id, str(settings.get("dataset")))
    except NotFound:
        yield NotRead("", name, f"The dataset {name} was deleted, and its rows with it. Delete this source too.")
        return
    chosen = settings.get("columns") or ()
    columns = [one for one in chosen if one in dataset.column_names]
    if gone := [one for one in chosen if one not in dataset.column_names]:
        yield NotRead("", dataset.name, _gone_columns(gone, none_left=not columns))
    if gone and not columns:
        return
    after = 0
    while rows := await tools.database.read(list_rows_on, task.workspace_id, dataset, after=after):
        after = rows[-1].id
        for row in rows:
            data = {name: row.data.get(name) for name in columns} if columns else row.data
            title = next((one for one in data.values() if isinstance(one, str) and one), "")
            name = as_words(title)[:_NAME_CHARS] or f"Row {row.id}"
            yield Found(str(row.id), name, (("", row_text(data)),), total=dataset.rows)


def _gone_columns(gone: Sequence[str], *, none_left: bool) -> str:
    named = ", ".join(f"`{one}`" for one in gone[:5]) + (" and more" if len(gone) > 5 else "")
    if none_left:
        return (
            f"The dataset has none of the chosen columns any more ({named}), so nothing of it is read."
            " Delete this source, and add the dataset again with the columns that may be found."
        )
    return f"The dataset does not have these chosen columns any more: {named}. The other chosen ones are read."


# Pages of a site.


async def _read_site(
    task: Task, tools: Tools, note: Callable[[str], Awaitable[None]]
) -> AsyncIterator[Found | NotRead | Missed]:
    settings = task.source.settings
    start = str(settings.get("url", "")).strip()
    pages = int(settings.get("max_pages") or USUAL_PAGES)
    depth = settings.get("max_depth")
    reader = _SiteReader(tools, start, pages * DELAY_SECONDS * 2 + 300.0)
    limits = Limits(
        depth=USUAL_DEPTH if depth is None else int(depth),
        pages=pages,
        same_site=True,
        picker=Picker.of(tuple(settings.get("include") or ()), tuple(settings.get("exclude") or ())),
        use_sitemap=True,
        respect_robots=True,
        delay_seconds=DELAY_SECONDS,
        at_once=_AT_ONCE,
        sitemap_tries=int(settings.get("sitemap_tries") or 0),
    )
    await note("Looking for its pages")
    crawl = Crawl(limits, cast("NodeContext", reader))
    urls = list(await crawl.go(start))
    if crawl.sitemap_tries != limits.sitemap_tries:
        await tools.database.write(note_sitemap, task.source.id, tries=crawl.sitemap_tries)
    refused = await _refused_now(crawl, task, tools)
    missed = crawl.missed or next((why for url, why in refused.items() if page_key(url) in crawl.not_followed), "")
    if missed:
        told = f"Not every page could be looked for: {missed} Pages that were found before stay as they were."
        yield Missed(start, told, frozenset(crawl.gone))
    for url, why in refused.items():
        yield NotRead(url, url, why, total=len(urls) + len(refused))
    for at in range(0, len(urls), _AT_ONCE):
        for one in await asyncio.gather(*(reader.read(url, len(urls)) for url in urls[at : at + _AT_ONCE])):
            yield one
    for warning in reader.warnings:
        yield NotRead("", start, warning, total=len(urls))


async def _refused_now(crawl: Crawl, task: Task, tools: Tools) -> dict[str, str]:
    """Returns address -> why, of the pages that were read before and are refused now, which may pass. A page that was
    never shown is not among them: nothing is known from it.
    """
    if not crawl.refused:
        return {}
    known = await tools.database.read(known_documents, task.source.id)
    return {url: why for url in known if (why := crawl.refused.get(page_key(url)))}


class _SiteReader:
    """The context of the nodes that find and read pages, without a flow.

    The start page's own origin may be on the owner's allow-list; an address that a page names is requested on the
    public web only.
    """

    payload: Mapping[str, Json] = {}
    bindings: Mapping[str, Json] = {}

    def __init__(self, tools: Tools, start: str, seconds: float) -> None:
        self._tools = tools
        self.timeout_seconds = seconds
        self.http = _SiteClient(tools.outbound, _origin(start))
        self.warnings: list[str] = []

    async def read(self, url: str, total: int) -> Found | NotRead:
        """Returns the document of a page."""
        context = _SiteReader(self._tools, url, _PAGE_SECONDS)
        context.http = self.http
        try:
            out = await page_scraper.run(
                page_scraper.Config.model_validate({}), page_scraper.Inputs(url=url), cast("NodeContext", context)
            )
        except NodeFailed as failure:
            return NotRead(url, url, " ".join(filter(None, (failure.message, failure.why))), total)
        name = (out["title"] or url)[:_NAME_CHARS]
        if not out["text"].strip():
            return NotRead(url, name, "The page has no text.", total)
        return Found(
            url, name, (("", _LINK.sub(r"\1", out["markdown"] or out["text"])),), address=out["final_url"], total=total
        )

    async def in_thread(self, work: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.to_thread(work, *args)

    async def read_apart(self, reader: str, arguments: Mapping[str, Json]) -> dict[str, Json]:
        return await self._tools.sandbox.read(reader, arguments)

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    def log(self, message: str) -> None:
        """The log of a search names each page that was left out; here the warnings are enough."""


class _SiteClient:
    """The outbound client of a source: requests outside its own origin reach the public web only."""

    def __init__(self, outbound: OutboundClient, home: str) -> None:
        self._outbound = outbound
        self._home = home

    async def request(self, method: str, url: str, **options: Any) -> Answer:
        options["reach"] = self._reach(url, options.get("reach", "flows"))
        return await self._outbound.request(method, url, **options)

    async def site_rules(self, url: str, *, timeout_seconds: float = 30.0, reach: Reach = "flows") -> Any:
        return await self._outbound.site_rules(url, timeout_seconds=timeout_seconds, reach=self._reach(url, reach))

    async def draw(self, answer: Answer, **options: Any) -> Any:
        return await self._outbound.draw(answer, **options)

    def turn(self, url: str, **options: Any) -> AbstractAsyncContextManager[None]:
        options["delay_seconds"] = max(options.get("delay_seconds", 0.0), DELAY_SECONDS)
        return self._outbound.turn(url, **options)

    def _reach(self, url: str, reach: Reach) -> Reach:
        return reach if _origin(url) == self._home else "public"


def _origin(url: str) -> str:
    return "/".join((canonical(url) or url).split("/", 3)[:3])
