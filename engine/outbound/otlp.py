"""Exports traces over OTLP/HTTP to the collector that the standard OTEL_* variables name; needs the extra `otel`.

OpenTelemetry's SDK is imported only when a variable names a collector. The exporter connects without the checks of
OutboundClient: the operator chose the collector's address in the environment, as with a proxy.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from engine.core.version import VERSION

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

log = logging.getLogger(__name__)

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
SPOKEN = "http/protobuf"
_LIBRARIES = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")


def wants_traces(environment: Mapping[str, str]) -> bool:
    """Tells whether the standard variables name a trace collector and do not disable tracing."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if environment.get("OTEL_TRACES_EXPORTER", "otlp").strip() != "otlp":
        return False
    return any(environment.get(name, "").strip() for name in ENDPOINTS)


def open_tracer_provider(environment: Mapping[str, str]) -> TracerProvider | None:
    """Returns a tracer provider that exports spans in batches from a background thread, or None when there is nothing
    to export to.

    `environment` is the environment of this process; OpenTelemetry reads its other variables from it directly. A
    missing library is logged as a warning.
    """
    if not wants_traces(environment):
        return None
    if not _installed():
        log.warning(
            "No traces are sent: %s is set, but OpenTelemetry is not installed. "
            "Install it with `uv pip install --python .venv/bin/python --require-hashes -r requirements-otel.lock`, in a container "
            "build the image with `--build-arg WITH=otel`, or unset the variable.",
            next(name for name in ENDPOINTS if environment.get(name, "").strip()),
        )
        return None
    if wrong := next((name for name in PROTOCOLS if environment.get(name, SPOKEN).strip() != SPOKEN), None):
        log.warning("%s is not followed: traces are sent as %s (usually port 4318)", wrong, SPOKEN)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    ours = Resource({"service.name": "flowport", "service.version": VERSION})
    resource = Resource.create().merge(ours).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def _installed() -> bool:
    try:
        return all(importlib.util.find_spec(name) is not None for name in _LIBRARIES)
    except ModuleNotFoundError:
        return False
