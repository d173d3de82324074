"""Joins messages of the canvas that are too large for one message of the socket (`assets/canvas/src/sending.js`).

Imports no NiceGUI.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

#: A flow has 1 MiB, and an undo may carry it before and after. The browser sends nothing larger.
MAX_CHARACTERS = 2_400_012

#: Both halves of a character, (one half alone), or any other escape of JSON, so that an escaped backslash is passed over.
_ESCAPE = re.compile(r"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(u[dD][89a-fA-F]..)|.)")


class Pieces:
    """The message that is arriving. A connection that breaks loses pieces: what has a gap is dropped, and the browser
    sends it again.
    """

    def __init__(self) -> None:
        self._number = 0
        self._texts: list[str] = []
        self._length = 0

    def take(self, piece: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
        """Returns the name and the content of the event whose last piece this is."""
        number, at, text = piece.get("number"), piece.get("at"), str(piece.get("text"))
        if at == 0 and isinstance(number, int):
            self._number, self._texts, self._length = number, [], 0
        if number != self._number or at != len(self._texts):
            return None
        self._texts.append(text)
        self._length += len(text)
        if self._length > MAX_CHARACTERS:
            self._texts = []
            return None
        if not piece.get("last"):
            return None
        whole, self._texts = "".join(self._texts), []
        try:
            message = _read(whole)
        except ValueError:
            return None
        return (str(piece.get("event")), message) if isinstance(message, dict) else None


def _read(text: str) -> Any:
    """Reads a message. The replacement character stands for each half of a character, which no document may hold: a change
    without an answer would keep all later ones of its tab waiting.
    """
    try:
        return msgspec.json.decode(text)
    except ValueError:
        return msgspec.json.decode(_ESCAPE.sub(lambda found: r"\ufffd" if found[1] else found[0], text))
