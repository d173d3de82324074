"""Who sees the pages about the whole server: the owner of its first workspace. Other tenants must not look into it."""

from __future__ import annotations

from sqlalchemy.orm import Session

from storage.workspaces import find_first_workspace


def is_server_owner(session: Session, workspace_id: str) -> bool:
    """True for the first workspace; the role is the page's own question."""
    first = find_first_workspace(session)
    return first is not None and first.id == workspace_id
