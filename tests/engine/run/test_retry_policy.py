"""The policy of a node: which failures are retried, how long the pauses are, and when a retry is useless."""

from __future__ import annotations

import gc
import weakref

import pytest

from engine.core.clock import Millis
from engine.core.shared_places import SharedPlaces
from engine.flow.node_context import NodeFailed
from engine.flow.node_type import THE_JOBS
from engine.nodes import CATALOG
from engine.run.retry_policy import FIRST_PAUSE, LONGEST_PAUSE, Tried, attempt, pause_before
from engine.run.steps import RunError, StepEnded, StepKey, Try
from tests.engine.nodes.node_in_flow import Services, run_node
from tests.logical_time import LogicalClock
from tests.stand_ins.local_server import Reply, Seen
from tests.stand_ins.web_site import WebSite

CLOCK = LogicalClock()
TRY = Try(1, Millis(0), 5, 0, None, None)


class Work:
    """Raises the given failures one after another, then returns `done`."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)

    async def __call__(self):
        if self.failures:
            raise self.failures.pop(0)
        return "done"


def busy(**more) -> NodeFailed:
    return NodeFailed("Not now.", code="http_status", passing=True, **more)


async def tried(*failures: Exception, retries: int = 2, deadline: float | None = None):
    return await attempt(Work(*failures), 5, retries, CLOCK, deadline)


async def test_what_a_step_worked_with_is_freed_when_it_fails():
    class File:
        pass

    read = []

    async def work():
        file = File()
        read.append(weakref.ref(file))
        try:
            raise ValueError(file)
        except ValueError:
            raise busy() from None

    gc.disable()
    try:
        failed = await attempt(work, 5, 0, CLOCK)
        assert failed.failure is not None
        assert [one() for one in read] == [None]
    finally:
        gc.enable()


async def test_a_step_that_waits_its_turn_until_its_limit_says_so():
    places = SharedPlaces(1)
    await places.take()
    failed = await attempt(places.take, 0.01, 0, CLOCK)
    assert failed.failure is not None and failed.failure.code == "timeout"
    assert failed.failure.why == "It waited its turn for the last 1 second: other work of this server was before it."


@pytest.mark.parametrize("number", range(1, 9))
def test_a_pause_is_any_part_of_a_time_that_doubles_up_to_a_limit(number):
    """Full jitter: callers that failed together do not retry at the same time."""
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (number - 1))
    pauses = [pause_before(number, None) for _ in range(2_000)]
    assert all(0 <= pause <= longest for pause in pauses)
    assert min(pauses) < longest / 20 and max(pauses) > longest * 19 / 20


@pytest.mark.parametrize(("asked", "pause"), [(0.0, 0.0), (7.0, 7.0), (-5.0, 0.0), (100_000.0, 300.0)])
def test_what_the_other_side_asks_for_is_waited_within_reason(asked, pause):
    assert pause_before(1, asked) == pause


async def test_of_a_step_that_worked_at_once_there_is_no_list_of_tries():
    assert await tried() == Tried("done", None, ())


@pytest.mark.parametrize(
    ("status", "error", "tries", "tried_so_often"),
    [
        ("completed", None, (), 1),
        ("completed", None, (TRY, TRY), 2),
        ("completed", RunError("internal", "Its default value was used."), (), 0),
        ("failed", RunError("input_missing", "It had no input."), (), 0),
        ("skipped", None, (), 0),
    ],
)
def test_how_often_a_step_was_tried(status, error, tries, tried_so_often):
    at = Millis(0)
    assert (
        StepEnded(
            key=StepKey("n"),
            status=status,
            started_at=at,
            ended_at=at,
            duration_ms=0,
            inputs={},
            error=error,
            tries=tries,
        ).tried
        == tried_so_often
    )


async def test_passing_faults_are_tried_again_as_often_as_allowed():
    done = await tried(busy(retry_after=0.02), busy(retry_after=0.03))
    assert (done.value, done.failure) == ("done", None)
    assert [(one.number, one.waited_ms, one.code) for one in done.tries] == [
        (1, 0, "http_status"),
        (2, 20, "http_status"),
        (3, 30, None),
    ]
    failed = await tried(*[busy(retry_after=0)] * 3)
    assert failed.failure is not None and len(failed.tries) == 3


async def test_a_fault_that_stays_is_not_tried_again():
    failed = await tried(NodeFailed("Wrong address.", code="bad_url"))
    assert failed.failure is not None and (failed.failure.message, len(failed.tries)) == ("Wrong address.", 1)


async def test_a_pause_beyond_the_jobs_deadline_is_not_begun():
    begun = CLOCK.monotonic()
    failed = await tried(busy(retry_after=30), deadline=begun + 20)
    assert failed.failure is not None and failed.failure.message == "Not now.", "which tells more than a time limit"
    assert len(failed.tries) == 1
    assert CLOCK.monotonic() == begun


async def test_a_fault_of_our_own_is_told_as_one():
    for error in (ZeroDivisionError("division by zero"), TimeoutError("elsewhere")):
        failed = await tried(error)
        assert (
            failed.failure is not None and failed.failure.message == "The node stopped because of a fault in Flowport."
        )
        assert failed.failure.why == f"{type(error).__name__}: {error}"
        assert len(failed.tries) == 1


class BusyAtFirst(WebSite):
    """Answers 503 with Retry-After 1 to the first request, and normally to later ones."""

    def reply(self, seen: Seen) -> Reply:
        if self.hits("/") == 1:
            return Reply(503, b"busy", {"retry-after": "1", "content-type": "text/plain"})
        return Reply(200, b"here", {"content-type": "text/plain"})


@pytest.mark.process
async def test_a_server_that_asks_for_a_pause_gets_it():
    services = Services()
    with BusyAtFirst() as site:
        out, step = await run_node(
            services, "http_request", {"method": "POST"}, {"url": site.at("/")}, policy={"retries": 1}
        )
        keys = [seen.headers["idempotency-key"] for seen in site.requests]
    await services.http.aclose()
    assert out["body"] == "here"
    assert [one.waited_ms for one in step.tries] == [0, 1000]
    assert keys == ["job_1:http_request:"] * 2, "the other side can know it again"


def test_the_usual_time_limits():
    usual = {name: kind.limit_for({}) for name, kind in CATALOG.items()}
    others = {
        "prompt": 180,
        "website_mapper": 160,  # most pages x delay + 60
        "page_scraper": 30,
        "http_request": 30,
        "api_input": 300,  # fetches the files that are sent as web addresses
        "read_document": 120,
        "agent": 600,
        "call_flow": THE_JOBS,
        "array_splitter": THE_JOBS,
    }
    assert usual == {**dict.fromkeys(CATALOG, 60), **others}
    assert CATALOG["page_scraper"].limit_for({"use_browser": True}) == 60
