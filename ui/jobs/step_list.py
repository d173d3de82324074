"""The steps of a job: a waterfall, and a table of the same for use with the keyboard."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from msgspec import Struct
from nicegui import ui

from engine.flow.document import Document, Node
from engine.flow.graph import Graph
from engine.nodes import CATALOG
from engine.run.steps import INNER
from storage.steps import StepRow
from ui.flow_view.job_watch import Look
from ui.flow_view.list_frames import lists_of
from ui.kit.parts import Column, TableElement, Words, card, link, segments, status_line, table, tile, words
from ui.kit.text import Reader, _, number
from ui.kit.times import Times
from ui.parts.charts import WaterfallBar, chart, length_note, waterfall
from ui.parts.job_words import step_words

#: Most steps that are shown; a job may have thousands.
MOST = 300
#: Browser handler of a link that the page follows itself, unless it is opened in another tab.
_OPEN_HERE = """(event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  event.stopPropagation();
  emit();
}"""
_BARS = {
    "completed": "done",
    "failed": "failed",
    "running": "running",
    "waiting": "stopped",
    "skipped": "stopped",
    "cancelled": "stopped",
}


class StepLine(Struct, frozen=True):
    """One step, or a node that was not run (`step` None)."""

    node_id: str
    node_type: str
    label: str
    step: StepRow | None
    begin_ms: float = 0
    length_ms: float = 0

    def same(self, other: StepLine | None) -> bool:
        """Whether `other` is the same step, whatever its status."""
        return other is not None and self.node_id == other.node_id and self.index_path == other.index_path

    @property
    def index_path(self) -> str:
        """The index path of the step's item; empty outside a list."""
        return self.step.index_path if self.step is not None else ""


def step_lines(document: Document, look: Look, times: Times, inner: Mapping[str, Node] | None = None) -> list[StepLine]:
    """Returns the steps in the order of their starts, then the nodes that were not run.

    `inner`: nodes of called flows, by the names of their steps. Of a long list only the failed items and the first ones
    are returned.
    """
    begun = look.job.started_at or look.job.created_at
    names = {node.id: node.name for node in document.nodes}
    types = {node.id: node.type for node in document.nodes}
    for name, node in (inner or {}).items():
        caller = name.rpartition(INNER)[0]
        names[name] = f"{names.get(caller, caller)} › {node.name}"
        types[name] = node.type
    lists, totals = lists_of(document), _totals(look)
    lines = []
    for step in _shown(_in_order(look.steps, Graph(document).order)):
        ended = step.ended_at if step.ended_at is not None else times.clock.now()
        length = step.duration_ms if step.duration_ms is not None else max(0, ended - step.started_at)
        label = names.get(step.node_id, step.node_id)
        if step.index_path:
            label += f", {_item_words(step, totals.get((lists.get(step.node_id, ''), step.index[:-1])))}"
        lines.append(
            StepLine(step.node_id, types.get(step.node_id, ""), label, step, max(0, step.started_at - begun), length)
        )
    seen = {step.node_id for step in look.steps}
    rest = [node_id for node_id in Graph(document).order if node_id not in seen]
    return [*lines, *(StepLine(node_id, types[node_id], names[node_id], None) for node_id in rest)]


class FailedStep(Struct, frozen=True):
    """A node that failed while the job went on. `line` is its first failure; `what` says what happened then."""

    line: StepLine
    label: str
    what: str
    message: str


def failed_steps(document: Document, look: Look, lines: Sequence[StepLine], reader: Reader) -> list[FailedStep]:
    """Returns the nodes with a failure that did not end the job, in the order of their starts."""
    names = {node.id: node.name for node in document.nodes}
    steps: dict[str, list[StepRow]] = {}
    for step in look.steps:
        steps.setdefault(step.node_id, []).append(step)
    found: dict[str, FailedStep] = {}
    for line in lines:
        step = line.step
        if step is None or not step.error or line.node_id in found:
            continue
        mine = [one for one in steps[line.node_id] if one.index_path] or steps[line.node_id]
        failed = sum(one.error is not None for one in mine)
        label = names.get(line.node_id) or line.label.partition(",")[0]
        found[line.node_id] = FailedStep(
            line, label, _went_on_words(step, failed, len(mine), reader), str(step.error.get("message") or "")
        )
    return list(found.values())


def _went_on_words(step: StepRow, failed: int, total: int, reader: Reader) -> str:
    counts = {"failed": number(failed, reader), "total": number(total, reader)}
    if step.index_path:
        said = {
            "skipped": _("failed for {failed} of {total} items and was skipped for them:"),
            "completed": _("failed for {failed} of {total} items and gave its default value for them:"),
        }.get(step.status, _("failed for {failed} of {total} items, which were left out:"))
        return said.format(**counts)
    return _("failed and was skipped:") if step.status == "skipped" else _("failed and gave its default value:")


