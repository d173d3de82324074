"""`RateLimit` and `RateLimit-Policy` (IETF draft, structured fields): what the caller has left. An unlimited policy is left out."""

from __future__ import annotations

from engine.jobs.limits import LimitsView

_MONTH_SECONDS = 2_592_000


def limit_headers(limits: LimitsView) -> dict[str, str]:
    """Like `"concurrency";r=3, "monthly";r=871;t=554400`; empty when nothing is limited."""
    policies: list[str] = []
    left: list[str] = []
    if limits.concurrency is not None:
        policies.append(f'"concurrency";q={limits.concurrency}')
        left.append(f'"concurrency";r={max(0, limits.concurrency - limits.active)}')
    if limits.monthly is not None:
        policies.append(f'"monthly";q={limits.monthly};w={_MONTH_SECONDS}')
        left.append(f'"monthly";r={max(0, limits.monthly - limits.used)};t={limits.resets_in_seconds}')
    return {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(left)} if policies else {}
