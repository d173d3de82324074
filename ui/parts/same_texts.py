"""Says at a result that a model gave the same text for all fields of its answer."""

from __future__ import annotations

from collections.abc import Iterable

from nicegui import ui

from engine.nodes.model_answers import SAME_TEXTS
from storage.steps import StepRow
from ui.kit.parts import note
from ui.kit.text import _


def step_with_same_texts(steps: Iterable[StepRow]) -> str | None:
    """The node id of the first step whose answer has the same text in all fields."""
    return next((step.node_id for step in steps if SAME_TEXTS in step.warnings), None)


def same_texts_note(strong: str) -> ui.element:
    """Draws what to do about it; `strong` says where it is. Enter it to add a button."""
    told = note(
        _("look whether the model understood the task, or choose a stronger one."),
        kind="warn",
        icon="warning",
        strong=strong,
    )
    return told.classes("fp-note--act")
