"""Routes that read, list and cancel batches and stream their results. A key sees the batches of its own environment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from api.http import parameters, schemas
from api.http.context import Context
from api.http.cursors import cursor_of, place_of
from api.http.job_answers import dump, in_lines, with_result
from api.http.parameters import BatchId, Cursor, Limit
from api.http.route_classes import BASE, ByKey, FromApp, PublicRoute, Stream, refusals, with_headers
from api.routes.jobs import ASK_AGAIN_SECONDS, CANCEL_WAIT_SECONDS, PAGE_BYTES
from engine.actions.jobs import cancel_all
from engine.core.errors import BatchNotCancellable, NotFound, Unauthorized
from engine.jobs.job_views import batch_view, item_view
from engine.jobs.submit.accept import Caller, read_key_again
from storage.batches import batch_job_ids, find_batch_status, get_batch, list_batches, list_items
from storage.job_results import result_sizes, result_texts

_PAGE = 100
_EXAMPLE = {
    "x-itemSchema": {"$ref": "#/components/schemas/BatchResult"},
    "example": '{"item_index":0,"job_id":"job_3nXq8TfW2LrKc0ZbYp5VdA","status":"completed","result":{"summary":"..."},"error":null,"steps_failed":0,"simulated":false}\n'
    '{"item_index":1,"job_id":"job_7hGd2KsW9QmNc4RtYp1XbE","status":"queued","result":null,"error":null,"steps_failed":0,"simulated":false}\n',
}

router = APIRouter(prefix=BASE, route_class=PublicRoute, tags=["jobs"])


class JsonLines(Stream):
    """A stream with one JSON value per line."""

    media_type = "application/x-ndjson"


@router.get(
    "/batches/{batch_id}",
    operation_id="get_batch",
    summary="Read a batch",
    response_model=schemas.Batch,
    response_description="How the items of a batch stand, with a page of their jobs",
    responses={200: with_headers("Retry-After", "Preference-Applied"), **refusals(NotFound)},
)
async def read_batch(
    caller: ByKey,
    context: FromApp,
    request: Request,
    batch_id: BatchId,
    wait: parameters.WaitSeconds,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Counts of items per status, and a page of job ids in the order of the items. With `wait`, answers as soon as all items \
have ended.
    """
    page = batch_id, limit, place_of(cursor, "items", batch_id)
    view = await context.database.read(_read_batch, caller, *page)
    if wait and view["completed_at"] is None:
        with context.held.place(caller, request) as peer:
            caller = await context.until_ended(caller, batch_id, wait, find_batch_status, peer=peer)
        view = await context.database.read(_read_batch, caller, *page)
    return _answer(view, wait)


