"""Changes a workspace's plan and the limits of its environments. The new limits apply from the next request on."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.orm import Session

from engine.actions.principal import Principal, require_may
from engine.core.counted import counted
from engine.core.environments import ENVIRONMENT_TITLES
from engine.core.errors import FieldError, Invalid, VersionConflict
from engine.core.plans import PLANS
from storage.audit import add_entry
from storage.usage import Caps
from storage.value_sizes import MAX_INTEGER
from storage.workspaces import UNLIMITED, Limits, get_limits, hold_workspace

__all__ = ["UNLIMITED", "Caps", "set_plan"]


def set_plan(
    session: Session,
    principal: Principal,
    plan: str,
    *,
    concurrency: int | None = None,
    monthly: int | None = None,
    test: Caps = Caps(),
    dev: Caps = Caps(),
    began: Limits | None = None,
) -> Limits:
    """Sets the plan and the owner's own limits, and returns the limits in effect.

    `concurrency` and `monthly` are for Production, `test` for Staging, `dev` for Development. None means the plan's
    limit (for Staging and Development a quarter of Production's); UNLIMITED removes the limit.
    `began`: the limits that the form began with. Raises Invalid, and VersionConflict when others are stored by now.
    """
    require_may(principal, "change the plan")
    if plan not in PLANS:
        raise Invalid(
            f"`{plan}` is not a plan",
            remedy=f"Choose one of {', '.join(PLANS)}.",
            errors=(FieldError("/plan", "enum", f"one of {', '.join(PLANS)}"),),
        )
    _check({"live": Caps(concurrency, monthly), "test": test, "dev": dev})
    workspace = hold_workspace(session, principal.workspace_id)
    if began is not None and began != get_limits(session, principal.workspace_id):
        raise VersionConflict(
            "Somebody changed the plan or a limit after you opened the page",
            remedy="Load the page again to see what holds now, then make your change.",
        )
    workspace.plan, workspace.concurrency, workspace.monthly = plan, concurrency, monthly
    workspace.test_concurrency, workspace.test_monthly = test.concurrency, test.monthly
    workspace.dev_concurrency, workspace.dev_monthly = dev.concurrency, dev.monthly
    limits = get_limits(session, principal.workspace_id)
    add_entry(session, principal, "set plan", workspace.id, describe(limits))
    return limits


def describe(limits: Limits) -> str:
    """Formats the limits, for example `Free: Production 4 jobs at once, 1,000 requests a month; Staging ...;
    Development ...`.
    """
    parts = []
    for environment, caps in limits.caps.items():
        at_once = "any number of jobs" if caps.concurrency is None else counted(caps.concurrency, "job")
        monthly = "any number of requests" if caps.monthly is None else counted(caps.monthly, "request")
        parts.append(f"{ENVIRONMENT_TITLES[environment]} {at_once} at once, {monthly} a month")
    return f"{limits.title}: {'; '.join(parts)}"


def _check(own: Mapping[str, Caps]) -> None:
    for environment, caps in own.items():
        for name, limit in (("concurrency", caps.concurrency), ("monthly", caps.monthly)):
            if limit is not None and limit != UNLIMITED and not 1 <= limit <= MAX_INTEGER:
                code, said = ("minimum", "at least 1") if limit < 1 else ("maximum", f"at most {MAX_INTEGER}")
                raise Invalid(
                    f"The {name} limit of {ENVIRONMENT_TITLES[environment]} is {limit}",
                    remedy=f"Set it to a number from 1 to {MAX_INTEGER}, or to `unlimited`.",
                    errors=(FieldError(f"/{environment}/{name}", code, said),),
                )
