"""Limits requests per second: of a key by the plan of its workspace, and of an address for calls without a valid key.

The state of a subject is one number, the time at which its token bucket is full again, so counting needs one dictionary
look-up. The state is per process. When there are too many subjects, the least recently used one is removed; a bucket is
full again after one second anyway.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from cachetools import LRUCache
from msgspec import Struct

from engine.core.errors import RateLimited
from engine.core.plans import PLANS, PlanName

#: Requests per second of one address, for calls without a valid key.
WITHOUT_A_KEY = PLANS[PlanName.FREE].requests
#: At most this many subjects are kept.
MOST = 20_000
#: The capacity of a bucket, in seconds of its rate.
WINDOW_SECONDS = 1
#: Tolerance for the rounding errors of sums of 1/quota; smaller than any such share.
_ROUNDING = 1e-6


class Rate(Struct, frozen=True):
    """The state after a request: `quota` requests per second, of which `left` may be sent now. `over`: the request
    exceeded the limit and is not counted.
    """

    quota: int
    left: int
    over: bool = False


class RequestRates:
    """The token buckets of this process. `clock` returns monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._full_at: LRUCache[str, float] = LRUCache(MOST)

    def count(self, subject: str, quota: int | None) -> Rate | None:
        """Counts a request of this subject. Returns None when it has no limit."""
        if quota is None:
            return None
        now = self.clock()
        before = max(now, self._full_at.get(subject, now))
        after = before + WINDOW_SECONDS / quota
        over = after - now > WINDOW_SECONDS + _ROUNDING
        self._full_at[subject] = before if over else after
        left = 0 if over else int((now + WINDOW_SECONDS - after) / WINDOW_SECONDS * quota + _ROUNDING * quota)
        return Rate(quota, left, over)


def too_many(rate: Rate, *, label: str | None) -> RateLimited:
    """Returns the refusal of a request above the limit. `label` is the name of the key; None for calls without a valid
    key.
    """
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
