"""What passed through the nodes of a flow: time, money and failures of its steps, for the colours on the canvas."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from storage.tables import Job, Step

#: Callers' jobs; what a designer tries in the Playground is no traffic.
_NOT_TRAFFIC = "playground"


@dataclass(frozen=True)
class NodeSums:
    """Sums over a node's ended steps."""

    node_id: str
    steps: int
    time_ms: int
    #: Of the calls whose price is known.
    cost_nanos: int
    failures: int


def sum_by_node(session: Session, workspace_id: str, flow_id: str, since: int) -> list[NodeSums]:
    """One row for each node that ran in a job of callers made since `since` (ms)."""
    rows = session.execute(
        select(
            Step.node_id,
            func.count(),
            func.coalesce(func.sum(Step.duration_ms), 0),
            func.coalesce(func.sum(Step.cost_nanos), 0),
            func.count().filter(Step.status == "failed"),
        )
        .join(Job, Job.id == Step.job_id)
        .where(
            Job.flow_id == flow_id,
            Job.workspace_id == workspace_id,
            Job.created_at >= since,
            Job.environment != _NOT_TRAFFIC,
            Step.status.in_(("completed", "failed")),
        )
        .group_by(Step.node_id)
    )
    return [NodeSums(row[0], int(row[1]), int(row[2] or 0), int(row[3] or 0), int(row[4])) for row in rows]
