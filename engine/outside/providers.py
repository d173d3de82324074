"""The model SDKs: building them on the outbound door, and asking a provider which models it has.

The SDKs take seconds to import, so everything here imports inside functions, and the first use is prepared in a thread.
They get an HTTP client of the door, the address and the key; nothing of the server's environment reaches a provider.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx2

from engine.outside.allow_list import Allowed, allowed_origin
from engine.outside.connections import ModelConnection, Provider
from engine.outside.model_faults import ModelFailed
from engine.outside.prices import load_prices

if TYPE_CHECKING:
    from pydantic_ai.models import Model

_prepared: set[Provider] = set()


def allowed_for(connection: ModelConnection) -> tuple[Allowed, ...]:
    """Exactly the host and port that the owner saved (security.md S11). Raises ModelFailed for what is no address."""
    try:
        return (allowed_origin(connection.address),)
    except ValueError as error:
        raise ModelFailed(
            "node_failed",
            f"The connection “{connection.name}” has no usable address.",
            why=str(error),
            remedy="The owner can mend it under Settings → Models and secrets.",
        ) from error


async def prepare(provider: Provider, client: httpx2.AsyncClient) -> None:
    """Imports the SDK off the event loop, once per process."""
    if provider not in _prepared:
        warm_up = ModelConnection("warm-up", provider, "http://localhost/v1", "no-key")
        await asyncio.to_thread(build_model, warm_up, "warm-up", client)
        await asyncio.to_thread(load_prices)
        _prepared.add(provider)


def build_model(connection: ModelConnection, model_name: str, client: httpx2.AsyncClient) -> Model:
    """The SDK's model object. Cheap once `prepare` has run; it needs no closing, the client does."""
    key = connection.key or "no-key"
    if connection.provider == "anthropic":
        from pydantic_ai.models.anthropic import AnthropicModel
        from pydantic_ai.providers.anthropic import AnthropicProvider

        anthropic = AnthropicProvider(api_key=key, base_url=connection.address, http_client=client)
        anthropic.client.max_retries = 0
        return AnthropicModel(model_name, provider=anthropic)
    if connection.provider == "google":
        from pydantic_ai.models.google import GoogleModel
        from pydantic_ai.providers.google import GoogleProvider

        google = GoogleProvider(api_key=key, base_url=connection.address, http_client=client)  # never retries by itself
        return GoogleModel(model_name, provider=google)
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider
    from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

    if connection.provider == "openai":
        openai = OpenAIProvider(base_url=connection.address, api_key=key, http_client=client)
    else:
        openai = OpenAICompatibleProvider(connection.name, base_url=connection.address, api_key=key, http_client=client)
    # Set here and not per request: a request with options of its own makes a copy of the client that reads the environment.
    openai.client.max_retries = 0
    openai.client.organization = openai.client.project = None  # OPENAI_ORG_ID and OPENAI_PROJECT_ID stay out
    return OpenAIChatModel(model_name, provider=openai)


def models_url(connection: ModelConnection) -> str:
    """Where the provider lists its models."""
    match connection.provider:
        case "anthropic":
            return f"{connection.address}/v1/models?limit=200"
        case "google":
            return f"{connection.address}/v1beta/models?pageSize=200"
    return f"{connection.address}/models"


def key_headers(connection: ModelConnection) -> dict[str, str]:
    """The headers that carry the key, as each provider wants it."""
    match connection.provider:
        case "anthropic":
            headers = {"x-api-key": connection.key or "", "anthropic-version": "2023-06-01"}
        case "google":
            headers = {"x-goog-api-key": connection.key or ""}
        case _:
            headers = {"authorization": f"Bearer {connection.key}"}
    return headers if connection.key else {}
