"""A flow with the Simulated model says that its answers are made up: before it is deployed and where it is called."""

from __future__ import annotations

from typing import Any

from nicegui.testing import User

from engine.actions.connections import add_connection
from engine.actions.flows import save_draft
from engine.actions.knowledge import add_text, bring_documents
from engine.knowledge.samples import sample_documents
from engine.secrets.sealing import open_vault
from storage.knowledge import list_collections
from storage.tables import Job
from tests.factories import document, greeting
from tests.ui.arrange import ended, page_text, press, texts, until
from tests.ui.conftest import Site
from ui.flows.templates import find_template

LINE = "Callers will get made-up answers: connect a model."


def asking(model: str = "simulated") -> dict[str, Any]:
    """A flow that asks a model."""
    file = greeting()
    config = {"model": model}
    file["nodes"][1] = {
        "id": "prompt", "type": "prompt", "label": "Sort", "config": config,
        "inputs": {"prompt": "Sort {{ api_input.out.name }}"},
    }  # fmt: skip
    file["edges"][0]["target"] = "prompt"
    return file


def links(user: User) -> dict[str, str]:
    assert user.client is not None
    return {
        str(getattr(one, "text", "")): str(one.props["href"])
        for one in user.client.elements.values()
        if one.props.get("href")
    }


async def test_the_check_step_says_that_callers_get_made_up_answers(site: Site, user: User) -> None:
    flow_id = site.flow("Sorter", file=asking())
    await user.open(f"/flows/{flow_id}")

    press(user, "Deploy API")
    await user.should_see(LINE)
    assert "“Sort” uses the Simulated model, which only pretends to answer." in page_text(user)
    assert links(user)["Connect a model"] == "/settings/models"

    vault = open_vault(site.settings.data)
    site.database.write_now(add_connection, site.owner, vault, "box", "vllm", address="http://127.0.0.1:9/v1")
    await user.open(f"/flows/{flow_id}")
    press(user, "Deploy API")
    await user.should_see(LINE)
    assert links(user)["Choose a model"] == f"/playground/{flow_id}?node=prompt"


async def test_a_flow_without_such_a_step_is_not_warned_of(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting")
    await user.open(f"/flows/{flow_id}")
    press(user, "Deploy API")
    await user.should_see("Deploy Greeting")
    assert LINE not in page_text(user)


async def test_try_it_now_and_first_calls_have_a_badge(site: Site, user: User) -> None:
    flow_id = site.flow("Sorter", live=True, file=asking())
    job_id = ended(site, flow_id)
    ended(site, flow_id)
    site.database.write_now(lambda session: setattr(session.get_one(Job, job_id), "simulated", True))
    await user.open(f"/flows/{flow_id}")

    assert texts(user).count("Made-up answers") == 1  # of Try it now
    await until(lambda: texts(user).count("Made-up answer") == 1)  # of one of the two calls


async def test_nothing_changes_for_callers_is_said_only_when_nothing_changed(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    site.database.write_now(save_draft, site.owner, flow_id, document(greeting("Bye {{ api_input.out.name }}")), 1)
    await user.open(f"/flows/{flow_id}")
    press(user, "Update API")
    await user.should_see("Same fields; answers may differ.")
    assert "Nothing changes for callers." not in texts(user)

    relabelled = greeting()
    relabelled["nodes"][1]["label"] = "Say hello"
    site.database.write_now(save_draft, site.owner, flow_id, document(relabelled), 2)
    await user.open(f"/flows/{flow_id}")
    press(user, "Update API")
    await user.should_see("Nothing changes for callers.")


async def test_the_check_step_says_that_answers_come_from_the_practice_documents(site: Site, user: User) -> None:
    template = find_template("answer-from-documents").file
    site.database.write_now(bring_documents, site.owner, sample_documents(template.document))
    flow_id = site.flow("Handbook", file=template.document.as_json())
    await user.open(f"/flows/{flow_id}")

    press(user, "Deploy API")
    await user.should_see("Answers come from the practice documents.")
    assert links(user)["Use my documents"] == f"/playground/{flow_id}?node=search_knowledge"

    (collection,) = site.database.read_now(list_collections, site.workspace_id)
    site.database.write_now(add_text, site.owner, collection.id, "Our rules", "Nobody works on Sundays.")
    await user.open(f"/flows/{flow_id}")
    press(user, "Deploy API")
    await user.should_see("Deploy Handbook")
    assert "Answers come from the practice documents." not in page_text(user), "it has a text of their own"
