"""Queries for workspaces: the tenants, their plan and their limits."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from engine.errors import NotFound
from engine.plans import PLANS
from storage.models import Workspace
from storage.statements import Statement

#: Stored in the place of a limit: there is none, whatever the plan says.
UNLIMITED = -1


@dataclass(frozen=True)
class Limits:
    """What a workspace may do: jobs at once and accepted jobs a month; None = no limit. `plan` is `free`, `title` `Free`."""

    plan: str
    title: str
    concurrency: int | None
    monthly: int | None


@dataclass(frozen=True)
class WorkspaceRow:
    """A tenant with its limits as they count now."""

    id: str
    name: str
    limits: Limits
    created_at: int


_LIMITS = Statement("select plan, concurrency, monthly from workspaces where id = :id")


def list_workspaces(session: Session) -> list[WorkspaceRow]:
    """All of them, the first one first. For the server's own terminal only."""
    return [_row(row) for row in session.scalars(select(Workspace).order_by(Workspace.created_at, Workspace.id))]


def find_first_workspace(session: Session) -> WorkspaceRow | None:
    """The workspace that was made with the data folder."""
    row = session.scalars(select(Workspace).order_by(Workspace.created_at, Workspace.id).limit(1)).one_or_none()
    return None if row is None else _row(row)


def pick_workspace(session: Session, id_or_name: str) -> WorkspaceRow:
    """The workspace with this id or, when only one has it, this name. Raises NotFound. For the server's own terminal only."""
    rows = session.scalars(select(Workspace).where(or_(Workspace.id == id_or_name, Workspace.name == id_or_name))).all()
    if len(rows) != 1:
        said = f"{len(rows)} workspaces are called" if rows else "No workspace has the id or name"
        raise NotFound(f"{said} `{id_or_name}`", remedy="`app.py workspaces list` shows them with their ids.")
    return _row(rows[0])


def get_workspace(session: Session, workspace_id: str) -> WorkspaceRow:
    """The workspace. Raises NotFound."""
    return _row(hold_workspace(session, workspace_id))


def get_limits(session: Session, workspace_id: str) -> Limits:
    """The limits that count for the next request. Raises NotFound."""
    row = _LIMITS.row(session, {"id": workspace_id})
    if row is None:
        raise NotFound(f"No workspace with the id `{workspace_id}`")
    return limits_of(*row)


def hold_workspace(session: Session, workspace_id: str) -> Workspace:
    """The workspace's row itself, for a verb to change. Raises NotFound."""
    row = session.get(Workspace, workspace_id)
    if row is None:
        raise NotFound(f"No workspace with the id `{workspace_id}`")
    return row


def _row(row: Workspace) -> WorkspaceRow:
    return WorkspaceRow(row.id, row.name, limits_of(row.plan, row.concurrency, row.monthly), row.created_at)


def limits_of(plan: str, concurrency: int | None, monthly: int | None) -> Limits:
    """The plan's limits with the stored overrides over them."""
    base = PLANS[plan]
    return Limits(plan, base.title, _over(base.concurrency, concurrency), _over(base.monthly, monthly))


def _over(planned: int | None, stored: int | None) -> int | None:
    if stored is None:
        return planned
    return None if stored == UNLIMITED else stored
