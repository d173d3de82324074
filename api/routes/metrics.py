"""`/metrics` for Prometheus. It is off (404) until FLOWPORT_METRICS_TOKEN_FILE names a file with a token; then it
requires that token as a bearer token.

Labels contain only fixed names and routes, never titles of flows, keys, addresses or data from callers.
"""

from __future__ import annotations

import contextlib
import hmac
import shutil
from pathlib import Path

from fastapi import APIRouter
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from api.http.context import Context
from api.http.problem_json import NoSuchAddress
from api.http.route_classes import FromApp, PublicRoute
from engine.backups.last_backup import LastBackup, find_last_backup
from engine.core.clock import SECOND
from engine.core.errors import StorageUnavailable, Unauthorized
from engine.core.job_status import STATUSES
from storage.server_figures import ServerFigures, server_figures

router = APIRouter(route_class=PublicRoute, include_in_schema=False)


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(context: FromApp, request: Request) -> Response:
    """Answers 200 in the text format of Prometheus, without the figures of the database while it is away. Raises
    Unauthorized, and NoSuchAddress while no token is configured.
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
    families = [
        _gauge(
            "flowport_disk_free_bytes",
            "Free space where the data folder is.",
            shutil.disk_usage(context.settings.data).free,
        )
    ]
    figures = backup = None
    with contextlib.suppress(StorageUnavailable):  # which flowport_database_up tells
        figures, backup = await context.database.read(_read, context)
    families.append(_gauge("flowport_database_up", "1 when the database answers, else 0.", int(figures is not None)))
    if figures is not None:
        families += _of_database(figures)
        if backup is not None:
            age = max(0, context.database.clock.now() - backup.at) / SECOND
            families.append(_gauge("flowport_backup_age_seconds", "Age of the newest backup.", age))
    registry = CollectorRegistry()
    registry.register(_Families(families))
    text = context.calls.text() + generate_latest(registry)
    return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST, "Cache-Control": "no-store"})


def _read(session: Session, context: Context) -> tuple[ServerFigures, LastBackup | None]:
    figures = server_figures(session)
    try:
        return figures, find_last_backup(session, context.settings.data, shared=context.database.is_postgres)
    except StorageUnavailable:  # the folder cannot be read
        return figures, None


def _token(path: Path | None) -> str:
    """Returns the token. The file is read at each call, so that a new token applies without a restart; a missing file
    turns the metrics off.
    """
    try:
        return path.read_text().strip() if path else ""
    except (OSError, UnicodeDecodeError):
        return ""


def _of_database(figures: ServerFigures) -> list[Metric]:
    """Returns what every server of a database tells alike."""
    open_jobs = {"queued": figures.queued, "processing": figures.processing, "waiting": figures.waiting}
    hour = {status: figures.last_hour.get(status, 0) for status in STATUSES}
    return [
        _by_status("flowport_jobs", "Jobs that have not ended. Those that wait for a person are waiting.", open_jobs),
        _by_status("flowport_jobs_last_hour", "Jobs that came in within the last hour.", hour),
        *(
            _gauge(name, text, value)
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
                (
                    "flowport_model_dollars_last_hour",
                    "What model calls of the last hour cost.",
                    figures.last_hour_nanos / 1e9,
                ),
                ("flowport_database_bytes", "Size of the database.", figures.database_bytes),
            )
        ),
    ]


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value)


def _by_status(name: str, text: str, counts: dict[str, int]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=["status"])
    for status, count in counts.items():
        family.add_metric([status], count)
    return family


class _Families(Collector):
    """Families with values. A Gauge would be kept in the files of several processes (`api.http.call_figures`)."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families
