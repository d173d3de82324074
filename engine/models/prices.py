"""What a model call costs: own prices first, then the price table that comes with `genai-prices`.

The table is the one inside the installed package; nothing here updates it over the network. Money is whole nano-dollars
(10^-9 US dollars): 0.15 dollars per million tokens are 150,000,000 nano-dollars per million. Rounding is half up, once per
call. An unknown price is None, never 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

from engine.core.clock import Millis
from engine.models.connections import ModelConnection
from engine.models.price import LOCAL, Price

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo

NANOS = Decimal(10**9)
#: The table's name of each provider that has one price list; others are found by their address. A deployment of Azure has the
#: price of the model it is named after.
_LISTED_AS = {
    "openai": "openai",
    "anthropic": "anthropic",
    "google": "google",
    "mistral": "mistral",
    "azure_openai": "azure",
    "openrouter": "openrouter",
}


@dataclass(frozen=True)
class Tokens:
    """What one call used. `input` includes what came from or went into the provider's cache."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0


def find_price(connection: ModelConnection, model_name: str, *, at: Millis, input_tokens: int = 0) -> Price | None:
    """The price of a model at a moment, or None when nobody knows it. Large inputs may have a higher one.

    The first call loads the price table (some 0.1 s): from an event loop, ask in a thread.
    """
    if own := connection.own_prices.get(model_name):
        return own
    if connection.local:
        return LOCAL
    found = _table_entry(connection, model_name)
    return _table_price(found, at, input_tokens) if found else None


def cost_of(
    connection: ModelConnection, model_name: str, tokens: Tokens, *, at: Millis
) -> tuple[Price | None, int | None]:
    """The price that was applied and the cost in nano-dollars; `(None, None)` when the price is unknown.

    From the price table, cached input counts at its own, lower price.
    """
    price = find_price(connection, model_name, at=at, input_tokens=tokens.input)
    if price is None:
        return None, None
    if price.source != "price table":
        return price, price.cost(tokens.input, tokens.output)
    return price, _table_cost(_table_entry(connection, model_name), tokens, at)


def load_prices() -> None:
    """Reads the price table into memory, so that later look-ups are quick."""
    from genai_prices.data_snapshot import get_snapshot

    get_snapshot()


def _table_entry(connection: ModelConnection, model_name: str) -> ModelInfo | None:
    from genai_prices.data_snapshot import get_snapshot

    snapshot = get_snapshot()
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
        return None  # priced by request or by image: not something that tokens tell
    return Price(_nanos(_in_tier(per_input, input_tokens)), _nanos(_in_tier(per_output, input_tokens)), "price table")


def _table_cost(found: ModelInfo | None, tokens: Tokens, at: Millis) -> int | None:
    from genai_prices import Usage

    assert found is not None
    usage = Usage(
        input_tokens=tokens.input,
        output_tokens=tokens.output,
        cache_read_tokens=tokens.cache_read or None,
        cache_write_tokens=tokens.cache_write or None,
    )
    try:
        return _nanos(found.get_prices(_moment(at)).calc_price(usage)["total_price"])
    except (ValueError, LookupError):
        return None  # token counts that contradict each other: no honest number


def _in_tier(price: Any, input_tokens: int) -> Decimal:
    if isinstance(price, Decimal):
        return price
    reached = [tier.price for tier in price.tiers if input_tokens > tier.start]
    return reached[-1] if reached else price.base


def _nanos(dollars: Decimal) -> int:
    return int((dollars * NANOS).to_integral_value(rounding=ROUND_HALF_UP))


def _moment(at: Millis) -> datetime:
    return datetime.fromtimestamp(at / 1000, tz=UTC)
