"""One trace from the caller through job, step and model call to the web site, the model server and the webhook
receiver.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.factories import greeting
from tests.live import flows
from tests.live.caller import Terminal
from tests.live.holding_site import wait_until
from tests.live_server import LiveServer, live_server
from tests.stand_ins.local_server import Seen
from tests.stand_ins.openai_server import OpenAIServer, Said
from tests.stand_ins.trace_receiver import TraceReceiver
from tests.stand_ins.web_site import WebSite
from tests.stand_ins.webhook_receiver import WebhookReceiver

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SENT = {"traceparent": f"00-{TRACE}-{CALLER}-01", "tracestate": "shop=5", "baggage": "tenant=t-1"}
SECRET = "what-nobody-else-may-read"
FIELDS = ({"name": "url", "type": "string", "required": True}, {"name": "topic", "type": "string"})
KEY = "sk-model"


@pytest.fixture(scope="module")
def site() -> Iterator[WebSite]:
    with WebSite({"/page": f"<p>{SECRET}</p>"}) as running:
        yield running


@pytest.fixture(scope="module")
def model() -> Iterator[OpenAIServer]:
    with OpenAIServer(key=KEY) as running:
        yield running


@pytest.fixture(scope="module")
def hook() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as running:
        yield running


@pytest.fixture(scope="module")
def collector() -> Iterator[TraceReceiver]:
    with TraceReceiver() as running:
        yield running


def start(folder: Path, *reached: WebSite | OpenAIServer | WebhookReceiver, **env: str) -> Iterator[LiveServer]:
    """Starts a server that may reach these servers, with a model connection `box`."""
    allowed = ",".join(other.origin.removeprefix("http://") for other in reached)
    env |= {"FLOWPORT_OUTBOUND_ALLOW": allowed, "FLOWPORT_WEBHOOK_ALLOW": allowed}
    with live_server(folder / "data", env=env) as running:
        yield running
        assert "Traceback" not in running.log(), running.log()


@pytest.fixture(scope="module")
def server(tmp_path_factory, site, model, hook, collector) -> Iterator[LiveServer]:
    """A server that sends traces to a collector, configured with OpenTelemetry's standard variables."""
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.origin, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    yield from start(tmp_path_factory.mktemp("traced"), site, model, hook, **env)


@pytest.fixture(scope="module")
def terminal(server: LiveServer, model: OpenAIServer) -> Terminal:
    terminal = Terminal(server)
    add = ("models", "add", "box", "--provider", "openai_compatible", "--key-stdin", "--base-url", model.url)
    assert terminal.value(*add, stdin=KEY) == "box"
    return terminal


@pytest.fixture(scope="module")
def flow_id(terminal: Terminal) -> str:
    """A flow that fetches a page and then asks the model."""
    return terminal.flow(flows.in_a_row([flows.fetch(), flows.prompt("box:small-model")], *FIELDS))


def headers_of(seen: Seen) -> dict[str, str]:
    return {name: value for name, value in seen.headers.items() if name in SENT}


