"""`/healthz` says that the process answers; `/readyz` that it can take work: the database reads and writes."""

from __future__ import annotations

import asyncio

from sqlalchemy import text
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.context import Context
from engine.errors import Refusal, StorageUnavailable

_NO_STORE = {"Cache-Control": "no-store"}
_CHECK_SECONDS = 5


async def healthz(context: Context, request: Request) -> Response:
    """200 as long as the process lives."""
    return JSONResponse({"status": "ok"}, headers=_NO_STORE)


async def readyz(context: Context, request: Request) -> Response:
    """200 when work can be taken; else 503 with the reason."""
    try:
        context.refuse_when_stopping()
        await _check_database(context)
    except Refusal as refusal:
        body = {"status": "not ready", "reason": str(refusal)}
        return JSONResponse(body, 503, headers={**_NO_STORE, "Retry-After": "5"})
    return JSONResponse({"status": "ready"}, headers=_NO_STORE)


async def _check_database(context: Context) -> None:
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            await context.database.read(_answers)
            await context.database.write(_answers)
    except TimeoutError:
        raise StorageUnavailable(f"The database did not answer within {_CHECK_SECONDS} seconds") from None


def _answers(session: Session) -> None:
    session.execute(text("select 1"))
