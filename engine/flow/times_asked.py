"""Finds in a wish at what times something should happen: `every Monday at 8`, `daily`, `jeden Tag um 7 Uhr`."""

from __future__ import annotations

import re
from typing import Final

_DAYS: Final = "(?:mon|tues|wednes|thurs|fri|satur|sun)days?|montags?|dienstags?|mittwochs?|donnerstags?|freitags?|samstags?|sonntags?"
_UNITS: Final = (
    r"(?:\d{1,3} |few |two |three |other )?(?:minutes?|hours?|days?|weekdays?|working days?|workdays?|mornings?|evenings?"
    "|nights?|weeks?|months?|tag|werktag|morgen|abend|nacht|woche|monat|stunden?|minuten?)"
)
_CLOCK: Final = (
    r"(?:at|um|by|gegen) \d{1,2}(?:[:.]\d{2})?(?: ?(?:a\.?m\.?|p\.?m\.?|o'clock|h|uhr)\b)?|at (?:noon|midnight)"
)
_PART_OF_DAY: Final = "in the (?:early )?(?:morning|afternoon|evening)|am (?:morgen|vormittag|nachmittag|abend)"
_AND_DAYS: Final = rf"(?:,? (?:and |und )?(?:on )?(?:{_DAYS})\b)*"
_OFTEN: Final = re.compile(
    rf"\b(?:(?:every|each|jeden|jede|jedes|alle)(?: single)? (?:(?:{_DAYS})\b{_AND_DAYS}|(?:{_UNITS})\b)"
    rf"|(?:on )?(?:mondays|tuesdays|wednesdays|thursdays|fridays|saturdays|sundays)\b{_AND_DAYS}"
    r"|(?:once|twice) (?:a|per|every) (?:day|week|month|hour)\b"
    r"|daily|weekly|hourly|monthly|nightly|montags|täglich|wöchentlich|stündlich|monatlich)"
    rf"(?:,? (?:{_CLOCK}|{_PART_OF_DAY}))*",
    re.IGNORECASE,
)
_CLOCK_BEFORE: Final = re.compile(rf"(?:\b(?:{_CLOCK}) )$", re.IGNORECASE)
#: As much of a text is looked at.
_LONGEST: Final = 2_000


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
