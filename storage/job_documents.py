"""Queries for the flow that a job ran: its title and the document of its version or snapshot, for a deleted
flow too.
"""

from __future__ import annotations

from msgspec import Struct
from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.jobs import JobRow
from storage.tables import ApiKey, Flow, FlowVersion, Snapshot


class JobFlow(Struct, frozen=True):
    """The flow that a job ran.

    `document`: JSON text, None when it is not stored any more; `key_label`: of the key that submitted it.
    """

    title: str
    deleted: bool
    live_version: int | None
    document: str | None
    key_label: str | None


def get_job_flow(session: Session, workspace_id: str, job: JobRow) -> JobFlow:
    """Returns the flow of a job. The caller has checked that the job belongs to this workspace."""
    flow = session.execute(
        select(Flow.title, Flow.deleted_at, Flow.live_version).where(
            Flow.id == job.flow_id, Flow.workspace_id == workspace_id
        )
    ).one_or_none()
    if job.snapshot_id is not None:
        document = session.scalars(select(Snapshot.document).where(Snapshot.id == job.snapshot_id)).one_or_none()
    else:
        document = session.scalars(
            select(FlowVersion.document)
            .join(Flow, Flow.id == FlowVersion.flow_id)
            .where(
                Flow.workspace_id == workspace_id,
                FlowVersion.flow_id == job.flow_id,
                FlowVersion.number == job.flow_version,
            )
        ).one_or_none()
    label = session.scalars(
        select(ApiKey.label).where(ApiKey.workspace_id == workspace_id, ApiKey.id == (job.key_id or ""))
    ).one_or_none()
    if flow is None:
        return JobFlow("", deleted=True, live_version=None, document=document, key_label=label)
    return JobFlow(flow.title, flow.deleted_at is not None, flow.live_version, document, label)


def list_flow_titles(session: Session, workspace_id: str) -> dict[str, str]:
    """Returns flow id -> title, for lists of jobs; with deleted flows."""
    rows = session.execute(select(Flow.id, Flow.title).where(Flow.workspace_id == workspace_id))
    return {row.id: row.title for row in rows}


def list_key_labels(session: Session, workspace_id: str) -> dict[str, str]:
    """Returns key id -> label, for lists of jobs and refused calls."""
    rows = session.execute(select(ApiKey.id, ApiKey.label).where(ApiKey.workspace_id == workspace_id))
    return {row.id: row.label for row in rows}
