"""Cleans the names of files that somebody sends: they arrive as they are, for example `../../a b.pdf`."""

from __future__ import annotations

import re
import unicodedata

from engine.core.media_types import is_known_ending
from engine.core.unicode_forms import normalized

#: The most characters of a file name; a name is also cut to so many bytes.
MAX_FILE_NAME = 120
_MAX_BYTES = 240
_SEPARATORS = re.compile(r"[/\\]")
#: What a name must not hold on one of the usual systems.
_FORBIDDEN = re.compile(r'[<>:"|?*]')
#: Characters that change how the text around them is shown: marks of direction, invisible ones, and private use.
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
#: What Windows keeps for itself, with any ending; it does not count spaces before the ending.
_RESERVED = re.compile(r"^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$) *(\.|$)", re.IGNORECASE)


def clean_file_name(raw: str) -> str:
    """Returns a name without folders, control characters and other signs that systems or readers stumble over.

    Its ending stays, also when it is all of the name beside dots and spaces (`.csv` and `..csv` become `file.csv`); `file`
    is returned when nothing is left.
    """
    name = _SEPARATORS.split(raw.strip())[-1]
    name = normalized("NFC", "".join(sign for sign in name if unicodedata.category(sign) not in _UNSEEN))
    name = re.sub(r"\s+", " ", _FORBIDDEN.sub("_", name)).strip(" ").rstrip(" .")
    bare = name.lstrip(" .")
    name = f"file.{bare}" if bare != name and is_known_ending(f".{bare}") else bare
    if not name:
        return "file"
    if _RESERVED.match(name):
        name = f"_{name}"
    return _cut(name)


def _cut(name: str) -> str:
    stem, dot, ending = name.rpartition(".")
    if not dot or not stem or len(ending) > 16:
        stem, dot, ending = name, "", ""
    while stem and (len(stem) + len(dot + ending) > MAX_FILE_NAME or len((stem + dot + ending).encode()) > _MAX_BYTES):
        stem = stem[:-1]
    return (stem.rstrip(" .") or "file") + dot + ending
