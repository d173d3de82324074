"""The roles of people in a workspace."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """The role of a person; `engine.actions.principal` defines what it allows. The value is stored."""

    OWNER = "owner"
    EDITOR = "editor"
    VIEWER = "viewer"
