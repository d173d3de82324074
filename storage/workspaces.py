"""Queries for workspaces: the tenants, their plan and their limits."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from engine.core.clock import month_of
from engine.core.environments import ENVIRONMENTS
from engine.core.errors import NotFound
from engine.core.ids import WorkspaceId, new_id
from engine.core.plans import PLANS, quarter
from storage.database import now
from storage.statements import Statement
from storage.tables import Usage, Workspace
from storage.usage import Caps

#: Stored in the place of a limit: there is none, whatever the plan says.
UNLIMITED = -1


@dataclass(frozen=True)
class Limits:
    """What a workspace may do in each environment (`live`, `test`, `dev`). `plan` is `free`, `title` `Free`.

    `own`: what the owner set; there None is what the plan gives, and UNLIMITED no limit.
    """

    plan: str
    title: str
    caps: Mapping[str, Caps]
    own: Mapping[str, Caps]


@dataclass(frozen=True)
class WorkspaceRow:
    """A tenant with its limits as they count now."""

    id: str
    name: str
    limits: Limits
    created_at: int


_LIMITS = Statement(
    "select plan, concurrency, monthly, test_concurrency, test_monthly, dev_concurrency, dev_monthly"
    " from workspaces where id = :id"
)


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
    return _limits_of(*row)


def insert_workspace(session: Session, name: str, plan: str) -> WorkspaceId:
    """Stores a workspace that has used nothing yet; returns its id."""
    at = now(session)
    workspace_id = WorkspaceId(new_id("ws"))
    session.add(Workspace(id=workspace_id, name=name, plan=plan, created_at=at))
    session.add(Usage(subject=workspace_id, active=0, month=month_of(at), month_count=0))
    session.flush()
    return workspace_id


def hold_workspace(session: Session, workspace_id: str) -> Workspace:
    """The workspace's row itself, for a verb to change. Raises NotFound."""
    row = session.get(Workspace, workspace_id)
    if row is None:
        raise NotFound(f"No workspace with the id `{workspace_id}`")
    return row


def _row(row: Workspace) -> WorkspaceRow:
    stored = (row.test_concurrency, row.test_monthly, row.dev_concurrency, row.dev_monthly)
    limits = _limits_of(row.plan, row.concurrency, row.monthly, *stored)
    return WorkspaceRow(row.id, row.name, limits, row.created_at)


@functools.lru_cache(maxsize=256)
def _limits_of(plan: str, *stored: int | None) -> Limits:
    """The plan's limits with the stored ones over them: two for each environment."""
    base = PLANS[plan]
    own: dict[str, Caps] = {name: Caps(*stored[2 * at : 2 * at + 2]) for at, name in enumerate(ENVIRONMENTS)}
    live = Caps(_over(base.concurrency, own["live"].concurrency), _over(base.monthly, own["live"].monthly))
    part = Caps(quarter(live.concurrency), quarter(live.monthly))
    caps = {
        name: Caps(_over(part.concurrency, mine.concurrency), _over(part.monthly, mine.monthly))
        for name, mine in own.items()
    } | {"live": live}
    return Limits(plan, base.title, caps, own)


def _over(planned: int | None, stored: int | None) -> int | None:
    if stored is None:
        return planned
    return None if stored == UNLIMITED else stored
