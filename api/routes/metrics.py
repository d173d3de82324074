"""`/metrics` for Prometheus. It is off (404) until FLOWPORT_METRICS_TOKEN_FILE names a file with a token; then it
requires that token as a bearer token.

Labels contain only fixed names and routes, never titles of flows, keys, addresses or data from callers.
"""

from __future__ import annotations

import hmac
import shutil
from pathlib import Path

from fastapi import APIRouter
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from api.http.problem_json import NoSuchAddress
from api.http.route_classes import FromApp, PublicRoute
from engine.core.errors import Unauthorized
from engine.core.job_status import STATUSES
from storage.server_figures import ServerFigures, server_figures

router = APIRouter(route_class=PublicRoute, include_in_schema=False)


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(context: FromApp, request: Request) -> Response:
    """Answers 200 in the text format of Prometheus. Raises Unauthorized, and NoSuchAddress while no token is
    configured.
    """
    token = _token(context.settings.metrics_token_file)
    if not token:
        raise NoSuchAddress("Metrics are off. Name a file with a token in FLOWPORT_METRICS_TOKEN_FILE.")
    sent = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
    if not hmac.compare_digest(sent.encode(), token.encode()):
        raise Unauthorized(
            "The metrics token is missing or wrong",
            remedy="Send it as `Authorization: Bearer TOKEN`: it stands in the file FLOWPORT_METRICS_TOKEN_FILE names.",
        )
    figures = await context.database.read(server_figures)
    now = _gauges(figures, shutil.disk_usage(context.settings.data).free)
    text = generate_latest(context.calls.registry) + generate_latest(now)
    return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST, "Cache-Control": "no-store"})


def _token(path: Path | None) -> str:
    """Returns the token. The file is read at each call, so that a new token applies without a restart; a missing file
    turns the metrics off.
    """
    try:
        return path.read_text().strip() if path else ""
    except (OSError, UnicodeDecodeError):
        return ""


def _gauges(figures: ServerFigures, free_bytes: int) -> CollectorRegistry:
    registry = CollectorRegistry()
    jobs = Gauge(
        "flowport_jobs",
        "Jobs that have not ended. Those that wait for a person are waiting.",
        ["status"],
        registry=registry,
    )
    jobs.labels("queued").set(figures.queued)
    jobs.labels("processing").set(figures.processing)
    jobs.labels("waiting").set(figures.waiting)
    hour = Gauge("flowport_jobs_last_hour", "Jobs that came in within the last hour.", ["status"], registry=registry)
    for status in STATUSES:
        hour.labels(status).set(figures.last_hour.get(status, 0))
    for name, text, value in (
        (
            "flowport_oldest_queued_seconds",
            "How long the oldest waiting job has been waiting.",
            figures.oldest_queued_seconds,
        ),
        (
            "flowport_jobs_last_hour_steps_failed",
            "Completed jobs of the last hour in which steps failed.",
            figures.last_hour_went_on,
        ),
        ("flowport_workers", "Worker processes that live.", figures.workers),
        ("flowport_model_dollars_last_hour", "What model calls of the last hour cost.", figures.last_hour_nanos / 1e9),
        ("flowport_database_bytes", "Size of the database.", figures.database_bytes),
        ("flowport_disk_free_bytes", "Free space where the data folder is.", free_bytes),
    ):
        Gauge(name, text, registry=registry).set(value)
    return registry
