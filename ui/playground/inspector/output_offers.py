"""What a node is offered below its fields: to return what callers do not get, and rows for groups that no item is in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nicegui import ui

from engine.flow.edits import update_node
from engine.flow.node_type import Catalog
from ui.kit import feedback
from ui.kit.parts import button, note
from ui.kit.text import _
from ui.parts.open_drafts import Edit, OpenDraft
from ui.playground.state.group_rows import groups_without_row
from ui.playground.state.point_at_value import return_ops, unreturned_fields


class OutputOffers:
    """Drawn into the current container. `edited` is called after a setting of the node was changed by an offer."""

    def __init__(
        self, draft: OpenDraft, node_id: str, catalog: Catalog, edit: Edit, edited: Callable[[], Any], *, readonly: bool
    ) -> None:
        self.draft = draft
        self.node_id = node_id
        self.catalog = catalog
        self.edit = edit
        self.edited = edited
        self.readonly = readonly
        #: The fields whose return is offered, and the groups for which a row is.
        self._shown: tuple[list[str], list[str]] = [], []
        self._box = ui.element("div").classes("fp-stack").props("role=status")

    def show(self) -> None:
        """Shows what can be offered in the present document."""
        document = self.draft.document
        fields = [] if self.readonly else unreturned_fields(document, self.node_id, self.catalog)
        rows = [] if self.readonly else groups_without_row(document, self.node_id, self.catalog)
        if (fields, rows) == self._shown:
            return
        self._shown = fields, rows
        self._box.clear()
        with self._box:
            for name in fields:
                with note(_("Callers do not get “{name}” yet.").format(name=name)).classes("fp-note--act"):
                    give = button(_("Return this"), lambda name=name: self._return(name), icon="add", small=True)
                    give.props["aria-label"] = _("Return this: {name}").format(name=name)
            if rows:
                named = ", ".join(f"“{one}”" for one in rows)
                said = _("Groups that no item is in have no row: {groups}.").format(groups=named)
                with note(said).classes("fp-note--act"):
                    button(_("Show zeros, too"), lambda: self._add_rows(rows), icon="add", small=True)

    async def _add_rows(self, groups: Sequence[str]) -> None:
        node = self.draft.document.node(self.node_id)
        if node is not None:
            config = {**node.config, "choices": [*(node.config.get("choices") or []), *groups]}
            if await self.edit([update_node(node, config=config)]):
                self.edited()

    async def _return(self, name: str) -> None:
        returned_as, ops = return_ops(self.draft.document, self.node_id, (name,), self.catalog)
        if ops and await self.edit(ops):
            feedback.told(_("Callers get it as {name} after the next deployment.").format(name=returned_as))
