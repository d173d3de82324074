"""Editing a node's inputs: one field per binding, rows for free-form names, keys and lists."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, get_origin

from nicegui import ui
from pydantic.fields import FieldInfo

from engine.flow.document import Node
from engine.flow.node_type import NodeType
from ui.look.parts import button, icon, icon_button, words
from ui.look.text import _
from ui.playground.binding_field import BindingField

#: Told the new inputs of the node and which input changed.
Changed = Callable[[dict[str, Any], str], Any]


class Bindings:
    """The inputs of one node as fields. The field that had the focus last takes the next chip."""

    def __init__(self, node: Node, kind: NodeType, labels: Mapping[str, str], on_change: Changed) -> None:
        self.node = node
        self.kind = kind
        self.labels = dict(labels)
        self.inputs: dict[str, Any] = dict(node.inputs)
        self.on_change = on_change
        self.active: BindingField | None = None
        self.fields: list[tuple[str, BindingField]] = []
        self.previews: dict[str, ui.element] = {}
        self.box = ui.element("div").classes("fp-stack")
        self._draw()

    def insert(self, raw: str) -> bool:
        """Puts a reference into the field that had the focus last, else the first. False when there is no field."""
        field = self.active or (self.fields[0][1] if self.fields else None)
        if field is None:
            return False
        field.insert(raw)
        return True

    def show_problems(self, problems: Mapping[str, str]) -> None:
        """Marks fields by pointer (`/inputs/url`)."""
        for pointer, field in self.fields:
            field.props["bad"] = any(found.startswith(pointer) for found in problems)

    def show_raw(self, raw: bool) -> None:  # noqa: FBT001 - bound to a switch
        """Chips or `{{ }}`."""
        for _pointer, field in self.fields:
            field.show_raw(raw)

    def _draw(self) -> None:
        self.box.clear()
        self.fields.clear()
        self.previews.clear()
        self.active = None
        with self.box:
            if self.kind.free_form:
                self._draw_free()
                return
            for name, info in self.kind.inputs.model_fields.items():
                self._draw_input(name, info)

    def _draw_input(self, name: str, info: FieldInfo) -> None:
        value = self.inputs.get(name)
        title = info.title or name
        with ui.element("div").classes("fp-f"):
            with ui.element("div").classes("fp-lab"):
                words(title)
                if not info.is_required():
                    words(_("optional"), "fp-t3")
            kinds = _kinds(info)
            if isinstance(value, dict) or (value is None and "object" in kinds and "string" not in kinds):
                self._draw_rows(name, value or {}, title)
            elif isinstance(value, list) or (value is None and "array" in kinds and "string" not in kinds):
                self._draw_list(name, value or [], title)
            else:
                single = _widget(info) not in {"textarea", "code"}
                self._field(f"/inputs/{name}", title, value, lambda text: self._put(name, text), single=single)
            self.previews[name] = ui.element("div")
            if info.description:
                words(info.description, "fp-hint", tag="p")

    def _draw_free(self) -> None:
        for name in list(self.inputs):
            with ui.element("div").classes("fp-f"):
                with ui.element("div").classes("fp-row").style("margin-bottom: 5px"):
                    label = ui.input(value=name).props("outlined dense").style("flex: 1")
                    label.props["aria-label"] = _("Field name")
                    label.on("change", lambda _event, old=name, box=label: self._rename(old, box))
                    icon_button("delete", f"{_('Remove')} {name}", lambda name=name: self._remove(name))
                self._field(
                    f"/inputs/{name}",
                    name,
                    self.inputs[name],
                    lambda text, name=name: self._put(name, text),
                    single=False,
                )
                self.previews[name] = ui.element("div")
        if not self.inputs:
            words(_("No fields yet. Add one for each value."), "fp-t2", tag="p")
        button(_("Add a field"), self._add, icon="add", small=True)

    def _draw_rows(self, name: str, value: dict[str, Any], title: str) -> None:
        for key in list(value):
            with ui.element("div").classes("fp-row").style("align-items: flex-start; margin-bottom: 6px"):
                box = ui.input(value=key).props("outlined dense").style("width: 116px; flex: none")
                box.props["aria-label"] = f"{title}: {_('name')}"
                box.on("change", lambda _event, old=key, box=box: self._rename_key(name, old, box.value or ""))
                self._field(
                    f"/inputs/{name}/{key}",
                    f"{title}: {key}",
                    value[key],
                    lambda text, key=key: self._put(name, {**(self.inputs.get(name) or {}), key: text}),
                    single=True,
                )
                icon_button("delete", f"{_('Remove')} {key}", lambda key=key: self._drop_key(name, key))
        button(_("Add"), lambda: self._add_key(name), icon="add", small=True).props["aria-label"] = (
            f"{_('Add to')} {title}"
        )

    def _draw_list(self, name: str, value: list[Any], title: str) -> None:
        for position, item in enumerate(value):
            with ui.element("div").classes("fp-row").style("margin-bottom: 6px"):
                self._field(
                    f"/inputs/{name}/{position}",
                    f"{title} {position + 1}",
                    item,
                    lambda text, position=position: self._put_item(name, position, text),
                    single=True,
                )
                icon_button(
                    "delete",
                    f"{_('Remove')} {title} {position + 1}",
                    lambda position=position: self._drop_item(name, position),
                )
        button(_("Add"), lambda: self._redraw_with(name, [*(self.inputs.get(name) or []), ""]), icon="add", small=True)

    def _field(self, pointer: str, label: str, value: Any, on_change: Callable[[str], Any], *, single: bool) -> None:
        text = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
        place = len(self.fields)
        field = BindingField(
            text,
            label=label,
            labels=self.labels,
            on_change=on_change,
            on_active=lambda: self._activate(place),
            single=single,
            placeholder=_("Type, or choose data below"),
        )
        self.fields.append((pointer, field))

    def _activate(self, place: int) -> None:
        self.active = self.fields[place][1]

    def _put(self, name: str, value: Any) -> Any:
        self.inputs = {**self.inputs, name: value}
        if value == "" and not self.kind.free_form:
            self.inputs.pop(name)
        return self.on_change(dict(self.inputs), name)

    def _redraw_with(self, name: str, value: Any) -> Any:
        done = self._put(name, value)
        self._draw()
        return done

    def _put_item(self, name: str, position: int, text: str) -> Any:
        items = list(self.inputs.get(name) or [])
        items[position] = text
        return self._put(name, items)

    def _drop_item(self, name: str, position: int) -> Any:
        items = list(self.inputs.get(name) or [])
        return self._redraw_with(name, items[:position] + items[position + 1 :])

    def _add_key(self, name: str) -> Any:
        value = dict(self.inputs.get(name) or {})
        number = 1
        while f"name_{number}" in value:
            number += 1
        return self._redraw_with(name, {**value, f"name_{number}": ""})

    def _drop_key(self, name: str, key: str) -> Any:
        return self._redraw_with(
            name, {old: value for old, value in (self.inputs.get(name) or {}).items() if old != key}
        )

    def _rename_key(self, name: str, old: str, new: str) -> Any:
        value = self.inputs.get(name) or {}
        if not new.strip() or new in value:
            return None
        return self._redraw_with(name, {new.strip() if key == old else key: item for key, item in value.items()})

    def _add(self) -> Any:
        number = len(self.inputs) + 1
        while f"field_{number}" in self.inputs:
            number += 1
        name = f"field_{number}"
        self.inputs = {**self.inputs, name: ""}
        done = self.on_change(dict(self.inputs), name)
        self._draw()
        return done

    def _remove(self, name: str) -> Any:
        self.inputs = {old: value for old, value in self.inputs.items() if old != name}
        done = self.on_change(dict(self.inputs), name)
        self._draw()
        return done

    def _rename(self, old: str, box: ui.input) -> Any:
        new = (box.value or "").strip()
        if new == old:
            return None
        if not new or new in self.inputs:
            reason = _("A field needs a name.") if not new else _("Another field has this name.")
            box.props(f"error error-message={json.dumps(reason)}")
            return None
        self.inputs = {new if name == old else name: value for name, value in self.inputs.items()}
        done = self.on_change(dict(self.inputs), new)
        self._draw()
        return done


def preview(box: ui.element, value: Any) -> None:
    """The value of the last run under a field."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    box.clear()
    with box, ui.element("div").classes("fp-pv"):
        icon("visibility", size=14)
        with ui.element("span"):
            words(_("Last run:") + " ", "fp-b")
            words(text[:400] if text else _("(empty)"))


def _widget(info: FieldInfo) -> str:
    extra = info.json_schema_extra
    return str(extra.get("widget", "")) if isinstance(extra, dict) else ""


def _kinds(info: FieldInfo) -> set[str]:
    """The JSON types an input takes, as far as its annotation says."""
    parts = [info.annotation, *getattr(info.annotation, "__args__", ())]
    found = set()
    for part in parts:
        origin = get_origin(part) or part
        if origin in {dict, Mapping}:
            found.add("object")
        elif origin in {list, tuple}:
            found.add("array")
        elif origin is str:
            found.add("string")
    return found
