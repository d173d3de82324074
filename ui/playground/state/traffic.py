"""Traffic on the canvas: each node's share of the time, cost or failures of recent days, as colour levels and words.

Imports no NiceGUI.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from storage.traffic import NodeSums
from ui.flow_view.canvas_types import NodeTraffic, Traffic
from ui.kit.text import ENGLISH, Reader, _, cost, duration, percent, plural

DAYS = 7
KINDS = ("time", "money", "failures")

_TITLES = {
    "time": _("Share of time, last 7 days"),
    "money": _("Share of money, last 7 days"),
    "failures": _("Share of failures, last 7 days"),
}
_EMPTY = {
    "time": _("No calls yet. Deploy the flow and send one; runs in the Playground do not count."),
    "money": _("Nothing was paid for: no model with a price was called."),
    "failures": _("Nothing failed."),
}
_ICONS = {"time": "schedule", "money": "payments", "failures": "error"}
#: The lowest share of each colour level above 0.
_LEVELS = (0.05, 0.2, 0.4, 0.65)


def traffic_view(sums: Sequence[NodeSums], kind: str, reader: Reader = ENGLISH) -> Traffic:
    """Builds what the canvas shows for one of KINDS."""
    amount: Callable[[NodeSums], int] = {
        "time": lambda row: row.time_ms,
        "money": lambda row: row.cost_nanos,
        "failures": lambda row: row.failures,
    }[kind]
    total = sum(amount(row) for row in sums)
    if not total:
        none = _EMPTY[kind] if sums else _EMPTY["time"]
        return Traffic(kind=kind, title=_TITLES[kind], total="", empty=none, nodes={})
    nodes = {row.node_id: _node(row, kind, amount(row), total, reader) for row in sums}
    return Traffic(kind=kind, title=_TITLES[kind], total=_words(kind, total, reader), empty="", nodes=nodes)


def _node(row: NodeSums, kind: str, amount: int, total: int, reader: Reader) -> NodeTraffic:
    share = amount / total
    return NodeTraffic(
        level=sum(share >= least for least in _LEVELS),
        share=round(share, 4),
        icon=_ICONS[kind],
        word=percent(share, reader) if amount == 0 or share >= 0.001 else _("under 0.1 %"),
        aside=_words(kind, amount, reader),
        title=plural(row.steps, _("step ran"), _("steps ran")),
    )


def _words(kind: str, amount: int, reader: Reader) -> str:
    if kind == "time":
        return duration(amount / 1000, reader)
    if kind == "money":
        return cost(amount / 1e9, reader)
    return plural(amount, _("failure"), _("failures"))
