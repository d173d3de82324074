"""Warnings in the Playground and in the deploy dialog: each with the button that mends it."""

from __future__ import annotations

from typing import Any

import pytest
from nicegui import ui
from nicegui.testing import User
from nicegui.testing.user_interaction import UserInteraction

from engine.actions.connections import add_connection
from engine.actions.deployments import deploy
from engine.actions.flows import save_draft
from engine.core.errors import FlowInvalid
from engine.flow.validation import TOO_COSTLY
from engine.secrets.sealing import open_vault
from storage.tables import Job
from tests.factories import document, greeting
from tests.ui.arrange import buttons, choose, draft, newest_button, page_text, press, until
from tests.ui.conftest import Site
from tests.ui.playground.runs import Did, playground_run

RULE = {"left": "{{ api_input.out.text }}", "operator": "contains", "right": "refund", "ignore_case": True}
FLOW: dict[str, Any] = {
    "format": 1,
    "title": "Refunds",
    "nodes": [
        {
            "id": "api_input",
            "type": "api_input",
            "label": "API Input",
            "config": {
                "fields": [
                    {"name": "text", "type": "string", "required": True},
                    {"name": "lang", "type": "string", "required": True},
                ]
            },
        },
        {"id": "condition", "type": "condition", "label": "Refund?", "inputs": {"rules": [RULE]}},
        {"id": "a", "type": "text_template", "label": "Sorry", "inputs": {"template": "We are sorry."}},
        {"id": "b", "type": "text_template", "label": "Thanks", "inputs": {"template": "Thank you."}},
        {"id": "o", "type": "api_output", "label": "API Output", "inputs": {"answer": "{{ a.out }}"}},
    ],
    "edges": [
        {"id": "e1", "source": "api_input", "target": "condition"},
        {"id": "e2", "source": "condition", "source_port": "yes", "target": "a"},
        {"id": "e3", "source": "condition", "source_port": "no", "target": "b"},
        {"id": "e4", "source": "a", "target": "o"},
        {"id": "e5", "source": "b", "target": "o"},
    ],
}


def canvas(user: User) -> UserInteraction:
    assert user.client is not None
    found = {one for one in user.client.elements.values() if type(one).__name__ == "EditableCanvas"}
    return UserInteraction(user, found, None)


async def opened(user: User, flow_id: str, node: str = "") -> None:
    await user.open(f"/playground/{flow_id}?node={node}")
    canvas(user).trigger("ready", {"flowId": flow_id, "seq": 0, "kept": 0})
    await user.should_see("Set up" if node else "Run", retries=100)


async def test_the_list_of_problems_has_warnings_with_buttons(site: Site, user: User) -> None:
    flow_id = site.flow("Refunds", saved=False, file=FLOW)
    await opened(user, flow_id)
    await user.should_see("2 warnings")
    assert "These stop no deployment." in page_text(user)

    choose(user, "Return whichever ran")
    await until(lambda: draft(site, flow_id).node("first_value"))
    output = draft(site, flow_id).node("o")
    assert output is not None
    assert output.inputs == {"answer": "{{ first_value.out }}"}

    await user.should_see("1 warning")
    assert _role_of_list(user) == "menu"
    choose(user, "Make “lang” optional")
    await user.should_see("No problems")
    assert _role_of_list(user) == "group"  # a menu without an entry is none


async def test_a_step_that_is_not_connected_is_told_where_problems_are(site: Site, user: User) -> None:
    said = {**FLOW["nodes"][2], "inputs": {"template": "{{ api_input.out.text }} {{ api_input.out.lang }}"}}
    nodes = [FLOW["nodes"][0], said, {"id": "o", "type": "api_output", "label": "API Output"}]
    edges = [{"id": "e1", "source": "api_input", "target": "a"}]
    flow_id = site.flow("Loose", saved=False, file={**FLOW, "nodes": nodes, "edges": edges})
    await opened(user, flow_id)
    await user.should_see("1 step not connected")
    choose(user, "“API Output” is not connected.")
    await user.should_see("Set up", retries=100)


def _role_of_list(user: User) -> str:
    assert user.client is not None
    (found,) = (
        one
        for one in user.client.elements.values()
        if one.props.get("aria-label") == "Problems" and one.props.get("role") != "dialog"
    )
    return found.props["role"]


async def test_the_button_stands_in_the_settings_of_the_step_too(site: Site, user: User) -> None:
    flow_id = site.flow("Refunds", saved=False, file=FLOW)
    await opened(user, flow_id, "o")
    await user.should_see("API Output: it returns only what Sorry gives")
    before = newest_button(user, "Return whichever ran")
    choose(user, "Make “lang” optional")
    await user.should_see("1 warning")
    assert newest_button(user, "Return whichever ran") is before, "a press is not lost by a change elsewhere"

    press(user, "Return whichever ran")
    await until(lambda: draft(site, flow_id).node("first_value"))


