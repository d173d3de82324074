"""What a node is offered below its fields: to return what callers do not get, rows for groups that no item is in, and to use
the first field of an answer that was a text where the text was used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nicegui import ui

from engine.flow.edits import update_node
from engine.flow.node_type import Catalog
from engine.flow.well_formed_fields import well_formed_fields
from ui.kit import feedback
from ui.kit.parts import button, note
from ui.kit.text import _
from ui.parts.open_drafts import Edit, OpenDraft
from ui.playground.state.group_rows import groups_without_row
from ui.playground.state.point_at_value import return_ops, unreturned_fields
from ui.playground.state.whole_answers import use_field_ops, whole_readers


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
        #: The fields whose return is offered, the groups for which a row is, the first field of an answer that has just
        #: become a group, and the steps that take the whole answer.
        self._shown: tuple[list[str], list[str], str | None, list[str]] = [], [], None, []
        self._was_text = False  #: the answer was a text since the node was opened
        self._box = ui.element("div").classes("fp-stack").props("role=status")

    def show(self) -> None:
        """Shows what can be offered in the present document."""
        document = self.draft.document
        fields = [] if self.readonly else unreturned_fields(document, self.node_id, self.catalog)
        rows = [] if self.readonly else groups_without_row(document, self.node_id, self.catalog)
        first = self._first_field()
        readers = whole_readers(document, self.node_id, self.catalog) if first is not None else []
        if (fields, rows, first, readers) == self._shown:
            return
        self._shown = fields, rows, first, readers
        self._box.clear()
        with self._box:
            if first is not None:
                self._draw_group(first, readers)
            for name in fields:
                with note(_("Callers do not get “{name}” yet.").format(name=name)).classes("fp-note--act"):
                    give = button(_("Return this"), lambda name=name: self._return(name), icon="add", small=True)
                    give.props["aria-label"] = _("Return this: {name}").format(name=name)
            if rows:
                named = ", ".join(f"“{one}”" for one in rows)
                said = _("Groups that no item is in have no row: {groups}.").format(groups=named)
                with note(said).classes("fp-note--act"):
                    button(_("Show zeros, too"), lambda: self._add_rows(rows), icon="add", small=True)

    def _first_field(self) -> str | None:
        """The first field of an answer that was a text when the node was opened or after that; None for others."""
        node = self.draft.document.node(self.node_id)
        kind = self.catalog.get(node.type) if node is not None else None
        if self.readonly or node is None or kind is None or "output_fields" not in kind.config.model_fields:
            return None
        fields = well_formed_fields(node.config.get("output_fields"))
        self._was_text = self._was_text or not fields
        return str(fields[0].get("name") or "") if fields and self._was_text else None

    def _draw_group(self, first: str, readers: Sequence[str]) -> None:
        said = _("The answer is now a group: later steps use its fields.")
        if readers:
            named = ", ".join(f"“{one}”" for one in readers)
            said = _("The answer is now a group. The whole group is used in {steps}.").format(steps=named)
        with note(said).classes("fp-note--act" if readers else ""):
            if readers and first:
                verb = _("Use “{name}” there").format(name=first)
                button(verb, lambda: self._use(first), icon="add_link", small=True)

    async def _use(self, field: str) -> None:
        await self.edit(use_field_ops(self.draft.document, self.node_id, field, self.catalog))

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
