"""The supported providers of language models as data; forms, commands, validation and API clients derive from it.

`wire` is the API protocol. Mistral, OpenRouter, Ollama and vLLM use OpenAI's protocol; Azure uses it with its own URLs
and key header.
"""

from __future__ import annotations

from typing import Literal, get_args

from msgspec import Struct

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

#: Default limit of concurrent calls of a connection in each worker process.
USUAL_CONCURRENCY = 10
#: Default limit for local model servers, which process only a few requests in parallel.
USUAL_LOCAL_CONCURRENCY = 4
MAX_CONCURRENCY = 500
#: Azure's newest dated API version that is not a preview.
AZURE_API_VERSION = "2024-10-21"


class Provider(Struct, frozen=True):
    """A provider. `address` is its default base URL; with `needs_address`, the owner must enter one.

    `address_hint` and `model_hint` are examples for the form; `key_page` is the URL of the page where API keys are
    created.
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

#: Parts of names by which embedding models are told from others in a provider's list.
_EMBEDDING_NAMES = ("embed", "bge-", "gte-", "e5-", "minilm", "mpnet")


def has_embeddings(provider: str) -> bool:
    """True when a provider offers embedding models."""
    return provider != "anthropic"


def is_embedding_model(name: str) -> bool:
    """True when a model's name says that it makes vectors."""
    return any(part in name.lower() for part in _EMBEDDING_NAMES)
