"""Handles the events of the canvas: edits, requests for new nodes and notes, pasted parts, and requests to run or
save.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from engine.actions.principal import require_may
from engine.core.errors import NotAllowed, Problem, Refusal
from engine.flow.branch_edits import lead_to_output_ops
from engine.flow.document import MAX_BYTES, Document, Position
from engine.flow.edits import EditRefused, Op, add_node, add_note, connect_ops, paste_ops
from engine.flow.flow_warnings import flow_warnings
from engine.flow.lists import FLATTEN
from engine.flow.node_places import with_places
from engine.flow.step_list import take_out
from engine.flow.ways import WAYS
from engine.nodes import CATALOG
from storage.connections import list_connections
from storage.traffic import sum_by_node
from ui.flow_view.node_views import NODE_VIEWS, labels_of
from ui.kit import feedback
from ui.kit.frame import reader
from ui.kit.text import _, plural
from ui.page_session import PageSession
from ui.parts.open_drafts import OpenDraft, TooLargeToSend, Turn
from ui.playground.canvas.canvas_element import EditableCanvas
from ui.playground.canvas.step_actions import connected_words
from ui.playground.inspector.connection_mapping import offer_to_fill
from ui.playground.state.edit_conflicts import MyFields, Overwritten, put_back
from ui.playground.state.only_model import model_of_new, only_model, wants_model, with_model
from ui.playground.state.traffic import DAYS, KINDS, traffic_view

#: Warnings about a way that does not lead to an answer of its own.
_BRANCH_CODES = frozenset({"open_branch", "same_answer", "one_branch_read"})
#: A browser keeps 5 million characters for a page.
_MAX_KEPT_BYTES = 16 * 1024 * 1024
#: What is pasted and has more bytes than this is made ready beside the event loop.
_LARGE_PASTE = 64 << 10


class TooLargeToPaste(EditRefused):
    """What was pasted is larger than a flow may be (1 MiB), so it was left out."""

    remedy = "Copy fewer steps at a time."


class Around(Protocol):
    """Callbacks of the page that the canvas events call."""

    def document_changed(self) -> None:
        """Called after the document of the draft changed."""

    async def canvas_loaded(self) -> None:
        """Called when the canvas shows the draft."""

    async def selected(self, nodes: list[str], edges: list[str]) -> None:
        """Called when the selection on the canvas changed."""

    async def open_node(self, node_id: str, *, tab: str | None = None) -> None:
        """Shows this node in the inspector."""

    async def opened(self, node_id: str) -> None:
        """Called after Enter or a double click on a node: opens its settings."""

    async def close_inspector(self) -> None:
        """Closes the inspector."""

    def follow(self, ops: Sequence[Op]) -> None:
        """Called after an edit that the inspector did not make: it follows what it shows."""

    async def refresh_inspector(self) -> None:
        """Called when the inspected node or connection changed on the canvas."""

    async def run(self, mode: str, node_id: str) -> None:
        """Starts a run; `mode` is `all`, `node` or `from`."""

    async def save(self) -> None:
        """Saves the draft (Ctrl+S)."""

    def toggle_palette(self) -> None:
        """Opens or closes the palette (Ctrl+K)."""

    async def mend(self, problem: Problem) -> None:
        """Presses the button of a problem or a warning."""

    async def show_mended(self, ops: Sequence[Op]) -> None:
        """Opens the step that was added and still has to be filled in; otherwise says that it is done."""


class CanvasEvents:
    """The canvas of one tab.

    Edits by the server go through `edit`; edits by the person arrive as events of the canvas.
    """

    def __init__(self, page_session: PageSession, draft: OpenDraft, client_id: str, around: Around) -> None:
        self.page_session = page_session
        self.draft = draft
        self.client_id = client_id
        self.around = around
        self.mine = MyFields()
        #: Messages from before a reload that have arrived, and their size in bytes.
        self._kept: list[dict[str, Any]] = []
        self._kept_bytes = 0

    def draw(self) -> EditableCanvas:
        """Creates the canvas element in the current container."""
        self.canvas = EditableCanvas(
            self.draft.flow_id,
            client_id=self.client_id,
            node_types=NODE_VIEWS,
            readonly=not self.page_session.may("edit flows"),
            on_kept=self._kept_arrived,
            on_ready=self._ready,
            on_change=self._changed,
            on_select=lambda message: self.around.selected(
                [str(node_id) for node_id in message.get("nodes") or []],
                [str(edge_id) for edge_id in message.get("edges") or []],
            ),
            on_invalid=lambda _message: None,
            on_add_request=self._add_requested,
            on_paste_request=self._paste_requested,
            on_note_request=self._note_requested,
            on_open=lambda message: self.around.opened(message["id"]),
            on_run_request=lambda message: self.around.run(
                str(message.get("mode") or "all"), str(message.get("node") or "")
            ),
            on_save_request=lambda _message: self.around.save(),
            on_search_request=lambda _message: self.around.toggle_palette(),
            on_traffic_request=self._traffic_requested,
        )
        return self.canvas

    # Edits made by the server for this tab.

    async def edit(self, ops: Sequence[Op], *, select: Sequence[str] = ()) -> bool:
        """Applies an edit of the server for this tab. The person can undo it; other tabs and the inspector receive it."""
        done = await self.edit_inspected(ops, select=select)
        if done and not self.canvas.is_deleted:
            self.around.follow(ops)
        return done

    async def edit_inspected(self, ops: Sequence[Op], *, select: Sequence[str] = ()) -> bool:
        """Does the same for an edit of the inspector, which shows it already."""
        if not ops:
            return True
        ops = await self._with_model(ops)
        try:
            revision = await self.draft.change(self.page_session, self.client_id, ops)
        except Refusal as refusal:
            feedback.refused(refusal)
            return False
        if not self.canvas.is_deleted:  # the page may have been left while a question was open
            self.mine.note(ops, self._now())
            self.canvas.apply_ops(list(ops), revision, history=True, select=list(select) or None)
            self.around.document_changed()
        return True

    def changed_elsewhere(self, ops: Sequence[Op], revision: int, name: str) -> None:
        """Shows an edit of another tab.

        When it replaces a value set here shortly before, offers to put that value back.
        """
        self.canvas.apply_ops(list(ops), revision, history=False)
        lost = self.mine.overwritten(ops, self._now())
        if lost and name:
            self._tell_overwritten(lost, name)

    def _tell_overwritten(self, lost: Sequence[Overwritten], name: str) -> None:
        labels = labels_of(self.draft.document)
        fields = ", ".join(dict.fromkeys(f"{labels.get(one.id, _('a note'))} › {one.words}" for one in lost))

        async def again() -> None:
            await self.edit(put_back(self.draft.document, lost))

        who = _("You, in another tab,") if name == self.page_session.person.name else name
        with self.canvas.client.layout:
            feedback.told(
                _("{who} changed what you had just set:").format(who=who),
                fields,
                action=_("Put mine back"),
                on_action=again,
                kind="warn",
                symbol="group",
            )

    async def add(
        self,
        kind: str,
        *,
        position: Position | None = None,
        after: str | None = None,
        port: str | None = None,
        between: str | None = None,
    ) -> None:
        """Adds a node of this type and opens it in the inspector."""
        node_type = CATALOG.get(kind)
        if node_type is None:
            return
        if kind == "api_output" and any(node.type == kind for node in (await self.draft.settled()).nodes):
            await self._lead_to_output(after if between is None else None, port)
            return
        async with self.draft.making:
            node_id, ops = add_node(
                await self.draft.settled(),
                node_type,
                CATALOG,
                position=position,
                after=after,
                port=port,
                between=between,
            )
            added = await self.edit(ops, select=[node_id])
        if added:
            await self.around.open_node(node_id, tab="set_up")

    async def _lead_to_output(self, after: str | None, port: str | None) -> None:
        """Leads a step to the API Output that is there in place of adding a second one, or says how to do that."""
        async with self.draft.making:
            document = await self.draft.settled()
            ops = lead_to_output_ops(document, CATALOG, after, port) if after else []
            led = bool(ops) and await self.edit(ops)
        if ops:
            if led:
                await self.around.show_mended(ops)
            return
        output = next(node for node in document.nodes if node.type == "api_output")
        await self.around.open_node(output.id, tab="set_up")
        branch = next((one for one in flow_warnings(document, CATALOG) if one.problem.code in _BRANCH_CODES), None)
        feedback.told(
            _("A flow has one answer: lead both ways to it."),
            branch.problem.message if branch else _("Draw a line from the step whose data it should return."),
            action=branch.verb if branch and branch.mend else "",
            on_action=(lambda: self.around.mend(branch.problem)) if branch and branch.mend else None,
        )

    async def _with_model(self, ops: Sequence[Op]) -> Sequence[Op]:
        """Chooses the model of a new node when there is just one, or when the other steps have one."""
        if not wants_model(ops, CATALOG):
            return ops
        rows = await self.page_session.query(list_connections)
        model = model_of_new(self.draft.document, {row.name for row in rows}, only_model(rows))
        return with_model(ops, CATALOG, model) if model else ops

    async def add_after(self, kind: str, after: str | None) -> None:
        """Adds a node after this one; without `after`, after the last node that has no successor.

        When one step comes after its first output, the new one comes between, as with the + on the line. After a
        Condition it takes the way that is free.
        """
        document = await self.draft.settled()
        if after is None and document.nodes:
            sources = {edge.source for edge in document.edges}
            last = [node.id for node in document.nodes if node.id not in sources]
            after = last[-1] if last else None
        await self.add(kind, after=after, between=_only_way(document, after, kind))

    async def delete_node(self, node_id: str) -> None:
        """Deletes the node and its connections, and says which of its neighbours are connected in its place."""
        ops = take_out(self.draft.document, node_id)
        if not ops or not await self.edit(ops):
            return
        await self.around.close_inspector()
        if said := connected_words(self.draft.document, ops):
            feedback.told(said)

    # Events from the browser.

    def _kept_arrived(self, message: dict[str, Any]) -> None:
        self._kept_bytes += len(msgspec.json.encode(message))
        if "ops" in message and self._kept_bytes <= _MAX_KEPT_BYTES:
            self._kept.append(message)

    async def _ready(self, message: dict[str, Any]) -> None:
        kept, self._kept, self._kept_bytes = self._kept, [], 0
        try:
            sent = int(message.get("kept") or 0)
            if sent:  # a person who may only look since then is told so
                require_may(self.page_session.principal, "edit flows")
            if len(kept) < sent:
                feedback.refused(EditRefused(_("Some of the edits that this browser had kept cannot be read.")))
            waiting = self.draft.waiting(kept)
            if waiting and min(int(one.get("baseRev") or 0) for one in waiting) < self.draft.revision:
                waiting = waiting if await self._kept_is_wanted(len(waiting)) else []
            for one in waiting:
                with feedback.refusals_told():  # the other edits do not depend on it
                    await self.draft.change(self.page_session, str(one["clientId"]), one["ops"], int(one["seq"]))
        except NotAllowed as refusal:
            feedback.refused(refusal)
        except (KeyError, TypeError, ValueError):
            feedback.refused(
                EditRefused(_("The edits that this browser had kept while it was offline cannot be read."))
            )
        self.draft.number_from(self.client_id, int(message.get("seq") or 0))
        self.canvas.load_graph({**with_places(self.draft.document, CATALOG).as_json(), "rev": self.draft.revision})
        await self.around.canvas_loaded()

    async def _kept_is_wanted(self, count: int) -> bool:
        """Asks whether to apply edits made while offline, because the flow changed meanwhile."""
        edits = plural(count, _("edit"), _("edits"))
        with self.canvas.client.layout:
            return await feedback.confirm(
                _("Put your offline edits on the newer flow?"),
                _(
                    "This browser kept {edits} that had not reached the server. The flow was changed since. Your edits then win where both changed the same field; nothing else is lost."
                ).format(edits=edits),
                verb=_("Put {edits} back").format(edits=edits),
                keep=_("Leave them out"),
            )

    async def _changed(self, message: dict[str, Any]) -> None:
        ops: list[Op] | None = None if message.get("tooLarge") else message["ops"]
        try:
            turn = await self.draft.change_in_turn(self.page_session, self.client_id, ops, int(message["seq"]))
        except Refusal as refusal:
            feedback.refused(refusal)
            # a refused edit is acknowledged too, so that the browser does not send it again
            self._acknowledge()
            placed = with_places(self.draft.document, CATALOG)
            self.canvas.load_graph({**placed.as_json(), "rev": self.draft.revision}, fit=False)
            return
        if turn is Turn.EARLY:
            self.canvas.resend(self.draft.seen[self.client_id])
            return
        self._acknowledge()
        if turn is Turn.SEEN or ops is None:
            return
        self.mine.note(ops, self._now())
        self.around.document_changed()
        drawn = [op["edge"] for op in ops if op["op"] == "addEdge"]
        if message.get("reason") == "connect" and drawn:
            await self.edit(connect_ops(self.draft.document, drawn[0], CATALOG))
            offer_to_fill(self.draft, drawn[0], edit=self.edit)
        if message.get("reason") in {"undo", "redo", "connect", "delete"}:
            await self.around.refresh_inspector()

    def _acknowledge(self) -> None:
        self.canvas.ack(self.draft.seen[self.client_id], self.draft.revision)

    async def _add_requested(self, message: dict[str, Any]) -> None:
        await self.add(
            str(message.get("type")),
            position=_place(message),
            after=message.get("after"),
            port=message.get("port"),
            between=message.get("between"),
        )

    async def _note_requested(self, message: dict[str, Any]) -> None:
        async with self.draft.making:
            note_id, ops = add_note(self.draft.document, _place(message) or Position())
            await self.edit(ops, select=[note_id])

    async def _paste_requested(self, message: dict[str, Any]) -> None:
        if message.get("tooLarge"):
            feedback.refused(TooLargeToSend())
            return
        parts, place = [message.get(name) or [] for name in ("nodes", "edges", "notes")], _place(message)
        size = len(msgspec.json.encode(parts))
        async with self.draft.making:
            with feedback.refusals_told():
                if size > MAX_BYTES:
                    raise TooLargeToPaste
                if size > _LARGE_PASTE:
                    beside = self.page_session.beside
                    new, ops = await beside(paste_ops, self.draft.document, CATALOG, *parts, at=place)
                else:
                    new, ops = paste_ops(self.draft.document, CATALOG, *parts, at=place)
                await self.edit(ops, select=new)

    async def _traffic_requested(self, message: dict[str, Any]) -> None:
        kind = message.get("kind")
        if kind not in KINDS:
            self.canvas.set_traffic(None)
            return
        since = self._now() - DAYS * 86_400_000
        sums = await self.page_session.query(sum_by_node, self.draft.flow_id, since)
        self.canvas.set_traffic(traffic_view(sums, kind, reader()))

    def _now(self) -> int:
        return self.page_session.app.database.clock.now()


def _place(message: dict[str, Any]) -> Position | None:
    place = message.get("position")
    return Position.near(place["x"], place["y"]) if place else None


def _only_way(document: Document, after: str | None, kind: str) -> str | None:
    """Returns the id of the connection in which a node of this type goes on between two steps: the only one that leaves
    the first output of a step. After a Condition there is none: its other way may be free. But the items of a list are
    collected on the way on which they go on.
    """
    node, added = document.node(after or ""), CATALOG.get(kind)
    known = CATALOG.get(node.type) if node is not None and (node.type not in WAYS or kind == FLATTEN) else None
    if known is None or added is None or not (known.ports and added.ports and added.accepts_input):
        return None
    leaving = [edge.id for edge in document.edges if (edge.source, edge.source_port) == (after, known.ports[0])]
    return leaving[0] if len(leaving) == 1 else None
