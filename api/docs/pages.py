"""Serves the docs: guides, a page for each call, error code and node type, and a page per flow. The pages are plain
HTML without a session. Each is also available as Markdown, at its URL with `.md` appended, and `/llms.txt` lists them.

All pages are public except those of flows. These are for signed-in people of the workspace, and public when the owner
chose so (flow setting `public_docs`).
"""

from __future__ import annotations

import asyncio
import functools
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import APIRouter
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape
from msgspec import Struct
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from api.docs.error_texts import ERROR_TEXTS
from api.docs.job_error_texts import JOB_ERROR_EXAMPLES, JOB_ERROR_TEXTS
from api.docs.kept_pages import KeptPages
from api.docs.markdown_pages import as_markdown, first_sentence, guide_html, guide_sections
from api.docs.node_reference import node_groups, node_page
from api.docs.openapi import contract_of, flow_document, served_at
from api.docs.reference import OperationPage, operation_pages
from api.docs.schema_words import field_rows
from api.docs.search import Entry, guide_entries, plain, search, words_of
from api.http.problem_json import PUBLISHED, problem_example, status_of, title_of
from api.http.route_classes import BASE
from engine.actions.deployments import endpoint_path
from engine.code_samples import code_examples, files_to_send
from engine.core.error_codes import JobErrorCode
from engine.core.errors import RateLimited
from engine.core.paths import ASSETS
from engine.core.safe_markdown import clean_html
from engine.core.settings import Settings
from engine.flow.contract import input_fields, payload_schema, result_schema, shown_payload
from engine.flow.document import Document, load_document
from engine.flow.file_values import takes_files
from engine.jobs.submit.check_threads import DOCS, CheckThreads
from engine.jobs.transitions import MAX_ATTEMPTS
from engine.nodes import CATALOG, NODE_TYPES
from storage.database import Database
from storage.flows import find_public_docs_flow, get_draft, get_version, list_flows
from storage.members import Person
from storage.sessions import find_signed_in

COOKIE = "flowport_session"
#: Stands for the URL of this server in what is kept.
_HERE = "https://this-server.flowport.invalid"
_PLAIN_URL = re.compile(r"https?://[\w.:\[\]-]+", re.ASCII)
#: Returns the OpenAPI document of the whole API, which is built once (`api_document` in `api/app.py`).
ApiDocument = Callable[[], dict[str, Any]]

#: Guides in reading order: file name -> title.
GUIDES = {
    "quick-start": "Quick start",
    "authentication": "Authentication",
    "environments": "Environments",
    "jobs-and-polling": "Jobs and polling",
    "streaming": "Streaming (events)",
    "webhooks": "Webhooks",
    "schedules": "Schedules",
    "incoming-webhooks": "Incoming webhooks",
    "batch": "Batch",
    "pagination": "Pagination",
    "idempotency": "Idempotency",
    "files": "Files",
    "knowledge": "Knowledge",
    "errors": "Errors and troubleshooting",
    "rate-limits": "Rate limits",
    "versions": "Versions and deprecation",
    "best-practices": "Best practices",
    "production-checklist": "Production checklist",
    "ai-assistants": "AI assistants (MCP)",
    "hosting": "Hosting",
    "several-machines": "When one machine is not enough",
    "settings": "Settings",
    "commands": "Commands",
}
#: Guides for whoever runs a server: their examples name any server, not the one that shows them.
_ABOUT_ANY_SERVER = ("hosting", "several-machines", "settings", "commands")
#: The changelog of the API, which is written by hand.
CHANGES = "api-changes"
#: First part of a docs URL -> what its pages are about, for the text of a 404.
_KINDS = {
    "api": "call",
    "errors": "error code",
    "flows": "flow",
    "guides": "guide",
    "nodes": "node",
}
#: Placeholder in the guides that is replaced by the URL of this server.
_ANY_SERVER = "https://flows.example.com"
#: How the guides begin links to pages that are in no file, so that they lead somewhere outside of the docs, too.
_ON_THIS_MACHINE = Settings().local_url
_LINK_TO_FILE = re.compile(r"\]\(([a-z-]+)\.md(#[a-z0-9-]*)?\)")
_LONGEST_QUERY = 200
#: A page with fewer sections has no list of them.
_FEWEST_SECTIONS = 3


