"""The key of a database that several servers share: its fingerprint is stored, and another key is refused."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.actions.workspaces import ensure_workspace
from engine.core.settings import BadSetting
from engine.secrets.sealing import Vault, open_vault
from engine.secrets.shared_key import require_shared_key
from storage.database import Database
from storage.secrets import insert_secret
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


def test_a_key_that_opens_none_of_the_secrets_that_are_there_does_not_become_the_databases(database, tmp_path):
    mine, other = key(tmp_path, b"a"), key(tmp_path, b"b")
    workspace_id = database.write_now(ensure_workspace, "free")
    database.write_now(insert_secret, workspace_id, "secret_1", "One", mine[0].seal(workspace_id, "secret_1", "value"))

    with pytest.raises(BadSetting, match="opens none of the secrets"):
        require_shared_key(database, *other)
    require_shared_key(database, *mine)
