"""The flow canvas as a NiceGUI element: typed calls down to the browser and events up, no logic of documents.

The Vue source and the bundle are in `assets/canvas`. Events arrive as plain dicts:

* `on_ready {flowId, clientId, pending[]}`: the browser shows the canvas; apply `pending` (change messages the server may not have
  seen), then answer with `load_graph`, which tells the browser that they have arrived, and `set_marks`.
* `on_change {seq, clientId, baseRev, reason, ops[]}`: an edit. Answer with `ack`, also when it is refused; then with `load_graph`. The
  `clientId` and `seq` of the message are one edit, however often it comes (after a reload it keeps the old `clientId`).
* `on_select {nodes[], edges[], notes[]}`, `on_invalid {code, reason, message, source, source_port, target}`.
* `on_add_request {type, position, after, port, between}`: make a node there, connected after node `after` by `port` or in the middle
  of edge `between`; answer with `apply_ops(..., history=True, select=[id])`. `on_note_request {position}` likewise; a selected
  empty note is ready to write in.
* `on_paste_request {nodes[], edges[], notes[], position}`: copies with their old ids, their top left corner belongs at `position`. Untrusted.
* `on_open {id, problem}`, `on_run_request {mode: all|node|from, node}`, `on_save_request`, `on_search_request`.
* `on_traffic_request {kind: time|money|failures or empty}`: answer with `set_traffic`. Without a listener there is no switch.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Literal, NotRequired, TypedDict

from nicegui.awaitable_response import AwaitableResponse
from nicegui.element import Element

from engine.core.paths import ASSETS

BUNDLE = ASSETS / "canvas" / "dist" / "flow_canvas.js"

Op = dict[str, Any]
Listener = Callable[[dict[str, Any]], Awaitable[None] | None]


class NodeTypeView(TypedDict):
    """What the canvas must know of a node type."""

    title: str
    icon: str
    group: str
    tooltip: str
    ports: list[str]
    accepts_input: bool
    #: At most one in a flow.
    single: NotRequired[bool]
    group_title: NotRequired[str]


class Status(TypedDict, total=False):
    """A node in a run. With `state` it replaces what was shown, without it adds to it."""

    state: Literal["waiting", "running", "done", "failed", "skipped", "cancelled"]
    word: str
    time: str
    done: int
    total: int
    message: str


class Marks(TypedDict, total=False):
    """What the server knows of a node beside its document: neither saved nor undone."""

    summary: str
    problems: int
    parked: bool
    simulated: bool


class NodeTraffic(TypedDict):
    """One node's share of what passed through: `level` 0 to 4, `share` 0 to 1, and the words of its row."""

    level: int
    share: float
    icon: str
    word: str
    aside: str
    title: str


class Traffic(TypedDict):
    """Shares by node id; `empty` says why there are none."""

    kind: str
    title: str
    total: str
    empty: str
    nodes: dict[str, NodeTraffic]


class ListScope(TypedDict):
    """A frame round the nodes that run once for each item."""

    id: str
    nodes: list[str]
    label: str


