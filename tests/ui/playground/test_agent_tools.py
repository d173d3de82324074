"""Tests of an agent's tools in the inspector: what is chosen in a tool that was there before is kept."""

from __future__ import annotations

from typing import Any

from nicegui import ui
from nicegui.testing import User
from nicegui.testing.user_interaction import UserInteraction

from engine.actions.datasets import add_dataset
from engine.actions.knowledge import add_collection
from engine.actions.tool_servers import add_tool_server
from engine.secrets.sealing import open_vault
from tests.ui.arrange import draft, page_text, until
from tests.ui.conftest import Site
from tests.ui.playground.test_dataset_nodes import open_node, select

_SERVERS = {"shop": "https://shop.example/mcp", "stock": "https://stock.example/mcp"}


def flow(site: Site, tools: list[dict[str, Any]]) -> str:
    """API Input and an agent with these tools."""
    nodes = [
        {"id": "api_input", "type": "api_input"},
        {"id": "agent", "type": "agent", "label": "Assistant", "config": {"model": "simulated", "tools": tools}},
    ]
    edges = [{"id": "e1", "source": "api_input", "target": "agent"}]
    return site.flow("Helper", file={"format": 1, "title": "Helper", "nodes": nodes, "edges": edges})


def kept(site: Site, flow_id: str, at: int) -> dict[str, Any]:
    node = draft(site, flow_id).node("agent")
    assert node is not None
    return dict(node.config["tools"][at])


def heads(user: User, title: str) -> set[ui.element]:
    assert user.client is not None
    named = [one for one in user.client.elements.values() if getattr(one, "text", "") == title]
    around = [one.parent_slot.parent for one in named if one.parent_slot is not None]
    return {one for one in around if "fp-bt" in one.classes}


async def unfold(user: User, title: str) -> None:
    """Opens the block of the tool that is called so."""
    await until(lambda: len(heads(user, title)) == 1, lambda: page_text(user))
    (head,) = heads(user, title)
    UserInteraction(user, {head}, None).trigger("click")
    await until(lambda: head.props.get("aria-expanded") == "true", lambda: page_text(user))


async def choose(user: User, site: Site, flow_id: str, at: int, label: str, field: str, value: str) -> None:
    box = select(user, label)
    box.value = value
    await until(lambda: kept(site, flow_id, at).get(field) == value, lambda: kept(site, flow_id, at))


async def test_another_choice_in_a_tool_that_was_there_is_kept(site: Site, user: User) -> None:
    write = site.database.write_now
    first, second = (write(add_dataset, site.owner, name) for name in ("Goods", "Readers"))
    manual, rules = (write(add_collection, site.owner, name) for name in ("Manual", "Rules"))
    one, other = (site.flow(name) for name in ("Prices", "Orders"))
    vault = open_vault(site.settings.data)
    for name, url in _SERVERS.items():
        write(add_tool_server, site.owner, vault, name, url)
    tools = [
        {"kind": "dataset", "name": "rows", "dataset": first},
        {"kind": "flow", "name": "prices", "flow_id": one},
        {"kind": "knowledge", "name": "papers", "collection": manual},
        {"kind": "mcp", "server": "shop", "only": []},
        {"kind": "http", "name": "page", "address": "https://shop.example/visit"},
    ]
    flow_id = flow(site, tools)
    await open_node(user, flow_id, "agent", "Tools")
    await unfold(user, "rows")
    await choose(user, site, flow_id, 0, "Dataset", "dataset", second)
    await unfold(user, "prices")
    await choose(user, site, flow_id, 1, "Flow", "flow_id", other)
    await unfold(user, "papers")
    await choose(user, site, flow_id, 2, "Collection", "collection", rules)
    await unfold(user, "shop")
    await choose(user, site, flow_id, 3, "MCP server", "server", "stock")
    await unfold(user, "page")
    assert kept(site, flow_id, 0)["dataset"] == second


async def test_what_a_template_said_of_its_sample_goes_with_the_sample(site: Site, user: User) -> None:
    write = site.database.write_now
    first, second = (write(add_dataset, site.owner, name) for name in ("Goods", "Readers"))
    sample = "The table of products: what each one costs and what it is made of."
    tools = [
        {"kind": "dataset", "name": "rows", "dataset": first, "description": said} for said in (sample, "Our goods.")
    ]
    tools[1]["name"] = "goods"
    flow_id = flow(site, tools)
    await open_node(user, flow_id, "agent", "Tools")
    for at, (title, said) in enumerate((("rows", ""), ("goods", "Our goods."))):
        await unfold(user, title)
        await choose(user, site, flow_id, at, "Dataset", "dataset", second)
        await until(lambda at=at, said=said: kept(site, flow_id, at).get("description", "") == said)


async def test_the_kind_of_a_tool_that_was_there_is_kept(site: Site, user: User) -> None:
    dataset = site.database.write_now(add_dataset, site.owner, "Goods")
    flow_id = flow(site, [{"kind": "http", "name": "page", "address": "https://shop.example/visit"}])
    await open_node(user, flow_id, "agent", "Tools")
    await unfold(user, "page")
    boxes = [one for one in user.find(kind=ui.select).elements if isinstance(one, ui.select)]
    (box,) = [one for one in boxes if "A dataset: look rows up in a table" in one.options]
    box.value = "A dataset: look rows up in a table"
    await until(lambda: kept(site, flow_id, 0).get("kind") == "dataset", lambda: kept(site, flow_id, 0))
    await choose(user, site, flow_id, 0, "Dataset", "dataset", dataset)
