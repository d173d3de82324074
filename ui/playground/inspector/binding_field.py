"""The text field of the Playground: CodeMirror with references as chips (`assets/components/binding_field.js`).

It saves by small edits: the browser sends where the text changed and what stands there now, never the whole text.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import nicegui.elements.codemirror  # noqa: F401 - puts CodeMirror into the import map of pages
from nicegui import background_tasks
from nicegui.element import Element
from nicegui.events import GenericEventArguments

from engine.core.paths import ASSETS
from ui.flow_view.canvas_types import NodeName

_COMPONENT = ASSETS / "components" / "binding_field.js"


class BindingField(Element, component=_COMPONENT):
    """A text with references. `on_change` gets the raw text (with `{{ }}`).

    `single`: one value, one line; a chip replaces it. `language`: coloured as this language (`json`).
    """

    def __init__(
        self,
        value: str,
        *,
        label: str,
        nodes: Mapping[str, NodeName],
        on_change: Callable[[str], Any],
        single: bool = False,
        placeholder: str = "",
        language: str = "",
        readonly: bool = False,
    ) -> None:
        super().__init__()
        self.on_change = on_change
        self.props.update(
            value=value, label=label, nodes=dict(nodes), single=single, placeholder=placeholder, language=language
        )
        self.props["readonly"] = readonly
        self.on("change", self._changed)

    @property
    def text(self) -> str:
        """The raw text as the server knows it."""
        return str(self.props["value"])

    def insert(self, raw: str) -> None:
        """Puts a reference in."""
        self.run_method("insert", raw)

    def put(self, value: str) -> None:
        """Another value from outside; nothing is told."""
        if value != self.text:
            self.props["value"] = value
            self.run_method("replace", value)

    def show_trouble(self, *, bad: bool, broken: Sequence[str]) -> None:
        """Whether the value has a problem, and which of its references (with their braces) cannot be found."""
        if (bad, list(broken)) != (self.props.get("bad", False), self.props.get("broken", [])):
            self.props.update(bad=bad, broken=list(broken))
            self.update()

    def name_nodes(self, nodes: Mapping[str, NodeName]) -> None:
        """What chips say of these nodes."""
        self.props["nodes"] = dict(nodes)
        self.update()

    def describe(self, element_id: str) -> None:
        """Ties a help or error text to the field."""
        self.props["describedby"] = element_id

    def show_raw(self, raw: bool) -> None:  # noqa: FBT001 - bound to a switch
        """The raw form with `{{ }}` instead of chips."""
        self.props["raw"] = raw
        self.update()

    def focus(self) -> None:
        """Puts the caret in."""
        self.run_method("focus")

    def _changed(self, event: GenericEventArguments) -> Any:
        text = with_change(self.text, event.args)
        if text is None:
            background_tasks.create(self._ask_whole(), name="whole text of a field")
            return None
        self.props["value"] = text
        return self.on_change(text)

    async def _ask_whole(self) -> None:
        """The browser knows another text than the server (a lost message): it is asked for all of it."""
        with self:
            text = str(await self.run_method("read", timeout=5))
            self.props["value"] = text
            done = self.on_change(text)
            if hasattr(done, "__await__"):
                await done


def with_change(text: str, change: Mapping[str, Any]) -> str | None:
    """The text after `{from, to, text, base}` in UTF-16 units; None when it was made to another text (`base`: its CRC-32)."""
    units = text.encode("utf-16-le", "surrogatepass")
    start, end = int(change["from"]) * 2, int(change["to"]) * 2
    if zlib.crc32(units) != change["base"] or not 0 <= start <= end <= len(units):
        return None
    changed = units[:start] + str(change["text"]).encode("utf-16-le", "surrogatepass") + units[end:]
    return changed.decode("utf-16-le", "surrogatepass")
