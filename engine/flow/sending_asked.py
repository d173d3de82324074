"""Finds in a part of a wish that a text should be sent to somebody, which no step does: `send me an e-mail`,
`mail it to the team`, `das Ergebnis per E-Mail schicken`.

Wishes about messages that others send (`sort the e-mails that customers send us`) are none: in English the verb has to
stand first, in German nobody may stand before it who sends. What could be meant both ways (`get invoices by mail`) is
none either.
"""

from __future__ import annotations

import re
from typing import Final

_MAIL: Final = r"(?:e-?)?mails?\b(?! address)"
#: Who something is sent to, when it is not said how.
_PEOPLE: Final = (
    r"(?:the|my|our|a|all) (?:boss|manager|team|colleagues?|customers?|clients?|accountant|office|department)\b"
    r"|(?:mein|unser)(?:e[mn]?)? (?:chefin|chef|team|kolleg\w+|kund\w+|büro|abteilung)\b"
)
_WHAT: Final = r"(?:it|them|this|that|me|us|him|her|(?:the|my|our|a|an) \w+)"
_FILLERS: Final = r"(?:(?:please|automatically|also|then|to|it|should|must|can|finally|i|want|would|like|bitte|mir|auch|automatisch) ){0,8}"
#: A word that does not say of what follows that it came to somebody.
_WORD: Final = r"(?!(?:that|which|who|sent|comes?|coming|arriv\w+|received) )\w+ "
_BY_MAIL: Final = rf"(?:by|via|as|per) (?:an? )?{_MAIL}"
#: Mail that is sent; an answer `auf eine E-Mail` is none.
_PER_MAIL: Final = rf"(?:per|via|als|(?<!auf )eine) {_MAIL}"
_SENDS: Final = re.compile(
    rf"\A{_FILLERS}(?:"
    # send me an e-mail; send e-mails; send my boss a short e-mail; send it to my boss
    rf"send (?:(?:me|us|him|her|them) )?{_MAIL}"
    rf"|send (?:{_WHAT} )?an? (?:\w+ )?{_MAIL}"
    rf"|send {_WHAT} to (?:{_PEOPLE})(?! {_MAIL})"
    # send it by e-mail; notify me by e-mail; get the result by e-mail
    rf"|(?:send|notify|alert|(?:get|tell) me) (?:{_WORD}){{0,6}}?(?:{_BY_MAIL}|in an {_MAIL})"
    rf"|get (?:(?:it|them) |(?:the|an?) (?:{_WORD}){{1,4}}?){_BY_MAIL}$"
    # e-mail me; mail it to the team; e-mail the summary to the team
    r"|(?:e-?)?mail (?:(?:it|them|me|him|her)\b|us$|(?:the|my|our|an?) \w+(?:$| to ))"
    # schick mir eine E-Mail; sende das Ergebnis an meinen Chef
    rf"|(?:schick(?:en?)?|senden?) (?:(?:mir |uns )?{_MAIL}|(?:\w+ ){{0,4}}?(?:{_PER_MAIL}|an (?:{_PEOPLE})))"
    # das Ergebnis per E-Mail schicken; eine E-Mail an Kunden senden
    r"|(?!(?:die|der|das(?! ergebnis\b)|welche[rs]?|wenn) )"
    rf"(?:(?:{_MAIL}|(?:\w+ ){{0,4}}?{_PER_MAIL})(?: an [\w ]{{1,40}})?|(?:\w+ ){{0,4}}?an (?:{_PEOPLE}))"
    r" (?:schicken|senden|verschicken|versenden|zuschicken)$"
    r")",
    re.IGNORECASE,
)


def asks_to_send(part: str) -> bool:
    """True when a part of a wish, its words separated by single spaces, asks for a text to be sent to somebody."""
    return _SENDS.match(part) is not None
