from __future__ import annotations

import base64
import stat

import pytest

from engine.actions.connections import (
    add_connection,
    change_connection,
    is_local,
    remember_models,
    remove_connection,
    set_price,
)
from engine.actions.secrets import add_secret, remove_secret, replace_secret
from engine.core.errors import Conflict, Invalid, NotAllowed, NotFound, SecretUnreadable
from engine.core.settings import BadSetting
from engine.models.saved_connections import open_connection
from engine.secrets.opening import open_all, open_secret
from engine.secrets.sealing import KEY_FILE, Vault, open_vault
from storage.audit import list_entries
from storage.connections import find_connection, list_connections
from storage.secrets import list_secrets
from tests.factories import person

CANARY = "sk-canary-0123456789abcdef"


@pytest.fixture
def vault(tmp_path, database):
    return open_vault(tmp_path / "data")


def test_a_sealed_value_opens_only_in_its_own_row(vault):
    sealed = vault.seal("ws_1", "secret_1", CANARY)
    assert vault.open("ws_1", "secret_1", sealed) == CANARY
    for workspace_id, secret_id in (("ws_2", "secret_1"), ("ws_1", "secret_2")):
        with pytest.raises(SecretUnreadable):
            vault.open(workspace_id, secret_id, sealed)


def test_another_key_or_a_changed_text_opens_nothing(vault):
    sealed = vault.seal("ws_1", "secret_1", CANARY)
    with pytest.raises(SecretUnreadable):
        Vault(b"k" * 32).open("ws_1", "secret_1", sealed)
    for broken in (sealed[:-8] + "AAAAAAA=", "v1.%%%", ""):
        with pytest.raises(SecretUnreadable):
            vault.open("ws_1", "secret_1", broken)


def test_the_same_value_never_seals_to_the_same_text(vault):
    assert vault.seal("ws_1", "secret_1", CANARY) != vault.seal("ws_1", "secret_1", CANARY)


def test_the_key_is_made_once_and_only_the_owner_may_read_it(tmp_path, vault):
    file = tmp_path / "data" / KEY_FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    sealed = vault.seal("ws_1", "secret_1", CANARY)
    assert open_vault(tmp_path / "data").open("ws_1", "secret_1", sealed) == CANARY
    assert [path.name for path in file.parent.iterdir() if path.name.startswith(KEY_FILE)] == [KEY_FILE]


def test_the_key_may_come_from_a_named_file(tmp_path):
    file = tmp_path / "key"
    file.write_text(base64.b64encode(b"x" * 32).decode() + "\n")
    assert open_vault(tmp_path, file).seal("ws_1", "secret_1", "value")
    assert not (tmp_path / KEY_FILE).exists()


@pytest.mark.parametrize("text", ["", "short", base64.b64encode(b"x" * 31).decode(), "x" * 44])
def test_a_key_file_without_a_key_is_refused(tmp_path, text):
    file = tmp_path / "key"
    file.write_text(text)
    with pytest.raises(BadSetting, match="openssl rand -base64 32"):
        open_vault(tmp_path, file)
    with pytest.raises(BadSetting):
        open_vault(tmp_path, tmp_path / "absent")


def test_a_secret_is_listed_by_name_and_opened_only_by_the_worker(database, ada, vault):
    secret_id = database.write_now(add_secret, ada, vault, "Shop token", CANARY, "api.example.com")
    (row,) = database.read_now(list_secrets, ada.workspace_id)
    assert (row.id, row.name) == (secret_id, "Shop token")
    assert CANARY not in repr(row)
    assert database.read_now(open_secret, vault, ada.workspace_id, secret_id) == CANARY


def test_a_replaced_secret_keeps_its_id(database, ada, vault):
    secret_id = database.write_now(add_secret, ada, vault, "Shop token", CANARY, "api.example.com")
    database.write_now(replace_secret, ada, vault, secret_id, "another value")
    assert database.read_now(open_secret, vault, ada.workspace_id, secret_id) == "another value"


