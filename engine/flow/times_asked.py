"""Finds in a wish at what times something should happen (`every Monday at 8`, `daily`, `jeden Tag um 7 Uhr`), and reads
them as the timing of a schedule.
"""

from __future__ import annotations

import re
from typing import Any, Final

from msgspec import Struct

_WEEK: Final = (
    ("monday", "montag"),
    ("tuesday", "dienstag"),
    ("wednesday", "mittwoch"),
    ("thursday", "donnerstag"),
    ("friday", "freitag"),
    ("saturday", "samstag"),
    ("sunday", "sonntag"),
)
_DAYS: Final = f"(?:{'|'.join(f'{name}s?' for names in _WEEK for name in names)})"
_NUMBERS: Final = {
    "two": 2, "other": 2, "second": 2, "three": 3, "four": 4, "five": 5, "six": 6, "ten": 10, "fifteen": 15,
    "thirty": 30, "few": 3, "zwei": 2, "zweite": 2, "zweiten": 2, "drei": 3, "vier": 4, "fünf": 5, "sechs": 6,
    "zehn": 10, "fünfzehn": 15, "dreißig": 30, "paar": 3,
}  # fmt: skip
_COUNT: Final = rf"(?:(?:\d{{1,3}}|{'|'.join(_NUMBERS)})\.? )?"
_UNITS: Final = (
    rf"{_COUNT}(?:minutes?|hours?|days?|weekdays?|working days?|workdays?|weekends?|mornings?|afternoons?|evenings?"
    "|nights?|weeks?|months?|tage?|werktage?|arbeitstage?|wochenenden?|morgen|nachmittage?|abende?|nacht|nächte"
    "|wochen?|monate?|stunden?|minuten?)"
)
_HALF_DAY: Final = r"(?: ?(?:a\.m\.|p\.m\.|am\b|pm\b|o'clock\b|h\b|uhr\b(?: [0-5]\d\b)?))"
_CLOCK: Final = (
    rf"(?:at|um|by|gegen) \d{{1,2}}(?:[:.]\d{{2}})?(?!\d){_HALF_DAY}?|(?:at )?(?:noon|midnight)\b"
    rf"|\d{{1,2}}[:.]\d{{2}}(?!\d){_HALF_DAY}?|\d{{1,2}}{_HALF_DAY}"
)
_PART_OF_DAY: Final = (
    r"(?:in the )?(?:early )?(?:mornings?|afternoons?|evenings?|nights?)\b|at night\b"
    r"|am (?:morgen|vormittag|nachmittag|abend)\b|morgens\b|früh\b|vormittags\b|nachmittags\b|abends\b"
)
_DAY_OF_MONTH: Final = r"(?:first|last|ersten|letzten|\d{1,2}(?:st\b|nd\b|rd\b|th\b|\.(?!\d)))"
_OTHER_DAYS: Final = rf"(?:,? ?(?:(?:and|und|or|to|through|till|until|bis|-|–) ?)?(?:on )?{_DAYS}\b)*"
_OFTEN: Final = re.compile(
    rf"\b(?:(?:every|each|jeden|jede|jedes|alle)(?: single)? (?:{_COUNT}{_DAYS}\b{_OTHER_DAYS}|half(?: an)? hour\b"
    rf"|halbe stunde\b|{_UNITS}\b)"
    rf"|(?:on )?(?:{'|'.join(f'{names[0]}s' for names in _WEEK)})\b{_OTHER_DAYS}"
    rf"|(?:from |von )?{_DAYS} ?(?:to|through|till|until|bis|-|–) ?{_DAYS}\b|(?:mon ?[-–] ?fri|mo ?[-–] ?fr)\b"
    rf"|(?:on |am )?(?:the )?{_DAY_OF_MONTH}(?: day| tag)? (?:of (?:every|each|the|a)|jede[ns]|eines|des) mon(?:th|ats?)\b"
    r"|(?:once|twice) (?:a|per|every) (?:day|week|month|hour)\b|(?:ein|zwei)mal (?:am|pro|in der|im) (?:tag|woche|monat)\b"
    r"|on (?:weekdays|workdays|working days|weekends)\b"
    rf"|daily|weekly|hourly|monthly|nightly|(?:{'|'.join(f'{names[1]}s' for names in _WEEK)}){_OTHER_DAYS}|werktags"
    r"|täglich|wöchentlich|stündlich|monatlich)"
    rf"(?:,? (?:{_CLOCK}|{_PART_OF_DAY}|(?:on|am) (?:the )?{_DAY_OF_MONTH}(?: day| tag)?|(?:on )?{_DAYS}\b{_OTHER_DAYS}))*",
    re.IGNORECASE,
)
_CLOCK_BEFORE: Final = re.compile(rf"(?:\b(?:{_CLOCK})(?: (?:{_PART_OF_DAY}))? )$", re.IGNORECASE)
_HOUR: Final = re.compile(
    rf"(?P<before>\b(?:at|um|by|gegen) )?\b(?P<hour>\d{{1,2}})(?:[:.](?P<minute>\d{{2}}))?(?!\d)(?P<after>{_HALF_DAY})?",
    re.IGNORECASE,
)
#: As much of a text is looked at.
_LONGEST: Final = 2_000
#: How the description of a flow begins to tell the times that its maker wished for.
_ASKED_FOR: Final = "Asked for:"
#: Words for a part of the day -> its time, when the wish names no hour.
_PARTS: Final = (
    (("noon",), "12:00"),
    (("midnight",), "00:00"),
    (("afternoon", "nachmittag"), "14:00"),
    (("evening", "abend"), "18:00"),
    (("night", "nacht", "nächte"), "22:00"),
    (("morning", "morgen", "früh", "vormittag"), "08:00"),
)
#: What the word after "every", or the whole text, has when it names a rhythm of this unit.
_RHYTHMS: Final = (
    ("minute", re.compile(r"^minute")),
    ("hour", re.compile(r"^hour|^stund|hourly|stündlich|\bhour\b")),
    ("month", re.compile(r"mon(?:th|at)")),
    ("week", re.compile(r"^weeks?\b(?!d)|^wochen?\b|weekly|wöchentlich|\bweek\b|\bwoche\b")),
)
_LATE: Final = re.compile(r"afternoon|evening|nachmittag|abend|at night", re.IGNORECASE)
_ALL_DAYS: Final = list(range(1, 8))


