"""Suggests data for a node's empty inputs, by name, type and the values of the last run. Imports no NiceGUI."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from pydantic.fields import FieldInfo

from engine.flow.after_answer import APPROVAL
from engine.flow.collecting import row_per_item_ops
from engine.flow.document import Document
from engine.flow.edits import Op, update_node
from engine.flow.node_type import Catalog, NodeType
from engine.flow.references import SYSTEM, Reference, find_references
from engine.flow.value_types import type_of
from ui.kit.text import _, type_word
from ui.playground.state.available_data import Datum, Source, earlier_nodes, flat, sources_for

#: Inputs in which a person writes a sentence of their own.
_OWN_WORDS = frozenset({(APPROVAL, "title")})
#: The lowest score of a suggestion that is offered.
_SURE = 60
_WEB, _GROUP, _FILE = type_word({"format": "uri"}), type_word("object"), type_word({"format": "file"})
#: Nodes whose output is a list with counts of its items.
_GIVES_LIST = frozenset({"array_flatten", "filter_list", "group_count", "merge_lists", "sort_limit"})
#: Number of earlier nodes that are searched.
_NEAREST = 20
#: The largest number of a node's fields that are offered for an empty API Output.
_MAX_FIELDS = 8


class Suggestion(Struct, frozen=True):
    """One suggestion: "Fill Web address with API Input › url". `inputs` are merged into the inputs of the node.

    `items`: a list; the node then runs for each of its items, and `inputs` name fields of an item ("": the item itself).
    """

    name: str
    sentence: str
    inputs: Mapping[str, str]
    items: str = ""
    #: What the fields are handed on as, by their names (`engine/flow/value_types.py`).
    types: Mapping[str, str] = {}


def ops_of(suggestion: Suggestion, document: Document, node_id: str, catalog: Catalog) -> list[Op]:
    """Returns the operations that carry out a suggestion."""
    node = document.node(node_id)
    if node is None:
        return []
    if suggestion.items:
        return row_per_item_ops(document, node_id, suggestion.items, suggestion.inputs, catalog)
    inputs = {**node.inputs, **suggestion.inputs}
    if suggestion.types:
        return [update_node(node, inputs=inputs, config={**node.config, "types": dict(suggestion.types)})]
    return [update_node(node, inputs=inputs)]


def suggestions(
    document: Document, node_id: str, catalog: Catalog, values: Mapping[str, Any] | None = None, *, source: str = ""
) -> list[Suggestion]:
    """Suggestions for the empty inputs of a node, one for each. `source`: use only data of this node."""
    node = document.node(node_id)
    kind = catalog.get(node.type) if node else None
    if node is None or kind is None:
        return []
    nearest = sources_for(document, node_id, catalog, values, most=None if source else _NEAREST)
    earlier = [one for one in nearest if source in ("", one.node.id)]
    if kind.free_form:
        if node.inputs:
            return []
        before = {edge.source for edge in document.edges if edge.target == node_id}
        nearest = ([one for one in earlier if one.node.id in before] or earlier)[:1]
        if kind.type != "dataset_sink":
            return _fields_for_nothing(_("Return"), nearest)
        if nearest and (per_item := _row_per_item(nearest[0])) is not None:
            return [per_item] if per_item.inputs and not source else []
        answer = [] if source else _row_of_answer(document, node_id)
        return [*answer, *_row_of(nearest, document, catalog, values)]
    found = []
    for name, info in kind.inputs.model_fields.items():
        if node.inputs.get(name) not in (None, "", [], {}) or not _takes_one(kind, name, info):
            continue
        if best := _best(name, info, earlier):
            sentence = _("Fill {input} with {data}").format(input=info.title or name, data=best[0].label(best[1]))
            found.append(Suggestion(name, sentence, {name: best[1].raw}))
    return found


def _row_of_answer(document: Document, node_id: str) -> list[Suggestion]:
    """Suggests a row of what callers get, with the date of the run; without what comes after the node."""
    output = next((one for one in document.nodes if one.type == "api_output"), None)
    known = {*earlier_nodes(document, node_id), SYSTEM}
    if output is None:
        return []
    chosen = {
        name: value
        for name, value in list(output.inputs.items())[:_MAX_FIELDS]
        if isinstance(value, str)
        and (refs := [one for _, one in find_references(value)])
        and all(isinstance(one, Reference) and one.node_id in known for one in refs)
    }
    if not chosen:
        return []
    sentence = _("Keep what callers get, with the date: {chosen}").format(chosen=", ".join(chosen))
    types = {name: kind for name in chosen if (kind := type_of(output.config, name))}
    date = {} if "date" in chosen else {"date": str(Reference(SYSTEM, "timestamp"))}
    return [Suggestion("", sentence, {**date, **chosen}, types=types)]


def _row_of(
    sources: list[Source], document: Document, catalog: Catalog, values: Mapping[str, Any] | None
) -> list[Suggestion]:
    """Suggests a row: the fields of the previous node, behind an Approval those that it showed or that came before it."""
    nearest = sources[0] if sources else None
    while nearest is not None and nearest.node.type == APPROVAL:
        shown = next((one.inside for one in nearest.data if one.name == "values"), ())
        if nearest.node.config.get("editable") and shown and all(one.name.isidentifier() for one in shown):
            return [_all_of(_("Keep"), shown[:_MAX_FIELDS], nearest)]
        before = sources_for(document, nearest.node.id, catalog, values, most=1)
        nearest = before[0] if before else None
    return _fields_for_nothing(_("Keep"), [nearest] if nearest is not None else [])


def _row_per_item(source: Source) -> Suggestion | None:
    """Suggests a row for each item of a list; None behind a node that gives more than a list.

    Without any `inputs` while nobody knows what an item holds.
    """
    lists = [one for one in source.data if one.is_list and not one.whole]
    if source.node.type not in _GIVES_LIST or not lists:
        return None
    items = lists[0]
    item = next(iter(items.inside), None)
    fields = [one.name for one in item.inside if one.name.isidentifier()][:_MAX_FIELDS] if item is not None else []
    sentence = _("Keep one row for each item of {name}: {chosen}")
    chosen = {name: name for name in fields} if item is not None else {}
    return Suggestion("", sentence.format(name=source.node.name, chosen=", ".join(chosen)), chosen, items.raw)


def _all_of(verb: str, data: Sequence[Datum], source: Source) -> Suggestion:
    chosen = {one.name: one.raw for one in data}
    return Suggestion(
        "", _("{verb} {chosen} of {name}").format(verb=verb, chosen=", ".join(chosen), name=source.node.name), chosen
    )


def _fields_for_nothing(verb: str, sources: list[Source]) -> list[Suggestion]:
    """Suggests all fields of the previous node for an empty API Output or an empty row of a dataset."""
    if not sources:
        return []
    data = [one for one in sources[0].data if not one.whole and one.raw.startswith(f"{{{{ {sources[0].node.id}.out")]
    fields = [one for one in data if one.name.isidentifier()][:_MAX_FIELDS]
    if sources[0].whole.type_word == _FILE:
        fields = [one for one in fields if one.name == "name"]  # kind, size and id of a file are hardly meant
    return [_all_of(verb, fields or [replace(sources[0].whole, name="result")], sources[0])]


def _takes_one(kind: NodeType, name: str, info: FieldInfo) -> bool:
    """True for inputs that a single reference can fill: not prompts and templates, and not inputs with free names,
    like headers.
    """
    extra = info.json_schema_extra
    widget = extra.get("widget", "") if isinstance(extra, dict) else ""
    written = widget in {"textarea", "code"} or name in kind.source_inputs or (kind.type, name) in _OWN_WORDS
    return not written and "dict" not in str(info.annotation)


def _best(name: str, info: FieldInfo, earlier: list[Source]) -> tuple[Source, Datum] | None:
    wants_list = "list" in str(info.annotation) or name == "items"
    wants_web = info.title == _WEB or _plain(name) in {"url", "uri", "link"}
    best: tuple[int, Source, Datum] | None = None
    for distance, source in enumerate(earlier):
        for datum in flat(source):
            score = _likeness(name, datum, wants_list=wants_list, wants_web=wants_web) - min(distance, 9)
            if score >= _SURE and (best is None or score > best[0]):
                best = (score, source, datum)
    return best[1:] if best else None


def _likeness(name: str, datum: Datum, *, wants_list: bool, wants_web: bool) -> int:
    """Scores a candidate from 0 to 110 by equal name, contained name, type, and format of the last value."""
    mine, its = _plain(name), _plain(datum.name)
    is_list = datum.is_list
    if wants_list != is_list and (wants_list or is_list):
        return 0
    score = 80 if mine == its else 50 if mine in its.split("_") else 0
    if wants_list and is_list:
        score += 70
    if wants_web:
        is_web = datum.type_word == _WEB or re.match(r"https?://\S+\Z", datum.value) is not None
        score = score + 30 if is_web else score - 20
        score = max(score, 70) if is_web and datum.type_word != _GROUP else score
    return score


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
