"""NiceGUI reads the signatures of methods once for each method, instead of three times for each element of each page.

Every element has a list of classes, of styles and of props, and each of them wants to know whether the method that hears of its
changes takes an argument. Asking Python anew each time is a third of what it takes to make a page.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from types import FunctionType, MethodType
from typing import Any

from nicegui import helpers

_ask = helpers.expects_arguments


def remember_signatures() -> None:
    """From now on. NiceGUI looks the function up in its module at every call."""
    helpers.expects_arguments = expects_arguments


def expects_arguments(func: Callable[..., Any]) -> bool:
    """What NiceGUI's own function answers: whether `func` cannot be called without arguments."""
    if isinstance(func, MethodType) and isinstance(func.__func__, FunctionType):
        return _of_method(func.__func__)
    return _ask(func)


@lru_cache(maxsize=2048)
def _of_method(function: FunctionType) -> bool:
    """The same for every object that the method belongs to."""
    return _ask(MethodType(function, object()))
