"""The group "If it fails" of a node: time limit, number of tries, and what happens after the last one, with a default
value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from nicegui import ui

from engine.flow.document import Node, Policy
from engine.flow.edits import Op, update_node
from engine.flow.node_type import THE_JOBS, NodeType
from ui.forms.form import Form
from ui.forms.specs import FieldSpec, specs_of_model
from ui.kit.feedback import fold
from ui.kit.text import _

_WORDS = {"fail": _("Stop the job"), "skip": _("Skip this step"), "use_default": _("Use a default value")}


class Failing:
    """The failure settings of a node. The group is folded unless something is set."""

    def __init__(
        self, kind: NodeType, node: Callable[[], Node | None], edit_soon: Callable[[Op], None], *, readonly: bool
    ) -> None:
        self.kind = kind
        self.node = node
        self.edit_soon = edit_soon
        now = node()
        policy = now.policy if now else Policy()
        with fold(_("If it fails"), open_at_first=policy != Policy()):
            place = ui.element("div").classes("fp-foldin")
        with place:
            self.form = Form(self._specs(policy), policy.model_dump(), self._changed, read_only=readonly)

    def follow(self, policy: Policy) -> None:
        """Updates the fields after another tab or an undo changed the node."""
        if {**Policy().model_dump(), **self.form.value} != policy.model_dump():
            self.form.specs = self._specs(policy)
            self.form.set_value(policy.model_dump())

    def _specs(self, policy: Policy) -> tuple[FieldSpec, ...]:
        node = self.node()
        limit = self.kind.limit_for(node.config if node else {})
        usual = _("the job's limit") if limit >= THE_JOBS else f"{limit:g}"
        return tuple(
            replace(spec, example=usual)
            if spec.name == "timeout_seconds"
            else replace(spec, choices=tuple(_WORDS.items()))
            if spec.name == "on_error"
            else spec
            for spec in specs_of_model(Policy)
            if spec.name != "default" or policy.on_error == "use_default"
        )

    def _changed(self, pointer: str, _value: Any) -> None:
        node = self.node()
        if node is None:
            return
        values = {**Policy().model_dump(), **self.form.value}
        if values["on_error"] != "use_default":
            values["default"] = None
        self.edit_soon(update_node(node, policy=values))
        if pointer == "/on_error":
            self.form.specs = self._specs(Policy.model_validate(values))
            self.form.set_value(values)
            self.form.focus("/on_error")
