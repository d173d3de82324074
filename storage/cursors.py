"""Positions in lists that are read page by page: a page gives one, and the next page begins after it.

They are URL-safe Base64 (RFC 4648) without padding. Callers get them with a checksum of the list
(`api/http/cursors.py`).
"""

from __future__ import annotations

import base64
import re

from engine.core.errors import ParameterInvalid

_NUMBER = "(0|[1-9][0-9]{0,14})"


def cursor_after(at: int, row_id: str) -> str:
    """Returns the cursor of the page that starts after this row, in a list that is ordered by time and id."""
    return _encoded(f"{at}:{row_id}")


def read_cursor(cursor: str, kind: str) -> tuple[int, str]:
    """Returns time and id of the row after which a page starts. `kind`: the prefix of the list's ids, `job` or `batch`.

    Raises ParameterInvalid for a cursor that this list did not return.
    """
    found = _decoded(cursor, rf"{_NUMBER}:({kind}_[A-Za-z0-9]{{22,28}})")
    return int(found[1]), found[2]


def cursor_after_item(index: int) -> str:
    """Returns the cursor of the page that starts after this item of a batch."""
    return _encoded(f"i:{index}")


def read_item_cursor(cursor: str) -> int:
    """Returns the index of the item after which a page starts. Raises ParameterInvalid for any other cursor."""
    return int(_decoded(cursor, f"i:{_NUMBER}")[1])


def _encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decoded(cursor: str, pattern: str) -> re.Match[str]:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except ValueError:
        text = ""
    found = re.fullmatch(pattern, text)
    if found is None or _encoded(text) != cursor:  # only one spelling of a cursor is accepted
        raise ParameterInvalid("`cursor` is not one that this list gave. Leave it out to begin with the first page.")
    return found
