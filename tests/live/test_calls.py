"""Submitting and reading jobs through the public API."""

from __future__ import annotations

import re
from datetime import datetime

import httpx
import pytest

from tests.factories import greeting
from tests.live import flows
from tests.live.caller import Terminal

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
EVERY_KIND = (
    {"name": "url", "type": "string", "format": "uri", "required": True},
    {"name": "pages", "type": "integer", "minimum": 1, "maximum": 9},
    {"name": "tone", "type": "string", "enum": ["short", "long"]},
    {"name": "tags", "type": "array", "items": {"type": "string"}, "max_items": 2},
    {"name": "who", "type": "object", "fields": [{"name": "mail", "type": "string", "format": "email"}]},
)


@pytest.fixture(autouse=True)
def _nobody_leaves_a_slot_taken(caller):
    """Waits for all jobs after each test, so that the next test starts with all four slots free."""
    yield
    for status in ("queued", "processing"):
        for job in caller.request("GET", f"/jobs?status={status}").json()["data"]:
            caller.ended(job["job_id"])


@pytest.fixture(scope="module")
def greet(terminal) -> str:
    return terminal.flow(greeting())


@pytest.fixture(scope="module")
def strict(terminal) -> str:
    """A flow with an input field of every type."""
    node = {"id": "set_fields", "type": "set_fields", "inputs": {"url": "{{ api_input.out.url }}"}}
    return terminal.flow(flows.one_node(node, *EVERY_KIND))


def test_submitting_answers_202_with_job_id_status_and_flow_id(caller, greet):
    answer = caller.submit(greet, {"name": "Ada"})
    body = answer.json()
    assert answer.status_code == 202
    assert re.fullmatch(r"job_\w+", body["job_id"])
    assert (body["status"], body["flow_id"]) == ("queued", greet)
    assert answer.headers["location"] == body["url"] == f"/public/v1/jobs/{body['job_id']}"
    assert answer.headers["retry-after"] == "2", "polling every 2 to 5 seconds is what the guide says"
    assert answer.headers["cache-control"] == "no-store"
    assert re.search(r'"concurrency";q=4, "monthly";q=1000;w=2\d{6},', answer.headers["ratelimit-policy"])


def test_a_finished_job_has_everything_that_was_promised(caller, greet):
    job = caller.run(greet, {"name": "Ada"})
    assert (job["status"], job["flow_id"], job["result"]) == ("completed", greet, {"output": "Hello Ada"})
    assert re.fullmatch(r"job_\w+", job["job_id"])
    assert 0 <= job["execution_time_seconds"] < 30
    assert TIME.fullmatch(job["completed_at"])
    assert datetime.fromisoformat(job["created_at"]) <= datetime.fromisoformat(job["completed_at"])
    assert (job["error"], job["flow_version"], job["environment"], job["simulated"]) == (None, 1, "live", False)


def test_an_api_output_decides_the_result(terminal, caller):
    file = greeting()
    file["nodes"].append({"id": "api_output", "type": "api_output", "inputs": {"said": "{{ text_template.out }}"}})
    file["edges"].append({"id": "e2", "source": "text_template", "target": "api_output"})
    assert caller.run(terminal.flow(file), {"name": "Ada"})["result"] == {"said": "Hello Ada"}


def test_a_missing_malformed_unknown_and_revoked_key_get_the_same_401(terminal, caller, greet):
    revoked = terminal.caller()
    assert revoked.submit(greet, {"name": "Ada"}).status_code == 202
    terminal.do("keys", "revoke", "-", stdin=revoked.key)
    mistyped = caller.key[:-1] + ("a" if caller.key[-1] != "a" else "b")
    elsewhere = "fp_live_" + "0" * 38
    sent: dict[str, dict[str, str]] = {
        "missing": {},
        "empty": {"Authorization": "Bearer"},
        "malformed": {"Authorization": "Bearer nonsense"},
        "mistyped": {"Authorization": f"Bearer {mistyped}"},
        "unknown": {"Authorization": f"Bearer {elsewhere}"},
        "revoked": {"Authorization": f"Bearer {revoked.key}"},
        "another scheme": {"Authorization": f"Basic {caller.key}"},
        "in the other header": {"X-API-Key": revoked.key},
    }
    url = f"{caller.url}/public/v1/flows/execute/{greet}"
    bodies = {}
    for name, headers in sent.items():
        answer = httpx.post(url, json={"name": "Ada"}, headers=headers, timeout=20)
        assert answer.status_code == 401, name
        assert answer.headers["www-authenticate"].startswith("Bearer"), name
        assert answer.headers["content-type"] == "application/problem+json", name
        body = answer.json()
        assert body.pop("request_id") == answer.headers["x-request-id"]
        bodies[name] = body
    assert all(body == bodies["missing"] for body in bodies.values())
    assert bodies["missing"]["code"] == "unauthorized"


