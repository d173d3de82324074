"""The key "Try it now" of servers that share a database: its secret is sealed there, so that none replaces another's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.actions.keys import TRY_LABEL, revoke_key, rotate_key, try_key
from engine.actions.principal import Principal, command_line
from engine.actions.workspaces import ensure_workspace
from engine.core.environments import Environment
from engine.secrets.sealing import Vault
from storage.database import Database
from storage.keys import list_keys
from tests.databases import open_database

VAULT = Vault(bytes(32))


@pytest.fixture
def database(new_data: Path) -> Iterator[Database]:
    opened = open_database(new_data)
    yield opened
    opened.close()


@pytest.fixture
def owner(database: Database) -> Principal:
    return command_line(database.write_now(ensure_workspace, "free"))


def test_every_server_gets_the_same_secret(database: Database, owner: Principal) -> None:
    made = database.write_now(try_key, owner, VAULT)
    assert database.write_now(try_key, owner, VAULT) == made
    (key,) = database.read_now(list_keys, owner.workspace_id)
    assert (key.id, key.label, key.environment, key.last4) == (made.id, TRY_LABEL, Environment.DEV, made.key[-4:])


def test_a_secret_that_is_no_longer_valid_is_replaced(database: Database, owner: Principal) -> None:
    made = database.write_now(try_key, owner, VAULT)
    rotated = database.write_now(rotate_key, owner, made.id, 0)
    again = database.write_now(try_key, owner, VAULT)
    assert again.id == made.id
    assert again.key not in {made.key, rotated.key}
    database.write_now(revoke_key, owner, made.id)
    assert database.write_now(try_key, owner, VAULT).id != made.id


def test_a_secret_that_was_sealed_with_another_key_is_replaced(database: Database, owner: Principal) -> None:
    made = database.write_now(try_key, owner, Vault(bytes([1]) * 32))
    again = database.write_now(try_key, owner, VAULT)
    assert (again.id, again.key == made.key) == (made.id, False)
    assert database.write_now(try_key, owner, VAULT) == again
