"""Which routes need a key (rule S20), and that every response under `/public` is a published one."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from sqlalchemy import text
from sqlalchemy.orm import Session

import app
from api.app import ROUTES, api_document
from api.http.addresses import is_public
from api.http.schemas import ProblemDetails
from tests.api.arrange import SERVER, House
from tests.api.who_may_call import KEY, WHO_MAY_CALL
from tests.stored import fill_disk, free_disk


def test_every_route_is_in_the_table_of_who_may_call_it():
    there = {(method, route.path) for route in ROUTES for method in route.methods}
    assert (there - set(WHO_MAY_CALL), set(WHO_MAY_CALL) - there) == (set(), set()), (
        "routes without a row in `WHO_MAY_CALL` of tests/api/who_may_call.py, and rows without a route"
    )


async def test_every_route_of_the_application_is_one_of_fastapi(house: House):
    assert isinstance(house.api, FastAPI)
    assert [route for route in house.api.routes if not isinstance(route, APIRoute)] == []
    assert house.api.routes == ROUTES


def test_every_route_of_the_api_is_published_and_the_other_way_round():
    published = {(method.upper(), path) for path, calls in api_document()["paths"].items() for method in calls}
    of_before = ("GET", "/public/v1/flows/{flow_id}/openapi.json")
    named = {call for call in WHO_MAY_CALL if call[1].startswith("/public")} - {of_before}
    hooks = {call for call in named if "/hooks/" in call[1]}  # the service that calls decides what it sends
    assert (published - named, named - hooks - published) == (set(), set()), (
        "calls in the OpenAPI document that are none, and calls that it lacks (`include_in_schema`)"
    )


@pytest.mark.parametrize(("method", "path"), [call for call, who in WHO_MAY_CALL.items() if who == KEY])
async def test_a_call_without_a_key_is_refused(house: House, method: str, path: str):
    kind = {"events": "text/event-stream", "results": "application/x-ndjson"}.get(
        path.rpartition("/")[2], "application/json"
    )
    ids = {"job_id": "job_x", "batch_id": "batch_x", "file_id": "file_x", "question_id": "ask_x"}
    address = path.format(flow_id=house.flow_id, **ids)

    response = await house.client.request(method, address, headers={"Accept": kind})

    assert (response.status_code, response.json()["code"]) == (401, "unauthorized")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/public"),
        ("GET", "/public/"),
        ("GET", "/public/v1"),
        ("GET", "/public/v2/jobs"),
        ("GET", "/public/v1/jobs/"),
        ("GET", "/public/v1/jobs/a/b/c"),
        ("POST", "/public/v1/flows/execute"),
        ("GET", "/public/v1/../v1/jobs"),
        ("GET", "/public/v1/jobs%00"),
        ("DELETE", "/public/v1/nothing"),
    ],
)
async def test_an_address_that_is_none_is_a_problem_too(house: House, method: str, path: str):
    response = await house.client.request(method, path)

    ProblemDetails.model_validate(response.json())
    assert response.headers["content-type"] == "application/problem+json"
    assert response.status_code in {401, 404}


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("//public/v1/jobs", "/public/v1/jobs"),
        ("/public//v1/jobs", "/public/v1/jobs"),
        ("/public/v1//jobs//job_1", "/public/v1/jobs/job_1"),
        ("//healthz", "/healthz"),
        ("/v1/flows/execute/flow_1", "/public/v1/flows/execute/flow_1"),
        ("//v1/jobs", "/public/v1/jobs"),
        ("/public/v1/jobs/", "/public/v1/jobs"),
        ("/public/v1/jobs/job_1/", "/public/v1/jobs/job_1"),
        ("/Public/V1/Jobs/job_Ab", "/public/v1/jobs/job_Ab"),
        ("/public/v1/batch/batch_1", "/public/v1/batches/batch_1"),
        ("/public/v1/job/job_1/cancel", "/public/v1/jobs/job_1/cancel"),
        ("/public/jobs/job_1", "/public/v1/jobs/job_1"),
        ("/public/v1/file/file_1", "/public/v1/files/file_1"),
        ("/mcp/", "/mcp"),
        ("/public/v1/mcp", "/mcp"),
        ("/public/v1/flows/flow_1", "/public/v1/flows/execute/flow_1"),
        ("/public/v1/flow/flow_1/", "/public/v1/flows/execute/flow_1"),
        ("/public/v1/flows/flow_1/execute", "/public/v1/flows/execute/flow_1"),
        ("/public/v1/flows/flow_1/run", "/public/v1/flows/execute/flow_1"),
        ("/v1/jobs/job_1/result", "/public/v1/jobs/job_1"),
        ("/public/v1/jobs/job_1/results", "/public/v1/jobs/job_1"),
        ("/public/v1/openapi/flows/flow_1", "/public/v1/openapi/flows/flow_1.json"),
        ("/public/v1/openapi/flows/flow_1.yaml", "/public/v1/openapi/flows/flow_1.json"),
        ("/v1/openapi.yaml", "/public/v1/openapi.json"),
        ("/public/v1/openapi.yml", "/public/v1/openapi.json"),
        ("/public/v1/flows/flow_1/batch", "/public/v1/flows/execute/flow_1/batch"),
        ("/Healthz/", "/healthz"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_address_that_is_nearly_right_is_told_the_right_one(house: House, method: str, asked: str, meant: str):
    response = await house.client.request(method, SERVER + asked, json={})

    problem = ProblemDetails.model_validate(response.json())
    assert (problem.status, problem.code) == (404, "not_found")
    assert problem.detail.endswith(f"Call {meant}")


@pytest.mark.parametrize("asked", ["flows/execute//batch", "jobs//cancel", "batches//results"])
async def test_an_address_whose_id_is_empty_says_so(house: House, asked: str):
    response = await house.client.post(f"{SERVER}/public/v1/{asked}", json={})

    assert response.status_code == 404
    detail = ProblemDetails.model_validate(response.json()).detail
    assert detail == "An id is missing in the address. Write it between the two slashes"


async def test_a_call_with_a_key_beside_the_api_is_answered_by_the_api(house: House):
    front = app._front(house.api.state.context.settings, house.database, house.api, FastAPI())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(front), base_url=SERVER) as client:
        for sent in ({"Authorization": f"Bearer {house.key}"}, {"X-API-Key": "fp_live_mistyped"}):
            for asked, meant in (
                ("/api/v1/jobs", "/public/v1/jobs"),
                ("/flows/execute/flow_X", "/public/v1/flows/execute/flow_X"),
                ("/jobs", "/public/v1/jobs"),
                ("/api/public/v1/file/file_1", "/public/v1/files/file_1"),
            ):
                for method in ("GET", "POST"):
                    answer = await client.request(method, asked, headers=sent, json={})
                    problem = ProblemDetails.model_validate(answer.json())
                    assert (problem.status, problem.code) == (404, "not_found")
                    assert problem.detail.endswith(f"Call {meant}")
            for nothing in (
                "/nothing",
                "/docsx",
                "/docs.foo",
                "/docs.md/",
                "/llms.txt/",
                "/llms.txtx",
                "/openapi.json/",
                "/answer/",
                "/answer/x/y",
            ):
                assert (await client.get(nothing, headers=sent)).json()["code"] == "not_found", nothing
            for for_all in (
                "/docs",
                "/docs.md",
                "/docs/api/run_flow",
                "/llms.txt",
                "/openapi.json",
                "/assets/theme.css",
                "/answer/x",
            ):
                assert "problem" not in (await client.get(for_all, headers=sent)).headers["content-type"], for_all
        for sent in ({}, {"Authorization": "Basic fp_x"}, {"X-API-Key": "of another service"}):
            assert "code" not in (await client.get("/jobs", headers=sent)).json(), "it is a page"


@pytest.mark.parametrize("asked", ["/public", "/public/", "/public/v1", "/public/v1/", "//public/v1", "/v1", "/V1/"])
async def test_the_beginning_of_all_addresses_names_a_call_that_there_is(house: House, asked: str):
    sent = {"Authorization": f"Bearer {house.key}"}
    problem = ProblemDetails.model_validate((await house.client.get(SERVER + asked, headers=sent)).json())

    assert (problem.status, problem.code) == (404, "not_found")
    assert "Call /public/v1/flows for" in problem.detail
    assert (await house.client.get(f"{SERVER}/public/v1/flows", headers=sent)).status_code == 200


async def test_a_slash_that_is_escaped_is_none(house: House):
    for asked in ("/public/v1%2fjobs", "/public%2Fv1/jobs", "/public/v1/jobs%2fjob_1"):
        answer = await house.client.get(SERVER + asked, headers={"Authorization": f"Bearer {house.key}"})
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert "%2F" in answer.json()["detail"]


@pytest.mark.parametrize("asked", ["/v1/nothing", "/public/v1/nothing/", "//public/v1/batch"])
async def test_an_address_that_is_not_there_either_is_not_told(house: House, asked: str):
    told = (await house.client.get(SERVER + asked)).json()["detail"]
    assert ("Call /public/v1/batches" in told) if asked.endswith("batch") else ("Call" not in told)


@pytest.mark.parametrize(("method", "path"), WHO_MAY_CALL)
async def test_a_wrong_method_is_refused_with_those_allowed(house: House, method: str, path: str):
    response = await house.client.request("PUT", path)

    assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")
    assert response.headers["allow"] == ("GET, HEAD" if method == "GET" else method)


async def test_a_head_of_a_stream_is_answered_without_beginning_it(house: House):
    job_id = (await house.submit()).json()["job_id"]  # the job stays queued, so its event stream does not end

    response = await house.client.head(
        f"/public/v1/jobs/{job_id}/events", headers={"Authorization": f"Bearer {house.key}"}
    )

    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-store"


async def test_every_problem_carries_the_id_of_its_request(house: House):
    response = await house.get("/nothing", headers={"X-Request-Id": "mine.1"})
    assert response.json()["request_id"] == response.headers["x-request-id"] == "mine.1"

    replaced = await house.get("/nothing", headers={"X-Request-Id": "not harmless"})
    assert replaced.json()["request_id"] == replaced.headers["x-request-id"] != "not harmless"


async def test_the_document_declares_every_header_of_an_answer(house: House):
    job_id = (await house.submit()).json()["job_id"]
    items = {"items": [{"url": "https://example.com"}]}
    batch_id = (await house.post(f"/flows/execute/{house.flow_id}/batch", items)).json()["batch_id"]
    house.finish(job_id)
    ids = {
        "flow_id": house.flow_id,
        "job_id": job_id,
        "batch_id": batch_id,
        "file_id": "file_x",
        "question_id": "ask_x",
    }
    key = {"Authorization": f"Bearer {house.key}"}
    known = {**key, "If-None-Match": (await house.get(f"/jobs/{job_id}")).headers["etag"]}
    calls = [(method, path, call) for path, calls in api_document()["paths"].items() for method, call in calls.items()]
    statuses: set[int] = set()

    for method, path, call in calls:
        for headers in ({}, known, key):
            response = await house.client.request(method, path.format(**ids), headers=headers)
            declared = {name.lower() for name in call["responses"][str(response.status_code)]["headers"]}
            sent = set(response.headers) - {"content-type", "content-length"}
            assert (sent - declared, "cache-control" in sent) == (set(), True), (method, path, response.status_code)
            statuses.add(response.status_code)
    assert statuses >= {200, 304, 400, 401, 404, 409}


async def test_no_answer_sets_a_cookie_or_opens_the_api_to_other_sites(house: House):
    for response in (await house.submit(), await house.get("/jobs"), await house.get("/nothing")):
        assert "set-cookie" not in response.headers
        assert not any(name.startswith("access-control") for name in response.headers)


async def test_a_fault_of_ours_is_answered_without_its_details(house: House, caplog: pytest.LogCaptureFixture):
    job_id = (await house.submit()).json()["job_id"]
    house.finish(job_id, "failed")
    house.database.write_now(_spoil_error, job_id)

    response = await house.get(f"/jobs/{job_id}")

    assert (response.status_code, response.json()["code"]) == (500, "internal")
    assert "Traceback" not in response.text
    assert "JSON" not in response.text
    assert [record for record in caplog.records if response.json()["request_id"] in record.getMessage()]


async def test_a_full_disk_is_answered_503_and_nothing_is_half_made(house: House):
    await house.submit()
    house.database.write_now(fill_disk)

    refused = await house.submit({"url": "https://example.com/" + "x" * 500_000})
    assert (refused.status_code, refused.json()["code"]) == (503, "storage_unavailable")
    assert refused.headers["retry-after"] == "5"

    house.database.write_now(free_disk)
    assert (await house.submit()).status_code == 202
    assert len((await house.get("/jobs")).json()["data"]) == 2


async def test_the_health_checks_answer_everybody(house: House):
    for path, status in (("/healthz", "ok"), ("/readyz", "ready")):
        response = await house.client.get(path)
        assert (response.status_code, response.json()["status"]) == (200, status), response.text
        assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("path", "ours"),
    [
        ("/public", True),
        ("/public/v1/jobs", True),
        ("/healthz", True),
        ("/readyz", True),
        ("//public/v1/jobs", True),
        ("///healthz", True),
        ("/v1", True),
        ("/v1/jobs", True),
        ("/.well-known/oauth-protected-resource/mcp", True),
        ("/publicity", False),
        ("/v11", False),
        ("//", False),
        ("//sign-in", False),
        ("/", False),
        ("/healthz/x", False),
        ("/mcp/", True),
        ("/readyz/", True),
        ("/Public/v1/jobs", True),
        ("*", True),
        ("/docs/", False),
    ],
)
def test_the_addresses_of_the_api_are_told_from_the_pages(path: str, ours: bool):
    assert is_public(path) == ours


def _spoil_error(session: Session, job_id: str) -> None:
    session.execute(text("update jobs set error = '[1]' where id = :id"), {"id": job_id})
