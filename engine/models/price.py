"""The price of a model in whole nano-dollars (10^-9 US dollars) per million tokens, and its source."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

PriceSource = Literal["own", "price table", "local"]

MILLION = 1_000_000
#: What a server says of one call beyond these numbers is no measurement: tokens count as not counted, and the cost as
#: unknown. So what one workspace's server answers cannot make the sums of a whole server too large for the database.
MAX_TOKENS = 1_000_000_000
MAX_COST = 10_000 * 10**9
#: The most that the owner's price may be for a million tokens, in nano-dollars.
MAX_PRICE = 10_000 * 10**9


class Price(Struct, frozen=True):
    """Prices in nano-dollars per million tokens, and the source of the price."""

    input_nanos: int
    output_nanos: int
    source: PriceSource = "own"

    def as_json(self) -> dict[str, int | str]:
        """The price as stored with each call."""
        return {"input_nanos": self.input_nanos, "output_nanos": self.output_nanos, "source": self.source}

    def cost(self, input_tokens: int, output_tokens: int) -> int:
        """The cost of these tokens in nano-dollars."""
        total = input_tokens * self.input_nanos + output_tokens * self.output_nanos
        return (total + MILLION // 2) // MILLION


def is_token_count(said: object) -> bool:
    """Returns whether this can be the number of tokens of one call."""
    return isinstance(said, int) and not isinstance(said, bool) and 0 <= said <= MAX_TOKENS


def plausible_cost(nanos: int) -> int | None:
    """Returns the cost of one call, or None for one that no call has."""
    return nanos if nanos <= MAX_COST else None


LOCAL = Price(0, 0, "local")
