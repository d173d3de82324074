from __future__ import annotations

import asyncio
import json
from typing import Literal

import httpx
import pytest

from api.http.schemas import Job, JobList, ProblemDetails
from engine.core.clock import MINUTE, to_rfc3339
from storage.job_changes import claim_job
from tests.api.arrange import FAILED, House
from tests.logical_time import pass_time


async def accepted(house: House, key: str | None = None) -> str:
    return (await house.submit(key=key)).json()["job_id"]


async def test_a_queued_job_has_no_result_yet(house: House):
    response = await house.get(f"/jobs/{await accepted(house)}")

    job = response.json()
    Job.model_validate(job)
    assert (job["status"], job["environment"], job["flow_version"]) == ("queued", "live", 1)
    for name in ("result", "error", "started_at", "completed_at", "ends_by", "execution_time_seconds"):
        assert job[name] is None
    assert response.headers["retry-after"] == "2"


async def test_a_job_at_work_says_when_it_ends_at_the_latest(house: House):
    job_id = await accepted(house)
    claimed = house.database.write_now(claim_job, "boot_test", job_id)

    job = (await house.get(f"/jobs/{job_id}")).json()

    assert (job["status"], job["attempts"], job["completed_at"]) == ("processing", 1, None)
    assert job["started_at"] == to_rfc3339(claimed.started_at)
    assert job["ends_by"] == to_rfc3339(claimed.started_at + 1_800_000)


async def test_a_completed_job_has_its_result(house: House):
    job_id = await accepted(house)
    house.finish(job_id)

    response = await house.get(f"/jobs/{job_id}")

    job = response.json()
    Job.model_validate(job)
    assert [*job][:2] == ["job_id", "status"], (
        "programs without a parser of JSON, like the sample for curl, take the first ones"
    )
    assert (job["status"], job["result"], job["error"]) == ("completed", {"text": "Read it"}, None)
    assert job["execution_time_seconds"] >= 0
    assert job["completed_at"].endswith("Z")
    assert "retry-after" not in response.headers


async def test_a_failed_job_says_why(house: House):
    job_id = await accepted(house)
    house.finish(job_id, "failed")

    job = (await house.get(f"/jobs/{job_id}")).json()

    assert (job["status"], job["error"], job["result"]) == ("failed", FAILED, None)


async def test_a_result_is_returned_as_the_flow_made_it(house: House):
    result = {"deep": [1, 2.5, None, True, {"ü": '🎈 "quoted"'}], "empty": {}}
    text = json.dumps(result)
    job_id = await accepted(house)
    house.finish(job_id, result=(text, len(text)))

    assert (await house.get(f"/jobs/{job_id}")).json()["result"] == result


async def test_what_has_not_changed_is_not_sent_again(house: House):
    job_id = await accepted(house)
    first = await house.get(f"/jobs/{job_id}")
    etag = first.headers["etag"]

    same = await house.get(f"/jobs/{job_id}", headers={"If-None-Match": f'W/"other", W/{etag}'})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", etag)
    assert same.headers["retry-after"] == "2"
    two = [("If-None-Match", '"other"'), ("If-None-Match", etag), ("Authorization", f"Bearer {house.key}")]
    assert (await house.client.get(f"/public/v1/jobs/{job_id}", headers=two)).status_code == 304
    assert (await house.client.head(f"/public/v1/jobs/{job_id}", headers=two)).status_code == 304

    house.finish(job_id)
    changed = await house.get(f"/jobs/{job_id}", headers={"If-None-Match": etag})
    assert (changed.status_code, changed.json()["status"]) == (200, "completed")


async def test_a_long_poll_is_answered_when_the_job_ends(house: House):
    job_id = await accepted(house)
    waiting = asyncio.create_task(house.get(f"/jobs/{job_id}?wait=30"))
    await pass_time(20)
    assert not waiting.done()

    house.finish(job_id)

    assert (await waiting).json()["status"] == "completed"


@pytest.mark.parametrize(("query", "headers"), [("?wait=1", {}), ("", {"Prefer": "wait=1"})])
async def test_a_long_poll_that_ends_without_news_answers_with_the_job(
    house: House, query: str, headers: dict[str, str]
):
    job_id = await accepted(house)
    response = await house.get(f"/jobs/{job_id}{query}", headers=headers)
    assert (response.status_code, response.json()["status"]) == (200, "queued")
    assert response.headers["preference-applied"] == "wait=1"


