"""The plans of workspaces as data: concurrent jobs, requests per month and requests per second. None: no limit."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class PlanName(StrEnum):
    """The name of a plan; the value is stored, and written in FLOWPORT_PLAN."""

    FREE = "free"
    PRO = "pro"
    ENTERPRISE = "enterprise"


class Plan(Struct, frozen=True):
    """`concurrency`: active jobs at once. `monthly`: accepted jobs in a calendar month (UTC). None: no limit.

    `requests`: API calls that one key may send per second, polling included.
    """

    name: PlanName
    title: str
    concurrency: int | None
    monthly: int | None
    requests: int | None


def quarter(limit: int | None) -> int | None:
    """Returns the limit of Staging and of Development for a limit of Production, unless the owner sets another one."""
    return None if limit is None else max(1, limit // 4)


PLANS: dict[str, Plan] = {
    PlanName.FREE: Plan(PlanName.FREE, "Free", 4, 1_000, 50),
    PlanName.PRO: Plan(PlanName.PRO, "Pro", 20, 10_000, 200),
    PlanName.ENTERPRISE: Plan(PlanName.ENTERPRISE, "Enterprise", 100, None, None),
}
