"""Decides who sees the pages about the whole server: owners of its first workspace. Other tenants must not see them."""

from __future__ import annotations

from sqlalchemy.orm import Session

from storage.workspaces import find_first_workspace


def is_server_owner(session: Session, workspace_id: str) -> bool:
    """Whether this is the server's first workspace. The page checks the role itself."""
    first = find_first_workspace(session)
    return first is not None and first.id == workspace_id
