"""The field that shows references as chips (`assets/components/binding_field.js`)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from nicegui.element import Element
from nicegui.events import GenericEventArguments

_COMPONENT = Path(__file__).parents[2] / "assets" / "components" / "binding_field.js"


class BindingField(Element, component=_COMPONENT):
    """A text with references.

    `on_change` gets the raw text (with `{{ }}`), `on_active` says that this field takes the next chip.
    """

    def __init__(
        self,
        value: str,
        *,
        label: str,
        labels: dict[str, str],
        on_change: Callable[[str], Any],
        on_active: Callable[[], Any],
        single: bool = False,
        placeholder: str = "",
    ) -> None:
        super().__init__()
        self._props.update(value=value, label=label, labels=labels, single=single, placeholder=placeholder)

        def changed(event: GenericEventArguments) -> Any:
            self._props["value"] = event.args
            return on_change(event.args)

        self.on("change", changed)
        self.on("active", lambda _: on_active())

    def insert(self, raw: str) -> None:
        """Puts a reference in."""
        self.run_method("insert", raw)

    def show(self, value: str, *, bad: bool, broken: list[str]) -> None:
        """Another value from outside, and whether it has a problem."""
        self._props.update(value=value, bad=bad, broken=broken)
        self.update()

    def show_raw(self, raw: bool) -> None:  # noqa: FBT001 - bound to a switch
        """The raw form with `{{ }}` instead of chips."""
        self._props["raw"] = raw
        self.update()