def docs_router(
    database: Database, settings: Settings, api_document: ApiDocument, threads: CheckThreads, *, with_pages: bool = True
) -> APIRouter:
    """Returns the routes of the docs, for the application of the pages. They return complete responses and are in no
    OpenAPI document. `threads`: those in which the whole server checks bodies and makes examples. `with_pages`: the docs
    lead to the pages, which this server has.
    """
    docs = _Docs(database, settings, api_document, threads)
    docs.templates.globals["with_pages"] = with_pages
    pages = (
        ("/docs", docs.index),
        ("/docs/guides/{name}", docs.guide),
        ("/docs/api/{operation_id}", docs.operation),
        ("/docs/errors/{code}", docs.error),
        ("/docs/nodes", docs.nodes),
        ("/docs/nodes/{type}", docs.node),
        ("/docs/changes", docs.changes),
        ("/docs/flows/{flow_id}", docs.flow),
    )
    router = APIRouter(include_in_schema=False)
    for path, show in (
        ("/llms.txt", docs.llms),
        ("/docs/llms.txt", docs.llms),
        ("/docs/openapi.json", docs.openapi),
        ("/openapi.json", docs.openapi_elsewhere),
        ("/docs/search", docs.search),
        ("/docs/search.json", docs.search_json),
        ("/docs/flows/{flow_id}/openapi.json", docs.flow_openapi),
        *((f"{path}.md", show) for path, show in pages),
        *pages,
        ("/docs/{rest:path}", docs.missing),
    ):
        router.add_api_route(path, show, methods=["GET", "HEAD"])
    for path in ("/docs", "/docs.md", "/docs/{rest:path}", "/llms.txt", "/openapi.json"):
        router.routes.append(Route(path, _WrongMethod()))  # last, as it takes every method
    return router


class _Shown(Struct, frozen=True):
    """What the docs show of a flow beside its version."""

    id: str
    title: str
    description: str
    live: bool


class _ShownFlow(Struct, frozen=True):
    """A flow of the workspace `owner`, and which of its versions the docs describe; 0 for the draft with this revision."""

    owner: str
    flow: _Shown
    version: int
    revision: int


