"""The flow canvas that is edited: it speaks in operations. What it shows and how is in `ui/flow_view/flow_canvas.py`.

Events, beside those of the canvas that only shows:

* `on_ready {flowId, clientId, pending[]}`: the browser shows the canvas; apply `pending` (change messages the server may not have
  seen), then answer with `load_graph`, which tells the browser that they have arrived, and `set_marks`.
* `on_change {seq, clientId, baseRev, reason, ops[]}`: an edit. Answer with `ack`, also when it is refused; then with `load_graph`. The
  `clientId` and `seq` of the message are one edit, however often it comes (after a reload it keeps the old `clientId`).
* `on_invalid {code, reason, message, source, source_port, target}`.
* `on_add_request {type, position, after, port, between}`: make a node there, connected after node `after` by `port` or in the middle
  of edge `between`; answer with `apply_ops(..., history=True, select=[id])`. `on_note_request {position}` likewise; a selected
  empty note is ready to write in.
* `on_paste_request {nodes[], edges[], notes[], position}`: copies with their old ids, their top left corner belongs at `position`. Untrusted.
* `on_run_request {mode: all|node|from, node}`, `on_save_request`, `on_search_request`.
* `on_traffic_request {kind: time|money|failures or empty}`: answer with `set_traffic`. Without a listener there is no switch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from ui.flow_view.canvas_types import NodeTypeView
from ui.flow_view.flow_canvas import FlowCanvas, Listener

Op = dict[str, Any]


class EditableCanvas(FlowCanvas):
    """The canvas of the Playground; `readonly` for people who may only look."""

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
        super().__init__(
            flow_id,
            node_types=node_types,
            readonly=readonly,
            on_ready=on_ready,
            on_select=on_select,
            on_open=on_open,
        )
        self.props["client-id"] = client_id
        self.props["traffic"] = on_traffic_request is not None
        self.listen(
            {
                "change": on_change,
                "invalid": on_invalid,
                "addrequest": on_add_request,
                "pasterequest": on_paste_request,
                "noterequest": on_note_request,
                "runrequest": on_run_request,
                "saverequest": on_save_request,
                "searchrequest": on_search_request,
                "trafficrequest": on_traffic_request,
            }
        )

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

    def zoom_in(self) -> None:
        """One step nearer."""
        self.run_method("zoomIn")

    def zoom_out(self) -> None:
        """One step away."""
        self.run_method("zoomOut")
