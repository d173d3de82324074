"""The key of a PostgreSQL database: all servers and workers of it seal and open its secrets with the same key.

The database stores the fingerprint of the key of the first server that opened it. A process with another key would store
secrets that the others cannot open, so it does not start.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.orm import Session

from engine.core.errors import SecretUnreadable
from engine.core.settings import BadSetting
from engine.secrets.sealing import Vault
from storage.database import Database
from storage.secrets import list_sealed
from storage.settings import KEY_FINGERPRINT, SERVER, find_setting, put_setting


def require_shared_key(database: Database, vault: Vault, path: Path) -> None:
    """Compares the key with the database's, and stores its fingerprint when the database has none yet. `path` is the file
    with the key, for the refusal. Raises BadSetting.
    """
    known = database.read_now(find_setting, SERVER, KEY_FINGERPRINT)
    if known is None:
        known = database.write_now(_take_key, vault)
    if known is None:
        raise BadSetting(
            f"The key in {path} (FLOWPORT_SECRET_KEY_FILE) opens none of the secrets in the database. They were sealed with "
            f"another key: that of the data folder they came from is its file `secret.key`. {_WHAT_TO_DO}"
        )
    if known != vault.fingerprint():
        raise BadSetting(
            f"The key in {path} (FLOWPORT_SECRET_KEY_FILE) is not the key of this database: its fingerprint is "
            f"{vault.fingerprint()}, and that of the database's key is {known}. {_WHAT_TO_DO}"
        )


_WHAT_TO_DO = "Name the file with that key, the same on every machine. Nothing was changed."


def _take_key(session: Session, vault: Vault) -> str | None:
    """Stores the fingerprint of a key unless another process did; returns the stored one. None when the key opens none of
    the secrets that are there.
    """
    known = find_setting(session, SERVER, KEY_FINGERPRINT)
    if isinstance(known, str):
        return known
    sealed = list_sealed(session)
    if sealed and not any(_opens(vault, *one) for one in sealed):
        return None
    put_setting(session, SERVER, KEY_FINGERPRINT, vault.fingerprint())
    return vault.fingerprint()


def _opens(vault: Vault, workspace_id: str, secret_id: str, sealed: str) -> bool:
    try:
        vault.open(workspace_id, secret_id, sealed)
    except SecretUnreadable:
        return False
    return True
