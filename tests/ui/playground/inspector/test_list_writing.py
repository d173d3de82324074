"""Tests of how a template writes a list: what is chosen is what the template renders."""

from __future__ import annotations

from typing import Any

import pytest
from nicegui.testing import User
from nicegui.testing.user_interaction import UserInteraction

from engine.flow.reference_labels import text_in_words
from engine.flow.references import Scope
from engine.nodes.text_template import render_template
from tests.factories import document
from tests.ui.arrange import choose, draft, until
from tests.ui.conftest import Site
from tests.ui.playground.inspector.test_inspector import opened, parts
from ui.playground.inspector.list_writing import list_writings
from ui.playground.state.available_data import source_of

LIST = "{{ a.out.items }}"
LINES = '{{ a.out.items | join("\\n") }}'
PEOPLE = [{"name": "Ada", "age": 3}, {"name": "Bo", "age": 4}]
FLOW: dict[str, Any] = {
    "format": 1,
    "title": "Lists",
    "nodes": [
        {"id": "a", "type": "api_input", "config": {"fields": [{"name": "items", "type": "array"}]}},
        {"id": "t", "type": "text_template", "inputs": {"template": f"Hello: {LIST}"}},
    ],
    "edges": [{"id": "e1", "source": "a", "target": "t"}],
}


@pytest.mark.parametrize(
    ("items", "fields", "said", "rendered"),
    [
        (["x", "y"], (), "Each on its own line", "x\ny"),
        (["x", "y"], (), "With commas", "x, y"),
        (["x", "y"], (), "As it is (JSON)", '["x","y"]'),
        (PEOPLE, ("name", "age"), "“name” of each, on its own line", "Ada\nBo"),
        (PEOPLE, ("name", "age"), "“age” of each, on its own line", "3\n4"),
    ],
)
def test_a_list_is_rendered_as_it_was_chosen(
    items: list[Any], fields: tuple[str, ...], said: str, rendered: str
) -> None:
    scope = Scope({"a": {"items": items}}, {})
    for before in (LIST, '{{ a.out.items | map("name") | join(", ") }}'):
        chosen = dict(list_writings(before, fields))[said]
        assert render_template(chosen, scope) == rendered
        assert (said, chosen) in list_writings(chosen, fields), "it is marked in the menu that is opened next"


def test_the_fields_of_an_item_come_from_the_last_run_where_no_schema_has_them() -> None:
    node = document(FLOW).node("a")
    assert node is not None
    schema = {"type": "object", "properties": {"items": {"type": "array"}}}
    people = [{**PEOPLE[0], "tags": ["x"]}]

    (datum, _everything) = source_of(node, {"items": people}, schema).data

    assert (datum.is_list, datum.fields) == (True, ("name", "age"))


@pytest.mark.parametrize(
    ("template", "before", "wanted"),
    [
        (f"Hello: {LIST}", 0, f"Hello: {LINES}"),
        (f"{LIST}, {LIST}, {LIST}", 1, f"{LIST}, {LINES}, {LIST}"),
        (f"{LIST}, {LIST}", 1, f"{LIST}, {LINES}"),
    ],
)
async def test_what_is_chosen_at_a_chip_is_stored_there_in_the_template(
    site: Site, user: User, template: str, before: int, wanted: str
) -> None:
    start, text = FLOW["nodes"]
    nodes = [start, {**text, "inputs": {"template": template}}]
    flow_id = site.flow("Lists", saved=False, file={**FLOW, "nodes": nodes})
    await opened(user, flow_id, "t")
    await user.should_see("Data from earlier steps")

    parts(user, "BindingField").trigger("list", {"raw": LIST, "before": before, "fields": []})
    await user.should_see("Each on its own line")
    choose(user, "Each on its own line")

    def written() -> Any:
        node = draft(site, flow_id).node("t")
        return node and node.inputs["template"]

    await until(lambda: written() == wanted, written)
    (field,) = parts(user, "BindingField").elements
    assert field.text == wanted


@pytest.mark.parametrize("name", ["prompt", "system"])
async def test_in_a_text_without_filters_a_template_before_the_step_writes_the_list(
    site: Site, user: User, name: str
) -> None:
    prompt = {"id": "p", "type": "prompt", "inputs": {"prompt": "Sort.", name: f"{LIST}: sort {LIST}."}}
    edges = [{"id": "e1", "source": "a", "target": "p"}]
    flow_id = site.flow("Lists", saved=False, file={**FLOW, "nodes": [FLOW["nodes"][0], prompt], "edges": edges})
    await opened(user, flow_id, "p")
    await user.should_see("Data from earlier steps")
    field = next(one for one in parts(user, "BindingField").elements if LIST in one.text)

    UserInteraction(user, {field}, None).trigger("list", {"raw": LIST, "before": 1, "fields": []})
    await user.should_see("Each on its own line")
    choose(user, "Each on its own line")
    await user.should_see("The new step “List as text” before this one writes the list.", retries=60)

    stored = draft(site, flow_id)
    (made,) = (one for one in stored.nodes if one.type == "text_template")
    assert made.inputs == {"template": LINES}
    assert [(one.source, one.target) for one in stored.edges] == [("a", made.id), (made.id, "p")]
    prompt_now = stored.node("p")
    assert prompt_now is not None
    text = f"{LIST}: sort {{{{ {made.id}.out }}}}."
    assert (prompt_now.inputs[name], field.text) == (text, text)


def test_a_reference_with_filters_has_the_name_of_its_step_on_the_canvas() -> None:
    assert text_in_words('Hello {{ a.out.items | join(", ") }}', {"a": "People"}) == 'Hello People › items | join(", ")'
    assert text_in_words("{{ odd | upper }} {{ a }}", {"a": "People"}) == "{{ odd | upper }} {{ a }}"
