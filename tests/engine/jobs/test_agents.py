"""Agents as jobs, against a scripted model server: calls of tools, limits, and what is told to the model."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from engine.actions.connections import add_connection, set_price
from engine.actions.datasets import add_dataset, import_rows
from engine.actions.principal import Principal
from engine.actions.tool_servers import add_tool_server, allow_tools, remember_tools
from engine.core.ids import WorkspaceId
from engine.core.roles import Role
from engine.flow.document import Document
from engine.flow.node_context import ServerTool
from engine.jobs.at_work import AtWork
from engine.jobs.questions import answer
from engine.jobs.worker.plan_loader import PlanLoader
from engine.jobs.worker.step_services import Outside
from engine.jobs.worker.threads import Threads
from engine.models.client import Models
from engine.models.saved_connections import open_connection
from engine.nodes.agent_tool_settings import AgentTool
from engine.nodes.agent_tools import _with_defaults
from engine.outbound.client import OutboundClient, OutboundRules, parse_allow_list
from engine.secrets.opening import open_for_step
from engine.secrets.sealing import open_vault
from engine.tool_servers.saved_servers import open_tool_server
from engine.tool_servers.session import ServerAddress, ServerSession
from storage.dataset_changes import checked_rows
from storage.datasets import list_sized_rows
from storage.events import list_events
from storage.jobs import JobRow
from storage.steps import PartRow, list_parts, list_steps
from storage.value_sizes import VALUE_CAP
from tests.engine.jobs.supervised import ended, supervised, until_running
from tests.engine.jobs.test_questions import open_question
from tests.engine.jobs.world import TEST_CATALOG, World, document_of
from tests.stand_ins.local_server import LocalServer, Reply, Seen
from tests.stand_ins.mcp_server import free_port, mcp_server
from tests.stand_ins.openai_server import OpenAIServer, Said

WORD = [{"name": "word", "type": "string", "required": True}]
SHOUT = document_of(("loud", "text_template", {"template": "{{ api_input.out.word | upper }}!"}), fields=WORD)
BROKEN = document_of(("bad", "test_fail", {}), fields=WORD)
PRICES = "https://practice.flowport.example/prices.json"


@dataclass
class Kitchen:
    """A world with an agent, its model and its tools."""

    world: World
    model: OpenAIServer
    allow: str = "127.0.0.1"
    outbound: OutboundClient = field(init=False)

    def __post_init__(self) -> None:
        self.owner = Principal(WorkspaceId(self.world.workspace_id), "ada@example.com", "Ada", Role.OWNER)
        self.vault = open_vault(self.world.data)
        self.world.write(
            add_connection, self.owner, self.vault, "box", "openai_compatible", base_url=self.model.url, key="sk-1"
        )
        self.outbound = OutboundClient(OutboundRules(parse_allow_list(self.allow)))

    def agent(self, *tools: dict[str, Any], **settings: Any) -> str:
        """Adds a flow with an agent, and returns its id."""
        config = {"model": "box:m", "max_cost_usd": None, "tools": list(tools), **settings}
        return self.world.add_flow(agent_document(config))

    def shout(self, name: str = "shout", document: Document = SHOUT, **settings: Any) -> dict[str, Any]:
        """Returns a flow as a tool."""
        return {"kind": "flow", "flow_id": self.world.add_flow(document), "version": 1, "name": name, **settings}

    async def run(self, flow_id: str) -> JobRow:
        """Runs the flow as a worker does."""
        job_id = self.world.submit(flow_id, {"question": "How much is it?"}).job_id
        await self.carry(job_id)
        return self.world.job(job_id)

    async def carry(self, job_id: str) -> None:
        runs = self.world.runs()
        runs.services_for = self.outside().services_for
        await runs.carry(job_id)

    def outside(self) -> Outside:
        vault = self.vault
        return Outside(
            database=self.world.database,
            outbound=self.outbound,
            models=Models(self.outbound),
            threads=Threads(AtWork()),
            open_secret=lambda session, workspace_id, secret_id: open_for_step(session, vault, workspace_id, secret_id),
            open_connection=lambda session, workspace_id, name: open_connection(session, vault, workspace_id, name),
            called_plan=PlanLoader(TEST_CATALOG).called_plan,
            open_tool_server=lambda session, workspace_id, name: open_tool_server(session, vault, workspace_id, name),
        )

    def parts(self, job_id: str) -> dict[str, PartRow]:
        return {one.name: one for one in self.world.read(list_parts, self.world.workspace_id, job_id, "agent", "")}

    def told(self, turn: int = -1) -> list[str]:
        """Returns the results that the model was told with its request number `turn`."""
        return [one["content"] for one in self.model.asked[turn]["messages"] if one["role"] == "tool"]


def agent_document(config: dict[str, Any]) -> Document:
    document = document_of(
        ("agent", "agent", {"message": "{{ api_input.out.question }}", "instructions": "Be short."}),
        fields=[{"name": "question", "type": "string", "required": True}],
    )
    return configured(document, agent=config)


def configured(document: Document, **configs: dict[str, Any]) -> Document:
    nodes = tuple(
        node.model_copy(update={"config": configs[node.id]}) if node.id in configs else node for node in document.nodes
    )
    return document.model_copy(update={"nodes": nodes})


@pytest.fixture
def model_server() -> Iterator[OpenAIServer]:
    with OpenAIServer(key="sk-1") as server:
        yield server


@pytest.fixture
async def kitchen(world: World, model_server: OpenAIServer) -> AsyncIterator[Kitchen]:
    kitchen = Kitchen(world, model_server)
    yield kitchen
    await kitchen.outbound.aclose()


async def test_calls_of_one_reply_run_at_the_same_time_and_stand_with_the_step(kitchen: Kitchen) -> None:
    slow = document_of(("wait", "test_sleep", {"seconds": 0.5, "value": "{{ api_input.out.word }}"}), fields=WORD)
    kitchen.model.say(
        Said("Let me look.", calls=(("slow", {"word": "a"}), ("slow", {"word": "b"}), ("shout", {"word": "pen"}))),
        "It is 7.",
    )
    job = await kitchen.run(kitchen.agent(kitchen.shout("slow", slow), kitchen.shout()))
    assert (job.status, kitchen.world.result(job.id)) == ("completed", {"output": "It is 7."}), job.error
    assert kitchen.told() == ['{"output": "a"}', '{"output": "b"}', '{"output": "PEN!"}']
    parts = kitchen.parts(job.id)
    assert list(parts) == ["turn/1", "call/1/0", "call/1/1", "call/1/2", "turn/2"]
    assert all(one.ended_at is not None for one in parts.values())
    assert parts["turn/1"].value["text"] == "Let me look."
    assert (parts["turn/1"].value["input_tokens"], parts["turn/2"].value["output_tokens"]) == (12, 7)
    assert parts["call/1/2"].value["arguments"] == {"word": "pen"}
    assert parts["call/1/2"].value["result"] == {"output": "PEN!"}
    steps = {
        (step.node_id, step.index_path): step
        for step in kitchen.world.read(list_steps, kitchen.world.workspace_id, job.id)
    }
    first, second = steps["agent.slow.wait", "20"], steps["agent.slow.wait", "21"]
    assert max(first.started_at, second.started_at) < min(first.ended_at or 0, second.ended_at or 0)
    assert steps["agent", ""].model_calls == job.model_calls == 2
    names = [event.name for event in kitchen.world.read(list_events, kitchen.world.workspace_id, job.id)]
    assert names.count("step.part") == 10


@pytest.mark.parametrize("called", [False, True], ids=["its own step", "in a called flow"])
async def test_an_agent_answers_for_its_item_when_another_attempt_has_another_list(
    kitchen: Kitchen, tmp_path: Path, called: bool
) -> None:
    kitchen.model.answer_with = lambda body: f"about {body['messages'][-1]['content']}"
    path = tmp_path / "lines"
    path.write_text("old")
    config = {"model": "box:m", "max_cost_usd": None}
    if called:
        inner = document_of(("agent", "agent", {"message": "{{ api_input.out.word }}"}), fields=WORD)
        step = ("answer", "call_flow", {"word": "{{ each.out }}"})
        settings: dict[str, Any] = {
            "answer": {"flow_id": kitchen.world.add_flow(configured(inner, agent=config)), "version": 1}
        }
    else:
        step = ("answer", "agent", {"message": "{{ each.out }}"})
        settings = {"answer": config}
    document = document_of(
        ("read", "test_lines", {"path": str(path)}),
        ("each", "array_splitter", {"items": "{{ read.out.lines }}"}),
        step,
        ("list", "array_flatten", {"value": "{{ answer.out }}"}),
        ("ask", "approval", {"title": "Go on?"}),
        ("end", "set_fields", {"all": "{{ list.out.items }}"}),
    )
    edges = tuple(
        edge.model_copy(update={"source_port": "approved"}) if edge.source == "ask" else edge for edge in document.edges
    )
    document = configured(document, **settings).model_copy(update={"edges": edges})
    job_id = kitchen.world.submit(kitchen.world.add_flow(document), {"n": 1}).job_id
    await kitchen.carry(job_id)
    path.write_text("new old")
    kitchen.world.write(answer, open_question(kitchen.world, job_id), "approved", {}, "", "Ada")
    await kitchen.carry(job_id)
    given = ["about new", "about old"]
    assert kitchen.world.result(job_id) == {
        "output": {"all": [{"output": one} for one in given] if called else given}
    }, kitchen.world.job(job_id).error


async def test_what_goes_wrong_with_a_call_is_told_to_the_model(kitchen: Kitchen) -> None:
    kitchen.model.say(
        Said(
            calls=(
                ("shout", {"wrd": "x"}),
                ("shout", '{"word": '),
                ("nothing", {}),
                ("broken", {"word": "x"}),
                ("shout", {"word": "fine"}),
            )
        ),
        "So be it.",
    )
    job = await kitchen.run(kitchen.agent(kitchen.shout(), kitchen.shout("broken", BROKEN)))
    assert (job.status, kitchen.world.result(job.id)) == ("completed", {"output": "So be it."}), job.error
    assert kitchen.told() == [
        "The arguments do not fit: /word: is missing; /wrd: there is no such parameter; there are: `word`.",
        "The arguments do not fit: they must be one JSON object.",
        "There is no tool called `nothing`. There are: shout, broken.",
        "The tool failed: “A flow” failed at bad: It fails on purpose.",
        '{"output": "FINE!"}',
    ]
    states = [one.value["state"] for name, one in kitchen.parts(job.id).items() if name.startswith("call/")]
    assert states == ["bad_arguments", "bad_arguments", "unknown_tool", "failed", "done"]


async def test_a_tool_that_hangs_is_given_up_and_told(kitchen: Kitchen) -> None:
    never = document_of(("wait", "test_sleep", {"seconds": 3_600}), fields=WORD)
    kitchen.model.say(Said(calls=(("never", {"word": "x"}),)), "I could not find out.")
    job = await kitchen.run(kitchen.agent(kitchen.shout("never", never, timeout_seconds=0.2)))
    assert job.status == "completed", job.error
    assert kitchen.told() == ["The tool did not answer within 0.2 seconds and was given up."]


async def test_at_its_last_step_the_model_must_answer(kitchen: Kitchen) -> None:
    again = Said(calls=(("shout", {"word": "x"}),))
    kitchen.model.say(again, again, "That is all I know.")
    job = await kitchen.run(kitchen.agent(kitchen.shout(), max_steps=3))
    assert kitchen.world.result(job.id) == {"output": "That is all I know."}
    *before, last = kitchen.model.asked
    assert [one.get("tool_choice") for one in before] == ["auto", "auto"]
    assert last["tool_choice"] == "none"
    assert "answer now" in last["messages"][-1]["content"]
    (step,) = [
        one for one in kitchen.world.read(list_steps, kitchen.world.workspace_id, job.id) if one.node_id == "agent"
    ]
    assert "which is its limit" in step.warnings[0]


async def test_the_limit_of_steps_says_how_far_it_came(kitchen: Kitchen) -> None:
    kitchen.model.default = Said(calls=(("shout", {"word": "x"}),))
    job = await kitchen.run(kitchen.agent(kitchen.shout(), max_steps=3))
    assert job.error is not None
    assert job.error["message"] == (
        "The agent reached its limit of 3 steps without an answer, after 3 replies of its model and 2 calls of tools."
    )


async def test_the_limit_of_time_says_how_far_it_came(kitchen: Kitchen) -> None:
    never = document_of(("wait", "test_sleep", {"seconds": 3_600}), fields=WORD)
    kitchen.model.say(Said(calls=(("never", {"word": "x"}),)))
    config = {"model": "box:m", "max_cost_usd": None, "tools": [kitchen.shout("never", never)]}
    document = agent_document(config)
    nodes = [
        {**one, "policy": {"timeout_seconds": 2}} if one["id"] == "agent" else one
        for one in document.model_dump()["nodes"]
    ]
    document = Document.model_validate({**document.model_dump(), "nodes": nodes})
    job = await kitchen.run(kitchen.world.add_flow(document))
    assert job.error is not None
    assert (job.error["code"], job.error["message"]) == (
        "timeout",
        "The agent did not finish within 2 seconds, after 1 reply of its model and 0 calls of tools.",
    )


@pytest.mark.parametrize("known", [True, False], ids=["reached", "price unknown"])
async def test_the_limit_of_money_ends_it_before_the_next_reply(kitchen: Kitchen, known: bool) -> None:
    if known:
        kitchen.world.write(set_price, kitchen.owner, "box", "m", 10**9 * 1_000, 10**9 * 1_000)
    kitchen.world.write(make_remote)
    kitchen.model.default = Said(calls=(("shout", {"word": "x"}),))
    job = await kitchen.run(kitchen.agent(kitchen.shout(), max_cost_usd=0.02))
    assert job.error is not None
    assert job.error["code"] == "budget_exceeded"
    assert len(kitchen.model.asked) == (2 if known else 1)
    reached = (
        "The agent reached its limit of $0.02: it has spent $0.0380, after 2 replies of its model and 2 calls of tools."
    )
    assert job.error["message"] == reached if known else "is not known" in job.error["message"]


@pytest.mark.parametrize(
    ("then", "settings", "state"),
    [
        (("bad", "test_fail", {}), {}, "failed"),
        (("slow", "test_sleep", {"seconds": 3_600}), {"timeout_seconds": 2}, "failed"),
        (("ask", "test_ask", {"title": "Ok?"}), {}, "done"),
        (("ask", "test_ask", {"title": "Ok?"}), {"ask_first": True}, "done"),
    ],
    ids=["fails", "takes too long", "asks a person", "is approved and asks a person"],
)
async def test_what_a_flow_paid_counts_towards_the_limit_of_money_when_it(
    kitchen: Kitchen, then: Any, settings: dict[str, Any], state: str
) -> None:
    kitchen.world.write(set_price, kitchen.owner, "box", "m", 10**9 * 1_000, 10**9 * 1_000)
    kitchen.world.write(make_remote)
    prompt = {"model": "box:m"}
    paid = document_of(("paid", "prompt", {"prompt": "{{ api_input.out.word }}"}), then, fields=WORD)
    nodes = tuple(node.model_copy(update={"config": prompt}) if node.id == "paid" else node for node in paid.nodes)
    kitchen.model.say(Said(calls=(("paid", {"word": "x"}),)), "Paid.", "Not asked for.")
    flow = kitchen.shout("paid", paid.model_copy(update={"nodes": nodes}), **settings)
    job = await kitchen.run(kitchen.agent(flow, max_cost_usd=0.03))
    while job.waits_for_person:
        kitchen.world.write(answer, open_question(kitchen.world, job.id), "approved", {}, "", "Ada")
        await kitchen.carry(job.id)
        job = kitchen.world.job(job.id)
    assert job.error is not None
    assert job.error["code"] == "budget_exceeded", job.error
    call = kitchen.parts(job.id)["call/1/0"].value
    assert (call["state"], call["cost_nanos"]) == (state, 19_000_000)
    steps = {step.node_id: step for step in kitchen.world.read(list_steps, kitchen.world.workspace_id, job.id)}
    assert (steps["agent"].cost_nanos, steps["agent"].model_calls) == (job.cost_nanos, job.model_calls)


def make_remote(session: Any) -> None:
    """Makes the connection one whose calls cost money."""
    session.execute(text("update connections set local = false"))


async def test_halves_of_characters_are_replaced_for_models_and_tools(kitchen: Kitchen) -> None:
    """JSON can name one: a model does in what it says and fills in, and a service in what it answers."""

    class Titles(LocalServer):
        def reply(self, seen: Seen) -> Reply:
            return Reply(200, b'{"title": "cut \\ud83d"}', {"content-type": "application/json"})

    with Titles() as titles:
        address = f"http://127.0.0.1:{titles.port}/{{word}}"
        tool = {
            "kind": "http",
            "address": address,
            "method": "POST",
            "parameters": [{"name": "word"}, {"name": "more"}],
        }
        half = '{"word": "a\\ud83d", "more": "b\\ud83d"}'
        kitchen.model.say(
            Said("Look \ud83d", calls=(("shout", '{"word": "a\\ud83d"}'), ("get", half))),
            "Done.",
        )
        job = await kitchen.run(kitchen.agent(kitchen.shout(), {**tool, "name": "get"}))
        (seen,) = titles.requests
    assert (job.status, kitchen.world.result(job.id)) == ("completed", {"output": "Done."}), job.error
    assert kitchen.told() == ['{"output": "A�!"}', '{"status": 200, "json": {"title": "cut �"}}']
    assert (seen.path, json.loads(seen.body)) == ("/a%EF%BF%BD", {"more": "b�"})


async def test_an_answer_that_was_cut_off_says_so(kitchen: Kitchen) -> None:
    kitchen.model.say(Said("The orders: 1, 2 and", finish_reason="length"), Said("", finish_reason="length"))
    flow_id = kitchen.agent()
    job = await kitchen.run(flow_id)
    (step,) = [one for one in kitchen.world.read(list_steps, kitchen.world.workspace_id, job.id) if one.warnings]
    assert kitchen.world.result(job.id) == {"output": "The orders: 1, 2 and"}
    assert step.warnings == (
        "The answer is not complete: it reached its longest length. Ask for a shorter answer, or choose another model.",
    )
    empty = (await kitchen.run(flow_id)).error
    assert empty is not None
    assert empty["remedy"] == "Ask for a shorter answer, or choose another model."


async def test_output_fields_are_checked_and_asked_for_again(kitchen: Kitchen) -> None:
    fields = [{"name": "price", "type": "number", "required": True}]
    kitchen.model.say(Said('{"price":', finish_reason="length"), '{"price": 7}')
    job = await kitchen.run(kitchen.agent(output_fields=fields))
    assert not any(one.warnings for one in kitchen.world.read(list_steps, kitchen.world.workspace_id, job.id))
    assert kitchen.world.result(job.id) == {"output": {"price": 7}}
    assert "does not fit" in kitchen.model.asked[1]["messages"][-1]["content"]


async def test_rows_are_looked_up_and_added_once(kitchen: Kitchen) -> None:
    dataset = kitchen.world.write(add_dataset, kitchen.owner, "Stock")
    rows = [{"item": "Pen", "price": 1.5}, {"item": "Lamp", "price": 20}, {"item": "Pencil", "price": 0.5}]
    kitchen.world.write(import_rows, kitchen.owner, dataset, checked_rows(rows, {}))
    kitchen.model.say(
        Said(
            calls=(
                ("look_up_stock", {"text": "PENS"}),
                ("look_up_stock", {"where": [{"column": "price", "operator": "greater", "value": 1}], "limit": 1}),
                ("look_up_stock", {"where": [{"column": "colour", "operator": "equals"}]}),
                ("look_up_stock", {"where": [{"column": "item", "operator": "contains", "value": "Lamps"}]}),
            )
        ),
        Said(calls=(("look_up_stock_add", {"item": "Chair", "price": 40}),)),
        "Done.",
    )
    job = await kitchen.run(kitchen.agent({"kind": "dataset", "dataset": "Stock", "may_add": True}))
    assert job.status == "completed", job.error
    told = kitchen.told()
    assert [row["item"] for row in json.loads(told[0])["rows"]] == ["Pen", "Pencil"]
    assert json.loads(told[1]) == {"rows": [rows[0]], "matching_rows": 2, "rows_looked_at": 3}
    assert told[2] == "The arguments do not fit: /where/0/column: must be one of item, price."
    offered = kitchen.model.asked[0]["tools"][0]["function"]["description"]
    assert offered == "Looks up rows in “Stock”.\nColumns: item, price.", (
        "without words of its own it follows the table"
    )
    assert json.loads(told[3])["rows"] == [rows[1]]
    kept = kitchen.world.read(list_sized_rows, kitchen.world.workspace_id, dataset)
    assert [row.data["item"] for row in kept] == ["Pen", "Lamp", "Pencil", "Chair"]


async def test_a_web_service_gets_what_the_model_fills_in_and_nothing_else(kitchen: Kitchen) -> None:
    tool = {
        "kind": "http",
        "name": "read_page",
        "address": "https://practice.flowport.example/{page}",
        "parameters": [{"name": "page", "type": "string", "description": "The page"}],
    }
    kitchen.model.say(
        Said(
            calls=(
                ("read_page", {"page": "prices.json"}),
                ("read_page", {"page": ".."}),
                ("read_page", {"page": "a/b"}),
            )
        ),
        "Done.",
    )
    job = await kitchen.run(kitchen.agent(tool))
    assert job.status == "completed", job.error
    prices, up, deep = kitchen.told()
    assert json.loads(prices)["status"] == 200
    assert up == "The tool failed: The value `..` cannot stand in the address as `page`."
    assert "a%2Fb` answered 404" in deep


class _Service(LocalServer):
    """A web service that answers, and sends `/on` on to another host."""

    def reply(self, seen: Seen) -> Reply:
        if seen.path == "/on":
            return Reply(302, headers={"location": f"http://other.example:{self.port}/"})
        return Reply.of_json({"host": seen.headers["host"].partition(":")[0]})


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("http://müller.example:{port}/", "xn--mller-kva.example"),
        ("http://api.example.:{port}/", "api.example"),
        ("http://API.example:{port}/", "api.example"),
    ],
)
async def test_a_host_may_be_written_in_another_way_than_it_is_sent(kitchen: Kitchen, address: str, host: str) -> None:
    await kitchen.outbound.aclose()
    kitchen.outbound = OutboundClient(OutboundRules(parse_allow_list("127.0.0.1")), _this_machine)
    with _Service() as service:
        tool = {"kind": "http", "name": "ask", "address": address.replace("{port}", str(service.port))}
        kitchen.model.say(Said(calls=(("ask", {}),)), "Done.")
        await kitchen.run(kitchen.agent(tool))
    assert json.loads(kitchen.told()[0]) == {"status": 200, "json": {"host": host}}


async def test_a_web_service_that_sends_on_to_another_host_is_not_followed(kitchen: Kitchen) -> None:
    await kitchen.outbound.aclose()
    kitchen.outbound = OutboundClient(OutboundRules(parse_allow_list("127.0.0.1")), _this_machine)
    with _Service() as service:
        tool = {"kind": "http", "name": "ask", "address": f"http://api.example.:{service.port}/on"}
        kitchen.model.say(Said(calls=(("ask", {}),)), "Done.")
        await kitchen.run(kitchen.agent(tool))
    assert kitchen.told() == ["The tool failed: The service sent the request on to another host, other.example."]


async def _this_machine(_host: str, _port: int) -> list[str]:
    return ["127.0.0.1"]


def test_what_a_model_leaves_out_is_sent_with_its_default() -> None:
    inner = {"name": "size", "type": "integer", "default": 5}
    fields = [
        {"name": "query", "type": "string"},
        {"name": "page", "type": "integer", "default": 1},
        {"name": "sort", "type": "object", "fields": [inner]},
        {"name": "parts", "type": "array", "items": {"type": "object", "fields": [inner]}},
    ]
    tool = AgentTool(kind="http", address="https://a.example/", parameters=fields)  # type: ignore[arg-type]
    dumped = tool.model_dump()["parameters"]
    assert _with_defaults(dumped, {"query": "tea", "sort": {}, "parts": [{}, {"size": 2}]}) == {
        "query": "tea",
        "page": 1,
        "sort": {"size": 5},
        "parts": [{"size": 5}, {"size": 2}],
    }
    assert _with_defaults(dumped, {"page": None}) == {"page": 1}


async def test_an_address_inside_the_network_is_refused(kitchen: Kitchen) -> None:
    kitchen.outbound.replace_rules(OutboundRules())
    tool = {"kind": "http", "name": "inside", "address": "http://127.0.0.1:8080/x"}
    kitchen.model.say(Said(calls=(("inside", {}),)), "I may not.")
    job = await kitchen.run(kitchen.agent(tool))
    assert job.status == "completed", job.error
    assert kitchen.told()[0].startswith("The tool failed: `http://127.0.0.1:8080/x` is not opened")


async def test_tools_of_an_mcp_server(kitchen: Kitchen) -> None:
    with mcp_server(free_port(), "k-12345") as url:
        await add_shop(kitchen, url, "k-12345", "stock", "fail", "slow", "called")
        await add_shop(kitchen, url, "k-12345", "hang", name="stall")
        kitchen.model.say(
            Said(
                calls=(
                    ("shop_slow", {"seconds": 0.2}),
                    ("shop_stock", {"item": "pen"}),
                    ("shop_fail", {}),
                    ("shop_stock", {"item": 5}),
                    ("shop_note", {"text": "x"}),
                )
            ),
            Said(calls=(("stall_hang", {}),)),
            Said(calls=(("stall_hang", {}),)),
            Said(calls=(("shop_called", {}),)),
            "Done.",
        )
        stall = {"kind": "mcp", "server": "stall", "timeout_seconds": 1}
        job = await kitchen.run(kitchen.agent({"kind": "mcp", "server": "shop", "timeout_seconds": 60}, stall))
        assert job.status == "completed", job.error
        slow, stock, failed, wrong, closed, hung, hung_again, called = kitchen.told()
        assert (json.loads(slow), json.loads(stock)) == ({"result": "done"}, {"result": "pen: 7 left"})
        assert "Error executing tool fail" in failed
        assert wrong == "The arguments do not fit: /item: must be text."
        assert closed.startswith("There is no tool called `shop_note`")
        assert hung == hung_again == "The tool failed: “stall” did not answer within 1 seconds.", (
            "a session of its own each"
        )
        assert json.loads(called) == {"result": "slow begins, slow ends, stock pen"}, "one call at a time"


async def add_shop(kitchen: Kitchen, url: str, key: str, *allowed: str, name: str = "shop") -> None:
    """Adds the MCP server with the tools that it lists."""
    server_id = kitchen.world.write(add_tool_server, kitchen.owner, kitchen.vault, name, url, key=key)
    session = ServerSession(kitchen.outbound, ServerAddress(name, url, key=key))
    tools: list[ServerTool] = await session.list_tools()
    await session.close()
    kitchen.world.write(remember_tools, kitchen.owner, server_id, tools)
    kitchen.world.write(allow_tools, kitchen.owner, server_id, allowed)


async def test_a_refused_or_dead_mcp_server_is_told_to_the_model(kitchen: Kitchen) -> None:
    dead, inside = free_port(), free_port()
    kitchen.outbound.replace_rules(OutboundRules(parse_allow_list(f"127.0.0.1:{dead},127.0.0.1:{kitchen.model.port}")))
    tool = ServerTool("stock", "Stock.", {"type": "object"})
    for name, port in {"dead": dead, "inside": inside}.items():
        url = f"http://127.0.0.1:{port}/mcp"
        server_id = kitchen.world.write(add_tool_server, kitchen.owner, kitchen.vault, name, url)
        kitchen.world.write(remember_tools, kitchen.owner, server_id, [tool])
        kitchen.world.write(allow_tools, kitchen.owner, server_id, ["stock"])
    kitchen.model.say(Said(calls=(("dead_stock", {}), ("inside_stock", {}))), "No.")
    job = await kitchen.run(kitchen.agent({"kind": "mcp", "server": "dead"}, {"kind": "mcp", "server": "inside"}))
    assert job.status == "completed", job.error
    gone, refused = kitchen.told()
    assert gone.startswith("The tool failed: “dead” could not be reached.")
    assert f"127.0.0.1:{inside}" in refused
    assert "is not opened" in refused


@pytest.mark.parametrize("provider", ["openai_compatible", "anthropic", "google"])
@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"key": {"type": "string"}, "value": True}},
        {"type": "object", "properties": None},
        {"type": "object", "properties": {"a": {"type": "string", "enum": None}}, "required": None},
        {"type": "object", "properties": {"a": {"type": "string", "required": True}}},
    ],
)
async def test_a_tool_with_an_odd_schema_ends_no_agent(kitchen: Kitchen, provider: str, schema: dict[str, Any]) -> None:
    origin = kitchen.model.origin
    kitchen.world.write(add_connection, kitchen.owner, kitchen.vault, "other", provider, base_url=origin, key="sk-1")
    server_id = kitchen.world.write(add_tool_server, kitchen.owner, kitchen.vault, "kv", f"{origin}/mcp")
    tools = [ServerTool("put", "Puts a value.", schema), ServerTool("get", "Gets it.", {"type": "object"})]
    kitchen.world.write(remember_tools, kitchen.owner, server_id, tools)
    kitchen.world.write(allow_tools, kitchen.owner, server_id, ["put", "get"])
    model = "box:m" if provider == "openai_compatible" else "other:m"
    job = await kitchen.run(kitchen.agent({"kind": "mcp", "server": "kv"}, model=model))
    assert job.status == "completed", job.error
    assert len(kitchen.model.asked) == 1


async def test_a_person_is_asked_first_and_no_call_is_repeated(kitchen: Kitchen, tmp_path: Any) -> None:
    written = tmp_path / "written"
    write = document_of(
        ("write", "test_write", {"path": str(written), "line": "{{ api_input.out.word }}"}), fields=WORD
    )
    flow_id = kitchen.agent(kitchen.shout(), kitchen.shout("send", write, ask_first=True, editable=True), max_steps=5)
    kitchen.model.say(
        Said(calls=(("send", {"word": "hello"}), ("shout", {"word": "pen"}), ("send", {"word": "bye"}))), "Sent."
    )
    job_id = kitchen.world.submit(flow_id, {"question": "?"}).job_id
    asked = []
    for decision, changed, note in (("approved", {"word": "hi"}, ""), ("refused", {}, "Not now")):
        await kitchen.carry(job_id)
        job = kitchen.world.job(job_id)
        assert job.waits_for_person, job.error
        question = open_question(kitchen.world, job_id)
        asked.append((question.title, question.values, question.editable))
        kitchen.world.write(answer, question, decision, changed, note, "Ada")
    await kitchen.carry(job_id)
    job = kitchen.world.job(job_id)
    assert (job.status, kitchen.world.result(job_id)) == ("completed", {"output": "Sent."}), job.error
    assert asked == [("May the agent use “send”?", {"word": word}, ("word",)) for word in ("hello", "bye")]
    sent, shouted, refused = kitchen.told()
    assert json.loads(sent) == {"changed_by_a_person": {"word": "hi"}, "result": {"output": "hi"}}
    assert shouted == '{"output": "PEN!"}'
    assert refused == "A person refused this call, so it was not made. The note: Not now"
    assert written.read_text().split() == ["hi"]
    assert (len(kitchen.model.asked), job.model_calls) == (2, 2)
    parts = kitchen.parts(job_id)
    assert (parts["call/1/0"].value["by"], parts["call/1/2"].value["state"]) == ("Ada", "refused")


async def test_a_person_is_shown_no_half_of_a_character(kitchen: Kitchen) -> None:
    kitchen.model.say(Said(calls=(("shout", '{"word": "a\\ud83d"}'),)), "Done.")
    job = await kitchen.run(kitchen.agent(kitchen.shout(ask_first=True, editable=True)))
    question = open_question(kitchen.world, job.id)
    assert question.values == {"word": "a�"}
    assert kitchen.parts(job.id)["call/1/0"].value["arguments"] == {"word": "a�"}
    kitchen.world.write(answer, question, "approved", {}, "", "Ada")
    await kitchen.carry(job.id)
    assert kitchen.told() == ['{"output": "A�!"}'], "nobody changed it"


async def test_no_reply_is_repeated_when_no_earlier_output_is_kept(kitchen: Kitchen) -> None:
    """The input is too large to be kept whole, so no step before the agent has an output that is kept."""
    kitchen.model.say(Said(calls=(("shout", {"word": "pen"}),)), "Done.")
    flow_id = kitchen.agent(kitchen.shout(ask_first=True))
    job_id = kitchen.world.submit(flow_id, {"question": "?" * (VALUE_CAP + 1)}).job_id
    await kitchen.carry(job_id)
    kitchen.world.write(answer, open_question(kitchen.world, job_id), "approved", {}, "", "Ada")
    await kitchen.carry(job_id)
    job = kitchen.world.job(job_id)
    assert (job.status, kitchen.world.result(job_id)) == ("completed", {"output": "Done."}), job.error
    assert kitchen.told() == ['{"output": "PEN!"}']
    assert (len(kitchen.model.asked), job.model_calls) == (2, 2)


async def test_a_flow_that_asks_a_person_sets_the_agent_aside(kitchen: Kitchen) -> None:
    asks = document_of(("ask", "test_ask", {"title": "{{ api_input.out.word }}?", "values": {"a": 1}}), fields=WORD)
    kitchen.model.say(Said(calls=(("asks", {"word": "go"}), ("shout", {"word": "pen"}))), "Done.")
    flow_id = kitchen.agent(kitchen.shout("asks", asks), kitchen.shout())
    job_id = kitchen.world.submit(flow_id, {"question": "?"}).job_id
    await kitchen.carry(job_id)
    question = open_question(kitchen.world, job_id)
    assert question.title == "go?"
    assert kitchen.parts(job_id)["call/1/1"].ended_at is not None, "the other call has ended"
    kitchen.world.write(answer, question, "approved", {}, "", "Ada")
    await kitchen.carry(job_id)
    job = kitchen.world.job(job_id)
    assert (job.status, len(kitchen.model.asked)) == ("completed", 2), job.error


async def test_a_crash_repeats_no_reply_and_no_call_that_ended(kitchen: Kitchen, tmp_path: Any) -> None:
    """The worker process is killed while the second tool runs."""
    written = tmp_path / "written"
    until = tmp_path / "go"
    write = document_of(
        ("write", "test_write", {"path": str(written), "line": "{{ api_input.out.word }}"}), fields=WORD
    )
    wait = document_of(
        ("mark", "test_write", {"path": str(written), "line": "{{ api_input.out.word }}"}),
        ("slow", "test_wait", {"until": str(until), "value": "waited"}),
        fields=WORD,
    )
    kitchen.model.say(
        Said(calls=(("write", {"word": "one"}), ("write", {"word": "two"}))),
        Said(calls=(("wait", {"word": "three"}),)),
        "The end.",
    )
    flow_id = kitchen.agent(kitchen.shout("write", write), kitchen.shout("wait", wait, timeout_seconds=600))
    with supervised(kitchen.world) as (supervisor, waiters, _lines):
        job_id = kitchen.world.submit(flow_id, {"question": "?"}).job_id
        await until_running(kitchen.world, job_id, "agent.wait.slow")
        assert supervisor.pid is not None
        os.kill(supervisor.pid, signal.SIGKILL)
        until.touch()
        job = await ended(kitchen.world, waiters, job_id)
    assert (job.status, job.attempts) == ("completed", 2), job.error
    assert kitchen.world.result(job_id) == {"output": "The end."}
    assert sorted(written.read_text().split()) == ["one", "three", "two"], "no step ran twice"
    assert len(kitchen.model.asked) == 3
    assert job.model_calls == 3
    steps = {step.node_id: step for step in kitchen.world.read(list_steps, kitchen.world.workspace_id, job_id)}
    assert (steps["agent"].model_calls, steps["agent"].input_tokens) == (3, job.input_tokens)
