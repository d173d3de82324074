"""The docs pages: guides, a page for every error code, and the page of a flow for those who may see it."""

import base64
import hmac
import json
import re
import shutil
import sys
from html import unescape
from urllib.parse import urldefrag, urljoin

import httpx
import pytest
from fastapi import FastAPI
from selectolax.lexbor import LexborHTMLParser

from api.app import api_document
from api.docs.error_texts import ERROR_TEXTS
from api.docs.job_error_texts import JOB_ERROR_EXAMPLES, JOB_ERROR_TEXTS
from api.docs.markdown_pages import guide_html, guide_sections
from api.docs.node_reference import node_page
from api.docs.pages import GUIDES, _entries, docs_router
from api.docs.reference import operation_pages
from api.docs.schema_words import example_value, field_rows, plain_schema, type_words
from api.docs.search import Entry, search
from api.http.problem_json import PUBLISHED, problem_example
from api.http.schemas import Batch, BatchSummary, Job
from engine.actions.deployments import deploy
from engine.actions.flows import change_flow_settings, import_flow
from engine.actions.principal import command_line
from engine.actions.workspaces import ensure_workspace
from engine.core.job_status import ENDED
from engine.core.paths import ASSETS
from engine.core.settings import Settings
from engine.flow.document import Policy
from engine.jobs.job_views import ERROR_CODES
from engine.jobs.submit.check_threads import CheckThreads
from engine.nodes import CATALOG, NODE_TYPES
from tests.databases import open_database
from tests.factories import flow_file

FLOW = {
    "format": 1,
    "title": "Greeting <script>",
    "nodes": [
        {
            "id": "api_input",
            "type": "api_input",
            "config": {
                "fields": [
                    {"name": "who", "type": "string", "required": True, "max_length": 9, "description": "Whom <b>"}
                ]
            },
        },
        {"id": "t", "type": "text_template", "inputs": {"template": "Hi {{ api_input.out.who }}"}},
    ],
    "edges": [{"id": "e", "source": "api_input", "target": "t"}],
}


CALLS = operation_pages(api_document())
#: The languages whose samples repeat what may be sent again, as the page of each call says.
REPEATS = ("Python", "JavaScript")
PAGES = [
    "/docs",
    "/docs/nodes",
    "/docs/changes",
    *(f"/docs/guides/{name}" for name in GUIDES),
    *(f"/docs/api/{call}" for call in CALLS),
    *(f"/docs/errors/{code}" for code in ERROR_TEXTS | JOB_ERROR_TEXTS),
    *(f"/docs/nodes/{kind.type}" for kind in NODE_TYPES),
]


@pytest.fixture(scope="module")
def database(migrated, tmp_path_factory):
    database = open_database(shutil.copytree(migrated, tmp_path_factory.mktemp("docs") / "data"))
    yield database
    database.close()


