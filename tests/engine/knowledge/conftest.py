"""A workspace with knowledge, and an embedding model without a network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from engine.actions.knowledge import add_collection
from engine.actions.principal import Principal
from engine.core.clock import MovedClock
from engine.flow.node_context import NodeFailed
from engine.knowledge.indexer import Indexer
from engine.knowledge.reading import Tools
from engine.models.embeddings import Embedded
from engine.models.usage import ModelCall
from engine.outbound.client import OutboundClient
from engine.sandbox.pool import Sandbox
from tests.engine.jobs.world import World, open_world
from tests.factories import person
from tests.stand_ins.embedding_server import embedding


class Model:
    """Makes the vectors of the stand-in in this process, and counts. `broken`: it fails instead. `ready`: it answers only
    then; `asked`: somebody waits for that.
    """

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.broken = ""
        self.ready, self.asked = asyncio.Event(), asyncio.Event()
        self.ready.set()

    async def embed(
        self,
        _workspace_id: str,
        model: str,
        texts: Sequence[str],
        _purpose: str,
        on_call: Callable[[Any], None] | None = None,
    ) -> Embedded:
        self.asked.set()
        await self.ready.wait()
        if self.broken:
            raise NodeFailed(self.broken)
        self.texts += texts
        call = ModelCall(model=model, connection="box", attempt=1, input_tokens=len(texts) * 10, cost_nanos=len(texts))
        if on_call is not None:
            on_call(call)
        return Embedded(tuple(tuple(embedding(text)) for text in texts), call)


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
def world(new_data: Path, clock: MovedClock) -> Iterator[World]:
    made = open_world(new_data, clock=clock)
    yield made
    made.database.close()


@pytest.fixture
def ada(world: World) -> Principal:
    return person(world.workspace_id)


@pytest.fixture
def made(world: World, ada: Principal) -> str:
    """The id of an empty collection."""
    return world.write(add_collection, ada, "Shop")


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
async def tools(world: World) -> AsyncIterator[Tools]:
    """The practice site needs no network, and its pages need no evaluator process."""
    made = Tools(world.database, OutboundClient(), Sandbox(1))
    yield made
    await made.sandbox.close()
    await made.outbound.aclose()


@pytest.fixture
def indexer(tools: Tools, model: Model) -> Indexer:
    return Indexer(tools, model, "boot_here")  # type: ignore[arg-type]
