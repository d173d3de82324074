"""Finds an answer that names no source: a field of API Output that is made of the sources of a search and is empty, though
the search found something.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from engine.flow.node_context import Json
from engine.flow.reference_edits import references_of
from engine.flow.references import Reference, find_references
from engine.run.lists import Frame
from engine.run.plan import Plan, PlannedNode

_SEARCH = "search_knowledge"


def without_source(
    plan: Plan, output: PlannedNode, frame: Frame, values: Mapping[str, Json]
) -> Iterator[tuple[str, str, int]]:
    """Yields each such field of the API Output, with the id of the search and how many pieces it found. `values`: what the
    fields hold.
    """
    for name, binding in output.node.inputs.items():
        if values.get(name) != []:
            continue
        asked = [one for _pointer, one in find_references(binding) if isinstance(one, Reference)]
        for search in _searches(plan, asked):
            out: JsonValue = frame.outputs.get(search)
            count = out.get("count") if isinstance(out, dict) else None
            if isinstance(count, int) and count > 0:
                yield name, search, count


def _searches(plan: Plan, asked: list[Reference]) -> Iterator[str]:
    """Yields the searches whose sources these references are made of, also over steps between."""
    todo, seen = list(asked), set[str]()
    while todo:
        one = todo.pop()
        planned = plan.nodes.get(one.node_id)
        if planned is None or one.node_id in seen:
            continue
        if planned.node.type == _SEARCH:
            if one.path[:1] == ("sources",):
                seen.add(one.node_id)
                yield one.node_id
            continue
        seen.add(one.node_id)
        todo += [reference for _pointer, reference in references_of(planned.node, planned.type)]
