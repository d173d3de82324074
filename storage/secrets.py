"""Queries for secrets: their names for people, and the sealed text for the action that opens it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from msgspec import Struct
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from engine.core.errors import NotFound
from storage.database import now
from storage.settings import BACKUP_PASSPHRASE, SERVER, TRY_KEY, find_setting, put_setting
from storage.tables import Connection, Flow, SecondFactor, Secret, Setting, ToolServer, User, WebhookSecret
from storage.tables_triggers import Hook, HookSecret


class SecretRow(Struct, frozen=True):
    """A secret as people see it, without its value.

    `hosts`: where nodes may send it; None: anywhere, for secrets from before hosts existed.
    """

    id: str
    name: str
    created_at: int
    updated_at: int
    hosts: tuple[str, ...] | None = None


#: What a sealed value belongs to: a model connection, an MCP server, nothing else, the webhooks of a flow, or an incoming
#: webhook.
SealedKind = Literal["model", "tools", "secret", "webhook", "hook"]


_Owners: TypeAlias = Select[str, str, str, str, str]


class SealedOwner(Struct, frozen=True):
    """A sealed value with what it belongs to: `owner_id` is the id of the connection, server, secret, flow or hook, and
    `name` what people call it.
    """

    workspace_id: str
    secret_id: str
    sealed: str
    owner_id: str
    name: str
    kind: SealedKind


def list_secrets(session: Session, workspace_id: str) -> list[SecretRow]:
    """Returns the secrets that people named, without the keys of model connections and MCP servers."""
    of_connections = select(Connection.secret_id).where(
        Connection.workspace_id == workspace_id, Connection.secret_id.is_not(None)
    )
    of_servers = select(ToolServer.secret_id).where(
        ToolServer.workspace_id == workspace_id, ToolServer.secret_id.is_not(None)
    )
    rows = session.scalars(
        select(Secret)
        .where(Secret.workspace_id == workspace_id, Secret.id.not_in(of_connections), Secret.id.not_in(of_servers))
        .order_by(Secret.name)
    )
    return [
        SecretRow(row.id, row.name, row.created_at, row.updated_at, None if row.hosts is None else tuple(row.hosts))
        for row in rows
    ]


def count_secrets_without_hosts(session: Session) -> int:
    """Returns the number of secrets on this server that nodes may send anywhere."""
    return session.scalar(select(func.count()).select_from(Secret).where(Secret.hosts.is_(None))) or 0


def hold_secret(session: Session, workspace_id: str, secret_id: str) -> Secret:
    """Returns the secret's ORM row, for an action to change. Raises NotFound."""
    row = session.scalars(
        select(Secret).where(Secret.workspace_id == workspace_id, Secret.id == secret_id)
    ).one_or_none()
    if row is None:
        raise NotFound(f"No secret with the id `{secret_id}`", remedy="Settings, Models and secrets lists them.")
    return row


def list_sealed(session: Session) -> list[tuple[str, str, str]]:
    """Returns (workspace id, secret id, sealed text) of every secret on this server, for the filter that hides them in
    log lines.
    """
    kinds = (Secret, WebhookSecret, HookSecret)
    rows = [row for kind in kinds for row in session.execute(select(kind.workspace_id, kind.id, kind.sealed))]
    return [(workspace_id, secret_id, sealed) for workspace_id, secret_id, sealed in rows]


def list_sealed_owners(session: Session, workspace_id: str = "") -> list[SealedOwner]:
    """Returns what people entered or were given and is sealed, with what it belongs to; "" for all workspaces. Of secrets
    that are rotated the current one counts.
    """
    queries: dict[SealedKind, _Owners] = {
        "model": _owners(Secret, Connection, Connection.name).join(Secret, Secret.id == Connection.secret_id),
        "tools": _owners(Secret, ToolServer, ToolServer.name).join(Secret, Secret.id == ToolServer.secret_id),
        "secret": _owners(Secret, Secret, Secret.name),
        "webhook": _owners(WebhookSecret, Flow, Flow.title)
        .join(WebhookSecret, WebhookSecret.flow_id == Flow.id)
        .where(WebhookSecret.ends_at.is_(None)),
        "hook": _owners(HookSecret, Hook, Hook.title)
        .join(HookSecret, HookSecret.hook_id == Hook.id)
        .where(HookSecret.ends_at.is_(None)),
    }
    found: dict[str, SealedOwner] = {}
    for kind, query in queries.items():
        for workspace, secret_id, sealed, owner_id, name in session.execute(query):
            if workspace_id in {"", workspace}:
                found.setdefault(secret_id, SealedOwner(workspace, secret_id, sealed, owner_id, name, kind))
    return list(found.values())


def _owners(sealed: Any, owner: Any, name: Any) -> _Owners:
    return select(sealed.workspace_id, sealed.id, sealed.sealed, owner.id, name).select_from(owner).order_by(name)


def list_sealed_of_server(session: Session) -> list[tuple[str, str, str]]:
    """Returns, as `list_sealed`, the passphrase of backups and the keys of authenticator apps."""
    factors = session.execute(
        select(User.workspace_id, SecondFactor.user_id, SecondFactor.sealed).join(User, User.id == SecondFactor.user_id)
    )
    passphrase = find_setting(session, SERVER, BACKUP_PASSPHRASE)
    found = [(workspace_id, second_factor_bound(user_id), sealed) for workspace_id, user_id, sealed in factors]
    return [*found, (SERVER, BACKUP_PASSPHRASE, passphrase)] if isinstance(passphrase, str) else found


def replace_sealed(session: Session, seal_anew: Callable[[str, str, str], str]) -> None:
    """Puts `seal_anew(workspace id, secret id, sealed text)` in the place of every sealed text on this server."""
    for kind in (Secret, WebhookSecret, HookSecret):
        for row in session.scalars(select(kind)):
            row.sealed = seal_anew(row.workspace_id, row.id, row.sealed)
    factors = select(User.workspace_id, SecondFactor).join(User, User.id == SecondFactor.user_id)
    for workspace_id, factor in session.execute(factors):
        factor.sealed = seal_anew(workspace_id, second_factor_bound(factor.user_id), factor.sealed)
    passphrase = find_setting(session, SERVER, BACKUP_PASSPHRASE)
    if isinstance(passphrase, str):
        put_setting(session, SERVER, BACKUP_PASSPHRASE, seal_anew(SERVER, BACKUP_PASSPHRASE, passphrase))
    for setting in session.scalars(select(Setting).where(Setting.name == TRY_KEY)):
        stored = setting.value["value"]
        if "sealed" in stored:
            sealed = seal_anew(setting.scope, stored["key_id"], stored["sealed"])
            setting.value = {"value": {**stored, "sealed": sealed}}


def second_factor_bound(user_id: str) -> str:
    """Returns the id that the key of a person's authenticator app is sealed with."""
    return f"second factor of {user_id}"


def insert_secret(session: Session, workspace_id: str, secret_id: str, name: str, sealed: str) -> None:
    """Adds a secret with its sealed value. It has no hosts yet, so no node may send it."""
    at = now(session)
    session.add(
        Secret(
            id=secret_id, workspace_id=workspace_id, name=name, sealed=sealed, created_at=at, updated_at=at, hosts=[]
        )
    )
    session.flush()


def delete_secret(session: Session, secret: Secret) -> None:
    """Removes a secret. It first flushes pending changes of rows that referred to it."""
    session.flush()
    session.delete(secret)
