"""The values of lists while a flow runs: a frame for each item, and what each Flatten has collected, by index path."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from engine.flow.data_size import MAX_DATA, too_much_data
from engine.flow.node_context import Json, NodeFailed
from engine.flow.references import Missing, Reference, Scope
from engine.flow.ways import NOT_FOUND
from engine.nodes.array_flatten import Config, flat_list
from engine.run.steps import WAITS, RunError

if TYPE_CHECKING:
    from engine.run.plan import Incoming

#: The positions of the items around a step, outermost first.
Index = tuple[int, ...]


#: Shared empty values for fields that most frames never fill; they are never changed.
_EMPTY_DICT: dict[Any, Any] = {}
_EMPTY_SET: set[str] = set()


class Frame(Scope):
    """The state of the flow, or of one item of a list. As a Scope it holds the values that references can see."""

    __slots__ = ("_lists", "failed", "index", "keeps", "mark", "ports", "sizes", "waits")

    #: The enclosing frame; None for the flow itself.
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
        self.skipped: set[str] = _EMPTY_SET
        self.items = items or _EMPTY_DICT
        self.outer = outer
        self.index = index
        #: True when outputs that earlier attempts stored for steps in this frame may be used.
        self.keeps = True
        #: Tells the items of this list from those of the list that an earlier attempt had; empty when there was none.
        self.mark = ""
        #: True when a step in this frame, or in a frame of its lists, waits for a person.
        self.waits = False
        self.failed: dict[str, RunError] = _EMPTY_DICT
        #: Node id -> the port that the node chose.
        self.ports: dict[str, str] = _EMPTY_DICT
        #: Identity -> size, in bytes, of the large lists and objects in the outputs of this frame, which it keeps alive.
        self.sizes: dict[int, int] = _EMPTY_DICT
        self._lists: OpenLists | None = None

    @property
    def lists(self) -> OpenLists:
        """The lists whose Splitters run in this frame."""
        if self._lists is None:
            self._lists = OpenLists()
        return self._lists

    def find(self, reference: Reference) -> Json | Missing:
        """Returns the value of a reference, or Missing, also when the node looked for a row and found none."""
        found = super().find(reference)
        return Missing(reference) if found is None and self.found_nothing(reference.node_id) else found

    def found_nothing(self, node_id: str) -> bool:
        """True when the node looked for a row, in this frame or an enclosing one, and found none."""
        frame: Frame | None = self
        while frame is not None:
            if node_id in frame.ports:
                return frame.ports[node_id] == NOT_FOUND
            frame = frame.outer
        return False

    def skip(self, node_id: str) -> None:
        """Records that a node does not run in this frame."""
        if self.skipped is _EMPTY_SET:
            self.skipped = set()
        self.skipped.add(node_id)

    def fail(self, node_id: str, error: RunError) -> None:
        """Records that a node failed in this frame, or a node before it."""
        if self.failed is _EMPTY_DICT:
            self.failed = {}
        self.failed[node_id] = error

    def wait(self, node_id: str) -> None:
        """Records that a node in this frame waits for a person: what comes after it does not run now."""
        self.fail(node_id, WAITS)
        frame: Frame | None = self
        while frame is not None:
            frame.waits = True
            frame = frame.outer

    def choose_port(self, node_id: str, port: str) -> None:
        """Records the port that a node chose."""
        if self.ports is _EMPTY_DICT:
            self.ports = {}
        self.ports[node_id] = port

    def keep_sizes(self, sizes: dict[int, int]) -> None:
        """Keeps the sizes of large parts of an output, and of parts that this frame or an enclosing one has."""
        self.sizes = {**self.sizes, **sizes}

    def known_sizes(self) -> dict[int, int]:
        """Returns the sizes that are known of what references in this frame can name."""
        known: dict[int, int] = {}
        frame: Frame | None = self
        while frame is not None:
            known |= frame.sizes
            frame = frame.outer
        return known

    def inside(self, splitter: str, position: int) -> Frame:
        """Returns a new frame for one item of a Splitter's list."""
        lists = self.lists
        items = lists.items[splitter]
        place = {splitter: (position, len(items))}
        frame = Frame({splitter: items[position]}, self.system, (*self.index, position), place, self)
        if not self.keeps or not lists.unchanged[splitter]:
            frame.keeps = False
        frame.mark = self.mark + lists.marks.get(splitter, "")
        return frame

    def came_by(self, edge: Incoming) -> bool | RunError:
        """Returns whether data came along an edge to a node in this frame, or the failure that came instead."""
        at = self.up(edge.up) if edge.up else self
        source = edge.source
        if at.failed and source in at.failed:
            return at.failed[source]
        if source in at.skipped:
            return False
        return not at.ports or at.ports.get(source, edge.port) == edge.port

    def up(self, levels: int) -> Frame:
        """Returns the frame that is `levels` lists further out."""
        frame = self
        for _ in range(levels):
            assert frame.outer is not None
            frame = frame.outer
        return frame


