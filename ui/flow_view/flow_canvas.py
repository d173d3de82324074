"""The flow canvas as a NiceGUI element that shows a flow without editing it.

The server calls methods in the browser; the browser sends events. The Vue source and its bundle are in
`assets/canvas`. Events arrive as plain dicts:

* `on_ready {flowId, clientId, seq, kept}`: the browser shows the canvas. The server answers with `load_graph`,
  then `set_marks`.
* `on_select {nodes[], edges[], notes[]}`: the selection changed.
* `on_open {id, problem}`: the person opened a node or its problem.

`ui/playground/canvas/canvas_element.py` adds the editing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from nicegui.awaitable_response import AwaitableResponse
from nicegui.element import Element

from engine.core.paths import ASSETS
from ui.flow_view.canvas_types import ListScope, Marks, NodeTypeView, Status, Traffic
from ui.flow_view.large_integers import to_canvas

BUNDLE = ASSETS / "canvas" / "dist" / "flow_canvas.js"

Listener = Callable[[dict[str, Any]], Awaitable[None] | None]


class FlowCanvas(Element, component=BUNDLE):
    """The canvas. It fills its parent element and is empty until `load_graph` is called."""

    def __init__(
        self,
        flow_id: str,
        *,
        node_types: Mapping[str, NodeTypeView],
        readonly: bool = True,
        on_ready: Listener | None = None,
        on_select: Listener | None = None,
        on_open: Listener | None = None,
    ) -> None:
        super().__init__()
        self.props["flow-id"] = flow_id
        self.props["client-id"] = ""
        self.props["node-types"] = dict(node_types)
        self.props["readonly"] = readonly
        self.props["picture"] = True
        self.props["traffic"] = False
        #: Counts the calls that change the selection; see `_demand`.
        self._demands = 0
        self.listen({"ready": on_ready, "select": self._still_valid(on_select), "open": on_open})

    def listen(self, listeners: Mapping[str, Listener | None]) -> None:
        """Calls each listener with the arguments of its event.

        Call it only in the constructor: a listener that is added after the element was sent makes the browser mount the
        canvas again.
        """
        for name, listener in listeners.items():
            if listener is not None:
                self.on(name, lambda event, call=listener: call(event.args))

    def _demand(self) -> int:
        """Returns the number of a new call that changes the selection.

        The browser reports a selection with the number of the last call that it has carried out. A report from before
        the last call is out of date: on a slow connection, a panel that a person has just closed would open again.
        """
        self._demands += 1
        return self._demands

    def _still_valid(self, listener: Listener | None) -> Listener | None:
        """Returns a listener for selections that were reported after the last call was carried out."""
        if listener is None:
            return None

        def call(message: dict[str, Any]) -> Awaitable[None] | None:
            asked = message.get("asked")
            return None if isinstance(asked, int) and asked < self._demands else listener(message)

        return call

    def load_graph(
        self, graph: Mapping[str, Any], *, fit: bool = True, select: Iterable[str] = ()
    ) -> AwaitableResponse:
        """Shows this graph {rev, nodes, edges, notes} and clears the undo history.

        The awaited result is {ms, nodes, edges}.
        """
        options = {"fit": fit, "select": list(select), "asked": self._demands}
        return self.run_method("loadGraph", to_canvas(graph), options, timeout=20)

    def set_status(self, statuses: Mapping[str, Status | None]) -> None:
        """Sets the run states of nodes by id. Nodes that are not named keep theirs; None removes a state."""
        self.run_method("setStatus", statuses)

    def clear_status(self) -> None:
        """Removes all run states."""
        self.run_method("clearStatus")

    def set_marks(self, marks: Mapping[str, Marks | None]) -> None:
        """Sets summary line, problems, parked and simulated by node id. Nodes that are not named keep theirs."""
        self.run_method("setMarks", marks)

    def set_scopes(self, scopes: Iterable[ListScope]) -> None:
        """Shows these frames around lists in place of the present ones."""
        self.run_method("setScopes", list(scopes))

    def set_traffic(self, traffic: Traffic | None) -> None:
        """Colours nodes and connections by their share of the traffic; None removes the colours."""
        self.run_method("setTraffic", traffic)

    def focus_node(self, node_id: str) -> None:
        """Selects the node, scrolls it into view and moves the keyboard focus to it."""
        self.run_method("focusNode", node_id, self._demand())

    def select_nodes(self, ids: Iterable[str]) -> None:
        """Selects exactly these nodes and notes."""
        self.run_method("selectNodes", list(ids), self._demand())

    def deselect(self, ids: Iterable[str]) -> None:
        """Removes these from the selection and keeps what was selected meanwhile."""
        self.run_method("deselect", list(ids), self._demand())

    def fit(self) -> None:
        """Zooms so that the whole flow is visible."""
        self.run_method("fit")
