"""Opens what is sealed, for work that is about to use it. Verbs that write secrets are in `engine/actions/secrets.py`."""

from __future__ import annotations

from sqlalchemy.orm import Session

from engine.core.errors import SecretUnreadable
from engine.flow.node_type import SecretValue
from engine.secrets.sealing import Vault
from storage.secrets import hold_secret, list_sealed


def open_secret(session: Session, vault: Vault, workspace_id: str, secret_id: str) -> str:
    """The value, for a call that is about to send it to its own address. Raises NotFound, SecretUnreadable."""
    return vault.open(workspace_id, secret_id, hold_secret(session, workspace_id, secret_id).sealed)


def open_for_step(session: Session, vault: Vault, workspace_id: str, secret_id: str) -> SecretValue:
    """The value with the hosts it may go to, for a step. Raises NotFound, SecretUnreadable."""
    secret = hold_secret(session, workspace_id, secret_id)
    hosts = None if secret.hosts is None else tuple(secret.hosts)
    return SecretValue(secret.name, vault.open(workspace_id, secret_id, secret.sealed), hosts)


def open_all(session: Session, vault: Vault) -> list[str]:
    """Every value this server can open, for the filter that blacks them out in logs, errors and outputs (security.md S26)."""
    values = []
    for workspace_id, secret_id, sealed in list_sealed(session):
        try:
            values.append(vault.open(workspace_id, secret_id, sealed))
        except SecretUnreadable:
            continue  # sealed with another key: nothing here can print it either
    return values
