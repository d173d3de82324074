"""Tries and time limits of one step: exponential pauses with full jitter, or the pause that a Retry-After header asks
for.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from engine.core.clock import Clock, Millis, seconds_in_words
from engine.core.coroutines import resumed
from engine.core.error_codes import JobErrorCode
from engine.core.redaction import cut
from engine.core.shared_places import Waited
from engine.flow.node_context import Json, NodeFailed, SetAside
from engine.run.steps import Try

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0


@dataclass(slots=True)
class Tried:
    """The value of a step or its last failure, and its tries; there are none when the first one succeeded."""

    value: Json
    failure: NodeFailed | None
    tries: tuple[Try, ...]


async def attempt(
    work: Callable[[], Coroutine[Any, Any, Json]],
    timeout_seconds: float,
    retries: int,
    clock: Clock,
    deadline: float | None = None,
    started_at: Millis | None = None,
) -> Tried:
    """Runs `work` up to `retries` + 1 times, the first time at `started_at`; only passing failures are tried again.

    A pause that would end after `deadline` (seconds on the clock's `monotonic`) is not started: the last failure says
    more than a time limit that passes.
    """
    tries: list[Try] = []
    waited = 0.0
    while True:
        begun = clock.monotonic()
        at = clock.now() if tries or started_at is None else started_at
        failure: NodeFailed | None = None
        value: Json = None
        try:
            running = work()
            value = await _within(timeout_seconds, running, running.send(None))
        except StopIteration as done:
            value = done.value  # it ended without waiting once
        except _LimitPassed as passed:
            failure = _timed_out(timeout_seconds, passed.waited)
        except Exception as error:  # noqa: BLE001 - the one place where what a node raises is wrapped
            failure = as_failure(error)
        except BaseExceptionGroup as group:  # several questions of a step were asked at the same time
            _, others = group.split(SetAside)
            if others is None:
                raise SetAside from None
            failure = as_failure(_first_of(others))
        if failure is not None:  # its frames hold what the step worked with, like files, and one of them holds it
            failure.__traceback__ = failure.__context__ = failure.__cause__ = None
        elif not tries:
            return Tried(value, None, ())
        tries.append(
            Try(
                len(tries) + 1,
                at,
                round((clock.monotonic() - begun) * 1000),
                round(waited * 1000) if waited else 0,
                failure.code if failure else None,
                failure.message if failure else None,
            )
        )
        if failure is None or not failure.passing or len(tries) > retries:
            return Tried(value, failure, tuple(tries))
        waited = pause_before(len(tries), failure.retry_after)
        if deadline is not None and clock.monotonic() + waited >= deadline:
            return Tried(value, failure, tuple(tries))
        await asyncio.sleep(waited)


def _first_of(error: BaseException) -> Exception:
    match error:
        case BaseExceptionGroup(exceptions=(first, *_)):
            return _first_of(first)
        case Exception():
            return error
        case _:
            return RuntimeError(repr(error))


class _LimitPassed(Exception):  # replaced by a NodeFailed
    def __init__(self, waited: Waited | None) -> None:
        super().__init__()
        self.waited = waited


async def _within(seconds: float, running: Coroutine[Any, Any, Json], waits_for: Any) -> Json:
    """Returns the value of a coroutine that was started and waits.

    Most steps that only compute end before this is needed.
    """
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await resumed(running, waits_for)
    except TimeoutError as error:
        if limit.expired():
            raise _LimitPassed(Waited.of(error)) from None
        raise


def pause_before(number: int, retry_after: float | None) -> float:
    """Returns the seconds to wait after try `number`: `retry_after` up to 300, or a random part of a pause that
    doubles.
    """
    if retry_after is not None:
        return min(max(retry_after, 0.0), 300.0)
    return random.uniform(0, min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (number - 1)))


def as_failure(error: Exception) -> NodeFailed:
    """Returns what a node raised as a NodeFailed.

    Errors of outbound requests and models bring their own code and message.
    """
    if isinstance(error, NodeFailed):
        return error
    code, message = getattr(error, "code", None), getattr(error, "message", None)
    if isinstance(code, str) and isinstance(message, str):
        return NodeFailed(
            message,
            code=code,
            why=getattr(error, "why", "") or "",
            remedy=getattr(error, "remedy", "") or "",
            passing=bool(getattr(error, "passing", False)),
            retry_after=getattr(error, "retry_after", None),
        )
    return NodeFailed(
        "The node stopped because of a fault in Flowport.",
        why=cut(f"{type(error).__name__}: {error}", 500),
        remedy="Try again. If it stays, report it with the technical detail.",
    )


def _timed_out(seconds: float, waited: Waited | None) -> NodeFailed:
    return NodeFailed(
        f"The step did not end within its time limit of {seconds_in_words(seconds)}.",
        code=JobErrorCode.TIMEOUT,
        why=waited.why if waited else "Each try of a step has this time, whatever the job may take.",
        remedy="Try again later, or raise the step's time limit."
        if waited
        else "Raise the step's time limit, or make its work smaller.",
        passing=True,
    )
