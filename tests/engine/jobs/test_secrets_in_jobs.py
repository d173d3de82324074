"""Secrets that a service gives back: nothing that is stored of a job holds them."""

from __future__ import annotations

import json

import pytest

from engine.actions.secrets import add_secret
from engine.flow.document import Document
from engine.jobs.questions import answer
from storage.jobs import read_value
from tests.engine.jobs.test_agents import Kitchen
from tests.engine.jobs.test_questions import open_question
from tests.engine.jobs.world import World
from tests.stand_ins.local_server import LocalServer, Reply, Seen
from tests.stand_ins.openai_server import OpenAIServer

pytestmark = pytest.mark.process

ACCOUNT = "20481024"


class _Bank(LocalServer):
    def reply(self, seen: Seen) -> Reply:
        number = seen.headers["x-account"]
        body = f'{{"account": {number}, "longer": 1{number}.5, "text": "no. {number}", "n": 7}}'
        return Reply(200, body.encode(), {"content-type": "application/json"})


async def test_a_number_that_is_a_secret_is_hidden_and_the_job_goes_on_after_a_question(world: World) -> None:
    with OpenAIServer(key="sk-1") as model, _Bank() as bank:
        kitchen = Kitchen(world, model)
        secret = world.write(add_secret, kitchen.owner, kitchen.vault, "Account", ACCOUNT, f"127.0.0.1:{bank.port}")
        config = {"method": "GET", "secret_headers": {"X-Account": secret}}
        job_id = world.submit(world.add_flow(_asking(f"http://127.0.0.1:{bank.port}/", config)), {}).job_id
        await kitchen.carry(job_id)
        world.write(answer, open_question(world, job_id), "approved", {}, "", "Ada")
        await kitchen.carry(job_id)
        await kitchen.outbound.aclose()
    job = world.job(job_id)
    assert job.status == "completed", job.error
    hidden = {"account": "••••", "longer": "••••", "text": "no. ••••", "n": 7}
    assert world.result(job_id) == {"all": hidden}
    for name in ("input", "output"):
        for node in ("get", "out"):
            stored = world.read(read_value, job_id, name, node)
            assert stored is not None and ACCOUNT not in json.dumps(stored)


def _asking(url: str, config: dict[str, object]) -> Document:
    return Document.model_validate(
        {
            "format": 1,
            "nodes": [
                {"id": "in", "type": "api_input", "config": {"fields": []}},
                {"id": "get", "type": "http_request", "inputs": {"url": url}, "config": config},
                {"id": "ask", "type": "test_ask", "inputs": {"title": "Ok?", "values": {"a": 1}}},
                {"id": "out", "type": "api_output", "config": {}, "inputs": {"all": "{{ get.out.json }}"}},
            ],
            "edges": [
                {"id": f"e{number}", "source": source, "target": target}
                for number, (source, target) in enumerate([("in", "get"), ("get", "ask"), ("ask", "out")])
            ],
        }
    )
