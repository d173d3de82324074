"""The key "Try it now": servers that share a database have its secret sealed there, so that none replaces another's. A key
whose secret a person was shown is theirs.
"""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from engine.actions.keys import TRY_LABEL, change_key, create_key, find_try_key, revoke_key, rotate_key, try_key
from engine.actions.principal import Principal
from engine.core.api_key_format import parse_key
from engine.core.environments import Environment
from engine.secrets.sealing import Vault
from storage.database import Database
from storage.keys import find_caller, get_key, list_keys
from storage.settings import TRY_KEY, put_setting

VAULT = Vault(bytes(32))


def test_every_server_gets_the_same_secret(database: Database, ada: Principal) -> None:
    made = database.write_now(try_key, ada, VAULT)
    assert database.write_now(try_key, ada, VAULT) == made
    (key,) = database.read_now(list_keys, ada.workspace_id)
    assert (key.id, key.label, key.environment, key.last4) == (made.id, TRY_LABEL, Environment.DEV, made.key[-4:])


@pytest.mark.parametrize("vault", [VAULT, None], ids=["sealed in the database", "in memory only"])
def test_a_key_that_somebody_rotated_or_made_is_theirs(database: Database, ada: Principal, vault: Vault | None) -> None:
    first = database.write_now(try_key, ada, vault)
    rotated = database.write_now(rotate_key, ada, first.id, 24)
    own = database.write_now(create_key, ada, TRY_LABEL, Environment.DEV)
    second = database.write_now(try_key, ada, vault)
    third = database.write_now(try_key, ada, vault)
    assert database.read_now(find_try_key, ada.workspace_id) == third.id
    assert second.id not in {first.id, own.id}
    assert third.id == second.id
    for text in (first.key, rotated.key, own.key, third.key):
        assert database.read_now(find_caller, parse_key(text)) is not None


@pytest.mark.parametrize("vault", [VAULT, None], ids=["sealed in the database", "in memory only"])
def test_a_key_that_was_revoked_or_has_another_label_is_replaced(
    database: Database, ada: Principal, vault: Vault | None
) -> None:
    first = database.write_now(try_key, ada, vault)
    database.write_now(revoke_key, ada, first.id)
    second = database.write_now(try_key, ada, vault)
    seen = database.read_now(get_key, ada.workspace_id, second.id).properties
    database.write_now(change_key, ada, second.id, seen, replace(seen, label="Shop"))
    assert database.read_now(find_try_key, ada.workspace_id) is None
    assert len({first.id, second.id, database.write_now(try_key, ada, vault).id}) == 3


def test_the_key_that_release_0_2_0_sealed_is_known(database: Database, ada: Principal) -> None:
    made = database.write_now(create_key, ada, TRY_LABEL, Environment.DEV)
    sealed = VAULT.seal(ada.workspace_id, made.id, made.key)
    database.write_now(put_setting, ada.workspace_id, TRY_KEY, {"key_id": made.id, "sealed": sealed})
    assert database.read_now(find_try_key, ada.workspace_id) == made.id
    assert database.write_now(try_key, ada, VAULT) == made


def test_a_secret_that_only_memory_had_is_replaced(database: Database, ada: Principal) -> None:
    made = database.write_now(try_key, ada, None)
    again = database.write_now(try_key, ada, None)
    assert (again.id, again.key == made.key) == (made.id, False)
    assert database.read_now(find_caller, parse_key(made.key)) is None
    sealed = database.write_now(try_key, ada, VAULT)
    assert sealed.id == made.id
    assert database.write_now(try_key, ada, VAULT) == sealed


def test_a_secret_that_was_sealed_with_another_key_is_replaced(database: Database, ada: Principal) -> None:
    made = database.write_now(try_key, ada, Vault(bytes([1]) * 32))
    again = database.write_now(try_key, ada, VAULT)
    assert (again.id, again.key == made.key) == (made.id, False)
    assert database.write_now(try_key, ada, VAULT) == again
