"""Secrets that a service gives back: nothing that is stored of a job holds them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NoReturn

import pytest

from engine.actions.connections import add_connection
from engine.actions.secrets import add_secret, remove_secret
from engine.actions.tool_servers import add_tool_server
from engine.core.errors import SecretUnreadable
from engine.flow.document import Document
from engine.flow.named_secrets import secrets_in
from engine.jobs.questions import answer
from storage.jobs import read_value
from tests.engine.jobs.kitchen import Kitchen
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


class _Gateway(LocalServer):
    """Refuses a request with the key that came with it, after so many other characters."""

    def __init__(self, before: int) -> None:
        super().__init__()
        self.before = before

    def reply(self, seen: Seen) -> Reply:
        return Reply(403, f"{'It is no key. ' * 20}"[-self.before :].encode() + seen.headers["x-key"].encode())


@pytest.mark.parametrize(
    "token", ["tok_7Hq2mZx9Lw4Rb8Nc1Vf6Yj3Kd5Pg0Ts2Ua4", "correct horse battery staple", "k" * 400]
)
@pytest.mark.parametrize("before", [160, 180, 190])
async def test_no_part_of_a_secret_is_in_an_error_of_which_the_words_were_cut(
    world: World, token: str, before: int
) -> None:
    with OpenAIServer(key="sk-1") as model, _Gateway(before) as gateway:
        kitchen = Kitchen(world, model)
        host = f"127.0.0.1:{gateway.port}"
        secret = world.write(add_secret, kitchen.owner, kitchen.vault, "Key", token, host)
        config: dict[str, object] = {"method": "GET", "secret_headers": {"X-Key": secret}}
        job_id = world.submit(
            world.add_flow(_chain_of(("get", "http_request", {"url": f"http://{host}"}, config)))
        ).job_id
        await kitchen.carry(job_id)
        await kitchen.outbound.aclose()
    error = world.job(job_id).error
    assert error is not None
    assert error["why"].startswith("It said: ")
    assert token[:6] not in str(error)


@pytest.mark.parametrize(
    "sent", ["tok_7Hq2m", '{"a": tok_7Hq2mZx9Lw4Rb8Nc1Vf', '["tok_7Hq2mZx9", "tok_7Hq2mXx9"', "tok_7Hq2mZx9Lw4…"]
)
async def test_an_error_does_not_tell_whether_a_secret_begins_like_a_guess(world: World, sent: str) -> None:
    with OpenAIServer(key="sk-1") as model:
        kitchen = Kitchen(world, model)
        token = "tok_7Hq2mZx9Lw4Rb8Nc1Vf6Yj3Kd5Pg0Ts2Ua4"
        secret = world.write(add_secret, kitchen.owner, kitchen.vault, "Key", token, "example.com")
        config: dict[str, object] = {"secret_headers": {"X-Key": secret}}
        document = _chain_of(
            ("read", "parse_json", {"text": "{{ in.out.rows[0] }}"}, {}),
            ("get", "http_request", {"url": "https://example.com"}, config),
        )
        flow_id = world.add_flow(document)
        errors = []
        for text in (sent, sent.replace("tok_7H", "tok_7X")):
            job_id = world.submit(flow_id, {"rows": [text]}).job_id
            await kitchen.carry(job_id)
            errors.append(world.job(job_id).error)
        await kitchen.outbound.aclose()
    assert str(errors[0]).replace("tok_7H", "tok_7X") == str(errors[1])
    assert "tok_7" in str(errors[0])


class _Shop(LocalServer):
    """Lists what is to be paid, with the number of the account, and notes the keys of the payments."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: list[str | None] = []

    def reply(self, seen: Seen) -> Reply:
        if seen.path == "/pay":
            self.keys.append(seen.headers.get("idempotency-key"))
            return Reply(200, b"{}", {"content-type": "application/json"})
        if seen.path == "/rows":
            rows = [{"n": 1, "customer": ACCOUNT}, {"n": 2}]
            return Reply(200, json.dumps(rows).encode(), {"content-type": "application/json"})
        if seen.path == "/look":
            return Reply(200, b"{}", {"content-type": "application/json"})
        account = seen.headers["x-account"]
        items = [{"n": 1, "next": f"/\u00e4?key={account}"}, {"n": 2, "account": int(account)}]
        return Reply(200, json.dumps(items).encode(), {"content-type": "application/json"})