class TimesAsked(Struct, frozen=True):
    """The times of a wish: as they are written there, and as the timing of a schedule (`engine/triggers/timing.py`).

    `exact`: False when no schedule of the form has this rhythm (every two weeks); the timing is the nearest.
    """

    said: str
    timing: dict[str, Any]
    exact: bool


def time_asked(text: str) -> tuple[str, str]:
    """Returns the times that a text names, as they are written there, and the text without them; "" when there are none."""
    said = " ".join(text[:_LONGEST].split())
    found = _OFTEN.search(said)
    if found is None:
        return "", text
    begin = found.start()
    if before := _CLOCK_BEFORE.search(said[:begin]):
        begin = before.start()
    return said[begin : found.end()], f"{said[:begin]} {said[found.end() :]}".strip(" ,:;.")


def with_times(description: str, said: str) -> str:
    """Returns the description of a flow with the times that were wished for, as `times_of_flow` finds them."""
    return f"{description} {_ASKED_FOR} {said}.".strip() if said else description


def times_kept(description: str) -> str:
    """Returns what stays of a description that does not fit the flow any more: the times that were wished for."""
    return description[at:] if (at := description.rfind(_ASKED_FOR)) >= 0 else ""


def without_times(description: str) -> str:
    """Returns a description without the times that were wished for."""
    return description.removesuffix(times_kept(description)).strip()


def times_of_flow(title: str, description: str) -> TimesAsked | None:
    """Returns the times that title and description of a flow name; None when they name none.

    What its maker wished for comes before what the words say of it.
    """
    for text in (times_kept(description), f"{title}. {description}"):
        if said := time_asked(text)[0]:
            return _read(said)
    return None


