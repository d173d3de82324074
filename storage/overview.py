"""Queries over all workspaces: who has access, what runs by itself, and what is called, for `app.py overview`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct
from sqlalchemy import Row, and_, select
from sqlalchemy.orm import Session

from storage.database import now
from storage.tables import ApiKey, Connection, Flow, FlowVersion, SetupToken, ToolServer, User, Workspace
from storage.tables_triggers import Hook, Schedule

Rows = list[Row[*tuple[Any, ...]]]


class FlowDocuments(Struct, frozen=True):
    """A flow with its draft and its live version, as JSON text; `live` None: not deployed."""

    workspace_id: str
    id: str
    title: str
    settings: dict[str, Any]
    draft: str
    live: str | None


def list_all_people(session: Session, workspace_id: str | None) -> Rows:
    """Returns workspace, id, name, e-mail address, role, when shut out, and when last here, of everybody.
    `workspace_id` None, here and below: of all workspaces.
    """
    columns = User.workspace_id, User.id, User.name, User.email, User.role, User.disabled_at, User.seen_at
    return _rows(session, select(*columns), User, workspace_id)


def list_all_invitations(session: Session, workspace_id: str | None) -> Rows:
    """Returns workspace, e-mail address (None: anybody with the link), role and end of each open invitation."""
    query = select(SetupToken.workspace_id, SetupToken.email, SetupToken.role, SetupToken.expires_at).where(
        SetupToken.purpose == "invite", SetupToken.used_at.is_(None), SetupToken.expires_at > now(session)
    )
    return _rows(session, query, SetupToken, workspace_id)


def list_all_keys(session: Session, workspace_id: str | None) -> Rows:
    """Returns workspace, id, label, environment, ids of its flows (None: every flow), end and last use of each key that
    is neither revoked nor expired.
    """
    columns = ApiKey.workspace_id, ApiKey.id, ApiKey.label, ApiKey.environment, ApiKey.flow_ids, ApiKey.expires_at
    query = select(*columns, ApiKey.last_used_at).where(
        ApiKey.revoked_at.is_(None), ApiKey.expires_at.is_(None) | (ApiKey.expires_at > now(session))
    )
    return _rows(session, query, ApiKey, workspace_id)


def list_all_schedules(session: Session, workspace_id: str | None) -> Rows:
    """Returns workspace, id, title, title of the flow, timing, time zone and next start (None: paused)."""
    columns = Schedule.workspace_id, Schedule.id, Schedule.title, Flow.title, Schedule.timing, Schedule.time_zone
    query = select(*columns, Schedule.next_at).join(Flow, Flow.id == Schedule.flow_id).where(Flow.deleted_at.is_(None))
    return _rows(session, query, Schedule, workspace_id)


def list_all_hooks(session: Session, workspace_id: str | None) -> Rows:
    """Returns workspace, id, title, title of the flow, preset, whether it is paused, and last call."""
    columns = Hook.workspace_id, Hook.id, Hook.title, Flow.title, Hook.preset, Hook.paused, Hook.last_at
    query = select(*columns).join(Flow, Flow.id == Hook.flow_id).where(Flow.deleted_at.is_(None))
    return _rows(session, query, Hook, workspace_id)


def list_all_connections(session: Session, workspace_id: str | None) -> Rows:
    """Returns workspace, id, name, provider and address (None: the provider's own) of each model connection."""
    columns = Connection.workspace_id, Connection.id, Connection.name, Connection.provider, Connection.base_url
    return _rows(session, select(*columns), Connection, workspace_id)


def list_all_tool_servers(session: Session, workspace_id: str | None) -> Rows:
    """Returns workspace, id, name, address, and when it listed its tools last."""
    columns = ToolServer.workspace_id, ToolServer.id, ToolServer.name, ToolServer.url, ToolServer.listed_at
    return _rows(session, select(*columns), ToolServer, workspace_id)


def list_all_flows(session: Session, workspace_id: str | None) -> Iterator[FlowDocuments]:
    """Yields each flow, one after the other, as documents may be large."""
    query = (
        select(Flow.workspace_id, Flow.id, Flow.title, Flow.settings, Flow.draft, FlowVersion.document)
        .outerjoin(FlowVersion, and_(FlowVersion.flow_id == Flow.id, FlowVersion.number == Flow.live_version))
        .where(Flow.deleted_at.is_(None))
    )
    for row in session.execute(_ordered(query, Flow, workspace_id)):
        yield FlowDocuments(*row)


def _rows(session: Session, query: Any, table: Any, workspace_id: str | None) -> Rows:
    found: Any = session.execute(_ordered(query, table, workspace_id))
    return list(found)


def _ordered(query: Any, table: Any, workspace_id: str | None) -> Any:
    """Orders by workspace, the oldest first, and time of creation."""
    if workspace_id is not None:
        query = query.where(table.workspace_id == workspace_id)
    return query.join(Workspace, Workspace.id == table.workspace_id).order_by(
        Workspace.created_at, table.workspace_id, table.created_at
    )
