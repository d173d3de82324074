"""A trace collector: receives OTLP over HTTP (protobuf) and stores the spans.

with TraceReceiver() as receiver:
    ...  # OTEL_EXPORTER_OTLP_ENDPOINT=receiver.origin
    receiver.wait_for_job(job_id)
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.stand_ins.local_server import LocalServer, Reply, Seen


@dataclass(frozen=True)
class SpanSeen:
    """A received span. Ids are hexadecimal; `resource` describes the sender."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: int
    #: The OTLP status code; 2 is an error.
    status: int
    state: str
    begun: int
    ended: int
    attributes: dict[str, Any]
    resource: dict[str, Any]

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-01"


class TraceReceiver(LocalServer):
    """A server that accepts `/v1/traces`."""

    def __init__(self) -> None:
        super().__init__()
        self.spans: list[SpanSeen] = []
        self._came = threading.Condition()

    def named(self, name: str) -> list[SpanSeen]:
        return [span for span in list(self.spans) if span.name == name]

    def of_job(self, job_id: str) -> SpanSeen | None:
        return next((span for span in list(self.spans) if span.attributes.get("flowport.job.id") == job_id), None)

    def wait_for_job(self, job_id: str, seconds: float = 60.0) -> SpanSeen:
        """Waits for the span of a job, which is the last one of its trace to be sent, and returns it."""
        found: list[SpanSeen] = []

        def came() -> bool:
            found[:] = [span for span in (self.of_job(job_id),) if span]
            return bool(found)

        with self._came:
            assert self._came.wait_for(came, seconds), f"no span of {job_id} within {seconds} s"
        return found[0]

    def reply(self, seen: Seen) -> Reply:
        if (seen.method, seen.path, seen.headers["content-type"]) != ("POST", "/v1/traces", "application/x-protobuf"):
            return Reply(404)
        with self._came:
            for group in ExportTraceServiceRequest.FromString(seen.body).resource_spans:
                resource = _values(group.resource.attributes)
                self.spans += [_span(span, resource) for scope in group.scope_spans for span in scope.spans]
            self._came.notify_all()
        return Reply(200, b"", {"content-type": "application/x-protobuf"})


def _span(span: Any, resource: dict[str, Any]) -> SpanSeen:
    return SpanSeen(
        span.name,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.kind,
        span.status.code,
        span.trace_state,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        _values(span.attributes),
        resource,
    )


def _values(attributes: Any) -> dict[str, Any]:
    return {one.key: _value(one.value) for one in attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return [_value(one) for one in value.array_value.values] if kind == "array_value" else getattr(value, kind)
