"""Tests of the list of steps: the text of each line, and building a whole flow with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from nicegui import ui
from nicegui.testing import User
from nicegui.testing.user_interaction import UserInteraction

from engine.flow.document import load_document
from storage.flows import get_draft
from tests.factories import greeting
from tests.logical_time import pass_time
from tests.ui.arrange import press, until
from tests.ui.conftest import Site
from ui.playground.canvas.steps_list import StepsList


@pytest.fixture
def flow_id(site: Site) -> str:
    return site.flow("Greeting", file=greeting())


async def opened(user: User, flow_id: str) -> StepsList:
    """The Playground with the list of steps visible."""
    await user.open(f"/playground/{flow_id}")
    assert user.client is not None
    steps = next(element for element in user.client.elements.values() if type(element).__name__ == "StepsList")
    tell(user, steps, "shown", args=True)
    return steps  # pyright: ignore[reportReturnType] - pages are imported anew for every test


def tell(user: User, steps: Any, event: str, args: Any) -> None:
    """Sends an event as the browser does."""
    UserInteraction(user, {steps}, None).trigger(event, args)


async def act(user: User, steps: StepsList, verb: str, node_id: str = "") -> None:
    tell(user, steps, "verb", {"verb": verb, "id": node_id})
    await settled()


async def settled() -> None:
    """Waits until the events that were sent have been handled."""
    await pass_time(0.25)


async def becomes(look: Callable[[], Any], wanted: Any) -> None:
    """Waits until the stored or shown value equals the expected one."""
    await until(lambda: look() == wanted, look)


async def add(user: User, steps: StepsList, verb: str, node_id: str, kind: str) -> None:
    """Chooses a node type in the dialog that asks for it."""
    assert user.client is not None
    elements, count = user.client.elements, len(steps.props["rows"])
    newest = max(elements)
    await act(user, steps, verb, node_id)

    def offered() -> list[Any]:
        return [one for one in elements.values() if one.id > newest and one.props.get("data-type") == kind]

    await becomes(lambda: bool(offered()), wanted=True)
    UserInteraction(user, {offered()[0]}, None).click()
    await becomes(lambda: len(steps.props["rows"]), count + 1)


def names(steps: StepsList) -> list[str]:
    return [row["name"] for row in steps.props["rows"]]


def connections(site: Site, flow_id: str) -> set[tuple[str, str]]:
    row = site.database.read_now(get_draft, site.workspace_id, flow_id)
    return {(edge.source, edge.target) for edge in load_document(row.document).edges}


async def test_a_flow_is_built_in_the_list(site: Site, user: User) -> None:
    flow_id = site.flow(saved=False, file={"format": 1, "title": "New", "nodes": [], "edges": []})
    steps = await opened(user, flow_id)
    await add(user, steps, "add", "", "api_input")
    await add(user, steps, "add", "", "prompt")
    await add(user, steps, "add_before", "prompt", "page_scraper")
    await add(user, steps, "add_after", "prompt", "api_output")
    await becomes(lambda: names(steps), ["API Input", "Page Scraper", "Prompt", "API Output"])
    await becomes(
        lambda: connections(site, flow_id),
        {
            ("api_input", "page_scraper"),
            ("page_scraper", "prompt"),
            ("prompt", "api_output"),
        },
    )


async def test_a_step_that_ends_is_led_to_the_api_output_that_is_there(site: Site, user: User) -> None:
    nodes = [
        {"id": "api_input", "type": "api_input"},
        {"id": "a", "type": "text_template", "inputs": {"template": "A"}},
        {"id": "b", "type": "text_template", "inputs": {"template": "B"}},
        {"id": "api_output", "type": "api_output", "label": "The answer", "inputs": {"a": "{{ a.out }}"}},
    ]
    pairs = [("api_input", "a"), ("api_input", "b"), ("a", "api_output")]
    edges = [{"id": f"e{at}", "source": one, "target": other} for at, (one, other) in enumerate(pairs)]
    flow_id = site.flow(saved=False, file={"format": 1, "title": "Two", "nodes": nodes, "edges": edges})
    steps = await opened(user, flow_id)
    assert user.client is not None
    elements = user.client.elements

    def offered() -> list[Any]:
        return [one for one in elements.values() if one.props.get("data-type") == "api_output" and one.id > newest]

    newest = max(elements)
    await act(user, steps, "add")
    await until(offered)
    UserInteraction(user, {offered()[0]}, None).click()
    await becomes(lambda: ("b", "api_output") in connections(site, flow_id), wanted=True)
    assert len(names(steps)) == 4

    await act(user, steps, "add")
    await user.should_see("“The answer” is in the flow already: a flow has one answer.")


async def test_steps_are_moved_copied_renamed_and_removed(site: Site, user: User, flow_id: str) -> None:
    steps = await opened(user, flow_id)
    await act(user, steps, "copy", "text_template")
    await becomes(
        lambda: connections(site, flow_id), {("api_input", "text_template"), ("text_template", "text_template_2")}
    )
    await act(user, steps, "down", "text_template")
    await becomes(
        lambda: connections(site, flow_id), {("api_input", "text_template_2"), ("text_template_2", "text_template")}
    )
    await act(user, steps, "rename", "text_template")
    UserInteraction(
        user, {max(user.find(kind=ui.input, content="Greet").elements, key=lambda one: one.id)}, None
    ).clear().type("Hello")
    press(user, "Rename")
    await settled()
    await becomes(lambda: names(steps), ["api_input", "Greet", "Hello"])
    await act(user, steps, "remove", "text_template_2")
    await becomes(lambda: connections(site, flow_id), {("api_input", "text_template")})


async def test_what_a_step_comes_after_is_chosen(site: Site, user: User, flow_id: str) -> None:
    steps = await opened(user, flow_id)
    await act(user, steps, "choose", "text_template")
    box = max(user.find(kind=ui.checkbox, content="api_input").elements, key=lambda one: one.id)
    UserInteraction(user, {box}, None).click()
    press(user, "Connect")
    await settled()
    await becomes(lambda: connections(site, flow_id), set())
    assert [row.get("parked", False) for row in steps.props["rows"]] == [False, True]


async def test_a_line_says_what_the_step_does_its_problems_and_what_can_be_done(user: User, flow_id: str) -> None:
    steps = await opened(user, flow_id)
    first, second = steps.props["rows"]
    assert first["summary"] == "name"
    assert set(first["may"]) >= {"open", "add_after", "rename", "remove"}
    assert not set(first["may"]) & {"choose", "up", "down", "copy", "run"}
    assert set(second["may"]) >= {"run", "run_from", "choose", "add_before", "copy"}
    await add(user, steps, "add_after", "text_template", "prompt")
    assert steps.props["rows"][-1]["problems"] == "2 problems"


async def test_nothing_is_sent_while_the_list_cannot_be_seen(user: User, flow_id: str) -> None:
    steps = await opened(user, flow_id)
    tell(user, steps, "shown", args=False)
    await act(user, steps, "copy", "text_template")
    await becomes(lambda: names(steps), ["api_input", "Greet"])
    tell(user, steps, "shown", args=True)
    await becomes(lambda: names(steps), ["api_input", "Greet", "Greet"])


async def test_a_viewer_may_look_and_nothing_else(site: Site, flow_id: str) -> None:
    steps = await opened(await site.sign_in("viewer"), flow_id)
    assert [row["may"] for row in steps.props["rows"]] == [["open"], ["open"]]
