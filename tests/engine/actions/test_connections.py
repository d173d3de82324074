"""Settings of a connection are validated and stored; prices are set and removed; flows that use a connection are
counted.
"""

from __future__ import annotations

import pytest

from engine.actions.connections import (
    MAX_MODEL,
    MAX_NAMED,
    add_connection,
    change_connection,
    remember_models,
    remove_connection,
    remove_price,
    set_price,
)
from engine.actions.deployments import deploy
from engine.actions.flows import create_flow, delete_flow, import_flow, save_as
from engine.actions.owner_notes import MAX_OPEN, ask_owner, close_note
from engine.core.errors import Conflict, Invalid, NotAllowed, NotFound
from engine.core.web_addresses import LONGEST_ADDRESS
from engine.models.price import MAX_PRICE
from engine.models.provider_catalog import PROVIDERS
from engine.models.saved_connections import open_connection
from engine.secrets.sealing import open_vault
from storage.audit import list_entries
from storage.connections import SIMULATED, find_connection, flows_using, list_prices
from storage.owner_notes import count_open_notes, list_open_notes
from storage.tables import Flow
from tests.factories import document, flow_file, greeting, person

AZURE = {"base_url": "https://my.openai.azure.com", "key": "k-0123456789"}


@pytest.fixture
def vault(tmp_path, database):
    return open_vault(tmp_path / "data")


def prompting(model: str, text: str = "Hi {{ api_input.out.name }}") -> dict:
    """A flow file that asks this model."""
    file = greeting(title=f"Asks {model}")
    file["nodes"][1] = {"id": "prompt", "type": "prompt", "config": {"model": model}, "inputs": {"prompt": text}}
    file["edges"][0]["target"] = "prompt"
    return file


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_provider_can_be_saved_and_opened(database, ada, vault, provider):
    address = PROVIDERS[provider].address_hint or None
    database.write_now(add_connection, ada, vault, "mine", provider, base_url=address, key="k-0123456789")
    found = database.read_now(open_connection, vault, ada.workspace_id, "mine")
    assert (found.provider, found.key) == (provider, "k-0123456789")
    assert found.local is (provider in {"ollama", "vllm"})


def test_what_the_owner_says_reaches_the_call(database, ada, vault):
    database.write_now(
        *(add_connection, ada, vault, "azure", "azure_openai"),
        **AZURE,
        api_version=" 2024-06-01 ",
        named_models=["small ", "", "large", "small"],
        max_concurrency=3,
    )
    found = database.read_now(open_connection, vault, ada.workspace_id, "azure")
    assert (found.version, found.at_once) == ("2024-06-01", 3)
    row = database.read_now(find_connection, ada.workspace_id, "azure")
    assert row.offered == ("small", "large")
    database.write_now(change_connection, ada, vault, "azure", base_url=AZURE["base_url"])
    row = database.read_now(find_connection, ada.workspace_id, "azure")
    assert (row.api_version, row.max_concurrency, row.offered, row.has_key) == (None, None, (), True)


def test_models_of_the_owner_stand_before_those_of_the_list(database, ada, vault):
    database.write_now(add_connection, ada, vault, "vllm", "vllm", named_models=["mine", "b"])
    database.write_now(remember_models, ada, "vllm", ["b", "a"])
    assert database.read_now(find_connection, ada.workspace_id, "vllm").offered == ("mine", "b", "a")


def test_another_address_is_another_server_with_other_models(database, ada, vault):
    database.write_now(add_connection, ada, vault, "vllm", "vllm", models=["a"])
    database.write_now(change_connection, ada, vault, "vllm", max_concurrency=2)
    assert database.read_now(find_connection, ada.workspace_id, "vllm").models == ("a",)
    database.write_now(change_connection, ada, vault, "vllm", base_url="http://10.0.0.9:8000/v1")
    assert database.read_now(find_connection, ada.workspace_id, "vllm").models == ()


