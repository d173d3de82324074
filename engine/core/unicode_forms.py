"""The normal forms of Unicode in time that grows with the text."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

#: So many marks may stand behind a letter: `unicodedata.normalize` sorts them in time that grows with their square.
_MAX_MARKS = 30
#: What no normal form moves a mark across.
_JOINER = "\u034f"
#: Every mark is in such a run, beside signs, and so are the two letters that become one.
_RUN = re.compile(rf"(?:[^\w\s\x00-\x7f]|[\uff9e\uff9f]){{{_MAX_MARKS + 1},}}")


def normalized(form: Literal["NFC", "NFD", "NFKC", "NFKD"], text: str) -> str:
    """Returns a text in a normal form; more than 30 marks in a row are kept apart by joiners (UAX #15, Stream-Safe)."""
    return text if text.isascii() else unicodedata.normalize(form, _RUN.sub(_kept_apart, text))


def _kept_apart(run: re.Match[str]) -> str:
    signs: list[str] = []
    marks = 0
    for sign in run[0]:
        marks = marks + 1 if unicodedata.combining(unicodedata.normalize("NFKD", sign)[0]) else 0
        if marks > _MAX_MARKS:
            signs.append(_JOINER)
            marks = 1
        signs.append(sign)
    return "".join(signs)
