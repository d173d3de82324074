"""The tools of an agent: rows of datasets, web services and MCP servers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.actions.connections import add_connection
from engine.actions.datasets import add_dataset, import_rows
from engine.actions.tool_servers import add_tool_server, allow_tools, remember_tools
from engine.flow.node_context import ServerTool
from engine.nodes.agent_tool_settings import AgentTool
from engine.nodes.agent_tools import _with_defaults
from engine.outbound.client import OutboundClient, OutboundRules, parse_allow_list
from engine.tool_servers.session import ServerAddress, ServerSession
from storage.dataset_changes import checked_rows
from storage.datasets import list_sized_rows
from tests.engine.jobs.kitchen import Kitchen
from tests.stand_ins.local_server import LocalServer, Reply, Seen
from tests.stand_ins.mcp_server import free_port, mcp_server
from tests.stand_ins.openai_server import Said

PRICES = "https://practice.flowport.example/prices.json"


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


async def test_values_that_the_patterns_of_the_designer_do_not_take_are_not_sent(kitchen: Kitchen) -> None:
    await kitchen.outbound.aclose()
    kitchen.outbound = OutboundClient(OutboundRules(parse_allow_list("127.0.0.1")), _this_machine)
    with _Service() as service:
        order = {"name": "order", "type": "string", "pattern": "^[0-9]+$"}
        parts = {"name": "parts", "type": "array", "items": {"type": "string", "pattern": "^[a-z]+$"}}
        address = f"http://api.example:{service.port}/{{order}}/{{shop}}"
        tool = {"kind": "http", "name": "ask", "method": "POST", "address": address, "parameters": [order, parts]}
        given = ({"order": "12", "parts": ["a"]}, {"order": "12/"}, {"order": "1", "parts": ["a", "B"]})
        kitchen.model.say(Said(calls=tuple(("ask", {"shop": "x", **one}) for one in given)), "Done.")
        await kitchen.run(kitchen.agent(tool))
        assert [seen.path for seen in service.requests] == ["/12/x"]
    assert [text.removeprefix("The tool failed: The arguments do not fit: ") for text in kitchen.told()[1:]] == [
        "/order: must match the pattern ^[0-9]+$.",
        "/parts/1: must match the pattern ^[a-z]+$.",
    ]


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
