"""How much a plan allows at once and in a month, what a caller over it is told, and what helps."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from tests.live_server import LiveServer, live_server
from tests.seed.person import Person
from tests.seed.world import Caller, World
from tests.stand_ins.web_site import WebSite

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, site: WebSite) -> Iterator[LiveServer]:
    """A server of its own: the month's requests are used up here."""
    allowed = {"FLOWPORT_OUTBOUND_ALLOW": site.origin.removeprefix("http://")}
    with live_server(tmp_path_factory.mktemp("limits") / "data", env=allowed) as running:
        yield running


@pytest.fixture
def held(world: World) -> Iterator[list[str]]:
    """Jobs that hold a slot; cancelled at the end."""
    job_ids: list[str] = []
    yield job_ids
    world.caller.cancel(*job_ids)


def test_free_runs_4_at_once(world: World, person: Person, held: list[str]) -> None:
    person.set_plan("Free")
    expect(person.page.get_by_text("0 of 4 jobs at once")).to_be_visible()
    held += world.hold(4)
    expect(person.page.get_by_text("4 of 4 jobs at once")).to_be_visible()
    refused_for_concurrency(world)


def test_pro_runs_20_at_once(world: World, person: Person, held: list[str]) -> None:
    person.set_plan("Pro")
    expect(person.page.get_by_text("0 of 20 jobs at once")).to_be_visible()
    held += world.hold(20)
    refused_for_concurrency(world)


def test_enterprise_runs_as_many_at_once_as_is_agreed(world: World, person: Person, held: list[str]) -> None:
    person.set_plan("Enterprise", at_once="6")
    expect(person.page.get_by_text("0 of 6 jobs at once")).to_be_visible()
    held += world.hold(6)
    refused_for_concurrency(world)


def test_above_the_concurrency_limit_the_answer_is_429(world: World, person: Person, held: list[str]) -> None:
    person.set_plan("Free")
    held += world.hold(4)
    refused = world.caller.submit(world.greet, {"name": "Ada"})
    assert (refused.status_code, refused.reason_phrase) == (429, "Too Many Requests")
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["code"] == "concurrency_limit_exceeded"
    assert "4 jobs" in refused.json()["detail"]


def test_after_running_jobs_have_completed_new_ones_are_accepted(world: World, person: Person) -> None:
    person.set_plan("Free")
    running = [world.caller.submit(world.fetch, {"url": world.site.at("/slow")}).json()["job_id"] for _ in range(4)]
    assert world.caller.submit(world.greet, {"name": "Ada"}).status_code == 429
    assert {world.caller.ended(job_id)["status"] for job_id in running} == {"completed"}
    assert world.caller.run(world.greet, {"name": "Ada"})["status"] == "completed"


def test_retrying_with_growing_pauses_is_advised_and_the_examples_wait_as_told(world: World, person: Person) -> None:
    person.open("/docs/guides/best-practices")
    expect(
        person.page.get_by_text("Repeat on 429, 500, 503 and lost connections, with pauses that grow")
    ).to_be_visible()
    person.open(f"/docs/flows/{world.greet}")
    for language, growing, chance in (
        ("Python", "2**attempt", "random.uniform"),
        ("JavaScript", "2 ** attempt", "Math.random"),
    ):
        code = person.page.locator(f"pre[data-language={language}]")
        for part in ("Retry-After", growing, chance):
            expect(code).to_contain_text(part)


def test_the_example_handles_a_429_and_gets_its_result(world: World, person: Person, tmp_path: Path) -> None:
    person.set_plan("Free")
    example = Caller(world.server.url, person.create_key("Example"))
    person.open(f"/docs/flows/{world.greet}")
    (tmp_path / "call.py").write_text(person.page.locator("pre[data-language=Python]").inner_text())
    held = world.hold(4)
    env = {**os.environ, "FLOWPORT_API_KEY": example.key}
    program = subprocess.Popen([sys.executable, "call.py"], cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True)
    try:
        person.open("/jobs?tab=refused")
        met = person.page.get_by_role("row", name=re.compile("429 All job slots were in use.*Example"))
        expect(met).to_be_visible(timeout=15_000)
    finally:
        world.caller.cancel(*held)
        said, _ = program.communicate(timeout=60)
    assert program.returncode == 0
    assert said.startswith("{'output': 'Hello")