async def test_corrections_that_do_not_arrive_are_told_at_the_approval_and_mended(site: Site, user: User) -> None:
    asked = {"title": "Send it?", "values": {"reply": "{{ a.out }}"}}
    approval = {"id": "w", "type": "approval", "label": "Approval", "config": {"editable": ["reply"]}, "inputs": asked}
    nodes = [node for node in FLOW["nodes"] if node["id"] in {"api_input", "a", "o"}]
    edges = [("api_input", "out", "a"), ("a", "out", "w"), ("w", "approved", "o")]
    file = {
        **FLOW,
        "nodes": [*nodes, approval],
        "edges": [
            {"id": f"e{at}", "source": source, "source_port": port, "target": target}
            for at, (source, port, target) in enumerate(edges)
        ],
    }
    flow_id = site.flow("Refunds", saved=False, file=file)
    await opened(user, flow_id)
    said = "Approval: corrections of “reply” do not arrive, because API Output takes it from Sorry."
    choose(user, said)
    await until(lambda: page_text(user).count(said) > 1)

    press(user, "Take it from Approval")
    mended = {"answer": "{{ w.out.values.reply }}"}
    await until(lambda: mended in [node.inputs for node in draft(site, flow_id).nodes if node.id == "o"])
    await user.should_not_see(said)


async def test_a_branch_that_ends_nowhere_on_purpose_is_accepted(site: Site, user: User) -> None:
    nodes = [node for node in FLOW["nodes"] if node["id"] != "b"]
    edges = [edge for edge in FLOW["edges"] if edge["id"] not in {"e3", "e5"}]
    flow_id = site.flow("Refunds", saved=False, file={**FLOW, "nodes": nodes, "edges": edges})
    await opened(user, flow_id, "condition")
    await user.should_see("2 warnings")
    await until(lambda: "This branch may end here" in buttons(user))

    press(user, "This branch may end here")

    await user.should_see("1 warning")
    condition = draft(site, flow_id).node("condition")
    assert condition is not None
    assert condition.config["may_end"] == "no"
    assert "no step is connected to “no” yet" not in page_text(user)


async def test_an_answer_that_was_added_is_opened_to_be_written(site: Site, user: User) -> None:
    nodes = [node for node in FLOW["nodes"] if node["id"] != "b"]
    edges = [edge for edge in FLOW["edges"] if edge["id"] not in {"e3", "e5"}]
    flow_id = site.flow("Refunds", saved=False, file={**FLOW, "nodes": nodes, "edges": edges})
    await opened(user, flow_id)
    await user.should_see("2 warnings")
    choose(user, "Add an answer for “no”")
    await user.should_see("“Answer for no” is not ready yet: fill in “Template”.")
    await until(lambda: any(one.value == "Answer for no" for one in user.find(kind=ui.input).elements))


async def test_an_answer_for_one_of_several_fields_says_so(site: Site, user: User) -> None:
    answers = {"kind": "{{ api_input.out.lang }}", "reply": "{{ api_input.out.text }}"}
    nodes = [{**node, "inputs": answers} if node["id"] == "o" else node for node in FLOW["nodes"]]
    edges = [*FLOW["edges"][:1], {"id": "e2", "source": "condition", "source_port": "yes", "target": "o"}]
    nodes = [node for node in nodes if node["id"] not in {"a", "b"}]
    flow_id = site.flow("Refunds", saved=False, file={**FLOW, "nodes": nodes, "edges": edges})
    await opened(user, flow_id)
    await user.should_see("1 warning")
    choose(user, "Add an answer for “no”")
    await user.should_see("This text is the “reply” of this way.")
    await user.should_see("What callers get beside it, “kind”, stands in the step “Whichever ran”.")


async def test_a_second_api_output_joins_both_ways_in_place_of_being_added(site: Site, user: User) -> None:
    nodes = [{**node, "inputs": {"answer": "A refund."}} if node["id"] == "o" else node for node in FLOW["nodes"]]
    edges = [*FLOW["edges"][:1], {"id": "e2", "source": "condition", "source_port": "yes", "target": "o"}]
    file = {**FLOW, "nodes": [node for node in nodes if node["id"] not in {"a", "b"}], "edges": edges}
    flow_id = site.flow("Refunds", saved=False, file=file)
    await opened(user, flow_id)
    asked = {"type": "api_output", "position": None, "after": "condition", "port": "no", "between": None}
    canvas(user).trigger("addrequest", asked)
    await until(lambda: draft(site, flow_id).node("first_value"))
    assert [node.id for node in draft(site, flow_id).nodes if node.type == "api_output"] == ["o"]
    await until(lambda: any(one.value == "Answer for no" for one in user.find(kind=ui.input).elements))


async def test_the_palette_says_that_a_flow_has_one_answer(site: Site, user: User) -> None:
    flow_id = site.flow("Refunds", saved=False, file=FLOW)
    await opened(user, flow_id)
    canvas(user).trigger("addrequest", {"type": "api_output", "position": {"x": 0, "y": 0}})
    await user.should_see("A flow has one answer: lead both ways to it.")
    press(user, "Return whichever ran")
    await until(lambda: draft(site, flow_id).node("first_value"))
    assert [node.id for node in draft(site, flow_id).nodes if node.type == "api_output"] == ["o"]


