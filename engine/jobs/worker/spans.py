"""A job as OpenTelemetry spans: the attempt, its steps, and the model calls of each step (GenAI semantic conventions).

Spans hold names and numbers only: ids, model, tokens, number of tries, error code. They hold no payload, no prompt and
no error message. A span belongs to the caller's trace, and requests that a step sends carry the step's span as their
parent.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from engine.core.clock import Clock
from engine.core.trace_context import CURRENT_TRACE, TraceContext
from engine.core.version import VERSION
from engine.flow.node_context import Json
from engine.run.steps import Recorder, StepEnded, StepKey, StepPart, StepStarted
from storage.job_changes import Claimed

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, Tracer

#: Flowport's names of providers -> the names of the semantic conventions, where they differ.
_PROVIDERS = {"google": "gcp.gemini", "mistral": "mistral_ai", "azure_openai": "azure.ai.openai"}
_NANOS = 1_000_000


class Spans:
    """Creates the spans of a process's jobs.

    `provider` samples: a trace that its caller does not sample is not sent.
    """

    def __init__(self, provider: TracerProvider, clock: Clock) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("flowport", VERSION)
        self._clock = clock

    def of_job(self, job: Claimed, trace: TraceContext, recorder: Recorder) -> JobSpans:
        """Starts the span of an attempt. The object it returns passes everything on to `recorder`."""
        return JobSpans(self._tracer, self._clock, job, trace, recorder)

    def close(self, seconds: float) -> None:
        """Sends the remaining spans, and waits at most `seconds` for it."""
        closing = threading.Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        closing.start()
        closing.join(seconds)


class JobSpans:
    """The Recorder of one attempt that also makes spans. `trace` is the context inside the attempt's own span."""

    def __init__(self, tracer: Tracer, clock: Clock, job: Claimed, trace: TraceContext, recorder: Recorder) -> None:
        self._tracer = tracer
        self._clock = clock
        self._recorder = recorder
        self._open: dict[StepKey, tuple[Span, TraceContext]] = {}
        self._over = False
        attributes = {
            "gen_ai.operation.name": "invoke_workflow",
            "flowport.job.id": job.id,
            "flowport.flow.id": job.flow_id,
            "flowport.environment": job.environment,
            "flowport.attempt": job.attempt,
        }
        if job.flow_version is not None:
            attributes["flowport.flow.version"] = job.flow_version
        self._span = self._begin(f"run {job.flow_id}", clock.now(), trace, attributes, "CONSUMER")
        self.trace = _context_inside(self._span, trace)

    def end(self, status: str, code: str | None) -> None:
        """Ends the attempt's span; only the first call counts."""
        if not self._over:
            self._over = True
            _finish(self._span, self._clock.now(), status, code)

    def started(self, step: StepStarted) -> None:
        """Starts the span of a step, in the task that runs the step: what that task sends belongs to the span until the
        step ends.
        """
        around = CURRENT_TRACE.get()
        attributes: dict[str, Any] = {"flowport.node.id": step.key.node_id}
        if step.key.index:
            attributes["flowport.item.index"] = step.key.index
        span = self._begin(f"step {step.key.node_id}", step.at, around, attributes)
        self._open[step.key] = span, around
        CURRENT_TRACE.set(_context_inside(span, around))
        self._recorder.started(step)

    def ended(self, step: StepEnded) -> None:
        """Ends the span of a step. A skipped step was never started, and has no span."""
        if (found := self._open.pop(step.key, None)) is not None:
            span, around = found
            CURRENT_TRACE.set(around)
            span.set_attribute("flowport.step.tries", step.tried)
            _finish(span, step.ended_at, step.status, step.error.code if step.error else None)
        self._recorder.ended(step)

    def called(self, key: StepKey, call: Any) -> None:
        """Adds the span of a model call; `call` has the attributes of `engine.models.client.ModelCall`."""
        if (found := self._open.get(key)) is not None:
            at = self._clock.now()
            attributes = {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": _PROVIDERS.get(call.provider, call.provider),
                "gen_ai.request.model": call.model,
                "gen_ai.usage.input_tokens": call.input_tokens,
                "gen_ai.usage.output_tokens": call.output_tokens,
                "flowport.attempt": call.attempt,
            }
            of_step = _context_inside(*found)
            span = self._begin(f"chat {call.model}", at - call.duration_ms, of_step, attributes, "CLIENT")
            _finish(span, at, "failed" if call.error else "completed", call.error)
        self._recorder.called(key, call)

    def delta(self, key: StepKey, text: str) -> None:
        """Passes model text on; it is not part of a trace."""
        self._recorder.delta(key, text)

    def part(self, key: StepKey, part: StepPart) -> None:
        """Passes a part of a step on; it is not a span, as its values are not part of a trace."""
        self._recorder.part(key, part)

    def finished(self, key: StepKey, name: str) -> Json | None:
        """Returns the value of a part that has ended."""
        return self._recorder.finished(key, name)

    def forget(self, nodes: Collection[str], index: tuple[int, ...]) -> None:
        """Passes on what is to be dropped."""
        self._recorder.forget(nodes, index)

    def as_stored(self, text: str) -> str:
        """Returns a JSON text as another attempt finds it."""
        return self._recorder.as_stored(text)

    def unfinished(self, key: StepKey, name: str) -> Json | None:
        """Returns the value of a part that has not ended."""
        return self._recorder.unfinished(key, name)

    def _begin(
        self, name: str, at: int, parent: TraceContext, attributes: Mapping[str, Any], kind: str = "INTERNAL"
    ) -> Span:
        from opentelemetry.trace import SpanKind

        return self._tracer.start_span(
            name, context=_as_context(parent), kind=SpanKind[kind], attributes=attributes, start_time=at * _NANOS
        )


def _finish(span: Span, at: int, status: str, code: str | None) -> None:
    from opentelemetry.trace import StatusCode

    span.set_attribute("flowport.status", status)
    if code is not None:
        span.set_attribute("error.type", code)
    if status == "failed":
        span.set_status(StatusCode.ERROR)
    span.end(at * _NANOS)


def _as_context(trace: TraceContext) -> Context:
    """Returns a trace as OpenTelemetry's parent of a new span; without a `traceparent` the span starts a trace."""
    from opentelemetry.context import Context
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState, set_span_in_context

    if trace.traceparent is None:
        return Context()
    _, trace_id, span_id, flags = trace.traceparent.split("-")
    state = TraceState.from_header([trace.tracestate]) if trace.tracestate else None
    # The other flags come from later versions of W3C Trace Context; only `sampled` is used.
    sampled = TraceFlags(int(flags, 16) & TraceFlags.SAMPLED)
    standing = SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=sampled, trace_state=state)
    return set_span_in_context(NonRecordingSpan(standing), Context())


def _context_inside(span: Span, around: TraceContext) -> TraceContext:
    """Returns the trace context inside a span; `baggage` is passed on unchanged."""
    context = span.get_span_context()
    parent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"
    return TraceContext(parent, context.trace_state.to_header() or None, around.baggage)
