"""Whose language models Flowport can talk to, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Provider:
    """`needs_address`: the owner must say where it is."""

    name: str
    title: str
    needs_address: bool = False


PROVIDERS: dict[str, Provider] = {
    "openai": Provider("openai", "OpenAI"),
    "anthropic": Provider("anthropic", "Anthropic"),
    "google": Provider("google", "Google"),
    "openai_compatible": Provider("openai_compatible", "OpenAI-compatible address", needs_address=True),
}
