"""Adds a checksum of the list to the cursors that callers get, so that a cursor sent to another list is refused."""

from __future__ import annotations

import hashlib
import json

from engine.core.errors import ParameterInvalid


def cursor_of(place: str | None, *which: object) -> str | None:
    """Returns the cursor for a position in a list. `which` identifies the list: its kind, environment, batch and
    filters. None when there is no next page.
    """
    return None if place is None else f"{place}.{_mark(which)}"


def place_of(cursor: str | None, *which: object) -> str | None:
    """Returns the position in this list. Raises ParameterInvalid for a cursor of another list. The queries in storage
    check the position itself.
    """
    if cursor is None:
        return None
    place, _, mark = cursor.rpartition(".")
    if mark != _mark(which):
        raise ParameterInvalid(
            "`cursor` is not one that this list gave. Send it to the list it came from, with a key of the same environment and "
            "the same other parameters, or leave it out to begin anew"
        )
    return place


def _mark(which: tuple[object, ...]) -> str:
    return hashlib.sha256(json.dumps(which).encode()).hexdigest()[:12]
