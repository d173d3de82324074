"""Model servers on this machine are found, identified, and offered until they are connected."""

import pytest

from engine.models import local_servers
from engine.models.local_servers import LocalServers, find_local_servers
from engine.outbound.client import OutboundClient
from tests.stand_ins.local_server import Reply
from tests.stand_ins.openai_server import OpenAIServer
from tests.stand_ins.web_site import WebSite

pytestmark = pytest.mark.process


@pytest.fixture
async def outbound():
    opened = OutboundClient()
    yield opened
    await opened.aclose()


async def test_a_server_that_lists_models_is_found_and_other_things_are_not(outbound):
    with OpenAIServer(models=("b", "a")) as server, WebSite({"/": "not a model"}) as site:
        found = await find_local_servers(outbound, (site.port, server.port, 1), hosts=("127.0.0.1", "localhost"))
    assert [(one.base_url, one.models) for one in found] == [(f"http://127.0.0.1:{server.port}/v1", ("a", "b"))]
    assert server.hits("/v1/models") == 2, "asked under both names, listed once"


@pytest.mark.parametrize(
    ("owner", "title", "provider"),
    [
        ("library", "Ollama", "ollama"),
        ("vllm", "vLLM", "vllm"),
        ("organization_owner", "LM Studio", "openai_compatible"),
        ("llamacpp", "llama.cpp", "openai_compatible"),
        ("somebody", "Model server", "openai_compatible"),
        (None, "Model server", "openai_compatible"),
    ],
)
async def test_a_server_is_known_by_whom_its_models_belong_to(outbound, owner, title, provider):
    with OpenAIServer(owner=owner) as server:
        (found,) = await find_local_servers(outbound, (server.port,), hosts=("127.0.0.1",))
    assert (found.kind.title, found.kind.provider) == (title, provider)


async def test_ollama_is_known_by_its_port_when_its_models_are_somebodys(outbound, monkeypatch):
    with OpenAIServer(owner="ada") as server:
        monkeypatch.setitem(local_servers._BY_PORT, server.port, local_servers._BY_OWNER["library"])
        (found,) = await find_local_servers(outbound, (server.port,), hosts=("127.0.0.1",))
    assert found.kind.provider == "ollama"


@pytest.mark.parametrize("body", [b"[", b"[" * 100_000, b'{"data": 5}', b'{"data": "x", "models": []}', b"\xff"])
async def test_what_is_no_list_of_models_is_no_server(outbound, body):
    class Odd(OpenAIServer):
        def reply(self, seen):
            return Reply(200, body)

    with Odd() as server:
        assert await find_local_servers(outbound, (server.port,), hosts=("127.0.0.1",)) == ()


async def test_a_server_that_never_answers_ends_the_search_in_time(outbound, monkeypatch):
    monkeypatch.setattr(local_servers, "SEARCH_SECONDS", 0.3)

    class Silent(OpenAIServer):
        def reply(self, seen):
            return Reply(delay=30)

    with Silent() as server:
        assert await find_local_servers(outbound, (server.port,), hosts=("127.0.0.1",)) == ()
        server.stop()


async def test_what_is_connected_already_is_not_offered_again(outbound):
    with OpenAIServer(owner="library") as server:
        memory = LocalServers((server.port,))
        await memory.look(outbound)
    assert [one.kind.name for one in memory.fresh([None, "http://127.0.0.1:1/v1"])] == ["ollama"]
    for known in ("127.0.0.1", "localhost", "[::1]"):
        assert memory.fresh([f"http://{known}:{server.port}/v1/"]) == ()
