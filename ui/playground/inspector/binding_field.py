"""The text field for bindings: CodeMirror with references shown as chips (`assets/components/binding_field.js`).

The browser sends each edit as the changed range and its new text, never the whole text.
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
    """A text field with references. `on_change` gets the raw text, with references as `{{ }}`.

    `single`: the field holds one value in one line, and inserting a chip replaces the value. `language`: the syntax
    highlighting, for example `json`.
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
        if not readonly:
            self.on("change", self._changed)

    @property
    def text(self) -> str:
        """The raw text as last received from the browser or set by the server."""
        return str(self.props["value"])

    def insert(self, raw: str) -> None:
        """Inserts a reference at the caret."""
        self.run_method("insert", raw)

    def put(self, value: str) -> None:
        """Sets the value from the server without calling `on_change`."""
        if value != self.text:
            self.props["value"] = value
            self.run_method("replace", value)

    def show_trouble(self, *, bad: bool, broken: Sequence[str]) -> None:
        """Marks the field as invalid, and its references (with their braces) that cannot be resolved."""
        if (bad, list(broken)) != (self.props.get("bad", False), self.props.get("broken", [])):
            self.props.update(bad=bad, broken=list(broken))
            self.update()

    def name_nodes(self, nodes: Mapping[str, NodeName]) -> None:
        """Sets the names of nodes that chips show."""
        self.props["nodes"] = dict(nodes)
        self.update()

    def describe(self, element_id: str) -> None:
        """Connects a help or error text to the field for screen readers."""
        self.props["describedby"] = element_id

    def show_raw(self, raw: bool) -> None:  # noqa: FBT001 - bound to a switch
        """Switches between chips and the raw form with `{{ }}`."""
        self.props["raw"] = raw
        self.update()

    def focus(self) -> None:
        """Moves the keyboard focus into the field."""
        self.run_method("focus")

    def take_next(self) -> None:
        """Makes this the field that takes the next chip; the keyboard focus stays where it is."""
        self.run_method("takeNext")

    def split_lines(self, on_lines: Callable[[str], Any]) -> None:
        """Makes the field an item of a list: text of several lines that is put in goes to `on_lines`."""
        self.props["item"] = True
        self.on("lines", lambda event: on_lines(str(event.args)))

    def ask_at_lists(self, on_list: Callable[[str, int, Sequence[str]], Any]) -> None:
        """Lets a press on the chip of a list call `on_list` with the chip's text, how many equal chips stand before it, and
        the fields of an item.
        """

        def pressed(event: GenericEventArguments) -> Any:
            said = event.args
            return on_list(str(said["raw"]), int(said["before"]), [str(one) for one in said["fields"]])

        self.props["lists"] = True
        self.on("list", pressed)

    def _changed(self, event: GenericEventArguments) -> Any:
        text = with_change(self.text, event.args)
        if text is None:
            background_tasks.create(self._ask_whole(), name="whole text of a field")
            return None
        self.props["value"] = text
        return self.on_change(text)

    async def _ask_whole(self) -> None:
        """Asks the browser for the whole text, after a lost message made its text differ from the server's."""
        with self:
            text = str(await self.run_method("read", timeout=5))
            self.props["value"] = text
            done = self.on_change(text)
            if hasattr(done, "__await__"):
                await done


def with_change(text: str, change: Mapping[str, Any]) -> str | None:
    """Applies a change `{from, to, text, base}` in UTF-16 units.

    None when `base`, the CRC-32 of the text it was made to, differs.
    """
    units = text.encode("utf-16-le", "surrogatepass")
    start, end = int(change["from"]) * 2, int(change["to"]) * 2
    if zlib.crc32(units) != change["base"] or not 0 <= start <= end <= len(units):
        return None
    changed = units[:start] + str(change["text"]).encode("utf-16-le", "surrogatepass") + units[end:]
    return changed.decode("utf-16-le", "surrogatepass")
