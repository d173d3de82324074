"""Tests a model connection by listing the provider's models, and explains how to fix it when the provider does not
answer.
"""

from __future__ import annotations

import time
from typing import NoReturn

from msgspec import Struct

from engine.core.error_codes import JobErrorCode
from engine.flow.json_values import read_strictly
from engine.flow.node_context import Json
from engine.flow.node_http import SecretValue
from engine.models.connections import ModelConnection
from engine.models.errors import ModelFailed, key_missing, key_refused, model_fault, provider_words, without_keys
from engine.models.model_lists import names_in
from engine.models.provider_catalog import PROVIDERS
from engine.models.providers import allowed_for, key_headers, models_url, origin_of
from engine.outbound.client import Answer, OutboundClient
from engine.outbound.errors import OutboundFailed, OutboundRefused

TEST_SECONDS = 15.0


class TestResult(Struct, frozen=True):
    """Result of a connection test.

    `sentence` is for the owner and says how to fix a failure; `models` are available model names.
    """

    __test__ = False  # keeps pytest from collecting this class

    ok: bool
    sentence: str
    models: tuple[str, ...] = ()
    seconds: float = 0.0


async def check_connection(outbound: OutboundClient, connection: ModelConnection) -> TestResult:
    """Lists the provider's models. Failures are returned as `sentence`; no exception is raised."""
    begun = time.monotonic()
    try:
        sentence, models = await _models(outbound, connection)
    except ModelFailed as failed:
        return TestResult(False, failed.sentence, seconds=time.monotonic() - begun)
    return TestResult(True, sentence, models, time.monotonic() - begun)


async def _models(outbound: OutboundClient, connection: ModelConnection) -> tuple[str, tuple[str, ...]]:
    if connection.needs_key and not connection.key:
        raise key_missing(connection)
    answer = await _get(outbound, connection, models_url(connection))
    if answer.status in {401, 403}:
        raise key_refused(connection, _provider_message(answer, connection))
    if answer.status in {404, 405}:
        await _fail_without_list(outbound, connection)
    if answer.status != 200:
        raise _unexpected(
            connection, f"It answered with status {answer.status}. {_provider_message(answer, connection)}".strip()
        )
    names = names_in(_json(answer))
    if names is None:
        raise _unexpected(connection, "What it answered is no list of models.")
    if connection.wire == "azure":
        return f"It works: “{connection.name}” takes the key. Azure does not list deployments: name yours here.", ()
    count = "1 model" if len(names) == 1 else f"{len(names)} models"
    return f"It works: “{connection.name}” offers {count}.", names


async def _fail_without_list(outbound: OutboundClient, connection: ModelConnection) -> NoReturn:
    """Explains why the address has no list of models: often its final `/v1` is missing. Always raises ModelFailed."""
    if connection.wire == "openai" and not connection.address.endswith("/v1"):
        answer = await _get(outbound, connection, f"{connection.address}/v1/models")
        if answer.status == 200 and names_in(_json(answer)) is not None:
            raise ModelFailed(
                JobErrorCode.NODE_FAILED,
                "The address is not complete.",
                why="The server answers one step further.",
                remedy=f"Write it as {connection.address}/v1 and test again.",
            )
    raise _unexpected(connection, "There is no list of models at this address (status 404).")


async def _get(outbound: OutboundClient, connection: ModelConnection, url: str) -> Answer:
    own = (str(origin_of(connection)),)
    try:
        return await outbound.request(
            "GET",
            url,
            secret_headers={
                name: SecretValue(connection.name, key, own) for name, key in key_headers(connection).items()
            },
            timeout_seconds=TEST_SECONDS,
            follow_redirects=False,
            allow_extra=allowed_for(connection),
        )
    except (OutboundRefused, OutboundFailed) as error:
        raise model_fault(error, connection, "") from error


def _unexpected(connection: ModelConnection, why: str) -> ModelFailed:
    unnamed = connection.provider == "openai_compatible"
    kind = "an OpenAI-compatible server" if unnamed else PROVIDERS[connection.provider].title
    own = connection.wire != "openai" or connection.provider == "openai"
    return ModelFailed(
        JobErrorCode.NODE_FAILED,
        f"“{connection.name}” does not answer like {kind}.",
        why=why,
        remedy=f"Check the address {connection.address}"
        + ("." if own else "; for most servers it ends with /v1, like http://localhost:11434/v1."),
    )


def _json(answer: Answer) -> Json:
    try:
        return read_strictly(answer.text())
    except ValueError:
        return None


def _provider_message(answer: Answer, connection: ModelConnection) -> str:
    words = without_keys(provider_words(_json(answer)), connection)
    return f"The provider said: {words[:300]}" if words else ""
