"""The checks of values inside one job: payloads of called flows and objects that models answer with.

Patterns may take a fifth of a second for each, and a job may have thousands. So the patterns of one job share a budget,
and what takes long runs in threads, one check of a job after the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from pydantic import JsonValue

from engine.flow.patterns import FLOW_STEPS, PatternBudget
from engine.flow.payload_check import PATTERN_STEPS, PayloadCheck
from engine.flow.references import Json

T = TypeVar("T")

#: The steps of all searches in one job, and of compiling the patterns that it meets: about two seconds and one.
STEPS_OF_JOB: Final = 10 * PATTERN_STEPS
COMPILING_OF_JOB: Final = 5 * FLOW_STEPS
#: A value with more parts is checked in a thread even without patterns; a text counts as one part and one more for each
#: 200 characters.
_LARGE: Final = 5_000


class JobChecks:
    """The budget of one job. `in_thread` runs a function in a thread on behalf of the job; `steps` are those of all
    searches.
    """

    def __init__(
        self, in_thread: Callable[..., Awaitable[Any]] = asyncio.to_thread, *, steps: int = STEPS_OF_JOB
    ) -> None:
        self._in_thread = in_thread
        self._steps = steps
        self._patterns = PatternBudget(COMPILING_OF_JOB)
        self._turn = asyncio.Lock()

    async def run(self, work: Callable[[PayloadCheck], T], *, kept: bool = False) -> T:
        """Returns the result of `work`, which makes a check in a thread, with what is left of the budget. `kept`: as for
        `PayloadCheck`.
        """
        async with self._turn:
            check = PayloadCheck(steps=self._steps, patterns=self._patterns, kept=kept)
            try:
                return await self._in_thread(work, check)
            finally:
                self._steps = min(self._steps, check.steps_left)


def is_large(value: Json) -> bool:
    """Tells whether checking a value takes longer than a moment. Looks at a few thousand parts at most."""
    size = 0
    waiting: list[JsonValue] = [value]
    while waiting:
        inner = waiting.pop()
        size += 1
        if isinstance(inner, str):
            size += len(inner) // 200
        elif isinstance(inner, dict | list):
            if size + len(inner) > _LARGE:
                return True
            waiting += inner.values() if isinstance(inner, dict) else inner
        if size > _LARGE:
            return True
    return False
