"""The actor of an action, and the permissions of each role."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from engine.core.errors import NotAllowed
from engine.core.ids import WorkspaceId
from engine.core.roles import Role

OWNERS = (Role.OWNER,)
EDITORS = (Role.OWNER, Role.EDITOR)
EVERYBODY = tuple(Role)
#: The name under which the user of the server's terminal is stored.
COMMAND_LINE = "Command line"

Permission = Literal[
    "look",
    "edit flows",
    "edit datasets",
    "edit knowledge",
    "run flows",
    "answer questions",
    "deploy",
    "erase data",
    "manage keys",
    "manage connections",
    "manage people",
    "change the plan",
    "change the server",
]

#: The roles that have each permission. Pages hide what a role may not do; actions refuse it.
ROLES: dict[Permission, tuple[Role, ...]] = {
    "look": EVERYBODY,
    "edit flows": EDITORS,
    "edit datasets": EDITORS,
    "edit knowledge": EDITORS,
    "run flows": EDITORS,
    "answer questions": EDITORS,
    "deploy": EDITORS,
    "erase data": EDITORS,
    "manage keys": EDITORS,
    "manage connections": OWNERS,
    "manage people": OWNERS,
    "change the plan": OWNERS,
    "change the server": OWNERS,
}


class Principal(Struct, frozen=True):
    """The actor of an action in one workspace.

    `actor` is a user id, a key id or `command line`; `name` is for display.
    """

    workspace_id: WorkspaceId
    actor: str
    name: str
    role: Role
    address: str = ""


def command_line(workspace_id: str) -> Principal:
    """Returns the principal for the user of the server's terminal, who acts as an owner."""
    return Principal(WorkspaceId(workspace_id), "command line", COMMAND_LINE, Role.OWNER)


def may(principal: Principal, permission: Permission) -> bool:
    """Tells whether the principal's role has this permission."""
    return principal.role in ROLES[permission]


def require(principal: Principal, *roles: Role) -> None:
    """Raises NotAllowed unless the principal has one of these roles."""
    if principal.role not in roles:
        raise NotAllowed(
            f"You are signed in as {principal.role}; this needs the role {' or '.join(roles)}.",
            remedy="Ask the owner of this Flowport to do it or to change your role.",
        )


def require_may(principal: Principal, permission: Permission) -> None:
    """Raises NotAllowed unless the principal's role has this permission."""
    require(principal, *ROLES[permission])
