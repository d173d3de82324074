"""Make live also puts the version on the canvas, unless the person unticks the box: otherwise the canvas would keep a
version that nobody calls.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec import Struct
from nicegui import ui
from sqlalchemy.orm import Session

from engine.actions.flows import find_version_of_draft
from engine.flow.document import Document, load_document
from engine.flow.edits import difference_ops
from engine.flow.validation import without_parked
from engine.flow.version_comparison import draft_changes
from storage.flows import get_draft, get_flow, get_version
from ui.kit.parts import words
from ui.kit.text import _
from ui.page_session import PageSession
from ui.parts.open_drafts import OpenDraft

#: Puts a document on the canvas of the page that calls, as an edit that can be undone there.
PutOnCanvas = Callable[[Document], Awaitable[object]]


class Canvas(Struct, frozen=True):
    """The version that goes live, and what the draft has beside it.

    `same`: the draft has its content already. `kept_as`: the version that holds the draft's content, None when none
    does; then the draft is saved as version `next_version` before it is replaced. `loose`: the draft has nodes that are
    not connected, which no version holds.
    """

    document: Document
    same: bool
    kept_as: int | None
    next_version: int
    loose: bool


def load_canvas(session: Session, workspace_id: str, flow_id: str, number: int) -> Canvas:
    """Compares the draft with the version that goes live. Raises NotFound."""
    document = load_document(get_version(session, workspace_id, flow_id, number).document)
    draft = load_document(get_draft(session, workspace_id, flow_id).document)
    return Canvas(
        document,
        draft_changes(document, draft).same,
        find_version_of_draft(session, workspace_id, flow_id),
        get_flow(session, workspace_id, flow_id).newest_version + 1,
        len(without_parked(draft).nodes) < len(draft.nodes),
    )


class CanvasChoice:
    """The ticked box. It is not drawn when there is nothing to choose."""

    def __init__(self, page_session: PageSession, number: int, canvas: Canvas) -> None:
        self.page_session = page_session
        self.number = number
        self.canvas = canvas
        self.box: ui.checkbox | None = None
        if canvas.same or not page_session.may("edit flows"):
            return
        with ui.element("div").classes("fp-canvas-choice"):
            self.box = ui.checkbox(_("Also put version {number} on the canvas").format(number=number), value=True)
            self.box.props("dense")
            words(self._what_stays(), "fp-hint", tag="p")

    @property
    def wanted(self) -> bool:
        """True when the version is to be put on the canvas."""
        return self.box is not None and bool(self.box.value)

    async def keep_draft(self, draft: OpenDraft) -> None:
        """Saves the draft as a version when no version holds its content, which somebody may have changed since the box
        was drawn. Raises Refusal.
        """
        if self.wanted and await self.page_session.query(find_version_of_draft, draft.flow_id) is None:
            note = _("Was on the canvas before version {number} went live again").format(number=self.number)
            await draft.save(self.page_session, note)

    async def apply(self, draft: OpenDraft, put_on_canvas: PutOnCanvas | None) -> bool:
        """Puts the version on the canvas if that is wanted. True when it is there. Raises Refusal."""
        if not self.wanted:
            return False
        if put_on_canvas is not None:
            return bool(await put_on_canvas(self.canvas.document))
        await draft.change(self.page_session, "", difference_ops(draft.document, self.canvas.document))
        return True

    def _what_stays(self) -> str:
        canvas = self.canvas
        said = (
            _("What is on the canvas now is in no version yet. It is saved as version {number} first.").format(
                number=canvas.next_version
            )
            if canvas.kept_as is None
            else _("What is on the canvas now stays under Versions as version {number}.").format(number=canvas.kept_as)
        )
        return (
            _("{said} Steps that are not connected are taken off the canvas.").format(said=said)
            if canvas.loose
            else said
        )
