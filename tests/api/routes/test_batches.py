from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from api.app import api_document
from api.http.schemas import Batch, BatchAccepted, BatchList, BatchResult, BatchSummary, Job, ProblemDetails
from engine.actions.limits import set_plan
from engine.core.clock import DAY
from engine.jobs.transitions import send_forgotten
from storage.job_changes import claim_job
from storage.retention import remove_values
from storage.settings import SERVER, WEBHOOK_ALLOW, put_setting
from storage.usage import read_usage, reconcile_usage, usage_subject
from tests.api.arrange import FIELDS, House, echo_document, queued_messages
from tests.logical_time import pass_time


def items(count: int) -> dict[str, Any]:
    return {"items": [{"url": f"https://example.com/{number}"} for number in range(count)]}


async def batch(house: House, count: int, **options: Any) -> dict[str, Any]:
    response = await house.post(f"/flows/execute/{house.flow_id}/batch", items(count), **options)
    assert response.status_code == 202
    return response.json()


def active(house: House, environment: str = "live") -> int:
    return house.database.read_now(read_usage, usage_subject(house.principal.workspace_id, environment)).active


async def test_a_batch_is_accepted_as_one_job_per_item(house: House):
    response = await house.post(f"/flows/execute/{house.flow_id}/batch", items(10))

    body = response.json()
    BatchAccepted.model_validate(body)
    read = (await house.get(body["url"].removeprefix("/public/v1"))).json()
    assert body["url"] == response.headers["location"]
    assert (body["flow_id"], body["created_at"]) == (read["flow_id"], read["created_at"])
    assert (response.status_code, body["total"], body["status"]) == (202, 10, "queued")
    assert response.headers["location"] == f"/public/v1/batches/{body['batch_id']}"
    assert response.headers["ratelimit"].startswith('"concurrency";r=0, "monthly";r=990;')
    job = (await house.get(f"/jobs/{body['job_ids'][7]}")).json()
    Job.model_validate(job)
    assert job["status"] == "queued"


async def test_items_run_within_the_concurrency_limit_and_the_others_wait(house: House):
    made = await batch(house, 10)

    assert active(house) == 4
    running = queued_messages(house.database)
    assert len(running) == 4
    assert (await house.submit()).status_code == 429

    house.finish(running[0])
    assert active(house) == 4
    assert len(queued_messages(house.database)) == 5

    done: set[str] = {running[0]}
    while waiting := [job_id for job_id in queued_messages(house.database) if job_id not in done]:
        house.finish(waiting[0])
        done.add(waiting[0])
    assert done == set(made["job_ids"])
    assert active(house) == 0
    assert house.database.write_now(reconcile_usage) == 0


async def test_a_waiting_item_can_be_cancelled_and_holds_no_slot(house: House):
    made = await batch(house, 6)
    waiting = next(job_id for job_id in made["job_ids"] if job_id not in queued_messages(house.database))

    response = await house.post(f"/jobs/{waiting}/cancel")

    assert response.json()["status"] == "cancelled"
    assert active(house) == 4


async def test_a_key_with_a_lower_limit_lets_in_fewer_items(house: House):
    key = house.new_key(concurrency=1).key
    await batch(house, 5, key=key)

    assert active(house) == 1
    assert (await house.submit()).status_code == 202


async def test_items_wait_for_slots_of_their_own_environment_only(house: House):
    tester = house.new_key("test").key
    staging = await batch(house, 3, key=tester)
    live = await batch(house, 5)
    assert (active(house, "test"), active(house)) == (1, 4)

    for made in (staging, live):
        house.finish(next(job_id for job_id in queued_messages(house.database) if job_id in made["job_ids"]))
        assert (active(house, "test"), active(house)) == (1, 4)
    house.finish([job_id for job_id in queued_messages(house.database) if job_id in live["job_ids"]][-1])
    assert (active(house, "test"), active(house)) == (1, 3), "a free slot of Production is not for items of Staging"
    assert house.database.write_now(reconcile_usage) == 0


async def test_the_months_requests_of_staging_must_cover_all_items(house: House):
    tester = house.new_key("test").key

    refused = await house.post(f"/flows/execute/{house.flow_id}/batch", items(251), tester)

    assert (refused.status_code, refused.json()["code"]) == (429, "monthly_quota_exceeded")
    assert "Staging of this workspace may send 250 requests in a whole month" in refused.json()["detail"]
    assert refused.headers["ratelimit"].startswith('"concurrency";r=1, "monthly";r=250;')
    assert (await house.post(f"/flows/execute/{house.flow_id}/batch", items(251))).status_code == 202