@pytest.mark.parametrize(
    ("provider", "settings", "pointers"),
    [
        ("azure_openai", {}, ["/base_url"]),
        ("azure_openai", {**AZURE, "api_version": "latest"}, ["/api_version"]),
        ("azure_openai", {**AZURE, "api_version": "2024-10-21&x=y"}, ["/api_version"]),
        ("openai", {"api_version": "v1"}, ["/api_version"]),
        ("vllm", {"max_concurrency": 0}, ["/max_concurrency"]),
        ("vllm", {"base_url": f"http://host/{'a' * LONGEST_ADDRESS}"}, ["/base_url"]),
        ("vllm", {"max_concurrency": 501}, ["/max_concurrency"]),
        ("vllm", {"named_models": ["x" * 201]}, ["/named_models"]),
        ("vllm", {"named_models": [str(n) for n in range(MAX_NAMED + 1)], "base_url": "no"}, ["/base_url", "/named_models"]),
    ],
)  # fmt: skip
def test_every_wrong_setting_is_named(database, ada, vault, provider, settings, pointers):
    with pytest.raises(Invalid) as refused:
        database.write_now(add_connection, ada, vault, "mine", provider, **settings)
    assert [error.pointer for error in refused.value.errors] == pointers


def test_a_price_is_set_changed_and_taken_away(database, ada, vault):
    database.write_now(add_connection, ada, vault, "oa", "openai")
    for nanos in (1, 2):
        database.write_now(set_price, ada, "oa", "gpt", nanos, nanos)
    assert [price.input_nanos for price in database.read_now(list_prices, ada.workspace_id)] == [2]
    for _ in range(2):
        database.write_now(remove_price, ada, "oa", "gpt")
    assert database.read_now(list_prices, ada.workspace_id) == []
    assert [row.verb for row in database.read_now(list_entries, ada.workspace_id)].count("remove price") == 1


def test_longer_names_of_models_are_not_kept(database, ada, vault):
    longest = "m" * MAX_MODEL
    database.write_now(add_connection, ada, vault, "vllm", "vllm", models=[longest, longest + "m"])
    assert database.read_now(find_connection, ada.workspace_id, "vllm").models == (longest,)
    database.write_now(set_price, ada, "vllm", longest, 1, 1)
    with pytest.raises(Invalid, match="at most 200 characters"):
        database.write_now(set_price, ada, "vllm", longest + "m", 1, 1)


def test_a_price_that_no_model_has_is_refused(database, ada, vault):
    database.write_now(add_connection, ada, vault, "oa", "openai")
    for nanos in (-1, MAX_PRICE + 1, 10**30):
        for prices in ((nanos, 1), (1, nanos)):
            with pytest.raises(Invalid) as refused:
                database.write_now(set_price, ada, "oa", "gpt", *prices)
            assert "below 0" in refused.value.detail or "$10,000 for a million tokens at most" in refused.value.detail
    database.write_now(set_price, ada, "oa", "gpt", MAX_PRICE, 0)
    assert [price.input_nanos for price in database.read_now(list_prices, ada.workspace_id)] == [MAX_PRICE]


def test_prices_go_with_their_connection(database, ada, vault):
    for name in ("oa", "other"):
        database.write_now(add_connection, ada, vault, name, "openai")
        database.write_now(set_price, ada, name, "gpt", 1, 1)
    database.write_now(remove_connection, ada, "oa")
    assert [price.connection for price in database.read_now(list_prices, ada.workspace_id)] == ["other"]


