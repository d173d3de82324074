"""The tab Compare of the Run panel: two runs of the flow, node by node, and the lines in which their values differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct
from nicegui import ui
from sqlalchemy.orm import Session

from engine.core.errors import NotFound
from engine.flow.document import Node
from storage.jobs import JobRow, find_value
from storage.run_comparison import MAX_OUTPUTS, RecentRun, compare_outputs, list_recent_runs
from ui.flow_view.job_watch import look_at
from ui.kit import feedback
from ui.kit.parts import Column, TableElement, button, status_line, table, words
from ui.kit.text import Reader, _, cost, duration, number, plural
from ui.kit.times import Times
from ui.kit.value_words import in_short_of_json
from ui.page_session import PageSession
from ui.parts.job_words import environment_word, state_words, version_words
from ui.parts.open_drafts import OpenDraft
from ui.playground.run.compared_runs import NodeCompared, Sign, Spent, compare_nodes, difference

#: Characters of the input by which a run is recognised in the choice.
_LONGEST_INPUT = 100
_SIGN_WORDS = {"-": _("only in the first"), "+": _("only in the second")}
_CLASSES = {"-": "fp-diff-out", "+": "fp-diff-in", " ": "", "…": "fp-t3"}


class Compared(Struct, frozen=True):
    """The two runs that are shown."""

    first: JobRow
    second: JobRow
    nodes: Sequence[NodeCompared]
    result: Sequence[tuple[Sign, str]]


class CompareView:
    """Loads the runs when the tab is opened; the two newest are chosen at first."""

    def __init__(self, page_session: PageSession, draft: OpenDraft, reader: Reader) -> None:
        self.page_session = page_session
        self.draft = draft
        self.reader = reader
        self.times = Times(page_session.app.database.clock, reader)
        #: The nodes of called flows, by the names of their steps.
        self.inner: Mapping[str, Node] = {}
        self.first: str | None = None
        self.second: str | None = None
        self.box = ui.element("div").classes("fp-rt fp-rc fp-stack")

    async def show(self) -> None:
        """Called when the tab is opened."""
        runs = await self.page_session.query(list_recent_runs, self.draft.flow_id)
        ids = [run.job.id for run in runs]
        if self.second not in ids or self.first not in ids or self.second != ids[0]:
            self.second, self.first = (*ids, None, None)[:2]
        self.box.clear()
        with self.box:
            if len(runs) < 2:
                words(
                    _("Run the flow twice, for example with two samples, to compare the runs here."), "fp-t2", tag="p"
                )
                return
            self._draw_choices(runs)
            self.place = ui.element("div").classes("fp-stack")
        await self._compare()

    def hide(self) -> None:
        """Called when another tab is opened."""

    def _draw_choices(self, runs: Sequence[RecentRun]) -> None:
        names = {run.job.id: self._run_words(run) for run in runs}
        with ui.element("div").classes("fp-compare-runs"):
            for label, name in ((_("First"), "first"), (_("Second"), "second")):
                with ui.element("div").classes("fp-f"):
                    title = words(label, tag="label")
                    box = ui.select(
                        names,
                        value=getattr(self, name),
                        on_change=lambda event, name=name: self._choose(name, event.value),
                    )
                    box.props("outlined dense options-dense").classes("w-full")
                    box.props["aria-label"] = _("{label} run").format(label=label)
                    title.props["for"] = box.html_id

    def _run_words(self, run: RecentRun) -> str:
        job = run.job
        what = _("Draft") if job.flow_version is None else f"{version_words(job)}, {environment_word(job.environment)}"
        return (
            f"{self.times.moment(job.created_at)} · {what} · {state_words(job, self.times.reader)[1]} · "
            f"{in_short_of_json(run.payload, _LONGEST_INPUT)}"
        )

    async def _choose(self, name: str, job_id: str) -> None:
        setattr(self, name, job_id)
        await self._compare()

    async def _compare(self) -> None:
        first, second = self.first, self.second
        if first is None or second is None:
            return
        document = self.draft.document

        def read(session: Session, workspace_id: str) -> Compared:
            mine, theirs = look_at(session, workspace_id, first), look_at(session, workspace_id, second)
            assert mine is not None
            assert theirs is not None
            outputs = compare_outputs(session, workspace_id, first, second)
            results = [find_value(session, job_id, "result") for job_id in (first, second)]
            values = [None if stored is None else stored.value for stored in results]
            nodes = compare_nodes(document, mine, theirs, outputs, self.reader, inner=self.inner)
            return Compared(mine.job, theirs.job, nodes, difference(*values))

        try:
            found = await self.page_session.query(read)
        except NotFound as refusal:
            feedback.refused(refusal)
            return
        if (first, second) == (self.first, self.second) and not self.place.is_deleted:
            self._draw(found)

    def _draw(self, found: Compared) -> None:
        self.place.clear()
        with self.place:
            self._draw_nodes(found)
            self.lines = ui.element("div").props("role=status")
        self._draw_difference(_("Result"), found.result)

    def _draw_nodes(self, found: Compared) -> None:
        columns = [
            Column(_("Step")),
            Column(_("Status")),
            Column(_("Time"), right=True),
            Column(_("Tokens"), right=True),
            Column(_("Cost"), right=True),
            Column(_("Output")),
        ]
        rows = table(columns, label=_("Both runs, step by step"))
        with rows.row():
            rows.cell(_("The whole run"), "fp-b")
            self._draw_figures(rows, self._of_job(found.first), self._of_job(found.second))
            with rows.cell():
                self._draw_output_words(_("differs") if found.result else _("same"), _("Result"), found.result)
        for node in found.nodes:
            with rows.row():
                rows.cell(node.label, "fp-b")
                self._draw_figures(rows, node.first, node.second)
                with rows.cell():
                    self._draw_outputs(node)
        if any(node.outputs is not None and node.outputs.cut for node in found.nodes):
            most = number(MAX_OUTPUTS, self.reader)
            words(
                _("Of each run, the outputs of up to {most} steps are compared.").format(most=most), "fp-hint", tag="p"
            )

    def _draw_figures(self, rows: TableElement, first: Spent | None, second: Spent | None) -> None:
        with rows.cell(), ui.element("span").classes("fp-row fp-compare-states"):
            self._draw_state(first)
            if first is None or second is None or (first.state, first.word) != (second.state, second.word):
                words("→", "fp-t3")
                self._draw_state(second)
        for figure in (self._time, self._tokens, self._cost):
            mine, theirs = (figure(one) if one is not None else "" for one in (first, second))
            rows.cell(mine if mine == theirs else f"{mine or '-'} → {theirs or '-'}", "fp-num fp-nw")

    def _draw_state(self, spent: Spent | None) -> None:
        if spent is None:
            words(_("not run"), "fp-t3")
        else:
            status_line(spent.state, spent.word)

    def _time(self, spent: Spent) -> str:
        return "" if spent.state == "reused" else duration(spent.ms / 1000, self.reader)

    def _tokens(self, spent: Spent) -> str:
        return number(spent.tokens, self.reader) if spent.calls else ""

    def _cost(self, spent: Spent) -> str:
        price = None if spent.cost_nanos is None else spent.cost_nanos / 1e9
        return cost(price, self.reader) if spent.calls else ""

    def _of_job(self, job: JobRow) -> Spent:
        ms = (job.completed_at or 0) - (job.started_at or job.completed_at or 0)
        state, said = state_words(job, self.reader)
        return Spent(state, said, ms, job.input_tokens + job.output_tokens, job.model_calls, job.cost_nanos)

    def _draw_outputs(self, node: NodeCompared) -> None:
        outputs = node.outputs
        if outputs is None:
            return
        if not (outputs.different or outputs.only_first or outputs.only_second):
            if not outputs.cut:
                words(_("same"), "fp-t2")
            elif not outputs.same:
                words(_("not compared"), "fp-t2")
            else:
                same = number(outputs.same, self.reader)
                words(_("{same} are the same, the rest is not compared").format(same=same), "fp-t2")
            return
        said = [_("{different} differ").format(different=number(outputs.different, self.reader)) if outputs.same + outputs.different > 1 else _("differs")] if outputs.different else []  # fmt: skip
        said += (
            [_("{only_first} only in the first").format(only_first=number(outputs.only_first, self.reader))]
            if outputs.only_first
            else []
        )
        said += (
            [_("{only_second} only in the second").format(only_second=number(outputs.only_second, self.reader))]
            if outputs.only_second
            else []
        )
        if outputs.cut:
            said.append(_("the rest is not compared"))
        if outputs.differs_at is None:
            words(", ".join(said))
            return
        path = outputs.differs_at
        shown = button(", ".join(said), lambda: self._show_outputs(node, path), kind="link", small=True)
        shown.props["aria-label"] = _("Show how the output differs: {label}").format(label=node.label)

    def _draw_output_words(self, said: str, title: str, lines: Sequence[tuple[Sign, str]]) -> None:
        if not lines:
            words(said, "fp-t2")
            return
        shown = button(said, lambda: self._show_difference(title, lines), kind="link", small=True)
        shown.props["aria-label"] = _("Show how the result differs")

    async def _show_outputs(self, node: NodeCompared, path: str) -> None:
        first, second = self.first, self.second
        assert first is not None
        assert second is not None

        def read(session: Session, _workspace: str) -> list[tuple[Sign, str]]:
            found = [find_value(session, job_id, "output", node.node_id, path) for job_id in (first, second)]
            return difference(*(None if stored is None else stored.value for stored in found))

        lines = await self.page_session.query(read)
        where = " · ".join(number(int(part) + 1, self.reader) for part in path.split("/")) if path else ""
        self._show_difference(
            _("{label}, item {where}").format(label=node.label, where=where) if where else node.label, lines
        )

    def _show_difference(self, title: str, lines: Sequence[tuple[Sign, str]]) -> None:
        self._draw_difference(title, lines)
        self.lines.run_method("scrollIntoView", {"block": "nearest"})

    def _draw_difference(self, title: str, lines: Sequence[tuple[Sign, str]]) -> None:
        self.lines.clear()
        with self.lines:
            words(title, tag="h3")
            if not lines:
                words(_("Both runs gave the same."), "fp-t2", tag="p")
                return
            count = sum(sign in "-+" for sign, _text in lines)
            if not count:
                words(lines[0][1], "fp-t2", tag="p")
                return
            words(
                _("{lines_differ}: - first, + second").format(
                    lines_differ=plural(count, _("line differs"), _("lines differ"), self.reader)
                ),
                "fp-s12 fp-t3",
                tag="p",
            )
            with ui.element("pre").classes("fp-code fp-code--in fp-diff").props("tabindex=0 role=group") as block:
                block.props["aria-label"] = _("Differences of {title}").format(title=title)
                for sign, text in lines:
                    with ui.element("span").classes(f"fp-diff-line {_CLASSES[sign]}"):
                        if sign in _SIGN_WORDS:
                            words(f"{_SIGN_WORDS[sign]}: ", "fp-hide")
                        words(f"{sign} {text}\n")
