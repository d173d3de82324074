"""Vectors from the APIs of OpenAI, Azure and Google, through the outbound client, and what is said when there are none."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator

import pytest

from engine.core.clock import SystemClock
from engine.models.client import ModelConnection, ModelFailed, Price
from engine.models.embeddings import BATCH, DIMENSIONS, Embeddings, batches
from engine.models.provider_catalog import is_embedding_model
from engine.outbound.client import OutboundClient
from tests.stand_ins.embedding_server import EmbeddingServer, embedding

KEY = "sk-0123456789abcdef"


@pytest.fixture
def model_server() -> Iterator[EmbeddingServer]:
    with EmbeddingServer(KEY) as running:
        yield running


@pytest.fixture
async def embeddings() -> AsyncIterator[Embeddings]:
    outbound = OutboundClient()
    yield Embeddings(outbound, SystemClock())
    await outbound.aclose()


def box(server: EmbeddingServer, **changes: object) -> ModelConnection:
    prices = {"tiny-embed": Price(20_000_000, 0)}
    usual = {"name": "box", "provider": "openai_compatible", "key": KEY, "own_prices": prices, "opens_address": True}
    return ModelConnection(**usual | {"base_url": server.url} | changes)  # type: ignore[arg-type]


async def test_openai_gives_floats_in_the_order_of_the_texts(embeddings, model_server) -> None:
    calls = []
    answer = await embeddings.embed(box(model_server), "tiny-embed", ["a loaf", ""], "document", on_call=calls.append)
    assert answer.vectors[0] == tuple(embedding("a loaf"))
    assert model_server.last.json == {"model": "tiny-embed", "input": ["a loaf", " "], "encoding_format": "float"}
    assert model_server.last.headers["authorization"] == f"Bearer {KEY}"
    (call,) = calls
    assert (call.input_tokens, call.output_tokens, call.cost_nanos, call.connection) == (3, 0, 60, "box")


async def test_large_models_of_openai_are_asked_for_shorter_vectors(embeddings, model_server) -> None:
    openai = box(model_server, provider="openai", own_prices={})
    answer = await embeddings.embed(openai, "text-embedding-3-small", ["a"], "question")
    assert model_server.last.json["dimensions"] == DIMENSIONS
    assert (answer.call.price and answer.call.price.source, answer.call.cost_nanos) == ("price table", 20)


async def test_azure_and_google_have_addresses_of_their_own(embeddings, model_server) -> None:
    azure = box(model_server, provider="azure_openai", base_url=model_server.origin)
    await embeddings.embed(azure, "my/deployment", ["a"], "document")
    assert model_server.last.target == "/openai/deployments/my%2Fdeployment/embeddings?api-version=2024-10-21"
    assert model_server.last.headers["api-key"] == KEY
    google = box(model_server, provider="google", base_url=model_server.origin)
    answer = await embeddings.embed(google, "gemini-embedding-001", ["a loaf", "b"], "question")
    assert model_server.last.path == "/v1beta/models/gemini-embedding-001:batchEmbedContents"
    asked = model_server.last.json["requests"][0]
    assert (asked["taskType"], asked["outputDimensionality"]) == ("RETRIEVAL_QUERY", DIMENSIONS)
    assert answer.vectors[0] == tuple(embedding("a loaf"))
    assert answer.call.cost_nanos is None, "Google does not tell the tokens, so the cost is unknown and not 0"


@pytest.mark.parametrize("said", [10**9 + 1, 10**30, -1, True])
async def test_token_counts_that_no_call_has_are_not_counted(embeddings, model_server, said) -> None:
    model_server.raw = json.dumps({"data": [{"embedding": [1, 0]}], "usage": {"prompt_tokens": said}}).encode()
    answer = await embeddings.embed(box(model_server), "tiny-embed", ["a"], "document")
    assert (answer.call.input_tokens, answer.call.cost_nanos) == (0, None)


async def test_a_busy_provider_is_asked_again_and_others_are_explained(embeddings, model_server) -> None:
    model_server.busy = 2
    await embeddings.embed(box(model_server), "tiny-embed", ["a"], "document")
    assert len(model_server.requests) == 3
    wrong = {
        "The key of the connection “box” was refused.": box(model_server, key="sk-wrong"),
        "“claude” has no models for search by meaning.": box(model_server, name="claude", provider="anthropic"),
        "The connection “box” has no API key.": box(model_server, provider="openai", key=None),
        "tiny-embed of “box” could not be reached.": box(model_server, base_url="http://127.0.0.1:9/v1"),
    }
    for message, connection in wrong.items():
        with pytest.raises(ModelFailed) as failed:
            await embeddings.embed(connection, "tiny-embed", ["a"], "document")
        assert failed.value.message == message
        assert KEY not in failed.value.sentence
    model_server.broken = True
    with pytest.raises(ModelFailed, match="is out of order right now"):
        await embeddings.embed(box(model_server), "tiny-embed", ["a"], "document")


async def test_an_answer_without_a_vector_for_each_text_is_refused(embeddings, model_server) -> None:
    for body in (b"[]", b"{", b'{"data": [{"embedding": []}]}', b'{"data": [{"embedding": ["x"]}]}', b'{"data": []}'):
        model_server.raw = body
        with pytest.raises(ModelFailed, match="gave an answer that cannot be read"):
            await embeddings.embed(box(model_server), "tiny-embed", ["a"], "document")


async def test_an_answer_longer_than_any_model_gives_is_not_read(embeddings, model_server) -> None:
    model_server.raw = b" " * (17 << 20)
    with pytest.raises(ModelFailed, match="larger than the 16 MiB that are read"):
        await embeddings.embed(box(model_server), "tiny-embed", ["a"], "document")


def test_texts_are_sent_in_groups() -> None:
    assert [len(one) for one in batches(["a"] * (BATCH + 1))] == [BATCH, 1]
    assert [len(one) for one in batches(["a" * 60_000] * 3)] == [1, 1, 1]
    assert batches([]) == []


def test_embedding_models_are_known_by_their_names() -> None:
    names = ["text-embedding-3-small", "nomic-embed-text", "BAAI/bge-m3", "gpt-4.1", "claude-haiku-4-5"]
    assert [is_embedding_model(name) for name in names] == [True, True, True, False, False]