async def test_a_raised_limit_lets_more_items_in(house: House):
    await batch(house, 10)
    house.database.write_now(set_plan, house.principal, "free", concurrency=7)

    house.database.write_now(send_forgotten)

    assert active(house) == 7


async def test_a_forgotten_message_is_sent_again_but_a_waiting_item_is_not(house: House):
    await batch(house, 6)
    house.clock.offset += 60_000

    assert house.database.write_now(send_forgotten) == 4


async def test_a_batch_is_all_or_nothing(house: House):
    body = items(3)
    body["items"][1] = {"url": 5, "extra": 1}
    body["items"][2] = "text"

    response = await house.post(f"/flows/execute/{house.flow_id}/batch", body)

    ProblemDetails.model_validate(response.json())
    assert response.status_code == 400
    assert {(error["pointer"], error["code"]) for error in response.json()["errors"]} == {
        ("/items/1/url", "type_error"),
        ("/items/1/extra", "unknown_field"),
        ("/items/2", "type_error"),
    }
    assert (await house.get("/jobs")).json()["data"] == []


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({}, "/items", "required"),
        ({"items": {}}, "/items", "type_error"),
        ({"items": []}, "/items", "min_items"),
        (items(1_001), "/items", "max_items"),
        ({**items(1), "url": "x"}, "/url", "unknown_field"),
    ],
)
async def test_a_batch_has_items_and_nothing_else(house: House, body: dict[str, Any], pointer: str, code: str):
    response = await house.post(f"/flows/execute/{house.flow_id}/batch", body)
    assert [(error["pointer"], error["code"]) for error in response.json()["errors"]] == [(pointer, code)]


async def test_a_count_of_wrong_fields_that_is_not_whole_is_told_as_a_least_number(house: House):
    house.change_flow(echo_document([{"name": "url", "type": "string", "pattern": "^[0-9]+$"}]))
    address = f"/flows/execute/{house.flow_id}/batch"

    whole = (await house.post(address, {"items": [{"url": "x"}] * 100})).json()
    cut = (await house.post(address, {"items": [{"url": "x"}] * 101})).json()

    assert (whole["detail"], whole["error_count"]) == ("100 fields are wrong", 100)
    assert (cut["detail"], cut["error_count"]) == ("At least 100 fields are wrong", 100)


async def test_each_item_has_the_limit_of_keys_that_a_submit_has(house: House):
    many = {f"extra_{number}": 1 for number in range(5_000)}
    address = f"/flows/execute/{house.flow_id}/batch"

    within = (await house.post(address, {"items": [many, many, many]})).json()
    beyond = await house.post(address, {"items": [many, {"url": {**many, "more": many}}]})

    assert (within["code"], within["error_count"], len(within["errors"])) == ("validation_failed", 15_003, 100)
    assert (beyond.status_code, beyond.json()["code"]) == (400, "invalid_json")
    assert "The item `/items/1` has 10,002 keys; 10,000 are allowed" in beyond.json()["detail"]


async def test_the_quota_must_cover_all_items(house: House):
    key = house.new_key(monthly=3).key

    refused = await house.post(f"/flows/execute/{house.flow_id}/batch", items(4), key)
    assert (refused.status_code, refused.json()["code"]) == (429, "monthly_quota_exceeded")
    assert "can never be accepted: the key" in refused.json()["detail"]
    assert "Send at most 3 items" in refused.json()["detail"]
    assert "retry-after" not in refused.headers, "waiting does not help"

    assert (await house.post(f"/flows/execute/{house.flow_id}/batch", items(1), key)).status_code == 202
    refused = await house.post(f"/flows/execute/{house.flow_id}/batch", items(3), key)
    assert "2 of the 3 requests of the key" in refused.json()["detail"]
    assert int(refused.headers["retry-after"]) > 0
    assert (await house.post(f"/flows/execute/{house.flow_id}/batch", items(2), key)).status_code == 202
    assert (await house.submit(key=key)).json()["code"] == "monthly_quota_exceeded"


async def test_one_is_told_as_one_where_a_batch_is_refused(house: House):
    key = house.new_key(monthly=1).key
    address = f"/flows/execute/{house.flow_id}"

    beyond = await house.post(f"{address}/batch", items(2), key)
    assert (await house.post(f"{address}/batch", items(1), key)).status_code == 202
    one_more = await house.post(f"{address}/batch", items(1), key)
    alone = await house.post(address, {"url": "https://a.example"}, key)

    assert "may send 1 request in a whole month. Send at most 1 item. " in beyond.json()["detail"]
    assert one_more.json()["detail"].startswith("The batch has 1 item; 0 of the 1 request of the key")
    assert alone.json()["detail"].startswith("The one request of the key")