def step_path(job_id: str, line: StepLine) -> str:
    """The URL of a job's page with this step open."""
    said = {"step": line.node_id, **({"item": line.index_path} if line.index_path else {})}
    return f"/jobs/{job_id}?{urlencode(said)}"


def step_link(path: str, text: str, on_open: Callable[[], Any], classes: str = "") -> Words:
    """A link to a step that opens it on the page; with a modifier key the browser opens the path."""
    anchor = link(text, path, classes)
    anchor.on("click", on_open, [], js_handler=_OPEN_HERE)
    return anchor


def _in_order(steps: Sequence[StepRow], order: Sequence[str]) -> Sequence[StepRow]:
    """Sorts the steps; of those that began in the same millisecond the producer of data is before its user."""
    place = {node_id: at for at, node_id in enumerate(order)}
    return sorted(
        steps, key=lambda step: (step.started_at, place.get(step.node_id.partition(INNER)[0], -1), step.index)
    )


def _shown(steps: Sequence[StepRow]) -> Sequence[StepRow]:
    if len(steps) <= MOST:
        return steps

    def failed(step: StepRow) -> bool:
        return step.status == "failed" or step.went_on

    ranked = sorted(range(len(steps)), key=lambda at: (bool(steps[at].index_path), not failed(steps[at]), at))
    return [steps[at] for at in sorted(ranked[:MOST])]


def _bar(step: StepRow) -> str:
    return "failed" if step.went_on else _BARS[step.status]


def _totals(look: Look) -> dict[tuple[str, tuple[int, ...]], int]:
    """(Splitter, index path around it) -> number of its items."""
    return {(step.node_id, step.index): step.items for step in look.steps if step.items is not None}


def _item_words(step: StepRow, total: int | None) -> str:
    """Returns `3 of 12`; in nested lists preceded by the positions in the outer lists."""
    *outer, last = (str(part + 1) for part in step.index)
    words = _("{last} of {total}").format(last=last, total=total) if total else _("item {last}").format(last=last)
    return " · ".join([*outer, words])


