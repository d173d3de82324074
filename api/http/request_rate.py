"""How many requests a second are taken: of a key by its plan, of an address for calls without a valid key.

What one subject has used is a single number, the moment by which its bucket is full again, so counting is one look-up. The
numbers are of this process. Those used longest ago are forgotten when there are too many: after a second they say nothing.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from engine.core.errors import RateLimited
from engine.core.plans import PLANS

#: Of one address, for calls without a valid key.
WITHOUT_A_KEY = PLANS["free"].requests
#: So many subjects are remembered.
MOST = 20_000
#: A full bucket holds the requests of so many seconds.
WINDOW_SECONDS = 1
#: Less than any quota's share of a second: sums of such shares are not exact.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Rate:
    """`quota` requests a second, of which `left` may come now. `over`: this request was one too many and is not counted."""

    quota: int
    left: int
    over: bool = False


class RequestRates:
    """The buckets of this process. `clock` gives seconds that only grow."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def count(self, subject: str, quota: int | None) -> Rate | None:
        """Counts a request of this subject; None when it has no limit."""
        if quota is None:
            return None
        now = self.clock()
        before = max(now, self._full_at.pop(subject, now))
        after = before + WINDOW_SECONDS / quota
        over = after - now > WINDOW_SECONDS + _ROUNDING
        self._full_at[subject] = before if over else after
        if len(self._full_at) > MOST:
            self._full_at.popitem(last=False)
        left = 0 if over else int((now + WINDOW_SECONDS - after) / WINDOW_SECONDS * quota + _ROUNDING * quota)
        return Rate(quota, left, over)


def too_many(rate: Rate, *, label: str | None) -> RateLimited:
    """The refusal; `label` is the key's, None for calls without a valid key."""
    if label is None:
        return RateLimited(
            f"Without a valid key {rate.quota} requests a second are taken from one address",
            remedy="Send a valid key as `Authorization: Bearer`, and wait a second",
            retry_after=WINDOW_SECONDS,
        )
    return RateLimited(
        f"The key “{label}” may send {rate.quota} requests a second",
        remedy="Wait a second, and ask with `?wait=30` instead of often. "
        "Another plan takes more; the owner chooses it under Settings, Limits and plan",
        retry_after=WINDOW_SECONDS,
    )
