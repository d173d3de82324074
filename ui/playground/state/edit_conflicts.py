"""Detects when two people edit the same field.

The later edit wins; the other person can restore theirs. Imports no NiceGUI.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct

from engine.flow.document import Document
from engine.flow.edits import Op

#: An edit of another person is reported as a conflict only within this time after this tab's own edit.
KEPT_MS = 120_000

Path = tuple[str, ...]


class Overwritten(Struct, frozen=True):
    """A field that this tab set and another tab changed afterwards."""

    kind: str  # the class name of the edited part: Node or Note
    id: str
    path: Path
    mine: Any
    theirs: Any

    @property
    def words(self) -> str:
        """The field's name as shown on screen: `Label`, `Max pages`."""
        if self.path[0] == "position":
            return "Place"
        return self.path[-1].replace("_", " ").capitalize()


@dataclass
class MyFields:
    """The fields that this tab set recently, with their values."""

    _set: dict[tuple[str, str, Path], tuple[Any, int]] = field(default_factory=dict)

    def note(self, ops: Sequence[Op], now: int) -> None:
        """Stores the edits that this tab made."""
        for kind, part_id, path, value in _changes(ops):
            self._set[kind, part_id, path] = (value, now)

    def overwritten(self, ops: Sequence[Op], now: int) -> list[Overwritten]:
        """Returns the fields of this tab that an edit of another tab replaced. Each field is returned once."""
        found = []
        for kind, part_id, path, value in _changes(ops):
            mine, at = self._set.pop((kind, part_id, path), (value, 0))
            if mine != value and now - at <= KEPT_MS:
                found.append(Overwritten(kind, part_id, path, mine, value))
        return found


def put_back(document: Document, lost: Sequence[Overwritten]) -> list[Op]:
    """Operations that set the fields back to this tab's values. Parts that were deleted stay deleted."""
    parts = {("Node", node.id): node for node in document.nodes} | {("Note", note.id): note for note in document.notes}
    ops: list[Op] = []
    for one in lost:
        part = parts.get((one.kind, one.id))
        if part is None:
            continue
        before = part.model_dump()
        top = one.path[0]
        earlier = next((op for op in ops if op["id"] == one.id and op["op"] == f"update{one.kind}"), None)
        value = earlier["after"].get(top, before[top]) if earlier else before[top]
        after = {top: _with(value, one.path[1:], one.mine)}
        if earlier:
            earlier["before"] |= {top: before[top]}
            earlier["after"] |= after
        else:
            ops.append({"op": f"update{one.kind}", "id": one.id, "before": {top: before[top]}, "after": after})
    return ops


def _changes(ops: Sequence[Op]) -> Iterator[tuple[str, str, Path, Any]]:
    for op in ops:
        if op["op"] in {"updateNode", "updateNote"}:
            for name, value in op["after"].items():
                for path, leaf in _leaves(op.get("before", {}).get(name), value, (name,)):
                    yield op["op"].removeprefix("update"), op["id"], path, leaf


def _leaves(before: Any, after: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """The paths that differ, as deep as both values are objects. A position on the canvas counts as one field."""
    if isinstance(before, Mapping) and isinstance(after, Mapping) and path[0] not in {"position", "size"}:
        for name in [*before, *(name for name in after if name not in before)]:
            yield from _leaves(before.get(name), after.get(name), (*path, str(name)))
    elif before != after:
        yield path, after


def _with(value: Any, path: Path, leaf: Any) -> Any:
    if not path:
        return leaf
    inner = dict(value) if isinstance(value, Mapping) else {}
    changed = _with(inner.get(path[0]), path[1:], leaf)
    if changed is None:
        inner.pop(path[0], None)
    else:
        inner[path[0]] = changed
    return inner
