"""Tests of a second click that arrives before the first click was answered, and of reports that arrive too late."""

from __future__ import annotations

from typing import Any

from nicegui import ui
from nicegui.testing import User
from nicegui.testing.user_interaction import UserInteraction

from engine.flow.document import Position
from engine.flow.edits import Op
from engine.flow.validation import problems
from engine.nodes import CATALOG
from storage.secrets import list_secrets
from tests.factories import greeting
from tests.logical_time import pass_time
from tests.ui.arrange import draft, press, until
from tests.ui.conftest import Site
from tests.ui.playground.test_warnings import opened
from ui.flow_view.flow_canvas import FlowCanvas


async def test_two_quick_presses_in_the_palette_add_two_nodes(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", file=greeting())
    await user.open(f"/playground/{flow_id}")
    assert user.client is not None
    item = next(one for one in user.client.elements.values() if one.props.get("data-type") == "set_fields")

    for _ in range(2):
        UserInteraction(user, {item}, None).click()
    await until(lambda: len(draft(site, flow_id).nodes) == 4)

    document = draft(site, flow_id)
    assert [node.id for node in document.nodes[2:]] == ["set_fields", "set_fields_2"]
    assert {problem.code for problem in problems(document, CATALOG)} <= {"several_final_nodes"}


async def test_two_quick_presses_of_duplicate_in_the_list_add_two_steps(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", file=greeting())
    await user.open(f"/playground/{flow_id}")
    assert user.client is not None
    steps = next(one for one in user.client.elements.values() if type(one).__name__ == "StepsList")

    for _ in range(2):
        UserInteraction(user, {steps}, None).trigger("verb", {"verb": "copy", "id": "text_template"})
    await until(lambda: len(draft(site, flow_id).nodes) == 4)

    document = draft(site, flow_id)
    assert [node.id for node in document.nodes[2:]] == ["text_template_2", "text_template_3"]


async def test_of_two_quick_first_edits_of_a_flow_without_places_none_sets_back_the_other(
    site: Site, user: User
) -> None:
    flow_id = site.flow("Greeting", file=greeting())
    await user.open(f"/playground/{flow_id}")
    assert user.client is not None
    canvas = next(one for one in user.client.elements.values() if type(one).__name__ == "EditableCanvas")

    for seq, node_id, place in ((1, "text_template", {"x": 400, "y": 80}), (2, "api_input", {"x": 40, "y": 60})):
        move: Op = {
            "op": "updateNode",
            "id": node_id,
            "before": {"position": {"x": 0, "y": 0}},
            "after": {"position": place},
        }
        UserInteraction(user, {canvas}, None).trigger("change", {"ops": [move], "seq": seq, "reason": "move"})
    await until(lambda: draft(site, flow_id).nodes[0].position == Position(x=40, y=60))

    assert draft(site, flow_id).nodes[1].position == Position(x=400, y=80)


async def test_a_selection_from_before_a_call_about_it_counts_no_more(site: Site, user: User) -> None:
    """A panel that a person closes on a slow connection does not open again."""
    await user.open(f"/playground/{site.flow('Greeting', file=greeting())}")
    assert user.client is not None
    heard: list[Any] = []
    with user.client:
        canvas = FlowCanvas("a_flow", node_types={}, on_select=heard.append)

    def report(nodes: list[str], **asked: int) -> None:
        UserInteraction(user, {canvas}, None).trigger("select", {"nodes": nodes, "edges": [], "notes": [], **asked})

    report(["prompt"], asked=0)
    canvas.select_nodes(["scraper"])
    report(["prompt"], asked=0)
    report(["scraper"], asked=1)
    canvas.deselect(["scraper"])
    report(["scraper"], asked=1)
    report([], asked=2)
    report(["api_input"])
    assert [one["nodes"] for one in heard] == [["prompt"], ["scraper"], [], ["api_input"]]


async def test_two_quick_presses_that_fill_in_a_curl_command_keep_one_secret(site: Site, user: User) -> None:
    node = {"id": "http_request", "type": "http_request", "label": "Call", "position": {"x": 0, "y": 0}}
    flow_id = site.flow("Call", saved=False, file={"format": 1, "title": "Call", "nodes": [node], "edges": []})
    await opened(user, flow_id, "http_request")
    press(user, "Paste a curl command")
    await user.should_see("Nothing is sent now.")
    command = next(one for one in user.find(kind=ui.textarea).elements if "curl" in str(one.props.get("placeholder")))
    command.value = "curl https://api.example.com/v1 -H 'Authorization: Bearer abc123'"

    for _ in range(2):
        press(user, "Fill in the fields")
    await until(lambda: draft(site, flow_id).nodes[0].inputs.get("url") == "https://api.example.com/v1")
    await pass_time(0.25)
    assert len(site.database.read_now(list_secrets, site.workspace_id)) == 1
