"""Decrypts stored secrets for immediate use. The actions that write secrets are in `engine/actions/secrets.py`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from sqlalchemy.orm import Session

from engine.core.errors import SecretUnreadable
from engine.core.settings import Settings
from engine.flow.node_http import SecretValue
from engine.secrets.sealing import KEY_FILE, Vault, open_vault
from engine.secrets.shared_key import require_key_file, require_shared_key
from storage.database import Database
from storage.secrets import SealedOwner, hold_secret, list_sealed, list_sealed_owners


def open_vault_of(settings: Settings, database: Database) -> Vault:
    """Opens the vault of a database's secrets; makes the key of a new data folder.

    Raises BadSetting, also when the key is not the database's or is lost.
    """
    path = settings.secret_key_file or settings.data / KEY_FILE
    if settings.secret_key_file is None:
        require_key_file(database, path)
    vault = open_vault(settings.data, settings.secret_key_file)
    require_shared_key(database, vault, path, named=settings.secret_key_file is not None)
    return vault


def open_secret(session: Session, vault: Vault, workspace_id: str, secret_id: str) -> str:
    """Decrypts a secret for a call that is about to send it to its own address.

    Raises NotFound and SecretUnreadable.
    """
    return vault.open(workspace_id, secret_id, hold_secret(session, workspace_id, secret_id).sealed)


def open_for_step(session: Session, vault: Vault, workspace_id: str, secret_id: str) -> SecretValue:
    """Decrypts a secret for a step, together with the hosts it may be sent to. Raises NotFound and SecretUnreadable."""
    secret = hold_secret(session, workspace_id, secret_id)
    hosts = None if secret.hosts is None else tuple(secret.hosts)
    return SecretValue(secret.name, vault.open(workspace_id, secret_id, secret.sealed), hosts)


def list_unreadable(session: Session, vault: Vault, workspace_id: str = "") -> list[SealedOwner]:
    """Returns whose sealed values another key has sealed, so that they have to be entered again; "" for all workspaces."""
    owners = list_sealed_owners(session, workspace_id)
    return [one for one in owners if not vault.opens(one.workspace_id, one.secret_id, one.sealed)]


def find_unreadable(session: Session, workspace_id: str, vault: Vault) -> frozenset[str]:
    """Returns the ids of the connections, servers, secrets, flows and hooks of `list_unreadable`, for pages."""
    return frozenset(one.owner_id for one in list_unreadable(session, vault, workspace_id))


def open_all(session: Session, vault: Vault) -> list[str]:
    """Returns every secret value that this server can decrypt, for the filter that hides them in logs, errors and
    outputs (S26).
    """
    return open_readable(vault, list_sealed(session))  # what is left out this process cannot print either


def open_readable(vault: Vault, sealed: Iterable[tuple[str, str, str]]) -> list[str]:
    """Decrypts secrets, each given as workspace, id and sealed text; leaves out those that were encrypted with another key."""
    values = []
    for workspace_id, secret_id, text in sealed:
        with contextlib.suppress(SecretUnreadable):
            values.append(vault.open(workspace_id, secret_id, text))
    return values
