"""Collections as tests fill them and look at them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from engine.actions.knowledge import add_file
from engine.actions.principal import Principal
from engine.files.intake import incoming_of
from engine.jobs.worker.knowledge import WorkspaceKnowledge
from engine.knowledge.indexer import Indexer
from engine.knowledge.search import search
from storage.knowledge import SourceLine, list_sources, page_of_pieces
from storage.tables_knowledge import KnowledgeCollection
from tests.engine.jobs.world import World
from tests.engine.knowledge.conftest import Model
from tests.postgres_cluster import POSTGRES

PRACTICE = "https://practice.flowport.example/"


async def read_all(indexer: Indexer) -> None:
    await indexer.pass_over()
    while indexer.busy:
        await indexer.settled()
        await indexer.pass_over()


def sources(world: World, made: str) -> list[SourceLine]:
    return world.read(list_sources, world.workspace_id, made)


def texts(world: World, source_id: str) -> list[str]:
    pieces, total = world.read(
        lambda session: page_of_pieces(session, world.workspace_id, source_id, offset=0, limit=500)
    )
    assert total == len(pieces)
    return [one.text for one in pieces]


async def found(world: World, made: str, question: str, model: Model | None = None) -> list[str]:
    async def vectors(name: str, asked: Any, purpose: Any) -> Any:
        assert model is not None
        return await model.embed("", name, asked, purpose)

    return [one.piece.text for one in (await search(world.database, world.workspace_id, made, question, vectors)).hits]


def check_index(world: World) -> None:
    """The index for words is sound, and no piece is in it twice or left behind."""
    table = "knowledge_words" if POSTGRES else "knowledge_words_docsize"
    if not POSTGRES:
        check = text("insert into knowledge_words(knowledge_words) values('integrity-check')")
        world.write(lambda session: session.execute(check))
    rows = world.read(lambda session: session.execute(text(f"select count(*) from {table}")).scalar())
    assert rows == world.read(lambda session: session.execute(text("select count(*) from knowledge_pieces")).scalar())


def set_model(world: World, collection_id: str, model: str = "box:tiny") -> None:
    """Gives a collection a model for search by meaning, without the connection that the action asks for."""
    world.write(lambda session: setattr(session.get_one(KnowledgeCollection, collection_id), "model", model))


def give(world: World, ada: Principal, made: str, name: str, content: bytes) -> str:
    """Adds a file as the page does."""
    incoming = incoming_of(world.database.file_bytes, content, name)
    try:
        return world.write(add_file, ada, made, incoming)
    finally:
        incoming.discard()


def step(world: World, name: str, model: Model) -> WorkspaceKnowledge:
    """Knowledge as a step of a flow adds to it."""
    return WorkspaceKnowledge(world.database, world.workspace_id, name, model.embed, lambda _call: None, print)
