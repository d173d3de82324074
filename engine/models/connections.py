"""A model connection as stored by the owner: the provider, its address and the API key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.models.price import Price
from engine.models.provider_catalog import (
    AZURE_API_VERSION,
    PROVIDERS,
    USUAL_CONCURRENCY,
    USUAL_LOCAL_CONCURRENCY,
    Wire,
)
from engine.models.provider_catalog import ProviderName as Provider

__all__ = ["ModelConnection", "Provider", "split_model"]

#: Path suffixes by protocol that are removed from a base URL, because the SDK appends them itself.
_ADDED = {
    "anthropic": ("/v1/messages", "/v1"),
    "google": ("/v1beta",),
    "openai": ("/chat/completions",),
    "azure": ("/openai/v1", "/openai"),
}


@dataclass(frozen=True)
class ModelConnection:
    """A connection that the owner named.

    `base_url` None means the provider's default address. `local`: calls cost nothing. `own_prices` are the owner's
    prices by model name and override the price table. `api_version` is for Azure only: "v1" for the API without dated
    versions, "" for the default version. `max_concurrency` limits concurrent calls in this process; None means the
    default. `opens_address`: it belongs to the server's first workspace, whose owners may open private addresses, so
    its own address needs no entry in the list of allowed addresses.
    """

    name: str
    provider: Provider
    base_url: str | None = None
    key: str | None = field(default=None, repr=False)
    local: bool = False
    own_prices: Mapping[str, Price] = field(default_factory=dict, hash=False)
    api_version: str = ""
    max_concurrency: int | None = None
    opens_address: bool = False

    @property
    def identity(self) -> tuple[str, str, str | None]:
        """What tells the connections of one process apart: equal ones of two workspaces ask one server with one key."""
        return self.name, self.address, self.key

    @property
    def wire(self) -> Wire:
        """The protocol that the provider's API uses."""
        return PROVIDERS[self.provider].wire

    @property
    def address(self) -> str:
        """The base URL without a trailing slash and without the path that the SDK appends."""
        address = (self.base_url or PROVIDERS[self.provider].address).strip().rstrip("/")
        for added in _ADDED[self.wire]:
            address = address.removesuffix(added).rstrip("/")
        return address

    @property
    def needs_key(self) -> bool:
        """True when calls fail without a key. OpenAI-compatible and local servers may work without one."""
        return PROVIDERS[self.provider].needs_key and not self.local

    @property
    def at_once(self) -> int:
        """The maximum number of concurrent calls in this process."""
        return self.max_concurrency or (USUAL_LOCAL_CONCURRENCY if self.local else USUAL_CONCURRENCY)

    @property
    def version(self) -> str:
        """Azure's API version: a date, or "v1" for the API without dated versions, which gets no version parameter."""
        if (self.base_url or "").strip().rstrip("/").endswith("/openai/v1"):
            return "v1"
        return self.api_version.strip() or AZURE_API_VERSION


def split_model(model: str) -> tuple[str | None, str]:
    """Splits `CONNECTION:model-name` at the first colon; model names may contain colons.

    Returns `(None, "simulated")` for the Simulated model.
    """
    if model == "simulated":
        return None, model
    name, _, model_name = model.partition(":")
    return name, model_name
