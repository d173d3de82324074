"""The Versions menu of the Playground: look at a version, compare it with the draft or another one, put it on the canvas, make it live."""

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
    """A version's graph beside what is on the canvas, or beside another version; what the person wants to do with it."""
    live = flow.live_version == line.number
    times = times_of(here)
    others = [other.number for other in await here.see(list_versions, flow.id) if other.number != line.number]
    with ui.dialog() as dialog, ui.card().classes("fp-dlg fp-dlg--version"):
        dialog.props["aria-label"] = f"{_('Version')} {line.number}"
        with ui.element("div").classes("fp-row"):
            words(f"{_('Version')} {line.number}", tag="h2")
            if live:
                status_badge("live")
        words(f"{_('Saved')} {times.moment(line.created_at)}, {line.created_by}. {line.note}".strip(), "fp-t2", tag="p")
        beside = _Beside(here, flow, line, document, draft)
        beside.draw(others)
        with ui.element("div").classes("fp-acts"):
            button(_("Close"), dialog.close, kind="quiet")
            if here.may("edit flows") and not compare_documents(document, draft).same:
                button(_("Put on the canvas"), lambda: dialog.submit("restore"))
            if here.may("deploy") and not live:
                button(_("Make live"), lambda: dialog.submit("live"), kind="main")
    return await answer_of(dialog)


class _Beside:
    """A version and what it is compared with: both graphs, with the steps that differ selected, and every setting that differs."""

    def __init__(self, here: Visit, flow: FlowRow, line: VersionLine, document: Document, draft: Document) -> None:
        self.here = here
        self.flow = flow
        self.line = line
        self.document = document
        self.draft = draft

    def draw(self, others: list[int]) -> None:
        """The choice of what to compare with, then both."""
        choices = {0: _("what is on the canvas")} | {number: f"{_('version')} {number}" for number in others}
        with ui.element("div").classes("fp-row"):
            label = words(_("Compared with"), "fp-t2")
            choice = ui.select(choices, value=0, on_change=lambda event: self._compare(event.value))
            choice.props("outlined dense options-dense")
            choice.props["aria-labelledby"] = label.html_id
        self.body = ui.element("div").classes("fp-beside")
        self._show(self.draft, _("On the canvas"), _("Since then, on the canvas"))

    async def _compare(self, number: int) -> None:
        if not number:
            self._show(self.draft, _("On the canvas"), _("Since then, on the canvas"))
            return
        version = await self.here.see(get_version, self.flow.id, number)
        name = f"{_('Version')} {number}"
        self._show(load_document(version.document), name, f"{name} {_('instead')}")

    def _show(self, other: Document, name: str, heading: str) -> None:
        comparison = compare_documents(self.document, other)
        differing = {change.node_id for change in comparison.nodes}
        self.body.clear()
        with self.body:
            with ui.element("div").classes("fp-pair"):
                _draw_graph(self.document, f"{_('Version')} {self.line.number}", differing)
                if not comparison.same:
                    _draw_graph(other, name, differing)
            words(heading, tag="h3")
            _draw_comparison(comparison, self.document, other)


def _draw_graph(document: Document, name: str, differing: set[str]) -> None:
    chosen = [node.id for node in document.nodes if node.id in differing]
    with ui.element("figure"):
        words(name, "fp-t2 fp-s12", tag="figcaption")
        with ui.element("div").classes("fp-graph fp-graph--small"):
            canvas = FlowCanvas(
                name,
                node_types=NODE_VIEWS,
                readonly=True,
                on_ready=lambda _message: (
                    canvas.load_graph({**with_places(document).as_json(), "rev": 1}, select=chosen) and None
                ),
            ).classes("w-full h-full")


def _draw_comparison(comparison: Comparison, version: Document, other: Document) -> None:
    if comparison.same:
        words(_("Nothing has changed."), "fp-t2", tag="p")
        return
    with ui.element("ul").classes("fp-changes"):
        for change in comparison.nodes:
            with ui.element("li"):
                _draw_change(change, version, other)
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
