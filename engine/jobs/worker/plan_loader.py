"""Loads what an attempt at a job needs: the plan of its version or snapshot, its payload, and the outputs of earlier
attempts.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
from cachetools import LRUCache
from sqlalchemy.orm import Session

from engine.core.errors import FlowInvalid
from engine.flow.document import Document, load_document
from engine.flow.graph import Graph
from engine.flow.node_context import Json, NodeFailed
from engine.flow.node_type import Catalog
from engine.run.calls import CalledPlan
from engine.run.plan import Plan, compile_plan
from engine.run.state import RunOptions
from engine.run.steps import RunError, StepKey
from storage.flows import find_document, find_flow, find_version
from storage.job_changes import Claimed
from storage.jobs import read_value
from storage.snapshots import read_snapshot
from storage.steps import PartRow, failed_steps_of, kept_outputs, kept_parts

_KEPT_PLANS = 256

Outputs = Mapping[tuple[str, str], Json]


class Prepared(msgspec.Struct, frozen=True):
    """The arguments of `run_flow` that depend on the job."""

    plan: Plan
    payload: Mapping[str, Json]
    kept: Mapping[StepKey, Json]
    options: RunOptions
    #: The parts of steps from earlier attempts.
    parts: Mapping[StepKey, Sequence[PartRow]] = msgspec.field(default_factory=dict[StepKey, Sequence[PartRow]])


@dataclass
class PlanLoader:
    """Reads what a run needs.

    Plans of versions are compiled once, since versions never change. Used by several reader threads.
    """

    catalog: Catalog
    _plans: LRUCache[tuple[str, int], Plan] = field(default_factory=lambda: LRUCache(_KEPT_PLANS))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def prepare_at_once(self, job: Claimed) -> Prepared | None:
        """Returns what a first attempt needs when no query is necessary: its plan is cached and its payload small.
        Otherwise None.
        """
        plan = None if job.flow_version is None else self._cached_plan((job.flow_id, job.flow_version))
        if plan is None or job.payload is None or job.run_options:
            return None
        return Prepared(plan, json.loads(job.payload), {}, RunOptions(job_id=job.id))

    def prepare(self, session: Session, job: Claimed) -> Prepared:
        """Returns what an attempt needs; a query. Raises FlowInvalid when the document cannot run any more."""
        options = job.run_options or {}
        until = options.get("until")
        kept: Outputs = kept_outputs(session, job.id)
        if job.flow_version is not None:
            plan = self._plan_of(session, job.flow_id, job.flow_version)
        else:
            document = trimmed(_snapshot(session, job), until)
            plan = compile_plan(document, self.catalog, trial=True)
        return Prepared(
            plan=plan,
            payload=read_value(session, job.id, "payload") or {},
            kept={StepKey(node_id, _index(path)): output for (node_id, path), output in kept.items()},
            options=RunOptions(job_id=job.id, until=until, gave_up=_gave_up(session, job) if job.waited_ms else {}),
            parts={
                StepKey(node_id, _index(path)): parts for (node_id, path), parts in kept_parts(session, job.id).items()
            },
        )

    def called_plan(self, session: Session, workspace_id: str, flow_id: str, version: int | None) -> CalledPlan:
        """Returns the plan that a Call Flow of this workspace runs; a query. Without a fixed version it is the live or
        else the newest one.

        Raises NodeFailed.
        """
        flow = find_flow(session, workspace_id, flow_id)
        if flow is None:
            raise NodeFailed(
                "The flow that this step calls is not there any more.",
                why="It was deleted, or belongs to another workspace.",
                remedy="Choose another flow in the node and deploy again.",
            )
        number = version or flow.live_version or flow.newest_version
        if not number:
            raise NodeFailed(
                f"“{flow.title}” was never saved, so it cannot be called.",
                why="A call runs a saved version.",
                remedy="Open it in the Playground and use Save As.",
            )
        row = find_version(session, workspace_id, flow_id, number)
        if row is None:
            raise NodeFailed(f"“{flow.title}” has no version {number}.", remedy="Deploy this flow again.")
        try:
            if row.first_deployed_at is None:  # not cached: its deployment still fixes the versions it calls
                plan = compile_plan(load_document(row.document), self.catalog)
            else:
                plan = self._plan_of(session, flow_id, number)
        except FlowInvalid as error:
            raise NodeFailed(
                f"Version {number} of “{flow.title}” cannot run: {error.problems[0].message}",
                why="It has problems that stand in the way of a deployment, too.",
                remedy="Open that flow, mend its problems, save it, and deploy this flow again.",
            ) from error
        return CalledPlan(flow_id, number, flow.title, plan, flow.description)

    def _plan_of(self, session: Session, flow_id: str, number: int) -> Plan:
        key = (flow_id, number)
        plan = self._cached_plan(key)
        if plan is None:
            text = find_document(session, flow_id, number)
            assert text is not None, "versions are never removed"
            plan = compile_plan(load_document(text), self.catalog)
            with self._lock:
                self._plans[key] = plan
        return plan

    def _cached_plan(self, key: tuple[str, int]) -> Plan | None:
        with self._lock:
            return self._plans.get(key)


def trimmed(document: Document, until: str | None) -> Document:
    """Returns the document with only the node `until` and its ancestors, so that problems elsewhere do not matter."""
    if until is None:
        return document
    wanted = {until, *Graph(document).ancestors(until)}
    return document.model_copy(
        update={
            "nodes": tuple(node for node in document.nodes if node.id in wanted),
            "edges": tuple(edge for edge in document.edges if edge.source in wanted and edge.target in wanted),
        }
    )


def _snapshot(session: Session, job: Claimed) -> Document:
    return load_document(read_snapshot(session, job.snapshot_id))


def _gave_up(session: Session, job: Claimed) -> dict[StepKey, RunError | None]:
    """Returns the steps that failed before the job was set aside: another answer does not run them again."""
    return {
        StepKey(node_id, _index(path)): None if error is None else RunError(**error)
        for (node_id, path), error in failed_steps_of(session, job.id).items()
    }


def _index(path: str) -> tuple[int, ...]:
    return tuple(int(part) for part in path.split("/")) if path else ()
