"""The title that a new saved sample is offered."""

from __future__ import annotations

import pytest

from ui.playground.run.samples import free_title


@pytest.mark.parametrize(
    ("titles", "offered"),
    [
        ([], "Sample 1"),
        (["Sample 1", "Sample 2"], "Sample 3"),
        (["Sample 1", "Sample 3"], "Sample 4"),  # the second of three was deleted
        (["Long invoice", "Sample 3"], "Sample 4"),
        ([None, "Sample 1"], "Sample 3"),  # one without a title is shown as Sample 1
    ],
)
def test_a_new_sample_is_offered_a_title_that_none_has(titles: list[str | None], offered: str) -> None:
    assert free_title([{"title": title} if title else {} for title in titles]) == offered
