"""Inputs whose names and types come from another flow: one row for each field of its API Input.

Called by `input_fields.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import jsonpointer
from nicegui import ui

from engine.flow.json_values import read_strictly
from engine.flow.storable_values import unfit
from ui.forms.row_buttons import RowButtons
from ui.kit.parts import sentence, words
from ui.kit.text import _, type_word
from ui.playground.inspector.bindings import Bindings, preview_box
from ui.playground.inspector.bound_values import BoundValue

_AS_TEXT = frozenset({"string", ""})


def draw_fields(bindings: Bindings, fields: Sequence[Mapping[str, Any]]) -> None:
    """Draws the fields in their order, then inputs with a value that are no longer a field."""
    for field in fields:
        _draw_field(bindings, field)
    names = {str(field["name"]) for field in fields}
    for name in [one for one in bindings.inputs if one not in names]:
        _draw_leftover(bindings, name)
    if not fields:
        words(_("It takes no input."), "fp-t2", tag="p")
    bindings.offers[""] = ui.element("div")


def _draw_field(bindings: Bindings, field: Mapping[str, Any]) -> None:
    name = str(field["name"])
    with ui.element("div").classes("fp-f"):
        with ui.element("div").classes("fp-lab") as head:
            words(name)
            optional = "" if field.get("required") else f", {_('optional')}"
            words(f"{type_word(dict(field))}{optional}", "fp-t3")
        bindings.shown[name] = _CalledField(bindings, field, head)
        bindings.previews[name] = preview_box()
        hint = str(field.get("description") or "")
        if field.get("default") is not None:
            hint = (
                _("{hint}. Usually {shown}.").format(hint=hint.rstrip("."), shown=_shown(field["default"])).lstrip(". ")
            )
        if hint:
            sentence(hint, "fp-hint")


class _CalledField:
    """One field: text with chips, of which a number becomes a number; a list or group may be written as such."""

    def __init__(self, bindings: Bindings, field: Mapping[str, Any], head: ui.element) -> None:
        name = str(field["name"])
        value = bindings.inputs.get(name)
        self._bound: BoundValue | None = None
        where = f"/inputs/{jsonpointer.escape(name)}"
        if field.get("type") in {"object", "array"}:
            self._bound = BoundValue(
                bindings, lambda: where, name, value, lambda new: _put(bindings, field, new), single=False
            )
            with head:
                words("", "fp-sp")
                self._bound.draw_menu(name)
            return
        self._field = bindings.field(
            where, name, _shown(value), lambda text: _put(bindings, field, text), single=True
        ).classes("fp-binding--short")

    def put(self, value: Any) -> None:
        """Shows a value that was changed elsewhere."""
        if self._bound is not None:
            self._bound.put(value)
        else:
            self._field.put(_shown(value))


def _draw_leftover(bindings: Bindings, name: str) -> None:
    def remove() -> Any:
        element.delete()
        return bindings.put_all({old: value for old, value in bindings.inputs.items() if old != name}, name)

    with ui.element("div").classes("fp-f") as element:
        with ui.element("div").classes("fp-row"):
            words(name, "fp-b")
            words(_("is no field of the called flow"), "fp-warn fp-s12")
            words("", "fp-sp")
            if not bindings.readonly:
                RowButtons(remove).name(name, 0, 1)
        bindings.field(
            f"/inputs/{jsonpointer.escape(name)}",
            name,
            _shown(bindings.inputs[name]),
            lambda text: bindings.put(name, text),
            single=True,
        ).classes("fp-binding--short")


def _shown(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _put(bindings: Bindings, field: Mapping[str, Any], text: Any) -> Any:
    """Stores a value: text typed for a number becomes a number, and an empty field is removed from the inputs."""
    name = str(field["name"])
    if not isinstance(text, str):
        return bindings.put(name, text)
    if not text.strip():
        bindings.inputs = {old: value for old, value in bindings.inputs.items() if old != name}
        return bindings.on_change(dict(bindings.inputs), name)
    value: Any = text
    if str(field.get("type") or "") not in _AS_TEXT:
        try:
            read = read_strictly(text)
            value = text if any(unfit(read)) else read  # a number that is too large is told as a text in its place
        except ValueError:
            value = text  # the value refers to data of another node, so it stays text
    return bindings.put(name, value)
