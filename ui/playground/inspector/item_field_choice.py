"""The form widget `item_field`: a field of the items of a list, written or picked from what the items have."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from nicegui import ui

from ui.forms.specs import FieldSpec, Json
from ui.kit.parts import pick_chip, words
from ui.kit.text import _
from ui.playground.state.item_fields import ITSELF, ItemField

if TYPE_CHECKING:
    from ui.forms.form import Form, Widget


class _Drawn(Struct, frozen=True):
    """One field of the form that is drawn, with the place of its chips."""

    wants_number: bool
    box: ui.element
    chips: ui.element


class ItemFieldChoice:
    """Draws the widget and keeps its chips up to date."""

    def __init__(self) -> None:
        self._fields: Sequence[ItemField] = ()
        self._said = ""
        self._drawn: list[_Drawn] = []

    @property
    def widgets(self) -> Mapping[str, Widget]:
        """The widget by name, for `Form(widgets=...)`."""
        return {"item_field": self.draw}

    def draw(self, form: Form, spec: FieldSpec, pointer: str, value: Json) -> None:
        """Draws the text box and a chip for each field."""
        box = form.draw_input(spec, pointer, spec.title)
        box.props["autocomplete"] = "off"
        _say_itself(box)
        drawn = _Drawn(pointer.startswith("/measures/"), box, ui.element("div").classes("fp-item-fields"))
        drawn.chips.set_visibility(not form.read_only)
        self._drawn = [one for one in self._drawn if not one.box.is_deleted] + [drawn]
        self._show(drawn)

    def offer(self, fields: Sequence[ItemField], said: str) -> None:
        """Shows other fields. `said`: what stands before them."""
        if list(fields) == list(self._fields):
            return
        self._fields, self._said = tuple(fields), said
        for drawn in self._drawn:
            if not drawn.box.is_deleted:
                self._show(drawn)

    def _show(self, drawn: _Drawn) -> None:
        drawn.chips.clear()
        fields = sorted(self._fields, key=lambda one: drawn.wants_number and not one.is_number)
        if not fields:
            return
        with drawn.chips:
            words(self._said, "fp-t3 fp-s12")
            for one in fields:
                name = _("the item itself") if one.path == ITSELF else one.path
                pick_chip(name, one.example, self._picker(drawn.box, one.path))

    def _picker(self, box: ui.element, path: str) -> Callable[[], None]:
        def pick() -> None:
            assert isinstance(box, ui.input)
            box.value = path
            box.run_method("focus")

        return pick


def _say_itself(box: ui.element) -> None:
    """Says beside a dot what it stands for."""
    assert isinstance(box, ui.input)

    def say() -> None:
        box.props.set_optional("suffix", _("the item itself") if (box.value or "").strip() == ITSELF else None)

    say()
    box.on_value_change(say)
