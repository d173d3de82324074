"""Looking for model servers on this machine, so that they can be offered as connections."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from engine.outside.connection_check import check_connection
from engine.outside.connections import ModelConnection
from engine.outside.http import Door

#: Name -> port where these servers listen when nobody changed it.
USUAL_PORTS: dict[str, int] = {"Ollama": 11434, "LM Studio": 1234, "vLLM": 8000, "llama.cpp": 8080}
#: This machine, and the machine around a container.
HOSTS: tuple[str, ...] = ("127.0.0.1", "host.docker.internal")
SEARCH_SECONDS = 3.0


@dataclass(frozen=True)
class FoundServer:
    """A model server that answered: a ready-made connection and its models."""

    connection: ModelConnection
    models: tuple[str, ...]


async def find_local_servers(
    door: Door, ports: dict[str, int] | None = None, hosts: tuple[str, ...] = HOSTS
) -> tuple[FoundServer, ...]:
    """Servers that list their models, in the order of `ports`; the same server under two hosts is listed once."""
    places = [
        ModelConnection(name, "openai_compatible", f"http://{host}:{port}/v1", local=True)
        for name, port in (ports or USUAL_PORTS).items()
        for host in hosts
    ]
    answers = await asyncio.gather(*(_ask(door, place) for place in places))
    found: dict[str, FoundServer] = {}
    for server in answers:
        if server is not None:
            found.setdefault(server.connection.name, server)
    return tuple(found.values())


async def _ask(door: Door, place: ModelConnection) -> FoundServer | None:
    try:
        async with asyncio.timeout(SEARCH_SECONDS):
            tested = await check_connection(door, place)
    except TimeoutError:
        return None
    return FoundServer(place, tested.models) if tested.ok else None
