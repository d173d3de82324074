"""Lists by cursor, isolation of other workspaces' jobs, and the sums of model calls."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from engine.core.errors import NotFound, ParameterInvalid
from engine.jobs.transitions import claim
from storage.events import list_events
from storage.job_changes import Lease
from storage.jobs import (
    JobFilters,
    KeyScope,
    WantedJob,
    find_job,
    find_jobs_and_small_results,
    get_job,
    list_jobs,
)
from storage.steps import Progress, list_steps, write_progress
from storage.tables import Job, Workspace
from tests.engine.jobs.world import World, add_workspace, open_world


@pytest.fixture
def world(new_data: Path) -> Iterator[World]:
    world = open_world(new_data)
    world.write(lambda session: session.execute(update(Workspace).values(concurrency=-1)))
    yield world
    world.database.close()


def test_a_list_is_newest_first_and_stable_while_jobs_arrive(world: World) -> None:
    flow_id = world.add_flow()
    jobs = [world.submit(flow_id).job_id for _ in range(7)]
    seen: list[str] = []
    cursor = None
    while True:
        page = world.read(list_jobs, world.workspace_id, JobFilters(flow_id=flow_id), 3, cursor)
        seen += [job.id for job in page.jobs]
        world.submit(flow_id)
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    assert sorted(seen) == sorted(jobs)
    created = [world.job(job_id).created_at for job_id in seen]
    assert created == sorted(created, reverse=True)


@pytest.mark.parametrize("cursor", ["x", "", "%%%", "MTox\n", "OTk5OTk5OTk5OTk5OTk5OTk5OTk6am9i", "YWJj"])
def test_a_cursor_that_no_list_gave_is_refused(world: World, cursor: str) -> None:
    with pytest.raises(ParameterInvalid):
        world.read(list_jobs, world.workspace_id, JobFilters(), 10, cursor)


def test_another_workspace_sees_nothing_of_a_job(world: World) -> None:
    job_id = world.submit(world.add_flow()).job_id
    other = world.write(add_workspace)
    assert world.read(find_job, other, job_id) is None
    assert world.read(list_events, other, job_id) == []
    assert world.read(list_steps, other, job_id) == []
    assert world.read(list_jobs, other).jobs == ()
    with pytest.raises(NotFound):
        world.read(get_job, world.workspace_id, job_id, KeyScope("test"))


async def test_jobs_that_are_read_together_are_each_seen_by_their_own_key_alone(world: World) -> None:
    mine, other = world.workspace_id, world.write(add_workspace)
    flow_id = world.add_flow()
    ended, queued = world.submit(flow_id).job_id, world.submit(flow_id).job_id
    await world.runs().carry(ended)
    live, test = KeyScope("live"), KeyScope("test")
    seen = [
        WantedJob(mine, ended, live),
        WantedJob(mine, queued, KeyScope("live", frozenset({flow_id}))),
        WantedJob(mine, ended),
    ]
    unseen = [
        WantedJob(other, ended, live),
        WantedJob(mine, ended, test),
        WantedJob(mine, queued, KeyScope("live", frozenset({"flow_x"}))),
        *(WantedJob(mine, f"job_{number}") for number in range(200)),  # more than one statement takes
    ]
    asked = [*unseen, *seen, *unseen, *seen]
    found = world.read(find_jobs_and_small_results, asked)
    assert [one and one.job.id for one in found] == 2 * [*(None for _ in unseen), ended, queued, ended]


def test_filters_narrow_a_list(world: World) -> None:
    one, two = world.add_flow(), world.add_flow()
    first, second = world.submit(one).job_id, world.submit(two).job_id
    world.write(claim, "boot_w", first)

    def ids(**filters) -> set[str]:
        return {job.id for job in world.read(list_jobs, world.workspace_id, JobFilters(**filters)).jobs}

    assert ids(flow_id=one) == {first}
    assert ids(statuses=("queued",)) == {second}
    assert ids(environments=("test",)) == set()
    assert ids(created_after=world.job(second).created_at) == set()


@pytest.mark.parametrize(
    ("message", "text", "found"),
    [
        ('It said: {"error": "no"}', 'said: {"error": "no"}', True),
        ("C:\\temp is full", "c:\\TEMP is", True),
        ("one\nline,\r\n\r\nthen another", "one line, then another", True),
        ("`https://a.example/` answered 404", "https://a.example/ answered 404", True),
        ("`https://a.example/` answered 404", "`https://a.example/` answered", True),
        ("100 % of it_", "100 % of it_", True),
        ("100 times of its", "100 % of it_", False),
        ("\u00dcber alles", "\u00fcber", True),
        ("stra\u00dfe \u00e4ndern", "STRA\u00dfE", True),
        ("\u00c4NDERN", "\u00e4ndern", True),
        ("cut \ud83d here\0", "here", True),
        ("It failed", "the reason of it", True),
        ("It failed", "Fetch it", True),
        ("It failed", "node_id", False),
        ("It failed", "message", False),
        ("It failed", "remedy", False),
        ("It failed", "HTTP_status", True),
    ],
)
def test_a_text_of_an_error_is_found_as_it_is_read(world: World, message: str, text: str, found: bool) -> None:
    said = {"why": "The reason of it", "remedy": "", "node_id": "page", "node_label": "Fetch it"}
    job_id = world.submit(world.add_flow()).job_id
    error = {"code": "http_status", "message": message, **said}
    world.write(lambda session: session.execute(update(Job).where(Job.id == job_id).values(error=error)))
    world.submit(world.add_flow())
    jobs = world.read(list_jobs, world.workspace_id, JobFilters(text=text)).jobs
    assert [job.id for job in jobs] == ([job_id] if found else [])


def test_jobs_are_listed_by_what_started_them(world: World) -> None:
    flow_id = world.add_flow()
    monday, tuesday = (world.submit(flow_id, trigger=f"schedule:sched_{day}").job_id for day in ("monday", "tuesday"))
    hooked = world.submit(flow_id, trigger="hook:hook_1").job_id
    called = world.submit(flow_id).job_id

    def listed(trigger: str | None) -> set[str]:
        return {job.id for job in world.read(list_jobs, world.workspace_id, JobFilters(trigger=trigger)).jobs}

    assert listed(None) == {monday, tuesday, hooked, called}
    assert listed("schedule:") == {monday, tuesday}
    assert listed("schedule:sched_monday") == {monday}
    assert listed("hook:") == {hooked}
    assert listed("hook:%") == set()
    assert (world.job(monday).trigger, world.job(called).trigger) == ("schedule:sched_monday", None)


def call(cost: int | None) -> dict:
    return {
        "node_id": "ask",
        "index_path": "",
        "at": 1,
        "connection": "local",
        "model": "small",
        "input_tokens": 10,
        "output_tokens": 2,
        "cost_nanos": cost,
        "price": None,
        "duration_ms": 5,
        "simulated": False,
        "error": None,
    }


def test_cost_grows_with_each_call_and_one_unknown_price_makes_it_unknown(world: World) -> None:
    job_id = world.submit(world.add_flow()).job_id
    world.write(claim, "boot_w", job_id)

    def told(*calls: dict, attempt: int = 1) -> bool:
        lease = Lease("boot_w", attempt)
        progress = Progress(job_id, world.workspace_id, "flow", lease, (), (), calls, (("x", 1, {}),), 1, 0)
        return world.write(write_progress, progress)[0]

    assert told(call(5), call(7))
    assert (world.job(job_id).cost_nanos, world.job(job_id).input_tokens, world.job(job_id).model_calls) == (12, 20, 2)
    assert told(call(None))
    assert told(call(5))
    assert (world.job(job_id).cost_nanos, world.job(job_id).output_tokens) == (None, 8)
    assert not told(call(1), attempt=2)
    assert world.job(job_id).model_calls == 4
