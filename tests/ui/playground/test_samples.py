"""The title that a new saved sample is offered, and a sample that others move."""

from __future__ import annotations

import pytest

from ui.playground.run.samples import free_title, place_now


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


A, B, C = ({"title": title, "payload": {"name": title}} for title in "ABC")


@pytest.mark.parametrize(
    ("now", "place"),
    [
        ([A, B, C], 1),
        ([B, C], 0),  # another one was deleted
        ([A, C], None),  # it was deleted
        ([A, {**B, "title": "Bee"}, C], 1),
        ([A, {**B, "payload": {}}, C], 1),
        ([C, A, B], 2),
        ([], None),
    ],
)
def test_a_sample_is_found_again_after_others_changed_them(now: list[dict[str, object]], place: int | None) -> None:
    assert place_now([A, B, C], 1, now) == place
