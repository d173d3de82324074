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
from ui.playground.inspector.binding_rows import draw_free, draw_list, draw_rows
from ui.playground.inspector.bindings import Bindings
from ui.playground.inspector.rule_rows import draw_rules


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
        with ui.element("div").classes("fp-lab"):
            words(title)
            if not info.is_required():
                words(_("optional"), "fp-t3")
        kinds = _kinds(info)
        if get_args(info.annotation)[:1] == (Rule,) and isinstance(value, list | None):
            draw_rules(bindings, name, value or [], title)
        elif isinstance(value, dict) or (value is None and "object" in kinds and "string" not in kinds):
            draw_rows(bindings, name, value or {}, title)
        elif isinstance(value, list) or (value is None and "array" in kinds and "string" not in kinds):
            draw_list(bindings, name, value or [], title)
        else:
            single = _widget(info) not in {"textarea", "code"}
            field = bindings.field(f"/inputs/{name}", title, value, lambda new: bindings.put(name, new), single=single)
            if not info.is_required():
                field.classes("fp-binding--short")
        bindings.offers[name] = ui.element("div")
        bindings.previews[name] = ui.element("div")
        if info.description:
            sentence(info.description, "fp-hint")


def _widget(info: FieldInfo) -> str:
    extra = info.json_schema_extra
    return str(extra.get("widget", "")) if isinstance(extra, dict) else ""


def _kinds(info: FieldInfo) -> set[str]:
    """The JSON types that an input accepts, as far as its annotation states them."""
    whole = info.annotation
    parts = get_args(whole) if get_origin(whole) in {Union, UnionType} else (whole,)
    names = {dict: "object", Mapping: "object", list: "array", tuple: "array", str: "string"}
    return {names[origin] for part in parts if (origin := get_origin(part) or part) in names}
