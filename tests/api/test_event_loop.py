"""The longer timers of a server end together, and none too early."""

from __future__ import annotations

import asyncio
import math

import pytest

from api.event_loop import MIN_SECONDS, STEP_SECONDS, loop_factory, seconds_to_step


@pytest.mark.parametrize("now", [0.0, 12_345.678, 9_999.999])
@pytest.mark.parametrize("seconds", [0.001, 0.05, 1.0, 1.03, 30.0])
def test_a_step_is_at_most_one_step_late(seconds: float, now: float) -> None:
    wait = seconds_to_step(seconds, now)
    assert seconds - 0.001 <= wait < seconds + STEP_SECONDS
    assert (now + wait) / STEP_SECONDS == pytest.approx(round((now + wait) / STEP_SECONDS), abs=0.011)


def test_a_timer_without_an_end_is_taken() -> None:
    async def waits() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.sleep(math.inf)

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(waits())


def test_longer_timers_share_their_end_and_short_ones_are_exact() -> None:
    async def ends(*delays: float) -> list[float]:
        loop = asyncio.get_running_loop()
        timers = [loop.call_later(delay, print) for delay in delays]
        for timer in timers:
            timer.cancel()
        return [timer.when() - loop.time() for timer in timers]

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        many = [MIN_SECONDS + number / 1_000 for number in range(100)]
        assert len({round(end, 2) for end in runner.run(ends(*many))}) <= 3
        assert runner.run(ends(0.5, 0.999)) == pytest.approx([0.5, 0.999], abs=0.005)
