"""Queries for the time, cost and failures of each node of a flow, which the canvas shows as colours."""

from __future__ import annotations

from msgspec import Struct
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from storage.costs import as_nanos, sum_nanos
from storage.tables import Job, Step

#: Playground runs are left out: only callers' jobs count.
_LEFT_OUT = "playground"


class NodeSums(Struct, frozen=True):
    """Sums over the ended steps of a node."""

    node_id: str
    steps: int
    time_ms: int
    #: The cost of the calls whose price is known.
    cost_nanos: int
    failures: int


def sum_by_node(session: Session, workspace_id: str, flow_id: str, since: int) -> list[NodeSums]:
    """Returns one row for each node that ran in jobs of callers accepted since `since` (milliseconds)."""
    rows = session.execute(
        select(
            Step.node_id,
            func.count(),
            func.coalesce(func.sum(Step.duration_ms), 0),
            sum_nanos(Step.cost_nanos),
            func.count().filter(Step.status == "failed"),
        )
        .join(Job, Job.id == Step.job_id)
        .where(
            Job.flow_id == flow_id,
            Job.workspace_id == workspace_id,
            Job.created_at >= since,
            Job.environment != _LEFT_OUT,
            Step.status.in_(("completed", "failed")),
        )
        .group_by(Step.node_id)
    )
    return [NodeSums(row[0], int(row[1]), int(row[2] or 0), as_nanos(row[3]), int(row[4])) for row in rows]