async def test_an_address_without_its_beginning_gets_it(site: Site, user: User) -> None:
    file = {**FLOW, "nodes": [*FLOW["nodes"][:1], {"id": "reads", "type": "page_scraper", "label": "Read it",
            "inputs": {"url": "www.example.com"}}], "edges": [{"id": "e1", "source": "api_input", "target": "reads"}]}  # fmt: skip
    flow_id = site.flow("Reads", saved=False, file=file)
    await opened(user, flow_id)
    await user.should_see("Begin it with https://.")
    choose(user, "Put https:// in front")

    def url() -> Any:
        node = draft(site, flow_id).node("reads")
        return node and node.inputs["url"]

    await until(lambda: url() == "https://www.example.com", url)


async def test_warnings_stop_no_deployment_and_are_mended_in_the_check(site: Site, user: User) -> None:
    flow_id = site.flow("Refunds", file=FLOW)
    await user.open(f"/flows/{flow_id}")
    press(user, "Deploy API")
    await user.should_see("Look at 2 things first:")
    said = page_text(user)
    assert said.index("It can go live.") < said.index("Look at 2 things first:") < said.index("Return whichever ran")
    assert "No problems." not in page_text(user)
    assert newest_button(user, "Next").enabled

    press(user, "Return whichever ran")
    await user.should_see("Look at 1 thing first:")
    press(user, "Make “lang” optional")
    await user.should_see("No problems.")
    assert draft(site, flow_id).node("first_value") is not None


async def test_what_callers_will_be_refused_for_is_never_called_no_problem(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    file = greeting()
    file["nodes"][0]["config"]["fields"] = [{"name": "who", "type": "string", "required": True}]
    file["nodes"][1]["inputs"]["template"] = "Hello {{ api_input.out.who }}"
    site.database.write_now(save_draft, site.owner, flow_id, document(file), 1)
    await user.open(f"/flows/{flow_id}")
    press(user, "Update API")
    await user.should_see("What changes for callers")
    assert "It can go live, but calls that no longer fit will get an error." in page_text(user)
    assert "No problems." not in page_text(user)


async def test_costly_patterns_are_looked_at_beside_the_canvas_and_then_told(site: Site, user: User) -> None:
    file = greeting()
    fields = [{"name": f"f{n}", "type": "string", "pattern": f"^[a-z]{{{900 - n}}}.{{500,900}}$"} for n in range(9)]
    file["nodes"][0]["config"]["fields"] += fields
    flow_id = site.flow("Costly", saved=False, file=file)
    await opened(user, flow_id)
    await user.should_see("take too long together", retries=100)
    with pytest.raises(FlowInvalid) as refused:
        site.database.write_now(deploy, site.owner, flow_id)
    assert TOO_COSTLY in {problem.code for problem in refused.value.problems}


PROMPTS: dict[str, Any] = {
    "format": 1,
    "title": "Two answers",
    "nodes": [
        {"id": "api_input", "type": "api_input"},
        *(
            {"id": one, "type": "prompt", "label": one, "config": {"model": "simulated"}, "inputs": {"prompt": "Hi"}}
            for one in ("first", "second")
        ),
    ],
    "edges": [
        {"id": "e1", "source": "api_input", "target": "first"},
        {"id": "e2", "source": "first", "target": "second"},
    ],
}


async def test_a_connected_model_is_offered_where_the_simulated_one_answered(site: Site, user: User) -> None:
    flow_id = site.flow("Two answers", saved=False, file=PROMPTS)
    job_id = playground_run(site, flow_id, {}, Did("first"), result={"output": "Hello"})
    site.database.write_now(lambda session: setattr(session.get_one(Job, job_id), "simulated", True))
    await opened(user, flow_id)
    await user.should_see("Hello", retries=60)
    assert "No problems" in buttons(user), "without a connection everything stays as it is"
    vault = open_vault(site.settings.data)
    site.database.write_now(add_connection, site.owner, vault, "box", "vllm", models=["llama"])

    await opened(user, flow_id)
    await user.should_see("Hello", retries=60)
    assert "1 warning" in buttons(user)
    assert "2 steps use the Simulated model" in page_text(user)
    assert [node.config.get("model") for node in draft(site, flow_id).nodes] == [None, "simulated", "simulated"]
    press(user, "Use llama (box)")
    await until(
        lambda: [node.config.get("model") for node in draft(site, flow_id).nodes] == [None, "box:llama", "box:llama"],
        lambda: draft(site, flow_id).nodes,
    )
    await until(lambda: "No problems" in buttons(user), lambda: buttons(user))


async def test_of_several_models_none_is_chosen_for_anybody(site: Site, user: User) -> None:
    vault = open_vault(site.settings.data)
    site.database.write_now(add_connection, site.owner, vault, "box", "vllm", models=["llama", "mistral"])
    flow_id = site.flow("Two answers", saved=False, file=PROMPTS)
    await opened(user, flow_id)
    await until(lambda: "1 warning" in buttons(user), lambda: buttons(user))
    choose(user, "Choose a model")
    await user.should_see("Longest answer", retries=60)
    assert draft(site, flow_id).node("first").config["model"] == "simulated"  # type: ignore[union-attr]
