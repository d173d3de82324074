"""Compares a version with the draft or another version: both graphs with the differences marked, settings, and the
API.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from nicegui import ui

from engine.actions.principal import COMMAND_LINE
from engine.flow.caller_changes import caller_changes
from engine.flow.document import Document, load_document, with_huge_integers_as_text
from engine.flow.node_places import with_places
from engine.flow.version_comparison import (
    Comparison,
    NodeChange,
    answers_may_differ,
    compare_documents,
    content_of,
    draft_changes,
)
from engine.nodes import CATALOG
from storage.flows import FlowRow, VersionLine, get_version, list_versions
from ui.flow_view.canvas_types import NodeTraffic, Traffic
from ui.flow_view.changed_settings import ChangedSetting, Names, changed_settings, read_names
from ui.flow_view.flow_canvas import FlowCanvas
from ui.flow_view.node_views import NODE_VIEWS, readable
from ui.kit.answer import answer_of
from ui.kit.feedback import open_page
from ui.kit.long_lists import MAX_LINES, first_lines, tell_left_out
from ui.kit.parts import button, icon, sentence, status_badge, words
from ui.kit.text import _, plural
from ui.kit.value_words import TextPart, around_difference, changed_words
from ui.page_session import PageSession
from ui.page_shell import times_of

LONGEST_SHOWN = 300
#: The number that stands for the draft among version numbers.
DRAFT = 0
Kind = Literal["added", "removed", "changed"]
_KINDS: dict[Kind, tuple[str, str]] = {
    "added": ("add", _("Added")),
    "removed": ("remove", _("Removed")),
    "changed": ("edit", _("Changed")),
}
_WEIGHTS = {"breaking": ("warning", "fp-bad"), "careful": ("info", "fp-warn"), "harmless": ("add", "fp-ok")}
#: The colour level of a node that differs.
_MARKED = 3
#: The dialog fades in: growing would have its graphs measured too small, and connections would end beside the ports.
_STILL = "transition-show=fade"


async def show_version(
    page_session: PageSession,
    flow: FlowRow,
    line: VersionLine,
    document: Document,
    draft: Document,
    *,
    with_canvas: bool = False,
) -> Literal["restore", "live"] | None:
    """Shows a version beside what is live, the draft or another version. Returns what the person decided to do with it.
    `with_canvas`: beside the draft at first.
    """
    return await VersionDialog(page_session, flow, line, document, draft).ask(with_canvas=with_canvas)


class VersionDialog:
    """A dialog that compares one version with another or with the draft: at first with what callers get now, and that, or
    any version when nothing is live, with the version before it.
    """

    def __init__(
        self, page_session: PageSession, flow: FlowRow, line: VersionLine, document: Document, draft: Document
    ) -> None:
        self.page_session = page_session
        self.flow = flow
        self.line = line
        self.document = document
        self.draft = draft
        self.live = flow.live_version == line.number

    async def ask(self, *, with_canvas: bool = False) -> Literal["restore", "live"] | None:
        """Opens the dialog and returns the decision, or None."""
        line, times = self.line, times_of(self.page_session)
        versions = await self.page_session.query(list_versions, self.flow.id)
        others = {one.number: one for one in versions if one.number != line.number}
        live = self.flow.live_version
        first = live if live in others else max((one for one in others if one < line.number), default=DRAFT)
        differs = not draft_changes(self.document, self.draft).same
        # beside an older version a live one tells nothing of what the canvas loses when it is put there
        first = DRAFT if with_canvas or (self.live and differs) else first
        names = {first: ""} | {DRAFT: _("What is on the canvas")}
        for number, one in others.items():
            names[number] = f"{self._name(number)}{f': {one.note}' if one.note else ''}"[:60]
        with open_page().layout, ui.dialog().props(_STILL) as dialog, ui.card().classes("fp-dlg fp-dlg--version"):
            dialog.props["aria-label"] = _("Version {number}").format(number=line.number)
            with ui.element("div").classes("fp-row"):
                words(_("Version {number}").format(number=line.number), tag="h2")
                if self.live:
                    status_badge("live")
            words(
                _("Saved {created_at} by {by_whom}. {note}")
                .format(created_at=times.moment(line.created_at), by_whom=by_whom(line.created_by), note=line.note)
                .strip(),
                "fp-t2",
                tag="p",
            )
            with ui.element("div").classes("fp-row fp-beside-pick"):
                words(_("Compared with"), "fp-t2")
                choice = ui.select(names, value=first, on_change=lambda event: self._compare(int(event.value)))
                choice.props("outlined dense options-dense")
                choice.props["aria-label"] = _("Compared with")
            self.body = ui.element("div").classes("fp-beside-body").props("tabindex=0 role=region")
            self.body.props["aria-label"] = _("What differs")
            with ui.element("div").classes("fp-acts"):
                button(_("Close"), dialog.close, kind="quiet")
                if self.page_session.may("edit flows") and differs:
                    kind = "main" if self.live else "normal"
                    button(_("Put on the canvas"), lambda: dialog.submit("restore"), kind=kind)
                if self.page_session.may("deploy") and not self.live:
                    button(_("Make live"), lambda: dialog.submit("live"), kind="main")
            await self._compare(first)
        return await answer_of(dialog)

    def _name(self, number: int) -> str:
        """`Version 2`, or of the live version that callers get it now."""
        if number == DRAFT:
            return _("What is on the canvas")
        if number == self.flow.live_version:
            return _("Callers get now: version {number}").format(number=number)
        return _("Version {number}").format(number=number)

    async def _compare(self, number: int) -> None:
        """Draws the comparison with what comes first at the left: the older of the two, but what callers get now before an
        older version, which can be made live in its place.
        """
        mine_document, other = content_of(self.document), content_of(self.draft)
        if number != DRAFT:
            mine_document = self.document
            other = load_document((await self.page_session.query(get_version, self.flow.id, number)).document)
        names = await self.page_session.query(read_names)
        before, after = (self._name(self.line.number), mine_document), (self._name(number), other)
        live = self.flow.live_version
        if number == live or (number != DRAFT and number < self.line.number):
            before, after = after, before
        self.body.clear()
        with self.body:
            same = draw_beside(before, after, names).same
            if number == DRAFT and not same and self.page_session.may("edit flows"):
                lost = _("“Put on the canvas” takes back what differs here: the canvas is then as version {number}.")
                words(lost.format(number=self.line.number), "fp-t2", tag="p")


async def show_difference(
    page_session: PageSession, flow: FlowRow, live: Document, draft: Document
) -> Literal["restore", "deploy"] | None:
    """Shows the live version beside the draft. Returns whether the person decides to deploy the draft, or to have the live
    version on the canvas again.
    """
    names = await page_session.query(read_names)
    with open_page().layout, ui.dialog().props(_STILL) as dialog, ui.card().classes("fp-dlg fp-dlg--version"):
        title = _("The draft differs from what is live")
        dialog.props["aria-label"] = title
        words(title, tag="h2")
        words(
            _("Callers get version {live_version} until you press Update API.").format(live_version=flow.live_version),
            "fp-t2",
            tag="p",
        )
        with ui.element("div").classes("fp-beside-body").props("tabindex=0 role=region") as body:
            body.props["aria-label"] = _("What differs")
            name = _("Callers get now: version {number}").format(number=flow.live_version)
            draw_beside((name, content_of(live)), (_("What is on the canvas"), content_of(draft)), names)
        with ui.element("div").classes("fp-acts"):
            button(_("Close"), dialog.close, kind="quiet")
            if page_session.may("edit flows"):
                back = _("Take version {number} back").format(number=flow.live_version)
                button(back, lambda: dialog.submit("restore"), icon="undo")
            if page_session.may("deploy"):
                button(_("Update API"), lambda: dialog.submit("deploy"), icon="rocket_launch", kind="main")
    return await answer_of(dialog)


def by_whom(name: str) -> str:
    """A person's name, or words for the command line of the server."""
    return _("the command line") if name == COMMAND_LINE else name


