"""The flow canvas as a NiceGUI element that shows a flow and does not edit it: typed calls down to the browser and events up.

The Vue source and the bundle are in `assets/canvas`. Events arrive as plain dicts:

* `on_ready {flowId, clientId, pending[]}`: the browser shows the canvas; answer with `load_graph`, then `set_marks`.
* `on_select {nodes[], edges[], notes[]}`.
* `on_open {id, problem}`.

`ui/playground/canvas/canvas_element.py` adds the editing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from nicegui.awaitable_response import AwaitableResponse
from nicegui.element import Element

from engine.core.paths import ASSETS
from ui.flow_view.canvas_types import ListScope, Marks, NodeTypeView, Status, Traffic

BUNDLE = ASSETS / "canvas" / "dist" / "flow_canvas.js"

Listener = Callable[[dict[str, Any]], Awaitable[None] | None]


class FlowCanvas(Element, component=BUNDLE):
    """The canvas. It fills its parent and shows nothing before `load_graph`."""

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
        self.props["traffic"] = False
        self.listen({"ready": on_ready, "select": on_select, "open": on_open})

    def listen(self, listeners: Mapping[str, Listener | None]) -> None:
        """Calls each listener with the arguments of its event. Only while the element is made: a later one would mount the canvas anew."""
        for name, listener in listeners.items():
            if listener is not None:
                self.on(name, lambda event, call=listener: call(event.args))

    def load_graph(
        self, graph: Mapping[str, Any], *, fit: bool = True, select: Iterable[str] = ()
    ) -> AwaitableResponse:
        """Shows this graph {rev, nodes, edges, notes} and forgets undo. Awaited: {ms, nodes, edges}."""
        return self.run_method("loadGraph", graph, {"fit": fit, "select": list(select)}, timeout=20)

    def set_status(self, statuses: Mapping[str, Status | None]) -> None:
        """Run states by node id; only those that changed. None clears one."""
        self.run_method("setStatus", statuses)

    def clear_status(self) -> None:
        """No run is shown."""
        self.run_method("clearStatus")

    def set_marks(self, marks: Mapping[str, Marks | None]) -> None:
        """Summary line, problems, parked and simulated by node id; only those that changed."""
        self.run_method("setMarks", marks)

    def set_scopes(self, scopes: Iterable[ListScope]) -> None:
        """All frames round list scopes, in place of those shown."""
        self.run_method("setScopes", list(scopes))

    def set_traffic(self, traffic: Traffic | None) -> None:
        """Colours nodes and connections by their share; None takes the colours away."""
        self.run_method("setTraffic", traffic)

    def focus_node(self, node_id: str) -> None:
        """Selects the node, brings it into view and gives it the keyboard."""
        self.run_method("focusNode", node_id)

    def select_nodes(self, ids: Iterable[str]) -> None:
        """Selects these nodes and notes and nothing else."""
        self.run_method("selectNodes", list(ids))

    def deselect(self, ids: Iterable[str]) -> None:
        """These are no longer selected; when something else was chosen meanwhile, that stays."""
        self.run_method("deselect", list(ids))

    def fit(self) -> None:
        """Shows the whole flow."""
        self.run_method("fit")
