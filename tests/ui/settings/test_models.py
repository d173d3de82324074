"""Settings, Models and secrets: connections of every provider, prices, local servers, requests for a model."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from nicegui.testing import User

from engine.actions.connections import add_connection, change_connection, set_price
from engine.actions.members import ensure_owner, sign_in
from engine.actions.owner_notes import ask_owner
from engine.actions.principal import Principal
from engine.actions.secrets import add_secret, set_secret_hosts
from engine.actions.workspaces import create_workspace
from engine.core.settings import Settings
from engine.models.provider_catalog import PROVIDERS
from engine.models.saved_connections import open_connection
from engine.secrets.opening import open_secret
from engine.secrets.sealing import Vault, open_vault
from storage.connections import find_connection, list_connections, list_prices
from storage.owner_notes import list_open_notes
from storage.secrets import list_secrets
from storage.settings import SECRET_HOSTS_FOUND, find_setting, put_setting
from storage.tables import Flow, Secret
from tests.factories import document, greeting
from tests.stand_ins.openai_server import OpenAIServer
from tests.ui.arrange import box, buttons, page_text, press, press_named
from tests.ui.conftest import PASSWORD, Site, hashed

pytestmark = pytest.mark.process

SECRET = "sk-very-secret-0123456789"
PAGE = "/settings/models"


@pytest.fixture
def model_server() -> Iterator[OpenAIServer]:
    with OpenAIServer(key=SECRET) as running:
        yield running


@pytest.fixture
def local_server() -> Iterator[OpenAIServer]:
    with OpenAIServer(owner="library", models=("llama3.2:3b",)) as running:
        yield running


@pytest.fixture
def settings(settings: Settings, local_server: OpenAIServer) -> Settings:
    """Lets these tests find a model server on this machine."""
    return replace(settings, local_servers=(local_server.port,))


@pytest.fixture
async def vault(site: Site) -> AsyncIterator[Vault]:
    return open_vault(site.settings.data)


def prompting(model: str) -> dict:
    file = greeting()
    file["nodes"][1] = {"id": "prompt", "type": "prompt", "config": {"model": model}, "inputs": {"prompt": "Hi"}}
    file["edges"][0]["target"] = "prompt"
    return file


CHARGES = (
    "This takes a key from the provider of the model, for which it charges. When you have none, ask whoever looks after"
    " such accounts where you work. Until then everything works with made-up answers."
)


def seen(user: User, text: str) -> bool:
    """Whether the text is on the page and no element around it is hidden."""
    assert user.client is not None
    found = [one for one in user.client.elements.values() if getattr(one, "text", "") == text]
    return any(one.visible and all(around.visible for around in one.ancestors()) for one in found)


async def test_the_box_that_says_that_none_is_there_has_the_button(user: User) -> None:
    await user.open(PAGE)
    await user.should_see("No model connected yet")
    press(user, "Connect a model")
    await user.should_see("A new connection")


async def test_a_connection_is_added_and_tested_and_its_key_is_never_shown(
    site: Site, user: User, model_server: OpenAIServer
) -> None:
    await user.open(PAGE)
    press(user, "Add a connection")
    box(user, "Provider").value = "openai_compatible"
    box(user, "Base URL").value = model_server.url
    box(user, "Key").value = SECRET
    press(user, "Save and test")
    await user.should_see("It works", retries=100)

    (connection,) = site.database.read_now(list_connections, site.workspace_id)
    assert (connection.name, connection.has_key) == ("local", True)
    assert connection.models
    assert SECRET not in page_text(user)
    answer = await user.http_client.get(PAGE)
    assert SECRET not in answer.text


async def test_what_another_key_has_sealed_has_to_be_entered_again(site: Site, user: User, tmp_path: Path) -> None:
    (tmp_path / "lost").mkdir()
    lost = open_vault(tmp_path / "lost")
    site.database.write_now(add_connection, site.owner, lost, "box", "openai", key=SECRET)
    site.database.write_now(add_secret, site.owner, lost, "Shop", SECRET, "shop.example.com")
    await user.open(PAGE)
    assert page_text(user).count("Cannot be read any more: enter it again") == 2
    assert "Key stored" not in page_text(user)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_the_form_follows_the_provider(site: Site, user: User, provider: str) -> None:
    known = PROVIDERS[provider]
    await user.open(PAGE)
    press(user, "Add a connection")
    box(user, "Calls at once").value = "7"
    box(user, "Provider").value = provider
    assert seen(user, known.key_page or "Keys are made at") is bool(known.key_page)
    assert seen(user, "API version") is (known.wire == "azure")
    assert seen(user, CHARGES) is known.needs_key
    assert box(user, "Base URL").props["placeholder"] == known.address_hint or known.address
    assert box(user, "Calls at once").value == "7", "what was written stays"
    named = "Deployments" if known.wire == "azure" else "More models"
    assert box(user, named).props["placeholder"] == known.model_hint


async def test_a_server_of_ones_own_company_is_found_and_asks_for_the_name_of_its_model(site: Site, user: User) -> None:
    await user.open(PAGE)
    press(user, "Add a connection")
    provider = box(user, "Provider")
    (own,) = [name for name, words in provider.options.items() if "your company's own" in words]  # type: ignore[attr-defined]
    provider.value = own
    assert own == "openai_compatible"
    await user.should_see("The name of the model that you were given")


@pytest.mark.parametrize("label", ["Key", "Name"])
async def test_an_address_in_another_field_is_told_also_after_the_provider_was_chosen_by_hand(
    user: User, label: str
) -> None:
    await user.open(PAGE)
    press(user, "Add a connection")
    box(user, label).value = "https://ai.house.example/v1"
    box(user, "Provider").value = "openai_compatible"
    await user.should_see("This is an address. It goes under “Base URL”.")


@pytest.mark.parametrize("label", ["Key", "Name"])
async def test_an_address_that_was_given_becomes_that_of_any_server(user: User, label: str) -> None:
    await user.open(PAGE)
    press(user, "Add a connection")
    await user.should_see("Were you given an address, like https://models.example.com/v1?")
    box(user, label).value = " https://ai.house.example/v1"
    await user.should_see("This is an address. Press “I have an address” under the provider.")
    press(user, "I have an address")
    assert box(user, "Provider").value == "openai_compatible"
    written = [box(user, one).value for one in ("Base URL", "Key", "Name")]
    assert written == ["https://ai.house.example/v1", "", "local"]
    assert not seen(user, "This is an address.")
    assert not seen(user, "Were you given an address")


async def test_what_was_typed_is_still_there_after_looking_at_another_provider(site: Site, user: User) -> None:
    await user.open(PAGE)
    press(user, "Add a connection")
    box(user, "Provider").value = "azure_openai"
    typed = {"Base URL": "https://mine.example", "Key": SECRET, "API version": "2024-06-01", "Deployments": "small"}
    boxes = {label: box(user, label) for label in typed}
    for label, text in typed.items():
        boxes[label].value = text

    box(user, "Provider").value = "openai"
    assert not seen(user, "API version")
    box(user, "Provider").value = "azure_openai"

    assert {label: box(user, label).value for label in typed} == typed
    assert all(box(user, label) is boxes[label] for label in typed), "a box that is drawn anew loses the caret"


async def test_an_azure_connection_names_its_version_and_its_deployments(site: Site, user: User, vault: Vault) -> None:
    await user.open(PAGE)
    press(user, "Add a connection")
    box(user, "Provider").value = "azure_openai"
    press(user, "Save and test")
    await user.should_see("Say where the server is, like https://my-resource.openai.azure.com")
    box(user, "Base URL").value = "http://127.0.0.1:1"
    box(user, "API version").value = "soon"
    box(user, "Calls at once").value = "many"
    press(user, "Save and test")
    await user.should_see("Write a whole number, or leave it empty.")
    box(user, "Calls at once").value = "2"
    press(user, "Save and test")
    await user.should_see("The API version is a date")
    box(user, "API version").value = "2024-06-01"
    box(user, "Deployments").value = "small\nlarge"
    box(user, "Key").value = SECRET
    press(user, "Save and test")
    await user.should_see("could not be reached", retries=100)
    assert {"azure:small", "azure:large", "2 calls at once", "API version 2024-06-01"} <= set(
        page_text(user).split("\n")
    )
    found = site.database.read_now(open_connection, vault, site.workspace_id, "azure")
    assert found is not None
    assert (found.key, found.version, found.at_once) == (SECRET, "2024-06-01", 2)


async def test_changing_a_connection_shows_what_was_said_and_keeps_the_key(
    site: Site, user: User, vault: Vault
) -> None:
    site.database.write_now(
        *(add_connection, site.owner, vault, "box", "vllm"),
        base_url="http://127.0.0.1:1/v1",
        key=SECRET,
        named_models=["mine"],
        max_concurrency=3,
    )
    await user.open(PAGE)
    press(user, "Change")
    assert [box(user, label).value for label in ("Base URL", "More models", "Calls at once", "Key")] == [
        "http://127.0.0.1:1/v1", "mine", "3", "",
    ]  # fmt: skip
    box(user, "Calls at once").value = ""
    press(user, "Save and test")
    await user.should_see("could not be reached", retries=100)
    found = site.database.read_now(open_connection, vault, site.workspace_id, "box")
    assert found is not None
    assert (found.key, found.max_concurrency) == (SECRET, None)


async def test_a_price_is_set_changed_and_removed(site: Site, user: User, vault: Vault) -> None:
    site.database.write_now(
        add_connection, site.owner, vault, "oa", "openai", key=SECRET, named_models=["nobody-knows-it"]
    )
    await user.open(PAGE)
    await user.should_see("Price unknown")
    press(user, "Set a price")
    await user.should_see("Save the price")
    box(user, "Input").value = "cheap"
    box(user, "Output").value = "1.5"
    press(user, "Save the price")
    await user.should_see("Write an amount like 0.15")
    box(user, "Input").value = "1e308"
    press(user, "Save the price")
    await user.should_see("A price can be $10,000 for a million tokens at most", retries=100)
    box(user, "Input").value = "0,5"
    press(user, "Save the price")
    await user.should_see("your price", retries=100)
    (price,) = site.database.read_now(list_prices, site.workspace_id)
    assert (price.input_nanos, price.output_nanos) == (500_000_000, 1_500_000_000)

    press(user, "Change price")
    await user.should_see("Save the price")
    assert box(user, "Input").value == "0.5"
    press(user, "Cancel")
    press(user, "Remove price")
    await user.should_see("Price unknown", retries=100)
    assert site.database.read_now(list_prices, site.workspace_id) == []


async def test_all_models_are_shown_on_request_those_with_a_price_of_ones_own_first(
    site: Site, user: User, vault: Vault
) -> None:
    models = [f"model-{number:02}" for number in range(30)]
    site.database.write_now(add_connection, site.owner, vault, "box", "vllm", models=models)
    site.database.write_now(set_price, site.owner, "box", "model-29", 1, 1)
    await user.open(PAGE)
    assert "box:model-29" in page_text(user)
    assert "box:model-20" not in page_text(user)
    press(user, "Show all 30 models")
    assert "box:model-20" in page_text(user)


async def test_a_connection_says_which_flows_use_it(site: Site, user: User, vault: Vault) -> None:
    for name in ("used", "idle"):
        site.database.write_now(add_connection, site.owner, vault, name, "ollama")
    site.flow("News", file=prompting("used:llama"))
    site.flow("Weather", live=True, file=prompting("used:llama"))
    await user.open(PAGE)
    said = page_text(user)
    assert "Used by 2 flows:\nNews\nWeather" in said
    assert said.count("No flow uses it yet.") == 1
    assert "Use it in" not in said, "no flow has the Simulated model"
    lives = site.flow("Lives", live=True, file=prompting("simulated"))
    site.database.write_now(lambda session: setattr(session.get_one(Flow, lives), "draft", document().dumps()))
    await user.open(PAGE)
    assert "Use it in" not in page_text(user), "what callers reach is not on the canvas"
    weekly = site.flow("Weekly", file=prompting("simulated"))
    await user.open(PAGE)
    (offer,) = user.find("Use it in “Weekly”").elements
    assert offer.props["href"] == f"/playground/{weekly}"
    press_named(user, "Remove used")
    await user.should_see("Used by 2 flows. Its key and your prices are deleted.")
    press(user, "Cancel")


async def test_a_server_of_this_machine_is_offered_and_used_with_one_press(
    site: Site, user: User, local_server: OpenAIServer
) -> None:
    await user.open(PAGE)
    await user.should_see("No model server answered")
    press(user, "Check again")
    await user.should_see("Ollama", retries=100)
    press(user, "Use it")
    await user.should_see("It works", retries=100)
    row = site.database.read_now(find_connection, site.workspace_id, "ollama")
    assert row is not None
    assert (row.provider, row.base_url, row.models, row.local) == ("ollama", local_server.url, ("llama3.2:3b",), True)
    assert "Use it" not in buttons(user)
    await user.should_see("Every server that was found is connected.")


async def test_a_second_server_gets_a_name_of_its_own(
    site: Site, user: User, vault: Vault, local_server: OpenAIServer
) -> None:
    site.database.write_now(add_connection, site.owner, vault, "ollama", "ollama", base_url="http://10.0.0.7:11434/v1")
    await user.open(PAGE)
    press(user, "Check again")
    await user.should_see("Use it", retries=100)
    press(user, "Use it")
    await user.should_see("It works", retries=100)
    assert [row.name for row in site.database.read_now(list_connections, site.workspace_id)] == ["ollama", "ollama-2"]


async def test_another_workspace_is_offered_no_server_of_this_machine(
    site: Site, user: User, local_server: OpenAIServer
) -> None:
    await user.open(PAGE)
    press(user, "Check again")
    await user.should_see("Use it", retries=100)
    elsewhere = site.database.write_now(create_workspace, "Elsewhere")
    site.database.write_now(ensure_owner, elsewhere, "mallory@example.com", hashed())
    cookie = await sign_in(site.database, "mallory@example.com", PASSWORD)
    user.http_client.cookies.set("flowport_session", cookie)

    for page in (PAGE, "/templates"):
        await user.open(page)
        assert not {"Check again", "Use it"} & set(buttons(user))
    await user.open(PAGE)
    press(user, "Add a connection")
    await user.should_see("is refused until the owner of this server allows it")
    box(user, "Provider").value = "ollama"
    box(user, "Base URL").value = local_server.url
    press(user, "Save and test")
    await user.should_see("it leads into a private or reserved network", retries=100)


async def test_notes_to_the_owner_are_shown_until_they_are_done(site: Site, user: User) -> None:
    flow_id = site.flow("News", file=prompting("simulated"))
    eve = Principal(site.owner.workspace_id, "user_eve", "Eve", "editor")
    site.database.write_now(ask_owner, eve, "", flow_id=flow_id, message="A small one will do.")
    await user.open(PAGE)
    said = page_text(user)
    assert "Eve\nneeds a model for\nNews" in said
    assert "A small one will do." in said
    press(user, "Done")
    await user.should_not_see("needs a model for", retries=100)
    assert site.database.read_now(list_open_notes, site.workspace_id) == []


async def test_an_editor_sees_what_there_is_and_changes_nothing(site: Site, vault: Vault) -> None:
    site.database.write_now(add_connection, site.owner, vault, "oa", "openai", key=SECRET, named_models=["gpt-4o-mini"])
    site.database.write_now(ask_owner, site.owner, "Something")
    user = await site.sign_in("editor")
    await user.open(PAGE)
    assert "oa:gpt-4o-mini" in page_text(user)
    assert "needs a model for" not in page_text(user)
    assert not {"Add a connection", "Test", "Change", "Remove", "Set a price", "Check again", "Add a secret"} & set(
        buttons(user)
    )


async def test_a_secret_is_kept_replaced_and_removed_and_never_shown(site: Site, user: User, vault: Vault) -> None:
    await user.open(PAGE)
    press(user, "Add a secret")
    await user.should_see("Keep it")
    press(user, "Keep it")
    await user.should_see("1 to 100 characters")
    box(user, "Name").value = "Shop token"
    box(user, "Value").value = SECRET
    press(user, "Keep it")
    await user.should_see("No host is named.", retries=100)
    box(user, "Hosts").value = "api.example.com"
    press(user, "Keep it")
    await user.should_see("Replace", retries=100)
    (row,) = site.database.read_now(list_secrets, site.workspace_id)
    assert row.hosts == ("api.example.com",)
    press_named(user, "Hosts Shop token")
    await user.should_see("Hosts of Shop token")
    box(user, "Hosts").value = "api.example.com\n*.shop.example"
    press(user, "Keep them")
    await user.should_see("api.example.com, *.shop.example", retries=100)
    press(user, "Replace")
    await user.should_see("Replace Shop token")
    box(user, "Value").value = SECRET + "2"
    press(user, "Keep it")
    await user.should_see("is replaced", retries=100)
    assert site.database.read_now(open_secret, vault, site.workspace_id, row.id) == SECRET + "2"
    assert SECRET not in page_text(user)
    press_named(user, "Remove Shop token")
    await user.should_see("Remove Shop token?")
    press(user, "Remove")
    await user.should_see("None yet.", retries=100)
    assert site.database.read_now(list_secrets, site.workspace_id) == []


async def test_an_open_form_does_not_undo_what_somebody_else_changed(site: Site, user: User, vault: Vault) -> None:
    hosts = "api.example.com\nold.example.com"
    secret_id = site.database.write_now(add_secret, site.owner, vault, "Shop token", SECRET, hosts)
    site.database.write_now(add_connection, site.owner, vault, "box", "vllm")
    await user.open(PAGE)
    press_named(user, "Hosts Shop token")
    await user.should_see("Hosts of Shop token")
    site.database.write_now(set_secret_hosts, site.owner, secret_id, "api.example.com")
    box(user, "Hosts").value = f"{hosts}\nnew.example.com"
    press(user, "Keep them")
    await user.should_see("Somebody changed this after you opened the page. Load the page again", retries=100)
    assert box(user, "Hosts").value == f"{hosts}\nnew.example.com"
    assert site.database.read_now(list_secrets, site.workspace_id)[0].hosts == ("api.example.com",)

    await user.open(PAGE)
    press_named(user, "Change box")
    site.database.write_now(change_connection, site.owner, vault, "box", key=SECRET)
    box(user, "Calls at once").value = "3"
    press(user, "Save and test")
    await user.should_see("Somebody changed this after you opened the page. Load the page again", retries=100)
    found = site.database.read_now(open_connection, vault, site.workspace_id, "box")
    assert found is not None
    assert (found.key, found.max_concurrency) == (SECRET, None)


async def test_the_owner_looks_at_the_hosts_that_an_upgrade_found(site: Site, user: User, vault: Vault) -> None:
    secret_id = site.database.write_now(add_secret, site.owner, vault, "Old token", SECRET, "api.example.com")
    site.database.write_now(lambda session: setattr(session.get(Secret, secret_id), "hosts", None))
    site.database.write_now(put_setting, site.workspace_id, SECRET_HOSTS_FOUND, True)
    await site.sign_in("editor")
    await user.open(PAGE)
    await user.should_see("any host (set before hosts were named)")
    assert not {"They are right", "Hosts"} & set(buttons(user))
    await site.sign_in("owner")
    await user.open(PAGE)
    await user.should_see("Whoever can change the address in a step")
    press(user, "They are right")
    await user.should_not_see("The upgrade took them from the flows", retries=100)
    assert site.database.read_now(find_setting, site.workspace_id, SECRET_HOSTS_FOUND) is None
    press_named(user, "Hosts Old token")
    await user.should_see("Hosts of Old token")
    box(user, "Hosts").value = "api.example.com"
    press(user, "Keep them")
    await user.should_not_see("Whoever can change the address in a step", retries=100)


# Requests for a model.


async def test_an_editor_asks_the_owner_from_the_templates_and_the_owner_sees_how_many_wait(site: Site) -> None:
    user = await site.sign_in("editor")
    await user.open("/templates")
    press(user, "Ask the owner")
    await user.should_see("Leave the note")
    box(user, "Message").value = "Anything small."
    press(user, "Leave the note")
    await user.should_see("The owner has your note.", retries=100)
    (note,) = site.database.read_now(list_open_notes, site.workspace_id)
    assert (note.flow_id, note.subject, note.message) == (None, "the templates that ask a model", "Anything small.")
    await user.open("/templates")
    assert "Ask the owner" not in buttons(user)

    user = await site.sign_in("owner")
    await user.open("/jobs")
    assert "1 note to you" in page_text(user)


async def test_templates_say_nothing_of_models_once_one_is_connected(site: Site, user: User, vault: Vault) -> None:
    await user.open("/templates")
    assert "Set up a model" in buttons(user)
    site.database.write_now(add_connection, site.owner, vault, "box", "ollama")
    await user.open("/templates")
    assert "Set up a model" not in buttons(user)


@pytest.mark.parametrize(
    ("came", "back", "label"),
    [
        ("http://test/playground/flow_1?node=prompt", "/playground/flow_1?node=prompt", "Back to the flow"),
        (
            "http://test/start?goal=translate-a-text&flow=flow_1",
            "/start?goal=translate-a-text&flow=flow_1",
            "Back to Start",
        ),
        ("http://test/templates", "/templates", "Back to Templates"),
        ("http://test/settings/keys", "", ""),
        ("https://evil.example//evil.example/start", "", ""),
        ("http://[", "", ""),
        ("", "", ""),
    ],
)
async def test_whoever_came_to_connect_a_model_finds_the_way_back(user: User, came: str, back: str, label: str) -> None:
    user.http_client.headers["referer"] = came
    await user.open(PAGE)
    assert user.client is not None
    hrefs = [one.props.get("href") for one in user.client.elements.values()]
    assert (back in hrefs) is bool(back)
    assert ("Back to" in page_text(user)) is bool(label)
    assert label in page_text(user)
