"""The line under the Playground's bar: it knows how far the flow is, its button does the step, and it can be hidden."""

from __future__ import annotations

from typing import Any

from nicegui.testing import User
from nicegui.testing.user_interaction import UserInteraction

from tests.ui.arrange import buttons, draft, ended, page_text, press, until
from tests.ui.conftest import Site
from tests.ui.playground.runs import Did, playground_run, working
from tests.ui.playground.test_run_panel import FLOW, named, opened, push


def step_of(user: User) -> str:
    """The name of the step that the line shows; "" while it is hidden."""
    line = named(user, "Next step")
    return str(line.props.get("data-step")) if line.visible else ""


def approving(answer: str, asked: str = "{{ text_template.out }}") -> dict[str, Any]:
    """A flow that shows a value to a person, who may correct it, and returns an answer."""
    shown = {"title": "Send it?", "values": {"letter": asked}}
    approval = {
        "id": "approval",
        "type": "approval",
        "label": "Approval",
        "config": {"editable": ["letter"]},
        "inputs": shown,
    }
    output = {"id": "output", "type": "api_output", "label": "API Output", "inputs": {"answer": answer}}
    ways = [("text_template", "out", "approval"), ("approval", "approved", "output")]
    edges = [
        {"id": f"w{at}", "source": source, "source_port": port, "target": target}
        for at, (source, port, target) in enumerate(ways)
    ]
    return {**FLOW, "nodes": [*FLOW["nodes"], approval, output], "edges": [*FLOW["edges"], *edges]}


async def test_it_leads_from_the_first_node_to_the_first_call(site: Site, user: User) -> None:
    flow_id = site.flow("Letter", saved=False, file={"format": 1, "title": "Letter", "nodes": [], "edges": []})
    await user.open(f"/playground/{flow_id}")
    await until(lambda: step_of(user) == "add_input")

    press(user, "Add an API Input")
    await until(lambda: step_of(user) == "describe_input")
    assert [node.type for node in draft(site, flow_id).nodes] == ["api_input"]
    await user.should_see("This flow takes no input yet. Add a field to its API Input.")


async def test_a_step_is_chosen_from_the_list_that_the_plus_behind_the_input_offers(site: Site, user: User) -> None:
    flow_id = site.flow("Letter", saved=False, file={**FLOW, "nodes": FLOW["nodes"][:1], "edges": []})
    await user.open(f"/playground/{flow_id}")
    await until(lambda: step_of(user) == "add_step")

    press(user, "Choose a step")
    await user.should_see("Add a step after api_input")
    assert user.client is not None
    kind = max(
        (one for one in user.client.elements.values() if one.props.get("data-type") == "prompt"), key=lambda one: one.id
    )
    UserInteraction(user, {kind}, None).click()
    await until(
        lambda: [(edge.source, edge.target) for edge in draft(site, flow_id).edges] == [("api_input", "prompt")]
    )


async def test_it_follows_a_run_and_then_asks_to_save_and_deploy(site: Site, user: User) -> None:
    flow_id = site.flow("Letter", saved=False, file=FLOW)
    await opened(user, flow_id)
    await until(lambda: step_of(user) == "run")

    async with working(site):
        press(user, "Run")
        await until(lambda: step_of(user) == "look")
    press(user, "Show the result")
    await until(lambda: step_of(user) == "save")


async def test_a_correction_that_does_not_arrive_is_mended_from_the_line(site: Site, user: User) -> None:
    flow_id = site.flow("Letter", saved=False, file=approving("{{ text_template.out }}"))
    await opened(user, flow_id)
    await until(lambda: step_of(user) == "improve")
    line = named(user, "Next step")
    assert "corrections of “letter” do not arrive" in " ".join(
        str(getattr(one, "text", "")) for one in line.descendants()
    )

    pressed = next(one for one in line.descendants() if getattr(one, "text", "") == "Take it from Approval")
    UserInteraction(user, {pressed}, None).click()

    await until(lambda: step_of(user) == "run")
    output = draft(site, flow_id).node("output")
    assert output is not None
    assert output.inputs == {"answer": "{{ approval.out.values.letter }}"}


async def test_a_step_whose_text_nobody_uses_leads_to_where_it_is_missed(site: Site, user: User) -> None:
    flow_id = site.flow("Letter", saved=False, file=approving("Thanks", asked="{{ api_input.out.who }}"))
    await opened(user, flow_id)
    await until(lambda: step_of(user) == "use")
    assert "Nothing uses what “Letter” gives yet." in page_text(user)

    press(user, "Use it in API Output")

    assert user.client is not None
    shown = user.client.elements
    await until(lambda: "API Output" in [one.props.get("aria-label") for one in shown.values()])


async def test_what_happened_before_counts(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    await opened(user, flow_id)
    await until(lambda: step_of(user) == "run")

    playground_run(site, flow_id, {"name": "Ada"}, Did("text_template", output="Hello Ada"), result="Hello Ada")
    await user.open(f"/playground/{flow_id}")
    await until(lambda: step_of(user) == "call")

    ended(site, flow_id)
    await user.open(f"/playground/{flow_id}")
    await until(lambda: step_of(user) == "watch")


async def test_it_is_gone_when_hidden_and_comes_back_when_asked_for(site: Site, user: User) -> None:
    flow_id = site.flow("Letter", saved=False, file=FLOW)
    await opened(user, flow_id)

    push(user, "Hide the next step")
    assert step_of(user) == ""
    user.http_client.cookies.set("fp_next", "0")  # as the browser does
    await user.open(f"/playground/{flow_id}")
    assert step_of(user) == ""

    push(user, "Show the next step")
    await until(lambda: step_of(user) == "run")


async def test_a_viewer_has_no_next_step(site: Site) -> None:
    flow_id = site.flow("Letter", saved=False, file=FLOW)
    user = await site.sign_in("viewer")
    await user.open(f"/playground/{flow_id}")

    assert step_of(user) == ""
    assert not named(user, "Show the next step").visible
    assert "Add an API Input" not in buttons(user)
    assert "Begin with what callers send." not in page_text(user)
