"""Tests of the model setting of a Prompt: a connection, a model from its list or a typed name, and what is offered
without a connection.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from nicegui.testing import User
from nicegui.testing.user_interaction import UserInteraction

from engine.actions.connections import add_connection
from engine.core.settings import Settings
from engine.secrets.sealing import open_vault
from storage.owner_notes import list_open_notes
from tests.factories import greeting
from tests.stand_ins.openai_server import OpenAIServer
from tests.ui.arrange import box, buttons, draft, page_text, press, until
from tests.ui.conftest import Site
from tests.ui.playground.test_run_panel import named, opened

pytestmark = pytest.mark.process


@pytest.fixture
def local_server() -> Iterator[OpenAIServer]:
    with OpenAIServer(owner="library", models=("llama3.2:3b",)) as running:
        yield running


@pytest.fixture
def settings(settings: Settings, local_server: OpenAIServer) -> Settings:
    return replace(settings, local_servers=(local_server.port,))


def prompting(site: Site, model: str) -> str:
    file = greeting(edges=[{"id": "e1", "source": "api_input", "target": "prompt"}])
    file["nodes"][1] = {"id": "prompt", "type": "prompt", "config": {"model": model}, "inputs": {"prompt": "Hi"}}
    return site.flow("Letter", saved=False, file=file)


async def show(user: User, flow_id: str) -> None:
    await opened(user, flow_id, "?node=prompt")
    await user.should_see("Longest answer", retries=100)


def connect(site: Site, name: str = "box", **settings: Any) -> None:
    site.database.write_now(add_connection, site.owner, open_vault(site.settings.data), name, "vllm", **settings)


def model_of(site: Site, flow_id: str) -> Any:
    node = draft(site, flow_id).node("prompt")
    assert node is not None
    return node.config.get("model")


async def kept(site: Site, flow_id: str, model: str) -> None:
    """Waits until the draft holds this model."""
    await until(lambda: model_of(site, flow_id) == model, lambda: model_of(site, flow_id))


async def test_a_connection_and_one_of_its_models_are_chosen(site: Site, user: User) -> None:
    connect(site, models=["a", "b"], named_models=["mine"])
    flow_id = prompting(site, "simulated")
    await show(user, flow_id)
    assert "every answer is marked as simulated" in page_text(user)
    assert user.client is not None
    head = next(one for one in user.client.elements.values() if "fp-itype" in one.classes)
    assert [one.visible for one in head] == [True, True], "the type, and the badge"
    named(user, "Connection").value = "=box"
    await kept(site, flow_id, "box:mine")
    await until(lambda: [one.visible for one in head] == [True, False])
    assert named(user, "Model of the connection").options == ["mine", "a", "b"]
    named(user, "Model of the connection").value = "b"
    await kept(site, flow_id, "box:b")
    named(user, "Connection").value = "simulated"
    await kept(site, flow_id, "simulated")


async def test_a_model_that_no_list_shows_stays_and_is_named_freely(site: Site, user: User) -> None:
    connect(site, models=["a"])
    flow_id = prompting(site, "box:other:7b")
    await show(user, flow_id)
    pick = named(user, "Model of the connection")
    assert (pick.value, pick.options) == ("other:7b", ["other:7b", "a"])
    UserInteraction(user, {pick}, None).trigger("update:modelValue", "mistral:7b-instruct")
    await kept(site, flow_id, "box:mistral:7b-instruct")


async def test_a_connection_that_is_gone_is_told_and_an_editor_asks_the_owner(site: Site) -> None:
    connect(site)
    user = await site.sign_in("editor")
    flow_id = prompting(site, "gone:gpt")
    await show(user, flow_id)
    assert named(user, "Connection").options["=gone"] == "gone (is gone)"
    press(user, "Ask the owner")
    await user.should_see("Leave the note")
    box(user, "Message").value = "Please bring gone back."
    press(user, "Leave the note")
    await user.should_see("The owner has your note.", retries=100)
    (note,) = site.database.read_now(list_open_notes, site.workspace_id)
    assert (note.flow_id, note.message) == (flow_id, "Please bring gone back.")


async def test_a_viewer_sees_the_model_and_no_button(site: Site) -> None:
    user = await site.sign_in("viewer")
    await show(user, prompting(site, "gone:gpt"))
    assert not {"Ask the owner", "Set up a model"} & set(buttons(user))


async def test_the_owner_uses_a_server_that_was_found(site: Site, user: User, local_server: OpenAIServer) -> None:
    await user.open("/settings/models")
    press(user, "Check again")
    await user.should_see("Use it", retries=100)
    flow_id = prompting(site, "simulated")
    await show(user, flow_id)
    press(user, "Use it")
    await kept(site, flow_id, "ollama:llama3.2:3b")


async def test_a_new_prompt_has_the_only_model_there_is(site: Site, user: User) -> None:
    connect(site, models=["only"])
    flow_id = site.flow("Letter", saved=False)
    await opened(user, flow_id)
    canvas = next(one for one in user.client.elements.values() if type(one).__name__ == "EditableCanvas")  # type: ignore[union-attr]
    UserInteraction(user, {canvas}, None).trigger("addrequest", {"type": "prompt", "after": "text_template"})
    await user.should_see("Longest answer", retries=100)
    await kept(site, flow_id, "box:only")