@dataclass(slots=True)
class OpenLists:
    """The lists of one frame, by the Splitter's node id (`collectors`: by the Flatten's)."""

    items: dict[str, list[Json]] = field(default_factory=dict)
    #: Whether the list equals that of the earlier attempt.
    unchanged: dict[str, bool] = field(default_factory=dict)
    #: The marks of lists of which an earlier attempt had another one.
    marks: dict[str, str] = field(default_factory=dict)
    collectors: dict[str, Collector] = field(default_factory=dict)
    #: The Splitters that start no more items.
    full: set[str] = field(default_factory=set)
    #: Position -> frame, for lists that are iterated again.
    frames: dict[str, dict[int, Frame]] = field(default_factory=dict)

    def collector(self, flatten: str) -> Collector:
        """Returns the collector of a Flatten, and creates it when it is missing."""
        found = self.collectors.get(flatten)
        if found is None:
            found = self.collectors[flatten] = Collector()
        return found


class Opened(Struct, frozen=True):
    """A Splitter's list and its fingerprint: that of the items as they are stored, without secrets."""

    items: list[Json]
    mark: str
    #: The fingerprint of the items as they are; it differs from `mark` when they hold a secret.
    raw_mark: str


class ItemFailed(NodeFailed):
    """The failure of a Flatten because of an item; `index` is the item's index path from the Flatten's frame on."""

    def __init__(self, message: str, error: RunError, index: Index) -> None:
        super().__init__(message, code=error.code, why=error.why, remedy=error.remedy)
        self.index = index


@dataclass(slots=True)
class Collector:
    """The values and failures of items that reach one Flatten in one frame. Index paths start at that frame."""

    #: Only items that gave a value or null have an entry here.
    entries: dict[Index, list[Json]] = field(default_factory=dict)
    errors: dict[Index, RunError] = field(default_factory=dict)
    #: The items that reached the Flatten, or failed before it.
    reached: set[Index] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)
    #: True when an item waits for a person.
    waits: bool = False
    #: The size of the entries in bytes.
    size: int = 0

    def add(self, index: Index, entries: list[Json], error: RunError | None) -> None:
        """Records that an item has reached the Flatten."""
        self.reached.add(index)
        if entries:
            self.entries[index] = entries
        if error is WAITS:
            self.waits = True
        elif error is not None:
            self.errors[index] = error

    def fail(self, index: Index, error: RunError) -> None:
        """Records that an item failed before it reached the Flatten, for example because its own list could not be
        opened. Does nothing when it had reached it.
        """
        if index not in self.reached:
            self.add(index, [], error)

    def result(self, config: Config) -> Json:
        """Returns the Flatten's output. Raises ItemFailed as `on_item_error` of its config says."""
        if self.size > MAX_DATA:
            raise too_much_data()
        failed = sorted(self.errors)
        total = len(self.reached)
        if failed and config.on_item_error == "fail":
            error = self.errors[failed[0]]
            raise ItemFailed(f"An item failed: {error.message}", error, failed[0])
        nulls = config.on_item_error == "include_null"
        if failed and len(failed) == total and not nulls and not self.entries:
            error = self.errors[failed[0]]
            text = f"All {total} items failed. The first" if total > 1 else "The only item failed"
            raise ItemFailed(f"{text}: {error.message}", error, failed[0])
        entries = self.entries
        if nulls:
            entries = {**{index: [None] for index in failed}, **entries}
        items = [entry for index in sorted(entries) for entry in entries[index]]
        whole = config.levels == "all"
        errors: list[dict[str, Any]] = [
            {"index": list(index) if whole else index[-1], "message": self.errors[index].message} for index in failed
        ]
        return flat_list(items, total=total, errors=errors)


def opened(items: list[Json], as_stored: Callable[[str], str]) -> Opened:
    """Returns a list with its fingerprint, a BLAKE2b digest of the items as JSON. When it is equal, another attempt may
    use stored outputs of the items.

    That attempt makes its list of stored outputs, in which secrets are hidden: the digest is of the items without them.
    The one of the items as they are is for a list that an earlier attempt had before a secret in it was known.
    """
    text = json.dumps(items, default=str, separators=(",", ":"))
    mark = raw_mark = _digest(text)
    if (stored := as_stored(text)) != text:
        mark = _digest(json.dumps(json.loads(stored), separators=(",", ":")))  # spelled as above
    return Opened(items, mark, raw_mark)


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=12).hexdigest()
