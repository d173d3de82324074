"""A job as OpenTelemetry spans: the attempt, its steps, and each step's model calls (GenAI semantic conventions).

Spans hold names and numbers only: ids, the model, tokens, how often something was tried, the code of a failure. No payload, no
prompt, no text of an error. A span belongs to the trace of the caller, and what a step sends out belongs to the step's span.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from engine.core.clock import Clock
from engine.core.trace_context import CURRENT_TRACE, TraceContext
from engine.core.version import VERSION
from engine.run.steps import Recorder, StepEnded, StepKey, StepStarted
from storage.job_changes import Claimed

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, Tracer

#: Our names of providers in the words of the conventions, where they have one.
_PROVIDERS = {"google": "gcp.gemini", "mistral": "mistral_ai", "azure_openai": "azure.ai.openai"}
_NANOS = 1_000_000


class Spans:
    """Makes the spans of a process's jobs. `provider` samples by itself: a trace that its caller does not keep is not sent."""

    def __init__(self, provider: TracerProvider, clock: Clock) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("flowport", VERSION)
        self._clock = clock

    def of_job(self, job: Claimed, trace: TraceContext, recorder: Recorder) -> JobSpans:
        """Begins the span of an attempt; what is told to it goes on to `recorder`."""
        return JobSpans(self._tracer, self._clock, job, trace, recorder)

    def close(self, seconds: float) -> None:
        """Sends what is left, for so long at most."""
        closing = threading.Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        closing.start()
        closing.join(seconds)


class JobSpans:
    """The Recorder of one attempt, seen as spans. `trace` is where the attempt's own span stands."""

    def __init__(self, tracer: Tracer, clock: Clock, job: Claimed, trace: TraceContext, recorder: Recorder) -> None:
        self._tracer = tracer
        self._clock = clock
        self._recorder = recorder
        self._open: dict[StepKey, tuple[Span, TraceContext]] = {}
        self._over = False
        told = {
            "gen_ai.operation.name": "invoke_workflow",
            "flowport.job.id": job.id,
            "flowport.flow.id": job.flow_id,
            "flowport.environment": job.environment,
            "flowport.attempt": job.attempt,
        }
        if job.flow_version is not None:
            told["flowport.flow.version"] = job.flow_version
        self._span = self._begin(f"run {job.flow_id}", clock.now(), trace, told, "CONSUMER")
        self.trace = _standing(self._span, trace)

    def end(self, status: str, code: str | None) -> None:
        """The attempt is over; said twice, the first counts."""
        if not self._over:
            self._over = True
            _finish(self._span, self._clock.now(), status, code)

    def started(self, step: StepStarted) -> None:
        """A step begins, in the task that runs it: until it ends, what that task sends out belongs to its span."""
        around = CURRENT_TRACE.get()
        told: dict[str, Any] = {"flowport.node.id": step.key.node_id}
        if step.key.index:
            told["flowport.item.index"] = step.key.index
        span = self._begin(f"step {step.key.node_id}", step.at, around, told)
        self._open[step.key] = span, around
        CURRENT_TRACE.set(_standing(span, around))
        self._recorder.started(step)

    def ended(self, step: StepEnded) -> None:
        """A step is over. One that was skipped had never begun, and has no span."""
        if (found := self._open.pop(step.key, None)) is not None:
            span, around = found
            CURRENT_TRACE.set(around)
            span.set_attribute("flowport.step.tries", step.tried)
            _finish(span, step.ended_at, step.status, step.error.code if step.error else None)
        self._recorder.ended(step)

    def called(self, key: StepKey, call: Any) -> None:
        """A model call was made: `engine.models.client.ModelCall` read by its names."""
        if (found := self._open.get(key)) is not None:
            at = self._clock.now()
            told = {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": _PROVIDERS.get(call.provider, call.provider),
                "gen_ai.request.model": call.model,
                "gen_ai.usage.input_tokens": call.input_tokens,
                "gen_ai.usage.output_tokens": call.output_tokens,
                "flowport.attempt": call.attempt,
            }
            of_step = _standing(*found)
            span = self._begin(f"chat {call.model}", at - call.duration_ms, of_step, told, "CLIENT")
            _finish(span, at, "failed" if call.error else "completed", call.error)
        self._recorder.called(key, call)

    def delta(self, key: StepKey, text: str) -> None:
        """Model text is nothing for a trace."""
        self._recorder.delta(key, text)

    def _begin(self, name: str, at: int, parent: TraceContext, told: Mapping[str, Any], kind: str = "INTERNAL") -> Span:
        from opentelemetry.trace import SpanKind

        return self._tracer.start_span(
            name, context=_as_context(parent), kind=SpanKind[kind], attributes=told, start_time=at * _NANOS
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
    """A trace as OpenTelemetry's parent of a new span; without one the span begins a trace."""
    from opentelemetry.context import Context
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState, set_span_in_context

    if trace.traceparent is None:
        return Context()
    _, trace_id, span_id, flags = trace.traceparent.split("-")
    state = TraceState.from_header([trace.tracestate]) if trace.tracestate else None
    # The other flags are of later versions of the standard; only whether the caller samples is understood here.
    sampled = TraceFlags(int(flags, 16) & TraceFlags.SAMPLED)
    standing = SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=sampled, trace_state=state)
    return set_span_in_context(NonRecordingSpan(standing), Context())


def _standing(span: Span, around: TraceContext) -> TraceContext:
    """Where what a span sends out stands; `baggage` goes on as it came."""
    told = span.get_span_context()
    parent = f"00-{told.trace_id:032x}-{told.span_id:016x}-{int(told.trace_flags):02x}"
    return TraceContext(parent, told.trace_state.to_header() or None, around.baggage)
