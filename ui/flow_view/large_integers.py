"""Whole numbers that JavaScript cannot hold, like the ids of Discord and X: they travel to the canvas and back as texts.

A number beyond ±(2^53-1) would be rounded by the browser, and an undo or a paste would bring the rounded one back. Imports
no NiceGUI.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

#: The only key of an object that stands for a number; no node has a field of this name. `clipboard.js` knows it too.
MARK = "flowport:integer"
_MOST = 2**53 - 1
_INTEGER = re.compile(r"-?[0-9]{1,4300}")
#: Deeper values are no part of a flow, and are refused where they are applied.
_LEVELS = 200


def to_canvas(value: Any) -> Any:
    """Returns the value with marked texts in place of large whole numbers: the value itself when there are none."""
    return _turned(value, _marked, _LEVELS)


def from_canvas(value: Any) -> Any:
    """Returns the value with whole numbers in place of marked texts: the value itself when there are none."""
    return _turned(value, _unmarked, _LEVELS)


def _marked(value: Any) -> Any:
    return {MARK: str(value)} if type(value) is int and not -_MOST <= value <= _MOST else value


def _unmarked(value: Any) -> Any:
    if not isinstance(value, dict) or len(value) != 1:
        return value
    text = value.get(MARK)
    return int(text) if isinstance(text, str) and _INTEGER.fullmatch(text) else value


def _turned(value: Any, turn: Callable[[Any], Any], levels: int) -> Any:
    turned = turn(value)
    if turned is not value or not levels:
        return turned
    if isinstance(value, dict):
        changed = {key: new for key, part in value.items() if (new := _turned(part, turn, levels - 1)) is not part}
        return {**value, **changed} if changed else value
    if isinstance(value, list | tuple):
        parts = [_turned(part, turn, levels - 1) for part in value]
        return parts if any(new is not part for new, part in zip(parts, value, strict=True)) else value
    return value
