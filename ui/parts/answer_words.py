"""Until when a question can be answered, and what happens then, in words. Imports no NiceGUI."""

from __future__ import annotations

from engine.core.clock import DAY, HOUR, MINUTE
from storage.questions import QuestionRow
from ui.kit.text import _, plural
from ui.kit.times import Times

#: What happens when nobody answers, after the moment until which somebody can.
THEN = {
    "refuse": _("After that it counts as refused."),
    "approve": _("After that it counts as approved."),
    "fail": _("After that the step fails."),
}


def until_words(question: QuestionRow, times: Times) -> str:
    """`It can be answered until 4 Dec 12:00, for 6 more days.`"""
    left = question.expires_at - times.clock.now()
    if left <= 0:
        return _("The time for an answer is over.")
    return _("It can be answered until {moment}, for {time} more.").format(
        moment=times.moment(question.expires_at), time=left_words(left, times)
    )


def left_words(milliseconds: int, times: Times) -> str:
    """`6 days`, `3 hours`, `5 minutes`, rounded down to what is left for certain."""
    reader = times.reader
    if milliseconds >= 2 * DAY:
        return plural(milliseconds // DAY, _("day"), _("days"), reader)
    if milliseconds >= 2 * HOUR:
        return plural(milliseconds // HOUR, _("hour"), _("hours"), reader)
    return plural(max(1, milliseconds // MINUTE), _("minute"), _("minutes"), reader)
