"""A model connection as the owner saved it: which provider, where it is reached and with which key."""

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

#: What people copy along with an address although the SDK adds it itself.
_ADDED = {
    "anthropic": ("/v1/messages", "/v1"),
    "google": ("/v1beta",),
    "openai": ("/chat/completions",),
    "azure": ("/openai/v1", "/openai"),
}


@dataclass(frozen=True)
class ModelConnection:
    """A connection named by the owner. `base_url` None: the provider's own address. `local`: it costs nothing.

    `own_prices` are the owner's prices by model name; they win over everything. `api_version` is Azure's: "v1" for its address
    without dates, "" for the usual one. `max_concurrency`: calls at once in this process; None: as is usual.
    """

    name: str
    provider: Provider
    base_url: str | None = None
    key: str | None = field(default=None, repr=False)
    local: bool = False
    own_prices: Mapping[str, Price] = field(default_factory=dict, hash=False)
    api_version: str = ""
    max_concurrency: int | None = None

    @property
    def wire(self) -> Wire:
        """The protocol it speaks."""
        return PROVIDERS[self.provider].wire

    @property
    def address(self) -> str:
        """The base URL that is called, without a slash at its end and without what is added to it by itself."""
        address = (self.base_url or PROVIDERS[self.provider].address).strip().rstrip("/")
        for added in _ADDED[self.wire]:
            address = address.removesuffix(added).rstrip("/")
        return address

    @property
    def needs_key(self) -> bool:
        """True when a call without a key cannot work. OpenAI-compatible and local servers may do without."""
        return PROVIDERS[self.provider].needs_key and not self.local

    @property
    def at_once(self) -> int:
        """How many calls may be under way at once."""
        return self.max_concurrency or (USUAL_LOCAL_CONCURRENCY if self.local else USUAL_CONCURRENCY)

    @property
    def version(self) -> str:
        """Azure's API version as it is sent: "v1" is no date and is not sent."""
        if (self.base_url or "").strip().rstrip("/").endswith("/openai/v1"):
            return "v1"
        return self.api_version.strip() or AZURE_API_VERSION


def split_model(model: str) -> tuple[str | None, str]:
    """`CONNECTION:model-name` as its two parts; `(None, "simulated")` for the Simulated model. Model names may hold colons."""
    if model == "simulated":
        return None, model
    name, _, model_name = model.partition(":")
    return name, model_name