async def test_a_thousand_items_are_accepted(house: House):
    assert len(set((await batch(house, 1_000))["job_ids"])) == 1_000


async def test_the_same_batch_again_is_the_same_batch(house: House):
    first = await batch(house, 3, headers={"Idempotency-Key": "b-1"})
    second = await batch(house, 3, headers={"Idempotency-Key": "b-1"})
    assert first == second

    house.finish(first["job_ids"][0])
    response = await house.post(
        f"/flows/execute/{house.flow_id}/batch", items(3), headers={"Idempotency-Key": "b-1", "Accept": "*/*"}
    )
    assert response.headers["idempotent-replayed"] == "true"
    assert response.json() == {**first, "status": "processing"}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/batch", items(1)),
        ("", {"url": "https://example.com", "tags": ["x" * 200_000]}),
        ("", {"url": "https://e.com"}),
    ],
    ids=["a batch", "a large body", "a pattern"],
)
async def test_a_key_of_yesterday_is_new_for_a_body_that_is_checked_before(
    house: House, path: str, body: dict[str, Any]
):
    fields = [{**field, "pattern": "^http"} if field["name"] == "url" else field for field in FIELDS]
    called = f"/flows/execute/{house.new_flow('Patterned', fields=fields)}{path}"
    key = {"Idempotency-Key": "every_day"}
    first = await house.post(called, body, headers=key)
    house.clock.offset += DAY
    new = await house.post(called, body, headers=key)
    again = await house.post(called, body, headers=key)
    assert [answer.status_code for answer in (first, new, again)] == [202, 202, 202], new.text
    assert first.json() != new.json() == again.json()


async def test_a_batch_with_an_erased_item_cannot_be_repeated_and_both_are_named(house: House):
    first = await batch(house, 3, headers={"Idempotency-Key": "b-1"})
    erased = first["job_ids"][1]
    house.finish(erased)
    assert (await house._call("DELETE", f"/jobs/{erased}/data", None)).status_code == 200

    response = await house.post(f"/flows/execute/{house.flow_id}/batch", items(3), headers={"Idempotency-Key": "b-1"})

    assert (response.status_code, response.json()["code"]) == (422, "idempotency_key_reused")
    told = f"The data of {erased} of the batch it made, {first['batch_id']}, were erased, so nobody can tell if"
    assert response.json()["detail"].startswith(told)


async def test_a_batch_tells_how_its_jobs_stand(house: House):
    made = await batch(house, 5)
    running = queued_messages(house.database)
    house.finish(running[0])
    house.finish(running[1], "failed")

    first = (await house.get(f"/batches/{made['batch_id']}?limit=3")).json()
    Batch.model_validate(first)
    second = (await house.get(f"/batches/{made['batch_id']}?limit=3&cursor={first['next_cursor']}")).json()

    assert (first["status"], first["total"], first["completed"], first["failed"], first["queued"]) == (
        "processing",
        5,
        1,
        1,
        3,
    )
    assert (first["flow_id"], first["environment"], first["completed_at"]) == (house.flow_id, "live", None)
    assert first["job_ids"] + second["job_ids"] == made["job_ids"]
    assert second["next_cursor"] is None


async def test_a_job_says_its_place_in_its_batch_and_a_single_job_none(house: House):
    made = await batch(house, 3)
    for index, job_id in enumerate(made["job_ids"]):
        job = (await house.get(f"/jobs/{job_id}")).json()
        assert (job["batch_id"], job["item_index"]) == (made["batch_id"], index)
    single = (await house.submit()).json()["job_id"]
    job = (await house.get(f"/jobs/{single}")).json()
    assert (job["batch_id"], job["item_index"]) == (None, None)

    for job_id, place in ((made["job_ids"][2], {"batch_id": made["batch_id"], "item_index": 2}), (single, {})):
        house.finish(job_id)
        response = await house.get(f"/jobs/{job_id}/events", headers={"Accept": "text/event-stream"})
        for line in response.text.splitlines():
            if line.startswith("data: "):
                told = json.loads(line.removeprefix("data: "))
                assert {name: told[name] for name in ("batch_id", "item_index") if name in told} == place