def test_a_key_works_in_the_other_header_too(caller, greet):
    url = f"{caller.url}/public/v1/flows/execute/{greet}"
    assert httpx.post(url, json={"name": "Ada"}, headers={"X-API-Key": caller.key}, timeout=20).status_code == 202


def test_a_wrong_body_is_refused_with_every_wrong_field_at_once(caller, strict):
    answer = caller.submit(
        strict, {"pages": "5", "tone": "loud", "tags": ["a", 2, "c"], "who": {"mail": "nobody"}, "colour": "red"}
    )
    assert answer.status_code == 400
    body = answer.json()
    assert body["code"] == "validation_failed"
    assert {(error["pointer"], error["code"]) for error in body["errors"]} == {
        ("/url", "required"),
        ("/pages", "type_error"),
        ("/tone", "enum"),
        ("/tags", "max_items"),
        ("/tags/1", "type_error"),
        ("/who/mail", "format"),
        ("/colour", "unknown_field"),
    }
    assert all(error["detail"] for error in body["errors"])


@pytest.mark.parametrize("content", ["{", "", "[1]", '{"url": NaN}', '{"url": "https://a.example", "url": "b"}'])
def test_what_is_no_json_object_is_refused(caller, strict, content):
    headers = {"Content-Type": "application/json"}
    answer = caller.request("POST", f"/flows/execute/{strict}", content=content, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["code"] in {"invalid_json", "validation_failed"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/flows/execute/flow_nobody"),
        ("GET", "/jobs/job_nobody"),
        ("POST", "/jobs/job_nobody/cancel"),
        ("GET", "/jobs/job_nobody/events"),
        ("GET", "/nowhere"),
    ],
)
def test_what_is_not_there_is_404(caller, method, path):
    answer = caller.request(method, path, **({"json": {}} if method == "POST" else {}))
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "not_found"


def test_a_key_sees_the_jobs_of_its_own_environment_only(terminal, caller, greet):
    other = terminal.caller(environment="dev")
    job_id = caller.accepted(greet, {"name": "Ada"})
    assert other.request("GET", f"/jobs/{job_id}").status_code == 404
    own = other.run(greet, {"name": "Eve"})
    assert own["environment"] == "dev"
    assert [job["job_id"] for job in other.request("GET", "/jobs").json()["data"]] == [own["job_id"]]


def test_another_workspace_is_a_stranger(terminal, caller, greet):
    stranger = Terminal.new(terminal.server).caller()
    job_id = caller.accepted(greet, {"name": "Ada"})
    unknown = stranger.submit("flow_nobody", {"name": "Ada"}).json()
    foreign = stranger.submit(greet, {"name": "Ada"})
    assert foreign.status_code == 404
    assert foreign.json()["code"] == unknown["code"] == "not_found"
    assert foreign.json()["title"] == unknown["title"]
    assert stranger.request("GET", f"/jobs/{job_id}").status_code == 404
    assert stranger.cancel(job_id).status_code == 404


def test_whoever_prefers_to_wait_gets_the_finished_job(caller, greet):
    answer = caller.submit(greet, {"name": "Ada"}, Prefer="wait=30")
    assert answer.status_code == 200
    assert answer.headers["preference-applied"] == "wait=30"
    assert (answer.json()["status"], answer.json()["result"]) == ("completed", {"output": "Hello Ada"})


def test_whoever_waited_in_vain_gets_202(terminal, caller, site):
    flow_id = terminal.flow(flows.one_node(flows.fetch(), flows.URL))
    answer = caller.submit(flow_id, {"url": site.hold("vain")}, Prefer="wait=1")
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    site.let_go("vain")
    assert caller.ended(answer.json()["job_id"])["status"] == "completed"


