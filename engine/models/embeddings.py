"""Turns texts into vectors with an embedding model of a connection, for search by meaning.

Requests go out through OutboundClient as plain JSON: the SDKs are not imported, and their default encoding (base64) is
refused by OpenRouter and vLLM. Providers with OpenAI's protocol (Ollama and vLLM among them), Azure and Google have
embedding models; Anthropic has none.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal
from urllib.parse import quote

import msgspec
from msgspec import Struct

from engine.core.clock import Clock
from engine.core.error_codes import JobErrorCode
from engine.core.redaction import cut
from engine.core.trace_context import CURRENT_TRACE
from engine.flow.json_values import read_strictly
from engine.flow.node_http import SecretValue
from engine.models.connections import ModelConnection
from engine.models.errors import (
    ModelFailed,
    key_missing,
    key_refused,
    model_fault,
    no_turn,
    not_found,
    provider_words,
    without_keys,
)
from engine.models.price import Price, is_token_count, plausible_cost
from engine.models.price_lookup import find_embedding_price
from engine.models.provider_catalog import has_embeddings
from engine.models.providers import allowed_for, key_headers, origin_of
from engine.models.rate_limits import CallLimiters, PauseTooLong
from engine.models.usage import ModelCall
from engine.outbound.client import Answer, OutboundClient
from engine.outbound.errors import OutboundFailed, OutboundRefused

Purpose = Literal["document", "question"]

#: Texts and characters of one request; providers take at most 2,048 texts (OpenAI) or 100 (Google).
BATCH, BATCH_CHARS = 64, 100_000
#: The numbers of a vector where the model lets the caller choose: enough for search, and a quarter of the space.
DIMENSIONS = 768
MAX_DIMENSIONS = 8_192
#: The longest answer with MAX_DIMENSIONS numbers for each of BATCH texts has 10 MB, written on one line.
_ANSWER_BYTES = 16 << 20
_WAITS = 4
_LONGEST_WAIT = 60.0


class Embedded(Struct, frozen=True):
    """The vectors of some texts in their order, and the call for them."""

    vectors: tuple[tuple[float, ...], ...]
    call: ModelCall


class _Vector(Struct):
    embedding: list[float]
    index: int = 0


class _Answer(Struct):
    """The answer of OpenAI's protocol. Its types end the reading of anything else at the first value that does not fit."""

    data: list[_Vector]
    usage: Any = None


class _GoogleVector(Struct):
    values: list[float]


class _GoogleAnswer(Struct):
    embeddings: list[_GoogleVector]
    usage: Any = None


class Embeddings:
    """Asks embedding models through one OutboundClient, from one event loop."""

    def __init__(self, outbound: OutboundClient, clock: Clock) -> None:
        self._outbound = outbound
        self._clock = clock
        self._limiters = CallLimiters()

    async def embed(
        self,
        connection: ModelConnection,
        model: str,
        texts: Sequence[str],
        purpose: Purpose,
        *,
        timeout_seconds: float = 60.0,
        on_call: Callable[[ModelCall], None] | None = None,
    ) -> Embedded:
        """Returns the vectors of at most BATCH texts. A busy provider is asked again after the pause it names.

        Raises ModelFailed.
        """
        if not has_embeddings(connection.provider):
            raise ModelFailed(
                JobErrorCode.NODE_FAILED,
                f"“{connection.name}” has no models for search by meaning.",
                why="Anthropic offers no embedding models.",
                remedy="Choose a connection to OpenAI, Google, Azure, Mistral, Ollama or a server like them.",
            )
        if connection.needs_key and not connection.key:
            raise key_missing(connection)
        begun = time.monotonic()
        answer = await self._ask(connection, model, texts, purpose, timeout_seconds)
        read = await asyncio.to_thread(_read, answer.body, connection.wire, len(texts))
        if read is None:
            raise ModelFailed(
                JobErrorCode.MODEL_UNREACHABLE,
                f"{model} of “{connection.name}” gave an answer that cannot be read.",
                why="It holds no vector for each text.",
                remedy="Check that the model is an embedding model, and the connection's address.",
                maybe_billed=True,
            )
        vectors, tokens = read
        price = await asyncio.to_thread(find_embedding_price, connection, model, at=self._clock.now())
        call = ModelCall(
            model=model,
            connection=connection.name,
            attempt=1,
            provider=connection.provider,
            input_tokens=tokens or 0,
            cost_nanos=_cost(price, tokens),
            price=price,
            seconds=time.monotonic() - begun,
        )
        if on_call is not None:
            on_call(call)
        return Embedded(vectors, call)

    async def _ask(
        self, connection: ModelConnection, model: str, texts: Sequence[str], purpose: Purpose, seconds: float
    ) -> Answer:
        loop = asyncio.get_running_loop()
        limiter = self._limiters.of(connection.identity)
        url, body = _request(connection, model, texts, purpose)
        deadline = loop.time() + seconds * (_WAITS if purpose == "document" else 1)
        waits = 0
        while True:
            try:
                async with limiter.turn(connection.at_once, deadline, model):
                    answer = await self._post(connection, model, url, body, seconds)
            except PauseTooLong as error:
                raise no_turn(connection, model, seconds) from error
            if answer.status == 200:
                return answer
            pause = _pause(answer, waits)
            passing = answer.status in {429, 503} and waits < _WAITS
            if not passing or pause > _LONGEST_WAIT or loop.time() + pause >= deadline:
                raise _refused(answer, connection, model)
            waits += 1
            limiter.pause(pause, model)

    async def _post(self, connection: ModelConnection, model: str, url: str, body: Any, seconds: float) -> Answer:
        own = (str(origin_of(connection)),)
        try:
            return await self._outbound.request(
                "POST",
                url,
                headers={"content-type": "application/json", **CURRENT_TRACE.get().headers()},
                secret_headers={
                    name: SecretValue(connection.name, key, own) for name, key in key_headers(connection).items()
                },
                content=json.dumps(body).encode(),
                timeout_seconds=seconds,
                max_bytes=_ANSWER_BYTES,
                follow_redirects=False,
                allow_extra=allowed_for(connection),
            )
        except (OutboundRefused, OutboundFailed) as error:
            raise model_fault(error, connection, model) from error


