"""Calculates what a model call costs, from the owner's prices or from the price table of the `genai-prices` package.

The table is the one in the installed package; it is never updated over the network. Amounts are whole nano-dollars
(10^-9 US dollars): 0.15 dollars per million tokens are 150,000,000 nano-dollars per million. The cost is rounded half
up, once per call. An unknown price is None, never 0.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from engine.core.clock import Millis
from engine.models.connections import ModelConnection
from engine.models.price import LOCAL, Price, plausible_cost

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import ModelInfo

NANOS = Decimal(10**9)
#: Identifiers in the price table of providers with a single price list; other providers are found by their address. An
#: Azure deployment has the price of the model that it is named after.
_LISTED_AS = {
    "openai": "openai",
    "anthropic": "anthropic",
    "google": "google",
    "mistral": "mistral",
    "azure_openai": "azure",
    "openrouter": "openrouter",
}


class Tokens(Struct, frozen=True):
    """Token counts of one call. `input` includes the tokens read from and written to the provider's cache, and those of
    sound; `output` includes those of sound.
    """

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    audio_input: int = 0
    audio_output: int = 0


def find_price(connection: ModelConnection, model_name: str, *, at: Millis, input_tokens: int = 0) -> Price | None:
    """Returns the price of a model at a time, or None when it is unknown. Some models cost more for large inputs.

    The first call loads the price table, which takes about 0.1 s: do not call it first on an event loop.
    """
    if own := connection.own_prices.get(model_name):
        return own
    if connection.local:
        return LOCAL
    found = _table_entry(connection, model_name)
    return _table_price(found, at, input_tokens) if found else None


def find_embedding_price(connection: ModelConnection, model_name: str, *, at: Millis) -> Price | None:
    """Returns the price of an embedding model, which is charged for its input only; None when it is unknown."""
    if own := connection.own_prices.get(model_name):
        return own
    if connection.local:
        return LOCAL
    found = _table_entry(connection, model_name)
    per_input = getattr(found.get_prices(_moment(at)), "input_mtok", None) if found else None
    return None if per_input is None else Price(_nanos(_in_tier(per_input, 0)), 0, "price table")


def cost_of(
    connection: ModelConnection, model_name: str, tokens: Tokens, *, at: Millis
) -> tuple[Price | None, int | None]:
    """Returns the applied price and the cost in nano-dollars, or `(None, None)` when the price is unknown. A cost above
    MAX_COST is unknown.

    With the price table, cached input and sound are charged at their own prices.
    """
    price = find_price(connection, model_name, at=at, input_tokens=tokens.input)
    if price is None:
        return None, None
    if price.source != "price table":
        return price, plausible_cost(price.cost(tokens.input, tokens.output))
    cost = _table_cost(_table_entry(connection, model_name), tokens, at)
    return price, None if cost is None else plausible_cost(cost)


def load_prices() -> None:
    """Loads the price table into memory, so that later lookups are fast."""
    _snapshot()


def _snapshot() -> DataSnapshot:
    # not `from genai_prices.data_snapshot`: another thread may be importing the package, which imports this module
    from genai_prices import data_snapshot

    return data_snapshot.get_snapshot()


def _table_entry(connection: ModelConnection, model_name: str) -> ModelInfo | None:
    snapshot = _snapshot()
    try:
        if (listed := _LISTED_AS.get(connection.provider)) is not None:
            return snapshot.find_provider_model(model_name, None, listed, None)[1]
        provider = snapshot.find_provider(None, None, connection.address)
        return snapshot.find_provider_model(model_name, provider, None, None)[1]
    except LookupError:
        return None


def _table_price(found: ModelInfo, at: Millis, input_tokens: int) -> Price | None:
    prices = found.get_prices(_moment(at))
    per_input, per_output = getattr(prices, "input_mtok", None), getattr(prices, "output_mtok", None)
    if per_input is None or per_output is None:
        return None  # priced per request or per image, which token counts do not determine
    return Price(_nanos(_in_tier(per_input, input_tokens)), _nanos(_in_tier(per_output, input_tokens)), "price table")


def _table_cost(found: ModelInfo | None, tokens: Tokens, at: Millis) -> int | None:
    from genai_prices import Usage

    assert found is not None
    usage = Usage(
        input_tokens=tokens.input,
        output_tokens=tokens.output,
        cache_read_tokens=tokens.cache_read or None,
        cache_write_tokens=tokens.cache_write or None,
        input_audio_tokens=tokens.audio_input or None,
        output_audio_tokens=tokens.audio_output or None,
    )
    try:
        return _nanos(found.get_prices(_moment(at)).calc_price(usage)["total_price"])
    except (ValueError, LookupError):
        return None  # contradictory token counts: the cost is unknown


def _in_tier(price: Any, input_tokens: int) -> Decimal:
    if isinstance(price, Decimal):
        return price
    reached = [tier.price for tier in price.tiers if input_tokens > tier.start]
    return reached[-1] if reached else price.base


def _nanos(dollars: Decimal) -> int:
    return int((dollars * NANOS).to_integral_value(rounding=ROUND_HALF_UP))


def _moment(at: Millis) -> datetime:
    return datetime.fromtimestamp(at / 1000, tz=UTC)
