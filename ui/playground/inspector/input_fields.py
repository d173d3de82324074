"""Draws the inputs of a node with the fields that its type needs: a binding, rules, names and values, a list, or the
fields of a called flow.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import UnionType
from typing import Union, get_args, get_origin

from nicegui import ui
from pydantic.fields import FieldInfo

from engine.flow.rules import Rule
from ui.kit.parts import sentence, words
from ui.kit.text import _
from ui.playground.inspector.binding_fields import draw_fields
from ui.playground.inspector.binding_rows import draw_free
from ui.playground.inspector.bindings import Bindings, preview_box
from ui.playground.inspector.bound_values import BoundValue
from ui.playground.inspector.named_or_text import NamedOrText
from ui.playground.inspector.rule_rows import RuleRows


def draw_inputs(bindings: Bindings) -> None:
    """Draws all inputs of the node into the current container."""
    if bindings.fields is not None:
        draw_fields(bindings, bindings.fields)
    elif bindings.kind.free_form:
        draw_free(bindings)
    for name, info in bindings.kind.inputs.model_fields.items():
        _draw_input(bindings, name, info)


def _draw_input(bindings: Bindings, name: str, info: FieldInfo) -> None:
    value = bindings.inputs.get(name)
    title = info.title or name
    with ui.element("div").classes("fp-f"):
        with ui.element("div").classes("fp-lab") as head:
            words(title)
            if not info.is_required():
                words(_("optional"), "fp-t3")
        if get_args(info.annotation)[:1] == (Rule,) and isinstance(value, list | None):
            bindings.shown[name] = bindings.items = RuleRows(bindings, name, value or [])
        elif _extra(info, "named"):
            bindings.shown[name] = NamedOrText(bindings, head, name, title)
        else:
            single = _extra(info, "widget") not in {"textarea", "code"}
            first = not bindings.shown
            bindings.shown[name] = bound = BoundValue(
                bindings,
                lambda: f"/inputs/{name}",
                title,
                _usual(info) if value is None else value,
                lambda new: bindings.put(name, new),
                single=single,
                tall=not single and info.is_required(),
            )
            if first and "array" in _kinds(info) and "string" not in _kinds(info):
                bindings.items = bound
        bindings.offers[name] = ui.element("div")
        if info.description:
            sentence(info.description, "fp-hint")
        bindings.previews[name] = preview_box()


def _usual(info: FieldInfo) -> list[str] | dict[str, str] | None:
    """What an input without a value is shown as: an empty list, an empty group, or a text field."""
    kinds = _kinds(info)
    if "string" in kinds:
        return None
    return {} if "object" in kinds else [] if "array" in kinds else None


def _extra(info: FieldInfo, name: str) -> object:
    """What the input says of its field beside its type; None when it says nothing."""
    extra = info.json_schema_extra
    return extra.get(name) if isinstance(extra, dict) else None


def _kinds(info: FieldInfo) -> set[str]:
    """The JSON types that an input accepts, as far as its annotation states them."""
    whole = info.annotation
    parts = get_args(whole) if get_origin(whole) in {Union, UnionType} else (whole,)
    names = {dict: "object", Mapping: "object", list: "array", tuple: "array", str: "string"}
    return {names[origin] for part in parts if (origin := get_origin(part) or part) in names}
