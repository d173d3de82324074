"""The nesting of spans: items of lists, parallel steps, called flows, and jobs that are stopped."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from engine.core.trace_context import CURRENT_TRACE
from engine.flow.document import Document
from engine.jobs.worker.runs import Runs
from engine.jobs.worker.spans import Spans
from tests.engine.jobs.world import NoServices, World, document_of

WORD = [{"name": "word", "type": "string", "required": True}]


class Outside(NoServices):
    """Services that record the span under which each request would be sent."""

    def __init__(self, recorder: Any, world: World, sent: dict[str, str]) -> None:
        super().__init__(recorder, world)
        self._sent = sent

    async def request(self, method: str, url: str, **options: Any) -> Any:
        await asyncio.sleep(0.01)  # lets other steps start in the meantime
        self._sent[url] = str(CURRENT_TRACE.get().traceparent).split("-")[2]
        return self

    def text(self) -> str:
        return ""


class Traced:
    """A worker's runs, their spans, and the span of each sent request by its address."""

    def __init__(self, world: World) -> None:
        self._kept = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._kept))
        self.sent: dict[str, str] = {}
        self.runs: Runs = world.runs()
        self.runs.spans = Spans(provider, world.database.clock)
        self.runs.services_for = lambda job, recorder: Outside(recorder, world, self.sent)

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self._kept.get_finished_spans())

    def one(self, name: str, index: tuple[int, ...] | None = None) -> ReadableSpan:
        (found,) = [
            span for span in self.spans if span.name == name and span.attributes.get("flowport.item.index") == index
        ]
        return found


def configured(document: Document, node_id: str, config: dict[str, Any]) -> Document:
    """Returns the document with changed settings of one node."""
    nodes = (node.model_copy(update={"config": config}) if node.id == node_id else node for node in document.nodes)
    return document.model_copy(update={"nodes": tuple(nodes)})


def id_of(span: ReadableSpan) -> str:
    return f"{span.context.span_id:016x}"


def parent_of(span: ReadableSpan) -> str:
    return "" if span.parent is None else f"{span.parent.span_id:016x}"


@pytest.fixture
def traced(world: World) -> Traced:
    return Traced(world)


async def test_items_that_run_at_once_keep_their_spans_apart(world: World, traced: Traced):
    document = document_of(
        ("s", "array_splitter", {"items": "{{ api_input.out.x }}"}),
        ("call", "test_call", {"url": "{{ s.out }}"}),
        ("f", "array_flatten", {}),
        fields=[{"name": "x", "type": "array"}],
    )
    flow_id = world.add_flow(configured(document, "s", {"mode": "parallel", "max_concurrency": 3}))
    await traced.runs.carry(world.submit(flow_id, {"x": ["a", "b", "c"]}).job_id)

    job, items = traced.one(f"run {flow_id}"), [traced.one("step call", (place,)) for place in range(3)]
    assert max(item.start_time for item in items) < min(item.end_time for item in items), "they ran at once"
    for place, url in enumerate("abc"):
        step = items[place]
        assert (parent_of(step), traced.sent[url]) == (id_of(job), id_of(step))
    assert parent_of(traced.one("step f")) == id_of(job)


async def test_steps_of_a_called_flow_stand_in_the_step_that_calls_it(world: World, traced: Traced):
    inner = world.add_flow(document_of(("fetch", "test_call", {"url": "{{ api_input.out.word }}"}), fields=WORD))
    outer = document_of(("call", "call_flow", {"word": "inside"}), ("after", "test_call", {"url": "after"}))
    flow_id = world.add_flow(configured(outer, "call", {"flow_id": inner, "version": 1}))
    await traced.runs.carry(world.submit(flow_id).job_id)

    calling, fetching, after = (traced.one(f"step {name}") for name in ("call", "call.fetch", "after"))
    assert (parent_of(fetching), traced.sent["inside"]) == (id_of(calling), id_of(fetching))
    assert (parent_of(after), traced.sent["after"]) == (id_of(traced.one(f"run {flow_id}")), id_of(after))
    assert len({span.context.trace_id for span in traced.spans}) == 1


@pytest.mark.parametrize("how", ["cancelled", "released"])
async def test_what_is_stopped_ends_its_spans_and_is_no_error(world: World, traced: Traced, how: str):
    flow_id = world.add_flow(document_of(("slow", "test_sleep", {"seconds": 50})))
    job_id = world.submit(flow_id).job_id
    carrying = asyncio.create_task(traced.runs.carry(job_id))
    while not (traced.runs.open.get(job_id) and traced.runs.open[job_id].recorder.running):
        await asyncio.sleep(0.01)
    traced.runs.open[job_id].stop(how)  # type: ignore[arg-type]
    await carrying

    job, step = traced.one(f"run {flow_id}"), traced.one("step slow")
    assert (job.attributes["flowport.status"], step.attributes["flowport.status"]) == (how, "cancelled")
    assert job.status.is_unset
    assert step.status.is_unset


async def test_a_failure_is_an_error_without_its_text(world: World, traced: Traced):
    flow_id = world.add_flow(document_of(("bad", "test_fail", {})))
    await traced.runs.carry(world.submit(flow_id).job_id)

    for span in (traced.one(f"run {flow_id}"), traced.one("step bad")):
        assert (span.status.is_ok, span.status.description, span.attributes["error.type"]) == (
            False,
            None,
            "http_status",
        )
    assert "on purpose" not in str([span.to_json() for span in traced.spans])
