"""The dispatcher goes on whatever happens to a turn."""

from __future__ import annotations

import threading

import pytest

from engine.jobs.huey_queue import Dispatch


def test_a_turn_that_fails_is_logged_and_the_next_one_takes_jobs(caplog: pytest.LogCaptureFixture) -> None:
    turns: list[int] = []
    taken = threading.Event()

    def take(most: int) -> int:
        turns.append(most)
        if len(turns) == 1:
            raise ValueError("unexpected")
        taken.set()
        return 0

    dispatch = Dispatch(take, lambda: 0.0, slots=4, poll_seconds=0.01)
    dispatch.start()
    assert taken.wait(20)
    dispatch.stop()
    assert turns[:2] == [4, 4]
    assert "Jobs could not be taken from the queue" in caplog.text
