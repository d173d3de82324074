"""Lets pages show texts that hold half of a character, as data of jobs may.

NiceGUI writes pages and their updates with orjson, which refuses such a text, and with it the whole page. Here the
replacement character stands for each half.
"""

from __future__ import annotations

from typing import Any, cast

from nicegui import json

from engine.core.lone_surrogates import without_lone_surrogates

_write = json.dumps


def show_halves_of_characters() -> None:
    """Replaces NiceGUI's function. NiceGUI and the server of its sockets look it up in its module at every call."""
    json.dumps = dumps


def dumps(obj: Any, *args: Any, **options: Any) -> str:
    """Returns what NiceGUI's own function returns, and where that refuses a text, the same with whole texts."""
    try:
        return _write(obj, *args, **options)
    except TypeError:
        return _write(_whole(obj), *args, **options)


def _whole(value: Any) -> Any:
    """Copies what elements and messages consist of: unlike JSON values, they have tuples, and keys that are numbers."""
    if isinstance(value, str):
        return without_lone_surrogates(value)
    if isinstance(value, dict):
        return {_whole(key): _whole(item) for key, item in cast("dict[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_whole(item) for item in cast("list[Any] | tuple[Any, ...]", value)]
    return value
