"""Compares two versions of a flow: what its designer changed. `caller_changes.py` says what callers notice of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any, Literal

from msgspec import Struct

from engine.flow.called_flows import unpinned
from engine.flow.document import Document, Node
from engine.flow.validation import without_parked

#: Values of nodes that change no answer.
_SAME_ANSWERS = frozenset({"config/samples", "config/may_end", "label"})


class Difference(Struct, frozen=True):
    """One value of a node that differs: `where` is for example `config/model` or `inputs/prompt`."""

    where: str
    before: Any
    after: Any


class NodeChange(Struct, frozen=True):
    """A node that was added, removed or changed; a new position on the canvas is no change."""

    node_id: str
    name: str
    kind: Literal["added", "removed", "changed"]
    differences: tuple[Difference, ...] = ()


class Comparison(Struct, frozen=True):
    """What the designer changed. Connections are (name of source, name of target)."""

    nodes: tuple[NodeChange, ...]
    edges_added: tuple[tuple[str, str], ...]
    edges_removed: tuple[tuple[str, str], ...]

    @property
    def same(self) -> bool:
        """True when nothing differs except positions on the canvas."""
        return not (self.nodes or self.edges_added or self.edges_removed)

    def only_in(self, places: Collection[str]) -> bool:
        """True when nothing differs except these values of nodes, for example `config/model`."""
        return not (self.edges_added or self.edges_removed) and all(
            change.kind == "changed" and all(difference.where in places for difference in change.differences)
            for change in self.nodes
        )

    @property
    def sentence(self) -> str:
        """A summary for a banner, for example `2 changes in Summarise, 1 node added`."""
        said = [
            f"{len(change.differences)} {'change' if len(change.differences) == 1 else 'changes'} in {change.name}"
            for change in self.nodes
            if change.kind == "changed"
        ]
        for kind in ("added", "removed"):
            names = [change.name for change in self.nodes if change.kind == kind]
            if names:
                said.append(f"{', '.join(names)} {kind}")
        edges = len(self.edges_added) + len(self.edges_removed)
        if edges and not said:
            said.append(f"{edges} {'connection' if edges == 1 else 'connections'} changed")
        return ", ".join(said)


def compare_documents(before: Document, after: Document) -> Comparison:
    """Returns what changed between two documents, in the order of the newer one."""
    old = {node.id: node for node in before.nodes}
    new = {node.id: node for node in after.nodes}
    changes = [_node_change(old.get(node_id), node) for node_id, node in new.items()]
    changes += [NodeChange(node_id, node.name, "removed") for node_id, node in old.items() if node_id not in new]
    names = {node_id: node.name for node_id, node in {**old, **new}.items()}
    had, has = _edges(before), _edges(after)
    return Comparison(
        nodes=tuple(change for change in changes if change is not None),
        edges_added=tuple((names[source], names[target]) for source, _, target in sorted(has - had)),
        edges_removed=tuple((names[source], names[target]) for source, _, target in sorted(had - has)),
    )


def draft_changes(version: Document, draft: Document) -> Comparison:
    """Returns what the draft changes in the content of a version. Every page that says whether they differ asks this."""
    return compare_documents(content_of(version), content_of(draft))


def content_of(document: Document) -> Document:
    """Returns what a draft and a version have in common: a version has no nodes that are not connected, and a draft no
    fixed versions of called flows.
    """
    return without_parked(unpinned(document))


def content_hash(document: Document, without: Collection[str]) -> str:
    """Returns a hash that is equal for two documents when `draft_changes` finds nothing between them but the values of
    nodes that `without` names: `label`, `config/NAME` or `inputs/NAME`.
    """
    content = content_of(document)
    nodes = [
        [
            node.id,
            node.type,
            node.type_version,
            {name: value for name, value in node.config.items() if f"config/{name}" not in without},
            {name: value for name, value in node.inputs.items() if f"inputs/{name}" not in without},
            node.policy.model_dump(),
            "" if "label" in without else node.label,
        ]
        for node in sorted(content.nodes, key=lambda node: node.id)
    ]
    text = json.dumps([nodes, sorted(_edges(content))], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def answers_may_differ(before: Document, after: Document) -> bool:
    """True when `after` may answer a call in another way than `before`, also when fields and result are the same."""
    return not compare_documents(before, after).only_in(_SAME_ANSWERS)


def _node_change(old: Node | None, new: Node) -> NodeChange | None:
    if old is None:
        return NodeChange(new.id, new.name, "added")
    differences = [
        *_differences("config", old.config, new.config),
        *_differences("inputs", old.inputs, new.inputs),
        *_differences("policy", old.policy.model_dump(), new.policy.model_dump()),
    ]
    if old.label != new.label:
        differences.append(Difference("label", old.label, new.label))
    if (old.type, old.type_version) != (new.type, new.type_version):
        differences.append(Difference("type", f"{old.type} {old.type_version}", f"{new.type} {new.type_version}"))
    return NodeChange(new.id, new.name, "changed", tuple(differences)) if differences else None


def _differences(where: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Difference]:
    names = dict.fromkeys([*old, *new])
    return [
        Difference(f"{where}/{name}", old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)
    ]


def _edges(document: Document) -> set[tuple[str, str, str]]:
    return {(edge.source, edge.source_port, edge.target) for edge in document.edges}
