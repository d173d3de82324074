"""Compares two runs: state, time and cost per node, and values line by line. Imports no NiceGUI."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

from msgspec import Struct

from engine.core.json_text import json_text
from engine.flow.document import Document, Node
from engine.flow.graph import Graph
from storage.run_comparison import OutputsCompared
from storage.steps import StepRow
from ui.flow_view.job_watch import Look, statuses
from ui.kit.text import ENGLISH, Reader, _
from ui.kit.value_words import as_lines

#: Number of characters of each value that are compared, and number of lines that are shown.
MAX_CHARACTERS = 20_000
MAX_LINES = 120
_AROUND = 2
Sign = Literal[" ", "-", "+", "…"]


class Spent(Struct, frozen=True):
    """State, time and cost of a node in one run. `cost_nanos` is None when unknown."""

    state: str
    word: str
    ms: int
    tokens: int
    calls: int
    cost_nanos: int | None


class NodeCompared(Struct, frozen=True):
    """A node in both runs; None for a run in which it did not run."""

    node_id: str
    label: str
    first: Spent | None
    second: Spent | None
    outputs: OutputsCompared | None


def compare_nodes(
    document: Document,
    first: Look,
    second: Look,
    outputs: Mapping[str, OutputsCompared],
    reader: Reader = ENGLISH,
    *,
    inner: Mapping[str, Node] = MappingProxyType({}),
) -> list[NodeCompared]:
    """Pairs the nodes that ran in either run, in the order of the flow; nodes of called flows and deleted nodes come
    last.
    """
    mine, theirs = _spent(first, document, reader), _spent(second, document, reader)
    labels = {node.id: node.name for node in document.nodes}
    order = [*Graph(document).order, *sorted({*mine, *theirs} - set(labels))]
    labels |= {name: node.name for name, node in inner.items()}
    return [
        NodeCompared(
            node_id, labels.get(node_id, node_id), mine.get(node_id), theirs.get(node_id), outputs.get(node_id)
        )
        for node_id in order
        if node_id in mine or node_id in theirs
    ]


def difference(first: Any, second: Any) -> list[tuple[Sign, str]]:
    """The differing lines with two lines of context: `-` only in the first, `+` only in the second, `…` omitted.

    Empty: equal. Values that differ in no line that is compared have one `…` with words that say so.
    """
    texts = _text(first), _text(second)
    mine, theirs = (text[:MAX_CHARACTERS].splitlines() for text in texts)
    lines: list[tuple[Sign, str]] = []
    for line in list(difflib.unified_diff(mine, theirs, n=_AROUND, lineterm=""))[2:]:
        if line.startswith("@@"):
            if lines:
                lines.append(("…", ""))
        else:
            sign: Any = line[0]
            lines.append((sign, line[1:]))
    if not lines and json_text(first) != json_text(second):
        return [("…", _only_elsewhere(texts))]
    return lines if len(lines) <= MAX_LINES else [*lines[:MAX_LINES], ("…", "")]


def _only_elsewhere(texts: tuple[str, str]) -> str:
    if max(map(len, texts)) > MAX_CHARACTERS:
        return _("They differ, but not in the first {count} characters, which are compared here.").format(
            count=f"{MAX_CHARACTERS:,}"
        )
    if texts[0] != texts[1]:
        return _("They differ only in how their lines end.")
    return _("They read alike, but are not the same value, like a number and a text of the same digits.")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "\n".join(as_lines(value))


def _spent(look: Look, document: Document, reader: Reader) -> dict[str, Spent]:
    shown = statuses(look, document, reader)
    by_node: dict[str, list[StepRow]] = {}
    for step in look.steps:
        by_node.setdefault(step.node_id, []).append(step)
    found = {}
    for node_id, steps in by_node.items():
        said = shown.get(node_id) or {}
        costs = [step.cost_nanos for step in steps if step.model_calls]
        state = "reused" if all(step.reused for step in steps) else str(said.get("state") or steps[-1].status)
        found[node_id] = Spent(
            "completed" if state == "done" else state,
            str(said.get("word") or "") if said.get("total") else "",
            sum(step.duration_ms or 0 for step in steps),
            sum(step.input_tokens + step.output_tokens for step in steps),
            sum(step.model_calls for step in steps),
            None if None in costs else sum(one or 0 for one in costs),
        )
    return found
