"""The longer timers of a server end together, and none too early."""

from __future__ import annotations

import asyncio
import time

import pytest

from api.event_loop import MIN_SECONDS, STEP_SECONDS, loop_factory, seconds_to_step


@pytest.mark.parametrize("seconds", [0.001, 0.05, 1.0, 1.03, 30.0])
def test_a_step_is_at_most_one_step_late(seconds: float) -> None:
    now, wait = time.monotonic(), seconds_to_step(seconds)
    assert seconds - 0.001 <= wait < seconds + STEP_SECONDS
    assert (now + wait) / STEP_SECONDS % 1 < 0.1 or (now + wait) / STEP_SECONDS % 1 > 0.95


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
