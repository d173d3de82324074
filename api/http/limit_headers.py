"""`RateLimit` and `RateLimit-Policy` (IETF draft, structured fields): what the caller has left. An unlimited policy is left out."""

from __future__ import annotations

from api.http.request_rate import WINDOW_SECONDS, Rate
from engine.jobs.submit.limits import LimitsView

_MONTH_SECONDS = 2_592_000


def limit_headers(limits: LimitsView | None, rate: Rate | None) -> dict[str, str]:
    """Like `"concurrency";r=3, "monthly";r=871;t=554400, "requests";r=49;t=1`; empty when nothing is limited.

    Without `limits` only the requests a second are told: those who send too many cost no look at the rest.
    """
    policies: list[str] = []
    left: list[str] = []
    if limits is not None and limits.concurrency is not None:
        policies.append(f'"concurrency";q={limits.concurrency}')
        left.append(f'"concurrency";r={max(0, limits.concurrency - limits.active)}')
    if limits is not None and limits.monthly is not None:
        policies.append(f'"monthly";q={limits.monthly};w={_MONTH_SECONDS}')
        left.append(f'"monthly";r={max(0, limits.monthly - limits.used)};t={limits.resets_in_seconds}')
    if rate is not None:
        policies.append(f'"requests";q={rate.quota};w={WINDOW_SECONDS}')
        left.append(f'"requests";r={rate.left};t={WINDOW_SECONDS}')
    return {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(left)} if policies else {}
