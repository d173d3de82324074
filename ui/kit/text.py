"""Formats dates, durations, counts and money for people, and marks sentences for translation.

    _("Saved Flows")                      marks a sentence for later extraction
    plural(3, "page", "pages")            "3 pages"
    number(1236, reader)                  "1,236" (or "1.236" for a German reader)
    percent(0.985, reader)                "98.5 %"
    tokens(1236)                          "1,236 tokens"
    cost(0.0007) / cost(None)             "$0.0007" / "unknown"
    duration(41.2) / duration(3700)       "41.2 s" / "1 h 2 min"
    rolled_up_duration(0.384)             "380 ms"
    size(20_480)                          "20 KB"
    ago(when, now)                        "10 s ago", "yesterday", "12 Nov"
    moment(when, now, reader)             "today 09:52:07", "12 Nov 09:52"
    clock_time(when, reader)              "09:41:52"
    type_word(schema)                     "Web address", "Whole number", "List of texts"
    Reader.of(cookies)                    number signs of the `fp_signs` cookie, time zone of the `fp_zone` cookie

No function depends on the browser: current time and reader are parameters. `when` and `now` are aware datetimes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, tzinfo
from typing import Any
from urllib.parse import unquote
from zoneinfo import ZoneInfo

from msgspec import Struct

#: The cookie in which the browser sends its time zone (an IANA name).
ZONE_COOKIE = "fp_zone"

#: The cookie in which the browser sends the thousands separator and the decimal separator of its language.
SIGNS_COOKIE = "fp_signs"
#: The separators that the cookie may name. A language with other separators gets the English ones.
_SIGNS = frozenset(",.'’ \u00a0\u202f")


def _(sentence: str) -> str:
    """Marks a sentence for translation. English is the only language today."""
    return sentence


class Reader(Struct, frozen=True):
    """The number format and time zone of the person who views the page."""

    thousands: str = ","
    decimal: str = "."
    zone: tzinfo = UTC

    @classmethod
    def of(cls, cookies: Mapping[str, str]) -> Reader:
        """Reads number format and time zone from the cookies of a request. Defaults: English numbers, UTC."""
        thousands, decimal = _signs(cookies.get(SIGNS_COOKIE, ""))
        return cls(thousands, decimal, _zone(cookies.get(ZONE_COOKIE, "")))


#: English numbers, times in UTC.
ENGLISH = Reader()


def _signs(told: str) -> tuple[str, str]:
    signs = unquote(told)
    if len(signs) != 2 or signs[0] == signs[1] or not _SIGNS.issuperset(signs):
        return ",", "."
    return signs[0], signs[1]


def _zone(name: str) -> tzinfo:
    if not name or len(name) > 64:
        return UTC
    try:
        return ZoneInfo(name.replace("%2F", "/"))
    except (
        KeyError,
        ValueError,
        OSError,
    ):  # an unknown name, a path, or no time zone data
        return UTC


def number(value: float, reader: Reader = ENGLISH, *, places: int | None = None) -> str:
    """Formats a number: `1,236.5`.

    `places` sets the decimal places; without it whole numbers have none and others at most two.
    """
    if places is None:
        places = 0 if float(value).is_integer() else 2
        text = f"{value:,.{places}f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
    else:
        text = f"{value:,.{places}f}"
    return text.translate({ord(","): reader.thousands, ord("."): reader.decimal})


def percent(share: float, reader: Reader = ENGLISH) -> str:
    """Formats 0.985 as `98.5 %`. A share below 1 is never rounded up to 100, one above 0 never down to 0."""
    value = round(float(share) * 100, 1)
    if share < 1 and value >= 100:
        value = 99.9
    if share > 0 and value <= 0:
        value = 0.1
    return f"{number(value, reader, places=0 if value.is_integer() else 1)} %"


def plural(count: int, one: str, many: str, reader: Reader = ENGLISH) -> str:
    """Formats a count with its noun: `1 page`, `1,236 pages`."""
    return f"{number(count, reader)} {one if count == 1 else many}"


def tokens(count: int, reader: Reader = ENGLISH) -> str:
    """Formats a token count: `1,236 tokens`."""
    return plural(count, _("token"), _("tokens"), reader)


def cost(usd: float | None, reader: Reader = ENGLISH) -> str:
    """Formats US dollars: `$0.0007`, `$1.27`. An unknown price (None) is `unknown`, never 0."""
    if usd is None:
        return _("unknown")
    if usd and abs(usd) < 0.00005:
        return _("under ${amount}").format(amount=number(0.0001, reader, places=4))
    return f"${number(usd, reader, places=4 if abs(usd) < 0.1 and usd else 2)}"


def duration(seconds: float | None, reader: Reader = ENGLISH) -> str:
    """Formats a duration: `8 ms`, `384 ms`, `41.2 s`, `3 min 5 s`, `1 h 2 min`, `2 days 3 h`. None gives ""."""
    if seconds is None:
        return ""
    if seconds < 0.9995:
        return f"{number(max(seconds, 0) * 1000, reader, places=0)} ms"
    if seconds < 59.95:
        return f"{number(seconds, reader, places=1 if seconds < 100 else 0)} s"
    whole = round(seconds)
    if whole < 3600:
        return _pair(whole // 60, _("min"), whole % 60, _("s"))
    if whole < 86_400:
        return _pair(whole // 3600, _("h"), whole % 3600 // 60, _("min"))
    days = whole // 86_400
    return _pair(days, _("day") if days == 1 else _("days"), whole % 86_400 // 3600, _("h"))


def rolled_up_duration(seconds: float, reader: Reader = ENGLISH) -> str:
    """Formats a figure of Monitoring as `duration`, but below a second with the hundredths that roll-ups keep: `380 ms`."""
    return duration(round(seconds, 2) if 0.01 <= seconds < 1 else seconds, reader)


def _pair(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large} {large_unit} {small} {small_unit}" if small else f"{large} {large_unit}"


def size(count: int, reader: Reader = ENGLISH) -> str:
    """Formats bytes as `812 bytes`, `20 KB`, `1.5 MB` (1 KB is 1,024 bytes)."""
    if count < 1024:
        return plural(count, _("byte"), _("bytes"), reader)
    value = float(count)
    for unit in ("KB", "MB", "GB", "TB"):
        value /= 1024
        if value < 1023.5 or unit == "TB":
            return f"{number(value, reader, places=1 if value < 10 and round(value, 1) % 1 else 0)} {unit}"
    raise AssertionError


_TYPE_WORDS = {
    "string": _("Text"), "number": _("Number"), "integer": _("Whole number"), "boolean": _("Yes or no"),
    "array": _("List"), "object": _("Group"), "file": _("File"), "null": _("Nothing"),
}  # fmt: skip
_FORMAT_WORDS = {
    "uri": _("Web address"),
    "email": _("E-mail address"),
    "date-time": _("Date and time"),
    "file": _("File"),
}


def type_word(schema: Mapping[str, Any] | str | None) -> str:
    """Returns the label of a JSON Schema or a type name: `Text`, `Web address`, `List of texts`, `Anything`."""
    if not schema:
        return _("Anything")
    if isinstance(schema, str):
        return _TYPE_WORDS.get(schema, _("Anything"))
    if word := _FORMAT_WORDS.get(str(schema.get("format"))):
        return word
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if kind == "array" and isinstance(items := schema.get("items"), Mapping) and items.get("type"):
        return _list_word(items)
    return _TYPE_WORDS.get(str(kind), _("Anything"))


#: Type or format -> the label of a list of them.
_LIST_WORDS = {
    "string": _("List of texts"), "number": _("List of numbers"), "integer": _("List of whole numbers"),
    "array": _("List of lists"), "object": _("List of groups"), "file": _("List of files"),
    "uri": _("List of web addresses"), "email": _("List of e-mail addresses"),
}  # fmt: skip


def _list_word(items: Mapping[str, Any]) -> str:
    kind = items.get("type") if "format" not in items else items["format"]
    known = _LIST_WORDS.get(kind) if isinstance(kind, str) else None
    return known or _("List of {type}").format(type=type_word(items))


def without_marks(text: str) -> str:
    """Returns a sentence with `names in backticks` in quotation marks, for places that show plain text only."""
    return re.sub(r"`([^`]*)`", r"“\1”", text)
