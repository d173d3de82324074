"""Tests of rules in the inspector: a Condition compares data, a Filter List compares fields of an item."""

from __future__ import annotations

from typing import Any

from nicegui import ui
from nicegui.testing import User
from nicegui.testing.user_interaction import UserInteraction

from engine.flow.rules import OPERATOR_TITLES
from engine.nodes import CATALOG
from tests.ui.arrange import draft, page_text, press, until
from tests.ui.conftest import Site
from ui.forms.specs import fields_for, specs_of_model

FLOW: dict[str, Any] = {
    "format": 1,
    "title": "Rules",
    "nodes": [
        {"id": "api_input", "type": "api_input", "config": {"fields": [{"name": "count", "type": "integer"}]}},
        {
            "id": "condition",
            "type": "condition",
            "inputs": {"rules": [{"left": "{{ api_input.out.count }}", "operator": "greater", "right": "2"}]},
        },
    ],
    "edges": [{"id": "e1", "source": "api_input", "target": "condition"}],
}


async def test_the_rules_of_a_condition_are_picked_from_a_list(site: Site, user: User) -> None:
    flow_id = site.flow("Rules", saved=False, file=FLOW)

    def rules() -> list[dict[str, Any]]:
        node = draft(site, flow_id).node("condition")
        assert node is not None
        return node.inputs["rules"]

    def named(label: str) -> set[Any]:
        assert user.client is not None
        return {
            element
            for element in user.client.elements.values()
            if label in (element.props.get("aria-label"), element.props.get("label"))
            and all(one.visible and "fp-kept-room" not in one.classes for one in element.ancestors(include_self=True))
        }

    async def become(wanted: list[dict[str, Any]]) -> None:
        await until(lambda: rules() == wanted, rules)

    await user.open(f"/playground/{flow_id}?node=condition")
    assert user.client is not None
    canvas = {element for element in user.client.elements.values() if type(element).__name__ == "EditableCanvas"}
    UserInteraction(user, canvas, None).trigger("ready", {"flowId": flow_id, "seq": 0, "kept": 0})
    await user.should_see("Add a rule", retries=100)
    (comparison,) = named("Rule 1, comparison")
    assert isinstance(comparison, ui.select)
    assert comparison.value == "is greater than"
    assert named("Rule 1, compared with")

    comparison.set_value("is not empty")
    await become([{"left": "{{ api_input.out.count }}", "operator": "is_not_empty"}])
    assert not named("Rule 1, compared with")
    kept = [one for one in user.client.elements.values() if "fp-kept-room" in one.classes and one.visible]
    assert len(kept) == 1, "the room of the value, so that nothing below moves; the switch was never shown"

    press(user, "Add a rule")
    await become(
        [
            {"left": "{{ api_input.out.count }}", "operator": "is_not_empty"},
            {"left": "", "operator": "equals", "right": "", "ignore_case": True},
        ]
    )
    assert not named("Rule 1, Match capitals")
    (capitals,) = named("Rule 2, Match capitals")
    assert capitals.value is False
    capitals.set_value(True)
    await until(lambda: rules()[1]["ignore_case"] is False, rules)
    capitals.set_value(False)
    await until(lambda: rules()[1]["ignore_case"] is True, rules)
    (remove,) = named("Remove Rule 1")
    UserInteraction(user, {remove}, None).click()
    await become([{"left": "", "operator": "equals", "right": "", "ignore_case": True}])
    assert "What must be true" in page_text(user)


def test_a_rule_of_a_filter_has_a_comparison_in_words_and_a_value_where_one_is_needed() -> None:
    rules = next(one for one in specs_of_model(CATALOG["filter_list"].config) if one.name == "rules")
    assert [(one.name, one.kind) for one in rules.fields] == [
        ("field", "text"),
        ("operator", "select"),
        ("value", "text"),
        ("ignore_case", "switch"),
    ]
    assert dict(rules.fields[1].choices) == OPERATOR_TITLES
    assert [one.name for one in fields_for(rules, {"operator": "is_empty"})] == ["field", "operator"]
    assert [one.name for one in fields_for(rules, {"operator": "contains"})] == [
        "field", "operator", "value", "ignore_case",
    ]  # fmt: skip
    assert [one.name for one in fields_for(rules, {"operator": "matches"})] == ["field", "operator", "value"]


async def test_a_new_rule_of_a_filter_ignores_capitals_and_an_older_one_does_not(site: Site, user: User) -> None:
    older = {"field": "kind", "operator": "equals", "value": "Bread"}
    node = {"id": "filter_list", "type": "filter_list", "config": {"rules": [older]}}
    edge = {"id": "e1", "source": "api_input", "target": "filter_list"}
    flow_id = site.flow("Rules", saved=False, file={**FLOW, "nodes": [FLOW["nodes"][0], node], "edges": [edge]})

    def rules() -> list[dict[str, Any]]:
        found = draft(site, flow_id).node("filter_list")
        assert found is not None
        return found.config["rules"]

    await user.open(f"/playground/{flow_id}?node=filter_list")
    assert user.client is not None
    canvas = {element for element in user.client.elements.values() if type(element).__name__ == "EditableCanvas"}
    UserInteraction(user, canvas, None).trigger("ready", {"flowId": flow_id, "seq": 0, "kept": 0})
    await user.should_see("Add a rule", retries=100)
    press(user, "Add a rule")
    await until(lambda: rules() == [older, {"ignore_case": True}], rules)
    (switch,) = (one for one in user.find(kind=ui.switch).elements if one.text == "Match capitals")
    assert switch.value is False

    switch.set_value(True)
    await until(lambda: rules() == [older, {"ignore_case": False}], rules)
