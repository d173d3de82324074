"""Every provider with its own API protocol, against local servers that validate requests like the real ones."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from engine.flow.contract import payload_schema
from engine.models.client import ModelConnection, ModelRequest, Models
from engine.models.provider_catalog import AZURE_API_VERSION, PROVIDERS, USUAL_CONCURRENCY, USUAL_LOCAL_CONCURRENCY
from engine.outbound.client import OutboundClient
from tests.stand_ins.openai_server import MISTRAL_FIELDS, OpenAIServer, Said

PROJECT = Path(__file__).parents[3]
KEY = "sk-test-0123456789abcdef"
GOOD = '{"city": "Paris", "people": 2100000}'
SCHEMA = payload_schema(
    [{"name": "city", "required": True}, {"name": "people", "type": "integer", "required": True}], for_output=True
)
#: Provider -> (options of the server, path of its base URL, header that carries the key).
DIALECTS = {
    "openai": ({}, "/v1", "authorization"),
    "anthropic": ({}, "", "authorization"),
    "google": ({}, "", "x-goog-api-key"),
    "mistral": ({"known_fields": MISTRAL_FIELDS}, "/v1", "authorization"),
    "azure_openai": ({"base": "/v1"}, "", "api-key"),
    "openrouter": ({"base": "/api/v1"}, "/api/v1", "authorization"),
    "ollama": ({}, "/v1", "authorization"),
    "vllm": ({}, "/v1", "authorization"),
    "openai_compatible": ({}, "/v1", "authorization"),
}


@pytest.fixture
async def models():
    outbound = OutboundClient()
    yield Models(outbound)
    await outbound.aclose()


@pytest.fixture
def server(request):
    with OpenAIServer(key=KEY, **DIALECTS[request.param][0]) as running:
        yield running


def connect(server, provider, **rest) -> ModelConnection:
    address = server.origin + DIALECTS[provider][1]
    return ModelConnection(
        **{"name": "Mine", "provider": provider, "base_url": address, "key": KEY, "opens_address": True, **rest}
    )


def question(provider, **rest) -> ModelRequest:
    hint = PROVIDERS[provider].model_hint
    return ModelRequest(**{"prompt": "Where?", "model_name": hint, "temperature": 0.2, "max_tokens": 50, **rest})


each = pytest.mark.parametrize(("provider", "server"), [(name, name) for name in DIALECTS], indirect=["server"])


def test_every_provider_has_a_dialect_here():
    assert set(DIALECTS) == set(PROVIDERS)


@each
@pytest.mark.process
async def test_a_provider_answers_with_text_and_its_tokens(models, provider, server):
    server.say(Said("Paris.", input_tokens=30, output_tokens=2))
    answer = await models.ask(connect(server, provider), question(provider, system="Be terse."))
    assert (answer.value, answer.input_tokens, answer.output_tokens) == ("Paris.", 30, 2)
    assert KEY in server.last.headers[DIALECTS[provider][2]]
    assert "Be terse." in json.dumps(server.asked)


@each
@pytest.mark.process
async def test_a_provider_answers_with_an_object_in_one_call(models, provider, server):
    server.say(GOOD)
    answer = await models.ask(connect(server, provider), question(provider, output_schema=SCHEMA))
    assert answer.value == {"city": "Paris", "people": 2100000}
    assert len(answer.calls) == 1, "no second way of asking was needed"


@each
@pytest.mark.process
async def test_a_provider_streams_its_text_and_counts_it(models, provider, server):
    server.say(Said("Paris is large.", input_tokens=30, output_tokens=4))
    pieces: list[str] = []
    answer = await models.ask(connect(server, provider), question(provider, on_delta=pieces.append))
    assert "".join(pieces) == answer.value == "Paris is large."
    assert len(pieces) > 1
    assert (answer.input_tokens, answer.output_tokens) == (30, 4)
    assert len(answer.calls) == 1


@each
@pytest.mark.process
async def test_a_provider_that_is_out_of_order_is_asked_once(models, provider, server):
    server.default = Said(status=500)
    with pytest.raises(Exception, match="out of order"):
        await models.ask(connect(server, provider), question(provider))
    assert len(server.asked) == 1


@each
@pytest.mark.process
async def test_a_test_shows_the_models_or_asks_for_their_names(models, provider, server):
    tested = await models.test(connect(server, provider))
    assert tested.ok, tested.sentence
    assert tested.models == (() if provider == "azure_openai" else ("large-model", "small-model"))
    refused = await models.test(connect(server, provider, key="sk-wrong-0123456789"))
    assert not refused.ok
    assert "was refused" in refused.sentence
    assert "sk-wrong" not in refused.sentence


@pytest.mark.parametrize("server", ["azure_openai"], indirect=True)
@pytest.mark.parametrize("tail", ["", "/", "/openai", "/openai/"])
@pytest.mark.process
async def test_azure_by_date_names_the_deployment_in_the_path(models, server, tail):
    connection = connect(server, "azure_openai", base_url=server.origin + tail, api_version="2024-06-01")
    await models.ask(connection, question("azure_openai"))
    assert server.last.target == "/openai/deployments/my-deployment/chat/completions?api-version=2024-06-01"
    assert server.last.headers["api-key"] == KEY
    assert KEY not in server.last.headers.get("authorization", "")


@pytest.mark.parametrize("server", ["azure_openai"], indirect=True)
@pytest.mark.process
async def test_azure_without_a_version_is_asked_with_the_newest_that_is_known(models, server):
    connection = connect(server, "azure_openai")
    await models.ask(connection, question("azure_openai"))
    assert server.last.query == {"api-version": [AZURE_API_VERSION]}
    assert (await models.test(connection)).ok
    assert server.last.target == f"/openai/models?api-version={AZURE_API_VERSION}"


@pytest.mark.parametrize("server", ["azure_openai"], indirect=True)
@pytest.mark.parametrize(("tail", "version"), [("", "v1"), ("/openai/v1", ""), ("/openai/v1/", "2024-06-01")])
@pytest.mark.process
async def test_azure_without_dates_is_asked_as_openai_is(models, server, tail, version):
    connection = connect(server, "azure_openai", base_url=server.origin + tail, api_version=version)
    await models.ask(connection, question("azure_openai"))
    assert server.last.target == "/openai/v1/chat/completions"
    assert server.asked[-1]["model"] == "my-deployment"
    assert (await models.test(connection)).ok
    assert server.last.target == "/openai/v1/models"


@pytest.mark.parametrize("server", ["mistral"], indirect=True)
@pytest.mark.process
async def test_mistral_gets_no_field_it_does_not_know(models, server):
    for rest in ({}, {"on_delta": lambda text: None}, {"output_schema": SCHEMA}):
        server.say(GOOD)
        answer = await models.ask(connect(server, "mistral"), question("mistral", **rest))
        assert len(answer.calls) == 1
    assert all(body["max_tokens"] == 50 for body in server.asked)


@pytest.mark.parametrize("server", ["mistral"], indirect=True)
@pytest.mark.process
async def test_the_strict_server_refuses_what_other_providers_send(models, server):
    with pytest.raises(Exception, match="did not accept the request"):
        await models.ask(connect(server, "openai"), question("openai"))


@pytest.mark.parametrize("provider", list(PROVIDERS))
@pytest.mark.parametrize(
    "tail", ["", "/", "/chat/completions", "/v1/messages", "/v1beta", "/openai/v1"], ids=lambda tail: tail or "none"
)
def test_what_is_copied_along_with_an_address_is_left_out(provider, tail):
    plain = PROVIDERS[provider].address or PROVIDERS[provider].address_hint
    added = {
        "openai": ("", "/", "/chat/completions"),
        "anthropic": ("", "/", "/v1/messages"),
        "google": ("", "/", "/v1beta"),
        "azure": ("", "/", "/openai/v1"),
    }[PROVIDERS[provider].wire]
    address = ModelConnection("Mine", provider, plain + tail).address
    assert (address == plain) == (tail in added)


@pytest.mark.parametrize("provider", [name for name in PROVIDERS if PROVIDERS[name].needs_key])
async def test_a_provider_with_keys_is_not_asked_without_one(models, provider):
    connection = ModelConnection("Mine", provider, "http://127.0.0.1:1/v1")
    with pytest.raises(Exception, match="has no API key"):
        await models.ask(connection, question(provider))


def test_calls_at_once_are_as_is_usual_or_as_the_owner_says():
    assert ModelConnection("a", "openai").at_once == USUAL_CONCURRENCY
    assert ModelConnection("a", "ollama", local=True).at_once == USUAL_LOCAL_CONCURRENCY
    assert ModelConnection("a", "ollama", local=True, max_concurrency=1).at_once == 1


@pytest.mark.process
def test_the_sdks_of_several_providers_load_at_the_same_time():
    """In a process that has loaded none of them, as a worker's first jobs do it; prices are looked up meanwhile."""
    program = """
        import asyncio
        from engine.models.connections import ModelConnection
        from engine.models.price_lookup import find_embedding_price
        from engine.models.providers import prepare
        from engine.outbound.client import OutboundClient

        async def load():
            outbound = OutboundClient()
            connections = [
                ModelConnection("Mine", provider, "http://localhost/v1", "a key")
                for provider in ("openai_compatible", "anthropic", "google", "mistral", "azure_openai")
            ]
            async with outbound.client() as client:
                await asyncio.gather(
                    *(prepare(one, client) for one in connections),
                    asyncio.to_thread(find_embedding_price, connections[0], "no-model", at=0),
                )
            await outbound.aclose()

        asyncio.run(load())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], check=False, capture_output=True, text=True, cwd=PROJECT
    )
    assert done.returncode == 0, done.stderr