class _WrongMethod:
    """The ASGI application that answers what is neither GET nor HEAD. Without it the guard of the pages, which stand behind
    the docs, would ask for a session.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        told = f"The docs are read with GET or HEAD, not with {scope['method'][:20]}.\n"
        answer = PlainTextResponse(told, 405, headers={"Allow": "GET, HEAD", "Cache-Control": "no-store"})
        await answer(scope, receive, send)


class _Docs:
    def __init__(
        self, database: Database, settings: Settings, api_document: ApiDocument, threads: CheckThreads
    ) -> None:
        self.database = database
        self.settings = settings
        self.api_document = api_document
        self.threads = threads
        self.kept = KeptPages()
        self.templates = Environment(
            loader=FileSystemLoader(ASSETS / "docs"),
            autoescape=select_autoescape(default=True, default_for_string=True),
            undefined=StrictUndefined,
        )
        self.templates.filters["spoken"] = _spoken

    async def index(self, request: Request) -> Response:
        person = await self._person(request)
        flows = await self.database.read(list_flows, person.workspace_id) if person else []
        return await self._page(
            request,
            "index.html",
            "Flowport API",
            person,
            guides=[(title, f"/docs/guides/{name}", first_sentence(_source(name))) for name, title in GUIDES.items()],
            flows=[flow for flow in flows if flow.live_version is not None],
            base=self._base(request) + BASE,
            calls=_operations(self.api_document).values(),
            errors=_errors(),
            job_errors=[(code, text[0]) for code, text in JOB_ERROR_TEXTS.items()],
        )

    async def guide(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in GUIDES:
            return await self.missing(request)
        return await self._text(request, name, GUIDES[name])

    async def changes(self, request: Request) -> Response:
        return await self._text(request, CHANGES, "Changes of the API")

    async def operation(self, request: Request) -> Response:
        call = _operations(self.api_document).get(request.path_params["operation_id"])
        if call is None:
            return await self.missing(request)
        base = self._base(request)
        examples = call.examples(base)
        return await self._page(
            request,
            "operation.html",
            call.title,
            call=call,
            address=base + call.path,
            examples=[("curl", examples.curl), ("Python", examples.python), ("JavaScript", examples.javascript)],
            texts=ERROR_TEXTS,
        )

    async def search(self, request: Request) -> Response:
        query, found = await self._found(request)
        return await self._page(request, "search.html", "Search", query=query, found=found, in_markdown=False)

    async def search_json(self, request: Request) -> Response:
        """Returns the results of a search as JSON, which the search box of every page requests while somebody types."""
        return JSONResponse([entry.as_link() for entry in (await self._found(request))[1]])

    async def llms(self, request: Request) -> Response:
        """Returns the list of all pages for language models in the format of llmstxt.org."""
        text = self.templates.get_template("llms.txt").render(
            base=self._base(request),
            api=BASE,
            guides=[(name, title, first_sentence(_source(name))) for name, title in GUIDES.items()],
            calls=_operations(self.api_document).values(),
            errors=[(kind.code, title_of(kind)) for kind in dict.fromkeys(PUBLISHED)],
            job_errors=[(code, text[0]) for code, text in JOB_ERROR_TEXTS.items()],
            kinds=NODE_TYPES,
            changes=first_sentence(_source(CHANGES)),
        )
        return PlainTextResponse(text)

    async def error(self, request: Request) -> Response:
        code = request.path_params["code"]
        if code in JOB_ERROR_TEXTS:
            return await self._page(request, "error.html", code, error=_job_error(code))
        kind = next((kind for kind in PUBLISHED if kind.code == code), None)
        if kind is None:
            return await self.missing(request)
        why, todo = ERROR_TEXTS[code]
        error = {
            "code": code,
            "title": title_of(kind),
            "where": ("HTTP status", status_of(kind)),
            "why": why,
            "todo": todo,
            "example": json.dumps(problem_example(kind), indent=2, ensure_ascii=False),
        }
        return await self._page(request, "error.html", code, error=error)

    async def nodes(self, request: Request) -> Response:
        return await self._page(request, "nodes.html", "Nodes", groups=node_groups(NODE_TYPES))

    async def node(self, request: Request) -> Response:
        kind = CATALOG.get(request.path_params["type"])
        if kind is None:
            return await self.missing(request)
        node, body = _node_parts(kind.type)
        return await self._page(request, "node.html", kind.title, node=node, body=body)

    async def openapi(self, request: Request) -> Response:
        made = await asyncio.to_thread(_whole_openapi, self.api_document)
        return Response(_based(made, json.dumps(self._base(request))[1:-1]), media_type="application/json")

    async def openapi_elsewhere(self, request: Request) -> Response:
        """Leads from the address that people try first to that of the document."""
        return RedirectResponse(f"{BASE}/openapi.json")

    async def flow(self, request: Request) -> Response:
        person, found = await self._flow(request)
        if found is None:
            return await self.missing(request)
        base = self._base(request)
        try:
            if request.url.path.endswith(".md"):
                page = await self._made(found, self._flow_markdown)
                return Response(_based(page, base), media_type="text/markdown")
            page = await self._made(found, self._flow_article)
        except RateLimited:
            return _come_again()
        article = Markup(_based(page, escape(base)).decode())  # noqa: S704 - rendered with escapes, the address is escaped
        return await self._page(request, "made.html", found.flow.title, person, article=article)

    async def flow_openapi(self, request: Request) -> Response:
        _, found = await self._flow(request)
        if found is None:
            return await self.missing(request)
        try:
            made = await self._made(found, self._flow_openapi)
        except RateLimited:
            return _come_again()
        return Response(_based(made, json.dumps(self._base(request))[1:-1]), media_type="application/json")

    async def _made(self, found: _ShownFlow, make: Callable[[_ShownFlow, Document], bytes]) -> bytes:
        """Returns what `make` makes in the check threads of the flow at _HERE, or made before. Raises RateLimited when too
        much of the same workspace is being made.
        """

        def work(text: str) -> bytes:
            return make(found, load_document(text))

        async def begin() -> bytes:
            text = await self.database.read(_read_document, found)
            return await self.threads.run(found.owner, DOCS, work, text)

        return await self.kept.get((make.__name__, found), begin)

    def _flow_article(self, found: _ShownFlow, document: Document) -> bytes:
        flow = found.flow
        sample, _ = shown_payload(document)
        endpoint = _HERE + endpoint_path(flow.id)
        examples = code_examples(endpoint, files_to_send(input_fields(document), sample))
        text = self.templates.get_template("flow.html").render(
            flow={
                "id": flow.id,
                "title": flow.title,
                "description": flow.description,
                "live": flow.live,
            },
            endpoint=endpoint,
            path=endpoint_path(flow.id),
            sample=json.dumps(sample, indent=2, ensure_ascii=False),
            fields=field_rows(payload_schema(input_fields(document)), open_files=False),
            files=_file_fields(document),
            result=field_rows(result_schema(document, CATALOG)),
            examples=[("curl", examples.curl), ("Python", examples.python), ("JavaScript", examples.javascript)],
            errors=_errors(),
            job_errors=[(code, text[0]) for code, text in JOB_ERROR_TEXTS.items()],
        )
        return text.encode()

    def _flow_markdown(self, found: _ShownFlow, document: Document) -> bytes:
        page = self._flow_article(found, document).decode()
        return as_markdown(page, f"{_HERE}/docs/flows/{found.flow.id}").encode()

    def _flow_openapi(self, found: _ShownFlow, document: Document) -> bytes:
        flow = found.flow
        contract = contract_of(
            document,
            flow_id=flow.id,
            title=flow.title,
            description=flow.description,
            version=found.version,
        )
        return bytes(JSONResponse(flow_document(self.api_document(), contract, _HERE)).body)

    async def missing(self, request: Request) -> Response:
        """Answers 404 with a page that names what is missing and links to the index, or with a line of text when no
        HTML page was requested. What is left of an address without its last part, like `/docs/guides`, leads to the index.

        Somebody who is not signed in is sent to the sign-in page for flows, whether the flow exists or not.
        """
        path = request.url.path
        if path.endswith("/"):
            return RedirectResponse(path.rstrip("/"))
        page = path.removesuffix(".md")
        kind, _, name = page.removeprefix("/docs/").partition("/")
        if kind == "flows" and await self._person(request) is None:
            return RedirectResponse(f"/sign-in?next={path}", 303)
        if page.removeprefix("/docs/") in _KINDS:
            return RedirectResponse("/docs.md" if path.endswith(".md") else "/docs")
        told = f"There is no {_KINDS[kind]} `{name}`." if kind in _KINDS and name else f"There is no page `{page}`."
        if path.endswith((".md", ".json", ".txt")):
            text = f"{told} All pages are listed at {self._base(request)}/llms.txt\n"
            return PlainTextResponse(text, 404)
        answer = await self._page(request, "missing.html", "Not found", told=told, in_markdown=False)
        answer.status_code = 404
        return answer

    async def _flow(self, request: Request) -> tuple[Person | None, _ShownFlow | None]:
        person = await self._person(request)
        workspace_id = person.workspace_id if person else None
        return person, await self.database.read(_find_flow, workspace_id, request.path_params["flow_id"])

    async def _found(self, request: Request) -> tuple[str, list[Entry]]:
        """Returns the search query and its results."""
        query = request.query_params.get("q", "")[:_LONGEST_QUERY]
        return query, await asyncio.to_thread(lambda: search(_entries(self.api_document), query))

    async def _person(self, request: Request) -> Person | None:
        return await self.database.read(find_signed_in, request.cookies.get(COOKIE, ""))

    def _base(self, request: Request) -> str:
        called = f"{request.url.scheme}://{request.url.netloc}"
        return self.settings.public_url or (called if _PLAIN_URL.fullmatch(called) else _ANY_SERVER)

    async def _text(self, request: Request, name: str, title: str) -> Response:
        """Returns a page that is written in Markdown."""
        base = self._base(request)
        if request.url.path.endswith(".md"):
            text = _at(_source(name), name, base).replace("](/docs", f"]({base}/docs")
            return PlainTextResponse(text, media_type="text/markdown")
        body = Markup(_at(_guide_html(name), name, escape(base)))  # noqa: S704 - cleaned by nh3, the address is escaped
        return await self._page(request, "text.html", title, body=body, sections=_sections(name))

    async def _page(
        self, request: Request, template: str, title: str, person: Person | None = None, **values: Any
    ) -> Response:
        """Renders a page; returns its article as Markdown when the URL ends with `.md`."""
        person = person or await self._person(request)
        here = request.url.path.removesuffix(".md")
        text = self.templates.get_template(template).render(
            title=title,
            here=here,
            navigation=_navigation(self.api_document),
            theme=request.cookies.get("fp_theme", ""),
            signed_in=person is not None,
            **{"query": "", "in_markdown": True} | values,
        )
        if here != request.url.path:
            return PlainTextResponse(_markdown(text, self._base(request) + here), media_type="text/markdown")
        return HTMLResponse(text)


@functools.cache
def _whole_openapi(api_document: ApiDocument) -> bytes:
    return bytes(JSONResponse(served_at(api_document(), _HERE)).body)


def _based(made: bytes, base: str) -> bytes:
    """Returns what is kept with the URL of this server."""
    return made.replace(_HERE.encode(), base.encode())


def _come_again() -> Response:
    told = (
        "The docs of this workspace's flows are being made for many visitors. Load the page again in a few seconds.\n"
    )
    return PlainTextResponse(told, 503, headers={"Retry-After": "5", "Cache-Control": "no-store"})


@functools.cache
def _navigation(api_document: ApiDocument) -> list[tuple[str, list[tuple[str, str]]]]:
    return [
        ("Guides", [(name, f"/docs/guides/{path}") for path, name in GUIDES.items()]),
        (
            "Reference",
            [("The whole API", "/docs"), ("Nodes", "/docs/nodes"), ("Changes of the API", "/docs/changes")],
        ),
        ("Calls", [(call.title, f"/docs/api/{call.id}") for call in _operations(api_document).values()]),
    ]


@functools.cache
def _operations(api_document: ApiDocument) -> Mapping[str, OperationPage]:
    return operation_pages(api_document())


@functools.cache
def _entries(api_document: ApiDocument) -> tuple[Entry, ...]:
    """Returns the entries that the search uses."""
    found: list[Entry] = []
    for name, title in GUIDES.items():
        sections = [(heading, anchor, plain(text)) for heading, anchor, text in guide_sections(_source(name))]
        found += guide_entries(title, f"/docs/guides/{name}", sections)
    found.append(Entry("Guide", "Changes of the API", "/docs/changes", plain(_source(CHANGES))))
    for call in _operations(api_document).values():
        rows = [row for _, rows in call.parameters for row in rows]
        fields = " ".join(dict.fromkeys(row["name"] for answer in call.answers for row in answer["rows"]))
        text = " ".join(
            [call.id, call.method, call.path, *call.description, words_of(rows), fields, "curl Python JavaScript"]
        )
        found.append(Entry("Call", call.title, f"/docs/api/{call.id}", plain(text)))
    for kind in dict.fromkeys(PUBLISHED):
        text = " ".join([title_of(kind), str(status_of(kind)), *ERROR_TEXTS[kind.code]])
        found.append(Entry("Error", kind.code, f"/docs/errors/{kind.code}", plain(text)))
    for code, texts in JOB_ERROR_TEXTS.items():
        found.append(Entry("Error", code, f"/docs/errors/{code}", plain(" ".join(texts))))
    for kind in NODE_TYPES:
        text = " ".join([kind.tooltip, kind.help, *kind.config.model_fields, *kind.inputs.model_fields])
        found.append(Entry("Node", kind.title, f"/docs/nodes/{kind.type}", plain(text), kind.synonyms))
    return tuple(found)


@functools.cache
def _source(name: str) -> str:
    """Returns the Markdown of a guide. Its links, which lead from file to file, or to a server on this machine for pages that
    are in no file, are turned into paths of the docs.
    """

    def path(link: re.Match[str]) -> str:
        file, section = link.groups("")
        return f"]({'/docs/changes' if file == CHANGES else f'/docs/guides/{file}'}{section})"

    text = (ASSETS / "help" / f"{name}.md").read_text(encoding="utf-8")
    return _LINK_TO_FILE.sub(path, text).replace(f"]({_ON_THIS_MACHINE}/docs", "](/docs")


@functools.cache
def _guide_html(name: str) -> Markup:
    """Cached, because the pages are public and may be requested often."""
    return guide_html(_source(name))


@functools.cache
def _sections(name: str) -> list[tuple[str, str]]:
    """Returns heading and anchor of the sections of a guide, in the order of the page; few of them are none."""
    found = [(plain(heading), anchor) for heading, anchor, _ in guide_sections(_source(name)) if anchor]
    return found if len(found) >= _FEWEST_SECTIONS else []


def _at(text: str, name: str, base: str) -> str:
    """Inserts the URL of this server into a text, so that its code can be run unchanged. Guides that are about any
    server are not changed.
    """
    return str(text) if name in _ABOUT_ANY_SERVER else str(text).replace(_ANY_SERVER, base)


@functools.lru_cache(maxsize=128)
def _markdown(page: str, address: str) -> str:
    return as_markdown(page, address)


@functools.cache
def _node_parts(node_type: str) -> tuple[dict[str, Any], Markup]:
    """Returns the template variables of a node type's page and its help as HTML. Cached."""
    kind = CATALOG[node_type]
    return node_page(kind), Markup(clean_html(kind.help))  # noqa: S704 - cleaned by nh3


