"""The group "If it fails" of a node: what happens when it fails, with a default value in the shape of its output, the
number of tries, and the time limit.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace
from nicegui import ui

from engine.flow.default_output import default_output
from engine.flow.document import Node, Policy
from engine.flow.edits import Op, update_node
from engine.flow.node_type import THE_JOBS, NodeType
from ui.forms.form import Form
from ui.forms.specs import FieldSpec, specs_of_model, specs_of_schema
from ui.kit.feedback import fold
from ui.kit.parts import button, note
from ui.kit.text import _

#: Browser function that opens the group and moves the keyboard focus into it. The browser opens and closes the group by
#: itself, so the property that the server knows may already be set.
_OPEN = """(group, first) => {
  group.open = true;
  group.scrollIntoView({block: "start"});
  group.querySelector(`:scope > div :is(${first})`)?.focus({preventScroll: true});
}"""
#: The fields in the order in which they are shown.
_ORDER = ("on_error", "default", "retries", "timeout_seconds")


class Failing:
    """The failure settings of a node. The group is folded unless something is set."""

    def __init__(
        self, kind: NodeType, node: Callable[[], Node | None], edit_soon: Callable[[Op], None], *, readonly: bool
    ) -> None:
        self.kind = kind
        self.node = node
        self.edit_soon = edit_soon
        self.readonly = readonly
        now = node()
        policy = now.policy if now else Policy()
        with fold(_("If it fails"), open_at_first=policy != Policy()) as self.group:
            place = ui.element("div").classes("fp-foldin")
        with place:
            self.advice = ui.element("div")
            self.form = Form(self._specs(policy), policy.model_dump(), self._changed, read_only=readonly)
        self._advise(policy)

    def follow(self, policy: Policy) -> None:
        """Updates the fields after another tab or an undo changed the node."""
        if {**Policy().model_dump(), **self.form.value} != policy.model_dump():
            self._show(policy)

    def focus(self, pointer: str) -> None:
        """Opens the group and moves the keyboard focus into one of its fields, or to the suggestion of a default."""
        self.group.props("open")
        first = "button" if pointer == "/default" else "input, [tabindex='0']"
        self.group.client.run_javascript(f"({_OPEN})(getHtmlElement({self.group.id}), {json.dumps(first)})")

    def _show(self, policy: Policy) -> None:
        self.form.reshape(self._specs(policy), policy.model_dump())
        self._advise(policy)

    def _advise(self, policy: Policy) -> None:
        """Suggests a default text, which callers see, before anybody chooses to skip the step."""
        self.advice.clear()
        if self.readonly or policy.on_error == "use_default":
            return
        with self.advice, note(_advice(policy), icon="lightbulb", strong=_("Suggestion:")):
            button(_("Use a default text"), self._take_advice, icon="edit", small=True)

    def _take_advice(self) -> None:
        node = self.node()
        if node is None:
            return
        values = {
            **Policy().model_dump(),
            **self.form.value,
            "on_error": "use_default",
            "default": self._suggested(node),
        }
        self.edit_soon(update_node(node, policy=values))
        self._show(Policy.model_validate(values))

    def _suggested(self, node: Node) -> Any:
        sentence = _("{step} gave no answer.").format(step=node.name)
        return default_output(self.kind.out_schema(node.config, node.inputs), sentence)

    def _specs(self, policy: Policy) -> tuple[FieldSpec, ...]:
        node = self.node()
        limit = self.kind.limit_for(node.config if node else {})
        usual = _("the job's limit") if limit >= THE_JOBS else f"{limit:g}"
        return tuple(
            replace(spec, example=usual)
            if spec.name == "timeout_seconds"
            else self._default_spec(spec, node)
            if spec.name == "default"
            else spec
            for spec in sorted(specs_of_model(Policy), key=lambda spec: _ORDER.index(spec.name))
            if spec.name != "default" or policy.on_error == "use_default"
        )

    def _default_spec(self, spec: FieldSpec, node: Node | None) -> FieldSpec:
        """The field of the default value, with a box for each part of the node's output where they are known, and a
        value of any type where nothing is known of it.
        """
        schema = self.kind.out_schema(node.config, node.inputs) if node is not None else None
        value = node.policy.default if node is not None else None
        kind = (schema or {}).get("type")
        if schema and kind in {"object", "string"}:
            if value is not None and not isinstance(value, dict if kind == "object" else str):
                return spec
            (shaped,) = specs_of_schema({"type": "object", "properties": {"default": {**schema, "title": spec.title}}})
            return replace(shaped, help=spec.help)
        return spec

    def _changed(self, pointer: str, _value: Any) -> None:
        node = self.node()
        if node is None:
            return
        values = {**Policy().model_dump(), **self.form.value}
        if values["on_error"] != "use_default":
            values["default"] = None
        elif pointer == "/on_error" and values["default"] is None:
            values["default"] = self._suggested(node)
        self.edit_soon(update_node(node, policy=values))
        if pointer == "/on_error":
            self._show(Policy.model_validate(values))


def _advice(policy: Policy) -> str:
    if policy.on_error == "skip":
        return _(
            "a text in place of what is missing. A skipped step leaves a gap: the job is completed, and callers see "
            "only by its count of failed steps that something is missing."
        )
    return _("go on with a text that says what is missing, so that callers get the rest of the answer.")
