"""Queries for workspaces (tenants), with their plan and limits."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from msgspec import Struct
from sqlalchemy import func, or_, select
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

#: The stored value for "no limit", whatever the plan says.
UNLIMITED = -1


class Limits(Struct, frozen=True):
    """The limits of a workspace in each environment (`live`, `test`, `dev`). `plan` is for example `free`, `title`
    `Free`.

    `own`: what the owner set; in it, None means the plan's limit and UNLIMITED means no limit.
    """

    plan: str
    title: str
    caps: Mapping[str, Caps]
    own: Mapping[str, Caps]


class WorkspaceRow(Struct, frozen=True):
    """A workspace with its present limits."""

    id: str
    name: str
    limits: Limits
    created_at: int


_LIMITS = Statement(
    "select plan, concurrency, monthly, test_concurrency, test_monthly, dev_concurrency, dev_monthly"
    " from workspaces where id = :id"
)


def list_workspaces(session: Session) -> list[WorkspaceRow]:
    """Returns all workspaces, oldest first. Only the command line of the server uses it."""
    return [_row(row) for row in session.scalars(select(Workspace).order_by(Workspace.created_at, Workspace.id))]


def find_first_workspace(session: Session) -> WorkspaceRow | None:
    """Returns the workspace that was created with the data folder, or None."""
    row = session.scalars(select(Workspace).order_by(Workspace.created_at, Workspace.id).limit(1)).one_or_none()
    return None if row is None else _row(row)


def is_first_workspace(session: Session, workspace_id: str) -> bool:
    """Tells whether this is the workspace that was created with the data folder. Its owners look after the server; other
    workspaces are other tenants.
    """
    first = find_first_workspace(session)
    return first is not None and first.id == workspace_id


def pick_workspace(session: Session, id_or_name: str) -> WorkspaceRow:
    """Returns the workspace with this id, or with this name when only one has it.

    Raises NotFound. Only the command line uses it.
    """
    rows = session.scalars(select(Workspace).where(or_(Workspace.id == id_or_name, Workspace.name == id_or_name))).all()
    if len(rows) != 1:
        said = f"{len(rows)} workspaces are called" if rows else "No workspace has the id or name"
        raise NotFound(f"{said} `{id_or_name}`", remedy="`app.py workspaces list` shows them with their ids.")
    return _row(rows[0])


def get_workspace(session: Session, workspace_id: str) -> WorkspaceRow:
    """Returns the workspace. Raises NotFound."""
    return _row(hold_workspace(session, workspace_id))


def get_limits(session: Session, workspace_id: str) -> Limits:
    """Returns the limits for the next request. Raises NotFound."""
    row = _LIMITS.row(session, {"id": workspace_id})
    if row is None:
        raise NotFound(f"No workspace with the id `{workspace_id}`")
    return _limits_of(*row)


def insert_workspace(session: Session, name: str, plan: str) -> WorkspaceId:
    """Adds a workspace with empty counters; returns its id.

    It is younger than all others even when the clock went back: the owners of the oldest one look after the server.
    """
    at = now(session)
    newest = session.scalar(select(func.max(Workspace.created_at)))
    workspace_id = WorkspaceId(new_id("ws"))
    created_at = at if newest is None else max(at, newest + 1)
    session.add(Workspace(id=workspace_id, name=name, plan=plan, created_at=created_at))
    session.add(Usage(subject=workspace_id, active=0, month=month_of(at), month_count=0))
    session.flush()
    return workspace_id


def hold_workspace(session: Session, workspace_id: str) -> Workspace:
    """Returns the workspace's ORM row, for an action to change. Raises NotFound."""
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
    """Returns the plan's limits, replaced by stored ones: a pair of values for each environment."""
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
