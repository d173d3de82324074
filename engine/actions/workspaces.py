"""Actions on workspaces.

The first one is created with the data folder, further ones only from the server's terminal.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from engine.core.errors import Conflict, FieldError, Invalid
from engine.core.ids import WorkspaceId
from engine.core.plans import PLANS, PlanName
from storage.audit import add_entry
from storage.workspaces import find_first_workspace, insert_workspace, list_workspaces

FIRST_NAME = "Workspace"
MAX_NAME = 100


def ensure_workspace(session: Session, plan: str) -> WorkspaceId:
    """Returns the first workspace; creates it with this plan in a new data folder."""
    first = find_first_workspace(session)
    return WorkspaceId(first.id) if first else _add(session, FIRST_NAME, plan)


def create_workspace(session: Session, name: str, plan: str = PlanName.FREE) -> WorkspaceId:
    """Creates a workspace for another tenant. Raises Invalid, and Conflict when the name is taken."""
    name = name.strip()
    if not 1 <= len(name) <= MAX_NAME:
        raise Invalid(
            f"The name has {len(name)} characters",
            remedy=f"Give the workspace a name of 1 to {MAX_NAME} characters.",
            errors=(FieldError("/name", "required", f"1 to {MAX_NAME} characters"),),
        )
    if plan not in PLANS:
        raise Invalid(f"`{plan}` is not a plan", remedy=f"Choose one of {', '.join(PLANS)}.")
    if any(row.name == name for row in list_workspaces(session)):
        raise Conflict(f"A workspace called `{name}` exists already", remedy="Choose another name.")
    return _add(session, name, plan)


def _add(session: Session, name: str, plan: str) -> WorkspaceId:
    workspace_id = insert_workspace(session, name, plan)
    add_entry(session, _Server(workspace_id), "create workspace", workspace_id, f"{name}, plan {PLANS[plan].title}")
    return workspace_id


class _Server:
    """The server itself as an actor in the audit log."""

    actor = name = "server"
    address = ""

    def __init__(self, workspace_id: str) -> None:
        self.workspace_id = workspace_id
