"""Finds model servers on this machine and on the host of a container, so that the owner can add them as connections."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from engine.core.settings import MODEL_SERVER_PORTS
from engine.models.connections import ModelConnection
from engine.models.model_lists import names_in
from engine.models.provider_catalog import ProviderName
from engine.outbound.errors import OutboundFailed, OutboundRefused

if TYPE_CHECKING:
    from engine.outbound.client import OutboundClient

#: This machine, and the host machine as seen from a container.
HOSTS = ("127.0.0.1", "host.docker.internal")
SEARCH_SECONDS = 3.0
_MAX_BYTES = 1_000_000


class Kind(Struct, frozen=True):
    """A program that serves models. `name` is the proposed name of its connection."""

    title: str
    name: str
    provider: ProviderName


_UNKNOWN = Kind("Model server", "local", "openai_compatible")
#: Values of `owned_by` in the model list, by which a program is recognised.
_BY_OWNER = {
    "library": Kind("Ollama", "ollama", "ollama"),
    "vllm": Kind("vLLM", "vllm", "vllm"),
    "organization_owner": Kind("LM Studio", "lm-studio", "openai_compatible"),
    "llamacpp": Kind("llama.cpp", "llama-cpp", "openai_compatible"),
    "sglang": Kind("SGLang", "sglang", "openai_compatible"),
}
#: Default ports that are specific to one program; used when `owned_by` does not identify it, as it may name the model's
#: author.
_BY_PORT = {11434: _BY_OWNER["library"], 1234: _BY_OWNER["organization_owner"]}


class FoundServer(Struct, frozen=True):
    """A model server that answered, with the names of its models."""

    kind: Kind
    base_url: str
    models: tuple[str, ...]


class LocalServers:
    """The model servers found by the last search: at the server's start or on "Check again".

    With no `ports`, nothing is searched.
    """

    def __init__(self, ports: Iterable[int] = MODEL_SERVER_PORTS) -> None:
        self.ports = tuple(ports)
        self.found: tuple[FoundServer, ...] = ()

    async def look(self, outbound: OutboundClient) -> tuple[FoundServer, ...]:
        """Searches again and returns the servers found; takes at most SEARCH_SECONDS."""
        self.found = await find_local_servers(outbound, self.ports)
        return self.found

    def fresh(self, known: Iterable[str | None]) -> tuple[FoundServer, ...]:
        """Returns the servers whose address is not in `known`; localhost, 127.0.0.1 and [::1] count as the same
        host.
        """
        places = {_place(address) for address in known if address}
        return tuple(server for server in self.found if _place(server.base_url) not in places)


async def find_local_servers(
    outbound: OutboundClient, ports: Iterable[int] = MODEL_SERVER_PORTS, hosts: tuple[str, ...] = HOSTS
) -> tuple[FoundServer, ...]:
    """Returns the servers that list their models, in the order of `ports`, within SEARCH_SECONDS.

    For a port that answers on several hosts, the first of `hosts` is returned.
    """
    asked = [(port, host) for port in ports for host in hosts]
    answers = await asyncio.gather(*(_ask(outbound, host, port) for port, host in asked))
    found: dict[int, FoundServer] = {}
    for (port, _host), server in zip(asked, answers, strict=True):
        if server is not None:
            found.setdefault(port, server)
    return tuple(found.values())


async def _ask(outbound: OutboundClient, host: str, port: int) -> FoundServer | None:
    from engine.models.providers import allowed_for, models_url

    place = ModelConnection("local", "openai_compatible", f"http://{host}:{port}/v1", local=True, opens_address=True)
    try:
        answer = await outbound.request(
            "GET",
            models_url(place),
            timeout_seconds=SEARCH_SECONDS,
            follow_redirects=False,
            max_bytes=_MAX_BYTES,
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