@router.get(
    "/batches",
    operation_id="list_batches",
    summary="List batches",
    response_model=schemas.BatchList,
    response_description="A page of batches, newest first",
    responses=refusals(),
)
async def list_own_batches(caller: ByKey, context: FromApp, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """Newest first; the pages stay stable while batches arrive. A key sees the batches of its own environment and of the \
flows it may call.
    """
    which = "batches", caller.environment
    place = place_of(cursor, *which)
    page = await context.database.read(list_batches, caller.workspace_id, caller.scope, limit, place)
    next_cursor = cursor_of(page.next_cursor, *which)
    return _answer({"data": [batch_view(batch) for batch in page.batches], "next_cursor": next_cursor})


@router.post(
    "/batches/{batch_id}/cancel",
    operation_id="cancel_batch",
    summary="Cancel a batch",
    response_model=schemas.BatchSummary,
    response_description="How the items of a batch stand",
    responses={200: with_headers("Retry-After"), **refusals(NotFound, BatchNotCancellable)},
)
async def cancel_batch(caller: ByKey, context: FromApp, batch_id: BatchId) -> Response:
    """Queued items end at once, items at work are stopped: the call waits up to 3 seconds and answers with the batch as it \
then is. Items that have ended stay as they are. Cancelling it again is no error: a batch that was cancelled answers 200. One whose items \
had all ended before anybody cancelled it is 409 `batch_not_cancellable`.
    """
    batch = await context.database.write(cancel_all, caller, batch_id)
    if not batch.ended:
        caller = await context.until_ended(caller, batch_id, CANCEL_WAIT_SECONDS, find_batch_status)
        batch = await context.database.read(get_batch, caller.workspace_id, batch_id, caller.scope)
    return _answer(batch_view(batch))


@router.get(
    "/batches/{batch_id}/results",
    operation_id="get_batch_results",
    summary="Read the results of a batch as JSON Lines",
    response_class=JsonLines,
    response_description="Read the results of a batch as JSON Lines",
    responses={
        200: {"content": {JsonLines.media_type: _EXAMPLE}} | with_headers("X-Accel-Buffering"),
        **refusals(NotFound),
    },
)
async def read_results(
    caller: ByKey, context: FromApp, request: Request, batch_id: BatchId, after: parameters.AfterItem = None
) -> Response:
    """One line per item, in the order of the items: `item_index`, `job_id`, `status`, `result`, `error`, `steps_failed` \
and `simulated` as in the job. `result` is null while the item has not ended; `"result_expired": true` stands in the line of a \
`completed` item whose result is not kept any more. A stream that broke off has fewer lines than the batch has items: go on with `after`.
    """
    await context.database.read(get_batch, caller.workspace_id, batch_id, caller.scope)
    return JsonLines(request, _lines(context, caller, batch_id, -1 if after is None else after))


def _answer(view: dict[str, Any], waited: int = 0) -> Response:
    headers = {"Cache-Control": "no-store"}
    if waited:
        headers["Preference-Applied"] = f"wait={waited}"
    if view.get("batch_id") and view["completed_at"] is None:
        headers["Retry-After"] = str(ASK_AGAIN_SECONDS)
    return Response(dump(view), headers=headers, media_type="application/json")


def _read_batch(session: Session, caller: Caller, batch_id: str, limit: int, place: str | None) -> dict[str, Any]:
    batch = get_batch(session, caller.workspace_id, batch_id, caller.scope)
    job_ids, next_place = batch_job_ids(session, batch_id, limit, place)
    return {**batch_view(batch), "next_cursor": cursor_of(next_place, "items", batch_id), "job_ids": job_ids}


async def _lines(context: Context, caller: Caller, batch_id: str, after: int) -> AsyncIterator[bytes]:
    going_on: int | None = after
    while going_on is not None and not context.stopping.is_set():
        try:
            lines, going_on = await context.database.read(_read_lines, caller, batch_id, going_on)
        except (Unauthorized, NotFound):
            return  # the key or its access to the batch was revoked, the key expired, or the batch was deleted
        if lines:
            yield lines


def _read_lines(session: Session, caller: Caller, batch_id: str, after: int) -> tuple[bytes, int | None]:
    """Returns the lines after item `after`, at least one and about `PAGE_BYTES` in total, and the index of the last
    one; None when there are no more items.

    Raises Unauthorized and NotFound as a new request would.
    """
    caller = read_key_again(session, caller)
    get_batch(session, caller.workspace_id, batch_id, caller.scope)
    items = list_items(session, batch_id, after, _PAGE)
    sizes = result_sizes(session, [item.job_id for item in items if item.status == "completed"])
    lines: list[bytes] = []
    total = 0
    for item in items:
        gone = item.status == "completed" and item.job_id not in sizes
        line = dump(item_view(item) | ({"result_expired": True} if gone else {}))
        if item.job_id in sizes:
            line = with_result(line, result_texts(session, [item.job_id])[item.job_id].encode())
        lines.append(line + b"\n")
        total += len(line)
        if total > PAGE_BYTES:
            break
    text = in_lines(b"".join(lines))
    return text, items[len(lines) - 1].index if len(lines) == _PAGE or len(lines) < len(items) else None