def _errors() -> list[dict[str, Any]]:
    return [{"code": kind.code, "status": status_of(kind)} for kind in dict.fromkeys(PUBLISHED)]


def _spoken(text: object) -> Markup:
    """Returns text as HTML with `names in backticks` as code; HTML as it is."""
    if isinstance(text, Markup):
        return text
    code = Markup("<code>{}</code>")
    pieces = str(text).split("`")
    return Markup("").join(code.format(piece) if at % 2 else piece for at, piece in enumerate(pieces))


def _job_error(code: str) -> dict[str, Any]:
    title, why, todo = JOB_ERROR_TEXTS[code]
    message, node_id, label = JOB_ERROR_EXAMPLES[code]
    attempts = MAX_ATTEMPTS if code == JobErrorCode.WORKER_LOST else 1
    error = {"code": code, "message": message, "node_id": node_id, "node_label": label, "item_index": None}
    job = {
        "job_id": "job_7Qm2VxK1n5RtY8wB3cD0fG",
        "status": "failed",
        "result": None,
        "error": {**error, "attempts": attempts},
    }
    where = (
        "Where it stands",
        "in the `error` of a job that failed; the call itself was accepted with 202, or with `wait` answered 200 with the job, of which the example below shows a part",
    )
    example = json.dumps(job, indent=2, ensure_ascii=False)
    return {"code": code, "title": title, "where": where, "why": why, "todo": todo, "example": example}


