"""The flow as a list of steps, for small screens, keyboards and screen readers (`assets/components/steps_list.js`).

The list replaces the canvas below a width of 768 px, or when the person chooses it. While it is hidden, nothing is
sent to the browser.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nicegui.element import Element

from engine.core.paths import ASSETS
from engine.flow.document import Document
from engine.flow.graph import SOURCES
from engine.flow.step_list import SINGLE, Step, fitting, may_move, steps_of
from engine.flow.ways import port_words
from engine.nodes import CATALOG
from ui.flow_view.canvas_types import Marks
from ui.flow_view.list_frames import frame_label
from ui.kit.text import _, plural

_COMPONENT = ASSETS / "components" / "steps_list.js"
_WORDS = {
    "steps": _("Steps of the flow"),
    "list": _("Steps"),
    "parked": _("Not connected: these do not run"),
    "add": _("Add a step"),
    "more": _("More for"),
    "undo": _("Undo"),
    "redo": _("Redo"),
    "open": _("Open"),
    "run": _("Run this step"),
    "run_from": _("Run from here"),
    "add_after": _("Add a step after"),
    "add_before": _("Add a step before"),
    "choose": _("Choose what it comes after"),
    "up": _("Move up"),
    "down": _("Move down"),
    "rename": _("Rename"),
    "copy": _("Duplicate"),
    "remove": _("Remove"),
    "keys": _("Arrows go from step to step, Alt+arrows move one, N adds after it, C chooses what it comes after."),
}
#: Called with the name of an action and the id of the step it concerns; the id is empty for an action on the flow.
OnVerb = Callable[[str, str], Any]


class StepsList(Element, component=_COMPONENT):
    """The list element.

    `on_verb` gets the action and the step's id; `look` sends the content once the list is visible.
    """

    def __init__(self, *, on_verb: OnVerb, look: Callable[[], None], may_edit: bool, may_run: bool) -> None:
        super().__init__()
        self.may_edit = may_edit
        self.may_run = may_run
        self.shown = False
        self.look = look
        told = _WORDS if may_edit else {**_WORDS, "keys": _("Arrows go from step to step.")}
        self.props.update(rows=[], inspected="", words=told, readonly=not may_edit)
        self.on("shown", lambda event: self._seen(event.args))
        self.on("verb", lambda event: self._do(str(event.args.get("verb")), str(event.args.get("id")), on_verb))

    def draw(
        self,
        document: Document,
        statuses: Mapping[str, Mapping[str, Any]],
        marks: Mapping[str, Marks],
        inspected: str | None,
    ) -> None:
        """Shows the steps of this document; `statuses` is the state of each node in a run, by node id."""
        if not self.shown:
            return
        rows = self._rows(document, statuses, marks)
        if rows != self.props["rows"] or (inspected or "") != self.props["inspected"]:
            self.props.update(rows=rows, inspected=inspected or "")
            self.update()

    def focus(self, node_id: str) -> None:
        """Moves the keyboard focus to this step, also when it is added a moment later."""
        if self.shown:
            self.run_method("focus", node_id)

    def say(self, text: str) -> None:
        """Announces a change of the list to screen readers."""
        if self.shown:
            self.run_method("say", text)

    def _do(self, verb: str, node_id: str, on_verb: OnVerb) -> Any:
        """Passes on what the person may do; others are not offered it."""
        may = {"open": True, "run": self.may_run, "run_from": self.may_run}.get(verb, self.may_edit)
        return on_verb(verb, node_id) if may else None

    def _seen(self, shown: Any) -> None:
        self.shown = bool(shown)
        self.look()

    def _rows(
        self, document: Document, statuses: Mapping[str, Mapping[str, Any]], marks: Mapping[str, Marks]
    ) -> list[dict[str, Any]]:
        steps = steps_of(document)
        names = {node.id: node.name for node in document.nodes}
        can = _Leave(document, [step.node.id for step in steps], may_edit=self.may_edit, may_run=self.may_run)
        rows = []
        for at, step in enumerate(steps):
            kind, mark, status = CATALOG.get(step.node.type), marks.get(step.node.id), statuses.get(step.node.id)
            row: dict[str, Any] = {
                "id": step.node.id,
                "name": step.node.name,
                "kind": kind.title if kind else step.node.type,
                "icon": kind.icon if kind else "help",
                "group": kind.group if kind else "transform",
                "summary": mark.get("summary", "") if mark else "",
                "may": can.verbs(at, step),
            }
            if mark and (count := mark.get("problems")):
                row["problems"] = plural(count, _("problem"), _("problems"))
            if step.lists:
                row |= {"list": step.lists[-1], "scope": frame_label(names[step.lists[-1]])}
            if step.parked:
                row["parked"] = True
            elif step.after and not step.follows:
                row["after"] = _("after {after}").format(after=", ".join(way_words(way, names) for way in step.after))
            elif step.after and step.after[0][1] != "out":
                row["after"] = _("after {way}").format(way=way_words(step.after[0], names))
            elif at and not step.after and step.node.type not in SOURCES:
                row["after"] = _("comes after nothing")
            if status:
                row |= {"state": status["state"], "word": status["word"], "time": status.get("time") or ""}
            rows.append(row)
        return rows


def way_words(way: tuple[str, str], names: Mapping[str, str]) -> str:
    """Names a step and, when it has several outputs, the output: `Is it long?, yes`."""
    node_id, port = way
    return names.get(node_id, node_id) + (f", {port_words(port)}" if port != "out" else "")


class _Leave:
    """Which actions are possible for each step."""

    def __init__(self, document: Document, order: list[str], *, may_edit: bool, may_run: bool) -> None:
        self.document = document
        self.order = order
        self.may_edit = may_edit
        self.may_run = may_run

    def verbs(self, at: int, step: Step) -> list[str]:
        """The actions of one row, in no particular order."""
        node, kind = step.node, CATALOG.get(step.node.type)
        found = ["open"]
        if self.may_run and not step.parked and node.type != "api_input":
            found += ["run", "run_from"]
        if not self.may_edit:
            return found
        found += ["rename", "remove"]
        if kind is None:
            return found
        if kind.ports:
            found.append("add_after")
        if kind.accepts_input:
            found.append("choose")
        if kind.accepts_input or fitting(self.document, CATALOG, before=node.id):
            found.append("add_before")
        if node.type not in SINGLE:
            found.append("copy")
        if at and may_move(self.document, self.order[at - 1], node.id, CATALOG):
            found.append("up")
        if at + 1 < len(self.order) and may_move(self.document, node.id, self.order[at + 1], CATALOG):
            found.append("down")
        return found
