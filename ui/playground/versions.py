"""The Versions menu of the Playground: look at a version, compare it with the draft, put it on the canvas, make it live."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from nicegui import ui

from engine.flow.compare import Comparison, NodeChange, compare_documents
from engine.flow.document import Document, load_document
from engine.flow.layout import with_places
from storage.flows import FlowRow, VersionLine, get_version, list_versions
from ui.look.answer import answer_of
from ui.look.parts import button, icon, menu_item, status_badge, words
from ui.look.text import _
from ui.opened import times_of
from ui.playground.canvas_element import FlowCanvas
from ui.playground.data import readable
from ui.playground.node_views import NODE_VIEWS
from ui.visit import Visit

LONGEST_SHOWN = 300


class Versions:
    """Fills the menu each time it opens.

    `restore` puts a document on the canvas as an edit that can be undone; `make_live` deploys a version;
    `save_with_note` asks for a note and saves the draft.
    """

    def __init__(
        self,
        here: Visit,
        flow: Callable[[], FlowRow],
        draft: Callable[[], Document],
        *,
        restore: Callable[[Document], Awaitable[Any]],
        make_live: Callable[[int], Awaitable[Any]],
        save_with_note: Callable[[], Awaitable[Any]],
    ) -> None:
        self.here = here
        self.flow = flow
        self.draft = draft
        self.restore = restore
        self.make_live = make_live
        self.save_with_note = save_with_note
        self.times = times_of(here)

    async def fill(self, place: ui.element) -> None:
        """Draws the versions, newest first."""
        flow = self.flow()
        versions = await self.here.see(list_versions, flow.id)
        place.clear()
        with place:
            if not versions:
                words(_("No version yet. Save As makes version 1."), "fp-person", tag="p")
                return
            if self.here.may("edit flows"):
                menu_item(_("Save with a note..."), self.save_with_note, icon="save")
                ui.separator()
            for version in versions[:20]:
                item = menu_item("", lambda version=version: self._open(version), icon="history")
                with item:
                    words(f"{_('Version')} {version.number}", "fp-b")
                    if version.number == flow.live_version:
                        status_badge("live")
                    words(version.note or self.times.ago(version.created_at), "fp-t3 fp-s12 fp-cut").style(
                        "max-width: 220px"
                    )

    async def _open(self, line: VersionLine) -> None:
        version = await self.here.see(get_version, self.flow().id, line.number)
        document = load_document(version.document)
        chosen = await show_version(self.here, self.flow(), line, document, self.draft())
        if chosen == "restore":
            await self.restore(document)
        elif chosen == "live":
            await self.make_live(line.number)


async def show_version(
    here: Visit, flow: FlowRow, line: VersionLine, document: Document, draft: Document
) -> Literal["restore", "live"] | None:
    """A version's graph and what was changed since, on the canvas; what the person wants to do with it."""
    comparison = compare_documents(document, draft)
    live = flow.live_version == line.number
    times = times_of(here)
    with ui.dialog() as dialog, ui.card().classes("fp-dlg fp-dlg--version"):
        dialog.props["aria-label"] = f"{_('Version')} {line.number}"
        with ui.element("div").classes("fp-row"):
            words(f"{_('Version')} {line.number}", tag="h2")
            if live:
                status_badge("live")
        words(f"{_('Saved')} {times.moment(line.created_at)}, {line.created_by}. {line.note}".strip(), "fp-t2", tag="p")
        with ui.element("div").classes("fp-graph fp-graph--small"):
            canvas = FlowCanvas(
                f"version {line.number}",
                node_types=NODE_VIEWS,
                readonly=True,
                on_ready=lambda _message: canvas.load_graph({**with_places(document).as_json(), "rev": 1}) and None,
            ).classes("w-full h-full")
        _draw_comparison(comparison, document, draft)
        with ui.element("div").classes("fp-acts"):
            button(_("Close"), dialog.close, kind="quiet")
            if here.may("edit flows") and not comparison.same:
                button(_("Put on the canvas"), lambda: dialog.submit("restore"))
            if here.may("deploy") and not live:
                button(_("Make live"), lambda: dialog.submit("live"), kind="main")
    return await answer_of(dialog)


def _draw_comparison(comparison: Comparison, version: Document, draft: Document) -> None:
    words(_("Since then, on the canvas"), tag="h3")
    if comparison.same:
        words(_("Nothing has changed."), "fp-t2", tag="p")
        return
    with ui.element("ul").classes("fp-changes"):
        for change in comparison.nodes:
            with ui.element("li"):
                _draw_change(change, version, draft)
        for names, verb in (
            (comparison.edges_added, _("connected")),
            (comparison.edges_removed, _("no longer connected")),
        ):
            for source, target in names:
                words(f"{source} → {target} {verb}", tag="li")


def _draw_change(change: NodeChange, version: Document, draft: Document) -> None:
    said = {"added": _("was added"), "removed": _("was removed"), "changed": _("changed")}[change.kind]
    with ui.element("span"):
        words(change.name, "fp-b")
        words(f" {said}")
    for difference in change.differences:
        with ui.element("div").classes("fp-s12"):
            words(difference.where.split("/")[-1], "fp-mono fp-t2")
            words(_shown(difference.before, version), "fp-was")
            icon("arrow_forward", "fp-t3", size=14)
            words(_shown(difference.after, draft), "fp-is")


def _shown(value: Any, document: Document) -> str:
    text = (
        readable(value, document)
        if isinstance(value, str)
        else ""
        if value is None
        else json.dumps(value, ensure_ascii=False)
    )
    return (text[:LONGEST_SHOWN] + "…") if len(text) > LONGEST_SHOWN else text or _("(empty)")
