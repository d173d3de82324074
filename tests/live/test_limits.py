"""Status 429: more jobs than the concurrency limit, more requests than the monthly quota, and slots that become free
again.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy import update

from storage.tables import Usage
from tests.factories import greeting
from tests.live import flows
from tests.live.caller import Caller, Terminal
from tests.live.holding_site import HoldingSite


@pytest.fixture(scope="module")
def fetch(terminal) -> str:
    return terminal.flow(flows.one_node(flows.fetch(), flows.URL))


@pytest.fixture
def full(caller, fetch, site, request) -> Iterator[list[tuple[str, str]]]:
    """Four jobs that run until they are released, as pairs of the page they wait for and the job id."""
    names = [f"{request.node.name}-{number}" for number in range(4)]
    jobs = [caller.accepted(fetch, {"url": site.hold(name)}) for name in names]
    for name in names:
        site.wait_until_held(name)
    yield list(zip(names, jobs, strict=True))
    for name, job_id in zip(names, jobs, strict=True):
        site.let_go(name)
        caller.ended(job_id)


def check_refused(answer: httpx.Response, code: str) -> int:
    """Asserts a response with status 429 that names the limit. Returns its Retry-After."""
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
    others = [caller, terminal.caller(), terminal.caller()]
    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda n: others[n % 3].submit(fetch, {"url": site.hold("rush")}), range(24)))
    assert Counter(answer.status_code for answer in answers) == {202: 4, 429: 20}
    site.let_go("rush")
    for number, answer in enumerate(answers):
        if answer.status_code == 202:
            assert others[number % 3].ended(answer.json()["job_id"])["status"] == "completed"


def test_full_slots_of_production_leave_those_of_staging_free(terminal, fetch, site, full):
    tester = terminal.caller(environment="test")
    answers = [tester.submit(fetch, {"url": site.hold("staging")}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 429]
    assert answers[0].headers["ratelimit-policy"].startswith('"concurrency";q=1, "monthly";q=250;')
    assert answers[0].headers["ratelimit"].startswith('"concurrency";r=0, "monthly";r=2')
    check_refused(answers[1], "concurrency_limit_exceeded")
    assert "Staging of this workspace" in answers[1].json()["detail"]
    site.let_go("staging")
    assert tester.ended(answers[0].json()["job_id"])["status"] == "completed"


def test_a_plan_that_is_changed_at_the_terminal_counts_for_the_next_request(terminal, caller, fetch, site, full):
    check_refused(caller.submit(fetch, {"url": site.at("/story")}), "concurrency_limit_exceeded")
    assert terminal.value("plan", "set", "pro").startswith("Pro: Production 20 jobs at once, 10,000 requests a month")
    job = caller.run(fetch, {"url": site.at("/story")})
    assert job["status"] == "completed"
    assert terminal.value("plan", "set", "free").startswith("Free: Production 4 jobs")
    check_refused(caller.submit(fetch, {"url": site.at("/story")}), "concurrency_limit_exceeded")


def check_month(answer: httpx.Response) -> None:
    """Asserts a refusal until the first of the next month, 00:00 UTC."""
    seconds = check_refused(answer, "monthly_quota_exceeded")
    now = datetime.now(UTC)
    first = datetime(now.year + now.month // 12, now.month % 12 + 1, 1, tzinfo=UTC)
    earliest = (first - now).total_seconds()  # Retry-After was computed a moment earlier
    assert earliest <= seconds <= earliest + timedelta(minutes=5).total_seconds()
    assert '"monthly";r=0' in answer.headers["ratelimit"]


def test_request_4_of_a_month_of_3_is_refused(server):
    terminal = Terminal.new(server)
    terminal.set_plan("free", monthly=3)
    greet, caller = terminal.flow(greeting()), terminal.caller()
    for number in range(3):
        caller.run(greet, {"name": "Ada"}, Idempotency_Key=f"order-{number}")
    check_month(caller.submit(greet, {"name": "Ada"}))
    assert caller.submit(greet, {"name": "Ada"}, Idempotency_Key="order-0").status_code == 202, "a replay is no request"
    assert caller.submit(greet, {"nom": "Ada"}).status_code == 400
    terminal.set_plan("free")
    assert caller.submit(greet, {"name": "Ada"}).status_code == 202


@pytest.mark.parametrize(("plan", "at_once", "monthly"), [("free", 4, 1_000), ("pro", 20, 10_000)])
def test_what_a_plan_gives_at_once_and_in_a_month(server, site, plan, at_once, monthly):
    terminal = Terminal.new(server, plan)
    greet, caller = terminal.flow(greeting()), terminal.caller()
    takes_at_once(terminal, caller, site, f"plan-{plan}", at_once)
    uses_up(terminal, monthly - 1)
    last = caller.submit(greet, {"name": "Ada"})
    assert last.status_code == 202, last.text
    assert re.search(rf'"monthly";q={monthly};', last.headers["ratelimit-policy"])
    check_month(caller.submit(greet, {"name": "Ada"}))


def test_enterprise_gives_what_is_agreed_at_once_and_any_number_in_a_month(server, site):
    terminal = Terminal.new(server, "enterprise")
    terminal.set_plan("enterprise", concurrency=6)
    greet, caller = terminal.flow(greeting()), terminal.caller()
    takes_at_once(terminal, caller, site, "agreed", 6)
    uses_up(terminal, 5_000_000)
    accepted = caller.submit(greet, {"name": "Ada"})
    assert accepted.status_code == 202, accepted.text
    assert "monthly" not in accepted.headers.get("ratelimit-policy", "")


def takes_at_once(terminal: Terminal, caller: Caller, site: HoldingSite, name: str, at_once: int) -> None:
    """Asserts that `at_once` jobs are accepted and one more is refused; then all of them end."""
    flow_id = terminal.flow(flows.one_node(flows.fetch(), flows.URL))
    answers = [caller.submit(flow_id, {"url": site.hold(name)}) for _ in range(at_once + 1)]
    assert [answer.status_code for answer in answers] == [202] * at_once + [429]
    check_refused(answers[-1], "concurrency_limit_exceeded")
    site.let_go(name)
    for answer in answers[:-1]:
        assert caller.ended(answer.json()["job_id"])["status"] == "completed"


def uses_up(terminal: Terminal, requests: int) -> None:
    """Sets the number of requests used this month."""
    of_mine = update(Usage).where(Usage.subject == terminal.workspace_id).values(month_count=requests)
    terminal.store.write_now(lambda session: session.execute(of_mine))
