"""Whose language models Flowport can talk to, as data: forms, commands, checks and the wire derive from it.

`wire` is the protocol that is spoken. Mistral, OpenRouter, Ollama and vLLM speak OpenAI's; Azure speaks it with addresses and
a key header of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

ProviderName = Literal[
    "openai",
    "anthropic",
    "google",
    "mistral",
    "azure_openai",
    "openrouter",
    "ollama",
    "vllm",
    "openai_compatible",
]
Wire = Literal["openai", "anthropic", "google", "azure"]

#: Calls of one connection at once, in each worker process, unless the owner says otherwise.
USUAL_CONCURRENCY = 10
#: A model server of one's own answers a few questions at once and lets the rest wait anyway.
USUAL_LOCAL_CONCURRENCY = 4
MOST_CONCURRENCY = 500
#: Azure's newest dated version that is not a preview.
AZURE_API_VERSION = "2024-10-21"


@dataclass(frozen=True)
class Provider:
    """`address` is where it is reached when the owner says nothing; `needs_address`: the owner must say where it is.

    `address_hint` is an address as an example, `key_page` where a key is made, `model_hint` a model's name as an example.
    """

    name: ProviderName
    title: str
    wire: Wire = "openai"
    address: str = ""
    address_hint: str = ""
    needs_address: bool = False
    needs_key: bool = True
    key_page: str = ""
    model_hint: str = ""


_ALL = (
    Provider(
        "openai",
        "OpenAI",
        address="https://api.openai.com/v1",
        key_page="https://platform.openai.com/api-keys",
        model_hint="gpt-4.1-mini",
    ),
    Provider(
        "anthropic",
        "Anthropic",
        "anthropic",
        address="https://api.anthropic.com",
        key_page="https://console.anthropic.com/settings/keys",
        model_hint="claude-haiku-4-5",
    ),
    Provider(
        "google",
        "Google",
        "google",
        address="https://generativelanguage.googleapis.com",
        key_page="https://aistudio.google.com/apikey",
        model_hint="gemini-2.5-flash",
    ),
    Provider(
        "mistral",
        "Mistral",
        address="https://api.mistral.ai/v1",
        key_page="https://console.mistral.ai/api-keys",
        model_hint="mistral-small-latest",
    ),
    Provider(
        "azure_openai",
        "Azure OpenAI",
        "azure",
        address_hint="https://my-resource.openai.azure.com",
        needs_address=True,
        key_page="https://ai.azure.com",
        model_hint="my-deployment",
    ),
    Provider(
        "openrouter",
        "OpenRouter",
        address="https://openrouter.ai/api/v1",
        key_page="https://openrouter.ai/settings/keys",
        model_hint="openai/gpt-4.1-mini",
    ),
    Provider("ollama", "Ollama", address="http://localhost:11434/v1", needs_key=False, model_hint="llama3.2:3b"),
    Provider(
        "vllm", "vLLM", address="http://localhost:8000/v1", needs_key=False, model_hint="Qwen/Qwen2.5-7B-Instruct"
    ),
    Provider(
        "openai_compatible",
        "OpenAI-compatible address",
        address_hint="https://models.example.com/v1",
        needs_address=True,
        needs_key=False,
        model_hint="my-model",
    ),
)
PROVIDERS: dict[str, Provider] = {provider.name: provider for provider in _ALL}
assert tuple(PROVIDERS) == get_args(ProviderName)
