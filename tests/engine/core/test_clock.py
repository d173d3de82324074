from __future__ import annotations

import pytest

from engine.core.clock import seconds_in_words


@pytest.mark.parametrize(
    ("seconds", "words"), [(1, "1 second"), (1.0, "1 second"), (0.5, "0.5 seconds"), (1800, "1800 seconds")]
)
def test_one_second_is_told_as_one(seconds: float, words: str):
    assert seconds_in_words(seconds) == words