async def test_waiting_for_a_batch_ends_with_its_last_item(house: House):
    made = await batch(house, 2)
    path = f"/batches/{made['batch_id']}"
    house.finish(made["job_ids"][0])

    early = await house.get(f"{path}?wait=1")
    assert (early.json()["status"], early.headers["retry-after"]) == ("processing", "2")
    waiting = asyncio.create_task(house.get(path, headers={"Prefer": "wait=60"}))
    await pass_time(1)
    assert not waiting.done()
    house.finish(made["job_ids"][1], "failed")

    answer = await waiting
    assert answer.headers["preference-applied"] == "wait=60"
    assert "retry-after" not in answer.headers
    body = answer.json()
    Batch.model_validate(body)
    assert (body["status"], body["completed"], body["failed"]) == ("completed", 1, 1)
    assert body["completed_at"] == (await house.get(f"/jobs/{made['job_ids'][1]}")).json()["completed_at"]
    assert (await house.get(f"{path}?wait=x")).status_code == 400


async def test_batches_are_listed_newest_first(house: House):
    made = []
    for count in (1, 2, 3):
        house.clock.offset += 1_000
        made.append((await batch(house, count))["batch_id"])
    house.clock.offset += 1_000
    first = (await house.get("/batches?limit=2")).json()
    BatchList.model_validate(first)
    second = (await house.get(f"/batches?limit=2&cursor={first['next_cursor']}")).json()
    assert [row["batch_id"] for row in first["data"] + second["data"]] == made[::-1]
    assert [row["total"] for row in first["data"]] == [3, 2]
    assert second["next_cursor"] is None
    assert (await house.get("/batches", house.new_key("test").key)).json() == {"data": [], "next_cursor": None}
    for wrong in ("limit=0", "limit=101", "cursor=x", "status=queued"):
        assert (await house.get(f"/batches?{wrong}")).json()["code"] == "invalid_parameter"


async def test_cancelling_a_batch_answers_with_the_batch(house: House):
    made = await batch(house, 6)
    path = f"/batches/{made['batch_id']}/cancel"
    house.finish(made["job_ids"][0])
    house.database.write_now(claim_job, "boot_test", made["job_ids"][1])

    stopping = await house.post(path)  # no worker runs, so the job in progress does not end
    BatchSummary.model_validate(stopping.json())
    assert (stopping.status_code, stopping.json()["status"], stopping.headers["retry-after"]) == (
        200,
        "processing",
        "2",
    )
    assert (stopping.json()["processing"], stopping.json()["cancelled"]) == (1, 4)
    assert stopping.json()["cancel_requested_at"] is not None

    again = asyncio.create_task(house.post(path))
    await pass_time(0.1)
    house.end("cancelled", made["job_ids"][1], "boot_test")
    body = (await again).json()
    assert (body["status"], body["completed"], body["cancelled"], body["cancel_requested_at"]) == (
        "completed",
        1,
        5,
        None,
    )
    assert (await house.post(path)).json() == body


async def test_a_batch_that_ended_by_itself_cannot_be_cancelled(house: House):
    made = await batch(house, 1)
    house.finish(made["job_ids"][0])
    response = await house.post(f"/batches/{made['batch_id']}/cancel")
    ProblemDetails.model_validate(response.json())
    assert (response.status_code, response.json()["code"]) == (409, "batch_not_cancellable")


async def results(house: House, batch_id: str, query: str = "") -> list[dict[str, Any]]:
    response = await house.get(f"/batches/{batch_id}/results{query}")
    assert (response.status_code, response.headers["content-type"]) == (200, "application/x-ndjson")
    assert response.text == "" or response.text.endswith("\n")
    return [json.loads(line) for line in response.text.splitlines()]


async def test_results_come_as_a_line_for_each_item_in_its_place(house: House):
    made = await batch(house, 6)
    ids = made["job_ids"]
    house.finish(ids[3], result=('{"text":"line\\nnext\u2028a\u2029b\x85c"}', 33))
    house.mark_simulated(ids[3])
    house.finish(ids[0], "failed")
    await house.post(f"/jobs/{ids[5]}/cancel")
    house.finish(ids[1])
    house.database.write_now(remove_values, [ids[1]], 100)

    lines = await results(house, made["batch_id"])

    assert [(line["item_index"], line["job_id"]) for line in lines] == list(enumerate(ids))
    assert [line["status"] for line in lines] == ["failed", "completed", "queued", "completed", "queued", "cancelled"]
    schema = api_document()["paths"]["/public/v1/batches/{batch_id}/results"]["get"]["responses"]["200"]["content"]
    told = schema["application/x-ndjson"]["x-itemSchema"]
    assert set(told["required"]) == set(lines[0])
    assert set(told["properties"]) == set(lines[1])
    assert [BatchResult.model_validate_json(json.dumps(line)).item_index for line in lines] == list(range(6))
    assert lines[3] == {
        "item_index": 3,
        "job_id": ids[3],
        "status": "completed",
        "result": {"text": "line\nnext\u2028a\u2029b\x85c"},
        "error": None,
        "steps_failed": 0,
        "simulated": True,
    }
    assert [line["simulated"] for line in lines] == [False, False, False, True, False, False]
    assert lines[0]["error"] == (await house.get(f"/jobs/{ids[0]}")).json()["error"]
    assert (lines[1]["result"], lines[1]["result_expired"]) == (None, True)
    assert [line["item_index"] for line in lines if "result_expired" in line] == [1]
    assert await results(house, made["batch_id"], "?after=3") == lines[4:]
    assert await results(house, made["batch_id"], "?after=5") == []
    for wrong in ("after=-1", "after=1000", "after=x", "limit=1"):
        assert (await house.get(f"/batches/{made['batch_id']}/results?{wrong}")).status_code == 400


