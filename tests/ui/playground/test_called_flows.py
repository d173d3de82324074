"""Tests of a Call Flow in the inspector: the choice of the flow, rows for its fields, and the note about a newer
version.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from nicegui import ui
from nicegui.testing import User
from nicegui.testing.user_interaction import UserInteraction

from engine.actions.deployments import deploy
from engine.actions.flows import save_draft
from engine.flow.document import Document, Node
from storage.flows import get_draft
from tests.factories import document, greeting
from tests.ui.arrange import page_text
from tests.ui.conftest import Site
from tests.ui.playground.inspector.test_inspector import canvas, draft, newest, opened, told
from tests.ui.playground.test_lists import look, step
from ui.jobs.step_list import step_lines


def calling(flow_id: str = "") -> dict[str, Any]:
    """An API Input with `name`, followed by a Call Flow without values."""
    file = greeting()
    file["nodes"][1] = {"id": "call_flow", "type": "call_flow", "config": {"flow_id": flow_id} if flow_id else {}}
    file["edges"] = [{"id": "e1", "source": "api_input", "target": "call_flow"}]
    return file


@pytest.fixture
def greet(site: Site) -> str:
    return site.flow("Greet people", live=True)


async def test_a_flow_is_chosen_from_a_list_and_its_fields_are_the_rows(site: Site, user: User, greet: str) -> None:
    site.flow("Sketch", saved=False)
    flow_id = site.flow("Caller", saved=False, file=calling())
    await opened(user, flow_id, "call_flow")
    await user.should_see("what it needs as input stands here then", retries=100)
    assert "calls no flow yet" in page_text(user)
    (box,) = [one for one in user.find(kind=ui.select).elements if "Greet people (version 1, live)" in one.options]
    assert box.options == ["Greet people (version 1, live)"]
    box.value = "Greet people (version 1, live)"
    await user.should_see("Runs version 1.", retries=100)
    await told(site, flow_id, lambda flow: flow.node("call_flow").config == {"flow_id": greet})
    await user.should_see("is not ready yet: fill in", retries=100)  # the required field has no value

    field = newest(user, "BindingField", "name")
    UserInteraction(user, {field}, None).trigger("change", {"from": 0, "to": 0, "text": "Ada", "base": 0})
    await told(site, flow_id, lambda flow: flow.node("call_flow").inputs == {"name": "Ada"})
    await user.should_not_see("is not ready yet: fill in", retries=100)


async def test_the_node_and_the_inspector_say_when_a_newer_version_is_live(site: Site, user: User, greet: str) -> None:
    file = calling(greet)
    file["nodes"][1]["inputs"] = {"name": "{{ api_input.out.name }}"}
    flow_id = site.flow("Caller", live=True, file=file)
    revision = site.database.read_now(get_draft, site.workspace_id, greet).revision
    site.database.write_now(save_draft, site.owner, greet, document(greeting("newer")), revision)
    site.database.write_now(deploy, site.owner, greet)
    await opened(user, flow_id, "call_flow")
    await user.should_see("There is a newer version:", retries=100)
    await user.should_see("version 2 of “Greet people”", retries=100)
    assert draft(site, flow_id).nodes[1].config == {"flow_id": greet}


async def test_a_flow_that_was_deleted_is_a_problem_of_the_node(site: Site, user: User) -> None:
    flow_id = site.flow("Caller", saved=False, file=calling("flow_gone"))
    await opened(user, flow_id, "call_flow")
    await user.should_see("is not in this workspace any more", retries=100)
    canvas(user)


def test_steps_of_a_called_flow_stand_with_the_steps_of_the_job() -> None:
    times: Any = SimpleNamespace(clock=SimpleNamespace(now=lambda: 9))
    flow = Document.model_validate({"format": 1, "nodes": [{"id": "call", "type": "call_flow", "label": "Shout"}]})
    inner = {"call.loud": Node(id="loud", type="prompt", label="Loud")}
    lines = step_lines(flow, look(step("call"), step("call.loud"), step("call.gone")), times, inner)
    assert [(line.label, line.node_type) for line in lines] == [
        ("Shout", "call_flow"),
        ("Shout › Loud", "prompt"),
        ("call.gone", ""),
    ]
