"""The patterns that people choose by what they find, for Extract Pattern: `pattern_for` writes one, `choice_of` reads it back.

A flow keeps the pattern alone, so a choice is recognised by the pattern that it writes.
"""

from __future__ import annotations

import re
from typing import Final, Literal

from msgspec import Struct

Kind = Literal["number", "amount_after", "words", "email", "address", "date", "code", "own"]

#: A minus belongs to a number only where no letter or digit stands before it. A currency may stand between them: its sign,
#: a code of three letters, or Kr, Fr and zł. Three letters may also be a word, so what is found has them. Fewer letters, as in
#: -v2 and -XL 12, do not belong to a number.
_MINUS: Final = r"\B[-\x{2212}\x{2013}]"
_CURRENCY: Final = r"(?:[A-Z]{0,3}\p{Sc}|[A-Za-z]{3}|[KkFf]r\.?|zł)"
_SIGN: Final = rf"(?:{_MINUS}(?:{_CURRENCY}[ \x{{00a0}}]?)?)?"
_GROUPS: Final = r"\d{1,3}(?:[\x{00a0}\x{202f}'\x{2019}]\d{3})+"
#: A number that begins with its point, where a minus or a currency tells that it is one: -.5, $.99.
_BARE: Final = rf"(?:{_MINUS}(?:[A-Z]{{0,3}}\p{{Sc}})?|\p{{Sc}}(?:{_MINUS})?)\.\d+"
#: A number as people write it, with points, commas or apostrophes inside, or in groups of three: 12, -39.90, 1.299,00,
#: 1,299.00, 1'299. Of several numbers, those with a blank between them are one only before decimals: 1 299,00.
_NUMBER: Final = rf"{_SIGN}(?:\d{{1,3}}(?: \d{{3}})+[.,]\d+|{_GROUPS}|\d+)(?:[.,']\d+)*|{_BARE}"
#: After a word one amount is meant, also with blanks alone: 1 299 kr.
_AMOUNT: Final = rf"{_SIGN}(?:\d{{1,3}}(?: \d{{3}})+|{_GROUPS}|\d+)(?:[.,']\d+)*|{_BARE}"
#: No digit follows. RE2 cannot look ahead, so a letter may be taken, too: what is found stands in brackets before it.
_END: Final = r"(?:\b|\D)"
#: What each choice that asks nothing finds.
_FIXED: Final[dict[Kind, str]] = {
    "number": f"({_NUMBER}){_END}",
    "email": r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
    "address": r"""https?://[^\s<>"']*[^\s<>"'.,;:!?)\]]""",
    "date": r"\b(\d{1,4}[./-]\d{1,2}[./-]\d{2,4})(?:\b|T)",
}
#: Capitals and small letters alike.
_ANY_CASE: Final = "(?i)"
#: After the word: blanks, then a currency or a few other signs, then the amount.
_THEN_AMOUNT: Final = rf"\s*\D{{0,10}}?({_AMOUNT}){_END}"
#: Web pages write blanks that no line breaks at, too.
_BLANK: Final = r"[\s\x{00a0}]+"
_SIGNS: Final = frozenset("\\.+*?()|[]{}^$")
_CODE_PART: Final = re.compile(r"(\[A-Z\]|\[a-z\]|\\d)(?:\{(\d{1,2})\})?|\\(\W)|([^\\\[\](){}.+*?|^$])")
_LETTERS: Final = {"[A-Z]": "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "[a-z]": "abcdefghijklmnopqrstuvwxyz", r"\d": "1234567890"}


class Choice(Struct, frozen=True):
    """What is to be found. `words`: the word before the amount, the words themselves, or an example of the code."""

    kind: Kind
    words: str = ""


def pattern_for(choice: Choice) -> str:
    """Returns the pattern of a choice; "" when it lacks its words, and for a pattern of one's own."""
    words = choice.words.split()
    if choice.kind in _FIXED:
        return _FIXED[choice.kind]
    if not words:
        return ""
    if choice.kind == "code":
        return _like(" ".join(words))
    said = _BLANK.join(_literally(word) for word in words)
    return {"amount_after": f"{_ANY_CASE}{said}{_THEN_AMOUNT}", "words": f"{_ANY_CASE}{said}"}.get(choice.kind, "")


def choice_of(pattern: str) -> Choice:
    """Returns the choice that writes this pattern; a pattern of one's own when there is none."""
    for kind, fixed in _FIXED.items():
        if pattern == fixed:
            return Choice(kind)
    inside = pattern.removeprefix(_ANY_CASE)
    guesses = [
        Choice("amount_after", _plain(inside.removesuffix(_THEN_AMOUNT))),
        Choice("words", _plain(inside)),
        Choice("code", _example(pattern)),
    ]
    return next((one for one in guesses if one.words and pattern_for(one) == pattern), Choice("own"))


def _literally(word: str) -> str:
    return "".join(f"\\{letter}" if letter in _SIGNS else letter for letter in word)


def _plain(text: str) -> str:
    """The words of an escaped text."""
    letters: list[str] = []
    escaped = False
    for letter in text.replace(_BLANK, " "):
        if letter == "\\" and not escaped:
            escaped = True
            continue
        letters.append(letter)
        escaped = False
    return "".join(letters)


def _like(example: str) -> str:
    """The pattern of all texts that look like this one: the same kinds of letters and digits at the same places."""
    parts: list[tuple[str, int]] = []
    for letter in example:
        kind = next((one for one, letters in _LETTERS.items() if letter in letters), _literally(letter))
        if parts and parts[-1][0] == kind and kind in _LETTERS:
            parts[-1] = (kind, parts[-1][1] + 1)
        else:
            parts.append((kind, 1))
    if not any(kind in _LETTERS for kind, _ in parts):
        return ""
    return "".join(f"{kind}{{{count}}}" if count > 1 else kind for kind, count in parts)


def _example(pattern: str) -> str:
    """An example of a code: the first letters and digits in their order; "" when the pattern is another one."""
    example, at, used = "", 0, dict.fromkeys(_LETTERS, 0)
    while at < len(pattern):
        part = _CODE_PART.match(pattern, at)
        if part is None:
            return ""
        kind, count, escaped, letter = part.groups()
        if kind:
            for _ in range(int(count or 1)):
                letters = _LETTERS[kind]
                example += letters[used[kind] % len(letters)]
                used[kind] += 1
        else:
            example += escaped or letter
        at = part.end()
    return example