def test_a_foreign_secret_cannot_be_opened_replaced_or_removed(database, ada, stranger, vault):
    secret_id = database.write_now(add_secret, ada, vault, "Shop token", CANARY, "api.example.com")
    with pytest.raises(NotFound):
        database.read_now(open_secret, vault, stranger.workspace_id, secret_id)
    with pytest.raises(NotFound):
        database.write_now(replace_secret, stranger, vault, secret_id, "mine")
    with pytest.raises(NotFound):
        database.write_now(remove_secret, stranger, secret_id)


def test_no_file_of_the_data_folder_holds_a_secret(database, ada, vault, tmp_path):
    database.write_now(add_secret, ada, vault, "Shop token", CANARY, "api.example.com")
    database.write_now(add_connection, ada, vault, "oa", "openai", key=CANARY)
    database.write_now(change_connection, ada, vault, "oa", key=CANARY + "2")
    for file in (tmp_path / "data").rglob("*"):
        assert not file.is_file() or b"canary" not in file.read_bytes()
    assert all(CANARY not in row.detail for row in database.read_now(list_entries, ada.workspace_id))
    assert sorted(database.read_now(open_all, vault)) == [CANARY, CANARY + "2"]


def test_a_connection_opens_with_its_key_address_and_prices(database, ada, vault):
    database.write_now(
        add_connection, ada, vault, "ollama", "openai_compatible", base_url="http://localhost:11434/v1/", key=CANARY
    )
    database.write_now(set_price, ada, "ollama", "llama", 1_000, 2_000)
    found = database.read_now(open_connection, vault, ada.workspace_id, "ollama")
    assert (found.address, found.key, found.local) == ("http://localhost:11434/v1", CANARY, True)
    assert found.own_prices["llama"].output_nanos == 2_000
    assert CANARY not in repr(found)


def test_a_connection_is_known_only_in_its_workspace(database, ada, stranger, vault):
    database.write_now(add_connection, ada, vault, "oa", "openai", key=CANARY)
    assert database.read_now(open_connection, vault, stranger.workspace_id, "oa") is None
    assert database.read_now(list_connections, stranger.workspace_id) == []
    with pytest.raises(NotFound):
        database.write_now(remove_connection, stranger, "oa")


def test_changing_a_connection_keeps_replaces_or_drops_the_key(database, ada, vault):
    database.write_now(add_connection, ada, vault, "oa", "openai", key="first key")
    opened = lambda: database.read_now(open_connection, vault, ada.workspace_id, "oa").key  # noqa: E731
    database.write_now(change_connection, ada, vault, "oa", base_url="https://API.openai.com/v2")
    assert opened() == "first key"
    database.write_now(change_connection, ada, vault, "oa", key="second key")
    assert opened() == "second key"
    database.write_now(change_connection, ada, vault, "oa", key="")
    assert opened() is None
    assert database.read_now(open_all, vault) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, "https://other.example.com/v1"),
        ("https://one.example.com/v1", None),
        ("https://one.example.com/v1", "http://one.example.com/v1"),
        ("https://one.example.com/v1", "https://one.example.com:8443/v1"),
        ("http://one.example.com/v1", "https://one.example.com:8443/v1"),
        ("https://one.example.com:8443/v1", "http://one.example.com:8443/v1"),
    ],
)
def test_a_stored_key_does_not_go_to_another_host(database, ada, vault, before, after):
    database.write_now(add_connection, ada, vault, "oa", "openai", key=CANARY, base_url=before)
    database.write_now(change_connection, ada, vault, "oa", base_url=after)
    assert database.read_now(open_connection, vault, ada.workspace_id, "oa").key is None
    assert database.read_now(open_all, vault) == []
    assert database.read_now(list_entries, ada.workspace_id)[0].detail.endswith(", without a key")
    database.write_now(change_connection, ada, vault, "oa", base_url=before, key="given anew")
    assert database.read_now(open_connection, vault, ada.workspace_id, "oa").key == "given anew"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("http://llm.lan:8000/v1", "https://llm.lan:8000/v1"),
        ("http://llm.lan/v1", "https://llm.lan/v1"),
        ("https://llm.lan/v1", "https://LLM.lan:443/v2"),
        ("https://llm.lan/v1", "https://llm.lan./v1"),
        ("http://llm.lan:80", "http://llm.lan"),
        (None, "https://api.openai.com:443/v1"),
    ],
)
def test_a_stored_key_stays_where_the_server_stays(database, ada, vault, before, after):
    database.write_now(add_connection, ada, vault, "oa", "openai", key=CANARY, base_url=before)
    database.write_now(change_connection, ada, vault, "oa", base_url=after)
    assert database.read_now(open_connection, vault, ada.workspace_id, "oa").key == CANARY


