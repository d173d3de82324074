"""Names that people give to datasets and collections of knowledge."""

from __future__ import annotations

from collections.abc import Callable

from engine.core.errors import Conflict, FieldError, Invalid

MAX_NAME = 100


def check_name(name: str, what: str, find: Callable[[str], str | None], own_id: str = "") -> str:
    """Returns a name without needless spaces. Raises Invalid, and Conflict when `find` returns the id of another thing
    with this name. `what`: `dataset`, `collection`.
    """
    name = " ".join(name.split())
    if not name or len(name) > MAX_NAME:
        message = "The name is empty" if not name else f"The name has {len(name)} characters"
        raise Invalid(
            message,
            remedy=f"Give the {what} a name of 1 to {MAX_NAME} characters.",
            errors=(FieldError("/name", "max_length" if name else "required", message),),
        )
    taken = find(name)
    if taken is not None and taken != own_id:
        raise Conflict(f"A {what} called `{name}` exists already", remedy="Choose another name.")
    return name
