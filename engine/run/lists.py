"""Values in lists while a flow runs: the frame of each item, and what a Flatten has collected, by index path (product.md section 3)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine.flow.node_type import Json, NodeFailed
from engine.flow.references import Scope
from engine.nodes.array_flatten import Config, flat_list
from engine.run.steps import RunError

if TYPE_CHECKING:
    from engine.run.plan import Incoming

#: Numbers of the items around something, outermost first.
Index = tuple[int, ...]


#: Stand for a dict and a set that most frames never need; never changed.
_NOTHING: dict[str, Any] = {}
_NOBODY: set[str] = set()


class Frame(Scope):
    """What is known in one place: the flow itself, or one item of a list. As a scope it holds the values references see."""

    __slots__ = ("_lists", "failed", "index", "keeps", "ports")

    #: The frame around it.
    outer: Frame | None

    def __init__(
        self,
        outputs: dict[str, Json],
        system: Mapping[str, Json],
        index: Index = (),
        items: Mapping[str, tuple[int, int]] | None = None,
        outer: Frame | None = None,
    ) -> None:
        self.outputs: dict[str, Json] = outputs
        self.system = system
        self.skipped: set[str] = _NOBODY
        self.items = items or _NOTHING
        self.outer = outer
        self.index = index
        #: What earlier attempts kept of steps in here may be used.
        self.keeps = True
        self.failed: dict[str, RunError] = _NOTHING
        #: Node -> the port it went on by.
        self.ports: dict[str, str] = _NOTHING
        self._lists: OpenLists | None = None

    @property
    def lists(self) -> OpenLists:
        """The lists whose Splitters stand in here."""
        if self._lists is None:
            self._lists = OpenLists()
        return self._lists

    def skip(self, node_id: str) -> None:
        """A node does not run here."""
        if self.skipped is _NOBODY:
            self.skipped = set()
        self.skipped.add(node_id)

    def fail(self, node_id: str, error: RunError) -> None:
        """A node failed here, or something before it."""
        if self.failed is _NOTHING:
            self.failed = {}
        self.failed[node_id] = error

    def go_on_by(self, node_id: str, port: str) -> None:
        """A node chose a port."""
        if self.ports is _NOTHING:
            self.ports = {}
        self.ports[node_id] = port

    def inside(self, splitter: str, position: int) -> Frame:
        """The frame of an item."""
        lists = self.lists
        items = lists.items[splitter]
        place = {splitter: (position, len(items))}
        frame = Frame({splitter: items[position]}, self.system, (*self.index, position), place, self)
        if not self.keeps or not lists.unchanged[splitter]:
            frame.keeps = False
        return frame

    def came_by(self, edge: Incoming) -> bool | RunError:
        """Whether something came by an edge to a node in here, or the failure that came instead."""
        at = self.up(edge.up) if edge.up else self
        source = edge.source
        if at.failed and source in at.failed:
            return at.failed[source]
        if source in at.skipped:
            return False
        return not at.ports or at.ports.get(source, edge.port) == edge.port

    def up(self, levels: int) -> Frame:
        """The frame so many lists further out."""
        frame = self
        for _ in range(levels):
            assert frame.outer is not None
            frame = frame.outer
        return frame


@dataclass(slots=True)
class OpenLists:
    """What is known of the lists in one frame, by Splitter (`collectors`: by Flatten)."""

    items: dict[str, list[Json]] = field(default_factory=dict)
    #: Whether it is the list of the earlier attempt.
    unchanged: dict[str, bool] = field(default_factory=dict)
    collectors: dict[str, Collector] = field(default_factory=dict)
    #: Those that hand out no more items.
    full: set[str] = field(default_factory=set)
    #: Position -> frame, for lists that are gone through again.
    frames: dict[str, dict[int, Frame]] = field(default_factory=dict)

    def collector(self, flatten: str) -> Collector:
        """What a Flatten has collected so far."""
        found = self.collectors.get(flatten)
        if found is None:
            found = self.collectors[flatten] = Collector()
        return found


@dataclass(frozen=True)
class Opened:
    """A Splitter's list and its fingerprint."""

    items: list[Json]
    mark: str


class ItemFailed(NodeFailed):
    """A Flatten failed because of an item."""

    def __init__(self, message: str, error: RunError, index: Index) -> None:
        super().__init__(message, code=error.code, why=error.why, remedy=error.remedy)
        self.index = index


@dataclass(slots=True)
class Collector:
    """What reaches one Flatten in one frame. Index paths are counted from that frame on."""

    #: Only items that gave or lost something have an entry here.
    entries: dict[Index, list[Json]] = field(default_factory=dict)
    errors: dict[Index, RunError] = field(default_factory=dict)
    total: int = 0
    warnings: list[str] = field(default_factory=list)

    def add(self, index: Index, entries: list[Json], error: RunError | None) -> None:
        """An item is through."""
        self.total += 1
        if entries:
            self.entries[index] = entries
        if error is not None:
            self.errors[index] = error

    def fail(self, index: Index, error: RunError) -> None:
        """An item failed before it came to the Flatten, like one whose own list could not be opened."""
        if index not in self.errors:
            self.add(index, [], error)

    def result(self, config: Config) -> Json:
        """The Flatten's `out`. Raises ItemFailed."""
        failed = sorted(self.errors)
        if failed and config.on_item_error == "fail":
            error = self.errors[failed[0]]
            raise ItemFailed(f"An item failed: {error.message}", error, failed[0])
        nulls = config.on_item_error == "include_null"
        if failed and len(failed) == self.total and not nulls and not self.entries:
            error = self.errors[failed[0]]
            text = f"All {self.total} items failed. The first" if self.total > 1 else "The only item failed"
            raise ItemFailed(f"{text}: {error.message}", error, failed[0])
        entries = self.entries
        if nulls:
            entries = {**{index: [None] for index in failed}, **entries}
        items = [entry for index in sorted(entries) for entry in entries[index]]
        whole = config.levels == "all"
        errors: list[dict[str, Any]] = [
            {"index": list(index) if whole else index[-1], "message": self.errors[index].message} for index in failed
        ]
        return flat_list(items, total=self.total, errors=errors)


def fingerprint(items: list[Json]) -> str:
    """Equal for equal lists: another attempt may use what was kept of the items."""
    text = json.dumps(items, default=str, separators=(",", ":"))
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=12).hexdigest()
