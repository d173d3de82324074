"""The public documentation of a flow contains nothing that somebody typed in the Playground."""

from __future__ import annotations

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
from engine.jobs.submit.check_threads import CheckThreads
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
async def stranger(house: House) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(docs_router(house.database, Settings(), api_document, CheckThreads()))
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