class FlowCanvas(Element, component=BUNDLE):
    """The canvas. It fills its parent, shows nothing before `load_graph`, and speaks in operations afterwards."""

    def __init__(
        self,
        flow_id: str,
        *,
        node_types: Mapping[str, NodeTypeView],
        readonly: bool = False,
        client_id: str = "",
        on_ready: Listener | None = None,
        on_change: Listener | None = None,
        on_select: Listener | None = None,
        on_invalid: Listener | None = None,
        on_add_request: Listener | None = None,
        on_paste_request: Listener | None = None,
        on_note_request: Listener | None = None,
        on_open: Listener | None = None,
        on_run_request: Listener | None = None,
        on_save_request: Listener | None = None,
        on_search_request: Listener | None = None,
        on_traffic_request: Listener | None = None,
    ) -> None:
        super().__init__()
        self._props["flow-id"] = flow_id
        self._props["client-id"] = client_id
        self._props["node-types"] = dict(node_types)
        self._props["readonly"] = readonly
        self._props["traffic"] = on_traffic_request is not None
        listeners = {
            "ready": on_ready,
            "change": on_change,
            "select": on_select,
            "invalid": on_invalid,
            "addrequest": on_add_request,
            "pasterequest": on_paste_request,
            "noterequest": on_note_request,
            "open": on_open,
            "runrequest": on_run_request,
            "saverequest": on_save_request,
            "searchrequest": on_search_request,
            "trafficrequest": on_traffic_request,
        }
        for name, listener in listeners.items():  # all of them now: one added later would mount the canvas anew
            if listener is not None:
                self.on(name, lambda event, call=listener: call(event.args))

    # ---------- document ----------

    def load_graph(
        self, graph: Mapping[str, Any], *, fit: bool = True, select: Iterable[str] = ()
    ) -> AwaitableResponse:
        """Shows this graph {rev, nodes, edges, notes} and forgets undo. Awaited: {ms, nodes, edges}."""
        return self.run_method("loadGraph", graph, {"fit": fit, "select": list(select)}, timeout=20)

    def apply_ops(
        self,
        ops: Iterable[Op],
        rev: int,
        *,
        history: bool = False,
        select: Iterable[str] | None = None,
        key: str = "",
    ) -> None:
        """Applies what the server did. `history`: this tab asked for it and can undo it; edits with one `key` within a second are one step."""
        options = {"history": history, "key": key, "select": None if select is None else list(select)}
        self.run_method("applyOps", list(ops), rev, options)

    def ack(self, seq: int, rev: int) -> None:
        """Every change up to `seq` is applied; the document has this revision."""
        self.run_method("ack", seq, rev)

    # ---------- what is shown beside the document ----------

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

    # ---------- verbs ----------

    def focus_node(self, node_id: str) -> None:
        """Selects the node, brings it into view and gives it the keyboard."""
        self.run_method("focusNode", node_id)

    def select_nodes(self, ids: Iterable[str]) -> None:
        """Selects these nodes and notes and nothing else."""
        self.run_method("selectNodes", list(ids))

    def deselect(self, ids: Iterable[str]) -> None:
        """These are no longer selected; when something else was chosen meanwhile, that stays."""
        self.run_method("deselect", list(ids))

    def request_add(
        self,
        node_type: str,
        *,
        after: str | None = None,
        port: str | None = None,
        between: str | None = None,
        x: float | None = None,
        y: float | None = None,
    ) -> None:
        """Lets the canvas find the place for a new node; it answers with an add request.

        Without a wish it comes after the one selected node. `x`, `y`: a point of the window.
        """
        self.run_method("requestAdd", node_type, {"after": after, "port": port, "between": between, "x": x, "y": y})

    def connect(self, source: str, port: str, target: str) -> None:
        """Connects as if drawn by hand: a change, or an invalid event with the reason."""
        self.run_method("connect", source, port, target)

    def add_note(self) -> None:
        """Asks for a note in the middle of the view (a note request)."""
        self.run_method("addNote")

    def undo(self) -> None:
        """Takes back this tab's last edit."""
        self.run_method("undo")

    def redo(self) -> None:
        """Makes the edit taken back last once more."""
        self.run_method("redo")

    def copy(self) -> None:
        """Copies the selected nodes and notes."""
        self.run_method("copy")

    def paste(self) -> None:
        """Asks for what was copied (a paste request)."""
        self.run_method("paste")

    def delete_selection(self) -> None:
        """Deletes what is selected."""
        self.run_method("deleteSelection")

    def auto_layout(self, mode: Literal["wrap", "row"] = "wrap") -> None:
        """Puts nodes in rows that fit the view, or in one long row."""
        self.run_method("autoLayout", mode)

    def fit(self) -> None:
        """Shows the whole flow."""
        self.run_method("fit")

    def zoom_in(self) -> None:
        """One step nearer."""
        self.run_method("zoomIn")

    def zoom_out(self) -> None:
        """One step away."""
        self.run_method("zoomOut")
