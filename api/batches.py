"""Reading a batch: how its jobs stand."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from api import parameters
from api.context import Context
from api.job_view import dump
from storage.batches import get_batch

_COUNTED = ("queued", "processing", "completed", "failed", "cancelled")


async def read_batch(context: Context, request: Request) -> Response:
    """`GET /batches/{batch_id}`: counts per status and a page of job ids."""
    caller = context.caller(request)
    sent = parameters.query(request, "limit", "cursor")
    limit = parameters.whole_number("limit", sent.get("limit", "50"), 1, 100)
    batch = await context.database.read(
        get_batch, caller.workspace_id, caller.scope, request.path_params["batch_id"], limit, sent.get("cursor")
    )
    body = {
        "batch_id": batch.id,
        "total": batch.total,
        **{status: batch.counts.get(status, 0) for status in _COUNTED},
        "next_cursor": batch.next_cursor,
        "job_ids": batch.job_ids,
    }
    return Response(dump(body), headers={"Cache-Control": "no-store"}, media_type="application/json")
