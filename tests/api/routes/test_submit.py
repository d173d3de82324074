from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from api.app import api_document
from api.http.schemas import Job, JobAccepted, ProblemDetails
from engine.actions.deployments import deploy, undeploy
from engine.actions.keys import revoke_key, rotate_key
from engine.actions.limits import set_plan
from engine.core.api_key_format import new_key_text
from engine.core.clock import HOUR, SECOND, month_seconds
from storage.jobs import find_job, read_value
from tests.api.arrange import House, echo_document

URL = {"url": "https://example.com"}
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
RUN = "/public/v1/flows/execute/{flow_id}"
#: A header of a submit, its value, and what the job keeps of it.
ALONE = [
    ("Cancel-After", "120", "limit_ms", 120_000),
    ("X-Flow-Version", "1", "flow_version", 1),
    ("X-Webhook-Url", "https://example.com/hook", "webhook_url", "https://example.com/hook"),
    ("traceparent", TRACE, "traceparent", TRACE),
    ("baggage", "tenant=t-1", "traceparent", "\n\ntenant=t-1"),
]


async def test_a_submit_is_answered_at_once_with_the_job(house: House):
    response = await house.submit()

    body = response.json()
    JobAccepted.model_validate(body)
    assert response.status_code == 202
    assert (body["status"], body["flow_id"]) == ("queued", house.flow_id)
    assert response.headers["location"] == body["url"] == f"/public/v1/jobs/{body['job_id']}"
    assert response.headers["retry-after"] == "2"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-request-id"].startswith("req_")


async def test_the_payload_is_stored_with_its_defaults(house: House):
    job_id = (await house.submit({"url": "https://example.com", "max_pages": None})).json()["job_id"]

    stored = house.database.read_now(read_value, job_id, "payload")

    assert stored == {"url": "https://example.com", "max_pages": None, "tags": []}


async def test_the_key_may_come_as_x_api_key(house: House):
    response = await house.client.post(
        f"/public/v1/flows/execute/{house.flow_id}", json=URL, headers={"X-API-Key": house.key}
    )
    assert response.status_code == 202


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ("X-API-Key", "`Authorization` and `X-API-Key` name two keys"),
        ("Authorization", "`Authorization` is sent twice"),
    ],
)
async def test_headers_that_name_two_keys_are_refused_whatever_the_keys_are(house: House, second: str, said: str):
    """A proxy may have added one of the keys, so it is undefined which one counts. The response reveals nothing about
    either.
    """
    unknown, nonsense = new_key_text("live"), "nonsense"
    bodies = []
    for first, other in [
        (house.key, house.new_key().key),
        (house.key, unknown),
        (unknown, house.key),
        (nonsense, house.key),
        (nonsense, unknown),
    ]:
        sent = [("Authorization", f"Bearer {first}"), (second, other if second == "X-API-Key" else f"Bearer {other}")]
        answer = await house.client.post(f"/public/v1/flows/execute/{house.flow_id}", json=URL, headers=sent)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")
        bodies.append({**answer.json(), "request_id": ""})
    assert all(body == bodies[0] for body in bodies)
    assert bodies[0]["detail"].startswith(said)


async def test_another_scheme_beside_x_api_key_is_refused_too(house: House):
    headers = {"Authorization": "Basic YTpi", "X-API-Key": house.key}
    response = await house.client.get("/public/v1/jobs", headers=headers)
    assert (response.status_code, response.json()["code"]) == (400, "invalid_parameter")
    assert response.json()["detail"].startswith("`Authorization` does not begin with `Bearer`")


@pytest.mark.parametrize("name", ["Authorization", "X-API-Key", "Content-Type"])
async def test_a_header_with_one_value_is_refused_when_it_is_sent_twice(house: House, name: str):
    values = {"Authorization": f"Bearer {house.key}", "X-API-Key": house.key, "Content-Type": "application/json"}
    key = "Authorization" if name == "Content-Type" else name
    sent = [(one, values[one]) for one in dict.fromkeys((key, "Content-Type", name))] + [(name, values[name])]

    answer = await house.client.post(f"/public/v1/flows/execute/{house.flow_id}", content=b"{}", headers=sent)

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")
    assert answer.json()["detail"].startswith(f"`{name}` is sent twice")


