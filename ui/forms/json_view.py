"""The other view of a list or group: the same value as JSON, for people who like to write it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec.structs import replace
from nicegui import ui

from ui.forms.boxes import Box
from ui.forms.part import Owner, Part
from ui.forms.specs import FieldSpec, Json
from ui.kit.parts import button
from ui.kit.text import _

#: The kinds of fields that have this view, with the JSON type that their value must have.
VIEWED = {"list": "array", "objects": "array", "pairs": "object", "any": ""}


class JsonView(Part):
    """Draws a part, and below it a button that shows its value as JSON and back."""

    is_view = True

    def __init__(
        self,
        owner: Owner,
        spec: FieldSpec,
        around: Part | None,
        value: Json,
        draw: Callable[[Part], Part],
    ) -> None:
        super().__init__(owner, spec, around, value)
        self._json: Box | None = None
        with ui.element("div").classes("fp-f") as self.element:
            self._form = draw(self)
            self._place = ui.element("div")
            self._switch = button("", self._turn, kind="link", small=True, icon="data_object").classes("fp-as-json")
        self._name_switch()

    @property
    def _shown(self) -> Part:
        return self._json or self._form

    def pointer_of(self, inner: Part) -> str:
        """Both views show this value."""
        return self.pointer

    @property
    def value(self) -> Json:
        """The value of the view that is shown."""
        return self._shown.value

    def inner(self) -> Iterator[Part]:
        """The view that is shown."""
        yield self._shown

    def take(self, value: Json) -> None:
        """Shows another value."""
        self._shown.take(value)

    def respec(self, spec: FieldSpec) -> bool:
        """Takes other fields."""
        if not self._form.respec(spec):
            return False
        self.spec = spec
        return True

    def _turn(self) -> None:
        if self._json is None:
            only = self.spec.only or VIEWED.get(self.spec.kind, "")
            spec = replace(self.spec, kind="json", only=only, required=False, default=None, widget="")
            with self._place:
                self._json = Box(self.owner, spec, self, self._form.value)
            self._form.element.visible = False
        elif self._json.wrong:  # the form would lose JSON that cannot be read
            self._json.left = True
            self._json.show_error()
            self._json.focus()
            return
        else:
            value, self._json = self._json.value, None
            self._place.clear()
            self._form.element.visible = True
            self._form.take(value)
        self._name_switch()

    def _name_switch(self) -> None:
        self._switch.text = _("Write it as JSON") if self._json is None else _("Back to the boxes")
        self._switch.props["aria-label"] = f"{self._switch.text}: {self.spec.title}"
