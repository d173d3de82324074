"""When traces are sent, and that the library is not imported otherwise."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.outbound.otlp import open_tracer_provider, wants_traces

COLLECTOR = "http://127.0.0.1:4318"
PROGRAM = """
import sys
import engine.jobs.worker.worker
from engine.outbound.otlp import open_tracer_provider
assert open_tracer_provider({}) is None
print(sorted(name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))))
"""


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": COLLECTOR}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{COLLECTOR}/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, False),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": COLLECTOR}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": COLLECTOR, "OTEL_SDK_DISABLED": "TRUE"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": COLLECTOR, "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": COLLECTOR, "OTEL_TRACES_EXPORTER": "otlp"}, True),
    ],
)
def test_traces_are_sent_where_the_standard_variables_say_so(environment: dict[str, str], wanted: bool):
    assert wants_traces(environment) is wanted


@pytest.mark.parametrize("gone", ["opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"])
def test_a_collector_without_the_library_is_told_at_start(
    gone: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setitem(sys.modules, gone, None)
    with caplog.at_level(logging.WARNING):
        assert open_tracer_provider({"OTEL_EXPORTER_OTLP_ENDPOINT": COLLECTOR}) is None
    (line,) = caplog.messages
    assert "OTEL_EXPORTER_OTLP_ENDPOINT is set, but OpenTelemetry is not installed" in line
    assert "-r requirements-otel.lock`" in line


def test_names_of_the_service_are_the_operator_s(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", COLLECTOR)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    told = []
    for named in ("", "flows of the shop"):
        monkeypatch.setenv("OTEL_SERVICE_NAME", named)
        provider = open_tracer_provider(os.environ)
        assert provider is not None
        told.append(provider.resource.attributes["service.name"])
        provider.shutdown()
    assert told == ["flowport", "flows of the shop"]
    assert "OTEL_EXPORTER_OTLP_PROTOCOL is not followed" in caplog.text


@pytest.mark.process
def test_without_the_variables_nothing_of_the_library_is_loaded():
    root = Path(__file__).parents[3]
    said = subprocess.run([sys.executable, "-c", PROGRAM], cwd=root, env={}, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
