"""What a number that was typed with a comma may mean: `49,90` is 49.90. Pure functions without NiceGUI."""

from __future__ import annotations

import re

from ui.kit.text import _

#: Digits in groups of three, and the digits behind the last mark, when it is not one of the groups.
_GROUPED = r"[0-9]{1,3}(?:%s[0-9]{3})+"
_SPACES = re.compile(r"[\s'’]")
_LONGEST = 40


def numbers_meant(text: str, *, whole: bool = False) -> tuple[str, ...]:
    """Returns the numbers, written with a point, that a text with a comma may mean; none for every other text.

    `1,000` may mean two: 1000 and 1.000. `whole`: only whole numbers are wanted.
    """
    if "," not in text or len(text) > _LONGEST:
        return ()
    typed = _SPACES.sub("", text)
    sign = typed[:1] if typed[:1] in {"-", "+"} else ""
    digits = typed.removeprefix(sign)
    found: list[str] = []
    if re.fullmatch(_GROUPED % "," + r"(\.[0-9]+)?", digits):  # 1,234.56
        found.append(digits.replace(",", ""))
    if re.fullmatch(rf"(?:[0-9]*|{_GROUPED % '[.]'}),[0-9]+", digits):  # 49,90 and 1.234,56
        found.append(digits.replace(".", "").replace(",", "."))
    found = [f"0{one}" if one.startswith(".") else one for one in found if not (whole and "." in one)]
    return tuple(f"{sign.removeprefix('+')}{one}" for one in found)


def comma_words(text: str, *, whole: bool = False) -> str:
    """Returns the sentence for a number that was typed with a comma; "" when no comma is the reason."""
    match numbers_meant(text, whole=whole):
        case (one,):
            return _("A number is written without a comma here. Did you mean {number}?").format(number=one)
        case (one, other):
            return _("A number is written without a comma here. Did you mean {number} or {other}?").format(
                number=one, other=other
            )
    return ""