async def test_the_same_key_may_come_in_both_headers(house: House):
    headers = {"Authorization": f"bearer  {house.key}", "X-API-Key": house.key}
    assert (await house.client.get("/public/v1/jobs", headers=headers)).status_code == 200
    assert (await house.get("/jobs", headers={"X-API-Key": ""})).status_code == 200


async def test_rate_limits_are_told_and_an_unlimited_one_is_left_out(house: House):
    limited = await house.submit()
    window = month_seconds(house.clock.now())
    assert limited.headers["ratelimit-policy"].startswith(f'"concurrency";q=4, "monthly";q=1000;w={window}, ')
    assert limited.headers["ratelimit"].startswith('"concurrency";r=3, "monthly";r=999;t=')

    other = house.other_workspace()
    flow_id = house.new_flow(principal=other)
    key = house.new_key(principal=other, concurrency=2).key
    assert (
        (await house.post(f"/flows/execute/{flow_id}", URL, key)).headers["ratelimit"].startswith('"concurrency";r=1, ')
    )


# What is wrong with the key


async def bad_keys(house: House) -> AsyncIterator[tuple[str, dict[str, str]]]:
    revoked = house.new_key()
    house.database.write_now(revoke_key, house.principal, revoked.id)
    expired = house.new_key(expires_at=house.clock.now() + HOUR)
    rotated = house.new_key()
    house.database.write_now(rotate_key, house.principal, rotated.id, 0)
    house.clock.offset += 2 * HOUR
    for name, value in {
        "missing": None,
        "empty": "",
        "another scheme": f"Basic {house.key}",
        "no scheme": house.key,
        "malformed": "Bearer nonsense",
        "mistyped": f"Bearer {house.key[:-1]}{'a' if house.key[-1] != 'a' else 'b'}",
        "unknown": f"Bearer {new_key_text('live')}",
        "revoked": f"Bearer {revoked.key}",
        "expired": f"Bearer {expired.key}",
        "rotated out": f"Bearer {rotated.key}",
    }.items():
        yield name, {} if value is None else {"Authorization": value}


async def test_every_bad_key_gets_the_same_answer(house: House):
    bodies = {}
    async for name, headers in bad_keys(house):
        response = await house.client.post(f"/public/v1/flows/execute/{house.flow_id}", json=URL, headers=headers)
        assert response.status_code == 401, name
        assert response.headers["www-authenticate"] == "Bearer"
        bodies[name] = {**response.json(), "request_id": ""}
    assert len(bodies) == 10
    assert all(body == bodies["missing"] for body in bodies.values())
    assert bodies["missing"]["code"] == "unauthorized"


async def test_a_revoked_key_is_refused_at_the_next_request(house: House):
    key = house.new_key()
    assert (await house.submit(key=key.key)).status_code == 202

    house.database.write_now(revoke_key, house.principal, key.id)

    assert (await house.submit(key=key.key)).status_code == 401


async def test_the_old_secret_of_a_rotated_key_works_until_its_overlap_ends(house: House):
    old = house.new_key()
    new = house.database.write_now(rotate_key, house.principal, old.id, 1)

    assert (await house.submit(key=old.key)).status_code == 202
    assert (await house.submit(key=new.key)).status_code == 202
    house.clock.offset += HOUR + SECOND
    assert (await house.submit(key=old.key)).status_code == 401


async def test_a_key_for_some_flows_is_refused_at_the_others(house: House):
    other_flow = house.new_flow("Other")
    key = house.new_key(flow_ids=[other_flow]).key

    refused = await house.submit(key=key)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
    assert (await house.post(f"/flows/execute/{other_flow}", URL, key)).status_code == 202


# What is wrong with the flow


async def test_an_unknown_flow_and_somebody_elses_look_the_same(house: House):
    foreign = house.new_flow(principal=house.other_workspace())
    unknown = "flow_" + "x" * (len(foreign) - 5)
    answers = [await house.post(f"/flows/execute/{flow_id}", URL) for flow_id in (unknown, foreign)]

    assert [answer.status_code for answer in answers] == [404, 404]
    bodies = [{**answer.json(), "request_id": ""} for answer in answers]
    assert str(bodies[0]).replace(unknown, "ID") == str(bodies[1]).replace(foreign, "ID")
    assert bodies[0]["code"] == "not_found"