@pytest.mark.parametrize("token", [ACCOUNT, 'Zurich "1" \\ 2'])
async def test_a_caller_who_sends_guesses_does_not_learn_which_one_is_right(world: World, token: str) -> None:
    with OpenAIServer(key="sk-1") as model, _Shop() as shop:
        kitchen = Kitchen(world, model)
        host = f"127.0.0.1:{shop.port}"
        secret = world.write(add_secret, kitchen.owner, kitchen.vault, "Pin", token, host)
        config: dict[str, object] = {"method": "GET", "secret_headers": {"X-Pin": secret}}
        document = _chain_of(
            ("get", "http_request", {"url": f"http://{host}/look"}, config),
            ("text", "text_template", {"template": "{{ in.out.rows }}"}, {}),
            ("out", "api_output", {"all": "{{ in.out.rows }}", "text": "{{ text.out }}"}, {}),
        )
        guesses = ["20481023", token, json.dumps([token, "20481025"])]
        job_id = world.submit(world.add_flow(document), {"rows": guesses}).job_id
        await kitchen.carry(job_id)
        await kitchen.outbound.aclose()
    result = world.result(job_id)
    assert result["all"] == guesses
    assert "••••" not in str(result)
    assert world.read(read_value, job_id, "output", "in") == {"rows": guesses}


