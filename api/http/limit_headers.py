"""The response headers `RateLimit` and `RateLimit-Policy` (IETF draft, structured fields), which say what the caller
has left. Unlimited policies are left out.
"""

from __future__ import annotations

from api.http.request_rate import WINDOW_SECONDS, Rate
from engine.jobs.submit.limits import LimitsView


def limit_headers(limits: LimitsView | None, rate: Rate | None) -> dict[str, str]:
    """Returns both headers, for example `"concurrency";r=3, "monthly";r=871;t=554400, "requests";r=49;t=1`; no header
    when nothing is limited.

    Without `limits` only the requests per second are included, so that refusing a caller that sends too many needs no
    query.
    """
    told: list[tuple[str, str, str]] = []
    if limits is not None and limits.concurrency is not None:
        told.append(("concurrency", f"q={limits.concurrency}", f"r={max(0, limits.concurrency - limits.active)}"))
    if limits is not None and limits.monthly is not None:
        left = f"r={max(0, limits.monthly - limits.used)};t={limits.resets_in_seconds}"
        told.append(("monthly", f"q={limits.monthly};w={limits.month_seconds}", left))
    if rate is not None:
        told.append(("requests", f"q={rate.quota};w={WINDOW_SECONDS}", f"r={rate.left};t={WINDOW_SECONDS}"))
    if not told:
        return {}
    return {
        "RateLimit-Policy": ", ".join(f'"{name}";{policy}' for name, policy, _ in told),
        "RateLimit": ", ".join(f'"{name}";{left}' for name, _, left in told),
    }