def draw_beside(before: tuple[str, Document], after: tuple[str, Document], names: Names) -> Comparison:
    """Draws two named documents: their graphs, their settings, and the changes of the API from one to the other. `names`:
    what settings name by their ids.
    """
    (old_name, old), (new_name, new) = before, after
    comparison = compare_documents(old, new)
    kinds: dict[str, Kind] = {change.node_id: change.kind for change in comparison.nodes}
    with ui.element("div").classes("fp-beside"):
        for name, document in (before, after):
            with ui.element("figure"):
                words(name, "fp-b", tag="figcaption")
                with ui.element("div").classes("fp-graph fp-graph--small"):
                    _graph(f"{name} of a comparison", document, kinds)
    with ui.element("h3").classes("fp-row fp-wrap-row"):
        words(old_name)
        icon("arrow_forward", "fp-t3", size=16)
        words(f" {_('to')} ", "fp-hide")
        words(new_name)
    if comparison.same:
        words(_("Nothing has changed."), "fp-t2", tag="p")
        return comparison
    edges = [
        *((pair, _("{source} → {target} connected")) for pair in comparison.edges_added),
        *((pair, _("{source} → {target} no longer connected")) for pair in comparison.edges_removed),
    ]
    with ui.element("ul").classes("fp-changes"):
        left = MAX_LINES
        for change in comparison.nodes:
            left -= _draw_change(change, old, new, names, left)
        for (source, target), said in edges[: max(0, left)]:
            words(said.format(source=source, target=target), tag="li")
        tell_left_out(len(edges) - left)
    _draw_callers(old, new)
    return comparison