@pytest.fixture(scope="module")
def app(database):
    """One for all tests, because creating the routes and loading the templates takes longer than most pages."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(docs_router(database, Settings(), api_document, CheckThreads(), with_pages=False))
    return app


@pytest.fixture
def flow_id(database):
    """A new flow with public docs."""
    owner = command_line(database.write_now(ensure_workspace, "free"))
    flow_id = database.write_now(import_flow, owner, flow_file(FLOW)).flow_id
    database.write_now(deploy, owner, flow_id)
    database.write_now(change_flow_settings, owner, flow_id, {"public_docs": True})
    return flow_id


@pytest.fixture
async def client(app):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://flows.test") as client:
        yield client


@pytest.mark.parametrize(
    "path", ["/docs", "/docs.md", "/docs/guides/files", "/docs/nothing", "/llms.txt", "/openapi.json"]
)
async def test_a_page_takes_no_other_method_and_asks_nobody_to_sign_in(client, path):
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"):
        answer = await client.request(method, path)

        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
        assert answer.text == f"The docs are read with GET or HEAD, not with {method}.\n"


@pytest.mark.parametrize(("with_pages", "path"), [(True, "/"), (False, "/docs")])
async def test_the_name_of_the_product_leads_to_the_pages_where_there_are_some(database, with_pages, path):
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(docs_router(database, Settings(), api_document, CheckThreads(), with_pages=with_pages))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://flows.test") as client:
        page = (await client.get("/docs/guides/files")).text
    assert f'<a href="{path}">Flowport</a>' in page


async def test_the_quick_start_names_every_page_of_the_practice_site(client):
    guide = (await client.get("/docs/guides/quick-start.md")).text
    pages = re.findall(
        r"<loc>https://practice\.flowport\.example(/[^<]*)</loc>", (ASSETS / "practice/sitemap.xml").read_text()
    )
    assert len(pages) >= 12
    assert [path for path in pages if f"`{path}`" not in guide] == []


def test_every_published_code_has_a_text():
    assert {kind.code for kind in PUBLISHED} == set(ERROR_TEXTS)
    assert set(JOB_ERROR_TEXTS) == ERROR_CODES
    assert not ERROR_TEXTS.keys() & JOB_ERROR_TEXTS.keys()


@pytest.mark.parametrize("code", sorted(ERROR_TEXTS | JOB_ERROR_TEXTS))
async def test_every_error_code_has_a_page(client, code):
    answer = await client.get(f"/docs/errors/{code}")
    assert answer.status_code == 200
    assert f"<h1><code>{code}</code></h1>" in answer.text
    assert "`" not in answer.text.partition("<pre")[0], "names stand as code"


async def test_a_lost_worker_was_tried_as_often_as_its_example_says(client):
    page = (await client.get("/docs/errors/worker_lost.md")).text
    assert "stopped 3 times" in page
    assert '"attempts": 3' in page


def test_the_example_of_every_error_says_more_than_its_title():
    assert JOB_ERROR_EXAMPLES.keys() == JOB_ERROR_TEXTS.keys()
    assert {node for _, node, _ in JOB_ERROR_EXAMPLES.values()} <= {None, *(kind.type for kind in NODE_TYPES)}
    examples = {kind.code: problem_example(kind) for kind in PUBLISHED}
    assert [code for code, example in examples.items() if example["detail"] == example["title"]] == []
    assert examples["invalid_parameter"]["detail"].startswith("`wait`")


async def test_the_codes_of_failed_jobs_are_listed_too(client, flow_id):
    for path in ("/docs", f"/docs/flows/{flow_id}"):
        page = (await client.get(path)).text
        assert [code for code in ERROR_CODES if f'"/docs/errors/{code}"' not in page] == []


@pytest.mark.parametrize("name", GUIDES)
async def test_every_guide_is_there_and_links_lead_somewhere(client, name):
    answer = await client.get(f"/docs/guides/{name}")
    assert answer.status_code == 200
    assert f"<h1>{GUIDES[name]}" in answer.text


GUIDE_FILES = sorted((ASSETS / "help").glob("*.md"))


def anchors_of(file) -> set[str]:
    return {anchor for _, anchor, _ in guide_sections(file.read_text(encoding="utf-8"))}


@pytest.mark.parametrize("file", GUIDE_FILES, ids=lambda file: file.stem)
async def test_a_link_of_a_guide_leads_somewhere_in_the_repository_and_when_served(client, file):
    """What is in no file is linked as on this machine, at the address that the server has unless told otherwise."""
    here = re.findall(r"\]\(([^)]+)\)", file.read_text(encoding="utf-8"))
    for link in here:
        name, _, section = link.partition("#")
        if not link.startswith("http"):
            target = file.parent / name if name else file
            assert target in GUIDE_FILES, link
            assert not section or section in anchors_of(target), link
    path = "/docs/changes" if file.stem == "api-changes" else f"/docs/guides/{file.stem}"
    in_markdown = (await client.get(f"{path}.md")).text
    served = [link.removeprefix("http://flows.test") for link in re.findall(r"\]\(([^)]+)\)", in_markdown)]
    in_html = re.findall(r'href="([^"]+)"', (await client.get(path)).text.split("<article")[1])
    assert len(served) == len(here)
    assert {unescape(link) for link in in_html} >= set(served)
    for link in served:
        path, _, section = link.partition("#")
        if path:
            assert link.startswith(("/docs/", "https://"))
        if path.startswith("/"):
            page = await client.get(path)
            assert page.status_code == 200, link
            assert not section or f'id="{section}"' in page.text, link


@pytest.mark.parametrize("file", GUIDE_FILES, ids=lambda file: file.stem)
def test_a_numbered_list_of_a_guide_is_one_list(file):
    """Code between two steps that does not belong to the first one ends the list, and the next begins with 1 again."""
    text = file.read_text(encoding="utf-8")
    numbers = [number for number in re.findall(r"^(\d+)\. ", text, re.MULTILINE) if number != "1"]
    lists = re.findall(r"(?s)<ol>(.*?)</ol>", guide_html(text))
    assert sum(len(re.findall("<li>", one)) - 1 for one in lists) == len(numbers)


async def test_a_long_guide_lists_its_sections(client):
    page = (await client.get("/docs/guides/hosting")).text
    listed = re.findall(r'<li><a href="#([^"]+)">', page.split("<article")[0])
    assert listed == re.findall(r'<h2 id="([^"]+)">', page)
    assert "fd-sections" not in (await client.get("/docs/guides/quick-start")).text


@pytest.mark.parametrize("kind", NODE_TYPES, ids=lambda kind: kind.type)
async def test_every_node_has_a_page_with_all_its_fields_and_an_example(client, kind):
    answer = await client.get(f"/docs/nodes/{kind.type}")
    assert answer.status_code == 200
    page = answer.text
    assert f"<h1>{kind.title}</h1>" in page
    shown = [*kind.config.model_fields, *kind.inputs.model_fields]
    shown += [] if kind.type in {"api_input", "api_output"} else Policy.model_fields
    assert [name for name in shown if f"<code>{name}</code>" not in page] == []
    assert f"&#34;type&#34;: &#34;{kind.type}&#34;" in page
    assert "{{ node" not in page
    assert "<code></code>" not in page, "a choice without its value"
    assert f'href="/docs/nodes/{kind.type}"' in (await client.get("/docs/nodes")).text


@pytest.mark.parametrize("kind", ["condition", "filter_list", "dataset_source"])
async def test_the_setting_for_capitals_is_told_as_the_document_has_it(client, kind):
    """The form has its opposite as a switch, whose help would say the contrary here."""
    page = (await client.get(f"/docs/nodes/{kind}.md")).text
    assert "`true`: capitals make no difference" in page
    assert "When it is on" not in page


def test_a_setting_with_a_default_that_may_be_empty_tells_both():
    rows = {row["name"]: row["rules"] for row in node_page(CATALOG["agent"])["settings"]}
    assert rows["max_cost_usd"] == ["At most 10000", "Default: 1, when it is left out", "Empty is `null`"]
    assert rows["max_steps"][-1] == "Default: 10"


async def test_an_unknown_node_has_no_page_and_the_index_leads_to_the_nodes(client):
    assert (await client.get("/docs/nodes/nothing")).status_code == 404
    assert '"/docs/nodes"' in (await client.get("/docs")).text


async def test_the_flow_page_shows_schema_endpoint_and_code_as_text(client, flow_id):
    page = (await client.get(f"/docs/flows/{flow_id}")).text
    assert f"http://flows.test/public/v1/flows/execute/{flow_id}" in page
    assert "At most 9 characters" in page
    assert "FLOWPORT_API_KEY" in page
    assert "<script>" not in page.replace('<script src="/assets/docs/docs.js" defer></script>', "")
    assert "Whom &lt;b&gt;" in page


async def test_the_flows_document_has_its_own_path(client, flow_id):
    document = (await client.get(f"/docs/flows/{flow_id}/openapi.json")).json()
    assert f"/public/v1/flows/execute/{flow_id}" in document["paths"]


async def test_strangers_sign_in_first_unless_the_docs_are_public(client, database, flow_id):
    owner = command_line(database.write_now(ensure_workspace, "free"))
    database.write_now(change_flow_settings, owner, flow_id, {"public_docs": None})
    for path in (f"/docs/flows/{flow_id}", "/docs/flows/flow_unknown"):
        answer = await client.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/sign-in?next={path}")


async def test_an_unknown_page_is_not_found(client):
    for path in ("/docs/guides/nope", "/docs/errors/nope", "/docs/api/nope", "/docs/api/nope.md", "/docs/guides/.md"):
        assert (await client.get(path)).status_code == 404


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/docs/errors/nosuch", "There is no error code nosuch."),
        ("/docs/guides/nosuch", "There is no guide nosuch."),
        ("/docs/api/nosuch", "There is no call nosuch."),
        ("/docs/nodes/nosuch", "There is no node nosuch."),
        ("/docs/nosuch/<b>x", "There is no page /docs/nosuch/<b>x."),
    ],
)
async def test_an_unknown_address_says_what_is_missing_and_leads_to_the_index(client, path, told):
    answer = await client.get(path)
    article = LexborHTMLParser(answer.text).css_first("article")
    assert answer.status_code == 404
    assert article.css_first(".fd-lead").text() == told
    assert "/docs" in [link.attributes["href"] for link in article.css("a")]
    assert f"{path}.md" not in answer.text

    as_text = await client.get(f"{path}.md")
    assert (as_text.status_code, as_text.headers["content-type"]) == (404, "text/plain; charset=utf-8")
    assert as_text.text.replace("`", "") == f"{told} All pages are listed at http://flows.test/llms.txt\n"


@pytest.mark.parametrize("kind", ["guides", "api", "errors"])
async def test_an_address_without_its_last_part_leads_to_the_index(client, kind):
    for path, leads_to in ((f"/docs/{kind}", "/docs"), (f"/docs/{kind}.md", "/docs.md")):
        answer = await client.get(path)
        assert (answer.status_code, answer.headers["location"]) == (307, leads_to)


async def test_a_slash_at_the_end_of_an_address_does_no_harm(client):
    for path in ("/docs/", "/docs/guides/batch/"):
        assert (await client.get(path, follow_redirects=True)).status_code == 200


def test_the_examples_of_answers_show_states_that_can_be():
    examples = {
        call.id: json.loads(answer["example"])
        for call in CALLS.values()
        for answer in call.answers
        if answer["kind"] == "application/json" and answer["example"]
    }
    bodies = [one for example in examples.values() for one in example.get("data", [example])]
    jobs = [Job.model_validate_json(json.dumps(body)) for body in bodies if "attempts" in body]
    assert len(jobs) >= 4
    for job in jobs:
        assert (job.status in ENDED) == (job.completed_at is not None) == (job.execution_time_seconds is not None)
        assert job.progress.steps_done == job.progress.steps_total or job.status != "completed"
        assert (job.result is not None) == (job.status == "completed" and job.data_erased_at is None)
        assert not job.simulated
    batches = [body for body in bodies if {"batch_id", "queued"} <= body.keys()]
    assert len(batches) >= 3
    for body in batches:
        batch = (Batch if "job_ids" in body else BatchSummary).model_validate_json(json.dumps(body))
        counts = [batch.queued, batch.processing, batch.completed, batch.failed, batch.cancelled]
        assert sum(counts) == batch.total
        assert (batch.status == "completed") == (batch.completed_at is not None) == (not any(counts[:2]))
    assert len(examples["get_batch"]["job_ids"]) == examples["get_batch"]["total"]
    assert examples["cancel_job"]["status"] == "cancelled"
    assert examples["erase_job_data"]["data_erased_at"] is not None
    answered, sent = examples["answer_question"], json.loads(CALLS["answer_question"].body["example"])
    assert (answered["status"], answered["link"]) == ("approved", None)
    assert sent == {"approved": True, "note": answered["note"]}, "values of another question would be refused"
    assert answered["answered_at"] and answered["answered_by"]


async def test_the_codes_of_wrong_fields_are_listed(client):
    guide = (await client.get("/docs/guides/errors.md")).text
    codes = "required unknown_field type_error enum format minimum maximum min_length max_length min_items max_items pattern"
    codes = [*codes.split(), "file_not_found", "file_kind", "file_size"]
    assert [code for code in codes if f"`{code}`" not in guide] == []
    told = api_document()["components"]["schemas"]["WrongField"]["properties"]["code"]["description"]
    assert [code for code in codes if f"`{code}`" not in told] == []


def test_fields_are_told_in_words():
    schema = {
        "type": "object",
        "required": ["a"],
        "properties": {
            "a": {"type": "array", "items": {"type": "object", "properties": {"b": {"type": ["string", "null"]}}}},
            "c": {"enum": ["x", 1], "type": "string", "default": "x"},
            "d": {"enum": ["", " ", "ä"], "type": "string", "default": ""},
            "e": {"type": "string", "minLength": 1, "maxLength": 2_000},
            "f": {"type": "array", "minItems": 0, "maxItems": 1, "items": {}},
            "g": {"type": "number", "minimum": 1, "maximum": 2.5},
            "h": {"type": "string", "minLength": "of a draft"},
        },
    }
    rows = field_rows(schema)
    assert [(row["name"], row["type"], row["required"]) for row in rows] == [
        ("a", "List of Group", True),
        ("a[].b", "Text or null", False),
        ("c", "Text", False),
        ("d", "Text", False),
        ("e", "Text", False),
        ("f", "List", False),
        ("g", "Number", False),
        ("h", "Text", False),
    ]
    assert rows[2]["rules"] == ["Default: x", "One of: x, 1"]
    assert rows[3]["rules"] == ['Default: ""', 'One of: "", " ", ä']
    assert rows[4]["rules"] == ["At least 1 character", "At most 2,000 characters"]
    assert rows[5]["rules"] == ["At least 0 items", "At most 1 item"]
    assert rows[6]["rules"] == ["At least 1", "At most 2.5"]
    assert rows[7]["rules"] == ["At least of a draft characters"]
    assert type_words({"type": "string", "format": "uri"}) == "Web address"


@pytest.mark.parametrize("path", ["/docs/guides/hosting", f"/docs/nodes/{NODE_TYPES[0].type}", "/docs/openapi.json"])
async def test_what_every_stranger_may_read_is_made_once(client, path):
    """Counts calls of Python functions instead of time: rendering a page takes tens of thousands of them."""
    first = await client.get(path)
    calls = 0

    def count(_frame, event, _arg):
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        again = await client.get(path)
    finally:
        sys.setprofile(None)
    assert again.status_code == 200
    assert again.text == first.text
    assert calls < 6_000


async def test_the_document_of_the_api_names_the_address_it_was_asked_at(client):
    for host in ("one.test", "two.test"):
        document = (await client.get("/docs/openapi.json", headers={"host": host})).json()
        assert document["servers"] == [{"url": f"http://{host}"}]


async def test_the_address_that_people_try_leads_to_the_document(client):
    answer = await client.get("/openapi.json")
    assert (answer.status_code, answer.headers["location"]) == (307, "/public/v1/openapi.json")


async def test_patterns_stand_as_code(client):
    for path in ("/docs/api/run_flow", "/docs/api/list_jobs"):
        page = LexborHTMLParser((await client.get(path)).text)
        markdown = (await client.get(f"{path}.md")).text
        told = [
            one["schema"]["pattern"]
            for place in api_document()["paths"].values()
            for call in place.values()
            if call["operationId"] == path.rpartition("/")[2]
            for one in call["parameters"]
            if "pattern" in one["schema"]
        ]
        shown = [code.text() for code in page.css("td code")]
        assert told
        assert [one for one in told if one not in shown or f"`{one}`".replace("|", "\\|") not in markdown] == []


async def test_every_link_of_every_page_leads_somewhere(client, flow_id):
    """Follows links from the index, so it also checks that every page can be reached and every anchor exists."""
    seen: dict[str, LexborHTMLParser] = {}
    wanted = {("/docs", ""), (f"/docs/flows/{flow_id}", "")}
    checked: set[tuple[str, str]] = set()
    while wanted:
        path, place = wanted.pop()
        checked.add((path, place))
        if path not in seen:
            answer = await client.get(path)
            assert answer.status_code == 200, path
            html = answer.headers["content-type"].startswith("text/html")
            seen[path] = LexborHTMLParser(answer.text if html else "")
        assert not place or seen[path].css_first(f"[id='{place}']") is not None, f"{path}#{place}"
        for link in seen[path].css("a"):
            url, fragment = urldefrag(urljoin(f"http://flows.test{path}", link.attributes["href"] or ""))
            if url.startswith("http://flows.test/"):
                wanted |= {(url.removeprefix("http://flows.test"), fragment)} - checked
    assert [path for path in PAGES if path not in seen] == []


async def test_the_markdown_of_every_page_has_only_links_that_lead_somewhere(client):
    for path in PAGES:
        text = (await client.get(f"{path}.md")).text
        assert "](/" not in text, "a link leads somewhere wherever the text is read"
        for link in re.findall(r"\]\(http://flows\.test(/[^)#]*)", text):
            assert (await client.get(link)).status_code == 200, (path, link)


async def test_code_in_the_markdown_of_a_page_names_its_language(client, flow_id):
    paths = [path for path in PAGES if path.startswith(("/docs/api/", "/docs/errors/"))]
    for path in (*paths, f"/docs/flows/{flow_id}"):
        begins = re.findall(r"^```(.*)$", (await client.get(f"{path}.md")).text, re.MULTILINE)[::2]
        assert set(begins) <= {"json", "text", "sh", "python", "javascript"}, path
    assert begins == ["json", "sh", "python", "javascript"]


@pytest.mark.parametrize("call", CALLS.values(), ids=lambda call: call.id)
async def test_every_call_of_the_document_has_a_page_with_all_that_the_document_says(client, call):
    page = LexborHTMLParser((await client.get(f"/docs/api/{call.id}")).text)
    article = page.css_first("article")
    text = article.text()
    assert article.css_first("h1").text() == call.title
    assert f"http://flows.test{call.path}" in text
    names = [cell.text() for cell in article.css("td:first-child code")]
    rows = [row for _, rows in call.parameters for row in rows]
    rows += call.body["rows"] if call.body else []
    answered = [row for answer in call.answers for row in (*answer["rows"], *answer["headers"])]
    assert [row["name"] for row in answered if not row["description"]] == []
    rows += answered
    assert [row["name"] for row in rows if row["name"] not in names] == []
    codes = [error["code"] for error in call.errors]
    assert len(codes) == len(set(codes)), "each code stands once, whatever examples it has"
    assert {block.attributes["data-language"] for block in article.css("pre[data-language]")} == {
        "curl",
        "Python",
        "JavaScript",
    }
    assert ("It needs no key." in text) is not call.needs_key
    samples = {block.attributes["data-language"]: block.text() for block in article.css("pre[data-language]")}
    assert [name for name, code in samples.items() if ("API_KEY" in code) is not call.needs_key] == []
    repeating = ("curl", *REPEATS) if call.id == "run_flow" else REPEATS
    assert ("The curl code sends its request once." in text) is ("curl" not in repeating)
    for name in repeating:
        assert "Retry-After" in samples[name] or "retry-after" in samples[name], (
            f"{name} repeats what may be sent again"
        )
    links = {link.attributes["href"] for link in article.css("a")}
    assert call.errors
    assert [error["code"] for error in call.errors if f"/docs/errors/{error['code']}" not in links] == []


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_is_there_as_markdown(client, path):
    page = LexborHTMLParser((await client.get(path)).text)
    answer = await client.get(f"{path}.md")

    assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
    assert answer.text.lstrip().split("\n")[0].strip("# `") or path.startswith("/docs/api")
    (heading,) = page.css("h1")
    assert re.search(rf"^# `?{re.escape(heading.text())}`?$", answer.text, re.MULTILINE)
    assert page.css_first("link[rel=alternate]").attributes["href"] == f"{path}.md"
    assert "<" not in re.sub(r"```.*?```|`[^`]*`|\\\\<", "", answer.text, flags=re.DOTALL)


@pytest.mark.parametrize(
    ("node", "told"),
    [
        (
            "read_document",
            ["With the setting `as: tables` it has no `markdown`, and also holds:", "| `tables[].rows` |"],
        ),
        ("array_splitter", ["`array_splitter.index`", "`array_splitter.total`"]),
        ("approval", ["Usually 60 seconds. It does not run while the step waits for a person."]),
        ("api_input", ["It may take 300 seconds.", "no blanks, no second `@`, at most 254 characters"]),
    ],
)
async def test_the_page_of_a_node_tells_what_the_example_does_not_show(client, node: str, told: list[str]):
    text = (await client.get(f"/docs/nodes/{node}.md")).text
    assert [words for words in told if words not in text] == []


async def test_the_bytes_of_a_file_are_no_text(client):
    assert "| `file` | File |" in (await client.get("/docs/api/upload_file.md")).text
    assert "\ntext\n" not in (await client.get("/docs/api/download_file.md")).text


async def test_the_help_of_nodes_is_shown_as_it_is_written(client):
    """A Markdown fence inside inline code is text, and so is a `<`."""
    page = LexborHTMLParser((await client.get("/docs/nodes/parse_json")).text)
    markdown = (await client.get("/docs/nodes/parse_json.md")).text
    shown = 'Here you are:\n```json\n{"title": "Bread"}\n```\n'
    assert page.css_first(".fp-md pre").text() == shown
    assert f"````\n{shown}````" in markdown
    assert "`(?P<day>\\d{4}-\\d{2}-\\d{2})`" in (await client.get("/docs/nodes/extract_pattern.md")).text
    assert "`<`" in (await client.get("/docs/nodes/text_template.md")).text


def test_the_call_to_try_a_check_of_signatures_with_is_signed_right():
    guide = (ASSETS / "help" / "webhooks.md").read_text(encoding="utf-8")
    call = dict(re.findall(r"^(secret|webhook-\w+|body) +(\S.*)$", guide.rpartition("```text\n")[2], re.MULTILINE))
    signed = f"{call['webhook-id']}.{call['webhook-timestamp']}.{call['body']}".encode()
    key = base64.b64decode(call["secret"].removeprefix("whsec_"))
    mac = base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    assert call["webhook-signature"] == f"v1,{mac}"
    assert len(call["body"]) == 131


async def test_llms_txt_names_every_page(client):
    answer = await client.get("/llms.txt")

    assert answer.text == (await client.get("/docs/llms.txt")).text
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    title, summary = answer.text.split("\n\n")[:2]
    assert title == "# Flowport"
    assert summary.startswith("> ")
    assert [path for path in PAGES if f"](http://flows.test{path}.md)" not in answer.text] == []
    listed = [line for line in answer.text.splitlines() if line.startswith("- ")]
    assert [
        line for line in listed if not re.fullmatch(r"- \[[^\]]+\]\(http://flows\.test/[^)]+\.md\): .+", line)
    ] == []


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("idempotency", "/docs/guides/idempotency"),
        ("Run a flow", "/docs/api/run_flow"),
        ("validation_failed", "/docs/errors/validation_failed"),
        ("page scraper", "/docs/nodes/page_scraper"),
        ("Last-Event-ID", "/docs/api/stream_job_events"),
        ("webhook", "/docs/guides/webhooks"),
        ("paginations", "/docs/guides/pagination"),
        ("retrying", "/docs/guides/errors"),
        ("null", "/docs/guides/jobs-and-polling"),
        ("nesting", "/docs/errors/invalid_json"),
        ("GDPR", "/docs/guides/jobs-and-polling"),
        ("bulk", "/docs/guides/batch"),
        ("time zones", "/docs/guides/pagination"),
        ("verify webhook", "/docs/guides/webhooks"),
        ("whsec", "/docs/guides/webhooks"),
        ("max body size", "/docs/errors/body_too_large"),
        ("maximum size", "/docs/guides/files"),
        ("node.js", "/docs/guides/quick-start"),
        ("typescript", "/docs/api/run_flow"),
        ("curl", "/docs/guides/quick-start"),
        ("file upload", "/docs/guides/files"),
        ("region", "/docs/guides/hosting"),
        ("unsubscribe", "/docs/guides/webhooks"),
        ("secert", "/docs/guides/webhooks"),
        ("CORS", "/docs/guides/authentication"),
        ("ports", "/docs/guides/webhooks"),
        ("flow id", "/docs/api/run_flow"),
        ("schedule", "/docs/guides/schedules"),
        ("github webhook", "/docs/guides/incoming-webhooks"),
        ("every morning", "/docs/guides/schedules"),
        ("how do I run it daily", "/docs/guides/schedules"),
        ("loop", "/docs/nodes/array_splitter"),
        ("array splitter", "/docs/nodes/array_splitter"),
        ("if", "/docs/nodes/condition"),
        ("chatgpt", "/docs/nodes/prompt"),
        ("notify", "/docs/guides/webhooks"),
        ("batch of zebras", "/docs/guides/batch"),
    ],
)
async def test_the_search_works_without_script_over_guides_calls_errors_and_nodes(client, query, first):
    page = LexborHTMLParser((await client.get("/docs/search", params={"q": query})).text)
    links = [urldefrag(link.attributes["href"]).url for link in page.css(".fd-results a")]
    assert first in links[:5]
    assert page.css_first("#ask").attributes["value"] == query


async def test_what_is_searched_for_is_shown_as_text_and_nothing_found_is_told(client):
    page = (await client.get("/docs/search", params={"q": '"><script>alert(1)</script>'})).text
    assert "<script>" not in page
    assert "The help has nothing about this" in page
    assert "has nothing about" not in (await client.get("/docs/search")).text


@pytest.mark.parametrize("path", [path for path in PAGES if path not in {"/docs", "/docs/nodes"}])
def test_every_page_can_be_found(path):
    assert path in {urldefrag(entry.path).url for entry in _entries(api_document)}


async def test_the_box_of_a_page_gets_the_same_as_the_page_of_the_search(client):
    links = (await client.get("/docs/search.json", params={"q": "webhooks"})).json()
    page = LexborHTMLParser((await client.get("/docs/search", params={"q": "webhooks"})).text)

    assert [link["path"] for link in links] == [link.attributes["href"] for link in page.css(".fd-results a")]
    assert links[0] == {"kind": "Guide", "title": "Webhooks", "path": "/docs/guides/webhooks"}
    assert (await client.get("/docs/search.json")).json() == []


def test_a_search_takes_every_word_and_puts_titles_first():
    entries = [
        Entry("Guide", "Other", "/1", "the batch and the webhook"),
        Entry("Guide", "Batch", "/2", "about a webhook"),
        Entry("Guide", "Batch", "/3", "alone"),
    ]
    assert [entry.path for entry in search(entries, " WEBHOOK batch")] == ["/2", "/1"]
    assert search(entries, "  ") == []


@pytest.mark.parametrize(
    ("query", "text"), [("retries", "retry it"), ("caching", "cached"), ("webhooks", "a webhook"), ("bulk", "batches")]
)
def test_a_search_takes_a_word_in_other_forms_and_one_that_means_the_same(query, text):
    entries = [Entry("Guide", "Other", "/1", "nothing of it"), Entry("Guide", "Other", "/2", text)]
    assert [entry.path for entry in search(entries, query)] == ["/2"]


def test_a_part_within_a_word_is_not_found_and_a_short_word_counts_in_titles_as_a_whole():
    entries = [Entry("Guide", "Idempotency", "/1", "the id, supported"), Entry("Guide", "Flow id", "/2", "ports")]
    assert [entry.path for entry in search(entries, "port")] == ["/2"]
    assert [entry.path for entry in search(entries, "id")] == ["/2", "/1"]


def test_alternatives_and_references_of_a_schema_are_told_as_one():
    document = {"parts": {"Name": {"type": "string", "description": "A name.", "examples": ["Ann"]}}}
    schema = {
        "type": "object",
        "required": ["name", "count"],
        "properties": {
            "name": {"anyOf": [{"$ref": "#/parts/Name"}, {"type": "null"}]},
            "count": {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "integer"}}]},
            "at": {"type": ["string", "null"], "format": "date-time"},
            "fixed": {"const": "x", "type": "string"},
        },
    }
    plain = plain_schema(schema, document)
    assert [(row["name"], row["type"], row["description"], row["rules"]) for row in field_rows(plain)] == [
        ("name", "Text or null", "A name.", []),
        ("count", "Whole number or List of Whole number", "", []),
        ("at", "Date and time or null", "", []),
        ("fixed", "Text", "", ["One of: x"]),
    ]
    assert example_value(plain) == {"name": "Ann", "count": 1}
