"""429: the fifth job at once, request 1,001 of a month, and slots that come back."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import httpx
import pytest

from engine.actions.keys import create_key
from engine.actions.principal import command_line
from storage.workspaces import pick_workspace
from tests.factories import greeting
from tests.live import flows
from tests.live.caller import Caller


@pytest.fixture(scope="module")
def fetch(terminal) -> str:
    return terminal.flow(flows.one_node(flows.fetch(), flows.URL))


@pytest.fixture
def full(caller, fetch, site, request) -> Iterator[list[tuple[str, str]]]:
    """Four jobs that run until they are let go: what they wait for, and their ids."""
    names = [f"{request.node.name}-{number}" for number in range(4)]
    jobs = [caller.accepted(fetch, {"url": site.hold(name)}) for name in names]
    for name in names:
        site.wait_until_held(name)
    yield list(zip(names, jobs, strict=True))
    for name, job_id in zip(names, jobs, strict=True):
        site.let_go(name)
        caller.ended(job_id)


def check_refused(answer: httpx.Response, code: str) -> int:
    """A 429 that says what is full. Returns its Retry-After."""
    assert answer.status_code == 429, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["code"] == code
    assert "Settings" in body["detail"], "it says where the limit can be raised"
    return int(answer.headers["retry-after"])


def test_the_fifth_job_at_once_is_refused_on_free(caller, fetch, site, full):
    answer = caller.submit(fetch, {"url": site.at("/story")})
    assert 1 <= check_refused(answer, "concurrency_limit_exceeded") <= 30
    assert re.match(r'"concurrency";r=0', answer.headers["ratelimit"])


def test_a_wrong_body_is_told_before_the_limit(caller, fetch, full):
    assert caller.submit(fetch, {}).status_code == 400


@pytest.mark.parametrize("end", ["completed", "failed", "cancelled"])
def test_a_slot_comes_back_when_a_job_ends(caller, fetch, site, full, end):
    name, job_id = full[0]
    if end == "cancelled":
        assert caller.cancel(job_id).json()["status"] == "cancelled"
    else:
        site.let_go(name, status=200 if end == "completed" else 500)
    assert caller.ended(job_id)["status"] == end
    extra = f"extra-{end}"
    one = caller.accepted(fetch, {"url": site.hold(extra)})
    check_refused(caller.submit(fetch, {"url": site.at("/story")}), "concurrency_limit_exceeded")
    site.let_go(extra)
    assert caller.ended(one)["status"] == "completed"


def test_callers_at_once_never_get_a_fifth_slot(terminal, caller, fetch, site):
    others = [caller, terminal.caller(), terminal.caller(environment="test")]
    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda n: others[n % 3].submit(fetch, {"url": site.hold("rush")}), range(24)))
    assert Counter(answer.status_code for answer in answers) == {202: 4, 429: 20}
    site.let_go("rush")
    for number, answer in enumerate(answers):
        if answer.status_code == 202:
            assert others[number % 3].ended(answer.json()["job_id"])["status"] == "completed"


def test_a_plan_that_is_changed_at_the_terminal_counts_for_the_next_request(terminal, caller, fetch, site, full):
    check_refused(caller.submit(fetch, {"url": site.at("/story")}), "concurrency_limit_exceeded")
    assert terminal.value("plan", "set", "pro") == "Pro: 20 jobs at once, 10,000 requests a month"
    job = caller.run(fetch, {"url": site.at("/story")})
    assert job["status"] == "completed"
    assert terminal.value("plan", "set", "free").startswith("Free: 4 jobs")
    check_refused(caller.submit(fetch, {"url": site.at("/story")}), "concurrency_limit_exceeded")


def check_month(answer: httpx.Response) -> None:
    """Refused until the 1st, 00:00 UTC."""
    seconds = check_refused(answer, "monthly_quota_exceeded")
    now = datetime.now(UTC)
    first = datetime(now.year + now.month // 12, now.month % 12 + 1, 1, tzinfo=UTC)
    assert abs(seconds - (first - now).total_seconds()) < 30
    assert '"monthly";r=0' in answer.headers["ratelimit"]


def test_request_4_of_a_month_of_3_is_refused(terminal):
    terminal.value("workspaces", "create", "Three")
    own = ("--workspace", "Three")
    terminal.value("plan", "set", "free", "--monthly", "3", *own)
    greet, caller = terminal.flow(greeting(), own[1]), terminal.caller(*own)
    for number in range(3):
        caller.run(greet, {"name": "Ada"}, Idempotency_Key=f"order-{number}")
    check_month(caller.submit(greet, {"name": "Ada"}))
    assert caller.submit(greet, {"name": "Ada"}, Idempotency_Key="order-0").status_code == 202, "a replay is no request"
    assert caller.submit(greet, {"nom": "Ada"}).status_code == 400
    terminal.value("plan", "set", "free", *own)
    assert caller.submit(greet, {"name": "Ada"}).status_code == 202


def test_request_1001_of_a_month_is_refused_on_free(terminal):
    terminal.value("workspaces", "create", "Busy")
    own = ("--workspace", "Busy")
    terminal.value("plan", "set", "free", "--concurrency", "unlimited", *own)
    greet, caller = terminal.flow(greeting(), own[1]), terminal.caller(*own)
    # A key may send 50 requests a second: 42 with each of 24 keys are never too many for one.
    owner = command_line(terminal.store.read_now(pick_workspace, own[1]).id)
    keys = [terminal.store.write_now(create_key, owner, f"Key {number}", "live").key for number in range(24)]
    with ThreadPoolExecutor(8) as threads:
        parts = threads.map(lambda key: call_often(Caller(caller.url, key), greet, 42), keys)
        statuses = Counter(status for part in parts for status in part)
    assert statuses == {202: 1000, 429: 8}
    check_month(caller.submit(greet, {"name": "Ada"}))
    terminal.value("plan", "set", "pro", "--concurrency", "unlimited", *own)
    assert caller.submit(greet, {"name": "Ada"}).status_code == 202


def call_often(caller: Caller, flow_id: str, times: int) -> list[int]:
    """Statuses of so many requests on one connection."""
    headers = {"Authorization": f"Bearer {caller.key}"}
    with httpx.Client(base_url=caller.url, headers=headers, timeout=60) as client:
        url = f"/public/v1/flows/execute/{flow_id}"
        return [client.post(url, json={"name": "Ada"}).status_code for _ in range(times)]
