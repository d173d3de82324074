"""A model connection as the owner saved it: which provider, where it is reached and with which key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from engine.outside.prices import Price

Provider = Literal["openai", "anthropic", "google", "openai_compatible"]

#: Where each provider is reached when the owner gave no address. An OpenAI-compatible server always has its own.
DEFAULT_ADDRESS: dict[str, str] = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com",
    "google": "https://generativelanguage.googleapis.com",
}
PROVIDERS: tuple[Provider, ...] = get_args(Provider)


@dataclass(frozen=True)
class ModelConnection:
    """A connection named by the owner. `base_url` None: the provider's own address. `local`: it costs nothing.

    `own_prices` are the owner's prices by model name; they win over the price table.
    """

    name: str
    provider: Provider
    base_url: str | None = None
    key: str | None = field(default=None, repr=False)
    local: bool = False
    own_prices: Mapping[str, Price] = field(default_factory=dict, hash=False)

    @property
    def address(self) -> str:
        """The base URL that is called, without a slash at its end and without the version that the SDK adds itself."""
        address = (self.base_url or DEFAULT_ADDRESS.get(self.provider, "")).strip().rstrip("/")
        return address.removesuffix({"anthropic": "/v1", "google": "/v1beta"}.get(self.provider, "")).rstrip("/")

    @property
    def needs_key(self) -> bool:
        """True when a call without a key cannot work. OpenAI-compatible and local servers may do without."""
        return self.provider != "openai_compatible" and not self.local


def split_model(model: str) -> tuple[str | None, str]:
    """`CONNECTION:model-name` as its two parts; `(None, "simulated")` for the Simulated model. Model names may hold colons."""
    if model == "simulated":
        return None, model
    name, _, model_name = model.partition(":")
    return name, model_name
