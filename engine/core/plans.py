"""The plans as data: how many jobs at once, requests a month and requests a second. None means no limit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """`concurrency`: active jobs at once; `monthly`: accepted jobs in a UTC calendar month; None is unlimited.

    `requests`: calls of the API that one key may send in a second, polling too.
    """

    name: str
    title: str
    concurrency: int | None
    monthly: int | None
    requests: int | None


def quarter(limit: int | None) -> int | None:
    """What Staging and Development may each use beside Production's limit, as long as the owner sets nothing else."""
    return None if limit is None else max(1, limit // 4)


PLANS: dict[str, Plan] = {
    "free": Plan("free", "Free", 4, 1_000, 50),
    "pro": Plan("pro", "Pro", 20, 10_000, 200),
    "enterprise": Plan("enterprise", "Enterprise", 100, None, None),
}
