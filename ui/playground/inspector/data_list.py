"""The list of data from earlier nodes (`assets/components/data_list.js`): searchable chips to drag, click or press
Enter on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nicegui.element import Element

from engine.core.paths import ASSETS
from engine.flow.references import SYSTEM
from engine.nodes import CATALOG
from ui.kit.text import _
from ui.playground.inspector.fixed_value import say_fixed
from ui.playground.state.available_data import Datum, Source

_COMPONENT = ASSETS / "components" / "data_list.js"
_WORDS = {
    "find": _("Find data"),
    "values": _("Values"),
    "nothing": _("No data of this name."),
    "insert": _("Insert"),
    "inside": _("What is inside"),
    "last": _("Last run:"),
    "more": _("Show all earlier steps"),
}


class DataList(Element, component=_COMPONENT):
    """The element.

    `on_pick` gets `{raw, name}` when no field could take the chip; `on_all` is called to load omitted sources. A chip goes
    nowhere while a field that takes no data has the keyboard.
    """

    def __init__(self, *, on_pick: Callable[[dict[str, str]], Any], on_all: Callable[[], Any]) -> None:
        super().__init__()
        self.props.update(sources=[], more=False, words=_WORDS)
        self.on("pick", lambda event: on_pick(event.args))
        self.on("fixed", lambda event: say_fixed(event.args))
        self.on("all", lambda _event: on_all() if self.props["more"] else None)

    def show(self, sources: Sequence[Source], *, more: bool) -> None:
        """Shows these sources; `more` is true when further earlier nodes exist."""
        self.props.update(sources=[_source(source) for source in sources], more=more)
        self.update()


def _source(source: Source) -> dict[str, Any]:
    kind = CATALOG.get(source.node.type)
    return {
        "id": source.node.id,
        "label": source.node.name,
        "group": kind.group if kind else "transform",
        "icon": kind.icon if kind else "schedule" if source.node.id == SYSTEM else "help",
        "data": [_datum(datum) for datum in source.data],
    }


def _datum(datum: Datum) -> dict[str, Any]:
    shown: dict[str, Any] = {"raw": datum.raw, "name": datum.name, "type": datum.type_word}
    if datum.whole:
        shown["whole"] = True
    if datum.open:
        shown["open"] = True
    if datum.also:
        shown["also"] = datum.also
    if datum.value:
        shown["value"] = datum.value
    if datum.is_list:
        shown["fields"] = list(datum.fields)
    if datum.inside:
        shown["inside"] = [_datum(inner) for inner in datum.inside]
    return shown
