"""The rules of a Condition as rows: a value, a comparison from a list, another value. Called by `input_fields.py`.

A change of one rule draws no other rule again.
"""

from __future__ import annotations

from typing import Any

from nicegui import ui

from engine.flow.rules import ALONE, LETTERS, MATCH_CAPITALS, OPERATOR_TITLES
from ui.forms.row_buttons import RowButtons, moved
from ui.forms.values import same
from ui.kit.parts import button, show_in_place, words
from ui.kit.text import _
from ui.playground.inspector.bindings import Bindings
from ui.playground.inspector.bound_values import BoundValue


class RuleRows:
    """One block per rule.

    An entry that is not a rule (from a hand-written file) is shown as a problem and can be removed.
    """

    def __init__(self, bindings: Bindings, name: str, rules: list[Any]) -> None:
        self.bindings, self.name = bindings, name
        self.rows: list[_Rule] = []
        self._place = ui.element("div").classes("fp-list")
        if not bindings.readonly:
            button(_("Add a rule"), self._add, icon="add", small=True).classes("fp-self-start")
        self._fill(rules)

    def put(self, value: Any) -> None:
        """Shows other rules: each block keeps its fields and takes its rule."""
        rules = value if isinstance(value, list) else []
        for row in self.rows[len(rules) :]:
            row.element.delete()
        del self.rows[len(rules) :]
        for row, rule in zip(self.rows, rules, strict=False):
            row.put(rule)
        self._fill(rules[len(self.rows) :])

    def move(self, row: _Rule, by: int) -> Any:
        """Moves a rule up or down."""
        return self.told() if moved(self.rows, row, by) else None

    def remove(self, row: _Rule) -> Any:
        """Removes a rule; the others stay as they are."""
        self.rows.remove(row)
        row.element.delete()
        return self.told()

    def told(self) -> Any:
        """Stores the rules as they are shown now."""
        self._number()
        return self.bindings.put(self.name, [row.rule for row in self.rows])

    def _number(self) -> None:
        for at, row in enumerate(self.rows):
            row.number(at, len(self.rows))

    def _fill(self, rules: list[Any]) -> None:
        for rule in rules:
            with self._place:
                self.rows.append(_Rule(self, rule))
        self._number()

    def take(self, raw: str) -> Any:
        """Puts a chip into the first rule whose left value is empty, or adds a rule with it, and stores the rules."""
        row = next((row for row in self.rows if not row.left.value), None)
        if row is None:
            self._fill([_new_rule(raw)])
        else:
            row.put({**row.as_rule(), "left": raw})
        done = self.told()
        self.bindings.drawn()
        return done

    def _add(self) -> Any:
        self._fill([_new_rule("")])
        done = self.told()
        self.rows[-1].left.focus()
        self.bindings.drawn()
        return done


def _new_rule(left: str) -> dict[str, Any]:
    return {"left": left, "operator": "equals", "right": "", "ignore_case": True}


class _Rule:
    """One rule."""

    def __init__(self, rules: RuleRows, rule: Any) -> None:
        self.rules, self.rule = rules, rule
        bindings = rules.bindings
        self._quiet = False
        self._buttons: RowButtons | None = None
        self._label = ""
        with ui.element("div").classes("fp-block") as self.element:
            with ui.element("div").classes("fp-bh"):
                self._title = words("", "fp-b fp-rule-title")
                if not bindings.readonly:
                    self._buttons = RowButtons(lambda: rules.remove(self), lambda by: rules.move(self, by))
            with ui.element("div").classes("fp-bb fp-stack"):
                self.left = self._side("left")
                self._comparison = self._draw_comparison()
                with ui.element("div") as self._right_box:
                    self.right = self._side("right")
                self._capitals = self._draw_capitals()
        self._right_box.visible = self._capitals.visible = False
        self._show()

    @property
    def _operator(self) -> Any:
        return self.as_rule().get("operator", "equals")

    def put(self, rule: Any) -> None:
        """Shows another rule."""
        if same(rule, self.rule):
            return
        self.rule = rule
        self.left.put(self.as_rule().get("left"))
        self.right.put(self.as_rule().get("right"))
        self._quiet = True
        self._comparison.value = OPERATOR_TITLES.get(self._operator)
        self._capitals.value = self.as_rule().get("ignore_case") is not True
        self._quiet = False
        self._show()

    def number(self, at: int, count: int) -> None:
        """Takes the rule's place."""
        label = _("Rule {at}").format(at=at + 1)
        if self._buttons is not None:
            self._buttons.name(label, at, count)
        if label == self._label:
            return
        self._label = self._title.text = label
        self.left.rename(_("{label}, value").format(label=label))
        self.right.rename(_("{label}, compared with").format(label=label))
        self._comparison.props["aria-label"] = _("{label}, comparison").format(label=label)
        self._capitals.props["aria-label"] = f"{label}, {MATCH_CAPITALS}"

    def as_rule(self) -> dict[str, Any]:
        """The rule; {} for an entry that is none."""
        return dict(self.rule) if isinstance(self.rule, dict) else {}

    def _side(self, key: str) -> BoundValue:
        return BoundValue(
            self.rules.bindings,
            lambda: f"/inputs/{self.rules.name}/{self.rules.rows.index(self)}/{key}",
            "",
            self.as_rule().get(key),
            lambda value: self._change(key, value),
        )

    def _draw_comparison(self) -> ui.select:
        box = ui.select(
            list(OPERATOR_TITLES.values()),
            value=OPERATOR_TITLES.get(self._operator),
            on_change=lambda event: self._compare(event.value),
        )
        box.props("outlined dense options-dense").classes("w-full")
        box.props.set_bool("readonly", self.rules.bindings.readonly)
        return box

    def _draw_capitals(self) -> ui.switch:
        toggle = ui.switch(
            MATCH_CAPITALS,
            value=self.as_rule().get("ignore_case") is not True,
            on_change=lambda event: self._quiet or self._change("ignore_case", not event.value),
        ).props("dense")
        toggle.set_enabled(not self.rules.bindings.readonly)
        return toggle

    def _show(self) -> None:
        show_in_place(self._right_box, shown=self._operator not in ALONE)
        show_in_place(self._capitals, shown=self._operator in LETTERS)

    def _change(self, key: str, value: Any) -> Any:
        self.rule = {**self.as_rule(), key: value}
        return self.rules.told()

    def _compare(self, title: str) -> Any:
        if self._quiet:
            return None
        operator = next(one for one, words in OPERATOR_TITLES.items() if words == title)
        rule = {**self.as_rule(), "operator": operator}
        if operator in ALONE:
            rule.pop("right", None)
        elif self.right.value not in (None, ""):
            rule["right"] = self.right.value
        self.rule = rule
        self._show()
        return self.rules.told()