def test_callers_can_queue_on_their_side_by_the_time_that_the_answer_names(world: World, person: Person) -> None:
    person.set_plan("Free")
    done: list[str] = []

    def run(place: int) -> None:
        while True:
            answer = world.caller.submit(world.greet, {"name": f"Ada {place}"})
            if answer.status_code != 429:
                break
            time.sleep(int(answer.headers["retry-after"]))
        done.append(world.caller.ended(answer.json()["job_id"])["result"]["output"])

    threads = [threading.Thread(target=run, args=(place,)) for place in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(done) == sorted(f"Hello Ada {place}" for place in range(12))


def test_a_small_batch_runs_within_the_limits(world: World, person: Person) -> None:
    person.set_plan("Free")
    items = [{"name": name} for name in ("Ada", "Grace", "Edsger", "Barbara", "Alan", "Mary")]
    batch = world.caller.request("POST", f"/flows/execute/{world.greet}/batch", json={"items": items})
    assert batch.status_code == 202, batch.text
    results = [world.caller.ended(job_id)["result"]["output"] for job_id in batch.json()["job_ids"]]
    assert results == [f"Hello {item['name']}" for item in items]
    counts = world.caller.request("GET", f"/batches/{batch.json()['batch_id']}").json()
    assert (counts["total"], counts["completed"]) == (6, 6)


def test_a_429_says_what_is_full_and_that_the_plan_can_be_raised(world: World, person: Person, held: list[str]) -> None:
    person.set_plan("Free")
    held += world.hold(4)
    answer = world.caller.submit(world.greet, {"name": "Ada"})
    assert "Settings, Limits and plan" in answer.text
    person.set_plan("Pro")
    assert world.caller.submit(world.greet, {"name": "Ada"}).status_code == 202


def test_free_takes_1_000_requests_a_month(world: World, person: Person) -> None:
    used = use_up_the_month(world, person)
    refused = world.caller.submit(world.greet, {"name": "one more"})
    assert used == 1_000
    assert (refused.status_code, refused.json()["code"]) == (429, "monthly_quota_exceeded")
    assert "1,000" in refused.json()["detail"]
    person.open("/settings/limits")
    expect(person.page.get_by_text("1,000 of 1,000 requests a month")).to_be_visible()


def test_pro_takes_10_000_requests_a_month(world: World, person: Person) -> None:
    use_up_the_month(world, person)
    person.set_plan("Pro")
    expect(person.page.get_by_text("of 10,000 requests a month")).to_be_visible()
    accepted = world.caller.request("POST", f"/flows/execute/{world.greet}/batch", json={"items": [{"name": "Ada"}]})
    assert accepted.status_code == 202, "more than Free takes"
    assert "q=10000" in accepted.headers["ratelimit-policy"]
    policy, left = month_of(accepted)
    assert (policy, left) == (10_000, 10_000 - used_of(person))


def test_enterprise_takes_any_number_of_requests_a_month(world: World, person: Person) -> None:
    use_up_the_month(world, person)
    assert world.caller.submit(world.greet, {"name": "Ada"}).json()["code"] == "monthly_quota_exceeded"
    person.set_plan("Enterprise", at_once="unlimited")
    expect(person.page.get_by_text("of any number of requests a month")).to_be_visible()
    accepted = world.caller.submit(world.greet, {"name": "Ada"})
    assert accepted.status_code == 202, accepted.text
    assert "monthly" not in accepted.headers.get("ratelimit-policy", "")


def refused_for_concurrency(world: World) -> None:
    """One more is one too many."""
    refused = world.caller.submit(world.greet, {"name": "Ada"})
    assert (refused.status_code, refused.json()["code"]) == (429, "concurrency_limit_exceeded")
    assert int(refused.headers["retry-after"]) >= 1


def month_of(answer: httpx.Response) -> tuple[int, int]:
    """Quota and what is left of it, as the headers say."""
    policy = re.search(r'"monthly";q=(\d+)', answer.headers["ratelimit-policy"])
    left = re.search(r'"monthly";r=(\d+)', answer.headers["ratelimit"])
    assert policy is not None
    assert left is not None
    return int(policy.group(1)), int(left.group(1))


def used_of(person: Person) -> int:
    """This month's use as Settings says it."""
    person.open("/settings/limits")
    text = person.page.get_by_text(re.compile(r"^[\d,]+ of .* requests a month$")).inner_text()
    return int(text.split(" ")[0].replace(",", ""))


def use_up_the_month(world: World, person: Person) -> int:
    """Sends requests on Free until none is left, the most by one batch that is stopped. Returns how many the month has taken."""
    person.set_plan("Free")
    probe = world.caller.submit(world.greet, {"name": "Ada"})
    if probe.status_code == 202:
        quota, left = month_of(probe)
        assert quota == 1_000
        too_many = {"items": [{"name": "Ada"}] * (left + 1)}
        path = f"/flows/execute/{world.greet}/batch"
        if left < 1_000:
            assert world.caller.request("POST", path, json=too_many).status_code == 429
        exactly = {"items": [{"name": "Ada"}] * left}
        assert world.caller.request("POST", path, json=exactly).status_code == 202
    return used_of(person)
