"""Times as texts in the form `date-time` of RFC 3339 (section 5.6), which callers send.

It is narrower than ISO 8601: day, `T`, time with its seconds, and `Z` or an offset with a colon; `t` and `z` may be small.
Of what it allows, years before 0001 and leap seconds (second 60) are not taken.
"""

from __future__ import annotations

import re
from datetime import datetime

_FORM = re.compile(
    r"\d{4}-\d\d-\d\d[Tt](?P<hour>\d\d):\d\d:(?P<second>\d\d)(\.\d+)?([Zz]|[+-]\d\d:(?P<minutes>\d\d))",
    re.ASCII,
)


class NotRfc3339(ValueError):
    """Another form. The subclasses have the form, and their text says what is wrong, without the time itself."""


class NoSuchTime(NotRfc3339):
    """A day or a time that does not exist, or a leap second."""


def read_time(text: str) -> datetime:
    """Returns the moment, with its offset; parts of a microsecond are cut off. Raises NotRfc3339."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise NotRfc3339
    if found["second"] == "60":
        raise NoSuchTime("is a leap second (second 60), which is not taken; send second 59")
    try:
        # what `fromisoformat` takes beyond: hour 24 (from Python 3.13 on), and more than 59 minutes of an offset
        if found["hour"] > "23" or (found["minutes"] or "") > "59":
            raise ValueError
        return datetime.fromisoformat(text.upper())
    except ValueError:
        raise NoSuchTime("names a day or a time that does not exist") from None