def batches(texts: Sequence[str]) -> list[list[str]]:
    """Returns the texts in groups that fit into one request each."""
    found: list[list[str]] = []
    size = 0
    for text in texts:
        if not found or len(found[-1]) >= BATCH or size + len(text) > BATCH_CHARS:
            found.append([])
            size = 0
        found[-1].append(text)
        size += len(text)
    return found


def _request(connection: ModelConnection, model: str, texts: Sequence[str], purpose: Purpose) -> tuple[str, Any]:
    inputs = [text or " " for text in texts]  # an empty text is refused
    if connection.wire == "google":
        name = f"models/{model.removeprefix('models/')}"
        task = "RETRIEVAL_DOCUMENT" if purpose == "document" else "RETRIEVAL_QUERY"
        asked = [
            {
                "model": name,
                "content": {"parts": [{"text": text}]},
                "taskType": task,
                "outputDimensionality": DIMENSIONS,
            }
            for text in inputs
        ]
        return f"{connection.address}/v1beta/{quote(name)}:batchEmbedContents", {"requests": asked}
    body: dict[str, Any] = {"model": model, "input": inputs, "encoding_format": "float"}
    if "text-embedding-3" in model:
        body["dimensions"] = DIMENSIONS
    if connection.wire != "azure":
        return f"{connection.address}/embeddings", body
    if connection.version == "v1":
        return f"{connection.address}/openai/v1/embeddings", body
    url = f"{connection.address}/openai/deployments/{quote(model, safe='')}/embeddings"
    return f"{url}?api-version={quote(connection.version)}", body


def _read(body: bytes, wire: str, count: int) -> tuple[tuple[tuple[float, ...], ...], int | None] | None:
    """Returns the vectors in the order of the texts, and the tokens when the answer tells them; None: it is no answer."""
    try:
        answer = msgspec.json.decode(body, type=_GoogleAnswer if wire == "google" else _Answer)
    except (ValueError, RecursionError):
        return None
    if isinstance(answer, _GoogleAnswer):
        rows = [one.values for one in answer.embeddings]
    else:
        rows = [one.embedding for one in sorted(answer.data, key=lambda one: one.index)]
    vectors = tuple(map(tuple, rows))
    lengths = {len(vector) for vector in vectors}
    if len(vectors) != count or len(lengths) != 1 or not 1 <= lengths.pop() <= MAX_DIMENSIONS:
        return None
    usage = answer.usage
    tokens = usage.get("prompt_tokens", usage.get("total_tokens")) if isinstance(usage, dict) else None
    return vectors, tokens if is_token_count(tokens) else None


def _cost(price: Price | None, tokens: int | None) -> int | None:
    """Returns nano-dollars; None when the price, or how much was sent, is unknown."""
    if price is None:
        return None
    if tokens is None:
        return 0 if price.source == "local" else None
    return plausible_cost(price.cost(tokens, 0))


def _pause(answer: Answer, waits: int) -> float:
    named = answer.headers.get("retry-after", "")
    return float(named) if named.replace(".", "", 1).isdecimal() else 2.0**waits


def _refused(answer: Answer, connection: ModelConnection, model: str) -> ModelFailed:
    try:
        words = cut(without_keys(provider_words(read_strictly(answer.text())), connection), 300)
    except ValueError:
        words = ""
    said = f"The provider said: {words}" if words else ""
    who = f"{model} of “{connection.name}”"
    match answer.status:
        case 401 | 403:
            return key_refused(connection, said)
        case 404:
            return not_found(connection, model, said)
        case 429:
            return ModelFailed(
                JobErrorCode.MODEL_RATE_LIMITED,
                f"{who} took no more requests.",
                why=f"Its rate limit or quota is reached. {said}".strip(),
                remedy="Try again later, or raise the limit on the provider's page.",
                passing=True,
            )
        case status if status >= 500:
            return ModelFailed(
                JobErrorCode.MODEL_UNREACHABLE,
                f"{who} is out of order right now (status {status}).",
                why=said,
                remedy="Try again in a minute.",
                passing=True,
            )
    return ModelFailed(
        JobErrorCode.NODE_FAILED,
        f"{who} did not accept the request (status {answer.status}).",
        why=said,
        remedy="Check that this is an embedding model, and the connection's address under Settings → Models and secrets.",
    )
