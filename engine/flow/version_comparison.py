"""Compares two versions of a flow: what its designer changed, and what that changes for callers."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from engine.flow.called import unpinned
from engine.flow.contract import TYPE_WORDS, input_fields, result_schema
from engine.flow.document import Document, Node
from engine.flow.node_type import Catalog
from engine.flow.validation import without_parked

#: Values of nodes that change no answer.
_SAME_ANSWERS = frozenset({"config/samples", "config/may_end", "label"})

Weight = Literal["breaking", "careful", "harmless"]


@dataclass(frozen=True)
class CallerChange:
    """One change that callers notice.

    `breaking`: calls that worked are refused, or a value of the result is gone. `field`: the top-level field of the
    request, None for the result. `sent_now_refused`: calls that send `field` are affected; `missing_now_refused`: calls
    that do not send it.
    """

    weight: Weight
    sentence: str
    field: str | None = None
    sent_now_refused: bool = False
    missing_now_refused: bool = False


@dataclass(frozen=True)
class Difference:
    """One value of a node that differs: `where` is for example `config/model` or `inputs/prompt`."""

    where: str
    before: Any
    after: Any


@dataclass(frozen=True)
class NodeChange:
    """A node that was added, removed or changed; a new position on the canvas is no change."""

    node_id: str
    name: str
    kind: Literal["added", "removed", "changed"]
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True)
class Comparison:
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


def caller_changes(before: Document, after: Document, catalog: Catalog) -> tuple[CallerChange, ...]:
    """Returns what callers notice when `after` replaces `before` as the live version; breaking changes come first."""
    old = {str(field.get("name")): field for field in input_fields(before)}
    new = {str(field.get("name")): field for field in input_fields(after)}
    found: list[CallerChange] = []
    for name, field in new.items():
        found += _field_changes(name, old.get(name), field)
    found += [
        CallerChange(
            "breaking", f"The field `{name}` is gone. Calls that send it are refused.", name, sent_now_refused=True
        )
        for name in old
        if name not in new
    ]
    found += _result_changes(
        result_schema(before, catalog).get("properties", {}), result_schema(after, catalog).get("properties", {})
    )
    weights: dict[Weight, int] = {"breaking": 0, "careful": 1, "harmless": 2}
    return tuple(sorted(found, key=lambda change: weights[change.weight]))


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


def _field_changes(name: str, old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> list[CallerChange]:
    if old is None:
        if new.get("required"):
            return [
                CallerChange(
                    "breaking",
                    f"New required field `{name}`. Calls without it are refused.",
                    name,
                    missing_now_refused=True,
                )
            ]
        return [CallerChange("harmless", f"New field `{name}`, which may be left out.", name)]
    found: list[CallerChange] = []
    was, is_now = str(old.get("type") or "string"), str(new.get("type") or "string")
    if was != is_now and not (was == "integer" and is_now == "number"):
        found.append(
            CallerChange(
                "breaking",
                f"`{name}` must now be {TYPE_WORDS.get(is_now, is_now)}; it was {TYPE_WORDS.get(was, was)}.",
                name,
                sent_now_refused=True,
            )
        )
    if new.get("required") and not old.get("required"):
        found.append(
            CallerChange(
                "breaking", f"`{name}` is now required. Calls without it are refused.", name, missing_now_refused=True
            )
        )
    if not new.get("required") and old.get("required"):
        found.append(CallerChange("harmless", f"`{name}` may now be left out.", name))
    if was == is_now:
        found += _rule_changes(name, old, new)
    if old.get("default") != new.get("default") and not new.get("required"):
        found.append(CallerChange("careful", f"When `{name}` is left out, it is now {_default_words(new)}.", name))
    return found


def _default_words(field: Mapping[str, Any]) -> str:
    default = field.get("default")
    return "empty" if default is None else f"`{json.dumps(default, ensure_ascii=False)}`"


def _rule_changes(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[CallerChange]:
    narrower = _narrower(old, new)
    if narrower:
        return [
            CallerChange(
                "breaking", f"`{name}` takes fewer values ({', '.join(narrower)}).", name, sent_now_refused=True
            )
        ]
    if any(old.get(rule) != new.get(rule) for rule in ("fields", "items")):
        return [CallerChange("careful", f"The inside of `{name}` has changed.", name, sent_now_refused=True)]
    return []


def _narrower(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    found = []
    for rule, word in (("minimum", "smallest"), ("min_length", "shortest"), ("min_items", "fewest items")):
        if new.get(rule) is not None and (old.get(rule) is None or new[rule] > old[rule]):
            found.append(f"{word} {new[rule]:g}")
    for rule, word in (("maximum", "largest"), ("max_length", "longest"), ("max_items", "most items")):
        if new.get(rule) is not None and (old.get(rule) is None or new[rule] < old[rule]):
            found.append(f"{word} {new[rule]:g}")
    for rule, word in (("pattern", "a pattern"), ("format", "a format")):
        if new.get(rule) and new.get(rule) != old.get(rule):
            found.append(word)
    if new.get("enum") and not _all_in(old.get("enum"), new["enum"]):
        found.append("a list of allowed values")
    return found


def _all_in(old: Sequence[Any] | None, new: Sequence[Any]) -> bool:
    return old is not None and all(value in new for value in old)


def _result_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[CallerChange]:
    found = [CallerChange("breaking", f"The result no longer has `{name}`.") for name in old if name not in new]
    found += [CallerChange("harmless", f"The result also has `{name}`.") for name in new if name not in old]
    for name, schema in new.items():
        was, is_now = (old.get(name) or {}).get("type"), schema.get("type")
        if name in old and was and is_now and was != is_now:
            found.append(
                CallerChange("careful", f"`{name}` of the result is now {_type_words(is_now)}, not {_type_words(was)}.")
            )
    return found


def _type_words(kind: Any) -> str:
    kinds = kind if isinstance(kind, list) else [kind]
    return " or ".join(TYPE_WORDS.get(str(one), "nothing") for one in kinds)
