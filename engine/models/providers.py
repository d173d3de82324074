"""Builds the model SDKs on top of OutboundClient, and the URL and headers for listing a provider's models.

Importing an SDK takes seconds, so imports are inside functions and `prepare` makes the first import in a thread. The
SDKs get an HTTP client, the address and the key explicitly; they must not read the server's environment variables.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import httpx2

from engine.core.error_codes import JobErrorCode
from engine.models.connections import ModelConnection
from engine.models.errors import ModelFailed
from engine.models.price_lookup import load_prices
from engine.models.provider_catalog import Wire
from engine.outbound.allow_list import Allowed, allowed_origin

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from pydantic_ai.models import Model

_prepared: set[Wire] = set()
#: SDKs import parts of each other's libraries: two threads that import them at once find modules that are half loaded.
_importing = threading.Lock()


def allowed_for(connection: ModelConnection) -> tuple[Allowed, ...]:
    """Returns what a connection opens beside the owner's allow-list: its own host and port, or nothing when it belongs
    to another workspace than the server's first one (S11).

    Raises ModelFailed when the address is not a URL.
    """
    home = origin_of(connection)
    return (home,) if connection.opens_address else ()


def origin_of(connection: ModelConnection) -> Allowed:
    """Returns an allow-list entry for exactly the host and port of the connection's address, to which its key may be
    sent.

    Raises ModelFailed when the address is not a URL.
    """
    try:
        return allowed_origin(connection.address)
    except ValueError as error:
        raise ModelFailed(
            JobErrorCode.NODE_FAILED,
            f"The connection “{connection.name}” has no usable address.",
            why=str(error),
            remedy="The owner can mend it under Settings → Models and secrets.",
        ) from error


async def prepare(connection: ModelConnection, client: httpx2.AsyncClient) -> None:
    """Imports the SDK in a thread, once per process and protocol."""
    if connection.wire not in _prepared:
        await asyncio.to_thread(_import_sdk, connection, client)


def _import_sdk(connection: ModelConnection, client: httpx2.AsyncClient) -> None:
    with _importing:
        if connection.wire not in _prepared:
            warm_up = ModelConnection("warm-up", connection.provider, "http://localhost/v1", "no-key")
            build_model(warm_up, "warm-up", client)
            load_prices()
            _prepared.add(connection.wire)


def build_model(connection: ModelConnection, model_name: str, client: httpx2.AsyncClient) -> Model:
    """Returns the SDK's model object. Fast after `prepare`; the caller closes `client`, the model needs no closing."""
    key = connection.key or "no-key"
    if connection.wire == "anthropic":
        from pydantic_ai.models.anthropic import AnthropicModel
        from pydantic_ai.providers.anthropic import AnthropicProvider

        anthropic = AnthropicProvider(api_key=key, base_url=connection.address, http_client=client)
        anthropic.client.max_retries = 0
        return AnthropicModel(model_name, provider=anthropic)
    if connection.wire == "google":
        from pydantic_ai.models.google import GoogleModel
        from pydantic_ai.providers.google import GoogleProvider

        # this SDK does not retry by default
        google = GoogleProvider(api_key=key, base_url=connection.address, http_client=client)
        return GoogleModel(model_name, provider=google)
    return _openai_model(connection, model_name, key, client)


def _openai_model(connection: ModelConnection, model_name: str, key: str, client: httpx2.AsyncClient) -> Model:
    from pydantic_ai.providers.openai import OpenAIProvider
    from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

    from engine.models.chat_models import ChatModel, MistralModel

    if connection.wire == "azure":
        return ChatModel(model_name, provider=OpenAIProvider(openai_client=_azure_client(connection, key, client)))
    if connection.provider == "openai":
        openai = OpenAIProvider(base_url=connection.address, api_key=key, http_client=client)
    else:
        openai = OpenAICompatibleProvider(connection.name, base_url=connection.address, api_key=key, http_client=client)
    _ignore_environment(openai.client)
    if connection.provider == "mistral":
        return MistralModel.of(model_name, openai)
    return ChatModel(model_name, provider=openai)


def _azure_client(connection: ModelConnection, key: str, client: httpx2.AsyncClient) -> AsyncOpenAI:
    """Dated API versions send the key in the `api-key` header and the deployment in the path; "v1" is called like
    OpenAI's API.
    """
    from openai import AsyncAzureOpenAI, AsyncOpenAI

    if connection.version == "v1":
        dateless = AsyncOpenAI(base_url=f"{connection.address}/openai/v1", api_key=key, http_client=client)
        _ignore_environment(dateless)
        return dateless
    dated = AsyncAzureOpenAI(
        azure_endpoint=connection.address, api_version=connection.version, api_key=key, http_client=client
    )
    _ignore_environment(dated)
    return dated


def _ignore_environment(client: AsyncOpenAI) -> None:
    """Disables retries and the settings that the SDK reads from the environment.

    This is set on the client and not per request: a request with its own options copies the client, and the copy reads
    the environment.
    """
    client.max_retries = 0
    client.organization = client.project = None  # drop OPENAI_ORG_ID and OPENAI_PROJECT_ID


def models_url(connection: ModelConnection) -> str:
    """Returns the URL that lists the provider's models.

    Azure lists the models that can be deployed, not the deployments; that request still tests the key.
    """
    match connection.wire:
        case "anthropic":
            return f"{connection.address}/v1/models?limit=200"
        case "google":
            return f"{connection.address}/v1beta/models?pageSize=200"
        case "azure" if connection.version == "v1":
            return f"{connection.address}/openai/v1/models"
        case "azure":
            return f"{connection.address}/openai/models?{urlencode({'api-version': connection.version})}"
    return f"{connection.address}/models"


def key_headers(connection: ModelConnection) -> dict[str, str]:
    """Returns the headers that carry the API key for this provider, or none without a key."""
    match connection.wire:
        case "anthropic":
            headers = {"x-api-key": connection.key or "", "anthropic-version": "2023-06-01"}
        case "google":
            headers = {"x-goog-api-key": connection.key or ""}
        case "azure":
            headers = {"api-key": connection.key or ""}
        case _:
            headers = {"authorization": f"Bearer {connection.key}"}
    return headers if connection.key else {}