def test_the_same_idempotency_key_is_the_same_job(caller, greet):
    first = caller.submit(greet, {"name": "Ada"}, Idempotency_Key="order-17")
    again = caller.submit(greet, {"name": "Ada"}, Idempotency_Key="order-17")
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json() | {"status": ""} == first.json() | {"status": ""}, "the status is the present one"
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    left = [re.search(r'"monthly";r=(\d+)', answer.headers["ratelimit"]) for answer in (first, again)]
    assert left[0] and left[1] and left[0].group(1) == left[1].group(1), "a replay uses no quota"


def test_an_idempotency_key_with_another_body_is_422(caller, greet):
    assert caller.submit(greet, {"name": "Ada"}, Idempotency_Key="order-18").status_code == 202
    other = caller.submit(greet, {"name": "Eve"}, Idempotency_Key="order-18")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_a_refusal_is_not_kept_under_its_idempotency_key(caller, greet):
    assert caller.submit(greet, {"nom": "Ada"}, Idempotency_Key="order-19").status_code == 400
    assert caller.submit(greet, {"name": "Ada"}, Idempotency_Key="order-19").status_code == 202


def test_the_event_stream_tells_the_whole_story_and_goes_on_after_a_number(caller, greet):
    job = caller.run(greet, {"name": "Ada"})
    events = caller.events(job["job_id"])
    assert [seq for seq, _, _ in events] == list(range(1, len(events) + 1))
    names = [name for _, name, _ in events]
    assert names[0] == "job.queued"
    assert names[-1] == "job.completed"
    assert names.count("step.started") == names.count("step.completed") == 2
    assert all(data["job_id"] == job["job_id"] and data["seq"] == seq for seq, _, data in events)
    assert caller.events(job["job_id"], after=3) == events[3:]
    assert caller.events(job["job_id"], after=len(events)) == []


def test_a_reader_who_comes_back_misses_nothing_of_a_running_job(terminal, caller, site):
    flow_id = terminal.flow(flows.one_node(flows.fetch(), flows.URL))
    job_id = caller.accepted(flow_id, {"url": site.hold("story")})
    site.wait_until_held("story")
    url = f"{caller.url}/public/v1/jobs/{job_id}/events"
    headers = {"Authorization": f"Bearer {caller.key}"}
    seen: list[int] = []
    with httpx.stream("GET", url, headers=headers, timeout=20) as stream:
        for line in stream.iter_lines():
            if line.startswith("id: "):
                seen.append(int(line[4:]))
                if len(seen) == 3:
                    break
    site.let_go("story")
    rest = caller.events(job_id, after=seen[-1])
    assert seen == [1, 2, 3]
    assert rest[0][0] == 4
    assert rest[-1][1] == "job.completed"
    assert [seq for seq, _, _ in caller.events(job_id)] == [*seen, *(seq for seq, _, _ in rest)]


def test_a_job_that_did_not_change_is_not_sent_again(caller, greet):
    job = caller.run(greet, {"name": "Ada"})
    first = caller.request("GET", f"/jobs/{job['job_id']}")
    again = caller.request("GET", f"/jobs/{job['job_id']}", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_call_may_come_from_anywhere(caller, greet):
    """The Origin, Host and User-Agent headers do not matter."""
    elsewhere = {"Origin": "https://elsewhere.example", "Host": "flows.example.com", "User-Agent": "a program"}
    answer = caller.request("POST", f"/flows/execute/{greet}", json={"name": "Ada"}, headers=elsewhere)
    assert answer.status_code == 202, answer.text
    assert caller.ended(answer.json()["job_id"])["result"] == {"output": "Hello Ada"}


def test_a_small_batch_runs_within_the_limits(caller, greet):
    names = ("Ada", "Grace", "Edsger", "Barbara", "Alan", "Mary")
    batch = caller.request("POST", f"/flows/execute/{greet}/batch", json={"items": [{"name": name} for name in names]})
    assert batch.status_code == 202, batch.text
    results = [caller.ended(job_id)["result"]["output"] for job_id in batch.json()["job_ids"]]
    assert results == [f"Hello {name}" for name in names]
    counts = caller.request("GET", f"/batches/{batch.json()['batch_id']}").json()
    assert (counts["total"], counts["completed"]) == (6, 6)
