"""Says at a result and at a question that a model gave the same text for all fields of its answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from nicegui import ui
from sqlalchemy.orm import Session

from engine.flow.node_context import Json
from engine.nodes.model_answers import SAME_TEXTS, is_repeated
from storage.questions import QuestionRow
from storage.steps import StepRow, list_warned
from ui.kit.parts import note
from ui.kit.text import _


def step_with_same_texts(steps: Iterable[StepRow]) -> str | None:
    """The node id of the first step whose answer has the same text in all fields."""
    return next((step.node_id for step in steps if SAME_TEXTS in step.warnings), None)


def texts_differ(shown: Json) -> bool:
    """True when a value shows texts beside each other that are not the same, as after a correction by a person. False for
    one without texts beside each other, which does not show what the model gave.
    """
    todo, several = [shown], False
    while todo:
        value = todo.pop()
        if isinstance(value, Mapping):
            texts = [text for one in value.values() if isinstance(one, str) and (text := one.strip())]
            if any(is_repeated(text, count) for text, count in Counter(texts).items()):
                return False
            several = several or len(texts) > 1
            todo += value.values()
        elif isinstance(value, list):
            todo += value
    return several


def is_warned(session: Session, question: QuestionRow) -> bool:
    """Whether a question shows what a model gave as the same text for all fields."""
    return not texts_differ(question.values) and bool(list_warned(session, [question.job_id], SAME_TEXTS))


def same_texts_note(strong: str) -> ui.element:
    """Draws what to do about it; `strong` says where it is. Enter it to add a button."""
    told = note(
        _("look whether the model understood the task, or choose a stronger one."),
        kind="warn",
        icon="warning",
        strong=strong,
    )
    return told.classes("fp-note--act")
