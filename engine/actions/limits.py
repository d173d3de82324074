"""Changing a workspace's plan and its limits. The next request is counted against the new ones."""

from __future__ import annotations

from sqlalchemy.orm import Session

from engine.actions.principal import Principal, require_may
from engine.errors import FieldError, Invalid
from engine.plans import PLANS
from storage.audit import add_entry
from storage.workspaces import UNLIMITED, Limits, get_limits, hold_workspace

__all__ = ["UNLIMITED", "set_plan"]


def set_plan(
    session: Session,
    principal: Principal,
    plan: str,
    *,
    concurrency: int | None = None,
    monthly: int | None = None,
) -> Limits:
    """Sets the plan; a limit of None is the plan's own, UNLIMITED takes it away. Returns what counts now. Raises Invalid."""
    require_may(principal, "change the plan")
    if plan not in PLANS:
        raise Invalid(
            f"`{plan}` is not a plan",
            remedy=f"Choose one of {', '.join(PLANS)}.",
            errors=(FieldError("/plan", "enum", f"one of {', '.join(PLANS)}"),),
        )
    for name, limit in (("concurrency", concurrency), ("monthly", monthly)):
        if limit is not None and limit != UNLIMITED and limit < 1:
            raise Invalid(
                f"The {name} limit is {limit}",
                remedy="Set it to 1 or more, or to `unlimited`.",
                errors=(FieldError(f"/{name}", "minimum", "at least 1"),),
            )
    workspace = hold_workspace(session, principal.workspace_id)
    workspace.plan, workspace.concurrency, workspace.monthly = plan, concurrency, monthly
    session.flush()
    limits = get_limits(session, principal.workspace_id)
    add_entry(session, principal, "set plan", workspace.id, describe(limits))
    return limits


def describe(limits: Limits) -> str:
    """`Free: 4 jobs at once, 1,000 requests a month`."""
    at_once = "any number of jobs" if limits.concurrency is None else f"{limits.concurrency:,} jobs"
    monthly = "any number of requests" if limits.monthly is None else f"{limits.monthly:,} requests"
    return f"{limits.title}: {at_once} at once, {monthly} a month"
