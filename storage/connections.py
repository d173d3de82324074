"""Queries for model connections, without their keys, and for the owner's own prices of models."""

from __future__ import annotations

import re

from msgspec import Struct
from sqlalchemy import and_, delete, select
from sqlalchemy.orm import Session

from engine.core.errors import NotFound
from engine.core.ids import new_id
from storage.database import now
from storage.tables import Connection, Flow, FlowVersion, Price

#: What stands for the Simulated model in place of a connection and a model; no connection has this name.
SIMULATED = "simulated"
#: Finds a model in a flow's document: `"model":"CONNECTION:model-name"` or `"model":"simulated"`. In a text of the
#: document the quotes are escaped, so that it does not match.
_NAMED = re.compile(rf'"model"\s*:\s*"([^":\\]+(?=:)|{SIMULATED}(?="))')


class ConnectionRow(Struct, frozen=True):
    """A model connection. `secret_id` is the id of its sealed key, None without a key. Calls of a `local` model cost
    nothing.

    `models` are the names that its server listed last; `named_models` those that the owner entered because no list has
    them. `api_version` is for Azure; `max_concurrency` None: the default number of calls at once.
    """

    id: str
    name: str
    provider: str
    base_url: str | None
    secret_id: str | None
    local: bool
    models: tuple[str, ...]
    created_at: int
    named_models: tuple[str, ...] = ()
    api_version: str | None = None
    max_concurrency: int | None = None

    @property
    def offered(self) -> tuple[str, ...]:
        """The models to choose from, those that the owner entered first."""
        return tuple(dict.fromkeys((*self.named_models, *self.models)))

    @property
    def has_key(self) -> bool:
        """True when a key is stored for it."""
        return self.secret_id is not None


class FlowUse(Struct, frozen=True):
    """A flow whose draft or live version uses a connection or an MCP server. `live`: it has a live version; `in_draft`: its
    draft uses it.
    """

    flow_id: str
    title: str
    live: bool
    in_draft: bool


class PriceRow(Struct, frozen=True):
    """An owner's own price in nano-dollars per million tokens."""

    connection: str
    model: str
    input_nanos: int
    output_nanos: int


def list_connections(session: Session, workspace_id: str) -> list[ConnectionRow]:
    """Returns all connections of a workspace, sorted by name."""
    rows = session.scalars(select(Connection).where(Connection.workspace_id == workspace_id).order_by(Connection.name))
    return [_row(row) for row in rows]


def find_connection(session: Session, workspace_id: str, name: str) -> ConnectionRow | None:
    """Returns the connection with this name, or None."""
    row = session.scalars(
        select(Connection).where(Connection.workspace_id == workspace_id, Connection.name == name)
    ).one_or_none()
    return None if row is None else _row(row)


def get_connection(session: Session, workspace_id: str, name: str) -> ConnectionRow:
    """Returns the connection with this name. Raises NotFound."""
    return _row(hold_connection(session, workspace_id, name))


def list_prices(session: Session, workspace_id: str) -> list[PriceRow]:
    """Returns the owner's own prices."""
    rows = session.scalars(
        select(Price).where(Price.workspace_id == workspace_id).order_by(Price.connection, Price.model)
    )
    return [PriceRow(row.connection, row.model, row.input_nanos, row.output_nanos) for row in rows]


def flows_using(session: Session, workspace_id: str) -> dict[str, list[FlowUse]]:
    """Returns, for each connection's name and SIMULATED, the flows whose draft or live version uses it, sorted by title."""
    return flows_naming(session, workspace_id, _NAMED)


def flows_naming(session: Session, workspace_id: str, named: re.Pattern[str]) -> dict[str, list[FlowUse]]:
    """Returns, for each text that the group of `named` finds in a draft or live version, the flows it stands in, sorted
    by title.
    """
    rows = session.execute(
        select(Flow.id, Flow.title, Flow.live_version, Flow.draft, FlowVersion.document)
        .outerjoin(FlowVersion, and_(FlowVersion.flow_id == Flow.id, FlowVersion.number == Flow.live_version))
        .where(Flow.workspace_id == workspace_id, Flow.deleted_at.is_(None))
        .order_by(Flow.title, Flow.id)
    )
    found: dict[str, list[FlowUse]] = {}
    for flow_id, title, live_version, draft, live_document in rows:
        in_draft = set(named.findall(draft))
        for name in sorted(in_draft.union(named.findall(live_document or ""))):
            found.setdefault(name, []).append(FlowUse(flow_id, title, live_version is not None, name in in_draft))
    return found


def hold_connection(session: Session, workspace_id: str, name: str) -> Connection:
    """Returns the connection's ORM row, for an action to change. Raises NotFound."""
    row = session.scalars(
        select(Connection).where(Connection.workspace_id == workspace_id, Connection.name == name)
    ).one_or_none()
    if row is None:
        raise NotFound(
            f"No model connection is called `{name}`",
            remedy="Settings, Models and secrets and `app.py models list` show the connections.",
        )
    return row


def find_connection_with_secret(session: Session, workspace_id: str, secret_id: str) -> str | None:
    """Returns the name of the connection whose key is this secret, or None."""
    return session.scalars(
        select(Connection.name).where(Connection.workspace_id == workspace_id, Connection.secret_id == secret_id)
    ).first()


def insert_connection(  # noqa: PLR0913 - each is named by the caller
    session: Session,
    workspace_id: str,
    name: str,
    provider: str,
    *,
    base_url: str | None,
    secret_id: str | None,
    local: bool,
    models: list[str],
    named_models: list[str] | None,
    api_version: str | None,
    max_concurrency: int | None,
) -> str:
    """Stores a connection and returns its id."""
    connection = Connection(
        id=new_id("conn"),
        workspace_id=workspace_id,
        name=name,
        provider=provider,
        base_url=base_url,
        secret_id=secret_id,
        local=local,
        models=models,
        named_models=named_models,
        api_version=api_version,
        max_concurrency=max_concurrency,
        created_at=now(session),
    )
    session.add(connection)
    return connection.id


def delete_connection(session: Session, connection: Connection) -> None:
    """Removes a connection with the owner's prices of its models."""
    session.delete(connection)
    session.execute(
        delete(Price).where(Price.workspace_id == connection.workspace_id, Price.connection == connection.name)
    )


def put_price(
    session: Session, workspace_id: str, connection: str, model: str, input_nanos: int, output_nanos: int
) -> None:
    """Stores the owner's own price of a model; replaces an earlier one."""
    session.merge(
        Price(
            workspace_id=workspace_id,
            connection=connection,
            model=model,
            input_nanos=input_nanos,
            output_nanos=output_nanos,
        )
    )


def delete_price(session: Session, workspace_id: str, connection: str, model: str) -> bool:
    """Removes the owner's own price of a model. Returns False when there was none."""
    own = session.get(Price, (workspace_id, connection, model))
    if own is None:
        return False
    session.delete(own)
    return True


def _row(row: Connection) -> ConnectionRow:
    return ConnectionRow(
        row.id,
        row.name,
        row.provider,
        row.base_url,
        row.secret_id,
        row.local,
        tuple(row.models),
        row.created_at,
        tuple(row.named_models or ()),
        row.api_version,
        row.max_concurrency,
    )
