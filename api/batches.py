"""Reading a batch: how its jobs stand."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from api.parameters import BatchId, Cursor, Limit
from api.routes import BASE, ByKey, FromApp, PublicRoute, refusals
from api.schemas import Batch
from engine.errors import NotFound
from storage.batches import get_batch

router = APIRouter(prefix=BASE, route_class=PublicRoute, tags=["jobs"])
_COUNTED = ("queued", "processing", "completed", "failed", "cancelled")


@router.get(
    "/batches/{batch_id}",
    operation_id="get_batch",
    summary="Read a batch",
    response_description="How the jobs of a batch stand",
    responses=refusals(NotFound),
)
async def read_batch(
    caller: ByKey, context: FromApp, response: Response, batch_id: BatchId, limit: Limit = 50, cursor: Cursor = None
) -> Batch:
    """Read a batch"""
    batch = await context.database.read(get_batch, caller.workspace_id, caller.scope, batch_id, limit, cursor)
    response.headers["Cache-Control"] = "no-store"
    return Batch(
        batch_id=batch.id,
        total=batch.total,
        **{status: batch.counts.get(status, 0) for status in _COUNTED},
        next_cursor=batch.next_cursor,
        job_ids=list(batch.job_ids),
    )


ROUTES = router.routes
