"""`DELETE /jobs/{job_id}/data` erases the data that a caller sent and what was made from them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api.http.schemas import Job, ProblemDetails
from storage.audit import list_entries
from storage.job_changes import claim_job
from storage.webhooks import DeliveryRow, list_due, take_due
from tests.api.arrange import FAILED, House
from tests.stored import places_of

SECRET = "canary-9Hd3"


async def ended(house: House, status: str = "completed", **options: Any) -> str:
    job_id = (await house.submit({"url": f"https://{SECRET}.example"}, **options)).json()["job_id"]
    if status == "completed":
        house.finish(job_id, result=(f'{{"text":"{SECRET}"}}', 30))
    else:
        house.finish(job_id, status, error={**FAILED, "message": SECRET, "why": SECRET, "remedy": ""})
    return job_id


async def erase(house: House, job_id: str, key: str | None = None) -> Any:
    return await house._call("DELETE", f"/jobs/{job_id}/data", key)


def files_hold(house: House, said: str) -> list[str]:
    data = house.api._context.settings.data
    return places_of(data, said)


async def test_a_completed_job_answers_without_its_result_from_then_on(house: House):
    job_id = await ended(house)
    before = (await house.get(f"/jobs/{job_id}")).json()
    assert before["data_erased_at"] is None
    assert files_hold(house, SECRET)

    response = await erase(house, job_id)

    assert response.status_code == 200
    job = response.json()
    Job.model_validate(job)
    assert job == {**before, "result": None, "data_erased_at": job["data_erased_at"]}
    assert job["data_erased_at"] is not None
    assert response.headers["cache-control"] == "no-store"
    assert files_hold(house, SECRET) == []
    again = await house.get(f"/jobs/{job_id}")
    assert (again.status_code, again.json()) == (200, job)
    listed = (await house.get("/jobs")).json()["data"]
    assert [(one["job_id"], one["result"], one["data_erased_at"]) for one in listed] == [
        (job_id, None, job["data_erased_at"])
    ]
    events = await house.get(f"/jobs/{job_id}/events")
    assert events.status_code == 200
    number, name, data = (line.split(": ", 1)[1] for line in events.text.strip().split("\n"))
    assert (name, events.text.count("\nevent: ")) == ("job.completed", 1)
    at = {"at": job["completed_at"], "data_erased_at": job["data_erased_at"]}
    assert json.loads(data) == {"job_id": job_id, "seq": int(number), **at}
    late = await house.get(f"/jobs/{job_id}/events", headers={"Last-Event-ID": number})
    assert late.text == events.text  # a reader that reconnects automatically gets the final event again


async def test_a_failed_job_keeps_its_code_and_loses_its_words(house: House):
    job_id = await ended(house, "failed")

    job = (await erase(house, job_id)).json()

    assert job["error"] == {**FAILED, "message": job["error"]["message"]}
    assert "erased" in job["error"]["message"]
    data = json.loads((await house.get(f"/jobs/{job_id}/events")).text.partition("data: ")[2])
    assert {name: data[name] for name in ("code", "message", "node_id")} == {
        name: job["error"][name] for name in ("code", "message", "node_id")
    }
    assert files_hold(house, SECRET) == []


async def test_erasing_again_gives_the_same_answer_and_one_line_in_the_audit_log(house: House):
    job_id = await ended(house)
    first = await erase(house, job_id)

    assert (await erase(house, job_id)).json() == first.json()

    lines = [
        one for one in house.database.read_now(list_entries, house.principal.workspace_id) if one.verb == "erase data"
    ]
    assert [(one.subject, one.detail) for one in lines] == [(job_id, "1 job")]
    assert lines[0].actor.startswith("Key (key_")
    assert lines[0].address == "127.0.0.1"
    assert SECRET not in repr(lines)


@pytest.mark.parametrize("begun", [False, True], ids=["queued", "processing"])
async def test_a_job_that_has_not_ended_says_to_cancel_it_first(house: House, begun: bool):
    job_id = (await house.submit()).json()["job_id"]
    if begun:
        house.database.write_now(claim_job, "boot_test", job_id)

    response = await erase(house, job_id)

    ProblemDetails.model_validate(response.json())
    assert (response.status_code, response.json()["code"]) == (409, "job_not_ended")
    assert "Cancel it" in response.json()["detail"]


async def test_jobs_that_a_key_does_not_see_are_unknown_to_it(house: House):
    other = house.other_workspace()
    foreign = house.new_key(principal=other).key
    staging = house.new_key("test").key
    other_flow = house.new_key(flow_ids=[house.new_flow("Other")]).key
    job_id = await ended(house)
    unknown = await erase(house, "job_" + "x" * 22)

    for key in (foreign, staging, other_flow):
        response = await erase(house, job_id, key)
        assert response.status_code == 404
        said, wanted = ({**one.json(), "request_id": ""} for one in (response, unknown))
        assert str(said).replace(job_id, "ID") == str(wanted).replace("job_" + "x" * 22, "ID")

    assert (await house.get(f"/jobs/{job_id}")).json()["result"] == {"text": SECRET}


async def test_a_webhook_that_waits_is_sent_without_the_result(house: House):
    from engine.jobs.webhook_delivery import _make_notification
    from engine.secrets.sealing import open_vault

    job_id = await ended(house, headers={"X-Webhook-Url": "https://hooks.example.com/end"})
    due = [one.id for one in house.database.read_now(list_due, 5)]
    (delivery,) = house.database.write_now(take_due, due, lease_ms=1)
    assert isinstance(delivery, DeliveryRow)

    await erase(house, job_id)

    vault = open_vault(house.api._context.settings.data)
    letter = house.database.write_now(_make_notification, vault, delivery)
    assert letter is not None
    assert b'"result":null' in letter.body
    assert b'"data_erased_at":"2' in letter.body
    assert SECRET.encode() not in letter.body


async def test_an_expired_result_stays_410_until_it_is_erased(house: House):
    job_id = (await house.submit()).json()["job_id"]
    house.finish(job_id, result=None)
    assert (await house.get(f"/jobs/{job_id}")).status_code == 410

    assert (await erase(house, job_id)).status_code == 200

    assert (await house.get(f"/jobs/{job_id}")).status_code == 200