async def test_an_undeployed_flow_says_so_to_its_owners_key(house: House):
    house.database.write_now(undeploy, house.principal, house.flow_id)

    response = await house.submit()

    assert (response.status_code, response.json()["code"]) == (404, "flow_not_deployed")


async def test_a_version_that_was_deployed_once_can_be_pinned(house: House):
    changed = echo_document([{"name": "url", "type": "string", "required": True}, {"name": "lang", "type": "string"}])
    house.change_flow(changed)

    pinned = await house.submit(headers={"X-Flow-Version": "1"})
    newest = await house.submit({"url": "https://example.com", "lang": "de"})
    never = await house.submit(headers={"X-Flow-Version": "9"})

    jobs = [await house.get(f"/jobs/{answer.json()['job_id']}") for answer in (pinned, newest)]
    assert [job.json()["flow_version"] for job in jobs] == [1, 2]
    assert (never.status_code, never.json()["code"]) == (404, "not_found")


# What is wrong with the body


async def test_every_wrong_field_is_named_at_once(house: House):
    response = await house.submit({"max_pages": "5", "tags": ["a", 1], "extra": True})

    body = response.json()
    ProblemDetails.model_validate(body)
    assert response.status_code == 400
    assert (body["code"], body["title"]) == (
        "validation_failed",
        "The request body does not fit what this call takes",
    )
    assert (body["detail"], body["error_count"]) == ("4 fields are wrong", 4)
    assert {(error["pointer"], error["code"]) for error in body["errors"]} == {
        ("/url", "required"),
        ("/max_pages", "type_error"),
        ("/tags/1", "type_error"),
        ("/extra", "unknown_field"),
    }


async def test_of_very_many_wrong_fields_a_hundred_are_named_and_all_are_counted(house: House):
    response = await house.submit({f"extra_{number}": 1 for number in range(5_000)})

    body = response.json()
    ProblemDetails.model_validate(body)
    assert (response.status_code, body["code"]) == (400, "validation_failed")
    assert (len(body["errors"]), body["error_count"]) == (100, 5_001)
    assert body["detail"] == "5,001 fields are wrong. The first 100 are listed"


@pytest.mark.parametrize(
    ("payload", "pointer", "code"),
    [
        ({"url": None}, "/url", "type_error"),
        ({"url": "not an address"}, "/url", "format"),
        ({**URL, "max_pages": 5.0}, "/max_pages", "type_error"),
        ({**URL, "max_pages": True}, "/max_pages", "type_error"),
        ({**URL, "max_pages": 0}, "/max_pages", "minimum"),
        ({**URL, "max_pages": 51}, "/max_pages", "maximum"),
        ({**URL, "tags": "a"}, "/tags", "type_error"),
    ],
)
async def test_nothing_is_converted(house: House, payload: dict[str, Any], pointer: str, code: str):
    response = await house.submit(payload)
    assert [(error["pointer"], error["code"]) for error in response.json()["errors"]] == [(pointer, code)]


