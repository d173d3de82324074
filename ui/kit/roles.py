"""What a role is called and what it means, in the words of every page that shows one."""

from __future__ import annotations

from ui.kit.text import _

#: Role -> (word, what who has it may do), the strongest first.
ROLES: dict[str, tuple[str, str]] = {
    "owner": (_("Owner"), _("may do everything, also set up models, people, limits and this server")),
    "editor": (_("Editor"), _("draws, runs and deploys flows and makes API keys")),
    "viewer": (_("Viewer"), _("sees everything and changes nothing")),
}


def role_word(role: str) -> str:
    """`Editor` for `editor`."""
    return ROLES.get(role, (role.capitalize(), ""))[0]
