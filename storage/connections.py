"""Queries for model connections: named by the owner, without their keys; and the owner's own prices."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.errors import NotFound
from storage.models import Connection, Price


@dataclass(frozen=True)
class ConnectionRow:
    """A model connection. `secret_id` names its sealed key (None = it has none); `local` models cost nothing.

    `models` are the names its server listed when it was last asked.
    """

    id: str
    name: str
    provider: str
    base_url: str | None
    secret_id: str | None
    local: bool
    models: tuple[str, ...]
    created_at: int

    @property
    def has_key(self) -> bool:
        """True when a key is stored for it."""
        return self.secret_id is not None


@dataclass(frozen=True)
class PriceRow:
    """An owner's own price in nano-dollars per million tokens."""

    connection: str
    model: str
    input_nanos: int
    output_nanos: int


def list_connections(session: Session, workspace_id: str) -> list[ConnectionRow]:
    """All of a workspace by name."""
    rows = session.scalars(select(Connection).where(Connection.workspace_id == workspace_id).order_by(Connection.name))
    return [_row(row) for row in rows]


def find_connection(session: Session, workspace_id: str, name: str) -> ConnectionRow | None:
    """The connection a Prompt names, or None."""
    row = session.scalars(
        select(Connection).where(Connection.workspace_id == workspace_id, Connection.name == name)
    ).one_or_none()
    return None if row is None else _row(row)


def list_prices(session: Session, workspace_id: str) -> list[PriceRow]:
    """The owner's own prices."""
    rows = session.scalars(
        select(Price).where(Price.workspace_id == workspace_id).order_by(Price.connection, Price.model)
    )
    return [PriceRow(row.connection, row.model, row.input_nanos, row.output_nanos) for row in rows]


def hold_connection(session: Session, workspace_id: str, name: str) -> Connection:
    """The connection's row itself, for a verb to change. Raises NotFound."""
    row = session.scalars(
        select(Connection).where(Connection.workspace_id == workspace_id, Connection.name == name)
    ).one_or_none()
    if row is None:
        raise NotFound(
            f"No model connection is called `{name}`",
            remedy="Settings, Models and `app.py models list` show the connections.",
        )
    return row


def _row(row: Connection) -> ConnectionRow:
    return ConnectionRow(
        row.id, row.name, row.provider, row.base_url, row.secret_id, row.local, tuple(row.models), row.created_at
    )
