"""The editable flow canvas as a NiceGUI element. `ui/flow_view/flow_canvas.py` holds the part that only shows a flow.

Edits travel as operations. The protocol is described in docs/dev/canvas_protocol.md.

Events in addition to those of the read-only canvas:

* `on_kept {seq, clientId, baseRev, reason, ops[]}`: a change message from before a reload, which the server may not have
  received. All of them arrive before `ready`.
* `on_ready {flowId, clientId, seq, kept}`: the browser shows the canvas. The server applies the `kept` messages that
  arrived, then calls `load_graph`, which acknowledges them, and `set_marks`. The page counts its changes on from `seq`.
* `on_change {seq, clientId, baseRev, reason, ops[]}`: an edit. The server calls `ack`, also for a refused edit, which
  `load_graph` must follow. `clientId` and `seq` identify an edit that is sent more than once; after a reload the browser
  sends pending edits with their old `clientId`. When the edit before it is missing the server calls `resend` instead.
* `on_invalid {code, reason, message, source, source_port, target}`: the person tried to draw an invalid connection.
* `on_add_request {type, position, after, port, between}`: create a node there, connected after the node `after` by its
  port `port`, or inserted into the edge `between`. Without a position the server makes room for it
  (`engine/flow/node_places.py`). The server calls `apply_ops(..., history=True, select=[id])`.
  `on_note_request {position}` likewise; a selected empty note opens for writing.
* `on_paste_request {nodes[], edges[], notes[], position}`: insert copies; the parts carry the ids of the originals, and
  `position` is the top left corner of the copies. The content is untrusted.
* `on_run_request {mode: all|node|from, node}`, `on_save_request`, `on_search_request`.
* `on_traffic_request {kind: time|money|failures or empty}`: the server calls `set_traffic`. Without a listener the
  canvas shows no switch for traffic.

A change, a kept message and a paste request of more than 200,000 characters arrive in pieces, which are joined here. One
that is larger than twice a flow arrives with `tooLarge` and without its content.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping
from typing import Any, Literal

from ui.flow_view.canvas_types import NodeTypeView
from ui.flow_view.flow_canvas import FlowCanvas, Listener
from ui.flow_view.large_integers import from_canvas, to_canvas
from ui.playground.canvas.pieces import Pieces

Op = dict[str, Any]


class EditableCanvas(FlowCanvas):
    """The canvas of the Playground. `readonly` is set for people who may not edit: it takes no edits, not even forged
    ones.
    """

    def __init__(  # noqa: PLR0913 - each is named by the caller
        self,
        flow_id: str,
        *,
        node_types: Mapping[str, NodeTypeView],
        readonly: bool = False,
        client_id: str = "",
        on_kept: Listener | None = None,
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
        self.props["picture"] = False
        self.props["traffic"] = on_traffic_request is not None
        self.listen(
            {
                "invalid": on_invalid,
                "runrequest": on_run_request,
                "saverequest": on_save_request,
                "searchrequest": on_search_request,
                "trafficrequest": on_traffic_request,
            }
        )
        if readonly:
            return
        self._pieces = Pieces()
        self._any_size = {
            name: _with_integers(listener)
            for name, listener in {"kept": on_kept, "change": on_change, "pasterequest": on_paste_request}.items()
        }
        self.listen(
            {
                **self._any_size,
                "piece": self._piece,
                "addrequest": on_add_request,
                "noterequest": on_note_request,
            }
        )

    def _piece(self, piece: dict[str, Any]) -> Awaitable[None] | None:
        event, message = self._pieces.take(piece) or ("", {})
        listener = self._any_size.get(event)
        return listener(message) if listener else None

    def apply_ops(
        self,
        ops: Iterable[Op],
        rev: int,
        *,
        history: bool = False,
        select: Iterable[str] | None = None,
        key: str = "",
    ) -> None:
        """Sends operations of the server to the browser.

        `history`: this tab requested the edit and can undo it. Edits with the same `key` within a second are one undo
        step.
        """
        options: dict[str, Any] = {"history": history, "key": key, "select": None}
        if select is not None:
            options |= {"select": list(select), "asked": self._demand()}
        self.run_method("applyOps", to_canvas(list(ops)), rev, options)

    def ack(self, seq: int, rev: int) -> None:
        """Acknowledges every change up to `seq`; the document now has this revision."""
        self.run_method("ack", seq, rev)

    def resend(self, seen: int) -> None:
        """Asks for the changes after `seen`: one of them is missing."""
        self.run_method("resend", seen)

    def connect(self, source: str, port: str, target: str) -> None:
        """Connects two nodes as if drawn by hand.

        The canvas answers with a change, or with an invalid event and its reason.
        """
        self.run_method("connect", source, port, target)

    def add_note(self) -> None:
        """Asks the canvas for a note in the middle of the view; the canvas answers with a note request."""
        self.run_method("addNote")

    def undo(self) -> None:
        """Undoes the last edit of this tab."""
        self.run_method("undo")

    def redo(self) -> None:
        """Applies the last undone edit again."""
        self.run_method("redo")

    def copy(self) -> None:
        """Copies the selected nodes and notes."""
        self.run_method("copy")

    def paste(self) -> None:
        """Asks the canvas to paste the copied parts; the canvas answers with a paste request."""
        self.run_method("paste")

    def delete_selection(self) -> None:
        """Deletes the selected parts."""
        self.run_method("deleteSelection")

    def auto_layout(self, mode: Literal["wrap", "row"] = "wrap") -> None:
        """Arranges the nodes in rows that fit the view, or in one long row."""
        self.run_method("autoLayout", mode)

    def zoom_in(self) -> None:
        """Zooms in by one step."""
        self.run_method("zoomIn")

    def zoom_out(self) -> None:
        """Zooms out by one step."""
        self.run_method("zoomOut")


def _with_integers(listener: Listener | None) -> Listener | None:
    """Returns the listener for messages that carry parts of the document, whose large whole numbers are marked texts."""
    return None if listener is None else lambda message: listener(from_canvas(message))