async def test_unknown_foreign_and_other_environments_jobs_look_the_same(house: House):
    other = house.other_workspace()
    flow_id = house.new_flow(principal=other)
    foreign_key = house.new_key(principal=other).key
    foreign = (await house.post(f"/flows/execute/{flow_id}", {"url": "https://a.example"}, foreign_key)).json()[
        "job_id"
    ]
    staging = await accepted(house, house.new_key("test").key)
    unknown = "job_" + "x" * 22

    for path in ("/jobs/{}", "/jobs/{}/events"):
        bodies = []
        for job_id in (unknown, foreign, staging):
            response = await house.get(path.format(job_id))
            assert response.status_code == 404
            ProblemDetails.model_validate(response.json())
            bodies.append(str({**response.json(), "request_id": ""}).replace(job_id, "ID"))
        assert len(set(bodies)) == 1
    for job_id in (unknown, foreign, staging):
        assert (await house.post(f"/jobs/{job_id}/cancel")).status_code == 404


async def test_a_result_whose_time_is_over_is_gone(house: House):
    job_id = await accepted(house)
    house.finish(job_id, result=None)

    response = await house.get(f"/jobs/{job_id}")

    assert (response.status_code, response.json()["code"]) == (410, "job_expired")


async def test_a_list_has_the_jobs_between_two_times(house: House):
    made = []
    for _ in range(3):
        made.append(await accepted(house))
        house.clock.offset += 1_000
    first, middle, last = [(await house.get(f"/jobs/{job_id}")).json()["created_at"] for job_id in made]

    between = (await house.get(f"/jobs?created_after={first}&created_before={last}")).json()["data"]

    assert [job["created_at"] for job in between] == [middle]


async def test_a_list_is_newest_first_and_stable_while_jobs_arrive(house: House):
    key = house.new_key().key
    made = []
    for _ in range(4):
        made.append(await accepted(house, key))
        house.clock.offset += 10
        house.finish(made[-1])

    first = (await house.get("/jobs?limit=3")).json()
    JobList.model_validate(first)
    late = await accepted(house, key)
    second = (await house.get(f"/jobs?limit=3&cursor={first['next_cursor']}")).json()

    assert [job["job_id"] for job in first["data"] + second["data"]] == list(reversed(made))
    assert second["next_cursor"] is None
    assert late not in str(second)
    assert first["data"][0]["result"] == {"text": "Read it"}


async def test_a_list_takes_only_the_cursors_that_it_gave(house: House):
    for _ in range(3):
        house.finish(await accepted(house))
    payloads = {"items": [{"url": "https://example.com"}] * 2}
    batches = [(await house.post(f"/flows/execute/{house.flow_id}/batch", payloads)).json() for _ in range(2)]
    of_items = f"/batches/{batches[0]['batch_id']}"
    lists = ["/jobs", "/batches", of_items]
    cursors = {path: (await house.get(f"{path}?limit=1")).json()["next_cursor"] for path in lists}

    for path in lists:
        for given, cursor in cursors.items():
            status = 200 if given == path else 400
            assert (await house.get(f"{path}?cursor={cursor}")).status_code == status, (path, given)
        for junk in ("x", "=", "A", "AA", "AAA", "AAAA"):
            answer = await house.get(f"{path}?cursor={cursors[path]}{junk}")
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter"), (path, junk)


async def test_a_cursor_counts_in_its_own_list_alone(house: House):
    """A cursor of another batch, another environment or other filters would skip rows, or end the list too early."""
    payloads = {"items": [{"url": "https://example.com"}] * 3}
    batches = [(await house.post(f"/flows/execute/{house.flow_id}/batch", payloads)).json() for _ in range(2)]
    one, other = (f"/batches/{batch['batch_id']}" for batch in batches)
    test_key = house.new_key("test").key
    jobs, narrowed = "/jobs?limit=1", "/jobs?limit=1&status=queued"
    cursors = {path: (await house.get(path)).json()["next_cursor"] for path in (jobs, narrowed, f"{other}?limit=1")}
    of_batches = (await house.get("/batches?limit=1")).json()["next_cursor"]

    assert (await house.get(f"{narrowed}&cursor={cursors[narrowed]}")).status_code == 200
    for path, cursor, key in (
        (f"{one}?limit=1", cursors[f"{other}?limit=1"], None),
        (jobs, cursors[jobs], test_key),
        (narrowed, cursors[jobs], None),
        (jobs, cursors[narrowed], None),
        (f"{jobs}&flow_id={house.flow_id}", cursors[jobs], None),
        (f"{jobs}&created_after=2026-01-31T12:00:00Z", cursors[jobs], None),
        ("/batches?limit=1", of_batches, test_key),
    ):
        answer = await house.get(f"{path}&cursor={cursor}", *([key] if key else []))
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter"), path


