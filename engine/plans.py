"""The plans as data: how many jobs at once and how many requests a month. None means no limit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """`concurrency`: active jobs at once; `monthly`: accepted jobs in a UTC calendar month; None is unlimited."""

    name: str
    title: str
    concurrency: int | None
    monthly: int | None


PLANS: dict[str, Plan] = {
    "free": Plan("free", "Free", 4, 1_000),
    "pro": Plan("pro", "Pro", 20, 10_000),
    "enterprise": Plan("enterprise", "Enterprise", 100, None),
}