def _find_flow(session: Session, workspace_id: str | None, flow_id: str) -> _ShownFlow | None:
    """Returns the flow with what its docs describe: the live version, else the newest one. For a flow without versions,
    people of its workspace see the draft.
    """
    found = find_public_docs_flow(session, workspace_id, flow_id)
    if found is None:
        return None
    owner, flow = found
    number = flow.live_version or flow.newest_version
    if not number and owner != workspace_id:
        return None
    revision = 0 if number else get_draft(session, owner, flow_id).revision
    shown = _Shown(flow.id, flow.title, flow.description, flow.live_version is not None)
    return _ShownFlow(owner, shown, number, revision)


def _read_document(session: Session, found: _ShownFlow) -> str:
    """Returns the document that the docs describe.

    The example of the docs is a saved sample or generated, never the input of a run, which may be private.
    """
    owner, flow_id = found.owner, found.flow.id
    if found.version:
        return get_version(session, owner, flow_id, found.version).document
    return get_draft(session, owner, flow_id).document


def _file_fields(document: Document) -> list[dict[str, Any]]:
    """Returns the fields of the request that are a file or a list of files: name, and whether it is a list."""
    return [
        {"name": str(field.get("name")), "several": field.get("type") == "array"}
        for field in input_fields(document)
        if field.get("type") in {"file", "array"} and takes_files([field])
    ]
