"""The dispatcher goes on whatever happens to a turn, and takes fewer jobs at a time the more each of them costs."""

from __future__ import annotations

import threading
import time

import pytest

from engine.jobs.huey_queue import LEAST_TAKE, LONGEST_HOLD_SECONDS, TAKE, TURN_SECONDS, Dispatch, Pace


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


def spend(seconds: float) -> None:
    """Uses so much CPU time in this thread."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def test_the_more_a_job_costs_the_event_loop_the_fewer_begin_together() -> None:
    pace = Pace()
    assert pace.most == TAKE
    for _ in range(48):
        pace.ended()
    assert pace.most == TAKE
    for _ in range(48):
        spend(TURN_SECONDS / 8)
        pace.ended()
    assert LEAST_TAKE < pace.most < TAKE
    for _ in range(32):
        spend(TURN_SECONDS)
        pace.ended()
    assert pace.most == LEAST_TAKE
    for _ in range(20 * 16):
        pace.ended()
    assert pace.most == TAKE


def test_fewer_jobs_begin_together_while_many_are_at_work() -> None:
    turns: list[int] = []
    over = threading.Event()

    def take(most: int) -> int:
        turns.append(most)
        dispatch.begun(most)
        if len(turns) == 3:
            over.set()
            return 0
        for _ in range(33):
            spend(TURN_SECONDS)
            dispatch.ended()
        dispatch.begun(33)  # as many are at work as before
        return most

    dispatch = Dispatch(take, lambda: 0.0, slots=1_000, poll_seconds=20)
    dispatch.start()
    assert over.wait(20)
    dispatch.stop()
    assert turns == [TAKE, TAKE, LEAST_TAKE]


def test_a_loop_that_answers_late_gets_a_few_jobs_now_and_then() -> None:
    turns: list[int] = []
    over = threading.Event()

    def take(most: int) -> int:
        turns.append(most)
        dispatch.begun(most)
        if len(turns) == 4:
            over.set()
            return 0
        return most

    dispatch = Dispatch(take, lambda: 1.0, slots=1_000, poll_seconds=20)
    dispatch.begun(1)  # more than TAKE are at work after the first turn
    begun = time.monotonic()
    dispatch.start()
    assert over.wait(20)
    dispatch.stop()
    assert turns == [TAKE, LEAST_TAKE, LEAST_TAKE, LEAST_TAKE]
    assert time.monotonic() - begun >= 3 * LONGEST_HOLD_SECONDS
