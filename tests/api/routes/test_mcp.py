"""`/mcp`, called with the client of the MCP library: flows are tools, calls create jobs, and keys and limits apply."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.session import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CLIENT_CAPABILITIES_META_KEY, PROTOCOL_VERSION_META_KEY, Tool
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS
from sqlalchemy import event, update
from sqlalchemy.orm import Session

from engine.actions.flows import change_flow_settings
from engine.core.version import VERSION
from engine.jobs.notifier import job_changed
from engine.jobs.transitions import cancel_job
from storage.job_changes import claim_job
from storage.job_results import LIST_CAP
from storage.jobs import JobFilters, list_jobs
from storage.tables import Job
from tests.api.arrange import SERVER, House, echo_document
from tests.factories import asks_person


@contextlib.asynccontextmanager
async def session(house: House, key: str | None = None) -> AsyncIterator[ClientSession]:
    client = httpx2.AsyncClient(
        transport=httpx2.ASGITransport(house.api), headers={"Authorization": f"Bearer {key or house.key}"}
    )
    async with (
        client,
        streamable_http_client(f"{SERVER}/mcp", http_client=client) as streams,
        ClientSession(streams[0], streams[1]) as opened,
    ):
        await opened.initialize()
        yield opened


@contextlib.asynccontextmanager
async def newest_session(house: House) -> AsyncIterator[Client]:
    """Opens a client without a handshake, as protocol versions from 2026-07-28 on have it."""
    client = httpx2.AsyncClient(
        transport=httpx2.ASGITransport(house.api), headers={"Authorization": f"Bearer {house.key}"}
    )
    async with client, Client(streamable_http_client(f"{SERVER}/mcp", http_client=client)) as opened:
        assert opened.protocol_version == "2026-07-28"
        yield opened


Connect = Callable[[House], AbstractAsyncContextManager[Client | ClientSession]]
BOTH = pytest.mark.parametrize("connect", [session, newest_session])


def offer(house: House, flow_id: str = "") -> None:
    house.database.write_now(change_flow_settings, house.principal, flow_id or house.flow_id, {"mcp": True})


QUEUED = JobFilters(statuses=("queued",))


def steps_are_done(session: Session, job_id: str, number: int) -> None:
    session.execute(update(Job).where(Job.id == job_id).values(steps_done=number, last_seq=Job.last_seq + 1))
    job_changed(session, job_id)


async def flow_tools(client: ClientSession) -> list[Tool]:
    """Returns the tools of flows. The tools for jobs are always listed, after them."""
    tools = (await client.list_tools()).tools
    assert [tool.name for tool in tools[-2:]] == ["get_job", "cancel_job"]
    return tools[:-2]


async def end_next(house: House, status: str = "completed", *, after: float = 0, **options) -> None:
    """Ends the next queued job as a worker does, `after` seconds after it was found."""
    while True:
        page = house.database.read_now(list_jobs, house.principal.workspace_id, QUEUED, 1, None)
        if page.jobs:
            await asyncio.sleep(after)
            house.finish(page.jobs[0].id, status, **options)
            return
        await asyncio.sleep(0.01)


async def test_a_flow_is_no_tool_until_it_is_offered(house: House):
    async with session(house) as client:
        assert await flow_tools(client) == []
        offer(house)
        (tool,) = await flow_tools(client)

    assert (tool.name, tool.title) == ("summarise_a_page", "Summarise a page")
    assert tool.input_schema["required"] == ["url"]
    assert set(tool.input_schema["properties"]) == {"url", "max_pages", "tags"}


async def test_a_version_is_read_once_for_all_listings(house: House):
    offer(house)
    read: list[str] = []

    def note(connection, cursor, statement: str, *rest) -> None:
        read.extend([statement] if "flow_versions.document" in statement else [])

    async with session(house) as client:
        (before,) = await flow_tools(client)
        event.listen(house.database.read_engine, "before_cursor_execute", note)
        (again,) = await flow_tools(client)
        assert read == []
        house.change_flow(echo_document([{"name": "url", "type": "string"}]))
        (newer,) = await flow_tools(client)
        assert len(read) == 1

    assert again == before
    assert set(newer.input_schema["properties"]) == {"url"}


async def test_a_call_is_a_job_and_answers_with_its_result(house: House):
    offer(house)
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with session(house) as client:
        worker = asyncio.create_task(end_next(house, result=('{"text": "Read it"}', 19)))
        meta = {"traceparent": trace, "tracestate": 7, "baggage": "shop=5"}
        answer = await client.call_tool("summarise_a_page", {"url": "https://a.example/"}, meta=meta)
        await worker

    assert not answer.is_error
    assert answer.structured_content == {"text": "Read it"}
    assert answer.content[0].text == '{"text": "Read it"}'
    (job,) = house.database.read_now(list_jobs, house.principal.workspace_id, JobFilters(), 10, None).jobs
    assert (job.environment, job.counted) == ("live", True)
    assert job.traceparent == f"{trace}\n\nshop=5"


async def test_a_job_that_failed_says_why(house: House):
    from tests.api.arrange import FAILED

    offer(house)
    async with session(house) as client:
        worker = asyncio.create_task(end_next(house, "failed", error=FAILED))
        answer = await client.call_tool("summarise_a_page", {"url": "https://a.example/"})
        await worker

    assert answer.is_error
    assert answer.content[0].text.startswith("https://example.com answered 500.")


@BOTH
async def test_the_client_walks_a_flow_of_70_seconds_to_its_result(house: House, connect: Connect):
    """Uses only what the responses say: the first one names the tool and the job to ask for."""
    offer(house)
    async with connect(house) as client:
        worker = asyncio.create_task(end_next(house, after=70))
        begun = house.clock.monotonic()
        first = await client.call_tool("summarise_a_page", {"url": "https://a.example/"})
        waited = house.clock.monotonic() - begun
        job_id = first.structured_content["job_id"]
        last = await client.call_tool("get_job", {"job_id": job_id})
        await worker

    assert (first.is_error, first.structured_content["status"]) == (False, "queued")
    assert 50 <= waited < 52
    assert job_id in first.content[0].text
    assert "Call the tool get_job" in first.content[0].text
    assert (last.is_error, last.structured_content["status"]) == (False, "completed")
    assert last.structured_content["result"] == {"text": "Read it"}
    assert last.content[0].text == f'The job {job_id} is completed. Its result:\n{{"text": "Read it"}}'


async def test_a_job_that_still_runs_is_waited_for_again_and_again(house: House):
    offer(house)
    async with session(house) as client:
        first = await client.call_tool("summarise_a_page", {"url": "https://a.example/"})
        second = await client.call_tool("get_job", {"job_id": first.structured_content["job_id"]})

    assert second.structured_content == first.structured_content
    assert second.structured_content == {
        "job_id": first.structured_content["job_id"],
        "status": "queued",
        "steps_done": 0,
        "steps_total": 3,
        "simulated": False,
    }


async def test_a_failed_job_is_told_as_one(house: House):
    from tests.api.arrange import FAILED

    job_id = (await house.submit()).json()["job_id"]
    house.finish(job_id, "failed", error=FAILED)
    async with session(house) as client:
        answer = await client.call_tool("get_job", {"job_id": job_id})

    assert (answer.is_error, answer.structured_content["status"]) == (False, "failed")
    assert answer.structured_content["error"] == {"code": "http_status", "message": FAILED["message"]}
    assert answer.content[0].text == f"The job {job_id} failed: {FAILED['message']}"


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
async def test_a_job_whose_data_were_erased_is_told_as_one(house: House, status: str):
    """As `GET /jobs/{job_id}` does; 410 is for results whose time is over."""
    job_id = (await house.submit()).json()["job_id"]
    house.finish(job_id, status)
    at = (await house._call("DELETE", f"/jobs/{job_id}/data", None)).json()["data_erased_at"]
    async with session(house) as client:
        answer = await client.call_tool("get_job", {"job_id": job_id})

    assert (answer.is_error, answer.structured_content["status"]) == (False, status)
    assert answer.structured_content["data_erased_at"] == at
    assert answer.structured_content.get("result") is None
    assert f"Its data were erased at {at}" in answer.content[0].text


async def test_a_simulated_job_is_told_as_one(house: House):
    job_id = (await house.submit()).json()["job_id"]
    house.finish(job_id)
    house.mark_simulated(job_id)
    async with session(house) as client:
        answer = await client.call_tool("get_job", {"job_id": job_id})

    assert answer.structured_content["simulated"] is True
    assert answer.content[0].text.startswith(
        f"The job {job_id} is completed. Answers in it came from the Simulated model"
    )


async def test_the_text_of_a_completed_job_has_its_status_and_its_result(house: House):
    job_id = (await house.submit()).json()["job_id"]
    house.finish(job_id, result=('{"text": "Read it"}', 19))
    async with session(house) as client:
        answer = await client.call_tool("get_job", {"job_id": job_id})

    assert answer.content[0].text == f'The job {job_id} is completed. Its result:\n{{"text": "Read it"}}'


async def test_a_result_that_is_too_large_for_an_answer_is_left_out_and_told(house: House):
    offer(house)
    text = json.dumps({"text": "x" * LIST_CAP})
    async with session(house) as client:
        ending = asyncio.create_task(end_next(house, result=(text, len(text))))
        of_flow = await client.call_tool("summarise_a_page", {"url": "https://a.example"})
        await ending
        job_id = of_flow.structured_content["job_id"]
        of_job = await client.call_tool("get_job", {"job_id": job_id})

    for answer in (of_flow, of_job):
        assert not answer.is_error
        assert answer.structured_content["result"] is None
        assert answer.structured_content["result_truncated"] is True
        assert f"The job {job_id} is completed. Its result has more than 256 KiB" in answer.content[0].text
        assert f"GET /public/v1/jobs/{job_id}" in answer.content[0].text


async def test_half_of_a_character_in_a_result_reaches_the_client_as_the_replacement_character(house: House):
    job_id = (await house.submit()).json()["job_id"]
    house.finish(job_id, result=('{"text": "a\\ud83d"}', 19))
    async with session(house) as client:
        answer = await client.call_tool("get_job", {"job_id": job_id})

    assert answer.content[0].text.endswith('{"text": "a�"}')
    assert answer.structured_content["result"] == {"text": "a�"}


async def test_an_assistant_is_told_what_it_means_that_no_flow_is_offered_and_what_may_be_repeated(house: House):
    async with newest_session(house) as client:
        tools = {tool.name: tool.annotations for tool in (await client.list_tools()).tools}
        said = client.instructions

    assert "no tool beside these two" in said
    assert "Offer this flow as a tool" in said
    assert "or waits for a person: then tell the user, and call it again when they have answered" in said
    assert tools["cancel_job"].idempotent_hint


async def test_an_assistant_cancels_a_job(house: House):
    job_id = (await house.submit()).json()["job_id"]
    async with session(house) as client:
        cancelled = await client.call_tool("cancel_job", {"job_id": job_id})
        house.finish(done := (await house.submit()).json()["job_id"])
        late = await client.call_tool("cancel_job", {"job_id": done})

    assert (cancelled.is_error, cancelled.structured_content["status"]) == (False, "cancelled")
    assert (await house.get(f"/jobs/{job_id}")).json()["status"] == "cancelled"
    assert late.is_error
    assert "It is completed" in late.content[0].text
    assert cancelled.content[0].text == f"The job {job_id} was cancelled."


@pytest.mark.parametrize("tool", ["get_job", "cancel_job"])
async def test_jobs_of_others_are_unknown_to_an_assistant_at_once(house: House, tool: str):
    """Jobs of another environment, jobs of a flow that the key may not call, and jobs that do not exist get the same
    response.
    """
    other = house.new_flow("Another")
    job_id = (await house.submit()).json()["job_id"]
    staging, narrow = house.new_key("test").key, house.new_key(flow_ids=frozenset({other})).key
    begun = house.clock.monotonic()
    answers = []
    for key, asked in ((staging, job_id), (narrow, job_id), (house.key, "job_0000000000000000000000")):
        async with session(house, key) as client:
            answers.append(await client.call_tool(tool, {"job_id": asked}))

    assert house.clock.monotonic() - begun < 10
    assert {answer.is_error for answer in answers} == {True}
    assert len({answer.content[0].text.replace(job_id, "job_0000000000000000000000") for answer in answers}) == 1
    assert (await house.get(f"/jobs/{job_id}")).json()["status"] == "queued"


@pytest.mark.parametrize("arguments", [{}, {"job_id": 5}, {"job_id": "job_1", "wait": 3}])
async def test_the_tools_of_jobs_take_a_job_id(house: House, arguments: dict[str, object]):
    async with session(house) as client:
        answer = await client.call_tool("get_job", arguments)

    assert answer.is_error
    assert answer.content[0].text.startswith("get_job takes a job_id")


async def test_a_flow_named_like_a_tool_of_jobs_gets_another_name(house: House):
    flow_id = house.new_flow("Get job")
    offer(house, flow_id)
    async with session(house) as client:
        (tool,) = await flow_tools(client)

    assert tool.name == f"get_job_{flow_id[-8:].lower()}"


async def test_what_a_flow_returns_is_told_before_it_is_called(house: House):
    offer(house)
    async with session(house) as client:
        (tool,) = await flow_tools(client)

    assert tool.output_schema["type"] == "object"
    result, job = tool.output_schema["anyOf"]
    assert (result["properties"]["text"]["type"], result["required"]) == ("string", ["text"])
    assert job["required"] == ["job_id", "status", "steps_done", "steps_total"]


@pytest.mark.parametrize("result", ['{"text": null}', '{"other": "x"}', '{"text": {"deep": [1]}}'])
async def test_a_result_unlike_its_schema_reaches_the_client_too(house: House, result: str):
    """A skipped node leaves out a field, and an owner's default may have another type. The MCP client validates results
    and would refuse these.
    """
    offer(house)
    async with session(house) as client:
        worker = asyncio.create_task(end_next(house, result=(result, len(result))))
        answer = await client.call_tool("summarise_a_page", {"url": "https://a.example/"})
        await worker

    assert answer.structured_content["status"] == "completed"
    assert answer.structured_content["result"] == json.loads(result)


@BOTH
async def test_an_assistant_that_wants_progress_hears_of_each_step(house: House, connect: Connect):
    offer(house)
    heard: list[tuple[float, float | None, str | None]] = []

    async def hear(done: float, total: float | None, message: str | None) -> None:
        heard.append((done, total, message))

    async def work() -> None:
        while not (queued := house.database.read_now(list_jobs, house.principal.workspace_id, QUEUED, 1, None).jobs):
            await asyncio.sleep(0.01)
        job_id = queued[0].id
        house.database.write_now(claim_job, "boot_test", job_id)
        for done in (1, 1, 2):
            await asyncio.sleep(1)
            house.database.write_now(steps_are_done, job_id, done)
        await asyncio.sleep(1)
        house.end("completed", job_id, "boot_test")

    async with connect(house) as client:
        worker = asyncio.create_task(work())
        answer = await client.call_tool("summarise_a_page", {"url": "https://a.example/"}, progress_callback=hear)
        await worker

    assert answer.structured_content == {"text": "Read it"}
    told = [(done, 3, f"{done} of 3 steps done") for done in (0, 1, 2, 3)]
    assert heard in (told[:3], told), "the end may be seen first by the progress"


@pytest.mark.parametrize("version", ["2025-06-18", "2025-11-25"])
@pytest.mark.parametrize(
    ("token", "accept", "kind"),
    [
        ({}, "application/json, text/event-stream", "application/json"),
        ({"progressToken": 7}, "application/json, text/event-stream", "text/event-stream"),
        ({"progressToken": 7}, "application/json", "application/json"),
        ({"progressToken": 7}, "application/json, text/event-stream;q=0", "application/json"),
    ],
)
async def test_only_a_call_that_wants_progress_is_answered_as_a_stream(
    house: House, version: str, token: dict[str, int], accept: str, kind: str
):
    offer(house)
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
    message["params"] = {"name": "summarise_a_page", "arguments": {"url": "https://a.example/"}, "_meta": token}
    headers = {"Accept": accept, "Authorization": f"Bearer {house.key}", "MCP-Protocol-Version": version}
    worker = asyncio.create_task(end_next(house, result=('{"text":"Read it\u2028\u2029\x85"}', 28)))
    answer = await house.client.post("/mcp", json=message, headers=headers)
    await worker

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(kind)
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines()]
    (said,) = [line for line in lines if '"text":"Read it' in line] if "stream" in kind else [answer.text]
    assert json.loads(said)["result"]["structuredContent"] == {"text": "Read it\u2028\u2029\x85"}
    assert answer.headers["x-request-id"]


async def test_the_server_tells_its_version(house: House):
    async with session(house) as client:
        told = client.server_info

    assert (told.name, told.version) == ("Flowport", VERSION)


async def test_wrong_arguments_and_full_limits_are_told(house: House):
    offer(house)
    async with session(house) as client:
        wrong = await client.call_tool("summarise_a_page", {"max_pages": "5"})
        very = await client.call_tool("summarise_a_page", {f"extra_{number}": 1 for number in range(150)})
        unknown = await client.call_tool("no_such_tool", {})
        for _ in range(4):
            await house.client.post(
                f"/public/v1/flows/execute/{house.flow_id}",
                json={"url": "https://a.example/"},
                headers={"Authorization": f"Bearer {house.key}"},
            )
        full = await client.call_tool("summarise_a_page", {"url": "https://a.example/"})

    assert wrong.is_error
    assert wrong.content[0].text.startswith("The request body does not fit what this call takes. 2 fields are wrong.\n")
    assert "/url: " in wrong.content[0].text
    assert "/max_pages: " in wrong.content[0].text
    assert "151 fields are wrong." in very.content[0].text
    assert very.content[0].text.count("\n/extra_") == 99
    assert very.content[0].text.endswith("\nThe first 100 are listed.")
    assert (unknown.is_error, full.is_error) == (True, True)
    assert "no_such_tool" in unknown.content[0].text


async def test_a_key_sees_only_flows_it_may_call_and_names_stay_apart(house: House):
    other = house.new_flow("Summarise a page")
    offer(house)
    offer(house, other)
    narrow = house.new_key(flow_ids=frozenset({other}))
    async with session(house) as client:
        names = [tool.name for tool in await flow_tools(client)]
    async with session(house, narrow.key) as client:
        (only,) = await flow_tools(client)

    assert len(set(names)) == 2
    assert only.name == names[1] != "summarise_a_page"


@pytest.mark.parametrize("key", [None, "fp_live_wrong"])
async def test_without_a_key_there_is_no_tool(house: House, key: str | None):
    headers = {"Accept": "application/json, text/event-stream", **({"Authorization": f"Bearer {key}"} if key else {})}
    answer = await house.client.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert "set-cookie" not in answer.headers


async def test_an_assistant_is_told_at_once_that_a_person_is_waited_for(house: House):
    offer(house)
    async with session(house) as client:
        begun = house.clock.monotonic()
        calling = asyncio.create_task(client.call_tool("summarise_a_page", {"url": "https://a.example/"}))
        while not (queued := house.database.read_now(list_jobs, house.principal.workspace_id, QUEUED, 1, None).jobs):
            await asyncio.sleep(0.01)
        asks_person(house.database, queued[0].id)
        answers = [await calling]
        at_once = house.clock.monotonic() - begun
        answers += [await client.call_tool("get_job", {"job_id": queued[0].id})]
        again = house.clock.monotonic() - begun - at_once
        waiting = asyncio.create_task(client.call_tool("get_job", {"job_id": queued[0].id}))
        await asyncio.sleep(1)
        house.database.write_now(cancel_job, house.principal.workspace_id, queued[0].id)
        ended = await waiting

    assert at_once < 20
    assert again >= 50, "an assistant that asks again and again gets an answer each 50 seconds"
    assert ended.structured_content["status"] == "cancelled"
    for answer in answers:
        assert "is processing and waits for the answer of a person" in answer.content[0].text
        assert answer.structured_content["waiting_for"] == "person"


async def test_a_call_that_waits_reads_its_job_once_however_many_steps_it_has(house: House):
    read: list[str] = []

    def note(connection, cursor, statement: str, *rest) -> None:
        read.extend([statement] if "jobs.steps_done" in statement else [])

    job_id = (await house.submit()).json()["job_id"]
    async with session(house) as client:
        calling = asyncio.create_task(client.call_tool("get_job", {"job_id": job_id}))
        await asyncio.sleep(1)
        event.listen(house.database.read_engine, "before_cursor_execute", note)
        for done in range(20):
            house.database.write_now(steps_are_done, job_id, done)
            await asyncio.sleep(0.1)
        assert read == []
        house.finish(job_id)
        await calling
    assert len(read) == 1


def test_the_guide_names_every_version_and_what_each_message_needs() -> None:
    guide = (Path(__file__).parents[3] / "assets/help/ai-assistants.md").read_text(encoding="utf-8")
    needed = (PROTOCOL_VERSION_META_KEY, CLIENT_CAPABILITIES_META_KEY)
    for word in (*HANDSHAKE_PROTOCOL_VERSIONS, *MODERN_PROTOCOL_VERSIONS, *needed):
        assert word in guide, word
