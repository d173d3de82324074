"""Who acts, and what each role may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.core.errors import NotAllowed
from engine.core.ids import WorkspaceId
from engine.core.roles import Role

OWNERS = (Role.OWNER,)
EDITORS = (Role.OWNER, Role.EDITOR)
EVERYBODY = tuple(Role)

Verb = Literal[
    "look",
    "edit flows",
    "edit datasets",
    "run flows",
    "deploy",
    "erase data",
    "manage keys",
    "manage connections",
    "manage people",
    "change the plan",
    "change the server",
]

#: Who may do what: the pages hide what is not allowed, the verbs refuse it.
ROLES: dict[Verb, tuple[Role, ...]] = {
    "look": EVERYBODY,
    "edit flows": EDITORS,
    "edit datasets": EDITORS,
    "run flows": EDITORS,
    "deploy": EDITORS,
    "erase data": EDITORS,
    "manage keys": EDITORS,
    "manage connections": OWNERS,
    "manage people": OWNERS,
    "change the plan": OWNERS,
    "change the server": OWNERS,
}


@dataclass(frozen=True)
class Principal:
    """Somebody who acts in one workspace. `actor` is a user id, a key id or `command line`; `name` is for people to read."""

    workspace_id: WorkspaceId
    actor: str
    name: str
    role: Role
    address: str = ""


def command_line(workspace_id: str) -> Principal:
    """The person at the server's own terminal: an owner."""
    return Principal(WorkspaceId(workspace_id), "command line", "Command line", Role.OWNER)


def may(principal: Principal, verb: Verb) -> bool:
    """True when this role may do that."""
    return principal.role in ROLES[verb]


def require(principal: Principal, *roles: Role) -> None:
    """Raises NotAllowed unless the principal has one of these roles."""
    if principal.role not in roles:
        raise NotAllowed(
            f"You are signed in as {principal.role}; this needs the role {' or '.join(roles)}.",
            remedy="Ask the owner of this Flowport to do it or to change your role.",
        )


def require_may(principal: Principal, verb: Verb) -> None:
    """Raises NotAllowed unless the principal may do that."""
    require(principal, *ROLES[verb])