async def test_the_items_of_a_batch_are_listed_in_their_order(house: House):
    payloads = {"items": [{"url": "https://example.com"}] * 6}
    made = (await house.post(f"/flows/execute/{house.flow_id}/batch", payloads)).json()
    listed = (await house.get("/jobs")).json()["data"]
    assert [job["item_index"] for job in listed] == list(range(6))
    assert [job["job_id"] for job in listed] == made["job_ids"]


@pytest.mark.parametrize("path", ["/jobs", "/batches", "/flows/execute"])
async def test_an_unknown_id_is_named_in_part(house: House, path: str):
    call = house.post if path.startswith("/flows") else house.get
    detail = (await call(f"{path}/{'x' * 2_000}")).json()["detail"]
    assert "x" * 100 in detail and "x" * 101 not in detail


async def test_a_list_is_narrowed_by_status_flow_and_time(house: House):
    ended, other_flow = await accepted(house), house.new_flow("Other")
    house.finish(ended)
    house.clock.offset += MINUTE
    at = to_rfc3339(house.clock.now())
    house.clock.offset += 10
    newer = (await house.post(f"/flows/execute/{other_flow}", {"url": "https://a.example"})).json()["job_id"]

    async def listed(query: str) -> list[str]:
        return [job["job_id"] for job in (await house.get(f"/jobs?{query}")).json()["data"]]

    assert await listed("status=completed") == [ended]
    assert await listed(f"flow_id={other_flow}") == [newer]
    assert await listed(f"created_after={at}") == [newer]
    assert await listed("status=failed") == []
    assert await listed(f"flow_id={'x' * 10}") == []


async def test_a_large_result_is_left_out_of_a_list(house: House):
    job_id = await accepted(house)
    text = json.dumps({"text": "x" * 300_000})
    house.finish(job_id, result=(text, len(text)))

    (job,) = (await house.get("/jobs")).json()["data"]

    assert (job["result"], job["result_truncated"]) == (None, True)
    assert len((await house.get(f"/jobs/{job_id}")).json()["result"]["text"]) == 300_000


@pytest.mark.parametrize(
    "query",
    ["status=done", "limit=0", "limit=101", "limit=x", "cursor=nope", "created_after=x", "flow_id=a/b", "stauts=x"],
)
async def test_a_wrong_filter_is_refused(house: House, query: str):
    response = await house.get(f"/jobs?{query}")
    assert (response.status_code, response.json()["code"]) == (400, "invalid_parameter")


async def test_a_queued_job_is_cancelled_at_once_and_its_slot_is_free(house: House):
    jobs = [await accepted(house) for _ in range(4)]
    assert (await house.submit()).status_code == 429

    cancelled = await house.post(f"/jobs/{jobs[0]}/cancel")

    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert (await house.submit()).status_code == 202
    assert (await house.post(f"/jobs/{jobs[0]}/cancel")).status_code == 200


async def cancelled_at_work(house: House, job_id: str, end: Literal["cancelled", "completed"]) -> httpx.Response:
    """Returns the answer to the cancel of a job at work, which ends so while the call waits."""
    house.database.write_now(claim_job, "boot_other", job_id)
    asked = asyncio.create_task(house.post(f"/jobs/{job_id}/cancel"))
    while (await house.get(f"/jobs/{job_id}")).json()["cancel_requested_at"] is None:
        await asyncio.sleep(0.02)  # the key may ask so often in a second
    house.end(end, job_id, "boot_other")
    return await asked


async def test_cancelling_a_job_at_work_waits_for_it_to_stop(house: House):
    response = await cancelled_at_work(house, await accepted(house), "cancelled")

    assert (response.status_code, response.json()["status"]) == (200, "cancelled")
    assert response.json()["cancel_requested_at"] is None


async def test_a_job_that_completes_before_it_is_stopped_is_refused_like_one_that_had_ended(house: House):
    job_id = await accepted(house)
    first = await cancelled_at_work(house, job_id, "completed")

    for response in (first, await house.post(f"/jobs/{job_id}/cancel")):
        assert (response.status_code, response.json()["code"]) == (409, "job_not_cancellable")
        assert "completed" in response.json()["detail"]


async def test_a_job_that_does_not_stop_in_time_is_answered_as_it_is(house: House):
    job_id = await accepted(house)
    house.database.write_now(claim_job, "boot_test", job_id)

    response = await house.post(f"/jobs/{job_id}/cancel")

    assert (response.status_code, response.json()["status"]) == (200, "processing")
    assert response.json()["cancel_requested_at"].endswith("Z")


async def test_a_job_that_ended_cannot_be_cancelled(house: House):
    job_id = await accepted(house)
    house.finish(job_id)

    response = await house.post(f"/jobs/{job_id}/cancel")

    assert (response.status_code, response.json()["code"]) == (409, "job_not_cancellable")
