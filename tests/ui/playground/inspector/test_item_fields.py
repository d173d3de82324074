"""The field by which a list is grouped is picked from what its items hold."""

from __future__ import annotations

from typing import Any

from nicegui import ui
from nicegui.testing import User
from nicegui.testing.user_interaction import UserInteraction

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


async def test_a_click_on_a_field_of_the_items_chooses_it(site: Site, user: User) -> None:
    flow_id = site.flow("Reviews", saved=False, file=FLOW)
    given = {"reviews": [{"mood": "good", "stars": 4}]}
    playground_run(site, flow_id, given, Did("api_input", given))

    def config() -> Any:
        node = draft(site, flow_id).node("group_count")
        assert node is not None
        return node.config

    await opened(user, flow_id, "group_count")
    await user.should_see("In the items:")
    press_chip(user, "mood")
    await until(lambda: config().get("by") == "mood", config)
    assert user.client is not None
    (box,) = [one for one in user.client.elements.values() if one.props.get("aria-label") == "Group by"]
    assert isinstance(box, ui.input)
    assert box.value == "mood"

    press(user, "Add a number")
    await user.should_see("Name of the result")
    press_chip(user, "stars")
    await until(lambda: config().get("measures") == [{"field": "stars"}], config)


async def test_the_field_of_a_filter_is_picked_too(site: Site, user: User) -> None:
    nodes = [FLOW["nodes"][0], {**FLOW["nodes"][1], "type": "filter_list"}]
    flow_id = site.flow("Reviews", saved=False, file={**FLOW, "nodes": nodes})
    given = {"reviews": [{"mood": "good", "who": {"name": "Ann"}}]}
    playground_run(site, flow_id, given, Did("api_input", given))

    def rules() -> Any:
        node = draft(site, flow_id).node("group_count")
        assert node is not None
        return node.config.get("rules")

    await opened(user, flow_id, "group_count")
    press(user, "Add a rule")
    await user.should_see("In the items:")
    press_chip(user, "who.name")
    await until(lambda: rules() and rules()[0].get("field") == "who.name", rules)


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
