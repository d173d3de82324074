"""Labels and descriptions of roles, shared by every page that shows a role."""

from __future__ import annotations

from ui.kit.text import _

#: Role -> (label, what its members may do), the strongest role first.
ROLES: dict[str, tuple[str, str]] = {
    "owner": (
        _("Owner"),
        _("may do everything, also answer questions and set up models, people, limits and this server"),
    ),
    "editor": (_("Editor"), _("draws, runs and deploys flows, makes API keys and answers questions under Waiting")),
    "viewer": (_("Viewer"), _("sees everything and changes nothing, and does not answer questions under Waiting")),
}


def role_word(role: str) -> str:
    """Returns `Editor` for `editor`."""
    return ROLES.get(role, (role.capitalize(), ""))[0]
