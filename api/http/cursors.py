"""Cursors as callers get them: a place in a list and a mark of that list, so that another list refuses the cursor."""

from __future__ import annotations

import hashlib
import json

from engine.core.errors import ParameterInvalid


def cursor_of(place: str | None, *which: object) -> str | None:
    """The cursor for a place in the list that `which` tells apart: its kind, environment, batch and filters. None: no next page."""
    return None if place is None else f"{place}.{_mark(which)}"


def place_of(cursor: str | None, *which: object) -> str | None:
    """The place in this list. Raises ParameterInvalid for a cursor of another list; the place itself is checked in storage."""
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