@pytest.mark.parametrize("where", ["in the list", "after the list", "in an item", "in a called flow"])
async def test_the_items_of_a_list_with_a_secret_do_not_run_again_after_a_question(world: World, where: str) -> None:
    with OpenAIServer(key="sk-1") as model, _Shop() as shop:
        kitchen = Kitchen(world, model)
        secret = world.write(add_secret, kitchen.owner, kitchen.vault, "Account", ACCOUNT, f"127.0.0.1:{shop.port}")
        url = f"http://127.0.0.1:{shop.port}"
        opens: dict[str, object] = {"method": "GET", "secret_headers": {"X-Account": secret}}
        each = ("each", "array_splitter", {"items": "{{ rows.out.json }}"}, {})
        pay = ("pay", "http_request", {"url": f"{url}/pay", "body": "{{ each.out.n }}"}, {"method": "POST"})
        match where:
            case "in the list":
                get = ("get", "http_request", {"url": f"{url}/list"}, opens)
                before = [get, ("each", "array_splitter", {"items": "{{ get.out.json }}"}, {}), pay]
            case "after the list":
                # the second request has what was before it stored, before the third opens the secret
                look = "http_request", {"url": f"{url}/look"}, {"method": "GET"}
                looks = [("look", *look), ("again", *look)]
                before = [*looks, ("get", "http_request", {"url": f"{url}/list"}, opens), each, pay]
            case "in an item":
                before = [each, (*pay[:3], {**pay[3], "secret_headers": opens["secret_headers"]})]
            case _:
                inside = _chain_of(("get", "http_request", {"url": f"{url}/list"}, opens))
                called = {"flow_id": world.add_flow(inside), "version": 1}
                before = [each, ("call", "call_flow", {}, called), pay]
        document = _chain_of(
            ("rows", "http_request", {"url": f"{url}/rows"}, {"method": "GET"}),
            *before,
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


@pytest.mark.parametrize("change", [remove_secret, None], ids=["deleted", "added"])
async def test_items_do_not_run_again_when_a_secret_is_deleted_or_known_only_later(
    world: World, change: Callable[..., None] | None
) -> None:
    with OpenAIServer(key="sk-1") as model, _Shop() as shop:
        kitchen = Kitchen(world, model)
        host = f"127.0.0.1:{shop.port}"
        secret = world.write(add_secret, kitchen.owner, kitchen.vault, "Account", ACCOUNT, host)
        pay: dict[str, object] = {"url": f"http://{host}/pay", "body": "{{ each.out.n }}"}
        document = _chain_of(
            ("rows", "http_request", {"url": f"http://{host}/rows"}, {"method": "GET"}),
            ("each", "array_splitter", {"items": "{{ rows.out.json }}"}, {}),
            ("pay", "http_request", pay, {"method": "POST"}),
            ("list", "array_flatten", {"value": "{{ pay.out.status }}"}, {}),
            ("ask", "test_ask", {"title": "Ok?", "values": {"a": 1}}, {}),
            ("login", "http_request", {"url": f"http://{host}/look"}, {"secret_headers": {"X-Account": secret}}),
            ("out", "api_output", {"all": "{{ list.out.items }}"}, {}),
        )
        job_id = world.submit(world.add_flow(document), {}).job_id
        if change is None:  # a secret that cannot be read for a moment: the steps before its own run
            runs = world.runs()
            runs.services_for = replace(kitchen.outside(), open_secret=_refused).services_for
            await runs.carry(job_id)
        else:
            await kitchen.carry(job_id)
            world.write(change, kitchen.owner, secret)
        world.write(answer, open_question(world, job_id), "approved", {}, "", "Ada")
        await kitchen.carry(job_id)
        await kitchen.outbound.aclose()
    error = world.job(job_id).error
    assert (error["node_id"] if error else None) == (None if change is None else "login")
    assert sorted(map(str, shop.keys)) == [f"{job_id}:pay:0", f"{job_id}:pay:1"]


def _refused(*_: object) -> NoReturn:
    raise SecretUnreadable


async def test_a_person_is_asked_once_about_a_value_that_is_a_secret(world: World) -> None:
    with OpenAIServer(key="sk-1") as model, _Shop() as shop:
        kitchen = Kitchen(world, model)
        secret = world.write(add_secret, kitchen.owner, kitchen.vault, "Account", ACCOUNT, f"127.0.0.1:{shop.port}")
        url = f"http://127.0.0.1:{shop.port}"
        document = _chain_of(
            ("rows", "http_request", {"url": f"{url}/rows"}, {"method": "GET"}),
            ("look", "http_request", {"url": f"{url}/look"}, {"method": "GET"}),
            ("again", "http_request", {"url": f"{url}/look"}, {"method": "GET"}),
            ("ask", "test_ask", {"title": "Ok?", "values": {"rows": "{{ rows.out.json }}"}}, {}),
            ("get", "http_request", {"url": f"{url}/list"}, {"secret_headers": {"X-Account": secret}}),
            ("second", "test_ask", {"title": "Ok?", "values": {"rows": "{{ rows.out.json }}"}}, {}),
            ("out", "api_output", {"all": "{{ get.out.status }}"}, {}),
        )
        job_id = world.submit(world.add_flow(document), {}).job_id
        for _ in range(2):
            await kitchen.carry(job_id)
            world.write(answer, open_question(world, job_id), "approved", {}, "", "Ada")
        await kitchen.carry(job_id)
        await kitchen.outbound.aclose()
    assert world.result(job_id) == {"all": 200}
    assert world.job(job_id).questions == 2


async def test_all_secrets_that_a_flow_names_are_known_before_its_first_step(world: World) -> None:
    with OpenAIServer(key="sk-1") as model:
        kitchen = Kitchen(world, model)
        add = partial(world.write, add_secret, kitchen.owner, kitchen.vault)
        own, inner, of_tool = (add(name, f"value {name}", "example.com") for name in ("own", "inner", "tool"))
        server = {"url": "https://example.com/mcp", "header": "Authorization", "key": "value mcp"}
        world.write(add_tool_server, kitchen.owner, kitchen.vault, "shop", **server)
        connection = {"base_url": model.url, "key": "value key"}
        world.write(add_connection, kitchen.owner, kitchen.vault, "dear", "openai_compatible", **connection)
        innermost = world.add_flow(
            _chain_of(("get", "http_request", {"url": "https://example.com"}, {"secret_headers": {"X": inner}}))
        )
        middle = world.add_flow(_chain_of(("call", "call_flow", {}, {"flow_id": innermost, "version": 1})))
        tools = [
            {"kind": "http", "name": "look", "address": "https://example.com", "secret_headers": {"X": of_tool}},
            {"kind": "mcp", "server": "shop"},
            {"kind": "mcp", "server": "no such server"},
            {"kind": "flow", "flow_id": middle, "version": 1},
            {"kind": "flow", "flow_id": "flow_gone", "version": 1},
        ]
        document = _chain_of(
            ("get", "http_request", {}, {"secret_headers": {"X": own, "Y": "secret_gone"}}),
            ("agent", "agent", {"message": "Hi"}, {"model": "dear:m", "tools": tools}),
            ("prompt", "prompt", {"prompt": "Hi"}, {"model": "gone:m"}),
        )
        found = world.read(kitchen.outside().values_of, world.workspace_id, secrets_in(document))
        await kitchen.outbound.aclose()
    assert found == {"value own", "value inner", "value tool", "value mcp", "value key"}
    assert not secrets_in(_chain_of(("prompt", "prompt", {"prompt": "Hi"}, {"model": "simulated"})))


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
                {"id": "in", "type": "api_input", "config": {"fields": [{"name": "rows", "type": "array"}]}},
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
