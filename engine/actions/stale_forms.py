"""Refuses what a form says that began before somebody else's change."""

from __future__ import annotations

from engine.core.errors import VersionConflict


def refuse_stale(began: object, stored: object) -> None:
    """Raises VersionConflict when a form began with another value: saving it would undo what somebody changed since,
    like closing an address. None: the caller had no form.
    """
    if began is not None and began != stored:
        raise VersionConflict(
            "Somebody changed this after you opened the page",
            remedy="Load the page again to see what holds now, then make your change.",
        )
