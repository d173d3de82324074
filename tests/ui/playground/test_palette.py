"""Tests of the palette: what a node is for, and that it is found by today's and by former names."""

from __future__ import annotations

import pytest
from nicegui import ui
from nicegui.testing import User
from nicegui.testing.user_interaction import UserInteraction

from engine.nodes import NODE_TYPES
from tests.factories import greeting
from tests.ui.arrange import draft, until
from tests.ui.conftest import Site
from tests.ui.playground.test_warnings import canvas
from ui.playground.canvas.palette import kinds_for, narrow_to, node_list


async def test_under_each_name_one_line_says_what_the_node_does(site: Site, user: User) -> None:
    await user.open(f"/playground/{site.flow('Greeting', file=greeting())}")
    assert user.client is not None

    shown = {one.text for one in user.client.elements.values() if "fp-pi-line" in one.classes and one.visible}

    assert shown == {kind.tooltip for kind in NODE_TYPES}
    assert max(len(line) for line in shown) <= 60


@pytest.mark.parametrize(
    ("former", "title"),
    [
        ("Array Splitter", "For each item"),
        ("Array Flatten", "Collect into a list"),
        ("Dataset Source", "Read rows"),
        ("Dataset Sink", "Save rows"),
        ("parse json", "Read JSON text"),
    ],
)
async def test_a_former_name_finds_the_node(user: User, former: str, title: str) -> None:
    await user.open("/flows")
    assert user.client is not None
    with user.client, ui.element("div"):
        groups = node_list(NODE_TYPES, print)

    first = narrow_to(groups, former)

    assert narrow_to(groups, "qqqqqqqq") is None, "Enter adds nothing"
    assert [kind.title for kind in NODE_TYPES if kind.type == first] == [title]


async def test_a_click_with_a_step_selected_goes_on_between_it_and_the_next(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", saved=False, file=greeting())
    await user.open(f"/playground/{flow_id}")
    canvas(user).trigger("ready", {"flowId": flow_id, "seq": 0, "kept": 0})
    await user.should_see("Run", retries=100)
    (edge,) = draft(site, flow_id).edges
    canvas(user).trigger("select", {"nodes": [edge.source], "edges": []})

    for kind, ways in (
        ("sort_limit", {(edge.source, "sort_limit"), ("sort_limit", edge.target)}),
        ("api_output", {(edge.source, "sort_limit"), ("sort_limit", edge.target), ("sort_limit", "api_output")}),
    ):
        item = next(one for one in user.find(kind=ui.element).elements if one.props.get("data-type") == kind)
        UserInteraction(user, {item}, None).click()
        await until(lambda kind=kind: draft(site, flow_id).node(kind))
        assert {(one.source, one.target) for one in draft(site, flow_id).edges} == ways
        canvas(user).trigger("select", {"nodes": ["sort_limit"], "edges": []})


async def test_the_search_is_empty_again_after_a_node_was_added(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", saved=False, file=greeting())
    await user.open(f"/playground/{flow_id}")
    canvas(user).trigger("ready", {"flowId": flow_id, "seq": 0, "kept": 0})
    await user.should_see("Run", retries=100)

    search = user.find(kind=ui.input, content="Find a node")
    search.type("sort").trigger("keydown.enter")

    await until(lambda: draft(site, flow_id).node("sort_limit"))
    (box,) = search.elements
    await until(lambda: box.value == "", lambda: box.value)


async def test_a_click_after_an_approval_goes_on_between_a_yes_and_what_follows_it(site: Site, user: User) -> None:
    file = greeting()
    approval = {"id": "a", "type": "approval", "inputs": {"title": "Send it?"}}
    (edge,) = file["edges"]
    file["nodes"].append(approval)
    file["edges"] = [
        {"id": "e1", "source": edge["source"], "target": "a"},
        {"id": "e2", "source": "a", "source_port": "approved", "target": edge["target"]},
    ]
    flow_id = site.flow("Greeting", saved=False, file=file)
    await user.open(f"/playground/{flow_id}")
    canvas(user).trigger("ready", {"flowId": flow_id, "seq": 0, "kept": 0})
    await user.should_see("Run", retries=100)
    canvas(user).trigger("select", {"nodes": ["a"], "edges": []})

    item = next(one for one in user.find(kind=ui.element).elements if one.props.get("data-type") == "sort_limit")
    UserInteraction(user, {item}, None).click()

    await until(lambda: draft(site, flow_id).node("sort_limit"))
    ways = {(one.source, one.source_port, one.target) for one in draft(site, flow_id).edges}
    assert ways == {
        (edge["source"], "out", "a"),
        ("a", "approved", "sort_limit"),
        ("sort_limit", "out", edge["target"]),
    }


async def test_a_list_is_collected_on_the_way_on_which_its_items_go_on(site: Site, user: User) -> None:
    file = greeting()
    (edge,) = file["edges"]
    file["nodes"] += [{"id": "s", "type": "array_splitter"}, {"id": "c", "type": "condition"}]
    file["edges"] = [
        {"id": "e1", "source": edge["source"], "target": "s"},
        {"id": "e2", "source": "s", "target": "c"},
        {"id": "e3", "source": "c", "source_port": "yes", "target": edge["target"]},
    ]
    flow_id = site.flow("Greeting", saved=False, file=file)
    await user.open(f"/playground/{flow_id}")
    canvas(user).trigger("ready", {"flowId": flow_id, "seq": 0, "kept": 0})
    await user.should_see("Run", retries=100)
    canvas(user).trigger("select", {"nodes": ["c"], "edges": []})

    item = next(one for one in user.find(kind=ui.element).elements if one.props.get("data-type") == "array_flatten")
    UserInteraction(user, {item}, None).click()

    await until(lambda: draft(site, flow_id).node("array_flatten"))
    ways = {(one.source, one.source_port, one.target) for one in draft(site, flow_id).edges}
    assert ways >= {("c", "yes", "array_flatten"), ("array_flatten", "out", edge["target"])}


@pytest.mark.parametrize(
    ("asked", "title"),
    [
        ("tell another program", "HTTP Request"),
        ("alarm", "HTTP Request"),
        ("call a service", "HTTP Request"),
        ("webhook out", "HTTP Request"),
        ("send to", "HTTP Request"),
        ("extract", "Extract Pattern"),
        ("pattern", "Extract Pattern"),
        ("price", "Extract Pattern"),
        ("amount", "Extract Pattern"),
        ("number", "Extract Pattern"),
        ("text to number", "Set Fields"),
    ],
)
async def test_the_best_match_stands_first_under_its_group(user: User, asked: str, title: str) -> None:
    await user.open("/flows")
    assert user.client is not None
    with user.client, ui.element("div"):
        groups = node_list(NODE_TYPES, print)
    slot = groups[0][0].parent_slot
    assert slot is not None
    usual = list(slot.children)

    first = narrow_to(groups, asked)

    assert [kind.title for kind in NODE_TYPES if kind.type == first] == [title]
    heading, item = [one for one in slot.children if one.visible][:2]
    assert (item.props["data-type"], heading.tag) == (first, "h2")
    narrow_to(groups, "")
    assert slot.children == usual


def test_number_finds_the_steps_that_give_one() -> None:
    found = kinds_for("number", NODE_TYPES)
    assert {"extract_pattern", "set_fields", "api_output", "dataset_sink"} <= set(found)
    assert "extract_pattern" in kinds_for("e-mail", NODE_TYPES)