def _draw_callers(old: Document, new: Document) -> None:
    changes = caller_changes(old, new, CATALOG)
    words(_("What callers notice"), tag="h3")
    if not changes:
        same = _("Nothing changes for callers: they send and get what they did before.")
        words(_("Same fields; answers may differ.") if answers_may_differ(old, new) else same, "fp-t2", tag="p")
        return
    with ui.element("ul").classes("fp-changes"):
        for change in first_lines(changes):
            symbol, colour = _WEIGHTS[change.weight]
            with ui.element("li").classes("fp-row"):
                icon(symbol, colour, size=16)
                sentence(change.sentence, tag="span")


def _graph(name: str, document: Document, kinds: Mapping[str, Kind]) -> None:
    def show(_message: dict[str, Any]) -> None:
        canvas.load_graph({**with_places(with_huge_integers_as_text(document), CATALOG).as_json(), "rev": 1})
        mine = [node.id for node in document.nodes if node.id in kinds]
        if mine:
            canvas.set_traffic(_marked(mine, kinds))
            canvas.fit()  # a mark makes its node taller: both graphs stand at the same height again

    canvas = FlowCanvas(name, node_types=NODE_VIEWS, readonly=True, on_ready=show).classes("w-full h-full")


def _marked(node_ids: Sequence[str], kinds: Mapping[str, Kind]) -> Traffic:
    nodes: dict[str, NodeTraffic] = {}
    for node_id in node_ids:
        symbol, word = _KINDS[kinds[node_id]]
        nodes[node_id] = NodeTraffic(level=_MARKED, share=0, icon=symbol, word=word, aside="", title=word)
    count = plural(len(node_ids), _("step differs"), _("steps differ"))
    return Traffic(kind="changes", title=count, total="", empty="", nodes=nodes)


def _draw_change(change: NodeChange, old: Document, new: Document, names: Names, most: int) -> int:
    """Draws a change of a node in at most this many lines, and returns how many it has."""
    parts = list(changed_settings(change, new.node(change.node_id), names))
    if most > 0:
        with ui.element("li"):
            _draw_parts(change, parts[: most - 1], old, new)
    return 1 + len(parts)


def _draw_parts(change: NodeChange, parts: Sequence[ChangedSetting], old: Document, new: Document) -> None:
    said = {"added": _("was added"), "removed": _("was removed"), "changed": _("changed")}[change.kind]
    with ui.element("span"):
        words(change.name, "fp-b")
        words(f" {said}")
    for part in parts:
        with ui.element("div").classes("fp-s12"):
            if part.sentence:
                words(part.sentence)
                continue
            words(part.name, "fp-t2 fp-b")
            before, after = readable(part.before, old), readable(part.after, new)
            if parts_of_text := changed_words(before, after, LONGEST_SHOWN):
                _draw_text(parts_of_text)
                continue
            before, after = around_difference(before, after, LONGEST_SHOWN)
            words(before or _("(empty)"), "fp-was")
            icon("arrow_forward", "fp-t3", size=14)
            words(f" {_('to')} ", "fp-hide")
            words(after or _("(empty)"), "fp-is")


def _draw_text(parts: Sequence[TextPart]) -> None:
    with ui.element("span").classes("fp-in-text-change"):
        for before, part in zip([None, *parts], parts, strict=False):
            match part.kind:
                case "kept":
                    words(part.text)
                case "was":
                    words(part.text, "fp-was", tag="del")
                case "is":
                    if before is not None and before.kind == "was":
                        words(f" {_('to')} ", "fp-hide")
                    words(part.text, "fp-is", tag="ins")
