"""The roles of people in a workspace."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What somebody may do; `engine.actions.principal` says what that is. Stored as its value."""

    OWNER = "owner"
    EDITOR = "editor"
    VIEWER = "viewer"
