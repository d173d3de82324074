"""Until when a question can be answered, and what happens then and after an answer, in words. Imports no NiceGUI."""

from __future__ import annotations

from collections.abc import Sequence

from engine.core.clock import DAY, HOUR, MINUTE
from engine.flow.after_answer import AfterAnswer
from storage.questions import QuestionRow
from ui.kit.text import _, plural
from ui.kit.times import Times

#: What happens when nobody answers, after the moment until which somebody can.
THEN = {
    "refuse": _("After that it counts as refused."),
    "approve": _("After that it counts as approved."),
    "fail": _("After that the step fails."),
}
#: Stands at a question whose values are one and the same text: what stands before the colon, and after it.
SAME_TEXTS_ASKED = (
    _("A model gave the same text for all fields:"),
    _("look whether they are right before you approve."),
)
#: Stands at a question of a job in which the Simulated model answered.
MADE_UP = _("The Simulated model answered in this job. What it wrote is made up.")

NOBODY_ANSWERED = _("Refused: nobody answered in time")

#: The length from which a text of one word has a box of several lines.
_LONG_WORD = 80


def may_have_lines(text: str) -> bool:
    """Whether a text that may be changed has a box of several lines: all but a single word, like a kind or a date."""
    return len(text.split()) != 1 or len(text) > _LONG_WORD or "\n" in text or "\r" in text


def until_words(question: QuestionRow, times: Times) -> str:
    """`It can be answered until 4 Dec 12:00, for 7 days more.`"""
    left = question.expires_at - times.clock.now()
    if left <= 0:
        return _("The time for an answer is over.")
    return _("It can be answered until {moment}, for {time} more.").format(
        moment=times.moment(question.expires_at), time=left_words(left, times)
    )


def left_words(milliseconds: int, times: Times) -> str:
    """`7 days`, `3 hours`, `5 minutes`, to the nearest one: a week that has just begun has 7 days."""
    reader = times.reader
    if milliseconds >= 2 * DAY:
        return plural((milliseconds + DAY // 2) // DAY, _("day"), _("days"), reader)
    if milliseconds >= 2 * HOUR:
        return plural((milliseconds + HOUR // 2) // HOUR, _("hour"), _("hours"), reader)
    return plural(max(1, (milliseconds + MINUTE // 2) // MINUTE), _("minute"), _("minutes"), reader)


#: How many steps are named that come after an answer.
_MAX_NAMED = 3


def now_words(after: AfterAnswer, *, approved: bool) -> str:
    """`What needed the approval is not done. Next: “Write a reply”.`, said to whoever has just answered."""
    if after.agent:
        return (
            _("The agent makes the call and goes on.")
            if approved
            else _("The call is not made. The agent is told so and goes on without it.")
        )
    steps = after.next_steps or ()
    named = ", ".join(f"“{name}”" for name in steps[:_MAX_NAMED]) + (" …" if len(steps) > _MAX_NAMED else "")
    if approved:
        return _("The flow goes on. Next: {steps}.").format(steps=named) if named else _("The flow goes on.")
    if named:
        return _("What needed the approval is not done. Next: {steps}.").format(steps=named)
    if after.next_steps is None:
        return _("What needed the approval is not done.")
    return _(
        "The steps after the approval do not run. Whoever called the flow gets its answer without what they would have given."
    )


def refused_words(questions: Sequence[QuestionRow]) -> str:
    """`Refused by Ada`, for the first question of a job that was refused; "" when none was."""
    refused = next((one for one in questions if one.outcome == "refused"), None)
    return "" if refused is None else refuser_words("" if refused.expired else refused.answered_by)


def refuser_words(by: str) -> str:
    """`Refused by Ada`; what is said when nobody answered in time for ""."""
    return _("Refused by {answered_by}").format(answered_by=by) if by else NOBODY_ANSWERED
