"""Caches which methods take arguments, so that NiceGUI inspects each method once instead of three times per element.

Every element has a list of classes, of styles and of props. NiceGUI checks for each of them whether its change handler
takes an argument. Without the cache these checks take a third of the time in which a page is built.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from types import FunctionType, MethodType
from typing import Any

from nicegui import helpers

_ask = helpers.expects_arguments


def remember_signatures() -> None:
    """Replaces NiceGUI's function by the cached one. NiceGUI looks it up in its module at every call."""
    helpers.expects_arguments = expects_arguments


def expects_arguments(func: Callable[..., Any]) -> bool:
    """Returns what NiceGUI's own function returns: whether `func` cannot be called without arguments."""
    if isinstance(func, MethodType) and isinstance(func.__func__, FunctionType):
        return _of_method(func.__func__)
    return _ask(func)


@lru_cache(maxsize=2048)
def _of_method(function: FunctionType) -> bool:
    """Answers for a function that is a method. The result is the same for every instance."""
    return _ask(MethodType(function, object()))
