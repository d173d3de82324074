"""The data that the canvas gets besides the document: node types, run states, marks, traffic, list frames.

Imports no NiceGUI.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict


class NodeTypeView(TypedDict):
    """What the canvas needs to know about a node type."""

    title: str
    icon: str
    group: str
    tooltip: str
    synonyms: str
    ports: list[str]
    accepts_input: bool
    #: True when a flow may hold one node of the type at most.
    single: NotRequired[bool]
    group_title: NotRequired[str]


class Status(TypedDict, total=False):
    """The state of a node in a run. With `state` it replaces the previous state, without it is merged into it."""

    state: Literal["waiting", "running", "done", "failed", "skipped", "cancelled"]
    word: str
    time: str
    done: int
    total: int
    message: str


class Marks(TypedDict, total=False):
    """What the server computed about a node beside its document. Marks are neither saved nor undone."""

    summary: str
    problems: int
    parked: bool
    simulated: bool


class NodeTraffic(TypedDict):
    """The share of one node in the traffic: `level` 0 to 4, `share` 0 to 1, and the words shown in its row."""

    level: int
    share: float
    icon: str
    word: str
    aside: str
    title: str


class Traffic(TypedDict):
    """Shares by node id; `empty` is the reason why there are none."""

    kind: str
    title: str
    total: str
    empty: str
    nodes: dict[str, NodeTraffic]


class ListScope(TypedDict):
    """A frame around the nodes that run once for each item of a list."""

    id: str
    nodes: list[str]
    label: str


class NodeName(TypedDict):
    """How a chip shows a node."""

    label: str
    icon: str
