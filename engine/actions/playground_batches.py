"""Actions on Playground batches: the draft runs once per sample or dataset row, and the runs are jobs of one batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from sqlalchemy.orm import Session

from engine.actions.jobs import (
    PLAYGROUND,
    CheckedInput,
    add_playground_job,
    add_snapshot,
    clean_payload,
    with_called_flows,
)
from engine.actions.principal import Principal, require_may
from engine.core.errors import BatchRunning
from engine.core.ids import FlowId, JobId, WorkspaceId, new_id
from engine.flow.document import Document
from engine.nodes import CATALOG
from engine.run.plan import compile_plan
from storage.batches import insert_batch
from storage.flows import get_flow
from storage.playground_batches import has_open_batch, insert_batch_state, remove_row


class PlaygroundBatch(Struct, frozen=True):
    """A batch in progress. All its runs use the document of this snapshot."""

    id: str
    workspace_id: WorkspaceId
    flow_id: FlowId
    snapshot_id: str
    document: Document
    total: int


def begin_playground_batch(
    session: Session, principal: Principal, flow_id: str, document: Document, total: int, source: Mapping[str, Any]
) -> PlaygroundBatch:
    """Creates a batch and stores its document and the source of its rows, without starting a run.

    Raises NotFound, FlowInvalid, and BatchRunning while another batch of the flow has rows to run.
    """
    require_may(principal, "run flows")
    flow = get_flow(session, principal.workspace_id, flow_id)
    compile_plan(document, CATALOG, trial=True)
    if has_open_batch(session, flow.id):
        raise BatchRunning
    document = with_called_flows(session, principal, flow.id, document, document)
    batch_id = new_id("batch")
    insert_batch(
        session,
        {
            "id": batch_id,
            "workspace_id": principal.workspace_id,
            "flow_id": flow.id,
            "environment": PLAYGROUND,
            "total": total,
        },
    )
    snapshot_id = add_snapshot(session, flow.id, document)
    insert_batch_state(session, batch_id, snapshot_id, principal.actor, dict(source))
    return PlaygroundBatch(batch_id, principal.workspace_id, FlowId(flow.id), snapshot_id, document, total)


def run_in_batch(
    session: Session,
    principal: Principal,
    batch: PlaygroundBatch,
    payload: Mapping[str, Any],
    *,
    row: int,
    title: str,
    dataset_row: int | None = None,
    checked: CheckedInput | None = None,
) -> JobId:
    """Starts the run of one row; `row` counts from 1. Repeating a row replaces its result. Raises PayloadInvalid.
    `checked` is what `check_beside` returned for the payload.
    """
    require_may(principal, "run flows")
    flow = get_flow(session, principal.workspace_id, batch.flow_id)
    clean = clean_payload(session, principal.workspace_id, batch.document, payload, checked)
    remove_row(session, batch.id, row)
    options = {"row": row, "title": title[:200], "dataset_row": dataset_row}
    return add_playground_job(
        session,
        principal,
        flow,
        batch.document,
        clean,
        snapshot_id=batch.snapshot_id,
        batch_id=batch.id,
        run_options={name: value for name, value in options.items() if value is not None},
    )