@pytest.mark.parametrize(
    ("content", "headers", "status", "code"),
    [
        (b"{", {"Content-Type": "application/json"}, 400, "invalid_json"),
        (b'{"a":1,"a":1}', {"Content-Type": "application/json"}, 400, "invalid_json"),
        (b" \t\r\n", {"Content-Type": "application/json"}, 400, "validation_failed"),
        (b"\x0b", {"Content-Type": "application/json"}, 400, "invalid_json"),
        (b" \x0c\n", {"Content-Type": "application/json"}, 400, "invalid_json"),
        (b"[]", {"Content-Type": "application/json"}, 400, "validation_failed"),
        (b"[]", {"Content-Type": 'application/json; charset="UTF8"'}, 400, "validation_failed"),
        (b"{}", {}, 415, "unsupported_media_type"),
        (b"{}", {"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
        (b"url=x", {"Content-Type": "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"),
        (b"{}", {"Content-Type": "application/json; charset=latin-1"}, 415, "unsupported_media_type"),
        (b"[]", {"Content-Type": 'application/json; x="; charset=latin-1"'}, 400, "validation_failed"),
        (b"{}", {"Content-Type": "application/json", "Content-Encoding": "gzip"}, 415, "unsupported_media_type"),
        (
            b"[]",
            {"Content-Type": "application/json", "Content-Encoding": "identity, identity"},
            400,
            "validation_failed",
        ),
        (
            b"{}",
            {"Content-Type": "application/json", "Content-Encoding": "identity, br"},
            415,
            "unsupported_media_type",
        ),
        (b'{"a": [' + b'{"b":1},' * 10_000 + b"1]}", {"Content-Type": "application/json"}, 400, "invalid_json"),
        (b'{"a": [' + b"1," * 200_000 + b"1]}", {"Content-Type": "application/json"}, 400, "invalid_json"),
        (b" " * 1024 * 1025, {"Content-Type": "application/json"}, 413, "body_too_large"),
        (b"{}", {"Content-Type": "application/json", "Accept": "text/html"}, 406, "not_acceptable"),
        (b"{}", {"Content-Type": "application/json", "Cancel-After": "soon"}, 400, "invalid_parameter"),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused(
    house: House, content: bytes, headers: dict[str, str], status: int, code: str
):
    response = await house.client.post(
        f"/public/v1/flows/execute/{house.flow_id}",
        content=content,
        headers={"Authorization": f"Bearer {house.key}", **headers},
    )
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.headers["content-type"] == "application/problem+json"


async def test_a_body_of_unknown_length_is_one_when_bytes_come(house: House):
    async def chunks(content: bytes) -> AsyncIterator[bytes]:
        yield content

    def sent(content: bytes):
        return house.client.post(
            f"/public/v1/flows/execute/{house.flow_id}",
            content=chunks(content),
            headers={"Authorization": f"Bearer {house.key}", "Content-Type": "text/plain"},
        )

    assert (await sent(b"")).status_code == 400  # as `{}`, in which a field is missing
    assert (await sent(b"{}")).status_code == 415


async def test_a_body_that_grows_beyond_the_limit_without_saying_so_is_refused(house: House):
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 64 * 1024

    response = await house.submit_stream(chunks())

    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")
    assert response.headers["connection"] == "close"


async def test_large_bodies_that_are_received_at_once_have_a_limit_together(house: House):
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b'{"url": "https://a.example/"' + b" " * 900 * 1024
        begun.set()
        await go_on.wait()
        yield b"}"

    async def at_once() -> AsyncIterator[bytes]:
        yield b'{"url": "https://b.example/"}' + b" " * 900 * 1024

    first = asyncio.create_task(house.submit_stream(slow()))
    await begun.wait()
    refused = await house.submit_stream(at_once())
    small = await house.submit()
    go_on.set()
    accepted = await first

    assert (refused.status_code, refused.json()["code"]) == (503, "too_many_connections")
    assert refused.headers["retry-after"] == "5"
    assert "bodies that are being received" in refused.json()["detail"]
    assert (small.status_code, accepted.status_code) == (202, 202)
    assert (await house.submit_stream(at_once())).status_code == 202


async def test_a_large_body_that_was_refused_takes_no_room_any_more(house: House):
    async def broken() -> AsyncIterator[bytes]:
        yield b"{" + b" " * 900 * 1024

    async def endless() -> AsyncIterator[bytes]:
        yield b"{" + b" " * 900 * 1024
        await asyncio.sleep(30)

    for content, refused in ((broken, (400, "invalid_json")), (endless, (408, "request_timeout"))) * 2:
        answer = await house.submit_stream(content())
        assert (answer.status_code, answer.json()["code"]) == refused


async def test_a_large_body_for_a_flow_that_may_not_be_called_is_not_read(house: House):
    read: list[str] = []

    async def chunks() -> AsyncIterator[bytes]:
        read.append("a piece")
        yield b"{}"

    async def answer_of(flow_id: str, key: str, **headers: str) -> str:
        sent = {"Content-Type": "application/json", **headers}
        path = f"/flows/execute/{flow_id}"
        codes = {
            (await house.post(path + end, content=chunks(), key=key, headers=sent)).json()["code"]
            for end in ("", "/batch")
        }
        (code,) = codes
        return code

    other, off = house.new_flow(), house.new_flow(deployed=False)
    narrow = house.new_key(flow_ids=frozenset({other})).key
    assert await answer_of("flow_unknown", house.key) == "not_found"
    assert await answer_of("flow_unknown", house.key, **{"Content-Length": "70000"}) == "not_found"
    assert await answer_of(off, house.key) == "flow_not_deployed"
    assert await answer_of(house.flow_id, narrow) == "not_allowed"
    assert await answer_of(house.flow_id, narrow, **{"Idempotency-Key": "again"}) == "not_allowed"
    assert read == []


async def test_a_large_request_is_repeated_also_when_the_flow_is_no_longer_deployed(house: House):
    async def chunks() -> AsyncIterator[bytes]:
        yield b'{"url": "https://a.example/"}'

    async def send() -> httpx.Response:
        headers = {"Content-Type": "application/json", "Idempotency-Key": "once"}
        return await house.post(f"/flows/execute/{house.flow_id}", content=chunks(), headers=headers)

    first = await send()
    house.database.write_now(undeploy, house.principal, house.flow_id)
    again = await send()
    assert (again.status_code, again.json()["job_id"]) == (202, first.json()["job_id"])


async def test_a_body_that_never_ends_is_refused_after_its_time(house: House):
    async def chunks() -> AsyncIterator[bytes]:
        yield b'{"url":'
        await asyncio.sleep(30)

    response = await house.submit_stream(chunks())

    assert (response.status_code, response.json()["code"]) == (408, "request_timeout")
    assert "0.3 seconds" in response.json()["detail"]
    assert response.headers["connection"] == "close"


async def test_without_required_fields_an_empty_body_is_an_empty_object(house: House):
    house.flow_id = house.new_flow("Loose", fields=[{"name": "url", "type": "string"}])

    response = await house.client.post(
        f"/public/v1/flows/execute/{house.flow_id}", headers={"Authorization": f"Bearer {house.key}"}
    )

    assert response.status_code == 202


# Limits


async def test_the_fifth_job_of_the_free_plan_is_refused_until_one_ends(house: House):
    jobs = [(await house.submit()).json()["job_id"] for _ in range(4)]

    refused = await house.submit()
    assert (refused.status_code, refused.json()["code"]) == (429, "concurrency_limit_exceeded")
    assert 1 <= int(refused.headers["retry-after"]) <= 30
    assert "Settings, Limits and plan" in refused.json()["detail"]
    assert refused.headers["ratelimit"].startswith('"concurrency";r=0, ')

    house.finish(jobs[0])
    assert (await house.submit()).status_code == 202


async def test_the_quota_of_a_key_is_told_before_its_concurrency(house: House):
    key = house.new_key(concurrency=1, monthly=1).key
    await house.submit(key=key)

    refused = await house.submit(key=key)

    assert refused.json()["code"] == "monthly_quota_exceeded"
    assert int(refused.headers["retry-after"]) > 30


async def test_a_wrong_body_is_told_before_a_limit(house: House):
    for _ in range(4):
        await house.submit()
    assert (await house.submit({})).json()["code"] == "validation_failed"


# Idempotency


async def test_the_same_request_again_gets_the_same_job(house: House):
    headers = {"Idempotency-Key": "order-17"}
    first = await house.submit(headers=headers)
    second = await house.submit(headers=headers)

    assert (second.status_code, second.json()) == (first.status_code, first.json())
    assert second.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert '"monthly";r=999' in second.headers["ratelimit"]


async def test_another_body_under_the_same_key_is_refused(house: House):
    headers = {"Idempotency-Key": "order-17"}
    await house.submit(headers=headers)

    second = await house.submit({"url": "https://example.org"}, headers=headers)

    assert (second.status_code, second.json()["code"]) == (422, "idempotency_key_reused")


async def test_a_refusal_is_not_remembered(house: House):
    headers = {"Idempotency-Key": "order-17"}
    assert (await house.submit({}, headers=headers)).status_code == 400
    assert (await house.submit(headers=headers)).status_code == 202


async def test_environments_and_flows_do_not_share_idempotency_keys(house: House):
    headers = {"Idempotency-Key": "order-17"}
    other_flow = house.new_flow("Other")
    answers = [
        await house.submit(headers=headers),
        await house.submit(headers=headers, key=house.new_key("test").key),
        await house.post(f"/flows/execute/{other_flow}", URL, headers=headers),
    ]
    assert len({answer.json()["job_id"] for answer in answers}) == 3


async def test_fifty_at_once_under_one_key_are_one_job(house: House):
    house.database.write_now(set_plan, house.principal, "pro")
    headers = {"Idempotency-Key": "order-17"}
    answers = await asyncio.gather(*(house.submit(headers=headers) for _ in range(50)))
    assert len({answer.json()["job_id"] for answer in answers}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1


# Waiting and what else a request may ask for


@pytest.mark.parametrize(("query", "headers"), [("?wait=20", {}), ("", {"Prefer": "wait=20"})])
@pytest.mark.parametrize("status", ["completed", "failed"])
async def test_who_waits_gets_the_job_when_it_ends(house: House, query: str, headers: dict[str, str], status: str):
    # because the other plans allow fewer requests per second than this test sends
    house.database.write_now(set_plan, house.principal, "enterprise")
    waiting = asyncio.create_task(house.post(f"/flows/execute/{house.flow_id}{query}", URL, headers=headers))
    page = []
    while not page:
        page = (await house.get("/jobs")).json()["data"]
    house.finish(page[0]["job_id"], status)

    response = await waiting

    Job.model_validate(response.json())
    assert (response.status_code, response.json()["status"]) == (200, status)
    assert response.headers["preference-applied"] == "wait=20"
    assert response.headers["cache-control"] == "no-store"


async def test_who_waited_in_vain_gets_the_202(house: House):
    response = await house.post(f"/flows/execute/{house.flow_id}?wait=1", URL)
    assert response.status_code == 202
    assert response.json()["status"] == "queued"
    assert "preference-applied" not in response.headers


async def test_a_stopping_server_lets_waiting_callers_go_and_takes_nothing_new(house: House):
    waiting = asyncio.create_task(house.post(f"/flows/execute/{house.flow_id}?wait=60", URL))
    while not (await house.get("/jobs")).json()["data"]:
        pass
    house.api.stop()

    assert (await waiting).status_code == 202
    refused = await house.submit()
    assert (refused.status_code, refused.json()["code"]) == (503, "shutting_down")
    assert "retry-after" in refused.headers
    assert (await house.client.get("/readyz")).status_code == 503
    assert (await house.client.get("/healthz")).status_code == 200


async def test_what_a_request_asks_for_is_kept_with_its_job(house: House):
    response = await house.submit(
        headers={
            "Cancel-After": "120",
            "X-Webhook-Url": "https://example.com/hook",
            "X-Request-Id": "mine-1",
            "traceparent": TRACE,
            "tracestate": "shop=5",
            "baggage": "tenant=t-1",
        }
    )

    job = house.database.read_now(find_job, house.principal.workspace_id, response.json()["job_id"])

    assert job is not None
    assert (job.limit_ms, job.webhook_url, job.request_id, job.traceparent) == (
        120_000,
        "https://example.com/hook",
        "mine-1",
        f"{TRACE}\nshop=5\ntenant=t-1",
    )
    assert response.headers["x-request-id"] == "mine-1"


@pytest.mark.parametrize(("header", "value", "name", "kept"), ALONE)
async def test_a_header_counts_without_the_others(house: House, header: str, value: str, name: str, kept: object):
    house.change_flow(echo_document([{"name": "url", "type": "string"}]))
    one = (await house.submit(headers={header: value})).json()
    many = await house.post(f"/flows/execute/{house.flow_id}/batch", {"items": [URL]}, headers={header: value})

    for job_id in (one["job_id"], *many.json()["job_ids"]):
        assert getattr(house.database.read_now(find_job, house.principal.workspace_id, job_id), name) == kept


def test_every_header_of_a_submit_is_tried_alone():
    """Idempotency-Key is, in `test_batches.py`; X-Request-Id is read for every call; tracestate needs another."""
    declared = {one["name"] for one in api_document()["paths"][RUN]["post"]["parameters"] if one["in"] == "header"}
    assert declared - {"Prefer", "Idempotency-Key", "X-Request-Id", "tracestate"} == {header for header, *_ in ALONE}


async def test_a_newer_version_reaches_callers_only_when_it_is_deployed(house: House):
    changed = echo_document([{"name": "url", "type": "string"}])
    house.change_flow(changed, deployed=False)
    assert (await house.submit({})).status_code == 400

    house.database.write_now(deploy, house.principal, house.flow_id)
    assert (await house.submit({})).status_code == 202
