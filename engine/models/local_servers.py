"""Looking for model servers on this machine and on the machine around a container, so that they are offered as connections."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from engine.core.settings import MODEL_SERVER_PORTS
from engine.models.connections import ModelConnection
from engine.models.model_lists import names_in
from engine.models.provider_catalog import ProviderName
from engine.models.providers import allowed_for, models_url
from engine.outbound.client import OutboundClient
from engine.outbound.errors import OutboundFailed, OutboundRefused

#: This machine, and the machine around a container.
HOSTS = ("127.0.0.1", "host.docker.internal")
SEARCH_SECONDS = 3.0
_MOST_BYTES = 1_000_000


@dataclass(frozen=True)
class Kind:
    """A program that serves models. `name` is what its connection is called at first."""

    title: str
    name: str
    provider: ProviderName


_UNKNOWN = Kind("Model server", "local", "openai_compatible")
#: What a program writes as the owner of its models.
_BY_OWNER = {
    "library": Kind("Ollama", "ollama", "ollama"),
    "vllm": Kind("vLLM", "vllm", "vllm"),
    "organization_owner": Kind("LM Studio", "lm-studio", "openai_compatible"),
    "llamacpp": Kind("llama.cpp", "llama-cpp", "openai_compatible"),
    "sglang": Kind("SGLang", "sglang", "openai_compatible"),
}
#: Ports that only one program has by itself: its models may belong to somebody.
_BY_PORT = {11434: _BY_OWNER["library"], 1234: _BY_OWNER["organization_owner"]}


@dataclass(frozen=True)
class FoundServer:
    """A model server that answered, and its models."""

    kind: Kind
    base_url: str
    models: tuple[str, ...]


class LocalServers:
    """What was found when somebody last looked: when the server started, or on "Check again". No ports: it never looks."""

    def __init__(self, ports: Iterable[int] = MODEL_SERVER_PORTS) -> None:
        self.ports = tuple(ports)
        self.found: tuple[FoundServer, ...] = ()

    async def look(self, outbound: OutboundClient) -> tuple[FoundServer, ...]:
        """Looks again; takes as long as `find_local_servers`."""
        self.found = await find_local_servers(outbound, self.ports)
        return self.found

    def fresh(self, known: Iterable[str | None]) -> tuple[FoundServer, ...]:
        """Those whose address is none of the `known` ones; localhost is this machine, too."""
        places = {_place(address) for address in known if address}
        return tuple(server for server in self.found if _place(server.base_url) not in places)


async def find_local_servers(
    outbound: OutboundClient, ports: Iterable[int] = MODEL_SERVER_PORTS, hosts: tuple[str, ...] = HOSTS
) -> tuple[FoundServer, ...]:
    """Servers that list their models, in the order of `ports`, in at most SEARCH_SECONDS; a port is listed once, by the first host."""
    asked = [(port, host) for port in ports for host in hosts]
    answers = await asyncio.gather(*(_ask(outbound, host, port) for port, host in asked))
    found: dict[int, FoundServer] = {}
    for (port, _host), server in zip(asked, answers, strict=True):
        if server is not None:
            found.setdefault(port, server)
    return tuple(found.values())


async def _ask(outbound: OutboundClient, host: str, port: int) -> FoundServer | None:
    place = ModelConnection("local", "openai_compatible", f"http://{host}:{port}/v1", local=True)
    try:
        answer = await outbound.request(
            "GET",
            models_url(place),
            timeout_seconds=SEARCH_SECONDS,
            follow_redirects=False,
            max_bytes=_MOST_BYTES,
            allow_extra=allowed_for(place),
        )
        body = json.loads(answer.body) if answer.status == 200 else None
    except (OutboundRefused, OutboundFailed, ValueError, RecursionError):
        return None
    names = names_in(body)
    return None if names is None else FoundServer(_kind(body, port), place.address, names)


def _kind(body: Any, port: int) -> Kind:
    rows = body.get("data") if isinstance(body, dict) else None
    owners = [row.get("owned_by") for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    known = (_BY_OWNER[owner] for owner in owners if isinstance(owner, str) and owner in _BY_OWNER)
    return next(known, _BY_PORT.get(port, _UNKNOWN))


def _place(address: str) -> str:
    return (
        address.rstrip("/").removesuffix("/v1").replace("//localhost", "//127.0.0.1").replace("//[::1]", "//127.0.0.1")
    )
