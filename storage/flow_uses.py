"""Which flows use something that they name by id or by name: a dataset, a collection of knowledge, another flow."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import Struct
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from storage.tables import Flow, FlowVersion

if TYPE_CHECKING:
    from pydantic import JsonValue


class FlowUse(Struct, frozen=True):
    """A flow that uses a thing.

    `live`: in its live version. `by_name`: by the name of the thing, so that renaming breaks it.
    """

    flow_id: str
    title: str
    live: bool
    by_name: bool


class Naming(NamedTuple):
    """What one document of a flow names: ids and names. `live`: it is the live version."""

    flow_id: str
    title: str
    live: bool
    named: set[str]


def agent_tools(node: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """Returns the tools of this kind in the node of an Agent, as a document holds it: its form may be wrong."""
    config: dict[str, Any] = node.get("config") or {}
    tools: JsonValue = config.get("tools") if node.get("type") == "agent" else None
    found = [tool for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
    return [tool for tool in found if tool.get("kind", "flow") == kind]


def uses_of(things: Iterable[tuple[str, str]], namings: Iterable[Naming]) -> dict[str, tuple[FlowUse, ...]]:
    """Returns id -> the flows that use it, sorted by title. `things`: (id, name); those that no flow uses are left out."""
    ids = {key: thing_id for thing_id, name in things for key in (name, thing_id)}
    if not ids:
        return {}
    found: dict[tuple[str, str], FlowUse] = {}
    for flow_id, title, live, all_named in namings:
        for named in all_named:
            if (thing_id := ids.get(named)) is None:
                continue
            before = found.get((thing_id, flow_id))
            found[thing_id, flow_id] = FlowUse(
                flow_id,
                title,
                live or (before is not None and before.live),
                named != thing_id or (before is not None and before.by_name),
            )
    uses: dict[str, list[FlowUse]] = {}
    for (thing_id, _flow_id), use in found.items():
        uses.setdefault(thing_id, []).append(use)
    return {
        thing_id: tuple(sorted(flows, key=lambda use: (use.title.casefold(), use.flow_id)))
        for thing_id, flows in uses.items()
    }


def namings_of(session: Session, workspace_id: str, mark: str, named_in: Callable[[Any], set[str]]) -> Iterator[Naming]:
    """Yields what the draft, the newest and the live version of each flow name. `mark`: a pattern for LIKE that matches
    every document which may name something; `named_in` finds it there.
    """
    mine = (Flow.workspace_id == workspace_id, Flow.deleted_at.is_(None))
    for row in session.execute(select(Flow.id, Flow.title, Flow.draft).where(*mine, Flow.draft.like(mark))):
        yield Naming(row.id, row.title, False, named_in(json.loads(row.draft)))
    versions = (
        select(Flow.id, Flow.title, Flow.live_version, FlowVersion.number, FlowVersion.document)
        .join(FlowVersion, FlowVersion.flow_id == Flow.id)
        .where(
            *mine,
            or_(FlowVersion.number == Flow.newest_version, FlowVersion.number == Flow.live_version),
            FlowVersion.document.like(mark),
        )
    )
    for row in session.execute(versions):
        yield Naming(row.id, row.title, row.number == row.live_version, named_in(json.loads(row.document)))
