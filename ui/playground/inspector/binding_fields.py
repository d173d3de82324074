"""Inputs whose names and types come from another flow: one row for each field of its API Input.

Called by `input_fields.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import jsonpointer
from nicegui import ui

from ui.kit.parts import sentence, words
from ui.kit.text import _, type_word
from ui.playground.inspector.bindings import Bindings

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
    value = bindings.inputs.get(name)
    with ui.element("div").classes("fp-f"):
        with ui.element("div").classes("fp-lab"):
            words(name)
            optional = "" if field.get("required") else f", {_('optional')}"
            words(f"{type_word(dict(field))}{optional}", "fp-t3")
        bindings.field(
            f"/inputs/{jsonpointer.escape(name)}",
            name,
            _shown(value),
            lambda text: _put(bindings, field, text),
            single=field.get("type") not in {"object", "array"},
        ).classes("fp-binding--short")
        bindings.previews[name] = ui.element("div")
        hint = str(field.get("description") or "")
        if field.get("default") is not None:
            hint = f"{hint.rstrip('.')}. {_('Usually')} {_shown(field['default'])}.".lstrip(". ")
        if hint:
            sentence(hint, "fp-hint")


def _draw_leftover(bindings: Bindings, name: str) -> None:
    with ui.element("div").classes("fp-f"):
        with ui.element("div").classes("fp-row"):
            words(name, "fp-b")
            words(_("is no field of the called flow"), "fp-warn fp-s12")
            words("", "fp-sp")
            rest = {old: value for old, value in bindings.inputs.items() if old != name}
            bindings.row_buttons(name, 0, 1, lambda _to: None, lambda: bindings.put_anew(rest, name))
        bindings.field(
            f"/inputs/{jsonpointer.escape(name)}",
            name,
            _shown(bindings.inputs[name]),
            lambda text: bindings.put(name, text),
            single=True,
        ).classes("fp-binding--short")


def _shown(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _put(bindings: Bindings, field: Mapping[str, Any], text: str) -> Any:
    """Stores a value: text typed for a number becomes a number, and an empty field is removed from the inputs."""
    name = str(field["name"])
    if not text.strip():
        bindings.inputs = {old: value for old, value in bindings.inputs.items() if old != name}
        return bindings.on_change(dict(bindings.inputs), name)
    value: Any = text
    if str(field.get("type") or "") not in _AS_TEXT:
        try:
            value = json.loads(text)
        except ValueError:
            value = text  # the value refers to data of another node, so it stays text
    return bindings.put(name, value)
