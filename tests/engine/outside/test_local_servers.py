"""Model servers on this machine are found and offered."""

from engine.outside.http import Door
from engine.outside.local_servers import find_local_servers
from tests.stand_ins.openai_server import OpenAIServer
from tests.stand_ins.web_site import WebSite


async def test_a_server_that_lists_models_is_found_and_other_things_are_not():
    door = Door()
    with OpenAIServer(models=("llama3.2:3b",)) as server, WebSite({"/": "not a model"}) as site:
        ports = {"Ollama": server.port, "LM Studio": site.port, "vLLM": 1}
        found = await find_local_servers(door, ports, hosts=("127.0.0.1", "localhost"))
    await door.aclose()
    assert [(one.connection.name, one.connection.address, one.models) for one in found] == [
        ("Ollama", f"http://127.0.0.1:{server.port}/v1", ("llama3.2:3b",))
    ]
    assert found[0].connection.local
