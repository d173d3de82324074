"""The price of a model in whole nano-dollars (10^-9 US dollars) per million tokens, and its source."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

PriceSource = Literal["own", "price table", "local"]

MILLION = 1_000_000


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


LOCAL = Price(0, 0, "local")
