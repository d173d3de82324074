"""A client that openapi-python-client generates from a flow's document runs the flow, and its types fit."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from tests.contract.conftest import FLOW, PAYLOAD, Called

NAME = "story_client"


@pytest.fixture(scope="module")
def client(called: Called, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The generated package, imported from a temporary folder."""
    folder = tmp_path_factory.mktemp("client")
    document = folder / "openapi.json"
    document.write_text(json.dumps(called.document(f"/openapi/flows/{called.flow_id}.json")))
    settings = folder / "config.yml"
    # The generator does not support JSON Lines; this setting makes it return them as text.
    settings.write_text("post_hooks: []\ncontent_type_overrides:\n  application/x-ndjson: text/plain\n")
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--path", str(document), "--meta", "none"]
    options = ["--config", str(settings), "--output-path", str(folder / NAME), "--fail-on-warning"]
    answer = subprocess.run([*command, *options], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module(NAME)
    finally:
        sys.path.remove(str(folder))
        for module in [name for name in sys.modules if name.split(".")[0] == NAME]:
            del sys.modules[module]


def part(name: str) -> ModuleType:
    return importlib.import_module(f"{NAME}.{name}")


def test_the_generated_client_submits_and_reads_the_result(called: Called, client: ModuleType):
    models = part("models")
    run, get_job = part("api.flows.run_read_a_story"), part("api.jobs.get_job")
    payload = models.Payload.from_dict(PAYLOAD)

    with client.AuthenticatedClient(base_url=called.server.url, token=called.key) as caller:
        accepted = run.sync(client=caller, body=payload)
        assert isinstance(accepted, models.JobAccepted)
        job = get_job.sync(accepted.job_id, client=caller, wait=30)

    assert isinstance(job, models.Job)
    assert job.status == models.JobStatus.COMPLETED
    assert isinstance(job.result, models.Result)
    assert job.result.to_dict() == {"text": "Read https://example.com/story", "pages": 3}
    assert job.error is None
    assert job.flow_id == called.flow_id


def test_the_generated_client_waits_for_the_result_in_one_call(called: Called, client: ModuleType):
    models, run = part("models"), part("api.flows.run_read_a_story")

    with client.AuthenticatedClient(base_url=called.server.url, token=called.key) as caller:
        job = run.sync(client=caller, body=models.Payload.from_dict({**PAYLOAD, "max_pages": 7}), wait=30)

    assert isinstance(job, models.Job)
    assert job.result.to_dict()["pages"] == 7


def test_the_generated_client_runs_a_batch_and_follows_a_job(called: Called, client: ModuleType):
    models = part("models")
    run_batch, get_batch = part("api.flows.run_read_a_story_batch"), part("api.jobs.get_batch")
    get_job, events = part("api.jobs.get_job"), part("api.jobs.stream_job_events")
    items = {"items": [PAYLOAD, {"url": "https://example.com/two"}]}

    with client.AuthenticatedClient(base_url=called.server.url, token=called.key) as caller:
        accepted = run_batch.sync(client=caller, body=models.BatchPayload.from_dict(items))
        jobs = [get_job.sync(job_id, client=caller, wait=30) for job_id in accepted.job_ids]
        batch = get_batch.sync(accepted.batch_id, client=caller)
        followed = events.sync_detailed(accepted.job_ids[0], client=caller)

    assert [job.status for job in jobs] == [models.JobStatus.COMPLETED] * 2
    assert (batch.total, batch.completed) == (2, 2)
    assert b"event: job.completed" in followed.content


def test_the_generated_client_reads_a_refusal(called: Called, client: ModuleType):
    models, run = part("models"), part("api.flows.run_read_a_story")

    with client.AuthenticatedClient(base_url=called.server.url, token=called.key) as caller:
        refused = run.sync(client=caller, body=models.Payload.from_dict({"url": "no address", "max_pages": 99}))
    with client.AuthenticatedClient(base_url=called.server.url, token="fp_live_nobody") as nobody:
        stranger = run.sync(client=nobody, body=models.Payload.from_dict(PAYLOAD))

    assert isinstance(refused, models.ProblemDetails)
    assert {(error.pointer, error.code) for error in refused.errors} == {
        ("/url", "format"),
        ("/max_pages", "maximum"),
    }
    assert isinstance(stranger, models.ProblemDetails)
    assert stranger.code == "unauthorized"


def test_the_document_names_the_flow_it_is_of(called: Called):
    document = called.document(f"/openapi/flows/{called.flow_id}.json")

    assert document["info"]["title"] == FLOW["title"]
    assert next(iter(document["paths"])) == f"/public/v1/flows/execute/{called.flow_id}"
