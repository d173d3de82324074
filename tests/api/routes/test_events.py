"""Event streams, read from a real server on a local port."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
import uvicorn
from sqlalchemy import delete
from sqlalchemy.orm import Session

from engine.jobs.notifier import job_changed
from engine.jobs.transitions import claim
from storage.database import now
from storage.events import add_events
from storage.tables import Event, Job
from tests.api.arrange import FAILED, House


@dataclass
class Stream:
    lines: AsyncIterator[str]

    async def event(self) -> tuple[int, str, dict]:
        """Returns the next event; comments are skipped."""
        fields: dict[str, str] = {}
        async for line in self.lines:
            if not line and fields:
                return int(fields["id"]), fields["event"], json.loads(fields["data"])
            if line and not line.startswith(":"):
                name, _, value = line.partition(": ")
                fields[name] = value
        raise EOFError

    async def rest(self) -> list[str]:
        found = []
        while True:
            try:
                found.append((await self.event())[1])
            except EOFError:
                return found


@pytest.fixture
async def address(house: House) -> AsyncIterator[str]:
    server = uvicorn.Server(uvicorn.Config(house.api, port=0, log_level="warning", lifespan="off", ws="none"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}/public/v1"
    server.should_exit = True
    await serving


@contextlib.asynccontextmanager
async def stream(address: str, house: House, job_id: str, last: int | None = None) -> AsyncIterator[Stream]:
    headers = {"Authorization": f"Bearer {house.key}"} | ({} if last is None else {"Last-Event-ID": str(last)})
    async with (
        httpx.AsyncClient(timeout=20) as client,
        client.stream("GET", f"{address}/jobs/{job_id}/events", headers=headers) as response,
    ):
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-accel-buffering"] == "no"
        yield Stream(response.aiter_lines())


def add_step_events(session: Session, job_id: str, count: int) -> None:
    """Writes events of steps as a worker does during a run."""
    job = session.get_one(Job, job_id)
    job.last_seq += count
    data = {"node_id": "text_template", "index": [], "text": "a\u2028b\u2029c\x85d"}
    add_events(session, job_id, job.last_seq, [("step.started", now(session), data)] * count)
    job_changed(session, job_id)


async def accepted(house: House) -> str:
    return (await house.submit()).json()["job_id"]


@pytest.mark.process
async def test_a_stream_tells_what_happens_as_it_happens_and_ends_with_the_job(house: House, address: str):
    job_id = await accepted(house)
    async with stream(address, house, job_id) as events:
        number, name, data = await events.event()
        assert (number, name) == (1, "job.queued")
        assert (data["job_id"], data["seq"], data["at"][-1]) == (job_id, 1, "Z")

        house.database.write_now(claim, "boot_test", job_id)
        assert (await events.event())[1] == "job.processing"
        house.database.write_now(add_step_events, job_id, 1)
        number, name, data = await events.event()
        assert (number, name, data["node_id"], data["index"]) == (3, "step.started", "text_template", [])
        assert data["text"] == "a\u2028b\u2029c\x85d", "httpx ends lines there, so they are escaped"
        house.end("completed", job_id, "boot_test", result=("{}", 2))

        assert await events.rest() == ["job.completed"]


@pytest.mark.process
async def test_a_reader_who_comes_back_misses_nothing_and_gets_nothing_twice(house: House, address: str):
    job_id = await accepted(house)
    house.database.write_now(claim, "boot_test", job_id)
    house.database.write_now(add_step_events, job_id, 1_200)
    house.end("completed", job_id, "boot_test", result=("{}", 2))

    async with stream(address, house, job_id) as events:
        first = [(await events.event())[0] for _ in range(700)]
    async with stream(address, house, job_id, first[-1]) as events:
        second = [(await events.event())[0] for _ in range(503)]
        assert await events.rest() == []

    assert first + second == list(range(1, 1_204))


@pytest.mark.process
async def test_the_stream_of_an_ended_job_replays_everything_and_closes(house: House, address: str):
    job_id = await accepted(house)
    house.finish(job_id, "failed")

    async with stream(address, house, job_id) as events:
        assert await events.rest() == ["job.queued", "job.processing", "job.failed"]
    async with stream(address, house, job_id, 3) as events:
        assert await events.rest() == []


@pytest.mark.process
@pytest.mark.parametrize(("status", "last"), [("completed", None), ("completed", 1), ("failed", None)])
async def test_a_job_whose_events_are_not_kept_any_more_has_its_last_event_at_once(
    house: House, address: str, status: str, last: int | None
):
    job_id = await accepted(house)
    house.finish(job_id, status)
    house.database.write_now(lambda session: session.execute(delete(Event).where(Event.job_id == job_id)))

    async with stream(address, house, job_id, last) as events:
        number, name, data = await events.event()
        assert (number, name) == (3, f"job.{status}")
        assert "data_erased_at" not in data
        assert ("code" in data) == (status == "failed")
        assert await events.rest() == []
    async with stream(address, house, job_id, 3) as events:
        assert await events.rest() == [], "whoever has the last event is not sent it again"


@pytest.mark.process
async def test_a_quiet_stream_is_kept_alive_with_comments(house: House, address: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("api.routes.events.COMMENT_SECONDS", 0.05)
    job_id = await accepted(house)
    async with stream(address, house, job_id) as events:
        await events.event()
        assert (await anext(events.lines)).startswith(":")
        assert not await anext(events.lines)
        assert (await anext(events.lines)).startswith(":")


@pytest.mark.process
async def test_streams_end_when_the_server_stops(house: House, address: str):
    job_id = await accepted(house)
    async with stream(address, house, job_id) as events:
        await events.event()
        house.api.stop()
        assert await events.rest() == []


async def test_a_number_beyond_the_last_event_gets_the_last_event_of_a_job_that_has_ended(address: str, house: House):
    job_id = await accepted(house)
    house.finish(job_id)
    async with stream(address, house, job_id, last=10_000) as events:
        number, name, data = await events.event()
        assert await events.rest() == []
    async with stream(address, house, job_id, last=number) as events:
        assert await events.rest() == []
    assert (name, data["seq"]) == ("job.completed", number)


@pytest.mark.parametrize("last", ["x", "-1", "1.5"])
async def test_a_wrong_last_event_id_is_refused(house: House, last: str):
    response = await house.get(f"/jobs/{await accepted(house)}/events", headers={"Last-Event-ID": last})
    assert (response.status_code, response.json()["code"]) == (400, "invalid_parameter")


async def test_a_stream_is_not_for_who_wants_json(house: House):
    response = await house.get(f"/jobs/{await accepted(house)}/events", headers={"Accept": "application/json"})
    assert (response.status_code, response.json()["code"]) == (406, "not_acceptable")


@pytest.mark.parametrize(("of_the_node", "published"), [("timed_out", "timeout"), ("no_such_column", "node_failed")])
async def test_the_event_of_a_failure_has_the_code_that_the_job_has(house: House, of_the_node: str, published: str):
    job_id = await accepted(house)
    house.finish(job_id, "failed", error={**FAILED, "code": of_the_node, "why": "", "remedy": ""})

    answer = await house.get(f"/jobs/{job_id}/events")
    last = json.loads(answer.text.rstrip().rpartition("data: ")[2])

    assert (last["code"], last["message"]) == (published, FAILED["message"])
    assert (await house.get(f"/jobs/{job_id}")).json()["error"]["code"] == published
