"""Finds in a part of a wish that a text should be sent to somebody, which no step does: `send me an e-mail`,
`mail it to the team`, `das Ergebnis per E-Mail schicken`.

Wishes about messages that others send (`sort the e-mails that customers send us`) are none: in English the verb has to
stand first, in German nobody may stand before it who sends.
"""

from __future__ import annotations

import re
from typing import Final

_MAIL: Final = r"(?:e-?)?mails?\b(?! addresses)"
#: Who something is sent to, when it is not said how.
_PEOPLE: Final = (
    r"(?:the|my|our|a|all) (?:boss|manager|team|colleagues?|customers?|clients?|accountant|office|department)\b"
    r"|(?:mein|unser)(?:e[mn]?)? (?:chefin|chef|team|kolleg\w+|kund\w+|büro|abteilung)\b"
)
_WHAT: Final = r"(?:it|them|this|that|me|us|him|her|(?:the|my|our|a|an) \w+)"
_FILLERS: Final = (
    r"(?:(?:please|automatically|also|then|to|it|should|must|can|finally|i|want|would|like|bitte|mir|auch) )*"
)
_SENDS: Final = re.compile(
    rf"{_FILLERS}(?:"
    # send me an e-mail; send it by e-mail; get the result by e-mail; send it to my boss
    rf"send (?:{_WHAT} )?(?:(?:an?|the) )?(?:\w+ )?{_MAIL}"
    rf"|(?:send|get) (?:\w+ ){{1,6}}?(?:by|via|as|per|in) (?:an? )?{_MAIL}"
    rf"|send {_WHAT} to (?:{_PEOPLE})"
    # e-mail me; mail it to the team
    rf"|(?:e-?)?mail {_WHAT}(?:$| )"
    # schick mir eine E-Mail; sende das Ergebnis an meinen Chef
    rf"|(?:schick|send)(?:e|en)? (?:\w+ ){{0,4}}(?:{_MAIL}|an (?:{_PEOPLE}))"
    # das Ergebnis per E-Mail schicken; eine E-Mail an Kunden senden
    rf"|(?!(?:die|der|das(?! ergebnis\b)|welche[rs]?|wenn) )(?:\w+ ){{0,4}}?(?:(?:(?:per|als|eine) )?{_MAIL}(?: an [\w ]{{1,40}})?"
    rf"|an (?:{_PEOPLE})) (?:schicken|senden|verschicken|versenden|zuschicken)$"
    r")",
    re.IGNORECASE,
)


def asks_to_send(part: str) -> bool:
    """True when a part of a wish, its words separated by single spaces, asks for a text to be sent to somebody."""
    return _SENDS.match(part) is not None