def test_a_trace_goes_through_job_step_and_model_call_and_on(caller, flow_id, site, model, hook, collector):
    model.say(Said(SECRET, input_tokens=30, output_tokens=6))
    payload = {"url": site.at("/page"), "topic": SECRET}
    job_id = caller.accepted(flow_id, payload, X_Webhook_Url=hook.url, **SENT)
    job = caller.ended(job_id)
    assert job["status"] == "completed", job

    of_job = collector.wait_for_job(job_id)
    wait_until(lambda: collector.named("chat small-model"), "the model call was not told")
    (fetching,) = collector.named("step http_request")
    (asking,) = collector.named("step prompt")
    (chat,) = collector.named("chat small-model")
    assert {span.trace_id for span in collector.spans} == {TRACE}
    assert {span.state for span in collector.spans} == {"shop=5"}
    assert (of_job.parent_id, of_job.name) == (CALLER, f"run {flow_id}")
    assert (fetching.parent_id, asking.parent_id) == (of_job.span_id, of_job.span_id)
    assert chat.parent_id == asking.span_id
    for inner, outer in ((fetching, of_job), (asking, of_job)):
        assert outer.begun <= inner.begun <= inner.ended <= outer.ended

    (fetched,) = [seen for seen in site.requests if seen.path == "/page"]
    assert headers_of(fetched) == {**SENT, "traceparent": fetching.traceparent}
    assert headers_of(model.last) == {**SENT, "traceparent": asking.traceparent}
    (told,) = hook.wait_for(1)
    assert headers_of(told) == SENT

    assert of_job.attributes == {
        "gen_ai.operation.name": "invoke_workflow",
        "flowport.job.id": job_id,
        "flowport.flow.id": flow_id,
        "flowport.flow.version": 1,
        "flowport.environment": "live",
        "flowport.attempt": 1,
        "flowport.status": "completed",
    }
    assert chat.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai_compatible",
        "gen_ai.request.model": "small-model",
        "gen_ai.usage.input_tokens": 30,
        "gen_ai.usage.output_tokens": 6,
        "flowport.attempt": 1,
        "flowport.status": "completed",
    }
    assert of_job.resource["service.name"] == "flowport"
    assert not any(SECRET.encode() in seen.body for seen in collector.requests)


def test_a_failure_is_told_by_its_code(caller, flow_id, site, collector):
    job_id = caller.accepted(flow_id, {"url": site.at(f"/{SECRET}")})
    job = caller.ended(job_id)
    of_job = collector.wait_for_job(job_id)
    (step,) = [span for span in collector.spans if span.parent_id == of_job.span_id and "http" in span.name]

    assert (of_job.parent_id, of_job.status, step.status) == ("", 2, 2)  # no parent: the trace starts with the job
    assert of_job.attributes["error.type"] == step.attributes["error.type"] == job["error"]["code"]
    assert site.requests[-1].headers["traceparent"] == step.traceparent
    assert not any(SECRET.encode() in seen.body for seen in collector.requests)


def test_a_trace_that_its_caller_does_not_keep_is_not_sent_and_goes_on(caller, flow_id, site, collector):
    unsampled = "1" * 32
    model_less = {"url": site.at("/none")}
    skipped = caller.accepted(flow_id, model_less, traceparent=f"00-{unsampled}-{CALLER}-00")
    caller.ended(skipped)
    passed_on = site.requests[-1].headers["traceparent"].split("-")
    later = caller.accepted(flow_id, model_less)
    caller.ended(later)
    collector.wait_for_job(later)

    assert (passed_on[1], passed_on[3]) == (unsampled, "00")
    assert collector.of_job(skipped) is None


def test_without_a_collector_the_caller_s_trace_is_passed_on_as_it_came(shared_server, places):
    """This works without the OpenTelemetry library."""
    own = Terminal.new(shared_server)
    caller = own.caller()
    with WebSite({"/page": "Hello"}).at_place(places) as site:
        node = flows.fetch()
        flow_id = own.flow(flows.one_node(node, flows.URL))
        caller.run(flow_id, {"url": site.at("/page")}, **SENT)
        caller.run(flow_id, {"url": site.at("/page")})
        node["inputs"]["headers"] = {"Traceparent": "mine"}
        caller.run(own.flow(flows.one_node(node, flows.URL)), {"url": site.at("/page")}, **SENT)

    passed_on, nothing, chosen = (headers_of(seen) for seen in site.requests)
    assert passed_on == SENT
    assert nothing == {}
    assert chosen == {**SENT, "traceparent": "mine"}


def test_the_webhook_of_a_batch_carries_its_caller_s_trace(shared_server, places):
    own = Terminal.new(shared_server)
    flow_id = own.flow(greeting())
    with WebhookReceiver().at_place(places) as hook:
        items = {"items": [{"name": "Ada"}, {"name": "Ann"}]}
        headers = {"X-Webhook-Url": hook.url, **SENT}
        answer = own.caller().request("POST", f"/flows/execute/{flow_id}/batch", json=items, headers=headers)
        assert answer.status_code == 202, answer.text
        wait_until(lambda: "batch.completed" in [told.json["type"] for told in hook.deliveries], "no end was told")
    assert all(headers_of(told) == SENT for told in hook.deliveries)
