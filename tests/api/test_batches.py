from __future__ import annotations

from typing import Any

import pytest

from api.schemas import Batch, BatchAccepted, Job, ProblemDetails
from engine.actions.limits import set_plan
from engine.jobs.changes import send_forgotten
from storage.usage import read_usage, reconcile_usage
from tests.api.arrange import House, queued_messages


def items(count: int) -> dict[str, Any]:
    return {"items": [{"url": f"https://example.com/{number}"} for number in range(count)]}


async def batch(house: House, count: int, **options: Any) -> dict[str, Any]:
    response = await house.post(f"/flows/execute/{house.flow_id}/batch", items(count), **options)
    assert response.status_code == 202
    return response.json()


def active(house: House) -> int:
    return house.database.read_now(read_usage, house.principal.workspace_id).active


async def test_a_batch_is_accepted_as_one_job_per_item(house: House):
    response = await house.post(f"/flows/execute/{house.flow_id}/batch", items(10))

    body = response.json()
    BatchAccepted.model_validate(body)
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


async def test_the_quota_must_cover_all_items(house: House):
    key = house.new_key(monthly=3).key

    refused = await house.post(f"/flows/execute/{house.flow_id}/batch", items(4), key)
    assert (refused.status_code, refused.json()["code"]) == (429, "monthly_quota_exceeded")
    assert "3 of this month's 3" in refused.json()["detail"]

    assert (await house.post(f"/flows/execute/{house.flow_id}/batch", items(3), key)).status_code == 202
    assert (await house.submit(key=key)).json()["code"] == "monthly_quota_exceeded"


async def test_a_thousand_items_are_accepted(house: House):
    assert len(set((await batch(house, 1_000))["job_ids"])) == 1_000


async def test_the_same_batch_again_is_the_same_batch(house: House):
    first = await batch(house, 3, headers={"Idempotency-Key": "b-1"})
    second = await batch(house, 3, headers={"Idempotency-Key": "b-1"})
    assert first == second


async def test_a_batch_tells_how_its_jobs_stand(house: House):
    made = await batch(house, 5)
    running = queued_messages(house.database)
    house.finish(running[0])
    house.finish(running[1], "failed")

    first = (await house.get(f"/batches/{made['batch_id']}?limit=3")).json()
    Batch.model_validate(first)
    second = (await house.get(f"/batches/{made['batch_id']}?limit=3&cursor={first['next_cursor']}")).json()

    assert (first["total"], first["completed"], first["failed"], first["queued"]) == (5, 1, 1, 3)
    assert sorted(first["job_ids"] + second["job_ids"]) == sorted(made["job_ids"])
    assert second["next_cursor"] is None


async def test_a_batch_of_another_environment_is_unknown(house: House):
    made = await batch(house, 1)
    other = house.new_key("test").key
    assert (await house.get(f"/batches/{made['batch_id']}", other)).status_code == 404
    assert (await house.get("/batches/batch_x")).status_code == 404
    assert (await house.get(f"/batches/{made['batch_id']}?cursor=x")).status_code == 400
