"""Positions in lists that are read page by page: a page gives one, and the next page begins after it.

They are URL-safe Base64 (RFC 4648) without padding. Callers get them with a checksum of the list
(`api/http/cursors.py`).
"""

from __future__ import annotations

import base64
import re

from engine.core.errors import ParameterInvalid

_ROW = re.compile(r"(0|[1-9][0-9]{0,14}):(([a-z]+)_[A-Za-z0-9]{22,28})")
_ITEM = re.compile(r"i:(0|[1-9][0-9]{0,14})")


def cursor_after(at: int, row_id: str) -> str:
    """Returns the cursor of the page that starts after this row, in a list that is ordered by time and id."""
    return _encoded(f"{at}:{row_id}")


def read_cursor(cursor: str, kind: str) -> tuple[int, str]:
    """Returns time and id of the row after which a page starts. `kind`: the prefix of the list's ids, `job` or `batch`.

    Raises ParameterInvalid for a cursor that this list did not return.
    """
    found = _ROW.fullmatch(_decoded(cursor))
    if found is None or found[3] != kind:
        raise _unknown()
    return int(found[1]), found[2]


def cursor_after_item(index: int) -> str:
    """Returns the cursor of the page that starts after this item of a batch."""
    return _encoded(f"i:{index}")


def read_item_cursor(cursor: str) -> int:
    """Returns the index of the item after which a page starts. Raises ParameterInvalid for any other cursor."""
    found = _ITEM.fullmatch(_decoded(cursor))
    if found is None:
        raise _unknown()
    return int(found[1])


def _encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decoded(cursor: str) -> str:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except ValueError:
        raise _unknown() from None
    if _encoded(text) != cursor:  # only one spelling of a cursor is accepted
        raise _unknown()
    return text


def _unknown() -> ParameterInvalid:
    return ParameterInvalid("`cursor` is not one that this list gave. Leave it out to begin with the first page.")
