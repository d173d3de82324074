"""The form widgets of a question to a person: `value_names`, which of the values may be changed, and `duration`, a time in
minutes, hours or days.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nicegui import ui

from engine.flow.document import Node
from ui.forms.specs import FieldSpec, Json
from ui.kit.parts import words
from ui.kit.text import _

if TYPE_CHECKING:
    from ui.forms.form import Form, Widget

#: Seconds of a unit -> its name, the largest first.
UNITS = {86_400: _("days"), 3_600: _("hours"), 60: _("minutes")}


class PersonFields:
    """Draws the widgets, and keeps the names up to date. `node`: the node of the form."""

    def __init__(self, node: Callable[[], Node | None]) -> None:
        self._node = node
        self._drawn: list[tuple[ui.element, Callable[[], None], list[tuple[str, ...]]]] = []

    @property
    def widgets(self) -> Mapping[str, Widget]:
        """The widgets by name, for `Form(widgets=...)`."""
        return {"value_names": self.draw_names, "duration": self.draw_duration}

    def draw_names(self, form: Form, spec: FieldSpec, pointer: str, value: Json) -> None:
        """Draws a switch for each value of the node, and for a chosen name that no value has any more."""
        chosen = [name for name in value if isinstance(name, str)] if isinstance(value, list | tuple) else []
        place = ui.element("div").classes("fp-stack")
        shown: list[tuple[str, ...]] = []

        def turn(name: str, *, on: bool) -> None:
            if on is (name in chosen):
                return
            chosen[:] = [*chosen, name] if on else [one for one in chosen if one != name]
            form.change(pointer, list(chosen))

        def draw() -> None:
            place.clear()
            names = self._names(chosen)
            shown[:] = [names]
            with place:
                if not names:
                    words(_("Add a value above, then say here if it may be changed."), "fp-hint", tag="p")
                for name in names:
                    box = ui.switch(name, value=name in chosen)
                    box.on_value_change(lambda event, name=name: turn(name, on=bool(event.value)))
                    if form.read_only:
                        box.disable()

        draw()
        self._drawn = [one for one in self._drawn if not one[0].is_deleted] + [(place, draw, shown)]

    def offer(self) -> None:
        """Shows the names again, after the values of the node may have changed."""
        for place, draw, shown in self._drawn:
            if not place.is_deleted and shown != [self._names(())]:
                draw()

    def _names(self, chosen: Sequence[str]) -> tuple[str, ...]:
        node = self._node()
        values: Any = node.inputs.get("values") if node is not None else None
        names = [str(name) for name in values] if isinstance(values, Mapping) else []
        return tuple(dict.fromkeys([*names, *chosen]))

    def draw_duration(self, form: Form, spec: FieldSpec, pointer: str, value: Json) -> None:
        """Draws a number and a unit for a whole number of seconds."""
        seconds = value if isinstance(value, int) and not isinstance(value, bool) else spec.default
        seconds = seconds if isinstance(seconds, int) and seconds > 0 else 60
        unit = next((one for one in UNITS if seconds % one == 0), 60)

        def changed() -> None:
            number = box.value
            if number is not None and float(number) > 0:
                form.change(pointer, max(1, round(float(number) * int(pick.value))))

        with ui.element("div").classes("fp-duration"):
            box = ui.number(value=round(seconds / unit, 2), min=1, on_change=changed)
            box.props("outlined dense")
            box.props["aria-label"] = spec.title
            pick = ui.select(UNITS, value=unit, on_change=changed).props("outlined dense options-dense")
            pick.props["aria-label"] = _("{title}: unit").format(title=spec.title)
            if form.read_only:
                box.disable()
                pick.disable()