def test_flows_that_name_a_connection_in_draft_or_live_version_are_told(database, ada, stranger, vault):
    database.write_now(add_connection, ada, vault, "box", "ollama")
    drafted = database.write_now(create_flow, ada, "Draft", document(prompting("oa:gpt")))
    saved = database.write_now(import_flow, ada, flow_file(prompting("box:llama3.2:3b"), "Saved")).flow_id
    database.write_now(deploy, ada, saved)
    database.write_now(lambda session: setattr(session.get_one(Flow, saved), "draft", document().dumps()))
    said = 'Write {"model":"spoken:of"}, please.'
    tried = database.write_now(create_flow, ada, "Only speaks of it", document(prompting("simulated", said)))
    database.write_now(create_flow, stranger, "Foreign", document(prompting("oa:gpt")))
    gone = database.write_now(create_flow, ada, "Gone", document(prompting("oa:gpt")))
    database.write_now(delete_flow, ada, gone)
    uses = database.read_now(flows_using, ada.workspace_id)
    assert {name: [use.flow_id for use in found] for name, found in uses.items()} == {
        "oa": [drafted], "box": [saved], SIMULATED: [tried]
    }  # fmt: skip
    assert [(use.live, use.in_draft) for name in ("oa", "box", SIMULATED) for use in uses[name]] == [
        (False, True), (True, False), (False, True)
    ]  # fmt: skip


# Tests of notes to the owner.


@pytest.fixture
def eve(workspace):
    """An editor."""
    return person(workspace, "editor", "Eve")


def test_an_editor_asks_once_and_the_owner_deals_with_it(database, ada, eve):
    flow_id = database.write_now(create_flow, eve, "Draft", document(prompting("oa:gpt")))
    first = database.write_now(ask_owner, eve, "", flow_id=flow_id)
    assert database.write_now(ask_owner, eve, "", flow_id=flow_id, message="Best a small one.") == first
    (note,) = database.read_now(list_open_notes, ada.workspace_id)
    assert (note.name, note.subject, note.flow_id, note.message) == ("Eve", "Draft", flow_id, "Best a small one.")
    with pytest.raises(NotAllowed):
        database.write_now(close_note, eve, first)
    for _ in range(2):
        database.write_now(close_note, ada, first)
    assert database.read_now(count_open_notes, ada.workspace_id) == 0
    assert [row.verb for row in database.read_now(list_entries, ada.workspace_id)][:2] == [
        "close note", "ask the owner",
    ]  # fmt: skip
    assert database.write_now(ask_owner, eve, "", flow_id=flow_id) != first


def test_a_note_outlives_its_flow_and_follows_its_title(database, ada, eve):
    flow_id = database.write_now(create_flow, eve, "Draft", document(prompting("oa:gpt")))
    database.write_now(ask_owner, eve, "", flow_id=flow_id)
    database.write_now(save_as, eve, flow_id, "News of the day")
    assert [note.subject for note in database.read_now(list_open_notes, ada.workspace_id)] == ["News of the day"]
    database.write_now(delete_flow, eve, flow_id)
    (note,) = database.read_now(list_open_notes, ada.workspace_id)
    assert (note.flow_id, note.subject) == (None, "Draft")


def test_foreign_notes_and_flows_are_not_there(database, ada, stranger):
    note = database.write_now(ask_owner, ada, "Template: Page note")
    flow_id = database.write_now(create_flow, ada, "Draft", document())
    assert database.read_now(list_open_notes, stranger.workspace_id) == []
    with pytest.raises(NotFound):
        database.write_now(close_note, stranger, note)
    with pytest.raises(NotFound):
        database.write_now(ask_owner, stranger, "", flow_id=flow_id)


def test_a_viewer_asks_for_nothing_and_an_editor_only_so_often(database, workspace, eve):
    with pytest.raises(NotAllowed):
        database.write_now(ask_owner, person(workspace, "viewer"), "Anything")
    for number in range(MAX_OPEN):
        database.write_now(ask_owner, eve, f"Thing {number}")
    with pytest.raises(Conflict):
        database.write_now(ask_owner, eve, "One more")
    database.write_now(ask_owner, eve, "Thing 3")
    assert database.read_now(count_open_notes, workspace) == MAX_OPEN
