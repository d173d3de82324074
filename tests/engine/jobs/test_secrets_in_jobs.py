"""Secrets that a service gives back: nothing that is stored of a job holds them."""

from __future__ import annotations

import itertools
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


class _Shop(LocalServer):
    """Lists what is to be paid, with the number of the account, and notes the keys of the payments."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: list[str | None] = []

    def reply(self, seen: Seen) -> Reply:
        if seen.path == "/pay":
            self.keys.append(seen.headers.get("idempotency-key"))
            return Reply(200, b"{}", {"content-type": "application/json"})
        account = seen.headers["x-account"]
        items = [{"n": 1, "next": f"/\u00e4?key={account}"}, {"n": 2, "account": int(account)}]
        return Reply(200, json.dumps(items).encode(), {"content-type": "application/json"})


async def test_the_items_of_a_list_with_a_secret_do_not_run_again_after_a_question(world: World) -> None:
    with OpenAIServer(key="sk-1") as model, _Shop() as shop:
        kitchen = Kitchen(world, model)
        secret = world.write(add_secret, kitchen.owner, kitchen.vault, "Account", ACCOUNT, f"127.0.0.1:{shop.port}")
        url = f"http://127.0.0.1:{shop.port}"
        document = _chain_of(
            ("get", "http_request", {"url": f"{url}/list"}, {"method": "GET", "secret_headers": {"X-Account": secret}}),
            ("each", "array_splitter", {"items": "{{ get.out.json }}"}, {}),
            ("pay", "http_request", {"url": f"{url}/pay", "body": "{{ each.out.n }}"}, {"method": "POST"}),
            ("list", "array_flatten", {"value": "{{ pay.out.status }}"}, {}),
            ("ask", "test_ask", {"title": "Ok?", "values": {"a": 1}}, {}),
            ("out", "api_output", {"all": "{{ list.out.items }}"}, {}),
        )
        job_id = world.submit(world.add_flow(document), {}).job_id
        await kitchen.carry(job_id)
        world.write(answer, open_question(world, job_id), "approved", {}, "", "Ada")
        await kitchen.carry(job_id)
        await kitchen.outbound.aclose()
    assert world.result(job_id) == {"all": [200, 200]}
    assert sorted(map(str, shop.keys)) == [f"{job_id}:pay:0", f"{job_id}:pay:1"]


def _asking(url: str, config: dict[str, object]) -> Document:
    return _chain_of(
        ("get", "http_request", {"url": url}, config),
        ("ask", "test_ask", {"title": "Ok?", "values": {"a": 1}}, {}),
        ("out", "api_output", {"all": "{{ get.out.json }}"}, {}),
    )


def _chain_of(*nodes: tuple[str, str, dict[str, object], dict[str, object]]) -> Document:
    """Returns a flow of these nodes, one after the other: id, type, inputs, config."""
    ids = ["in", *(node[0] for node in nodes)]
    return Document.model_validate(
        {
            "format": 1,
            "nodes": [
                {"id": "in", "type": "api_input", "config": {"fields": []}},
                *(
                    {"id": id_, "type": type_, "inputs": inputs, "config": config}
                    for id_, type_, inputs, config in nodes
                ),
            ],
            "edges": [
                {"id": f"e{number}", "source": source, "target": target}
                for number, (source, target) in enumerate(itertools.pairwise(ids))
            ],
        }
    )
