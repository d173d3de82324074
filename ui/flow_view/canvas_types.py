"""What the canvas is told beside the document: node types, run states, marks, traffic and list frames. No NiceGUI here."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict


class NodeTypeView(TypedDict):
    """What the canvas must know of a node type."""

    title: str
    icon: str
    group: str
    tooltip: str
    ports: list[str]
    accepts_input: bool
    #: At most one in a flow.
    single: NotRequired[bool]
    group_title: NotRequired[str]


class Status(TypedDict, total=False):
    """A node in a run. With `state` it replaces what was shown, without it adds to it."""

    state: Literal["waiting", "running", "done", "failed", "skipped", "cancelled"]
    word: str
    time: str
    done: int
    total: int
    message: str


class Marks(TypedDict, total=False):
    """What the server knows of a node beside its document: neither saved nor undone."""

    summary: str
    problems: int
    parked: bool
    simulated: bool


class NodeTraffic(TypedDict):
    """One node's share of what passed through: `level` 0 to 4, `share` 0 to 1, and the words of its row."""

    level: int
    share: float
    icon: str
    word: str
    aside: str
    title: str


class Traffic(TypedDict):
    """Shares by node id; `empty` says why there are none."""

    kind: str
    title: str
    total: str
    empty: str
    nodes: dict[str, NodeTraffic]


class ListScope(TypedDict):
    """A frame round the nodes that run once for each item."""

    id: str
    nodes: list[str]
    label: str


class NodeName(TypedDict):
    """How a chip shows a node."""

    label: str
    icon: str