def _read(said: str) -> TimesAsked:
    text = said.casefold()
    time = _time_in(text)
    days = _days_in(text)
    count, unit = _rhythm_in(text)
    exact = not text.startswith(("twice", "zweimal"))
    timing: dict[str, Any]
    if unit == "minute":
        timing, exact = _nearest("minutes", count, (1, 2, 5, 10, 15, 20, 30))
    elif unit == "hour":
        timing, exact = _nearest("hours", count, (1, 2, 3, 4, 6, 8, 12))
        exact = exact and not days
        timing["minute"] = 0
    elif unit == "month":
        timing = {"kind": "monthly", "day": _day_of_month_in(text), "time": time}
        exact = count == 1
        if timing["day"] not in (*range(1, 29), "last"):
            timing["day"], exact = "last", False
    else:
        timing = {"kind": "weekly", "days": days or ([1] if unit == "week" else _ALL_DAYS), "time": time}
        exact = exact and count == 1
    return TimesAsked(said, timing, exact)


def _nearest(kind: str, count: int, steps: tuple[int, ...]) -> tuple[dict[str, Any], bool]:
    """A timing of every so many minutes or hours. Only steps that divide the hour or the day are there to choose."""
    step = max(one for one in steps if one <= max(count, 1))
    return {"kind": kind, "every": step}, step == count


def _rhythm_in(text: str) -> tuple[int, str]:
    """How often: a number and `minute`, `hour`, `day`, `week` or `month`."""
    if re.search(r"half(?: an)? hour|halbe stunde", text):
        return 30, "minute"
    found = re.search(rf"(?:every|each|jede[ns]?|alle)(?: single)? (?P<count>{_COUNT})(?P<unit>\S+)", text)
    number = found["count"].strip(" .") if found else ""
    count = int(number) if number.isdigit() else _NUMBERS.get(number, 1)
    word = found["unit"] if found else text
    for unit, pattern in _RHYTHMS:
        if pattern.search(word):
            return count, unit
    return count, "month" if re.search(r"mon(?:th|at)", text) else "day"


def _days_in(text: str) -> list[int]:
    """The days of the week that a text names, 1 for Monday; none when it names none."""
    if re.search(r"weekday|working day|workday|werktag|arbeitstag|mon? ?[-–] ?fri?\b", text):
        return [1, 2, 3, 4, 5]
    if re.search(r"weekend|wochenende", text):
        return [6, 7]
    names = {name: number for number, names in enumerate(_WEEK, 1) for name in names}
    found = [(names[one[1].removesuffix("s")], one.start(), one.end()) for one in re.finditer(rf"\b({_DAYS})\b", text)]
    days: set[int] = set()
    for at, (day, begin, _end) in enumerate(found):
        between = text[found[at - 1][2] : begin].strip() if at else ""
        first = found[at - 1][0] if between in {"to", "through", "till", "until", "bis", "-", "–"} else day
        days |= set(range(first, day + 1)) if first <= day else {*range(first, 8), *range(1, day + 1)}
    return sorted(days)


def _day_of_month_in(text: str) -> int | str:
    found = re.search(rf"\b{_DAY_OF_MONTH}", text)
    word = found[0] if found else ""
    if word in ("last", "letzten"):
        return "last"
    return int("".join(filter(str.isdigit, word)) or 1)


def _time_in(text: str) -> str:
    """The time of day, `09:00` when none is named."""
    for found in _HOUR.finditer(text):
        if not (found["before"] or found["minute"] or found["after"]):
            continue  # a number of minutes, or a day of the month
        hour, minute = (
            int(found["hour"]),
            int(found["minute"] or (re.findall(r"\d{2}$", found["after"] or "") or [0])[0]),
        )
        half = (found["after"] or "").strip().replace(".", "")
        if 1 <= hour < 12 and (half == "pm" or (half != "am" and _LATE.search(text))):
            hour += 12
        elif half == "am" and hour == 12:
            hour = 0
        if hour < 24 and minute < 60:
            return f"{hour:02}:{minute:02}"
    return next((time for words, time in _PARTS if any(word in text for word in words)), "09:00")
