from __future__ import annotations

import pytest

from engine.core.clock import DAY, Millis, month_seconds, seconds_in_words


@pytest.mark.parametrize(
    ("seconds", "words"), [(1, "1 second"), (1.0, "1 second"), (0.5, "0.5 seconds"), (1800, "1800 seconds")]
)
def test_one_second_is_told_as_one(seconds: float, words: str):
    assert seconds_in_words(seconds) == words


@pytest.mark.parametrize(
    ("at", "days"), [(1769860804_000, 31), (1772323199_999, 28), (1709164800_000, 29), (1795823862_000, 30)]
)
def test_a_month_has_the_seconds_of_its_days(at: int, days: int):
    assert month_seconds(Millis(at)) * 1000 == days * DAY
