"""`/healthz` reports that the process responds; `/readyz` reports whether it can accept work."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from api.http.route_classes import FromApp, PublicRoute
from engine.core.errors import ShuttingDown
from engine.diagnostics.readiness import not_ready

_NO_STORE = {"Cache-Control": "no-store"}


router = APIRouter(route_class=PublicRoute, include_in_schema=False)


@router.get("/healthz")
async def healthz() -> Response:
    """200 as long as the process lives."""
    return JSONResponse({"status": "ok"}, headers=_NO_STORE)


@router.get("/readyz")
async def readyz(context: FromApp) -> Response:
    """200 when work can be taken; else 503 with the reason."""
    if context.stopping.is_set():
        body = not_ready(str(ShuttingDown()))
    else:
        body = await context.readiness.look(context.database, context.settings.data)
    if body["status"] == "ready":
        return JSONResponse(body, headers=_NO_STORE)
    return JSONResponse(body, 503, headers={**_NO_STORE, "Retry-After": "5"})