async def test_many_and_large_results_are_read_a_part_at_a_time(house: House):
    house.database.write_now(set_plan, house.principal, "free", concurrency=300)
    made = await batch(house, 230)
    large = "x" * 400_000
    for index, job_id in enumerate(made["job_ids"]):
        text = json.dumps({"text": large if index % 50 == 7 else str(index)})
        house.finish(job_id, result=(text, len(text)))

    parts = await parts_of(house, f"/public/v1/batches/{made['batch_id']}/results")
    lines = [json.loads(line) for line in b"".join(parts).splitlines()]

    assert [line["item_index"] for line in lines] == list(range(230))
    assert [len(line["result"]["text"]) for line in lines if line["item_index"] % 50 == 7] == [400_000] * 5
    assert len(parts) > 2
    assert max(map(len, parts)) < 1_000_000


async def parts_of(house: House, path: str) -> list[bytes]:
    """Returns the pieces in which the application sends a response."""
    parts: list[bytes] = []

    async def send(message: Any) -> None:
        parts.append(message.get("body", b""))

    async def receive() -> Any:
        await asyncio.Event().wait()

    headers = [(b"host", b"flows.test"), (b"authorization", f"Bearer {house.key}".encode())]
    scope = {"type": "http", "asgi": {"version": "3.0"}, "method": "GET", "path": path, "raw_path": path.encode()}
    await house.api(
        {**scope, "query_string": b"", "headers": headers, "scheme": "http", "root_path": "", "http_version": "1.1"},
        receive,
        send,
    )
    return [part for part in parts if part]


async def test_nobody_else_reads_or_cancels_a_batch(house: House):
    made = await batch(house, 1)
    stranger = house.new_key(principal=house.other_workspace()).key
    test = house.new_key("test").key
    limited = house.new_key(flow_ids=[house.new_flow("Another")]).key
    for key in (stranger, test, limited):
        for method, path in (("GET", ""), ("GET", "/results"), ("POST", "/cancel")):
            asked = house.get if method == "GET" else house.post
            assert (await asked(f"/batches/{made['batch_id']}{path}", key=key)).status_code == 404
        assert (await house.get("/batches", key)).json()["data"] == []
    assert (await house.get(f"/batches/{made['batch_id']}")).json()["status"] == "queued"


@pytest.mark.parametrize("path", ["", "/batch"])
@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9000/x", "https://hooks.invalid/", "http://localhost/", "https://a.example:22/"]
)
async def test_a_webhook_that_can_never_be_delivered_is_refused(house: House, path: str, url: str):
    body = items(1) if path else {"url": "https://example.com"}
    response = await house.post(f"/flows/execute/{house.flow_id}{path}", body, headers={"X-Webhook-Url": url})
    assert (response.status_code, response.json()["code"]) == (400, "invalid_parameter")
    assert response.json()["detail"].startswith("`X-Webhook-Url` can never be delivered: ")
    assert "Callers' webhooks (FLOWPORT_WEBHOOK_ALLOW)" in response.json()["detail"]
    assert (await house.get("/jobs")).json()["data"] == []


async def test_a_webhook_that_the_owner_allows_is_taken_from_the_next_call_on(house: House):
    sent = {"X-Webhook-Url": "http://127.0.0.1:9000/x"}
    assert (await house.submit(headers=sent)).status_code == 400
    house.database.write_now(put_setting, SERVER, WEBHOOK_ALLOW, "127.0.0.1:9000")
    assert (await house.submit(headers=sent)).status_code == 202


async def test_a_batch_of_another_environment_is_unknown(house: House):
    made = await batch(house, 1)
    other = house.new_key("test").key
    assert (await house.get(f"/batches/{made['batch_id']}", other)).status_code == 404
    assert (await house.get("/batches/batch_x")).status_code == 404
    assert (await house.get(f"/batches/{made['batch_id']}?cursor=x")).status_code == 400
