"""Coroutines that usually end without waiting: their first step runs at once, and only one that waits needs a time limit."""

from __future__ import annotations

import types
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")


@types.coroutine
def resumed(running: Coroutine[Any, Any, T], waits_for: Any) -> Generator[Any, Any, T]:
    """Continues a coroutine from where its first `send` left it; `waits_for` is what that returned."""
    try:
        while True:
            try:
                answer = yield waits_for
            except GeneratorExit:
                running.close()
                raise
            except BaseException as error:  # noqa: BLE001 - a cancellation is passed on
                waits_for = running.throw(error)
            else:
                waits_for = running.send(answer)
    except StopIteration as done:
        return done.value
