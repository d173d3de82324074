"""Says at a result and at a question that a model gave the same text for all fields of its answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from nicegui import ui
from sqlalchemy.orm import Session

from engine.flow.node_context import Json
from engine.nodes.model_answers import SAME_TEXTS, is_repeated
from storage.jobs import JobRow
from storage.questions import QuestionRow
from storage.steps import StepRow, list_warned
from ui.kit.parts import note
from ui.kit.text import _


def step_with_same_texts(job: JobRow, steps: Iterable[StepRow]) -> str | None:
    """The node id of the first step whose answer has the same text in all fields. None for a job that asked somebody, who
    was warned at the question and may have corrected the answer.
    """
    if job.questions:
        return None
    return next((step.node_id for step in steps if SAME_TEXTS in step.warnings), None)


def texts_differ(shown: Json) -> bool:
    """True when a value shows texts beside each other that are not the same, as after a correction by a person. False for
    one without texts beside each other, which does not show what the model gave.
    """
    return not has_same_texts(shown) and any(texts.total() > 1 for texts in _texts_of_groups(shown))


def has_same_texts(shown: Json) -> bool:
    """True when a value shows the same text in several fields beside each other."""
    return any(is_repeated(text, count) for texts in _texts_of_groups(shown) for text, count in texts.items())


def _texts_of_groups(shown: Json) -> Iterator[Counter[str]]:
    """Yields for each group in a value how often which text stands in its fields."""
    todo = [shown]
    while todo:
        value = todo.pop()
        if isinstance(value, Mapping):
            yield Counter(text for one in value.values() if isinstance(one, str) and (text := one.strip()))
            todo += value.values()
        elif isinstance(value, list):
            todo += value


def warned_questions(session: Session, questions: Sequence[QuestionRow]) -> set[str]:
    """The ids of the questions that show what a model gave as the same text for all fields."""
    shown = [one for one in questions if has_same_texts(one.values)]
    if not shown:
        return set()
    jobs = list_warned(session, {one.job_id for one in shown}, SAME_TEXTS)
    return {one.id for one in shown if one.job_id in jobs}


def same_texts_note(strong: str) -> ui.element:
    """Draws what to do about it; `strong` says where it is. Enter it to add a button."""
    told = note(
        _("look whether the model understood the task, or choose a stronger one."),
        kind="warn",
        icon="warning",
        strong=strong,
    )
    return told.classes("fp-note--act")
