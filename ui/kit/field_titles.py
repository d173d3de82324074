"""How the name of a field is shown as a heading on every page: `invoice_number` is “Invoice number”.

The name itself stays in JSON, in code, and in the forms in which flows are made.
"""

from __future__ import annotations

import re

#: A name as programs write it: words of small letters and digits, joined by underscores or by a capital.
_WRITTEN = re.compile(r"[^\W\d_A-Z](?:[^\W_A-Z][^\W_]*)?(?:_[^\W_]+)*")
_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
#: Words that people write in capitals.
_CAPITALS = frozenset({"api", "csv", "html", "iban", "id", "ip", "json", "pdf", "sku", "url", "vat", "xml"})


def field_title(name: str) -> str:
    """Returns the name of a field as a heading; a name that people wrote, or that is data, stays as it is."""
    if not _WRITTEN.fullmatch(name):
        return name
    words = [part for word in name.split("_") for part in _CAPITAL.split(word)]
    shown = [word.upper() if word.lower() in _CAPITALS else word if word.isupper() else word.lower() for word in words]
    first = shown[0]
    return " ".join([first[:1].upper() + first[1:], *shown[1:]])
