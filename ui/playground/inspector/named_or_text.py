"""The field of an input that takes named values or a text, with the choice between them: the body of a request."""

from __future__ import annotations

from typing import Any, Final

from nicegui import ui

from ui.kit.parts import segments, words
from ui.kit.text import _
from ui.playground.inspector.bindings import Bindings
from ui.playground.inspector.bound_values import GROUP, JSON, LIST, TEXT, BoundValue

_CHOICES: Final = {GROUP: _("Named values"), TEXT: _("Text")}
#: Choices that stand there only while the value is one.
_OTHERS: Final = {LIST: _("List"), JSON: _("JSON")}
_AS_JSON: Final = _("The service gets it as JSON.")
#: In which form the service gets the value.
_SENT: Final = {
    GROUP: _("The service gets these names and values as JSON."),
    TEXT: _(
        "The service gets it as plain text, and a single chip of a group or list as JSON. Where it expects names, like “to” "
        "and “text”, choose Named values."
    ),
    LIST: _AS_JSON,
    JSON: _AS_JSON,
}


class NamedOrText:
    """Draws the field into the current container, and the choice into `head`. Without a value it shows named values."""

    def __init__(self, bindings: Bindings, head: ui.element, name: str, title: str) -> None:
        self.bindings, self._name = bindings, name
        value = bindings.inputs.get(name)
        self._bound = BoundValue(
            bindings, lambda: f"/inputs/{name}", title, {} if value is None else value, self._told, single=False
        )
        self._sent = words("", "fp-hint", tag="p")
        with head:
            words("", "fp-sp")
            self._choice = segments(_choices(self._bound.kind), self._bound.kind, self._choose, label=title)
        self._choice.set_enabled(not bindings.readonly)
        self._show()

    def put(self, value: Any) -> None:
        """Shows a value that was changed elsewhere."""
        self._bound.put(value)
        self._show()

    def _choose(self, kind: str) -> Any:
        if kind == self._bound.kind:
            return None
        if self._bound.value in (None, "", {}):  # nothing is stored, so there is nothing to change
            self._bound.put({} if kind == GROUP else "")
            self.bindings.drawn()
            done = None
        else:
            done = self._bound.turn(kind)
        self._show()
        return done

    def _show(self) -> None:
        kind = self._bound.kind
        self._choice.set_options(_choices(kind), value=kind)
        self._sent.text = _SENT[kind]

    def _told(self, value: Any) -> Any:
        return self.bindings.put(self._name, "" if value == {} else value)


def _choices(kind: str) -> dict[str, str]:
    return _CHOICES | {one: text for one, text in _OTHERS.items() if one == kind}
