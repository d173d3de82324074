"""Loads stored model connections from the database and decrypts their keys."""

from __future__ import annotations

from sqlalchemy.orm import Session

from engine.models.connections import ModelConnection, Provider
from engine.models.price import Price
from engine.secrets.opening import open_secret
from engine.secrets.sealing import Vault
from storage.connections import find_connection, list_prices
from storage.workspaces import is_first_workspace


def open_connection(session: Session, vault: Vault, workspace_id: str, name: str) -> ModelConnection | None:
    """Returns a model connection with its decrypted key and the owner's prices, or None when it does not exist.

    For a call that is about to be made. Raises SecretUnreadable.
    """
    row = find_connection(session, workspace_id, name)
    if row is None:
        return None
    prices = {
        price.model: Price(price.input_nanos, price.output_nanos)
        for price in list_prices(session, workspace_id)
        if price.connection == name
    }
    provider: Provider = row.provider  # type: ignore[assignment] - checked when it was stored
    key = open_secret(session, vault, workspace_id, row.secret_id) if row.secret_id else None
    return ModelConnection(
        row.name,
        provider,
        row.base_url,
        key,
        row.local,
        prices,
        api_version=row.api_version or "",
        max_concurrency=row.max_concurrency,
        opens_address=is_first_workspace(session, workspace_id),
    )
