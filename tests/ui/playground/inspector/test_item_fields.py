"""The field by which a list is grouped is picked from what its items hold."""

from __future__ import annotations

from typing import Any

from nicegui import ui
from nicegui.testing import User
from nicegui.testing.user_interaction import UserInteraction

from engine.actions.datasets import add_dataset, import_rows
from storage.dataset_changes import checked_rows
from tests.ui.arrange import draft, press, until
from tests.ui.conftest import Site
from tests.ui.playground.inspector.test_inspector import opened
from tests.ui.playground.runs import Did, playground_run

FLOW: dict[str, Any] = {
    "format": 1,
    "title": "Reviews",
    "nodes": [
        {"id": "api_input", "type": "api_input", "config": {"fields": [{"name": "reviews", "type": "array"}]}},
        {"id": "group_count", "type": "group_count", "inputs": {"items": "{{ api_input.out.reviews }}"}},
    ],
    "edges": [{"id": "e1", "source": "api_input", "target": "group_count"}],
}


def config(site: Site, flow_id: str) -> dict[str, Any]:
    """The settings of the only step."""
    node = draft(site, flow_id).node("group_count")
    assert node is not None
    return node.config


def first_field(site: Site, flow_id: str) -> Any:
    rules = config(site, flow_id).get("rules")
    return rules[0].get("field") if rules else None


async def test_a_click_on_a_field_of_the_items_chooses_it(site: Site, user: User) -> None:
    flow_id = site.flow("Reviews", saved=False, file=FLOW)
    given = {"reviews": [{"mood": "good", "stars": 4}]}
    playground_run(site, flow_id, given, Did("api_input", given))

    await opened(user, flow_id, "group_count")
    await user.should_see("In the items:")
    press_chip(user, "mood")
    await until(lambda: config(site, flow_id).get("by") == "mood", lambda: config(site, flow_id))
    assert user.client is not None
    (box,) = [one for one in user.client.elements.values() if one.props.get("aria-label") == "Group by"]
    assert isinstance(box, ui.input)
    assert box.value == "mood"

    press(user, "Add a number")
    await user.should_see("Name of the result")
    press_chip(user, "stars")
    await until(lambda: config(site, flow_id).get("measures") == [{"field": "stars"}], lambda: config(site, flow_id))


async def test_the_field_of_a_filter_is_picked_too(site: Site, user: User) -> None:
    nodes = [FLOW["nodes"][0], {**FLOW["nodes"][1], "type": "filter_list"}]
    flow_id = site.flow("Reviews", saved=False, file={**FLOW, "nodes": nodes})
    given = {"reviews": [{"mood": "good", "who": {"name": "Ann"}}]}
    playground_run(site, flow_id, given, Did("api_input", given))

    await opened(user, flow_id, "group_count")
    press(user, "Add a rule")
    await user.should_see("In the items:")
    press_chip(user, "who.name")
    await until(lambda: first_field(site, flow_id) == "who.name", lambda: config(site, flow_id))


async def test_a_rule_of_read_rows_offers_the_columns_of_its_dataset(site: Site, user: User) -> None:
    """Also those of another dataset that is chosen then."""
    for name, row in [("Goods", {"sku": "B-1", "price": 3.2}), ("Tenants", {"email": "ann@example.com"})]:
        dataset_id = site.database.write_now(add_dataset, site.owner, name)
        site.database.write_now(import_rows, site.owner, dataset_id, checked_rows([row]))
    read = {"id": "group_count", "type": "dataset_source", "config": {"dataset": "Goods"}}
    flow_id = site.flow("Rows", saved=False, file={**FLOW, "nodes": [FLOW["nodes"][0], read]})

    await opened(user, flow_id, "group_count")
    press(user, "Add a rule")
    await user.should_see("In the rows:")
    press_chip(user, "price")
    await until(lambda: first_field(site, flow_id) == "price", lambda: config(site, flow_id))
    assert user.client is not None
    (choice,) = [one for one in user.client.elements.values() if one.props.get("aria-label") == "Dataset"]
    assert isinstance(choice, ui.select)
    choice.value = dataset_id
    await user.should_see("email", retries=50)


async def test_the_value_of_a_rule_says_that_it_takes_no_data(site: Site, user: User) -> None:
    nodes = [FLOW["nodes"][0], {**FLOW["nodes"][1], "type": "filter_list"}]
    flow_id = site.flow("Reviews", saved=False, file={**FLOW, "nodes": nodes})
    await opened(user, flow_id, "group_count")
    press(user, "Add a rule")
    await user.should_see("What it is compared with")
    assert user.client is not None
    (box,) = [one for one in user.client.elements.values() if one.props.get("data-fixed") == "rule"]
    assert isinstance(box, ui.input)
    said = "This value is fixed. To compare with data of another step use Look up a row or Condition."
    await user.should_not_see(said)
    box.value = "{{ api"
    await user.should_see(said)
    box.value = "refund"
    await user.should_not_see(said)


def press_chip(user: User, name: str) -> None:
    """Presses the newest chip of this field."""
    assert user.client is not None
    chips = {
        one
        for place in user.client.elements.values()
        if "fp-item-fields" in place.classes
        for one in place.default_slot
        if any(getattr(inner, "text", "") == name for inner in one.default_slot)
    }
    UserInteraction(user, {max(chips, key=lambda one: one.id)}, None).click()
