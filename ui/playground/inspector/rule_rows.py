"""The rules of a Condition as rows: a value, a comparison from a list, another value. Called by `input_fields.py`."""

from __future__ import annotations

from typing import Any

from nicegui import ui

from engine.flow.rules import ALONE, LETTERS, MATCH_CAPITALS, OPERATOR_TITLES
from ui.kit.parts import button, words
from ui.kit.text import _
from ui.playground.inspector.bindings import Bindings


def draw_rules(bindings: Bindings, name: str, rules: list[Any], title: str) -> None:
    """Draws one block per rule.

    An entry that is not a rule (from a hand-written file) is shown as a problem and can be removed.
    """

    def put(entries: list[Any]) -> Any:
        return bindings.put_anew({**bindings.inputs, name: entries}, name)

    def move(at: int, to: int) -> Any:
        entries = _rules(bindings, name)
        entries.insert(to, entries.pop(at))
        return put(entries)

    def change(at: int, key: str, value: Any) -> Any:
        entries = _rules(bindings, name)
        entries[at] = {**_rule(entries[at]), key: value}
        return bindings.put(name, entries)

    def compare(at: int, title: str) -> Any:
        entries = _rules(bindings, name)
        operator = next(one for one, words in OPERATOR_TITLES.items() if words == title)
        rule = {**_rule(entries[at]), "operator": operator}
        if operator in ALONE:
            rule.pop("right", None)
        entries[at] = rule
        return put(entries)

    with ui.element("div").classes("fp-list"):
        for at, item in enumerate(rules):
            rule, label = _rule(item), f"{_('Rule')} {at + 1}"
            operator = rule.get("operator", "equals")
            with ui.element("div").classes("fp-block"):
                with ui.element("div").classes("fp-bh"):
                    words(label, "fp-b").style("flex: 1; padding-left: 8px")
                    bindings.row_buttons(
                        label,
                        at,
                        len(rules),
                        lambda to, at=at: move(at, to),
                        lambda at=at: put([one for number, one in enumerate(_rules(bindings, name)) if number != at]),
                    )
                with ui.element("div").classes("fp-bb fp-stack"):
                    _side(bindings, f"/inputs/{name}/{at}/left", f"{label}, {_('value')}", rule.get("left"),
                          lambda value, at=at: change(at, "left", value))  # fmt: skip
                    _comparison(
                        bindings, f"{label}, {_('comparison')}", operator, lambda word, at=at: compare(at, word)
                    )
                    if operator not in ALONE:
                        _side(bindings, f"/inputs/{name}/{at}/right", f"{label}, {_('compared with')}", rule.get("right"),
                              lambda value, at=at: change(at, "right", value))  # fmt: skip
                    if operator in LETTERS:
                        _capitals(bindings, label, rule, lambda on, at=at: change(at, "ignore_case", not on))

    def add() -> Any:
        fresh = {"left": "", "operator": "equals", "right": "", "ignore_case": True}
        done = put([*_rules(bindings, name), fresh])
        bindings.focus(f"/inputs/{name}/{len(_rules(bindings, name)) - 1}/left")
        return done

    if not bindings.readonly:
        button(_("Add a rule"), add, icon="add", small=True).classes("fp-self-start")


def _side(bindings: Bindings, pointer: str, label: str, value: Any, on_change: Any) -> None:
    with ui.element("div"):
        bindings.field(pointer, label, value, on_change, single=True)


def _comparison(bindings: Bindings, label: str, operator: Any, on_pick: Any) -> None:
    box = ui.select(
        list(OPERATOR_TITLES.values()),
        value=next((words for one, words in OPERATOR_TITLES.items() if one == operator), None),
        on_change=lambda event: on_pick(event.value),
    )
    box.props("outlined dense options-dense").classes("w-full")
    box.props["aria-label"] = label
    box.set_enabled(not bindings.readonly)


def _capitals(bindings: Bindings, label: str, rule: dict[str, Any], on_change: Any) -> None:
    toggle = ui.switch(
        MATCH_CAPITALS, value=rule.get("ignore_case") is not True, on_change=lambda event: on_change(bool(event.value))
    )
    toggle.props("dense")
    toggle.props["aria-label"] = f"{label}, {MATCH_CAPITALS}"
    toggle.set_enabled(not bindings.readonly)


def _rule(item: Any) -> dict[str, Any]:
    return dict(item) if isinstance(item, dict) else {}


def _rules(bindings: Bindings, name: str) -> list[Any]:
    value = bindings.inputs.get(name)
    return list(value) if isinstance(value, list) else []