class StepList:
    """The card; `on_choose(line)` is called with the selected step."""

    def __init__(self, job_id: str, times: Times, on_choose: Callable[[StepLine], Awaitable[None]]) -> None:
        self.job_id = job_id
        self.times = times
        self.on_choose = on_choose
        self.lines: Sequence[StepLine] = ()
        self.chosen: StepLine | None = None
        self.way = "waterfall"
        self.chart: ui.plotly | None = None
        self.ended = False
        self.rows: list[tuple[StepLine, ui.element]] = []
        #: What the links of the waterfall show.
        self.linked: list[tuple[Any, ...]] = []
        self.anchors: list[ui.element | None] = []
        with card(_("Steps"), padded=False) as box:
            self.count = words("", "fp-s13 fp-t3").props("role=status").move(box.head, 0)
            with box.head:
                ways = {"waterfall": _("Waterfall"), "table": _("Table")}
                segments(ways, self.way, self._show, label=_("Show the steps as"))
            self.place = ui.element("div")

    def draw(self, lines: Sequence[StepLine], *, ended: bool) -> None:
        """Draws these steps, or updates the waterfall that exists."""
        self.lines, self.ended = lines, ended
        self.count.text = self._sentence()
        if not self.grow():
            self._draw()

    def grow(self, lines: Sequence[StepLine] | None = None) -> bool:
        """Updates the waterfall to the current time. Returns False when the table is shown."""
        if lines is not None:
            self.lines = lines
        if self.way != "waterfall" or self.chart is None or self.chart.is_deleted:
            return False
        self.chart.update_figure(waterfall(self._bars()))
        self.chart.props["aria-label"] = self._chart_label()
        self._draw_links()
        return True

    def mark(self, line: StepLine | None) -> None:
        """Highlights the step whose values are shown."""
        self.chosen = line
        for one, row in self.rows:
            row.classes(add="fp-on") if one.same(line) else row.classes(remove="fp-on")

    def _sentence(self) -> str:
        statuses = ["failed" if line.step.went_on else line.step.status for line in self.lines if line.step is not None]
        said = [
            f"{number(statuses.count(status), self.times.reader)} {word}"
            for status, word in (
                ("completed", _("done")),
                ("running", _("running")),
                ("waiting", _("waiting for a person")),
                ("failed", _("failed")),
                ("skipped", _("skipped")),
                ("cancelled", _("stopped")),
            )
            if status in statuses
        ]
        rest = sum(line.step is None for line in self.lines)
        if rest:
            said.append((_("{rest} not run") if self.ended else _("{rest} waiting")).format(rest=rest))
        return ", ".join(said)

    def _show(self, way: str) -> None:
        self.way = way
        self._draw()

    def _draw(self) -> None:
        self.place.clear()
        self.rows = []
        with self.place:
            if self.way == "waterfall":
                self._draw_waterfall()
            else:
                self._draw_table()
        self.mark(self.chosen)

    def _bars(self) -> list[WaterfallBar]:
        return [
            WaterfallBar(
                line.label,
                line.begin_ms,
                line.length_ms if line.step is not None else 0,
                _bar(line.step) if line.step is not None else "",
                self._note(line),
            )
            for line in self.lines[:MOST]
        ]

    def _draw_waterfall(self) -> None:
        with ui.element("div").classes("fp-waterfall"):
            self.chart = chart(waterfall(self._bars()), self._chart_label())
            self.links = ui.element("ul").classes("fp-waterfall-links")
            self.links.props["aria-label"] = _("Steps")
        self.linked, self.anchors = [], []
        self._draw_links()

    def _draw_links(self) -> None:
        """Lays a link over each line of the waterfall: its name and its bar.

        A line that stays keeps its link, because a press or the keyboard focus would be lost with it: of a running step
        only the note changes, twice a second.
        """
        lines = self.lines[:MOST]
        said = [(line.node_id, line.index_path, line.label, line.step is None) for line in lines]
        same = next((at for at, (one, other) in enumerate(zip(said, self.linked, strict=False)) if one != other), None)
        kept = min(len(said), len(self.linked)) if same is None else same
        for _line, row in self.rows[kept:]:
            row.delete()
        self.rows = [(line, row) for line, (_before, row) in zip(lines, self.rows[:kept], strict=False)]
        del self.anchors[kept:]
        self.linked = said
        with self.links:
            for place, line in enumerate(lines[kept:], start=kept):
                with ui.element("li") as row:
                    self.rows.append((line, row))
                    self.anchors.append(self._draw_link(place, line))
        for line, anchor in zip(lines, self.anchors, strict=True):
            if anchor is not None:
                anchor.props["title"] = f"{line.label}: {self._note(line)}"
        self.mark(self.chosen)

    def _draw_link(self, place: int, line: StepLine) -> ui.element | None:
        if line.step is None:
            words(line.label, "fp-cut fp-t2")
            return None
        with step_link(step_path(self.job_id, line), "", lambda: self.on_choose(self.lines[place])) as anchor:
            words(line.label, "fp-cut")
        return anchor

    def _chart_label(self) -> str:
        return _("Waterfall of the steps: {sentence}").format(sentence=self._sentence())

    def _note(self, line: StepLine) -> str:
        if line.step is None:
            return _("not run") if self.ended else _("waiting")
        if line.step.went_on:
            # short, for the margin of the waterfall; the colour of the bar says that it failed
            return _("skipped") if line.step.status == "skipped" else _("default")
        if line.step.status in {"skipped", "cancelled"}:
            return _("skipped") if line.step.status == "skipped" else _("stopped")
        return length_note(line.length_ms, self.times.reader)

    def _draw_table(self) -> None:
        columns = [
            Column(_("Step")),
            Column(_("Status")),
            Column(_("Began after"), right=True),
            Column(_("Time"), right=True),
            Column(_("Tries"), right=True),
            Column(_("Tokens"), right=True),
            Column(_("Cost"), right=True),
        ]
        rows = table(columns, label=_("Steps"), stacks=True)
        for line in self.lines[:MOST]:
            self._row(rows, line)

    def _row(self, rows: TableElement, line: StepLine) -> None:
        step = line.step
        kind = CATALOG.get(line.node_type)
        with rows.row(on_open=(lambda: self.on_choose(line)) if step is not None else None) as row:
            self.rows.append((line, row))
            with rows.cell(), ui.element("span").classes("fp-row"):
                if kind is not None:
                    tile(kind.group, kind.icon, small=True)
                if step is None:
                    words(line.label, "fp-t2")
                else:
                    step_link(step_path(self.job_id, line), line.label, lambda: self.on_choose(line), "fp-row-link")
            with rows.cell():
                if step is None:
                    words(_("Not run") if self.ended else _("Waiting"), "fp-t3")
                else:
                    status_line(*step_words(step))
            reader = self.times.reader
            rows.cell(length_note(line.begin_ms, reader) if step is not None else "", "fp-t2")
            rows.cell(length_note(line.length_ms, reader) if step is not None else "")
            rows.cell(number(step.tries, reader) if step is not None and step.tries > 1 else "", "fp-t2")
            used = step.input_tokens + step.output_tokens if step is not None else 0
            rows.cell(number(used, reader) if used else "", "fp-t2")
            rows.cell(self.times.cost(step.cost_nanos) if step is not None and step.model_calls else "", "fp-t2")
