"""The inspector: the selected node with its settings, its values in the last run and its help, or the mapping of a
connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from nicegui import background_tasks, ui

from engine.core.errors import Problem
from engine.flow.document import Node
from engine.flow.edits import Op, update_node
from engine.flow.flow_warnings import FlowWarning
from engine.flow.node_type import Catalog, NodeType
from engine.nodes import CATALOG
from ui.kit.assets import asset_url
from ui.kit.markdown import markdown
from ui.kit.parts import icon, icon_button, link, menu_button, menu_item, status_badge, tile, words
from ui.kit.text import _
from ui.page_session import PageSession
from ui.playground.inspector.connection_mapping import EdgeMapping
from ui.playground.inspector.setup_tab import SetUpTab
from ui.playground.inspector.values_tab import ValuesTab
from ui.playground.state.last_run import LastRun

if TYPE_CHECKING:
    from ui.parts.open_drafts import Edit, OpenDraft
    from ui.playground.run.panel import RunPanel


#: Browser function that moves the keyboard focus to the first field or button of the open tab, or to the panel when the
#: tab has none. A field of the panel that the person has pressed meanwhile keeps it: what is typed belongs there.
FIRST_FIELD = """(panel) => {
  if (panel.contains(document.activeElement)) return;
  const found = panel.querySelectorAll(".fp-ibody :is(input, textarea, [contenteditable=true], button)");
  ([...found].find((one) => !one.disabled && one.checkVisibility()) ?? panel).focus();
}"""
#: Browser handler of the pencil: the label is selected, so that what is typed replaces it.
_INTO_LABEL = """(event) => {
  const box = event.target.closest(".fp-ititle").querySelector("input");
  box.focus();
  box.select();
}"""
#: Browser handler: Escape closes the inspector, unless the key just closed something inside it. In a text field it only
#: leaves the field. The script is constant: it contains no text of a flow.
_UNLESS_USED = """(event) => {
  const list = event.target.closest("[role=combobox]"); // Quasar takes every Escape in one, also when its list is closed
  if (list ? list.getAttribute("aria-expanded") === "true" : event.defaultPrevented) return;
  const field = event.target;
  field.blur(); // what is being typed is told first
  const typed = 'textarea, [contenteditable="true"], input:not([readonly], [type="checkbox"], [type="radio"])';
  if (field.matches(typed)) field.closest(".fp-insp").focus({ preventScroll: true }); // where the next Escape closes
  else setTimeout(() => emit());
}"""


class Inspector:
    """Shows one node or one connection at a time. `edit` applies changes to the draft; `on_visible` hears whether the
    inspector is shown; `mend` presses the button of a warning.
    """

    def __init__(
        self,
        page_session: PageSession,
        draft: OpenDraft,
        run_panel: RunPanel,
        *,
        edit: Edit,
        on_open: Callable[[str], Any],
        on_close: Callable[[], Any],
        on_delete: Callable[[str], Any],
        on_visible: Callable[[bool], Any],
        mend: Callable[[Problem], Awaitable[Any]],
    ) -> None:
        self.page_session = page_session
        self.draft = draft
        self.edit = edit
        self.on_visible = on_visible
        self.on_close = on_close
        self.on_delete = on_delete
        self.on_open = on_open
        self.run_panel = run_panel
        self.last_run = LastRun(page_session, draft.flow_id, run_panel)
        self.node_id: str | None = None
        self.edge_id: str | None = None
        self.tab = "set_up"
        self.item = 0
        self.found: Sequence[Problem] = ()
        self.warned: Sequence[FlowWarning] = ()
        self.mend = mend
        self.catalog: Catalog = CATALOG  #: replaced by a catalog that knows the columns of the workspace's datasets
        self.set_up: SetUpTab | None = None
        self.values: ValuesTab | None = None
        self.mapping: EdgeMapping | None = None
        self.simulated: ui.element | None = None  #: the badge of a node that uses the Simulated model
        self.title: ui.input | None = None  #: None for somebody who may not rename the node
        self._label = ""  #: what was stored when the title was drawn or last followed
        self._drawing = asyncio.Lock()  # a second selection waits until the first is drawn
        ui.add_head_html(f'<link rel="stylesheet" href="{asset_url("inspector.css")}">')
        self.panel = ui.element("aside").classes("fp-insp").props("tabindex=-1")
        self.panel.on("keydown.escape", self.on_close, js_handler=_UNLESS_USED)
        self.panel.visible = False

    async def show(self, node_id: str | None, *, tab: str | None = None) -> None:
        """Shows a node, or closes the inspector."""
        async with self._drawing:
            await self._show(node_id, tab)

    async def _show(self, node_id: str | None, tab: str | None) -> None:
        node = self.draft.document.node(node_id) if node_id else None
        self.tab = tab or self.tab
        if node is None or node.id != self.node_id:
            self.item = 0
        self._clear(node.id if node else None, None)
        if node is not None:
            self.panel.props["aria-label"] = node.name
            with self.panel:
                await self._draw(node)

    async def show_edge(self, edge_id: str) -> None:
        """Shows the mapping of a connection."""
        async with self._drawing:
            await self._show_edge(edge_id)

    async def _show_edge(self, edge_id: str) -> None:
        edge = next((one for one in self.draft.document.edges if one.id == edge_id), None)
        self._clear(None, edge.id if edge else None)
        if edge is None:
            return
        self.panel.props["aria-label"] = _("Connection")
        with self.panel:
            self.mapping = made = EdgeMapping(
                self.page_session,
                self.draft,
                edge,
                last_run=self.last_run,
                edit=lambda ops: self._edit(ops, made),
                open_node=self.on_open,
                on_close=self.on_close,
                catalog=self.catalog,
            )
            await made.draw()
        self.show_problems(self.found, self.warned)

    def follow(self, ops: Sequence[Op]) -> None:
        """Updates what is shown after an edit that was made elsewhere, also elsewhere on this page."""
        touched = {op.get("id") or op.get("node", op.get("edge", {})).get("id") for op in ops}
        if not touched.isdisjoint(self._shown_ids()):
            background_tasks.create(self.refresh(), name="inspector refresh")

    def _shown_ids(self) -> set[str]:
        """The node that is shown, or the connection with the nodes at its ends."""
        edge = self.mapping.edge if self.mapping is not None else None
        ends = {edge.id, edge.source, edge.target} if edge is not None else set[str]()
        return ends | {one for one in (self.node_id, self.edge_id) if one}

    async def _edit(self, ops: Sequence[Op], part: SetUpTab | EdgeMapping) -> bool:
        """Applies an edit of a part, which shows it already. When another part is shown meanwhile, that one follows."""
        done = await self.edit(ops)
        if done and part not in {self.set_up, self.mapping}:
            self.follow(ops)
        return done

    async def refresh(self) -> None:
        """Updates the shown node or connection after another tab or an undo changed it: in place where possible,
        otherwise redrawn.
        """
        async with self._drawing:
            if not self.panel.is_deleted:
                await self._refresh()

    async def _refresh(self) -> None:
        if self.mapping is not None and self.mapping.follow():
            return
        if self.edge_id is not None:
            await self._show_edge(self.edge_id)
            return
        node = self.draft.document.node(self.node_id) if self.node_id else None
        if node is not None and self.set_up is not None and self.set_up.follow():
            if node.label != self._label:  # otherwise what is being typed stays
                self._label = node.label
                if self.title is not None:
                    self.title.value = node.label
            self.panel.props["aria-label"] = node.name
            await self.set_up.look_again()
            self.show_problems(self.found, self.warned)
            return
        await self._show(self.node_id, None)
        self.show_problems(self.found, self.warned)

    def show_problems(self, problems: Sequence[Problem], warned: Sequence[FlowWarning]) -> None:
        """Marks the fields that have a problem. Warnings, and problems without a field, are listed above the fields."""
        self.found, self.warned = problems, warned
        self._draw_simulated()
        if self.set_up is not None:
            self.set_up.show_problems(problems, warned, self.mend)
        if self.mapping is not None:
            self.mapping.show_problems(problems)

    def document_changed(self) -> None:
        """Updates the available data when nodes or connections changed while a node is shown."""
        if self.set_up is not None and self.set_up.is_behind:
            background_tasks.create(self.show_last_run(), name="data on offer")

    def focus(self, pointer: str) -> None:
        """Moves the keyboard focus into the field that a problem concerns; called when the problem is clicked."""
        if self.set_up is not None:
            self.set_up.focus(pointer)

    def take_keyboard(self) -> None:
        """Moves the keyboard focus to the first field that is shown."""
        self.panel.client.run_javascript(f"({FIRST_FIELD})(getHtmlElement({self.panel.id}))")

    async def show_last_run(self) -> None:
        """Updates previews, available data and values after a run."""
        if self.panel.is_deleted:
            return
        with self.panel:
            if self.set_up is not None:
                await self.set_up.look_again()
            if self.values is not None:
                await self.values.draw()

    def _clear(self, node_id: str | None, edge_id: str | None) -> None:
        self.node_id, self.edge_id = node_id, edge_id
        self.panel.visible = bool(node_id or edge_id)
        self.on_visible(self.panel.visible)
        self.panel.clear()
        self.set_up = self.values = self.mapping = self.title = self.simulated = None

    async def _draw(self, node: Node) -> None:
        kind = CATALOG.get(node.type)
        self._draw_head(node, kind)
        if kind is None:
            words(
                _("There is no kind of node called {type}. Delete it, or put another in its place.").format(
                    type=node.type
                ),
                "fp-ibody",
                tag="p",
            )
            return
        tabs = {"set_up": _("Set up"), "input": _("Input"), "output": _("Output"), "help": _("Help")}
        with ui.tabs().props("no-caps align=left dense") as bar:
            for name, title in tabs.items():
                ui.tab(name, label=title)
        bar.value = self.tab
        body = ui.element("div").classes("fp-ibody")

        async def change() -> None:
            async with self._drawing:
                if not body.is_deleted:
                    self.tab = str(bar.value)
                    await self._draw_tab(body, node.id, kind)

        bar.on_value_change(change)
        await self._draw_tab(body, node.id, kind)

    def _draw_head(self, node: Node, kind: NodeType | None) -> None:
        may_edit = self.page_session.may("edit flows")
        with ui.element("div").classes("fp-ih"):
            tile(kind.group if kind else "transform", kind.icon if kind else "help")
            with ui.element("div").style("min-width: 0; flex: 1"):
                words(node.name, "fp-hide", tag="h2")
                with ui.element("div").classes("fp-ititle"):
                    if may_edit:
                        self.title = self._draw_title(node)
                    else:
                        words(node.name, "fp-b fp-cut").props("aria-hidden=true")
                with ui.element("div").classes("fp-s12 fp-t3 fp-itype"):
                    words(kind.title if kind else node.type)
                    self.simulated = status_badge("simulated")
                    self._draw_simulated()
            if self._may_run(kind):
                icon_button("play_arrow", _("Run this node"), self._run_node)
            if may_edit:
                with menu_button(_("More for {name}").format(name=node.name)):
                    if self._may_run(kind):
                        menu_item(_("Run from here"), self._run_from, icon="resume")
                    menu_item(_("Delete this node"), lambda: self.on_delete(node.id), icon="delete", danger=True)
            icon_button("close", _("Close"), self.on_close)

    def _draw_simulated(self) -> None:
        """Shows the badge while the node uses the Simulated model, which may be chosen and left while it is shown."""
        node = self.draft.document.node(self.node_id) if self.node_id else None
        if self.simulated is not None:
            self.simulated.visible = node is not None and node.config.get("model") == "simulated"

    def _may_run(self, kind: NodeType | None) -> bool:
        return kind is not None and kind.type != "api_input" and self.page_session.may("run flows")

    def _draw_title(self, node: Node) -> ui.input:
        self._label = node.label
        box = ui.input(value=node.label, placeholder=node.id).props("borderless dense maxlength=200")
        box.props["aria-label"] = _("Label")
        box.on("change", lambda: self._rename(node.id, box.value or ""))
        box.on("keydown.enter", js_handler="(event) => event.target.blur()")
        icon("edit", "fp-t3", size=16).on("click", js_handler=_INTO_LABEL)
        return box

    async def _run_node(self) -> None:
        if self.node_id:
            await self.run_panel.run(until=self.node_id)

    async def _run_from(self) -> None:
        if self.node_id:
            await self.run_panel.run_from(self.node_id)

    async def _draw_tab(self, body: ui.element, node_id: str, kind: NodeType) -> None:
        node = self.draft.document.node(node_id)
        if node is None:
            return
        body.clear()
        self.set_up = self.values = None
        with body:
            match self.tab:
                case "set_up":
                    self.set_up = made = SetUpTab(
                        self.page_session,
                        self.draft,
                        node,
                        kind,
                        last_run=self.last_run,
                        edit=lambda ops: self._edit(ops, made),
                        catalog=self.catalog,
                        item=self.item,
                    )
                    await made.draw()
                    self.show_problems(self.found, self.warned)
                case "help":
                    words(kind.tooltip, "fp-b", tag="p")
                    markdown(kind.help)
                    link(_("The reference of this node"), f"/docs/nodes/{kind.type}", new_tab=True)
                case name:
                    self.values = tab = ValuesTab(
                        node,
                        name,
                        draft=self.draft,
                        last_run=self.last_run,
                        item=self.item,
                        on_item=self._choose_item,
                        run=self._run_node if self._may_run(kind) else None,
                        edit=self.edit if self.page_session.may("edit flows") else None,
                    )
                    await tab.draw()

    def _choose_item(self, item: int) -> None:
        self.item = item

    async def _rename(self, node_id: str, label: str) -> None:
        node = self.draft.document.node(node_id)
        if node is not None and label.strip() != node.label:
            self._label = label.strip()[:200]
            await self.edit([update_node(node, label=self._label)])
            self.panel.props["aria-label"] = label.strip() or node.id
