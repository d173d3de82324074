"""The actions of the list of steps: add, connect, move, duplicate, rename and remove.

Questions are asked in dialogs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from nicegui import ui

from engine.flow.branch_edits import lead_to_output_ops
from engine.flow.document import Document
from engine.flow.edits import Op, add_node, update_node
from engine.flow.node_type import NodeType
from engine.flow.step_list import (
    Way,
    come_after,
    duplicate,
    fitting,
    insert_after,
    insert_before,
    move_down,
    move_up,
    take_out,
    ways_to,
)
from engine.flow.ways import port_words
from engine.nodes import CATALOG
from ui.flow_view.node_views import labels_of
from ui.kit.answer import answer_of
from ui.kit.ask import ask_text
from ui.kit.feedback import open_page
from ui.kit.parts import button, icon, words
from ui.kit.text import _
from ui.parts.open_drafts import Edit
from ui.playground.canvas.palette import ARROWS, narrow_to, node_list, said_about
from ui.playground.canvas.steps_list import StepsList, way_words

#: From this number of outputs on, a dialog asks which output to connect.
_MANY_PORTS = 2


class StepActions:
    """Performs the actions of the list of steps.

    `making` is the lock of the draft (`OpenDraft`) that is held while new steps are made and added. `open_node` shows a
    step in the inspector; `run` takes `node` or `from` and the step's id.
    """

    def __init__(
        self,
        document: Callable[[], Document],
        edit: Edit,
        *,
        making: asyncio.Lock,
        open_node: Callable[[str], Awaitable[Any]],
        run: Callable[[str, str], Awaitable[Any]],
        undo: Callable[[], Any],
        redo: Callable[[], Any],
    ) -> None:
        self.document = document
        self.edit = edit
        self.making = making
        self.open_node = open_node
        self.run = run
        self.undo = undo
        self.redo = redo
        self.list: StepsList | None = None

    async def act(self, verb: str, node_id: str) -> None:  # noqa: C901, PLR0912 - one case per action
        """Performs one action of the list. Does nothing when the step no longer exists."""
        match verb:
            case "undo":
                self.undo()
                return
            case "redo":
                self.redo()
                return
            case "add":
                await self._add_last()
                return
        if self.document().node(node_id) is None:
            return
        match verb:
            case "open":
                await self.open_node(node_id)
            case "run":
                await self.run("node", node_id)
            case "run_from":
                await self.run("from", node_id)
            case "add_after":
                await self._add_after(node_id)
            case "add_before":
                await self._add_before(node_id)
            case "choose":
                await self._choose(node_id)
            case "up":
                await self._move(node_id, move_up(self.document(), node_id, CATALOG))
            case "down":
                await self._move(node_id, move_down(self.document(), node_id, CATALOG))
            case "copy":
                await self._copy(node_id)
            case "rename":
                await self._rename(node_id)
            case "remove":
                await self._remove(node_id)

    async def _add_last(self) -> None:
        document = self.document()
        sources = {edge.source for edge in document.edges}
        ends = [node for node in document.nodes if node.id not in sources and fitting(document, CATALOG, after=node.id)]
        outputs = [node for node in document.nodes if node.type == "api_output"]
        if ends:
            await self._add_after(ends[-1].id)
        elif outputs:  # the API Output stays the last step
            await self._add_before(outputs[0].id)
        else:
            await self._add(
                _("Add a step"), fitting(document, CATALOG), lambda kind: add_node(self.document(), kind, CATALOG)
            )

    async def _add_after(self, node_id: str) -> None:
        document = self.document()
        node = document.node(node_id)
        kind = CATALOG.get(node.type) if node else None
        if node is None or kind is None:
            return
        port = await _ask_port(node.name, kind) if len(kind.ports) >= _MANY_PORTS else None
        if len(kind.ports) >= _MANY_PORTS and port is None:
            self._said("", node_id)
            return
        title = _("Add a step after {way}").format(way=way_words((node_id, port or "out"), {node_id: node.name}))
        kinds = fitting(document, CATALOG, after=node_id)
        if lead_to_output_ops(document, CATALOG, node_id, port):
            kinds.append(CATALOG["api_output"])  # it is there already: choosing it leads the step to it
        await self._add(title, kinds, lambda kind: self._made_after(kind, node_id, port), node_id)

    def _made_after(self, kind: NodeType, node_id: str, port: str | None) -> tuple[str, list[Op]]:
        """The new step and the operations that add it. A flow has one API Output: the present one is led to."""
        document = self.document()
        output = next((node for node in document.nodes if node.type == "api_output"), None)
        if kind.type == "api_output" and output is not None:
            return output.id, lead_to_output_ops(document, CATALOG, node_id, port)
        return insert_after(document, kind, CATALOG, node_id, port)

    async def _add_before(self, node_id: str) -> None:
        document = self.document()
        node = document.node(node_id)
        kinds = fitting(document, CATALOG, before=node_id)
        title = _("Add a step before {name}").format(name=node.name if node else "")
        await self._add(title, kinds, lambda kind: insert_before(self.document(), kind, CATALOG, node_id), node_id)

    async def _add(
        self, title: str, kinds: Sequence[NodeType], make: Callable[[NodeType], tuple[str, list[Op]]], beside: str = ""
    ) -> None:
        there = next((node.name for node in self.document().nodes if node.type == "api_output"), None)
        hidden = there is not None and all(kind.type != "api_output" for kind in kinds)
        hint = _("“{name}” is in the flow already: a flow has one answer.").format(name=there) if hidden else ""
        chosen = await choose_kind(title, kinds, hint)
        if chosen is None:
            self._said("", beside)
            return
        async with self.making:
            new_id, ops = make(CATALOG[chosen])
            was_there = self.document().node(new_id) is not None
            added = bool(ops) and await self.edit(ops)
        if added:
            said = _("It leads to {name} now.") if was_there else _("Added {name}.")
            self._said(said.format(name=self._name(new_id)))
            await self.open_node(new_id)

    async def _choose(self, node_id: str) -> None:
        document = self.document()
        node = document.node(node_id)
        if node is None:
            return
        offered = ways_to(document, node_id, CATALOG)
        now = {(edge.source, edge.source_port) for edge in document.edges if edge.target == node_id}
        names = {one.id: one.name for one in document.nodes}
        wanted = await _ask_ways(node.name, offered, now, names)
        if wanted is None:
            self._said("", node_id)
        elif await self.edit(come_after(self.document(), node_id, wanted, CATALOG)):
            after = ", ".join(way_words(way, names) for way in wanted) or _("nothing")
            self._said(_("{name} comes after {after}.").format(name=node.name, after=after), node_id)

    async def _move(self, node_id: str, ops: list[Op]) -> None:
        if ops and await self.edit(ops):
            self._said(_("Moved {name}.").format(name=self._name(node_id)), node_id)

    async def _copy(self, node_id: str) -> None:
        async with self.making:
            new_id, ops = duplicate(self.document(), node_id, CATALOG)
            added = bool(ops) and await self.edit(ops)
        if added:
            self._said(_("Duplicated {name}.").format(name=self._name(node_id)), new_id)

    async def _rename(self, node_id: str) -> None:
        node = self.document().node(node_id)
        label = await ask_text(_("Rename the step"), _("Label"), node.name, _("Rename")) if node else None
        node = self.document().node(node_id)
        if not label or node is None:
            self._said("", node_id)
        elif await self.edit([update_node(node, label=label[:200])]):
            self._said(_("It is called {label} now.").format(label=label), node_id)

    async def _remove(self, node_id: str) -> None:
        name, order = self._name(node_id), [node.id for node in self.document().nodes]
        ops = take_out(self.document(), node_id)
        if await self.edit(ops):
            left = [one for one in order[: order.index(node_id)] if self.document().node(one)]
            said = _("Removed {name}. Undo brings it back.").format(name=name)
            self._said(f"{said} {connected_words(self.document(), ops)}".rstrip(), left[-1] if left else "")

    def _name(self, node_id: str) -> str:
        node = self.document().node(node_id)
        return node.name if node else node_id

    def _said(self, text: str, focus: str = "") -> None:
        if self.list is not None:
            if text:
                self.list.say(text)
            if focus:
                self.list.focus(focus)


def connected_words(document: Document, ops: Sequence[Op]) -> str:
    """Says which steps an edit has connected."""
    names = labels_of(document)
    return " ".join(
        _("{before} and {after} are connected now.").format(
            before=names[op["edge"]["source"]], after=names[op["edge"]["target"]]
        )
        for op in ops
        if op["op"] == "addEdge"
    )


async def choose_kind(title: str, kinds: Sequence[NodeType], hint: str = "") -> str | None:
    """Asks for one of these node types; None when the dialog was cancelled. `hint` says why another is not offered."""
    with open_page().layout, ui.dialog() as dialog, ui.card().classes("fp-dlg fp-dlg--kinds") as card:
        dialog.props["aria-label"] = title
        words(title, tag="h2")
        box = ui.input(placeholder=_("Find a node")).props("outlined dense clearable autofocus autocomplete=off")
        box.props["aria-label"] = _("Find a node")
        with box.add_slot("prepend"):
            icon("search", size=16)
        answer = words("", "fp-pal-said", tag="p").props("role=status")
        groups = node_list(kinds, dialog.submit, drag=False)
        if hint:
            words(hint, "fp-hint", tag="p")
        with ui.element("div").classes("fp-acts"):
            button(_("Cancel"), dialog.close, kind="quiet")

    def look() -> None:
        narrow_to(groups, box.value)
        answer.text = said_about(box.value or "", kinds)

    box.on_value_change(look)
    box.on("keydown.enter", lambda: dialog.submit(narrow_to(groups, box.value)))
    card.on("keydown", js_handler=ARROWS)
    return await answer_of(dialog)


async def _ask_port(name: str, kind: NodeType) -> str | None:
    with open_page().layout, ui.dialog() as dialog, ui.card().classes("fp-dlg"):
        title = _("Which way out of {name}?").format(name=name)
        dialog.props["aria-label"] = title
        words(title, tag="h2")
        with ui.element("div").classes("fp-acts"):
            button(_("Cancel"), dialog.close, kind="quiet")
            for port in kind.ports:
                button(port_words(port).capitalize(), lambda port=port: dialog.submit(port))
    return await answer_of(dialog)


async def _ask_ways(name: str, offered: Sequence[Way], now: set[Way], names: dict[str, str]) -> set[Way] | None:
    """Asks with check boxes which outputs a step comes after; None when the dialog was cancelled."""
    with open_page().layout, ui.dialog() as dialog, ui.card().classes("fp-dlg"):
        title = _("What does {name} come after?").format(name=name)
        dialog.props["aria-label"] = title
        words(title, tag="h2")
        words(_("It runs after these, and can use their data and that of all steps before them."), "fp-t2", tag="p")
        if not offered:
            words(_("There is no other step yet that it could come after."), "fp-t2", tag="p")
        boxes: dict[Way, ui.checkbox] = {}
        with ui.element("div").classes("fp-ways").props("role=group") as group:
            group.props["aria-label"] = title
            for way in offered:
                boxes[way] = ui.checkbox(way_words(way, names), value=way in now).props("dense")
        with ui.element("div").classes("fp-acts"):
            button(_("Cancel"), dialog.close, kind="quiet")
            button(_("Connect"), lambda: dialog.submit({way for way, box in boxes.items() if box.value}), kind="main")
    return await answer_of(dialog)