def test_removing_a_connection_removes_its_key(database, ada, vault):
    database.write_now(add_connection, ada, vault, "oa", "openai", key=CANARY)
    database.write_now(remove_connection, ada, "oa")
    assert database.read_now(open_all, vault) == []
    assert database.read_now(find_connection, ada.workspace_id, "oa") is None


def test_a_secret_in_use_by_a_connection_stays(database, ada, vault):
    database.write_now(add_connection, ada, vault, "oa", "openai", key=CANARY)
    secret_id = database.read_now(find_connection, ada.workspace_id, "oa").secret_id
    with pytest.raises(Conflict):
        database.write_now(remove_secret, ada, secret_id)


@pytest.mark.parametrize(
    ("name", "provider", "base_url", "pointers"),
    [
        ("has:colon", "openai", None, ["/name"]),
        ("simulated", "openai", None, ["/name"]),
        ("", "nobody", None, ["/name", "/provider"]),
        ("vllm", "openai_compatible", None, ["/base_url"]),
        ("vllm", "openai_compatible", "ftp://host/v1", ["/base_url"]),
        ("vllm", "openai_compatible", "http://user:pass@host/v1", ["/base_url"]),
        ("vllm", "openai_compatible", "http://host:99999/v1", ["/base_url"]),
    ],
)
def test_a_wrong_connection_is_refused_with_every_wrong_field(database, ada, vault, name, provider, base_url, pointers):
    with pytest.raises(Invalid) as refused:
        database.write_now(add_connection, ada, vault, name, provider, base_url=base_url)
    assert [error.pointer for error in refused.value.errors] == pointers


def test_a_name_is_given_once(database, ada, vault):
    database.write_now(add_connection, ada, vault, "oa", "openai")
    with pytest.raises(Conflict):
        database.write_now(add_connection, ada, vault, "oa", "anthropic")


@pytest.mark.parametrize(
    ("provider", "base_url", "local"),
    [
        ("openai_compatible", None, False),
        ("openai_compatible", "http://localhost:11434", True),
        ("openai_compatible", "http://127.0.0.1/v1", True),
        ("vllm", "http://192.168.1.9:8000", True),
        ("vllm", "http://[::1]:8000", True),
        ("ollama", "http://ollama:11434", True),
        ("ollama", None, True),
        ("vllm", None, True),
        ("ollama", "https://ollama.example.com/v1", False),
        ("openai_compatible", "https://api.example.com/v1", False),
        ("openai_compatible", "https://8.8.8.8/v1", False),
        ("openai", None, False),
        ("openai", "http://127.0.0.1:4000/v1", False),
        ("azure_openai", "https://10.1.2.3", False),
    ],
)
def test_a_model_server_of_ones_own_costs_nothing_and_what_is_sold_does(provider, base_url, local):
    assert is_local(provider, base_url) is local


def test_listed_models_are_remembered_once_each(database, ada, vault):
    database.write_now(add_connection, ada, vault, "oa", "openai")
    database.write_now(remember_models, ada, "oa", ["b", "a", "b"])
    assert database.read_now(find_connection, ada.workspace_id, "oa").models == ("a", "b")


def test_an_editor_touches_no_connection_and_no_secret(database, ada, vault):
    editor = person(ada.workspace_id, "editor")
    with pytest.raises(NotAllowed):
        database.write_now(add_connection, editor, vault, "oa", "openai")
    with pytest.raises(NotAllowed):
        database.write_now(add_secret, editor, vault, "Token", "value", "api.example.com")
