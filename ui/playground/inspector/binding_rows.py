"""Inputs with any number of entries: fields that the designer names (API Output), headers, lists.

Called by `input_fields.py`.
"""

from __future__ import annotations

import json
from typing import Any

import jsonpointer
from nicegui import ui

from ui.kit.parts import button, menu_button, menu_item, words
from ui.kit.text import _
from ui.playground.inspector.bindings import Bindings


def draw_free(bindings: Bindings) -> None:
    """One field per name, each with a menu, and a button that adds one."""
    names = list(bindings.inputs)
    for at, name in enumerate(names):
        with ui.element("div").classes("fp-f fp-free"):
            with ui.element("div").classes("fp-row fp-free-head"):
                box = ui.input(value=name).props("outlined dense").style("flex: 1")
                box.props["aria-label"] = _("Field name")
                box.set_enabled(not bindings.readonly)
                box.on("change", lambda _event, old=name, box=box: _rename(bindings, old, box))
                bindings.names[f"/inputs/{jsonpointer.escape(name)}"] = box
                bindings.row_buttons(
                    name,
                    at,
                    len(names),
                    lambda to, name=name: _move_name(bindings, name, to),
                    lambda name=name: bindings.put_anew(
                        {old: value for old, value in bindings.inputs.items() if old != name}, name
                    ),
                )
                if not bindings.readonly:
                    _kind_menu(bindings, name)
            bindings.field(
                f"/inputs/{jsonpointer.escape(name)}",
                name,
                bindings.inputs[name],
                lambda value, name=name: bindings.put(name, value),
                single=False,
            ).classes("fp-binding--short")
            bindings.previews[name] = ui.element("div")
    if not names:
        words(_("No fields yet. Drag data here, or add a field for each value."), "fp-t2", tag="p")
    bindings.offers[""] = ui.element("div")
    if not bindings.readonly:
        button(_("Add a field"), lambda: _add(bindings), icon="add", small=True).classes("fp-self-start")


def draw_rows(bindings: Bindings, name: str, value: dict[str, Any], title: str) -> None:
    """Draws rows of a name and a value, both free."""
    keys = list(value)
    for key in keys:
        with ui.element("div").classes("fp-row fp-pairrow"):
            box = ui.input(value=key).props("outlined dense").style("width: 116px; flex: none")
            box.props["aria-label"] = f"{title}: {_('name')}"
            box.set_enabled(not bindings.readonly)
            box.on("change", lambda _event, old=key, box=box: _rename_key(bindings, name, old, box.value or ""))
            bindings.names[f"/inputs/{name}/{jsonpointer.escape(key)}"] = box
            with ui.element("div").style("flex: 1; min-width: 0"):
                bindings.field(
                    f"/inputs/{name}/{jsonpointer.escape(key)}",
                    f"{title}: {key}",
                    value[key],
                    lambda new, key=key: bindings.put(name, {**_dict_at(bindings, name), key: new}),
                    single=True,
                )
            bindings.row_buttons(
                key,
                0,
                1,
                lambda _to: None,
                lambda key=key: _put(bindings, name, {k: v for k, v in _dict_at(bindings, name).items() if k != key}),
            )
    if not bindings.readonly:
        add = button(_("Add"), lambda: _add_key(bindings, name), icon="add", small=True)
        add.props["aria-label"] = f"{_('Add to')} {title}"


def draw_list(bindings: Bindings, name: str, value: list[Any], title: str) -> None:
    """Draws one field per entry, with buttons that move it up and down."""

    def put(entries: list[Any]) -> Any:
        return _put(bindings, name, entries)

    def move(at: int, to: int) -> Any:
        entries = _list_at(bindings, name)
        entries.insert(to, entries.pop(at))
        return put(entries)

    def change(at: int, new: Any) -> Any:
        entries = _list_at(bindings, name)
        entries[at] = new
        return bindings.put(name, entries)

    for at, item in enumerate(value):
        with ui.element("div").classes("fp-row fp-pairrow"):
            with ui.element("div").style("flex: 1; min-width: 0"):
                bindings.field(
                    f"/inputs/{name}/{at}", f"{title} {at + 1}", item, lambda new, at=at: change(at, new), single=True
                )
            bindings.row_buttons(
                f"{title} {at + 1}",
                at,
                len(value),
                lambda to, at=at: move(at, to),
                lambda at=at: put([one for number, one in enumerate(_list_at(bindings, name)) if number != at]),
            )

    def add_one() -> Any:
        done = put([*_list_at(bindings, name), ""])
        bindings.focus(f"/inputs/{name}/{len(_list_at(bindings, name)) - 1}")
        return done

    if not bindings.readonly:
        add = button(_("Add"), add_one, icon="add", small=True)
        add.props["aria-label"] = f"{_('Add to')} {title}"


def _kind_menu(bindings: Bindings, name: str) -> None:
    """Menu that switches a field between text with references and a JSON value (a number, object or list)."""
    is_text = isinstance(bindings.inputs[name], str)

    def switch() -> Any:
        value = bindings.inputs[name]
        if not is_text:
            return bindings.put_anew({**bindings.inputs, name: json.dumps(value, ensure_ascii=False)}, name)
        try:
            fresh = json.loads(value) if value.strip() else {}
        except ValueError:
            fresh = {"value": value}
        return bindings.put_anew({**bindings.inputs, name: {} if isinstance(fresh, str) else fresh}, name)

    with menu_button(f"{_('More for')} {name}", name="more_vert"):
        menu_item(_("Write as JSON") if is_text else _("Write as text"), switch, icon="data_object")


def _put(bindings: Bindings, name: str, value: Any) -> Any:
    return bindings.put_anew({**bindings.inputs, name: value}, name)


def _dict_at(bindings: Bindings, name: str) -> dict[str, Any]:
    value = bindings.inputs.get(name)
    return dict(value) if isinstance(value, dict) else {}


def _list_at(bindings: Bindings, name: str) -> list[Any]:
    value = bindings.inputs.get(name)
    return list(value) if isinstance(value, list) else []


def _add(bindings: Bindings) -> Any:
    number = len(bindings.inputs) + 1
    while f"field_{number}" in bindings.inputs:
        number += 1
    done = bindings.put_anew({**bindings.inputs, f"field_{number}": ""}, f"field_{number}")
    bindings.name(f"/inputs/field_{number}")
    return done


def _move_name(bindings: Bindings, name: str, to: int) -> Any:
    names = list(bindings.inputs)
    names.insert(to, names.pop(names.index(name)))
    return bindings.put_anew({one: bindings.inputs[one] for one in names}, name)


def _rename(bindings: Bindings, old: str, box: ui.input) -> Any:
    new = (box.value or "").strip()
    if new == old:
        return None
    if not new or new in bindings.inputs:
        reason = _("A field needs a name.") if not new else _("Another field has this name.")
        box.props(f"error error-message={json.dumps(reason)}")
        return None
    return bindings.put_anew({new if name == old else name: value for name, value in bindings.inputs.items()}, new)


def _add_key(bindings: Bindings, name: str) -> Any:
    value = _dict_at(bindings, name)
    number = 1
    while f"name_{number}" in value:
        number += 1
    done = _put(bindings, name, {**value, f"name_{number}": ""})
    bindings.name(f"/inputs/{name}/name_{number}")
    return done


def _rename_key(bindings: Bindings, name: str, old: str, new: str) -> Any:
    value = _dict_at(bindings, name)
    if not new.strip() or new in value:
        return None
    return _put(bindings, name, {new.strip() if key == old else key: item for key, item in value.items()})
