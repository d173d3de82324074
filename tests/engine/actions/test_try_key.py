"""The key "Try it now" of servers that share a database: its secret is sealed there, so that none replaces another's."""

from __future__ import annotations

from engine.actions.keys import TRY_LABEL, revoke_key, rotate_key, try_key
from engine.actions.principal import Principal
from engine.core.environments import Environment
from engine.secrets.sealing import Vault
from storage.database import Database
from storage.keys import list_keys

VAULT = Vault(bytes(32))


def test_every_server_gets_the_same_secret(database: Database, ada: Principal) -> None:
    made = database.write_now(try_key, ada, VAULT)
    assert database.write_now(try_key, ada, VAULT) == made
    (key,) = database.read_now(list_keys, ada.workspace_id)
    assert (key.id, key.label, key.environment, key.last4) == (made.id, TRY_LABEL, Environment.DEV, made.key[-4:])


def test_a_secret_that_is_no_longer_valid_is_replaced(database: Database, ada: Principal) -> None:
    made = database.write_now(try_key, ada, VAULT)
    rotated = database.write_now(rotate_key, ada, made.id, 0)
    again = database.write_now(try_key, ada, VAULT)
    assert again.id == made.id
    assert again.key not in {made.key, rotated.key}
    database.write_now(revoke_key, ada, made.id)
    assert database.write_now(try_key, ada, VAULT).id != made.id


def test_a_secret_that_was_sealed_with_another_key_is_replaced(database: Database, ada: Principal) -> None:
    made = database.write_now(try_key, ada, Vault(bytes([1]) * 32))
    again = database.write_now(try_key, ada, VAULT)
    assert (again.id, again.key == made.key) == (made.id, False)
    assert database.write_now(try_key, ada, VAULT) == again
