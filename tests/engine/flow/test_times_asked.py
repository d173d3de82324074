"""The times of a wish are read as the timing of a schedule."""

import pytest

from engine.flow.times_asked import time_asked, times_kept, times_of_flow, with_times
from engine.triggers.timing import cron_of

#: A wish, its times, and the schedule of them.
WISHES = [
    ("every Monday at 8", "every Monday at 8", "0 8 * * 1"),
    ("jeden Montag um 8 Uhr", "jeden Montag um 8 Uhr", "0 8 * * 1"),
    ("jeden Tag um 7 Uhr 30 die Seite lesen", "jeden Tag um 7 Uhr 30", "30 7 * * *"),
    ("at 8:30 every Monday and Thursday, check links", "at 8:30 every Monday and Thursday", "30 8 * * 1,4"),
    ("read it every Monday 8am and mail it", "every Monday 8am", "0 8 * * 1"),
    ("every weekday at 5 pm", "every weekday at 5 pm", "0 17 * * 1,2,3,4,5"),
    ("every Friday at 6 in the evening", "every Friday at 6 in the evening", "0 18 * * 5"),
    ("Monday to Friday at 7:15 a report", "Monday to Friday at 7:15", "15 7 * * 1,2,3,4,5"),
    ("montags und mittwochs um 9", "montags und mittwochs um 9", "0 9 * * 1,3"),
    ("every morning", "every morning", "0 8 * * *"),
    ("every Monday morning", "every Monday morning", "0 8 * * 1"),
    ("every day at noon", "every day at noon", "0 12 * * *"),
    ("every day at 12 am", "every day at 12 am", "0 0 * * *"),
    ("werktags um 6", "werktags um 6", "0 6 * * 1,2,3,4,5"),
    ("every weekend at 10", "every weekend at 10", "0 10 * * 6,0"),
    ("weekly report", "weekly", "0 9 * * 1"),
    ("weekly on Friday at 16:00", "weekly on Friday at 16:00", "0 16 * * 5"),
    ("translate a text every 15 minutes", "every 15 minutes", "*/15 * * * *"),
    ("alle zwei Stunden", "alle zwei Stunden", "0 0-23/2 * * *"),
    ("hourly", "hourly", "0 * * * *"),
    ("every half hour", "every half hour", "*/30 * * * *"),
    ("on the first of every month at 7", "on the first of every month at 7", "0 7 1 * *"),
    ("monthly on the 15th at 10:30", "monthly on the 15th at 10:30", "30 10 15 * *"),
    ("on the last day of the month", "on the last day of the month", "0 9 L * *"),
    ("am ersten jeden Monats um 8 Uhr", "am ersten jeden Monats um 8 Uhr", "0 8 1 * *"),
    ("every day", "every day", "0 9 * * *"),
    ("every day at 25", "every day at 25", "0 9 * * *"),
]


@pytest.mark.parametrize(("wish", "said", "cron"), WISHES)
def test_the_times_of_a_wish_are_those_of_a_schedule(wish: str, said: str, cron: str) -> None:
    assert time_asked(wish)[0] == said
    found = times_of_flow("Title", with_times("It does something.", said))
    assert found is not None
    assert (found.said, found.exact) == (said, True)
    assert cron_of(found.timing) == cron


@pytest.mark.parametrize(
    ("said", "cron"),
    [
        ("every two weeks on Monday at 8", "0 8 * * 1"),
        ("every second Friday at 3pm", "0 15 * * 5"),
        ("every 3 days", "0 9 * * *"),
        ("twice a day", "0 9 * * *"),
        ("every 45 minutes", "*/30 * * * *"),
        ("on the 31st of every month", "0 9 L * *"),
    ],
)
def test_of_a_rhythm_that_no_schedule_has_the_nearest_is_taken_and_known_as_such(said: str, cron: str) -> None:
    found = times_of_flow("Every Friday", with_times("", said))
    assert found is not None
    assert (found.said, cron_of(found.timing), found.exact) == (said, cron, False)


@pytest.mark.parametrize("text", ["summarise every page of a list", "at 8", "3 pages a day at most", ""])
def test_other_texts_name_no_times(text: str) -> None:
    assert times_of_flow(text, text) is None


def test_what_was_wished_for_comes_before_the_title_and_outlives_the_description() -> None:
    described = with_times("A report, every Friday.", "daily at 7")
    for description in (described, times_kept(described)):
        found = times_of_flow("A report about pages, for example every Monday", description)
        assert found is not None
        assert found.said == "daily at 7"
    assert times_kept("A report, every Friday.") == ""
