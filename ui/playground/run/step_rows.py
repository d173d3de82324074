"""The list of steps in the Run panel: one row per node, and its items under the chosen node.

Rows are updated in place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from nicegui import ui

from engine.flow.document import Document, Node
from engine.flow.graph import Graph
from engine.run.steps import INNER
from storage.job_log import CallRow
from storage.steps import StepRow
from ui.flow_view.job_watch import Look
from ui.kit.parts import status_icon, words
from ui.kit.text import Reader, _, cost, duration, number, plural, tokens
from ui.parts.job_words import step_words
from ui.playground.run.log_lines import no_answer_words

#: Number of items listed under a node; the pager beside the value reaches the others.
MAX_ITEMS = 20
_STATES = {"done": "completed"}


class RowWords(Struct, frozen=True):
    """The texts of one row."""

    state: str
    label: str
    count: str
    time: str
    spent: str
    chosen: bool
    #: Why the model of the step is asked again; "" when it is not.
    again: str = ""


class StepRows:
    """The list. `on_choose(node_id, index_path)` is called when a row is chosen; the path is None for a node."""

    def __init__(self, reader: Reader, on_choose: Callable[[str, str | None], Any], *, may_run: bool = True) -> None:
        self.reader = reader
        self.on_choose = on_choose
        self.rows: dict[tuple[str, str | None], _StepButton] = {}
        #: Nodes of called flows, by the names of their steps (`call_flow.prompt`).
        self.inner: Mapping[str, Node] = {}
        self.box = ui.element("div").classes("fp-rc fp-rl").props("tabindex=0 role=region")
        self.box.props["aria-label"] = _("Steps")
        self.say(
            _("Press Run to see every step here.")
            if may_run
            else _("When somebody runs this flow, every step of the run is here.")
        )

    def say(self, sentence: str) -> None:
        """Shows a sentence in place of the steps."""
        self.rows.clear()
        self.box.clear()
        with self.box:
            words(sentence, "fp-t2", tag="p").style("padding: 8px")

    def show(
        self,
        look: Look,
        shown: Mapping[str, Mapping[str, Any]],
        document: Document,
        chosen: tuple[str, str | None],
        asked_again: Mapping[tuple[str, str], CallRow],
    ) -> None:
        """Redraws what changed since the last call. `asked_again`: the model calls without an answer of running steps."""
        said = dict(self._lines(look, shown, document, chosen))
        if not look.job.ended:
            for (node_id, _path), call in asked_again.items():
                if (node_id, None) in said:
                    again = _("{said}. It is asked again.").format(said=no_answer_words(call, self.reader).rstrip("."))
                    said[node_id, None] = replace(said[node_id, None], again=again)
        if list(said) != list(self.rows):
            self.rows.clear()
            self.box.clear()
            with self.box:
                for key, line in said.items():
                    self.rows[key] = _StepButton(key, line, self.on_choose)
        for key, line in said.items():
            self.rows[key].say(line)

    def _lines(
        self, look: Look, shown: Mapping[str, Mapping[str, Any]], document: Document, chosen: tuple[str, str | None]
    ) -> list[tuple[tuple[str, str | None], RowWords]]:
        by_node: dict[str, list[StepRow]] = {}
        for step in look.steps:
            by_node.setdefault(step.node_id, []).append(step)
        labels = {node.id: node.name for node in document.nodes}
        known = [node_id for node_id in Graph(document).order if node_id in by_node or node_id in shown]
        rest = [node_id for node_id in by_node if node_id not in labels]
        callers = {node_id: number for number, node_id in enumerate(known)}
        ordered = sorted([*known, *rest], key=lambda one: callers.get(one.partition(INNER)[0], len(callers)))
        labels |= {name: node.name for name, node in self.inner.items()}
        lines = []
        for node_id in ordered:
            steps = by_node.get(node_id, [])
            said = shown.get(node_id) or (self._inner_words(steps) if INNER in node_id else {})
            lines.append(((node_id, None), self._node_line(node_id, steps, said, labels, chosen)))
            if node_id == chosen[0]:
                items = sorted((step for step in steps if step.index_path), key=lambda step: step.index)
                lines += [
                    ((node_id, step.index_path), self._item_line(step, chosen)) for step in around(items, chosen[1])
                ]
        return lines

    def _inner_words(self, steps: Sequence[StepRow]) -> dict[str, Any]:
        """The texts of a step of a called flow, which is not on the canvas."""
        took = duration(sum(step.duration_ms or 0 for step in steps) / 1000, self.reader)
        if len(steps) == 1:
            return {"time": took if steps[0].ended_at else ""}
        done = sum(step.status == "completed" for step in steps)
        word = _("{done} of {count}").format(done=number(done, self.reader), count=number(len(steps), self.reader))
        state = next((one for one in ("running", "completed") if any(step.status == one for step in steps)), "failed")
        return {"state": state, "time": took, "total": len(steps), "word": word}

    def _node_line(
        self,
        node_id: str,
        steps: Sequence[StepRow],
        said: Mapping[str, Any],
        labels: Mapping[str, str],
        chosen: tuple[str, str | None],
    ) -> RowWords:
        state = str(said.get("state") or (steps[-1].status if steps else "waiting"))
        reused = bool(steps) and all(step.reused for step in steps)
        counted = bool(said.get("total")) or (bool(steps) and steps[-1].items is not None)
        word = str(said.get("word") or "")
        # how many items, and that it waits for a person, stands below the name, which needs the width; that it has not
        # begun stands beside it
        below = word if counted or (state == "waiting" and steps) else ""
        return RowWords(
            "reused" if reused else _STATES.get(state, state),
            labels.get(node_id, node_id),
            word if state == "waiting" and not below else _("reused") if reused and not below else "",
            "" if reused else str(said.get("time") or ""),
            " · ".join(filter(None, (below, self._spent(steps)))),
            chosen == (node_id, None) or (node_id == chosen[0] and not steps),
        )

    def _item_line(self, step: StepRow, chosen: tuple[str, str | None]) -> RowWords:
        where = " · ".join(number(part + 1, self.reader) for part in step.index)
        return RowWords(
            step_words(step)[0],
            _("Item {where}").format(where=where),
            "",
            duration((step.duration_ms or 0) / 1000, self.reader) if step.ended_at and not step.reused else "",
            self._spent([step]),
            chosen == (step.node_id, step.index_path),
        )

    def _spent(self, steps: Sequence[StepRow]) -> str:
        said = []
        tries = sum(max(0, step.tries - 1) for step in steps)
        if tries:
            said.append(plural(tries, _("retry"), _("retries"), self.reader))
        if sum(step.model_calls for step in steps):
            costs = [step.cost_nanos for step in steps if step.model_calls]
            price = None if None in costs else sum(one or 0 for one in costs) / 1e9
            used = sum(step.input_tokens + step.output_tokens for step in steps)
            said += [tokens(used, self.reader), cost(price, self.reader)]
        return " · ".join(said)


def around(items: Sequence[StepRow], index_path: str | None) -> Sequence[StepRow]:
    """The items that are listed: the first ones, or those around the chosen one."""
    at = next((place for place, step in enumerate(items) if step.index_path == index_path), 0)
    start = max(0, min(at - MAX_ITEMS // 2, len(items) - MAX_ITEMS))
    return items[start : start + MAX_ITEMS]


class _StepButton:
    """The button of one step."""

    def __init__(
        self, key: tuple[str, str | None], line: RowWords, on_choose: Callable[[str, str | None], Any]
    ) -> None:
        self.line: RowWords | None = None
        with ui.element("button").classes("fp-rs").props("type=button") as self.button:
            if key[1] is not None:
                self.button.classes("fp-rs--item")
            if depth := key[0].count(INNER):
                self.button.classes("fp-rs--inner").style(f"--fp-depth: {depth + (key[1] is not None)}")
            self.icon = ui.element("span").classes("fp-rs-i")
            with ui.element("span").classes("fp-rs-l"):
                self.label = words("", "fp-cut", tag="div")
                self.spent = words("", "fp-s12 fp-num fp-t3 fp-cut", tag="div")
                self.again = words("", "fp-s12 fp-warn", tag="div").props("role=status")
            self.count = words("", "fp-s12 fp-num fp-nw fp-t2")
            self.time = words("", "fp-tm fp-s12 fp-num fp-t2")
        self.button.on("click", lambda: on_choose(*key), [])
        self.say(line)

    def say(self, line: RowWords) -> None:
        """Updates the texts that changed."""
        before, self.line = self.line, line
        if before == line:
            return
        if before is None or before.state != line.state:
            self.icon.clear()
            with self.icon:
                status_icon(line.state)
        self.label.text, self.count.text, self.time.text = line.label, line.count, line.time
        self.spent.text = line.spent
        self.spent.visible = bool(line.spent)
        self.again.text, self.again.visible = line.again, bool(line.again)
        self.button.classes(add="fp-on") if line.chosen else self.button.classes(remove="fp-on")
        self.button.props["aria-pressed"] = "true" if line.chosen else "false"
