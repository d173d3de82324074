"""The public documentation of a flow contains nothing that somebody typed in the Playground, and costs others nothing."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.app import api_document
from api.docs.pages import docs_router
from engine.actions.flows import change_flow_settings, create_flow
from engine.actions.jobs import run_in_playground
from engine.core.clock import MovedClock
from engine.core.settings import Settings
from engine.flow.document import Document, load_document
from engine.jobs.submit.check_threads import DOCS, MAX_WAITING, CheckThreads
from storage.flows import get_draft
from tests.api.arrange import FIELDS, SERVER, House, echo_document, open_house

TYPED = "https://intranet.example/salaries"
SAMPLE = "https://example.com/the-saved-sample"


@pytest.fixture
async def house(new_data: Path) -> AsyncIterator[House]:
    async with open_house(new_data, MovedClock()) as made:
        made.database.write_now(change_flow_settings, made.principal, made.flow_id, {"public_docs": True})
        yield made


@pytest.fixture
async def threads() -> CheckThreads:
    return CheckThreads()


@pytest.fixture
async def stranger(house: House, threads: CheckThreads) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(docs_router(house.database, Settings(), api_document, threads))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=SERVER) as client:
        yield client


def type_and_run(house: House) -> None:
    """Fills in the Run panel and completes the run."""
    draft = load_document(house.database.read_now(get_draft, house.principal.workspace_id, house.flow_id).document)
    job_id = house.database.write_now(run_in_playground, house.principal, house.flow_id, draft, {"url": TYPED})
    house.finish(job_id)


def with_sample(document: Document) -> Document:
    sample = {"title": "A story", "payload": {"url": SAMPLE}}
    nodes: list[Any] = [
        node.model_copy(update={"config": {**node.config, "samples": [sample]}}) if node.type == "api_input" else node
        for node in document.nodes
    ]
    return document.model_copy(update={"nodes": tuple(nodes)})


@pytest.mark.parametrize("kind", ["", ".md", "/openapi.json"])
async def test_what_was_typed_for_a_run_is_not_shown(house: House, stranger: httpx.AsyncClient, kind: str):
    type_and_run(house)

    page = await stranger.get(f"/docs/flows/{house.flow_id}{kind}")

    assert page.status_code == 200
    assert "intranet" not in page.text
    assert "https://practice.flowport.example" in page.text, "a made-up payload that fits is shown all the same"


@pytest.mark.parametrize("kind", ["", ".md", "/openapi.json"])
async def test_a_saved_sample_is_shown(house: House, stranger: httpx.AsyncClient, kind: str):
    type_and_run(house)
    house.change_flow(with_sample(echo_document(FIELDS)))

    page = await stranger.get(f"/docs/flows/{house.flow_id}{kind}")

    assert SAMPLE in page.text
    assert "intranet" not in page.text


@pytest.mark.parametrize("kind", ["", ".md", "/openapi.json"])
async def test_a_draft_that_was_never_saved_is_not_shown(house: House, stranger: httpx.AsyncClient, kind: str):
    drawn = with_sample(echo_document(FIELDS))
    flow_id = house.database.write_now(create_flow, house.principal, "Only drawn", drawn)
    house.database.write_now(change_flow_settings, house.principal, flow_id, {"public_docs": True})

    page = await stranger.get(f"/docs/flows/{flow_id}{kind}")

    assert (page.status_code, page.headers["location"]) == (303, f"/sign-in?next=/docs/flows/{flow_id}{kind}")


KINDS = pytest.mark.parametrize("kind", ["", ".md", "/openapi.json"])


@KINDS
async def test_a_wide_flow_is_shown_beside_the_event_loop_and_kept(
    house: House, stranger: httpx.AsyncClient, threads: CheckThreads, kind: str
):
    group = {"type": "object", "required": True, "fields": [{"name": f"f{n}", "type": "string"} for n in range(100)]}
    house.change_flow(echo_document([FIELDS[0], *({**group, "name": f"g{number}"} for number in range(40))]))
    path = f"/docs/flows/{house.flow_id}{kind}"
    await stranger.get("/docs/openapi.json")  # the document of the whole API is made once

    begun = time.thread_time()
    first, second = await asyncio.gather(stranger.get(path), stranger.get(path))
    assert time.thread_time() - begun < 0.08, "in this thread it takes a fifth of a second"
    assert first.text == second.text
    assert "g39" in first.text

    gate = threading.Event()
    async with asyncio.timeout(20):
        held = asyncio.create_task(threads.run(house.principal.workspace_id, DOCS, gate.wait, 15))
        kept = await stranger.get(path, headers={"Host": "other.example"})
        assert not held.done(), "it is not made again, under another name of the server neither"
        gate.set()
        await held
    assert kept.text == first.text.replace(SERVER, "http://other.example")

    house.change_flow(echo_document([FIELDS[0], {"name": "newer", "type": "string"}]))
    assert "newer" in (await stranger.get(path)).text


@KINDS
async def test_visits_that_wait_are_bounded(
    house: House, stranger: httpx.AsyncClient, threads: CheckThreads, kind: str
):
    gate, workspace_id = threading.Event(), house.principal.workspace_id
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(threads.run(workspace_id, DOCS, gate.wait, 15))
        for _ in range(MAX_WAITING + 1):
            await asyncio.sleep(0)
            if threads.waiting(workspace_id, DOCS) < MAX_WAITING:
                group.create_task(threads.run(workspace_id, DOCS, int))
        answer = await stranger.get(f"/docs/flows/{house.flow_id}{kind}")
        own = group.create_task(threads.run(workspace_id, "person", int))
        await asyncio.sleep(0)
        assert threads.waiting(workspace_id, "person") == 1, "people of the workspace are not counted with them"
        gate.set()
    assert own.done()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert (await stranger.get(f"/docs/flows/{house.flow_id}{kind}")).status_code == 200


async def test_a_strange_name_of_the_server_is_not_repeated(house: House, stranger: httpx.AsyncClient):
    page = await stranger.get(f"/docs/flows/{house.flow_id}", headers={"Host": "a'$(b).example"})
    assert page.status_code == 200
    assert "$(b)" not in page.text
