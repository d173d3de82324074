"""The problems and warnings of a node that stand above its fields, with the buttons that mend them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from nicegui import ui

from engine.core.errors import Problem
from engine.flow.flow_warnings import FlowWarning
from ui.kit.long_lists import first_lines
from ui.kit.parts import button, icon, note, words
from ui.parts.mending import COLLECTED

#: Mends a problem by an edit, or leads to its field.
Mend = Callable[[Problem], Awaitable[Any]]


class ProblemList:
    """Drawn into the current container. The list stays while it is the same: leaving a field by a press on one of its
    buttons must not put another button in its place.
    """

    def __init__(self, *, readonly: bool) -> None:
        self.readonly = readonly
        self._shown: tuple[object, ...] = ((), (), ())
        self.box = ui.element("div").classes("fp-stack fp-steady").props("role=status")

    def show(self, problems: Sequence[Problem], warned: Sequence[FlowWarning], mend: Mend | None) -> None:
        """Lists these problems and warnings. Without `mend` they have no buttons."""
        shown = (tuple(problems), tuple(warned), tuple(_has_button(one) for one in warned))
        if shown == self._shown:
            return
        self._shown = shown
        self.box.clear()
        with self.box:
            for one in first_lines(problems, tag="p"):
                with ui.element("div").classes("fp-note fp-note--warn"):
                    icon("warning", "fp-warn")
                    words(one.message)
            for warning in first_lines(warned, tag="p"):
                with note(warning.problem.message, kind="warn", icon="info").classes("fp-note--act"):
                    if _has_button(warning) and mend is not None and not self.readonly:
                        button(warning.verb, lambda one=warning.problem: mend(one), icon="auto_fix_high", small=True)
                        if (accept := warning.accept) is not None:
                            button(accept.verb, lambda one=accept.problem: mend(one), icon="check", small=True)


def _has_button(found: FlowWarning) -> bool:
    """True when a press mends it; the button of another warning only leads to the field."""
    return found.mend is not None or (bool(found.verb) and found.problem.code in COLLECTED)
