"""Lists of jobs with large results: a page has a maximum size, and many lists at once do not exhaust the server's
memory.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy.orm import Session

from api.routes.jobs import PAGE_BYTES
from engine.core.clock import MovedClock
from engine.core.ids import new_id
from storage.job_changes import Lease, claim_job, insert_job
from storage.job_ends import JobEnd, end_jobs
from storage.job_results import LIST_CAP
from tests.api.arrange import House, open_house
from tests.factories import greeting
from tests.live.caller import Caller, Terminal
from tests.live_server import LiveServer
from tests.security.beside import beside

#: Size of the attack: concurrent lists, jobs in each, and bytes of each result, just below the maximum in a list.
LISTS, JOBS, RESULT_BYTES = 24, 100, 250 * 1024


def add_ended_job(session: Session, workspace_id: str, flow_id: str, result: str) -> str:
    """Inserts a completed job with this JSON as its result."""
    job_id = new_id("job")
    row = {
        "id": job_id,
        "workspace_id": workspace_id,
        "flow_id": flow_id,
        "flow_version": 1,
        "environment": "live",
        "counted": False,
        "limit_ms": 60_000,
        "steps_total": 1,
        "request_id": "",
    }
    insert_job(session, row, ("{}", 2))
    claim_job(session, "boot_gone", job_id)
    lease = Lease("boot_gone", 1)
    assert end_jobs(session, [JobEnd(job_id, "completed", lease, result=(result, len(result.encode())))]) != [None]
    return job_id


def text_of(size: int, letter: str = "x") -> str:
    """Returns a JSON result of exactly `size` bytes."""
    return json.dumps({"text": letter * (size - len('{"text": ""}'))})


# Tests in this process: the contents of a page.


@pytest.fixture
async def house(new_data: Path) -> AsyncIterator[House]:
    async with open_house(new_data, MovedClock(), "enterprise") as made:
        yield made


def add(house: House, *results: str) -> list[str]:
    def all_of_them(session: Session) -> list[str]:
        return [add_ended_job(session, house.principal.workspace_id, house.flow_id, result) for result in results]

    return house.database.write_now(all_of_them)


async def pages_of(house: House, query: str) -> list[httpx.Response]:
    pages = [await house.get(f"/jobs?{query}")]
    while cursor := pages[-1].json()["next_cursor"]:
        pages.append(await house.get(f"/jobs?{query}&cursor={cursor}"))
    return pages


async def test_a_page_ends_before_it_is_too_large_and_its_cursor_goes_on(house: House):
    added = add(house, *[text_of(200 * 1024)] * 12, *['{"small":1}'] * 3)

    pages = await pages_of(house, "limit=100")

    assert all(len(page.content) <= PAGE_BYTES + 200 for page in pages)
    assert len(pages) == 6
    listed = [job["job_id"] for page in pages for job in page.json()["data"]]
    assert sorted(listed) == sorted(added), "every job once"
    assert {len(job["result"]["text"]) for page in pages for job in page.json()["data"] if "text" in job["result"]}


async def test_results_that_are_too_large_for_a_list_do_not_count(house: House):
    add(house, *[text_of(LIST_CAP + 1)] * 6)
    (page,) = await pages_of(house, "limit=100")
    jobs = page.json()["data"]
    assert [(job["result"], job["result_truncated"]) for job in jobs] == [(None, True)] * 6
    assert len(page.content) < 10_000


async def test_a_page_holds_as_many_small_jobs_as_are_asked_for(house: House):
    add(house, *['{"n":1}'] * 7)
    pages = await pages_of(house, "limit=3")
    assert [len(page.json()["data"]) for page in pages] == [3, 3, 1]


@pytest.mark.parametrize(
    "result", ['{"a":"\\"result\\":null","ü":["🎈",1.5e300,null]}', '"text"', "null", "[]", "0", '{"result":null}']
)
async def test_a_result_stands_in_answers_as_it_was_stored(house: House, result: str):
    (job_id,) = add(house, result)
    single = (await house.get(f"/jobs/{job_id}")).json()
    (listed,) = (await house.get("/jobs")).json()["data"]
    assert single == listed
    assert single["result"] == json.loads(result)
    assert single["error"] is None


# Tests of a real server: many lists at once.


@pytest.fixture(scope="module")
def attacker(terminal: Terminal) -> Caller:
    """A caller on the Pro plan, whose workspace has as many large results as a page can list."""
    attacker = Terminal.new(terminal.server, "pro")
    flow_id = attacker.flow(greeting(title="Large"))

    def fill(session: Session) -> None:
        for _ in range(JOBS):
            add_ended_job(session, attacker.workspace_id, flow_id, text_of(RESULT_BYTES))

    terminal.store.write_now(fill)
    return attacker.caller()


@pytest.mark.process
def test_many_lists_at_once_do_not_fill_the_server(server: LiveServer, terminal: Terminal, attacker: Caller) -> None:
    async def rounds() -> list[httpx.Response]:
        # a connection each: the server closes one that was kept while the slowest list of a round was read
        limits = httpx.Limits(max_connections=LISTS, max_keepalive_connections=0)
        headers = {"Authorization": f"Bearer {attacker.key}"}
        async with httpx.AsyncClient(base_url=attacker.url, headers=headers, limits=limits, timeout=60) as client:
            answers = []
            for _ in range(4):
                calls = [client.get("/public/v1/jobs?limit=100") for _ in range(LISTS)]
                answers += await asyncio.gather(*calls)
            return answers

    with beside(server, terminal) as watch:
        answers = asyncio.run(rounds())
    watch.check()

    assert {answer.status_code for answer in answers} == {200}
    assert max(len(answer.content) for answer in answers) <= PAGE_BYTES + 200
