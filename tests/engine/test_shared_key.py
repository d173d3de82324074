"""The key of a database that several servers share: its fingerprint is stored, and another key is refused."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from engine.actions.workspaces import ensure_workspace
from engine.backups.backups import write_backup
from engine.backups.passphrase import find_passphrase, seal_passphrase
from engine.core.errors import Conflict
from engine.core.roles import Role
from engine.core.settings import BadSetting, Settings
from engine.secrets.opening import open_vault_of
from engine.secrets.sealing import KEY_FILE, Vault, open_vault
from engine.secrets.shared_key import require_shared_key, take_new_key
from storage.database import Database
from storage.flows import insert_flow
from storage.members import insert_account
from storage.second_factors import insert_second_factor
from storage.secrets import (
    insert_secret,
    list_sealed,
    list_sealed_of_server,
    second_factor_bound,
)
from storage.settings import BACKUP_PASSPHRASE, KEY_FINGERPRINT, SERVER, TRY_KEY, find_setting, put_setting
from storage.table_base import Base
from storage.tables_triggers import Hook, HookSecret
from storage.webhooks import insert_signing_secret
from tests.databases import open_database


@pytest.fixture
def database(new_data: Path) -> Iterator[Database]:
    opened = open_database(new_data)
    yield opened
    opened.close()


def key(tmp_path: Path, letter: bytes) -> tuple[Vault, Path]:
    file = tmp_path / letter.decode()
    file.write_bytes(base64.b64encode(letter * 32))
    return open_vault(tmp_path, file), file


def test_the_first_key_is_the_databases_and_another_is_refused_with_both_fingerprints(database, tmp_path):
    first, second = key(tmp_path, b"a"), key(tmp_path, b"b")
    require_shared_key(database, *first)
    require_shared_key(database, *first)

    with pytest.raises(BadSetting) as refused:
        require_shared_key(database, *second)

    for told in (first[0].fingerprint(), second[0].fingerprint(), str(second[1])):
        assert told in str(refused.value)
    # the tables in PostgreSQL may have been brought up to date before
    assert ("Nothing was changed" in str(refused.value)) != database.is_postgres


def test_a_key_that_opens_none_of_the_secrets_that_are_there_does_not_become_the_databases(database, tmp_path):
    mine, other = key(tmp_path, b"a"), key(tmp_path, b"b")
    workspace_id = database.write_now(ensure_workspace, "free")
    database.write_now(insert_secret, workspace_id, "secret_1", "One", mine[0].seal(workspace_id, "secret_1", "value"))

    with pytest.raises(BadSetting, match="opens none of the secrets"):
        require_shared_key(database, *other)
    require_shared_key(database, *mine)


@pytest.mark.sqlite("the key of a PostgreSQL database is always named")
def test_a_new_folder_gets_a_key_and_another_one_is_refused_from_then_on(
    database: Database, new_data: Path, tmp_path: Path
) -> None:
    mine = open_vault_of(Settings(data=new_data), database)
    assert open_vault_of(Settings(data=new_data), database).fingerprint() == mine.fingerprint()
    other = tmp_path / "other" / KEY_FILE  # where the guide to several machines has it, by this name
    other.parent.mkdir()
    other.write_bytes(base64.b64encode(b"b" * 32))
    with pytest.raises(BadSetting, match=r"not the key of this database.*unset FLOWPORT_SECRET_KEY_FILE"):
        open_vault_of(Settings(data=new_data, secret_key_file=other), database)


@pytest.mark.sqlite("the key of a PostgreSQL database is always named")
@pytest.mark.parametrize("release", ["this one", "before fingerprints"])
@pytest.mark.parametrize("kind", ["secret", "passphrase of backups", "second factor"])
def test_a_lost_key_is_not_made_anew(database: Database, new_data: Path, kind: str, release: str) -> None:
    settings = Settings(data=new_data)
    vault = open_vault_of(settings, database)
    workspace_id = database.write_now(ensure_workspace, "free")
    if kind == "secret":
        sealed = vault.seal(workspace_id, "secret_1", "value")
        database.write_now(insert_secret, workspace_id, "secret_1", "One", sealed)
    elif kind == "second factor":
        user_id = database.write_now(
            lambda session: (
                insert_account(session, workspace_id, "Ada", "ada@example.com", role=Role.OWNER, password_hash="x").id
            )
        )
        sealed = vault.seal(workspace_id, second_factor_bound(user_id), "JBSWY3DPEHPK3PXP")
        database.write_now(insert_second_factor, user_id, sealed, last_step=0)
    else:
        database.write_now(put_setting, SERVER, BACKUP_PASSPHRASE, seal_passphrase(vault, "correct horse"))
    if release == "before fingerprints":
        database.write_now(put_setting, SERVER, KEY_FINGERPRINT, None)
    (new_data / KEY_FILE).rename(new_data / "kept")

    with pytest.raises(BadSetting, match=r"There is no key file.*set it here as the server has it.*new-key"):
        open_vault_of(settings, database)
    assert not (new_data / KEY_FILE).exists()

    (new_data / KEY_FILE).write_bytes(base64.b64encode(b"b" * 32))
    with pytest.raises(BadSetting, match=r"(is not the key of this database|opens none of the secrets).*new-key"):
        open_vault_of(settings, database)

    (new_data / "kept").replace(new_data / KEY_FILE)
    assert open_vault_of(settings, database).fingerprint() == vault.fingerprint()
    assert database.read_now(find_setting, SERVER, KEY_FINGERPRINT) == vault.fingerprint()


@pytest.mark.sqlite("the key of a PostgreSQL database is always named")
@pytest.mark.parametrize("becomes", ["gone", "another"])
def test_no_backup_holds_a_key_that_took_the_place_of_the_databases(
    database: Database, new_data: Path, becomes: str
) -> None:
    """The server goes on with the key that it read at its start."""
    open_vault_of(Settings(data=new_data), database)
    (new_data / KEY_FILE).unlink()
    if becomes == "another":
        (new_data / KEY_FILE).write_bytes(base64.b64encode(b"b" * 32))
    with pytest.raises(BadSetting, match="no key file" if becomes == "gone" else "is not the key"):
        write_backup(new_data, new_data / "one.fpbackup", at=0, passphrase="correct horse")
    assert (new_data / KEY_FILE).exists() == (becomes == "another")


def test_another_key_is_taken_only_when_the_databases_is_not_there(database: Database, new_data: Path) -> None:
    file = new_data / "named" if database.is_postgres else None
    if file is not None:
        file.write_bytes(base64.b64encode(b"a" * 32))
    settings = Settings(data=new_data, secret_key_file=file)
    first = open_vault_of(settings, database)
    with pytest.raises(Conflict, match="is the key of this database"):
        take_new_key(database, settings)
    (file or new_data / KEY_FILE).write_bytes(base64.b64encode(b"b" * 32))
    second, _ = take_new_key(database, settings)
    assert open_vault_of(settings, database).fingerprint() == second.fingerprint() != first.fingerprint()


def fill(database: Database, vault: Vault) -> str:
    """Seals one value in each place that holds sealed ones; returns the id of the workspace."""
    workspace_id = database.write_now(ensure_workspace, "free")

    def put(session: Session) -> None:
        insert_secret(session, workspace_id, "secret_1", "One", vault.seal(workspace_id, "secret_1", "of a secret"))
        flow = insert_flow(session, workspace_id, "One", description="", draft="{}", settings={})
        sealed = vault.seal(workspace_id, "whsec_1", "of a webhook")
        insert_signing_secret(session, workspace_id, flow.id, "whsec_1", sealed)
        hook = {"preset": "none", "mapping": {}, "paused": False, "created_at": 0, "created_by": "Ada"}
        session.add(Hook(id="hook_1", workspace_id=workspace_id, flow_id=flow.id, title="One", **hook))
        session.flush()
        sealed = vault.seal(workspace_id, "hooksec_1", "of a hook")
        session.add(
            HookSecret(id="hooksec_1", workspace_id=workspace_id, hook_id="hook_1", sealed=sealed, created_at=0)
        )
        ada = insert_account(session, workspace_id, "Ada", "ada@example.com", role=Role.OWNER, password_hash="x")
        sealed = vault.seal(workspace_id, second_factor_bound(ada.id), "of a person")
        insert_second_factor(session, ada.id, sealed, last_step=0)
        put_setting(session, SERVER, BACKUP_PASSPHRASE, seal_passphrase(vault, "of the backups"))
        tried = {"key_id": "key_1", "last4": "cdef", "sealed": vault.seal(workspace_id, "key_1", "of Try it now")}
        put_setting(session, workspace_id, TRY_KEY, tried)

    database.write_now(put)
    return workspace_id


def sealed_in(database: Database, workspace_id: str) -> list[tuple[str, str, str]]:
    tried = database.read_now(find_setting, workspace_id, TRY_KEY)
    listed = [*database.read_now(list_sealed), *database.read_now(list_sealed_of_server)]
    return [*listed, (workspace_id, tried["key_id"], tried["sealed"])] if "key_id" in tried else listed


def two_keys(database: Database, new_data: Path) -> tuple[Settings, Vault, Path]:
    """A database with its key, whose file has another name by now, and the settings, whose file holds another key."""
    old, file = new_data / "old.key", new_data / KEY_FILE
    old.write_bytes(base64.b64encode(b"a" * 32))
    file.write_bytes(base64.b64encode(b"a" * 32))
    settings = Settings(data=new_data, secret_key_file=file if database.is_postgres else None)
    vault = open_vault_of(settings, database)
    file.write_bytes(base64.b64encode(b"b" * 32))
    return settings, vault, old


def test_all_that_the_old_key_opens_is_sealed_with_the_new_one(database: Database, new_data: Path) -> None:
    settings, first, old = two_keys(database, new_data)
    workspace_id = fill(database, first)
    sealed = {name for name, table in Base.metadata.tables.items() if "sealed" in table.columns}
    assert sealed == {"secrets", "webhook_secrets", "hook_secrets", "second_factors"}, "`fill` puts a value in each"
    yet_another, _ = key(new_data, b"c")
    lost = yet_another.seal(workspace_id, "secret_2", "of a key that is lost")
    database.write_now(insert_secret, workspace_id, "secret_2", "Two", lost)

    with pytest.raises(BadSetting, match=r"The key in .*/c is not the key of this database"):
        take_new_key(database, settings, new_data / "c")
    second, unreadable = take_new_key(database, settings, old)
    assert (unreadable, open_vault_of(settings, database).fingerprint()) == (1, second.fingerprint())
    found = {one[1]: one for one in sealed_in(database, workspace_id)}
    assert found.pop("secret_2") == (workspace_id, "secret_2", lost)
    assert sorted(second.open(*one) for one in found.values()) == [
        "of Try it now",
        "of a hook",
        "of a person",
        "of a secret",
        "of a webhook",
        "of the backups",
    ]


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (None, "There is no key file"),
        ("folder", "is a folder"),
        (b"\xff\xfe", "does not hold a key"),
        ("Schlüssel".encode(), "does not hold a key"),
    ],
    ids=["nothing", "a folder", "bytes", "words"],
)
def test_the_old_key_is_asked_for_where_its_file_holds_none(
    database: Database, new_data: Path, held: bytes | str | None, said: str
) -> None:
    settings, _, _ = two_keys(database, new_data)
    file = new_data / "wrong"
    if held == "folder":
        file.mkdir()
    elif isinstance(held, bytes):
        file.write_bytes(held)
    with pytest.raises(BadSetting) as refused:
        take_new_key(database, settings, file)
    todo = "Name the file with the key that sealed the secrets so far. No secret was changed."
    assert str(refused.value).endswith(f"{said}. {todo}" if held is not None else f"{said} {file}. {todo}")


def test_a_key_is_replaced_for_all_values_or_for_none(database: Database, new_data: Path) -> None:
    settings, first, old = two_keys(database, new_data)
    workspace_id = fill(database, first)
    tried = database.read_now(find_setting, workspace_id, TRY_KEY)
    database.write_now(put_setting, workspace_id, TRY_KEY, {"sealed": "without the id that it is bound to"})
    before = sealed_in(database, workspace_id)
    with pytest.raises(KeyError):
        take_new_key(database, settings, old)
    assert sealed_in(database, workspace_id) == before
    assert database.read_now(find_setting, SERVER, KEY_FINGERPRINT) == first.fingerprint()

    database.write_now(put_setting, workspace_id, TRY_KEY, tried)
    second, _ = take_new_key(database, settings, old)
    assert len([second.open(*one) for one in sealed_in(database, workspace_id)]) == len(before) + 1


def test_nightly_backups_go_on_with_the_new_key_when_that_of_their_passphrase_is_lost(
    database: Database, new_data: Path
) -> None:
    settings, first, _ = two_keys(database, new_data)
    fill(database, first)
    second, _ = take_new_key(database, settings)
    assert database.read_now(find_passphrase, settings, second) == ""
