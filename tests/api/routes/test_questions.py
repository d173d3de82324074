"""The questions of jobs over the public API."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from api.http.schemas import Job, ProblemDetails, Question, QuestionList
from engine.actions.erasing import erase_job
from engine.actions.jobs import cancel
from engine.jobs.submit.accept import Caller
from storage.questions import QuestionRow
from tests.api.arrange import House
from tests.factories import asks_person


async def asked(house: House, values: dict[str, Any] | None = None, **more: Any) -> QuestionRow:
    job_id = (await house.submit()).json()["job_id"]
    return asks_person(house.database, job_id, values, **more)


async def say(house: House, question: QuestionRow, body: Any, key: str | None = None) -> httpx.Response:
    return await house.post(f"/jobs/{question.job_id}/questions/{question.id}/answer", body, key)


async def test_a_job_that_waits_says_so_and_lists_what_it_asks(house: House) -> None:
    question = await asked(house, editable=("text",))
    job = (await house.get(f"/jobs/{question.job_id}")).json()
    Job.model_validate(job)
    assert (job["status"], job["waiting_for"], job["ends_by"]) == ("processing", "person", None)
    body = (await house.get(f"/jobs/{question.job_id}/questions")).json()
    QuestionList.model_validate(body)
    (listed,) = body["data"]
    assert (listed["title"], listed["values"], listed["editable"]) == ("Send it?", {"text": "Hello"}, ["text"])
    assert (listed["status"], listed["answered_at"]) == ("open", None)
    assert f"/answer/{question.id}." in listed["link"]


async def test_a_wait_answers_with_the_job_as_it_is(house: House) -> None:
    question = await asked(house)
    answer = await house.get(f"/jobs/{question.job_id}?wait=5")
    assert (answer.status_code, answer.json()["waiting_for"]) == (200, "person")


async def test_a_program_answers_once(house: House) -> None:
    question = await asked(house, editable=("text",))
    body = {"approved": True, "values": {"text": "Hi"}, "note": "by a program"}
    answers = await asyncio.gather(*(say(house, question, body) for _ in range(4)))
    assert sorted(one.status_code for one in answers) == [200, 409, 409, 409]
    (won,) = [one.json() for one in answers if one.status_code == 200]
    Question.model_validate(won)
    assert (won["status"], won["values"], won["link"]) == ("approved", {"text": "Hi"}, None)
    assert won["answered_by"].startswith("API key ")
    lost = next(one.json() for one in answers if one.status_code == 409)
    ProblemDetails.model_validate(lost)
    assert lost["code"] == "question_closed"
    job = (await house.get(f"/jobs/{question.job_id}")).json()
    assert (job["status"], job["waiting_for"]) == ("queued", None)


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, {"/approved": "required"}),
        ({"approved": "yes"}, {"/approved": "type_error"}),
        ({"approved": None}, {"/approved": "type_error"}),
        ({"approved": True, "value": {}}, {"/value": "unknown_field"}),
        ({"approved": True, "values": []}, {"/values": "type_error"}),
        ({"approved": True, "values": {"text": 1}}, {"/values/text": "type_error"}),
        ({"approved": True, "values": {"to": "you"}}, {"/values/to": "unknown_field"}),
        ({"approved": True, "values": {"a/b": 1}}, {"/values/a~1b": "unknown_field"}),
        ({"approved": True, "note": "x" * 2_001}, {"/note": "max_length"}),
        ({"approved": True, "values": {"text": "x" * 300_000}}, {"/values": "max_length"}),
    ],
)
async def test_an_answer_that_does_not_fit_is_refused(house: House, body: Any, wrong: dict[str, str]) -> None:
    question = await asked(house, {"text": "Hello", "to": "me"}, editable=("text",))
    answer = await say(house, question, body)
    assert answer.status_code == 400
    assert {one["pointer"]: one["code"] for one in answer.json()["errors"]} == wrong
    assert (await say(house, question, {"approved": False})).json()["status"] == "refused"


async def test_a_key_answers_only_what_it_may_see(house: House) -> None:
    question = await asked(house)
    others = [house.new_key("test").key, house.new_key(flow_ids=[house.new_flow()]).key]
    stranger = house.other_workspace()
    house.new_flow(principal=stranger)
    for key in (*others, house.new_key(principal=stranger).key):
        assert (await say(house, question, {"approved": True}, key)).status_code == 404
        assert (await house.get(f"/jobs/{question.job_id}/questions", key)).status_code == 404
    assert (await say(house, question, {"approved": True})).status_code == 200


async def test_a_question_of_another_job_is_not_told_from_one_that_does_not_exist(house: House) -> None:
    question = await asked(house)
    stranger = house.other_workspace()
    foreign_flow, foreign_key = house.new_flow(principal=stranger), house.new_key(principal=stranger).key
    for flow_id, key in (
        (house.flow_id, house.key),
        (house.flow_id, house.new_key("test").key),
        (foreign_flow, foreign_key),
    ):
        address = f"/flows/execute/{flow_id}"
        own_job = (await house.post(address, {"url": "https://example.com"}, key)).json()["job_id"]
        told = set[str]()
        for one in (question.id, "ask_nope"):
            answer = await house.post(f"/jobs/{own_job}/questions/{one}/answer", {"approved": True}, key)
            told.add(answer.text.replace(one, "ID").replace(answer.json()["request_id"], "REQUEST"))
        assert len(told) == 1
        assert '"not_found"' in told.pop()


async def test_what_was_erased_or_cancelled_asks_no_more(house: House) -> None:
    question = await asked(house)
    caller = Caller(house.principal.workspace_id, None, "live")
    house.database.write_now(cancel, caller, question.job_id)
    assert (await say(house, question, {"approved": True})).status_code == 409
    (listed,) = (await house.get(f"/jobs/{question.job_id}/questions")).json()["data"]
    assert listed["status"] == "withdrawn"
    house.database.write_now(erase_job, caller, question.job_id)
    assert (await house.get(f"/jobs/{question.job_id}/questions")).json()["data"] == []
    assert (await say(house, question, {"approved": True})).status_code == 404


async def test_the_event_stream_carries_the_question(house: House) -> None:
    question = await asked(house)
    await say(house, question, {"approved": True})
    house.finish(question.job_id)
    text = (await house.get(f"/jobs/{question.job_id}/events")).text
    names = [line.removeprefix("event: ") for line in text.splitlines() if line.startswith("event: ")]
    assert names[2:5] == ["step.waiting", "step.answered", "job.queued"]
    assert '"title":"Send it?"' in text
